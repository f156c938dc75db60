import { spawnSync } from 'node:child_process'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import ts from 'typescript'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { pack, packageFolder, type Packed, run, workspaceFolder } from './packed.ts'

const publicNames = [
  'EntryRegistry',
  'SegmentReader',
  'WalError',
  'WriteAheadLog',
  'bytes',
  'convert',
  'defineEntries',
  'errorCodes',
  'json',
  'planRepair',
  'repair',
  'salvage',
  'utf8',
  'validated',
  'verify',
]

const testingNames = ['Random', 'SimulatedCrash', 'SimulatedDisk', 'callKinds', 'crashModes', 'deriveSeed', 'exploreCrashes', 'randomSeed']

let packed: Packed
beforeAll(() => {
  packed = pack()
})
afterAll(() => {
  packed?.remove()
})

describe('what is published', () => {
  it('has the build, its sources, that of the kernel, the README and the licence, and nothing else', () => {
    const besides = packed.files.filter((file) => !/^(dist|src)\//.test(file))
    expect(besides).toEqual(['LICENSE', 'README.md', 'assembly/kernel.ts', 'package.json'])
    const unexpected = packed.files.filter(
      (file) => /^(dist|src)\//.test(file) && !/^src\/.*\.ts$|^dist\/.*\.(js|d\.ts)(\.map)?$/.test(file),
    )
    expect(unexpected).toEqual([])
  })

  it.each(['README.md', 'LICENSE'])('has the %s of the project', (file) => {
    expect(readFileSync(join(packed.folder, file), 'utf8')).toBe(readFileSync(join(workspaceFolder, file), 'utf8'))
  })

  it('has the build of every source, and of nothing else', () => {
    const sources = packed.files.filter((file) => file.startsWith('src/')).map((file) => file.slice(4, -'.ts'.length))
    const built = (ending: string) =>
      packed.files.filter((file) => file.startsWith('dist/') && file.endsWith(ending)).map((file) => file.slice(5, -ending.length))
    expect(built('.js')).toEqual(sources)
    expect(built('.d.ts')).toEqual(sources)
  })

  it('has the sources that its source maps name', () => {
    for (const file of packed.files.filter((file) => file.endsWith('.map'))) {
      const { sources } = JSON.parse(readFileSync(join(packed.folder, file), 'utf8')) as { sources: string[] }
      for (const source of sources) expect(packed.files).toContain(join(dirname(file), source).replaceAll('\\', '/'))
    }
  })

  it('exports files that are there, without a condition that only import or only require meets', () => {
    for (const target of Object.values(packed.manifest.exports)) {
      const paths = typeof target === 'string' ? [target] : Object.values(target)
      if (typeof target !== 'string') expect(Object.keys(target)).toEqual(['types', 'default'])
      for (const path of paths) expect(['package.json', ...packed.files]).toContain(path.replace('./', ''))
    }
  })

  it('is ESM without side effects, for Node.js 20.19 and newer', () => {
    expect(packed.manifest).toMatchObject({ type: 'module', sideEffects: false, engines: { node: '>=20.19' } })
  })

  it('passes publint', async () => {
    const tarball = readFileSync(packed.tarball)
    const { messages, pkg } = await publint({
      strict: true,
      pack: { tarball: tarball.buffer.slice(tarball.byteOffset, tarball.byteOffset + tarball.byteLength) },
    })
    expect(messages.map((message) => formatMessage(message, pkg as Record<string, unknown>))).toEqual([])
  })

  it('has types that fit what it runs, as @arethetypeswrong sees it', () => {
    const tool = createRequire(import.meta.url).resolve('@arethetypeswrong/cli/package.json')
    // The profile leaves out the module resolution of Node.js 10. That `require` meets an ES module is intended:
    // every supported Node.js can load one.
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [
        join(dirname(tool), 'dist/index.js'),
        packed.tarball,
        ...['--profile', 'node16', '--ignore-rules', 'cjs-resolves-to-esm', '--no-definitely-typed', '--no-color'],
      ],
      { encoding: 'utf8' },
    )
    expect(status, stdout + stderr).toBe(0)
  })
})

