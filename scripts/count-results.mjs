// The last line of .ci/run, from what the checks left in a directory: node scripts/count-results.mjs <directory>
//
// - checks.json: the outcome of each check of `npm test` (scripts/run-checks.mjs); absent when the set-up failed
// - steps.tsv: the exit codes of `npm test` and of what else .ci/run ran
// - <check>.json: vitest's report of a check that is a test run

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const directory = process.argv[2]
const testRuns = ['unit', 'unit:package', 'unit:root']

let passed = 0
const failures = []

const steps = new Map(
  readFileSync(join(directory, 'steps.tsv'), 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => line.split('\t')),
)
const checks = read('checks.json')
if (checks === undefined) {
  failures.push(['124', '137'].includes(steps.get('npm test')) ? 'npm test: out of time' : 'set-up: see its message above')
} else {
  passed++ // the set-up
  for (const { name, passed } of checks) count(name, passed)
}
for (const [name, code] of steps) if (name !== 'npm test') count(name, code === '0')

for (const failure of failures) console.log(`failed: ${failure}`)
console.log(`${passed} passed, ${failures.length} failed`)
process.exitCode = failures.length === 0 ? 0 : 1

function count(name, succeeded) {
  if (!testRuns.includes(name)) {
    if (succeeded) passed++
    else failures.push(name)
    return
  }
  const failuresBefore = failures.length
  for (const file of read(`${name.replace(':', '-')}.json`)?.testResults ?? []) {
    const failed = file.assertionResults.filter(({ status }) => status === 'failed')
    passed += file.assertionResults.filter(({ status }) => status === 'passed').length
    failures.push(...failed.map(({ fullName }) => `${name}: ${fullName}`))
    // A file that could not be loaded, or whose hook failed.
    if (file.status === 'failed' && failed.length === 0) failures.push(`${name}: ${file.name}: ${file.message}`)
  }
  // Out of time, an error outside of any test, no report at all.
  if (!succeeded && failures.length === failuresBefore) failures.push(`${name}: failed outside of its tests`)
}

function read(file) {
  const path = join(directory, file)
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined
}
