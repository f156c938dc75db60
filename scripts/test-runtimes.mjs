// npm run test:nodes: the package, packed and installed as a user installs it, on every runtime that it is meant for.
//
// - All of them go on in one log, each checks what the others wrote, and each is refused while another process holds it.
// - Each loads it by `require`, too.
// - On each Node.js run the unit tests, but for the one that runs this, on which `npm run unit` does; `-- --quick` leaves them out.
//
// The runtimes are npm packages with a binary in them (of Linux, macOS or Windows, whichever this is), installed without
// running anything into the folder .runtimes, so that a second run downloads nothing.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { report } from 'node:process'

const root = fileURLToPath(new URL('..', import.meta.url))
const quick = process.argv.includes('--quick')

const { platform, arch } = process
const windows = platform === 'win32'
const ending = windows ? '.exe' : ''
// The oldest that is supported, and the newest of each line.
const nodes = ['20.19.0', '20.20.2', '22.23.3', '24.21.0', '26.10.0'].map((version) => ({
  name: `Node.js ${version}`,
  version,
  alias: `node-${version}`,
  source: `node-${windows ? 'win' : platform}-${arch}@${version}`,
  binary: join('bin', `node${ending}`),
  arguments: [],
  isNode: true,
}))
const musl = platform === 'linux' && report.getReport().header.glibcVersionRuntime === undefined
const others = [
  {
    name: 'Bun 1.4.5',
    alias: 'bun',
    source: `@oven/bun-${windows ? 'windows' : platform}-${arch === 'arm64' ? 'aarch64' : arch}${musl ? '-musl' : ''}@1.4.5`,
    binary: join('bin', `bun${ending}`),
    arguments: [],
  },
  {
    name: 'Deno 2.9.6',
    alias: 'deno',
    source: `@deno/${platform}-${arch}${platform === 'linux' ? '-glibc' : ''}@2.9.6`,
    binary: `deno${ending}`,
    arguments: ['run', '--allow-all'],
  },
]
const runtimes = [...nodes, ...others]

const cache = join(root, '.runtimes')
const scratch = mkdtempSync(join(tmpdir(), 'forelog-runtimes-'))
try {
  const available = installRuntimes()
  const project = installPackage()
  const outcomes = await tryEach(available, project)
  print(outcomes)
  process.exitCode = outcomes.length > 0 && outcomes.every(({ failures }) => failures.length === 0) ? 0 : 1
} finally {
  rmSync(scratch, { recursive: true, force: true })
}

/** The runtimes that there are for this machine; each that is missing is named. */
function installRuntimes() {
  mkdirSync(cache, { recursive: true })
  if (!existsSync(join(cache, 'package.json'))) writeFileSync(join(cache, 'package.json'), '{ "private": true }\n')
  const missing = runtimes.filter(({ alias, source }) => installedVersion(alias) !== source.slice(source.lastIndexOf('@') + 1))
  if (missing.length > 0) {
    console.log(`Installing ${missing.map(({ name }) => name).join(', ')} …`)
    const specifiers = missing.map(({ alias, source }) => `${alias}@npm:${source}`)
    // All at once, for npm removes what it isn't told of; one by one where one of them doesn't exist for this machine.
    if (!npm(cache, 'install', ...specifiers)) for (const specifier of specifiers) npm(cache, 'install', specifier)
  }
  return runtimes.filter(({ alias, name, source, binary }) => {
    const path = join(cache, 'node_modules', alias, binary)
    if (!existsSync(path)) console.log(`skipped: ${name}: ${source} can't be installed on ${platform}-${arch}`)
    else chmodSync(path, 0o755)
    return existsSync(path)
  })
}

function installedVersion(alias) {
  const path = join(cache, 'node_modules', alias, 'package.json')
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')).version.replace(/^v/, '') : undefined
}