describe('its size', () => {
  // Most of an installation is sources and source maps, for debuggers. The test prints the figures.
  it('is at most 640 KiB packed, of which 768 KiB run once unpacked', () => {
    const bytes = (files: readonly string[]): number => files.reduce((sum, file) => sum + statSync(join(packed.folder, file)).size, 0)
    const runs = bytes(packed.files.filter((file) => file.endsWith('.js')))
    console.log(
      `forelog ${packed.manifest.version}: ${kib(statSync(packed.tarball).size)} packed, ` +
        `${kib(bytes(packed.files))} unpacked in ${packed.files.length} files, ${kib(runs)} of it runs`,
    )
    expect(statSync(packed.tarball).size).toBeLessThanOrEqual(640 * 1024)
    expect(runs).toBeLessThanOrEqual(768 * 1024)
  })
})

describe('what it depends on', () => {
  it('is one package, which takes the lock that the kernel holds', () => {
    expect(packed.manifest.dependencies).toEqual({ 'fs-native-extensions': '1.5.1' })
    expect(packed.manifest.peerDependencies).toBeUndefined()
    expect(packed.manifest.optionalDependencies).toBeUndefined()
  })

  it('runs nothing when it is installed', () => {
    const names = ['preinstall', 'install', 'postinstall', 'prepare']
    expect(Object.keys(packed.manifest.scripts ?? {}).filter((name) => names.includes(name))).toEqual([])

    const lock = JSON.parse(readFileSync(join(workspaceFolder, 'package-lock.json'), 'utf8')) as Lock
    const tree = dependencyTree(lock, 'packages/forelog')
    expect(tree).toContain('node_modules/fs-native-extensions')
    expect(tree.filter((path) => lock.packages[path]?.hasInstallScript)).toEqual([])
  })
})

