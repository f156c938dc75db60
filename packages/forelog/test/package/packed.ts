import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const packageFolder: string = fileURLToPath(new URL('../..', import.meta.url))
export const workspaceFolder: string = join(packageFolder, '../..')

export interface Packed {
  /** The tarball that would be published. */
  readonly tarball: string
  /** Where it was unpacked: `node_modules/forelog` of `project`. */
  readonly folder: string
  /** A project that depends on it, and on @types/node. */
  readonly project: string
  /** Every file in it, relative to `folder`, sorted. */
  readonly files: readonly string[]
  readonly manifest: Manifest
  remove(): void
}

export interface Manifest {
  readonly name: string
  readonly version: string
  readonly type: string
  readonly sideEffects: boolean
  readonly engines: Record<string, string>
  readonly exports: Record<string, string | { types: string; default: string }>
  readonly dependencies: Record<string, string>
  readonly peerDependencies?: Record<string, string>
  readonly optionalDependencies?: Record<string, string>
  readonly scripts?: Record<string, string>
}

/** Packs the package as it would be published, and unpacks it into a project that uses it. Needs no network. */
export function pack(): Packed {
  const scratch = realpathSync(mkdtempSync(join(tmpdir(), 'forelog-package-')))
  npm('pack', '--silent', '--pack-destination', scratch)
  const tarball = join(scratch, readdirSync(scratch).find((name) => name.endsWith('.tgz')) as string)

  const project = join(scratch, 'project')
  const folder = join(project, 'node_modules/forelog')
  mkdirSync(folder, { recursive: true })
  // A path with a drive letter would be a host to tar.
  execFileSync('tar', ['-xzf', `../../../${basename(tarball)}`, '--strip-components=1'], { cwd: folder })
  writeFileSync(join(project, 'package.json'), '{ "name": "consumer", "private": true }\n')

  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest
  for (const dependency of [...Object.keys(manifest.dependencies), '@types/node']) {
    const link = join(project, 'node_modules', dependency)
    mkdirSync(dirname(link), { recursive: true })
    symlinkSync(join(workspaceFolder, 'node_modules', dependency), link, 'junction')
  }

  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1).replaceAll('\\', '/'))
    .sort()
  return { tarball, folder, project, files, manifest, remove: () => rmSync(scratch, { recursive: true, force: true }) }
}

/** Writes a program into the project and runs it: what it printed. Throws, with stderr, when it fails. */
export function run(project: string, file: string, program: string): string {
  writeFileSync(join(project, file), program)
  const { status, stdout, stderr } = spawnSync(process.execPath, [file], { cwd: project, encoding: 'utf8', env: withoutVitest() })
  if (status !== 0) throw new Error(`${file} ended with ${status}:\n${stderr}`)
  return stdout
}

function npm(...args: string[]): void {
  const cli = process.env['npm_execpath']
  const [command, ...front] =
    cli !== undefined && basename(cli) === 'npm-cli.js' ? ([process.execPath, cli] as const) : (['npm'] as const)
  const shell = command === 'npm' && process.platform === 'win32'
  execFileSync(command, [...front, ...args], { cwd: packageFolder, stdio: 'pipe', shell })
}

/** Programs of the project run as they would at a user's: without the options that vitest gave to this process. */
function withoutVitest(): NodeJS.ProcessEnv {
  const { NODE_OPTIONS: _options, NODE_ENV: _env, VITEST: _vitest, ...rest } = process.env
  return rest
}
