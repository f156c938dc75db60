// `npm run bench`: sets up what the measurements need, then makes them. With `--proofs`, which is `npm run peers`: what the tests of
// proofs/ need, then those. Plain Node.js, for it runs before anything is there.
//
// The peers are no dependencies of the workspace: they are installed here, at the first run, as package-lock.json has them.
// Install scripts stay off, but for one: better-sqlite3 has no binary in its package, so its own script looks for one
// to download, and else compiles SQLite, which takes minutes. Where that fails, the others are measured without it.

import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { newestChangeMs } from '../scripts/set-up.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const root = dirname(here)

run(process.execPath, [join(root, 'scripts/set-up.mjs')], root, 'setting up the workspace')
const { wantedPeers, measures } = chosen()
installPeers()
if (measures) buildBetterSqlite3()
compile()

const args = process.argv.slice(2)
const { status, signal } = spawnSync(process.execPath, [...(args.includes('--proofs') ? proofs() : [join(here, 'dist/main.js')]), ...args], { stdio: 'inherit' })
process.exitCode = status ?? (signal === null ? 1 : 130)

/** What `--peers` names (undefined: all of them), and whether anything is measured: results of an earlier run need no peer that runs. */
function chosen() {
  const { values } = parseArgs({ options: { peers: { type: 'string' }, html: { type: 'string' }, from: { type: 'string' }, profile: { type: 'string' } }, strict: false })
  if (values.profile !== undefined) return { wantedPeers: [], measures: false }
  // The charts need what is installed with the peers.
  return { wantedPeers: values.html === undefined ? values.peers?.split(',') : undefined, measures: values.from === undefined }
}

/** They stand on the proofs of the library, which are TypeScript and stay so. */
function proofs() {
  const tsx = createRequire(join(root, 'package.json')).resolve('tsx/cli')
  return [tsx, '--tsconfig', join(root, 'tsconfig.base.json'), join(here, 'proofs/main.ts')]
}

function installPeers() {
  if (wantedPeers?.every((name) => name === 'node:fs' || name === 'forelog')) return
  const wanted = readFileSync(join(here, 'package-lock.json'), 'utf8')
  const note = join(here, 'node_modules/.forelog-bench-lock.json')
  if (existsSync(note) && readFileSync(note, 'utf8') === wanted) return
  console.error('Installing the peers (npm ci in bench/) …')
  npm('ci', '--loglevel=error')
  writeFileSync(note, wanted)
}

function buildBetterSqlite3() {
  const folder = join(here, 'node_modules/better-sqlite3')
  // Nobody asked for it, or npm left it out where it can't be had.
  if (wantedPeers?.includes('better-sqlite3') === false || !existsSync(folder) || existsSync(join(folder, 'build/Release/better_sqlite3.node'))) return
  const note = join(here, 'node_modules/.better-sqlite3-failed')
  if (existsSync(note)) {
    console.error(`Going on without better-sqlite3: building it failed. To try again, remove ${note}`)
    return
  }
  console.error('Running the install script of better-sqlite3, the only one that runs: where no binary can be fetched it compiles SQLite, for minutes …')
  const { ok, output } = npmThatMayFail('rebuild', 'better-sqlite3', '--ignore-scripts=false', '--loglevel=error')
  if (ok) return
  writeFileSync(note, output)
  console.error(`Going on without better-sqlite3: building it failed; what it printed is in ${note}`)
}

function compile() {
  const newestMs = Math.max(newestChangeMs(join(here, 'src')), newestChangeMs(join(here, 'tsconfig.build.json')))
  if (newestChangeMs(join(here, 'dist/main.js')) > newestMs) return
  const tsc = join(createRequire(join(root, 'package.json')).resolve('typescript'), '../../bin/tsc')
  run(process.execPath, [tsc, '-p', 'tsconfig.build.json'], here, 'compiling bench/')
}

function npm(...args) {
  const [command, front] = npmCommand()
  run(command, [...front, ...args], here, `npm ${args.join(' ')}`)
}

function npmThatMayFail(...args) {
  const [command, front] = npmCommand()
  const { status, stdout, stderr } = spawnSync(command, [...front, ...args], { cwd: here, encoding: 'utf8', shell: process.platform === 'win32' && front.length === 0 })
  return { ok: status === 0, output: `${stdout}${stderr}` }
}

/** The npm that runs us, else the one of the PATH. */
function npmCommand() {
  const cli = process.env.npm_execpath
  return cli !== undefined && basename(cli) === 'npm-cli.js' ? [process.execPath, [cli]] : ['npm', []]
}

/** What it prints goes to stderr: stdout belongs to the results. */
function run(command, args, cwd, what) {
  const { status, error } = spawnSync(command, args, { cwd, stdio: ['ignore', 2, 2], shell: command === 'npm' && process.platform === 'win32' })
  if (status === 0) return
  console.error(`${what} failed${error ? `: ${error.message}` : ''}`)
  process.exit(1)
}