describe('loading it', () => {
  it('works by import', () => {
    const names = run(packed.project, 'names.mjs', `console.log(JSON.stringify(Object.keys(await import('forelog'))))`)
    expect(JSON.parse(names)).toEqual(expect.arrayContaining(publicNames))
  })

  it('works by require, with the same names', () => {
    const names = run(packed.project, 'names.cjs', `console.log(JSON.stringify(Object.keys(require('forelog'))))`)
    const byImport = run(packed.project, 'names.mjs', `console.log(JSON.stringify(Object.keys(await import('forelog'))))`)
    const values = (list: string): string[] => (JSON.parse(list) as string[]).filter((name) => name !== '__esModule').sort()
    expect(values(names)).toEqual(values(byImport))
  })

  it('works by require for everything that it exports', () => {
    for (const path of Object.keys(packed.manifest.exports)) {
      run(packed.project, 'each.cjs', `require(${JSON.stringify(join('forelog', path).replaceAll('\\', '/'))})`)
    }
  })

  it.each([
    ['import', 'testing.mjs', `console.log(JSON.stringify(Object.keys(await import('forelog/testing')).sort()))`],
    ['require', 'testing.cjs', `console.log(JSON.stringify(Object.keys(require('forelog/testing')).filter((name) => name !== '__esModule').sort()))`],
  ])('has the tools for crash tests as forelog/testing, by %s', (_how, file, program) => {
    expect(JSON.parse(run(packed.project, file, program))).toEqual(testingNames)
  })

  it('has nothing of forelog/testing in what an application loads', () => {
    for (const file of packed.files.filter((file) => /^dist\/(?!testing\/).*\.js$/.test(file))) {
      expect(readFileSync(join(packed.folder, file), 'utf8'), file).not.toMatch(/from '.*testing\//)
    }
  })

  it('waits for nothing: no file has a top-level await', () => {
    for (const file of packed.files.filter((file) => file.endsWith('.js'))) {
      const source = ts.createSourceFile(file, readFileSync(join(packed.folder, file), 'utf8'), ts.ScriptTarget.Latest, true)
      expect(hasTopLevelAwait(source), file).toBe(false)
    }
  })

  const program = `
    const { mkdtempSync, rmSync } = require('node:fs')
    const { tmpdir } = require('node:os')
    const { join } = require('node:path')
    async function main() {
      const directory = mkdtempSync(join(tmpdir(), 'forelog-'))
      try {
        const entries = defineEntries({ put: { type: 1, codec: json() }, note: { type: 2, codec: utf8 } })
        let log = await WriteAheadLog.open(directory, { entries })
        await log.append(entries.put({ key: 'a' }))
        await log.append(entries.note('b'))
        await log.close()
        log = await WriteAheadLog.open(directory, { entries })
        for await (const { offset, entry } of log.entries()) console.log(offset, entry.name, JSON.stringify(entry.value))
        await log.close()
      } finally {
        rmSync(directory, { recursive: true })
      }
    }
    main().catch((error) => { console.error(error); process.exitCode = 1 })`

  it.each([
    ['import', 'log.mjs', `import { createRequire } from 'node:module'\nimport { WriteAheadLog, defineEntries, json, utf8 } from 'forelog'\nconst require = createRequire(import.meta.url)`],
    ['require', 'log.cjs', `const { WriteAheadLog, defineEntries, json, utf8 } = require('forelog')`],
  ])('by %s, it writes a log and reads it again', (_how, file, head) => {
    expect(run(packed.project, file, head + program)).toBe('1 put {"key":"a"}\n2 note "b"\n')
  })
})

describe('its types', () => {
  const body = `
    const entries = defineEntries({ put: { type: 1, codec: json<{ key: string }>() }, del: { type: 2, codec: utf8 } })
    export async function keys(directory: string): Promise<string[]> {
      const log = await WriteAheadLog.open(directory, { entries, sync: 'always' })
      const found: string[] = []
      try {
        const offset: number = await log.append(entries.put({ key: 'a' }))
        // @ts-expect-error: not what the codec takes
        await log.append(entries.put({ kee: 'a' }))
        for await (const { entry } of log.entries({ from: offset })) {
          found.push(entry.name === 'put' ? entry.value.key : entry.value)
        }
      } catch (error) {
        if (error instanceof WalError && error.code === 'ERR_WAL_LOCKED') return []
        throw error
      } finally {
        await log.close()
      }
      return found
    }`

  it.each([
    ['an ES module', 'consumer.mts', `import { WalError, WriteAheadLog, defineEntries, json, utf8 } from 'forelog'`],
    ['CommonJS', 'consumer.cts', `import forelog = require('forelog')\nconst { WalError, WriteAheadLog, defineEntries, json, utf8 } = forelog`],
  ])('compile in %s, strict and with the declarations checked', (_kind, file, head) => {
    const path = join(packed.project, file)
    writeFileSync(path, head + body)
    expect(
      compile(path, {
        module: ts.ModuleKind.NodeNext,
        moduleResolution: ts.ModuleResolutionKind.NodeNext,
        target: ts.ScriptTarget.ES2022,
        types: ['node'],
        strict: true,
        exactOptionalPropertyTypes: true,
        noUncheckedIndexedAccess: true,
        skipLibCheck: false,
        noEmit: true,
      }),
    ).toEqual([])
  })

  it.each([
    ['an ES module', 'crashes.mts', `import { WriteAheadLog } from 'forelog'\nimport { exploreCrashes, SimulatedDisk, type CrashReport } from 'forelog/testing'`],
    [
      'CommonJS',
      'crashes.cts',
      `import forelog = require('forelog')\nimport testing = require('forelog/testing')\nconst { WriteAheadLog } = forelog\nconst { exploreCrashes, SimulatedDisk } = testing\ntype CrashReport = testing.CrashReport`,
    ],
  ])('of forelog/testing compile in %s, too', (_kind, file, head) => {
    const path = join(packed.project, file)
    writeFileSync(
      path,
      `${head}
      export const disk = new SimulatedDisk({ seed: 1, directories: ['/data'] })
      export function test(): Promise<CrashReport> {
        return exploreCrashes<number>({
          async workload({ fileSystem, directory, acknowledge }) {
            const log = await WriteAheadLog.open(directory, { fileSystem })
            acknowledge(await log.append(Uint8Array.of(1)))
            // @ts-expect-error: not what is acknowledged
            acknowledge('one')
          },
          check({ acknowledged, crash }) {
            const last: number | undefined = acknowledged.at(-1)
            if (last === 0) throw new Error(crash.replay)
          },
        })
      }`,
    )
    expect(
      compile(path, {
        module: ts.ModuleKind.NodeNext,
        moduleResolution: ts.ModuleResolutionKind.NodeNext,
        target: ts.ScriptTarget.ES2022,
        types: ['node'],
        strict: true,
        exactOptionalPropertyTypes: true,
        skipLibCheck: false,
        noEmit: true,
      }),
    ).toEqual([])
  })

  it.each([ts.ScriptTarget.ES2022, ts.ScriptTarget.ESNext])('compile the quick start of the README with types empty, as TypeScript 6 has it, and a target of %s', (target) => {
    const path = join(packed.project, 'stock.mts')
    writeFileSync(path, readFileSync(join(workspaceFolder, 'examples/quick-start/quick-start.ts'), 'utf8'))
    const nodeNext = { module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext }
    expect(compile(path, { ...nodeNext, target, types: [], strict: true, skipLibCheck: false, noEmit: true })).toEqual([])
  })

  it('compile for a bundler', () => {
    const path = join(packed.project, 'bundled.ts')
    writeFileSync(path, `import { WalError, WriteAheadLog, defineEntries, json, utf8 } from 'forelog'${body}`)
    expect(
      compile(path, {
        module: ts.ModuleKind.ESNext,
        moduleResolution: ts.ModuleResolutionKind.Bundler,
        target: ts.ScriptTarget.ES2022,
        types: ['node'],
        strict: true,
        noEmit: true,
      }),
    ).toEqual([])
  })
})

interface Lock {
  readonly packages: Record<
    string,
    { hasInstallScript?: boolean; dependencies?: Record<string, string>; optionalDependencies?: Record<string, string> }
  >
}

/** The lock file's paths of all that a package brings along, itself not included. */
function dependencyTree(lock: Lock, from: string): string[] {
  const found = new Set<string>()
  const open = [from]
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    const entry = lock.packages[path]
    for (const name of Object.keys({ ...entry?.dependencies, ...entry?.optionalDependencies })) {
      const target = resolveInLock(lock, path, name)
      if (found.has(target)) continue
      found.add(target)
      open.push(target)
    }
  }
  return [...found].sort()
}

