import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const packageFolder = fileURLToPath(new URL('../..', import.meta.url))
const workspace = join(packageFolder, '../..')

let scratch: string
let folder: string
let tarball: string
let manifest: { bin: Record<string, string>; dependencies: Record<string, string>; version: string; scripts: Record<string, string> }

beforeAll(() => {
  scratch = realpathSync(mkdtempSync(join(tmpdir(), 'forelog-cli-package-')))
  const cli = process.env['npm_execpath']
  const [command, front] = cli?.endsWith('.js') === true ? [process.execPath, [cli]] : ['npm', []]
  execFileSync(command, [...front, 'pack', '--silent', '--pack-destination', scratch], { cwd: packageFolder })
  tarball = join(scratch, readdirSync(scratch).find((name) => name.endsWith('.tgz')) as string)
  folder = join(scratch, 'project/node_modules/forelog-cli')
  mkdirSync(folder, { recursive: true })
  execFileSync('tar', ['-xzf', tarball, '--strip-components=1', '-C', folder])
  manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as typeof manifest
  for (const name of Object.keys(manifest.dependencies)) {
    const link = join(scratch, 'project/node_modules', name)
    mkdirSync(dirname(link), { recursive: true })
    symlinkSync(join(workspace, 'node_modules', name), link, 'junction')
  }
})

afterAll(() => rmSync(scratch, { recursive: true, force: true }))

describe('what is published of the command', () => {
  it('has the build, its sources, the README and the licence, and nothing else', () => {
    const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1).replaceAll('\\', '/'))
    expect(files.filter((file) => !/^(dist\/.*\.js(\.map)?|src\/.*\.ts)$/.test(file)).sort()).toEqual(['LICENSE', 'README.md', 'package.json'])
  })

  it('runs as it is published', () => {
    const command = join(folder, manifest.bin['forelog'] as string)
    expect(readFileSync(command, 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/)
    const { status, stdout } = spawnSync(process.execPath, [command, '--version'], { encoding: 'utf8' })
    expect({ status, stdout }).toEqual({ status: 0, stdout: `${manifest.version}\n` })
    expect(spawnSync(process.execPath, [command, 'verify', join(workspace, 'packages/forelog/test/golden/format2/sample')]).status).toBe(0)
  })

  it('goes with the library of the same version, and runs nothing when it is installed', () => {
    const library = JSON.parse(readFileSync(join(workspace, 'packages/forelog/package.json'), 'utf8')) as { version: string }
    expect(manifest.dependencies['forelog']).toBe(library.version)
    expect(manifest.version).toBe(library.version)
    expect(Object.keys(manifest.scripts).filter((name) => /install|prepare/.test(name))).toEqual([])
  })

  it('passes publint', async () => {
    const bytes = readFileSync(tarball)
    const { messages, pkg } = await publint({ strict: true, pack: { tarball: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) } })
    expect(messages.map((message) => formatMessage(message, pkg as Record<string, unknown>))).toEqual([])
  })
})
