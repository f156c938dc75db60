// The proofs of docs/RELIABILITY.md, for as long as one likes:
//
//     npm run prove                           once in their short form, as CI runs them
//     npm run prove -- --runs 10              each that chance has a part in, ten times as long; the others in their long form
//     npm run prove -- --minutes 5            for five minutes, and less than half a minute more. Fewer are not kept: lines 2, 3, 4, 7, 8
//                                             and 10 take what they take, kills and cuts are never fewer than in the short form, and
//                                             crashes and fuzz take what is left, ten seconds each at the least
//     npm run prove -- --seed 42              what is left to chance follows from another seed
//     npm run prove -- --only 'fuzz'          those whose name has this in it
//
// It ends with a table: what was tried, how often, and what was violated. The exit code is 1 when anything was. What a seed
// decides is played again by the line that a failure prints, which stands below the table once more.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const root = fileURLToPath(new URL('../', import.meta.url))
const vitest = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs')

/**
 * In the order in which they run; `share`: of the time that is left by those that take what they take. Kills and cuts come in rounds of
 * some seconds: the last two, which can end at any moment, make up for what they took.
 */
const proofs = [
  { line: 2, name: 'small states', file: 'every-small-state.test.ts' },
  { line: 3, name: 'failing calls', file: 'fail-nth.test.ts' },
  { line: 4, name: 'every bit', file: 'every-bit.test.ts' },
  { line: 10, name: 'two writers', file: 'two-writers.test.ts' },
  { line: 7, name: 'sync errors', file: 'sync-errors.root.test.ts', root: true },
  { line: 8, name: 'acknowledged means synced', file: 'acknowledged-means-synced.root.test.ts', root: true },
  { line: 9, name: 'model', file: 'model.test.ts' },
  { line: 5, name: 'kills', file: 'sigkill.test.ts', share: 0.15 },
  { line: 11, name: 'one log under fire', file: 'tortured-log.test.ts', share: 0.1 },
  { line: 6, name: 'power cuts', file: 'power-cuts.root.test.ts', root: true, share: 0.25 },
  { line: 1, name: 'simulated crashes', file: 'simulated-crashes.test.ts', share: 0.4 },
  { line: 9, name: 'fuzz', file: 'fuzz.test.ts', share: 0.2 },
]

const { values } = parseArgs({
  options: { seed: { type: 'string' }, runs: { type: 'string' }, minutes: { type: 'string' }, only: { type: 'string' }, help: { type: 'boolean' } },
})
for (const option of ['seed', 'runs', 'minutes']) {
  if (values[option] !== undefined && !(Number(values[option]) >= 0)) fail(`--${option} takes a number, not ${values[option]}`)
}
if (values.help) {
  console.log(readFileSync(fileURLToPath(import.meta.url), 'utf8').split('\n\n')[0].replaceAll(/^\/\/ ?/gm, ''))
  process.exit(0)
}
const chosen = proofs.filter(({ name }) => values.only === undefined || name.includes(values.only))
if (chosen.length === 0) fail(`no proof is named like '${values.only}': there are ${proofs.map(({ name }) => name).join(', ')}`)

const scratch = mkdtempSync(join(tmpdir(), 'forelog-prove-'))
const endsAtMs = values.minutes === undefined ? undefined : performance.now() + Number(values.minutes) * 60_000
const beganMs = performance.now()
/** The lines that play again what failed. */
const again = []
const rows = chosen.flatMap((proof, index) => run(proof, chosen.slice(index)))
rmSync(scratch, { recursive: true, force: true })

console.log()
console.table(rows)
const violated = rows.filter(({ violations }) => violations > 0)
console.log(violated.length === 0 ? 'no violation' : `VIOLATED: ${violated.map(({ proof }) => proof).join('; ')}`)
for (const line of again) console.log(`again: ${line}`)
if (values.minutes !== undefined) console.log(`${((performance.now() - beganMs) / 60_000).toFixed(1)} minutes of ${values.minutes}`)
process.exitCode = violated.length === 0 ? 0 : 1

/** Runs a proof in a process of its own; the rows that it makes of the table. */
function run(proof, left) {
  console.log(`\n── ${proof.line}: ${proof.name}`)
  const file = join(scratch, `${proof.file}.jsonl`)
  const vitestReport = join(scratch, `${proof.file}.json`)
  const began = performance.now()
  const { status } = spawnSync(process.execPath, [vitest, 'run', '--project', proof.root ? 'root' : 'proofs', `test/proofs/${proof.file}`, '--reporter', 'default', '--reporter', 'json', '--outputFile.json', vitestReport], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, FORELOG_PROOFS: file, ...effortOf(proof, left) },
  })
  const seconds = Number(((performance.now() - began) / 1000).toFixed(1))
  const found = existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line)) : []
  const tests = existsSync(vitestReport) ? JSON.parse(readFileSync(vitestReport, 'utf8')).testResults.flatMap(({ assertionResults }) => assertionResults) : []
  const failed = tests.filter((test) => test.status === 'failed')
  // What fails outside of a test, in its set-up for example, is told by the exit code alone.
  if (status !== 0 && failed.length === 0) failed.push({ fullName: `${proof.name}: it could not be run` })
  if (failed.length > 0) again.push(...linesOf(proof, failed))
  const rowsOfProof = [
    ...found.map(({ name, tried, unit }) => ({ line: proof.line, proof: name, tried, what: unit, violations: 0, seconds: '' })),
    ...failed.map(({ fullName }) => ({ line: proof.line, proof: fullName.slice(0, 100), tried: '', what: 'see above', violations: 1, seconds: '' })),
  ]
  const passed = tests.filter((test) => test.status === 'passed').length
  if (rowsOfProof.length === 0 && passed > 0) rowsOfProof.push({ line: proof.line, proof: proof.name, tried: passed, what: 'tests', violations: 0, seconds: '' })
  if (rowsOfProof.length === 0) rowsOfProof.push({ line: proof.line, proof: proof.name, tried: 0, what: 'skipped: the reason is above', violations: 0, seconds: '' })
  rowsOfProof[0].seconds = seconds
  return rowsOfProof
}

/** What to type: as the test says, or the whole proof, where nothing of it is left to chance. */
function linesOf(proof, failed) {
  const told = failed.flatMap(({ failureMessages = [] }) => failureMessages.join('\n').match(/npm run prove -- .*/g) ?? [])
  const whole = `npm run prove -- --only '${proof.name}'${values.seed === undefined ? '' : ` --seed ${values.seed}`}`
  return told.length > 0 ? new Set(told) : [whole]
}

/** The variables of test/proofs/effort.ts. */
function effortOf(proof, left) {
  const effort = {}
  if (values.seed !== undefined) effort.FORELOG_SEED = values.seed
  if (values.runs !== undefined) effort.FORELOG_RUNS = values.runs
  if (endsAtMs !== undefined && proof.share !== undefined) {
    const shares = left.reduce((sum, { share }) => sum + (share ?? 0), 0)
    const leftSeconds = Math.max(0, endsAtMs - performance.now()) / 1000
    effort.FORELOG_SECONDS = String(Math.max(10, (leftSeconds * proof.share) / shares))
  }
  return effort
}

function fail(why) {
  console.error(why)
  process.exit(2)
}