/** Looks a dependency up as Node.js does: in the node_modules beside the package that asks, then further out. */
function resolveInLock(lock: Lock, from: string, name: string): string {
  for (let folder = from; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/')))) {
    const path = `${folder === '' ? '' : `${folder}/`}node_modules/${name}`
    if (path in lock.packages) return path
    if (folder === '') throw new Error(`package-lock.json has no ${name}, which ${from} needs`)
  }
}

function kib(bytes: number): string {
  return `${Math.round(bytes / 1024)} KiB`
}

function hasTopLevelAwait(node: ts.Node): boolean {
  if (ts.isFunctionLike(node) || ts.isPropertyDeclaration(node)) return false
  if (ts.isAwaitExpression(node)) return true
  if (ts.isForOfStatement(node) && node.awaitModifier !== undefined) return true
  return ts.forEachChild(node, (child) => hasTopLevelAwait(child) || undefined) ?? false
}

function compile(file: string, options: ts.CompilerOptions): string[] {
  const program = ts.createProgram([file], { ...options, typeRoots: [join(packed.project, 'node_modules/@types')] })
  return ts.getPreEmitDiagnostics(program).map((diagnostic) => {
    const where = diagnostic.file ? diagnostic.file.fileName.replace(packed.project, '').replace(packageFolder, '') : ''
    return `${where}: ${ts.flattenDiagnosticMessageText(diagnostic.messageText, '\n')}`
  })
}
