// npm run mutants: puts one deliberate bug after the other into a copy of the library, and runs tests on it until one fails.
// A mutant that no test notices is a missing test: then it ends with 1. So it does when a patch no longer fits the source.
//
//     --only TEXT     those whose name has the text
//     --shard 2/4     the second quarter of them
//     --tests A,B     these test files and no others: who else would notice
//     --named         only the tests that each mutant names, without those behind them and without the crashes: quick
//     --unchecked     without the run in front that has no mutant: when that was just done
//     --jobs N        so many at a time; default: as many as there are processors, 4 at the most
//     --write         notes who killed what in scripts/mutants/killed.json, and puts the table into docs/RELIABILITY.md
//
// A copy for each worker lies in a temporary directory; the sources here are never changed. First the copy without a bug must pass
// everything that kills, in the same form: what fails there kills nothing.
import { spawn } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { mutants } from './mutants/list.mjs'
import { misfits, patchesOf } from './mutants/patches.mjs'
import { noteKilled, writeTable } from './mutants/table.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const copied = ['packages/forelog', 'scripts', 'docs', 'package.json', 'vitest.config.ts', 'tsconfig.base.json', 'tsconfig.json']

/** Behind the tests that a mutant names: the others that decide, all at once; then a short form of the crashes. */
const fallback = [
  [
    'acknowledged-is-durable.test.ts',
    'recovery/decide.test.ts',
    'recovery/rows.test.ts',
    'recovery/rules.test.ts',
    'segments/segment-writer.test.ts',
    'segments/truncation.test.ts',
    'mistakes-of-others.test.ts',
    'write-ahead-log-failing.test.ts',
    'write-ahead-log.test.ts',
  ],
  ['proofs/simulated-crashes.test.ts'],
]
/** Of the crashes; long enough for some thousand. */
const crashSeconds = 20
/** What hangs is noticed by these: a test, and a run. */
const testLimitMs = 30_000
const runLimitMs = 180_000

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    shard: { type: 'string', default: '1/1' },
    tests: { type: 'string' },
    named: { type: 'boolean', default: false },
    unchecked: { type: 'boolean', default: false },
    jobs: { type: 'string' },
    write: { type: 'boolean', default: false },
  },
})
const unfit = misfits()
for (const misfit of unfit) console.error(misfit)
if (unfit.length > 0) process.exit(1)
const chosen = shardOf(mutants.filter(({ name }) => name.includes(values.only)))
if (chosen.length === 0) throw new Error('no mutant has a name with that text')
const jobs = Math.min(chosen.length, Number(values.jobs ?? Math.min(4, availableParallelism())))
const home = mkdtempSync(join(tmpdir(), 'forelog-mutants-'))
const running = new Set()
process.once('exit', () => {
  running.forEach(killGroup)
  rmSync(home, { recursive: true, force: true })
})
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))

const beganMs = performance.now()
const copies = Array.from({ length: jobs }, (_, index) => makeCopy(join(home, `copy-${index}`)))
console.log(`${chosen.length} mutants, ${jobs} at a time`)
if (!values.unchecked) await control()

const survivors = []
const killed = []
const broken = []
const waiting = [...chosen]
await Promise.all(copies.map(work))
console.log(`${killed.length} of ${chosen.length} mutants killed, ${seconds(beganMs)} s`)
for (const { name } of survivors) console.log(`SURVIVED: ${name}`)
for (const { name, why } of broken) console.log(`NOT RUN: ${name}: ${why}`)
if (values.write) {
  noteKilled(chosen, killed)
  writeTable()
}
process.exit(survivors.length + broken.length === 0 ? 0 : 1)

function shardOf(all) {
  const [, index, count] = /^(\d+)\/(\d+)$/.exec(values.shard) ?? []
  if (count === undefined || Number(index) < 1 || Number(index) > Number(count)) throw new Error(`--shard is ${values.shard}, and must be like 2/4`)
  return all.slice(Math.floor((all.length * (index - 1)) / count), Math.floor((all.length * index) / count))
}

