// What `npm test` does once everything is set up: every check, the later ones too when one has failed, and a summary.
// With FORELOG_RESULTS=<directory> it leaves the outcome there for .ci/run: checks.json, and vitest's report of each
// check that is a test run.

import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'

const checks = ['lint', 'types', 'unused', 'unit', 'unit:package']

const results = process.env.FORELOG_RESULTS
const cli = process.env.npm_execpath
const throughCli = cli !== undefined && basename(cli) === 'npm-cli.js'

const outcomes = checks.map((name) => {
  console.log(`\n── ${name}`)
  const [command, ...front] = throughCli ? [process.execPath, cli] : ['npm']
  const report = results === undefined ? {} : { FORELOG_TEST_REPORT: join(results, `${name.replace(':', '-')}.json`) }
  const startMs = performance.now()
  const { status } = spawnSync(command, [...front, 'run', '--silent', name], {
    stdio: 'inherit',
    env: { ...process.env, ...report },
    shell: !throughCli && process.platform === 'win32',
  })
  return { name, passed: status === 0, seconds: (performance.now() - startMs) / 1000 }
})

if (results !== undefined) writeFileSync(join(results, 'checks.json'), JSON.stringify(outcomes))

console.log()
for (const { name, passed, seconds } of outcomes) {
  console.log(`${passed ? 'passed' : 'FAILED'}  ${name.padEnd(14)}${seconds.toFixed(1).padStart(6)} s`)
}
process.exitCode = outcomes.every(({ passed }) => passed) ? 0 : 1
