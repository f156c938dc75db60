// What `npm start` and `npm test` run first: the right Node.js, the dependencies of the lock file, a fresh build.
// Plain Node.js, for it runs before anything is installed. It says nothing when there is nothing to do.

import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  requireNodeVersion()
  installWhatIsMissing()
  buildWhatIsStale()
}

function requireNodeVersion() {
  const { engines } = readJson('package.json')
  const [major, minor] = /(\d+)\.(\d+)/.exec(engines.node).slice(1).map(Number)
  const [ourMajor, ourMinor] = process.versions.node.split('.').map(Number)
  if (ourMajor > major || (ourMajor === major && ourMinor >= minor)) return
  fail(`forelog needs Node.js ${engines.node}; this is ${process.versions.node}. Get a newer one at https://nodejs.org.`)
}

function installWhatIsMissing() {
  if (installedAsLocked()) return
  console.error('Installing the dependencies (npm ci): once, and half a minute or so …')
  npm('ci', '--loglevel=error')
}

/** npm notes what it installed in node_modules/.package-lock.json: it has to be what package-lock.json asks for. */
function installedAsLocked() {
  if (!existsSync(join(root, 'node_modules/.package-lock.json'))) return false
  const wanted = readJson('package-lock.json').packages
  const installed = readJson('node_modules/.package-lock.json').packages
  const missing = Object.entries(wanted).some(
    // What is optional may be for another platform.
    ([path, entry]) => path !== '' && !entry.optional && !entry.devOptional && installed[path] === undefined,
  )
  const different = Object.entries(installed).some(
    ([path, entry]) => entry.version !== wanted[path]?.version || entry.integrity !== wanted[path]?.integrity,
  )
  return !missing && !different
}

/** Builds each package whose `dist` is missing or older than what it is made of. */
export function buildWhatIsStale() {
  for (const name of readdirSync(join(root, 'packages')).sort()) {
    const folder = join(root, 'packages', name)
    if (!existsSync(join(folder, 'tsconfig.build.json'))) continue
    const sources = ['src', 'assembly', 'tsconfig.build.json', 'package.json'].map((file) => join(folder, file)).filter((file) => existsSync(file))
    const shared = ['tsconfig.base.json', 'README.md', 'LICENSE'].map((file) => join(root, file))
    const newestMs = Math.max(...[...sources, ...shared].map(newestChangeMs))
    if (newestChangeMs(join(folder, 'dist/index.js')) > newestMs) continue
    console.error(`Building packages/${name} …`)
    npm('run', '--silent', 'build', '--workspace', `packages/${name}`)
  }
}

/** When a file, or anything in a folder, was last changed; the folders count too, for a file that was removed. 0: there is none. */
export function newestChangeMs(path) {
  const stats = statSync(path, { throwIfNoEntry: false })
  if (stats === undefined) return 0
  if (!stats.isDirectory()) return stats.mtimeMs
  return Math.max(stats.mtimeMs, ...readdirSync(path).map((name) => newestChangeMs(join(path, name))))
}

function readJson(file) {
  return JSON.parse(readFileSync(join(root, file), 'utf8'))
}

/** Runs the npm that runs us, else the one of the PATH. Its output goes to stderr: stdout belongs to what comes next. */
function npm(...args) {
  const cli = process.env.npm_execpath
  const byPath = cli === undefined || basename(cli) !== 'npm-cli.js'
  const [command, ...front] = byPath ? ['npm'] : [process.execPath, cli]
  const windows = process.platform === 'win32'
  const { status, error } = spawnSync(command, [...front, ...args], {
    cwd: root,
    stdio: ['ignore', 2, 2],
    shell: byPath && windows,
  })
  if (status !== 0) fail(`npm ${args.join(' ')} failed${error ? `: ${error.message}` : ''}`)
}

function fail(message) {
  // In vitest, which imports this file, an exit would hide the reason.
  if (process.argv[1] !== fileURLToPath(import.meta.url)) throw new Error(message)
  console.error(message)
  process.exit(1)
}