function makeCopy(directory) {
  for (const path of copied) cpSync(join(root, path), join(directory, path), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'))
  return directory
}

/** Test files in the order in which they are tried, those of a round at once: what is most likely to notice comes first and alone. */
function roundsFor({ tests }) {
  if (values.tests !== undefined) return [values.tests.split(',')]
  if (values.named) return tests.filter((file) => !file.startsWith('proofs/')).map((file) => [file])
  const others = fallback.map((round) => round.filter((file) => !tests.includes(file))).filter((round) => round.length > 0)
  return [...tests.map((file) => [file]), ...others]
}

/** The tests without a mutant, divided among the copies. */
async function control() {
  const files = [...new Set(chosen.flatMap(roundsFor).flat())]
  console.log(`first ${files.length} test files without any`)
  const left = files.sort((a, b) => Number(b.startsWith('proofs/')) - Number(a.startsWith('proofs/')))
  const parts = copies.map((_, index) => left.filter((_, place) => place % copies.length === index))
  const failures = await Promise.all(copies.map((copy, index) => (parts[index].length === 0 ? undefined : firstFailure(copy, parts[index]))))
  const [failure] = failures.filter((each) => each !== undefined)
  if (failure === undefined) return console.log(`  pass, ${seconds(beganMs)} s`)
  console.error(`without a mutant this fails: ${failure.file}: ${failure.test}\n  ${failure.why}`)
  process.exit(1)
}

async function work(copy) {
  for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
    const startMs = performance.now()
    const before = new Map()
    for (const { file, from, to } of patchesOf(mutant)) {
      const path = join(copy, 'packages/forelog/src', file)
      const source = readFileSync(path, 'utf8')
      if (!before.has(path)) before.set(path, source)
      writeFileSync(path, source.split(from).join(to))
    }
    let killer
    try {
      for (const round of roundsFor(mutant)) {
        killer = await firstFailure(copy, round)
        if (killer !== undefined) break
      }
    } catch (error) {
      broken.push({ name: mutant.name, why: error.message })
      console.log(`NOT RUN   ${mutant.name}`)
      continue
    } finally {
      for (const [path, source] of before) writeFileSync(path, source)
    }
    if (killer === undefined) survivors.push(mutant)
    else killed.push({ name: mutant.name, file: killer.file, test: killer.test })
    const by = killer === undefined ? '' : `\n          by ${killer.file}: ${killer.test}\n          ${killer.why}`
    console.log(`${killer === undefined ? 'SURVIVED' : 'killed  '}  ${mutant.name} (${seconds(startMs)} s)${by}`)
  }
}

/** Runs test files until one test fails: which one, and why; undefined: none does. */
async function firstFailure(copy, names) {
  const report = join(copy, 'report.json')
  rmSync(report, { force: true })
  const paths = names.map((name) => join('packages/forelog/test', name))
  const options = ['--bail', '1', '--maxWorkers', '1', '--testTimeout', String(testLimitMs), '--reporter', 'json', '--outputFile', report]
  const { code, output, late } = await run(copy, ['run', '--project', 'unit', '--project', 'proofs', ...options, ...paths])
  if (late) return { file: names.join(', '), test: `the time limit of ${runLimitMs / 1000} s`, why: '' }
  if (code === 0) return undefined
  let results
  try {
    results = JSON.parse(readFileSync(report, 'utf8')).testResults
  } catch {
    throw new Error(`vitest left no report: ${output.slice(-2000)}`)
  }
  for (const { name, assertionResults } of results) {
    const failed = assertionResults.find(({ status }) => status === 'failed')
    if (failed === undefined) continue
    const [why = ''] = (failed.failureMessages[0] ?? '').split('\n').filter((line) => !line.includes('again: npm run'))
    return { file: name.slice(name.indexOf('/test/') + 6), test: failed.fullName, why: why.slice(0, 160) }
  }
  // An error outside of every test, or a file that could not be loaded: that is a patch that does not fit, and no test's merit.
  throw new Error(`no test failed, and vitest did: ${JSON.stringify(results.map(({ message }) => message)).slice(0, 2000)} ${output.slice(-2000)}`)
}

function run(copy, args) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [join(root, 'node_modules/vitest/vitest.mjs'), ...args], {
      cwd: copy,
      env: { ...process.env, FORELOG_SECONDS: String(crashSeconds), FORELOG_TEST_REPORT: undefined, FORELOG_PROOFS: undefined },
      stdio: ['ignore', 'pipe', 'pipe'],
      // A group of its own: a worker that spins would outlive its parent.
      detached: true,
    })
    running.add(child)
    let output = ''
    let late = false
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (output += bytes))
    const timer = setTimeout(() => {
      late = true
      killGroup(child)
    }, runLimitMs)
    child.on('close', (code) => {
      clearTimeout(timer)
      running.delete(child)
      resolve({ code, output, late })
    })
  })
}

function killGroup(child) {
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // it has ended already
  }
}

function seconds(sinceMs) {
  return ((performance.now() - sinceMs) / 1000).toFixed(1)
}