/** A project that has the tarball which would be published as its dependency. */
function installPackage() {
  const project = join(scratch, 'project')
  mkdirSync(project)
  writeFileSync(join(project, 'package.json'), '{ "private": true }\n')
  if (!npm(join(root, 'packages/forelog'), 'pack', '--silent', '--pack-destination', scratch)) throw new Error('npm pack failed')
  const tarball = readdirSync(scratch).find((name) => name.endsWith('.tgz'))
  if (!npm(project, 'install', '--prefer-offline', join(scratch, tarball))) throw new Error('the package could not be installed')
  const programs = join(root, 'scripts/runtimes')
  for (const file of readdirSync(programs)) copyFileSync(join(programs, file), join(project, file))
  return project
}

async function tryEach(available, project) {
  const shared = join(scratch, 'shared-log')
  const held = join(scratch, 'held-log')
  const holder = spawn(process.execPath, ['hold.mjs', held], { cwd: project, stdio: ['pipe', 'pipe', 'inherit'] })
  await Promise.race([once(holder.stdout, 'data'), once(holder, 'exit').then(() => Promise.reject(new Error('no log could be held')))])
  try {
    return available.map((runtime) => {
      const smoke = (...args) => run(runtime, args, project)
      const outcome = { name: runtime.name, facts: [], failures: [] }
      check(outcome, 'import', smoke('smoke.mjs', 'write', shared, runtime.alias))
      check(outcome, 'require', smoke('smoke.cjs', join(scratch, `by-require-${runtime.alias}`)))
      check(outcome, 'a second writer', smoke('smoke.mjs', 'refused', held, runtime.alias))
      if (runtime.isNode && !quick && runtime.version !== process.versions.node) unitTests(runtime, outcome)
      return outcome
    })
  } finally {
    holder.stdin.end()
    await once(holder, 'exit')
  }
}

function check(outcome, what, { status, signal, stdout, stderr }) {
  const said = /^ok ?(.*)$/m.exec(stdout)
  if (status === 0 && said) outcome.facts.push(said[1] === '' ? what : `${what}: ${said[1]}`)
  else outcome.failures.push(`${what}: ended with ${status ?? signal}\n${stdout}${stderr}`)
}

function unitTests(runtime, outcome) {
  const file = join(scratch, `${runtime.alias}.json`)
  const vitest = join(root, 'node_modules/vitest/vitest.mjs')
  const { stdout, stderr } = run(runtime, [vitest, 'run', '--project', 'unit', '--reporter', 'json', '--outputFile', file], root)
  if (!existsSync(file)) return void outcome.failures.push(`unit tests: no report\n${stdout}${stderr}`)
  const { numPassedTests, numFailedTests, numPendingTests, success, testResults } = JSON.parse(readFileSync(file, 'utf8'))
  outcome.facts.push(`unit tests: ${numPassedTests} passed, ${numPendingTests} skipped`)
  if (success && numPassedTests > 0) return
  const failed = testResults.flatMap(({ name, message, assertionResults }) => [
    ...(message ? [`${name}: ${message}`] : []),
    ...assertionResults.filter(({ status }) => status === 'failed').map(({ fullName, failureMessages }) => `${fullName}: ${failureMessages[0]}`),
  ])
  outcome.failures.push(`unit tests: ${numFailedTests} failed\n${failed.join('\n')}`)
}

function run({ alias, binary, arguments: front }, args, cwd) {
  const path = join(cache, 'node_modules', alias, binary)
  return spawnSync(path, [...front, ...args], { cwd, encoding: 'utf8', timeout: 5 * 60_000, maxBuffer: 1 << 28 })
}

function print(outcomes) {
  console.log()
  for (const { name, facts, failures } of outcomes) {
    console.log(`${failures.length === 0 ? 'passed' : 'FAILED'}  ${name.padEnd(17)}${facts.join('; ')}`)
    for (const failure of failures) console.log(`        ${failure.trimEnd().replaceAll('\n', '\n          ')}`)
  }
}

function npm(cwd, ...args) {
  const cli = process.env.npm_execpath
  const byPath = cli === undefined || basename(cli) !== 'npm-cli.js'
  const [command, ...front] = byPath ? ['npm'] : [process.execPath, cli]
  const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
  return spawnSync(command, [...front, ...args, ...options], { cwd, stdio: ['ignore', 'ignore', 'inherit'], shell: byPath && windows }).status === 0
}
