// npm run mutants: puts one deliberate bug after the other into a copy of the library, and runs the tests on it until one fails.
// A mutant that no test notices is a missing test: then it ends with 1. `-- --only TEXT` takes those whose name has the text.
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

const root = fileURLToPath(new URL('..', import.meta.url))
const copied = ['packages/forelog', 'scripts', 'docs', 'package.json', 'vitest.config.ts', 'tsconfig.base.json', 'tsconfig.json']

/** Behind the tests that a mutant names: those of what decides, then a short form of the crashes. */
const fallback = [
  'recovery/decide.test.ts',
  'recovery/rows.test.ts',
  'recovery/rules.test.ts',
  'segments/segment-writer.test.ts',
  'segments/truncation.test.ts',
  'mistakes-of-others.test.ts',
  'write-ahead-log-failing.test.ts',
  'write-ahead-log.test.ts',
  'proofs/simulated-crashes.test.ts',
]
/** Of the crashes; long enough for some thousand. */
const crashSeconds = 20
/** What hangs is noticed by that. */
const limitMs = 240_000

const { values } = parseArgs({ options: { only: { type: 'string' }, jobs: { type: 'string' } } })
const chosen = mutants.filter(({ name }) => name.includes(values.only ?? ''))
if (chosen.length === 0) throw new Error('no mutant has a name with that text')
const jobs = Math.min(chosen.length, Number(values.jobs ?? Math.min(4, availableParallelism())))
const home = mkdtempSync(join(tmpdir(), 'forelog-mutants-'))
process.once('exit', () => rmSync(home, { recursive: true, force: true }))
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))

const beganMs = performance.now()
const copies = Array.from({ length: jobs }, (_, index) => makeCopy(join(home, `copy-${index}`)))
for (const mutant of chosen) mutated(copies[0], mutant)

const files = [...new Set([...chosen.flatMap(({ tests }) => tests), ...fallback])]
console.log(`${chosen.length} mutants, ${jobs} at a time. First ${files.length} test files without any`)
const control = await firstFailure(copies[0], files)
if (control !== undefined) {
  console.error(`without a mutant this fails: ${control}`)
  process.exit(1)
}
console.log(`  pass, ${seconds(beganMs)} s`)

const survivors = []
const waiting = [...chosen]
await Promise.all(copies.map(work))
console.log(`${chosen.length - survivors.length} of ${chosen.length} mutants killed, ${seconds(beganMs)} s`)
for (const { name } of survivors) console.log(`SURVIVED: ${name}`)
process.exit(survivors.length === 0 ? 0 : 1)

function makeCopy(directory) {
  for (const path of copied) cpSync(join(root, path), join(directory, path), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'))
  return directory
}

/** The text of the file with the bug in it; throws when the source is no longer what the mutant was written for. */
function mutated(copy, { name, file, from, to }) {
  const source = readFileSync(join(copy, 'packages/forelog/src', file), 'utf8')
  const parts = source.split(from)
  if (parts.length !== 2) throw new Error(`mutant '${name}': ${file} has its text ${parts.length - 1} times, and it must be there once`)
  return { source, text: parts.join(to) }
}

async function work(copy) {
  for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
    const path = join(copy, 'packages/forelog/src', mutant.file)
    const { source, text } = mutated(copy, mutant)
    const startMs = performance.now()
    writeFileSync(path, text)
    let killer
    const tests = [...new Set([...mutant.tests, ...fallback])]
    for (let index = 0; index < tests.length && killer === undefined; index++) killer = await firstFailure(copy, [tests[index]])
    writeFileSync(path, source)
    if (killer === undefined) survivors.push(mutant)
    console.log(`${killer === undefined ? 'SURVIVED' : 'killed  '}  ${mutant.name} (${seconds(startMs)} s)${killer === undefined ? '' : `\n          by ${killer}`}`)
  }
}

/** Runs test files until one test fails: its name; undefined: none does. */
async function firstFailure(copy, names) {
  const report = join(copy, 'report.json')
  rmSync(report, { force: true })
  const paths = names.map((name) => join('packages/forelog/test', name))
  const args = ['run', '--project', 'unit', '--project', 'proofs', '--bail', '1', '--reporter', 'json', '--outputFile', report, ...paths]
  const { code, output, late } = await run(copy, args)
  if (late) return `the time limit of ${limitMs / 1000} s (${names.join(', ')})`
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
    return `${name.slice(name.indexOf('/test/') + 6)}: ${failed.fullName}\n          ${why.slice(0, 160)}`
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
    })
    let output = ''
    let late = false
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (output += bytes))
    const timer = setTimeout(() => {
      late = true
      child.kill('SIGKILL')
    }, limitMs)
    child.on('close', (code) => {
      clearTimeout(timer)
      resolve({ code, output, late })
    })
  })
}

function seconds(sinceMs) {
  return ((performance.now() - sinceMs) / 1000).toFixed(1)
}
