import fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { FileSystem, OpenFile } from '../../src/files/file-system.js'
import { nodeFileSystem } from '../../src/files/node-file-system.js'

let directory: string
let path: string

beforeEach(() => {
  directory = fs.mkdtempSync(join(tmpdir(), 'forelog-files-'))
  path = join(directory, 'file')
})

afterEach(() => {
  vi.restoreAllMocks()
  fs.rmSync(directory, { recursive: true, force: true })
})

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const content = (): string => fs.readFileSync(path, 'utf8')
const interrupted = (): NodeJS.ErrnoException => Object.assign(new Error('interrupted'), { code: 'EINTR' })
const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code

function codeThrown(call: () => unknown): string | undefined {
  try {
    call()
    return undefined
  } catch (error) {
    return codeOf(error)
  }
}

/** Each call of a file, blocking or not, behind one face. */
const ways = [
  {
    way: 'blocking',
    open: async (access: 'read' | 'write' | 'create', writeThrough = false) =>
      nodeFileSystem.openSync(path, { access, writeThrough, mode: 0o600 }),
    read: async (file: OpenFile, target: Uint8Array, at: number) => file.readSync(target, at),
    write: async (file: OpenFile, pieces: Uint8Array[], at: number) => file.writeSync(pieces, at),
    truncate: async (file: OpenFile, size: number) => file.truncateSync(size),
    size: async (file: OpenFile) => file.sizeSync(),
    sync: async (file: OpenFile) => file.syncSync(),
    dataSync: async (file: OpenFile) => file.dataSyncSync(),
    close: async (file: OpenFile) => file.closeSync(),
    list: async (at: string) => nodeFileSystem.listSync(at),
    makeDirectory: async (at: string) => nodeFileSystem.makeDirectorySync(at, 0o700),
    syncDirectory: async (at: string) => nodeFileSystem.syncDirectorySync(at),
    rename: async (from: string, to: string) => nodeFileSystem.renameSync(from, to),
    remove: async (at: string) => nodeFileSystem.removeSync(at),
  },
  {
    way: 'pooled',
    open: (access: 'read' | 'write' | 'create', writeThrough = false) =>
      nodeFileSystem.open(path, { access, writeThrough, mode: 0o600 }),
    read: (file: OpenFile, target: Uint8Array, at: number) => file.read(target, at),
    write: (file: OpenFile, pieces: Uint8Array[], at: number) => file.write(pieces, at),
    truncate: (file: OpenFile, size: number) => file.truncate(size),
    size: (file: OpenFile) => file.size(),
    sync: (file: OpenFile) => file.sync(),
    dataSync: (file: OpenFile) => file.dataSync(),
    close: (file: OpenFile) => file.close(),
    list: (at: string) => nodeFileSystem.list(at),
    makeDirectory: (at: string) => nodeFileSystem.makeDirectory(at, 0o700),
    syncDirectory: (at: string) => nodeFileSystem.syncDirectory(at),
    rename: (from: string, to: string) => nodeFileSystem.rename(from, to),
    remove: (at: string) => nodeFileSystem.remove(at),
  },
] as const

describe.each(ways)('the file system of the machine, $way', (use) => {
  it('writes pieces one behind the other at a position, and reads them back', async () => {
    const file = await use.open('create')
    expect(await use.write(file, [bytes('abc'), bytes('def')], 2)).toBe(6)
    expect(await use.write(file, [bytes('xy')], 0)).toBe(2)
    expect(await use.size(file)).toBe(8)
    const target = new Uint8Array(16)
    expect(await use.read(file, target, 1)).toBe(7)
    expect(new TextDecoder().decode(target.subarray(0, 7))).toBe('yabcdef')
    expect(await use.read(file, target, 8)).toBe(0)
    await use.truncate(file, 4)
    await use.sync(file)
    await use.dataSync(file)
    await use.close(file)
    expect(content()).toBe('xyab')
  })

  it('takes no piece, and an empty one, for nothing', async () => {
    const file = await use.open('create')
    expect(await use.write(file, [], 0)).toBe(0)
    expect(await use.write(file, [new Uint8Array(0)], 0)).toBe(0)
    expect(await use.read(file, new Uint8Array(0), 0)).toBe(0)
    await use.close(file)
  })

  it('takes the first 1024 of more pieces, and says how many bytes that were', async () => {
    const file = await use.open('create')
    const pieces = Array.from({ length: 3000 }, () => bytes('ab'))
    expect(await use.write(file, pieces, 0)).toBe(2048)
    expect(pieces).toHaveLength(3000)
    await use.close(file)
    expect(content()).toHaveLength(2048)
  })

  it('goes on after EINTR', async () => {
    fs.writeFileSync(path, 'before')
    const file = await use.open('write')
    interruptOnce('read')
    interruptOnce('write')
    interruptOnce('writev')
    const target = new Uint8Array(6)
    expect(await use.read(file, target, 0)).toBe(6)
    expect(new TextDecoder().decode(target)).toBe('before')
    expect(await use.write(file, [bytes('af')], 0)).toBe(2)
    expect(await use.write(file, [bytes('t'), bytes('er!')], 2)).toBe(4)
    await use.close(file)
    expect(content()).toBe('after!')
  })

  it('hands on what the system says when a call fails', async () => {
    expect(codeOf(await use.open('read').catch((error: unknown) => error))).toBe('ENOENT')
    expect(codeOf(await use.open('write').catch((error: unknown) => error))).toBe('ENOENT')
    fs.writeFileSync(path, 'there')
    expect(codeOf(await use.open('create').catch((error: unknown) => error))).toBe('EEXIST')
    const file = await use.open('read')
    for (const pieces of [[bytes('a')], [bytes('a'), bytes('b')]]) {
      expect(['EBADF', 'EPERM']).toContain(codeOf(await use.write(file, pieces, 0).catch((error: unknown) => error)))
    }
    await use.close(file)
    expect(content()).toBe('there')
    for (const call of [use.list, use.remove]) {
      expect(codeOf(await call(join(directory, 'absent')).catch((error: unknown) => error))).toBe('ENOENT')
    }
  })

  it('touches no file through a descriptor that was closed', async () => {
    const file = await use.open('create')
    await use.close(file)
    const other = fs.openSync(join(directory, 'other'), 'w+') // has the number now
    for (const call of [
      () => use.write(file, [bytes('a')], 0),
      () => use.write(file, [bytes('a'), bytes('b')], 0),
      () => use.read(file, new Uint8Array(1), 0),
      () => use.truncate(file, 9),
      () => use.sync(file),
      () => use.dataSync(file),
      () => use.size(file),
      () => use.close(file),
    ]) {
      await expect(call()).rejects.toThrow()
    }
    expect(fs.fstatSync(other).size).toBe(0)
    fs.closeSync(other)
  })

  it('makes, lists, renames, removes; an existing directory is no error', async () => {
    const deep = join(directory, 'a', 'b')
    await use.makeDirectory(deep)
    await use.makeDirectory(deep)
    const file = await use.open('create')
    await use.close(file)
    if (process.platform !== 'win32') expect(fs.statSync(path).mode & 0o777).toBe(0o600)
    fs.writeFileSync(`${path}2`, 'replaced')
    await use.rename(path, `${path}2`)
    expect((await use.list(directory)).sort()).toEqual(['a', 'file2'])
    expect(fs.statSync(`${path}2`).size).toBe(0)
    await use.remove(`${path}2`)
    await use.syncDirectory(directory)
    expect(await use.list(directory)).toEqual(['a'])
  })

  it('makes the directories that are missing one by one, and tells why one can not be made', async () => {
    await use.makeDirectory(join(directory, 'a', 'b', 'c'))
    await use.makeDirectory(join(directory, 'a', 'b', 'd', 'e'))
    for (const made of ['a', 'a/b', 'a/b/c', 'a/b/d/e']) {
      const stats = fs.statSync(join(directory, made))
      expect(stats.isDirectory()).toBe(true)
      if (process.platform !== 'win32') expect(stats.mode & 0o777).toBe(0o700)
    }
    fs.writeFileSync(path, '')
    const inTheWay = process.platform === 'win32' ? 'EEXIST' : 'ENOTDIR'
    expect(codeOf(await use.makeDirectory(path).catch((error: unknown) => error))).toBe('EEXIST')
    expect(codeOf(await use.makeDirectory(join(path, 'below', 'it')).catch((error: unknown) => error))).toBe(inTheWay)
    if (process.platform !== 'win32') {
      fs.symlinkSync(join(directory, 'a'), join(directory, 'link'))
      await use.makeDirectory(join(directory, 'link', 'f'))
      expect(fs.statSync(join(directory, 'a', 'f')).isDirectory()).toBe(true)
    }
  })

  it.skipIf(process.platform !== 'linux')('comes to an end where nothing can be made, as in /proc', async () => {
    expect(codeOf(await use.makeDirectory('/proc/forelog/log').catch((error: unknown) => error))).toBe('ENOENT')
  })

  it.skipIf(process.platform === 'win32')('closes a directory whose sync fails, and tells of the sync', async () => {
    const failed = Object.assign(new Error('bad disk'), { code: 'EIO' })
    vi.spyOn(fs, 'fsyncSync').mockImplementation(() => {
      throw failed
    })
    vi.spyOn(fs, 'fsync').mockImplementation(((_: number, done: (error: Error) => void) => {
      done(failed)
    }))
    const close = vi.spyOn(fs, 'close')
    const closeSync = vi.spyOn(fs, 'closeSync')
    await expect(use.syncDirectory(directory)).rejects.toBe(failed)
    expect(close.mock.calls.length + closeSync.mock.calls.length).toBe(1)
    await expect(use.syncDirectory(join(directory, 'absent'))).rejects.toMatchObject({ code: 'ENOENT' })
  })

  it('syncs by the calls of the system that do, once each', async () => {
    const calls = ['fsync', 'fsyncSync', 'fdatasync', 'fdatasyncSync'] as const
    const spies = calls.map((name) => vi.spyOn(fs, name))
    const made = (): string[] => calls.flatMap((name, index) => spies[index]?.mock.calls.map(() => name) ?? [])
    const name = (call: 'fsync' | 'fdatasync'): string => (use.way === 'blocking' ? `${call}Sync` : call)
    const file = await use.open('create')
    await use.sync(file)
    expect(made()).toEqual([name('fsync')])
    await use.dataSync(file)
    expect(made()).toEqual([name('fsync'), name('fdatasync')])
    // Of the file that was written, and no other.
    expect(new Set(spies.flatMap(({ mock }) => mock.calls.map(([fd]) => fd))).size).toBe(1)
    await use.close(file)
    if (process.platform === 'win32') return
    const open = [vi.spyOn(fs, 'open'), vi.spyOn(fs, 'openSync')]
    await use.syncDirectory(directory)
    expect(open.flatMap(({ mock }) => mock.calls.map(([path]) => path))).toEqual([directory])
    expect(made()).toEqual([name('fsync'), name('fsync'), name('fdatasync')])
  })

  it('never appends: that would make Linux ignore positions', async () => {
    const open = vi.spyOn(fs, 'open')
    const openSync = vi.spyOn(fs, 'openSync')
    for (const access of ['create', 'write', 'read'] as const) await use.close(await use.open(access, true))
    const flags = [...open.mock.calls, ...openSync.mock.calls].map((call) => call[1] as number)
    expect(flags).toHaveLength(3)
    for (const flag of flags) expect(flag & fs.constants.O_APPEND).toBe(0)
  })
})

describe('writing through', () => {
  it.skipIf(process.platform !== 'linux')('is O_DSYNC on Linux, with no call more', async () => {
    const open = vi.spyOn(fs, 'openSync')
    const sync = vi.spyOn(fs, 'fdatasync')
    const file = nodeFileSystem.openSync(path, { access: 'create', writeThrough: true })
    expect((open.mock.calls[0]?.[1] as number) & fs.constants.O_DSYNC).toBe(fs.constants.O_DSYNC)
    await file.write([bytes('a')], 0)
    await file.close()
    expect(sync).not.toHaveBeenCalled()
  })

  it('is a write and then a sync on macOS, where O_DSYNC ends at the cache of the drive', async () => {
    const { O_DSYNC } = fs.constants
    const system = await onMacOs()
    const file = await system.open(path, { access: 'create', writeThrough: true })
    const later = vi.spyOn(fs, 'fdatasync')
    const now = vi.spyOn(fs, 'fdatasyncSync')
    expect(await file.write([bytes('ab'), bytes('c')], 0)).toBe(3)
    expect(later).toHaveBeenCalledTimes(1)
    expect(file.writeSync([bytes('d')], 3)).toBe(1)
    expect(now).toHaveBeenCalledTimes(1)
    expect(content()).toBe('abcd')

    const failed = Object.assign(new Error('bad disk'), { code: 'EIO' })
    later.mockImplementation(((_: number, done: (error: Error) => void) => {
      done(failed)
    }))
    now.mockImplementation(() => {
      throw failed
    })
    await expect(file.write([bytes('x')], 0)).rejects.toBe(failed)
    expect(codeThrown(() => file.writeSync([bytes('x')], 0))).toBe('EIO')
    await file.close()

    const open = vi.spyOn(fs, 'openSync')
    const plain = system.openSync(path, { access: 'write', writeThrough: true })
    expect((open.mock.calls[0]?.[1] as number) & O_DSYNC).toBe(0)
    plain.closeSync()
  })

  it('leaves a file alone that was not opened so', async () => {
    const system = await onMacOs()
    const sync = vi.spyOn(fs, 'fdatasync')
    const file = await system.open(path, { access: 'create' })
    await file.write([bytes('a')], 0)
    await file.close()
    expect(sync).not.toHaveBeenCalled()
  })
})

it('a directory sync is nothing on Windows, which has no such call', async () => {
  vi.spyOn(process, 'platform', 'get').mockReturnValue('win32')
  const open = vi.spyOn(fs, 'open')
  const openSync = vi.spyOn(fs, 'openSync')
  await nodeFileSystem.syncDirectory(directory)
  nodeFileSystem.syncDirectorySync(directory)
  expect(open).not.toHaveBeenCalled()
  expect(openSync).not.toHaveBeenCalled()
})

/** The module as macOS would load it: whether there is a flag for writing through is settled then. */
async function onMacOs(): Promise<FileSystem> {
  vi.resetModules()
  const platform = vi.spyOn(process, 'platform', 'get').mockReturnValue('darwin')
  const { nodeFileSystem: system } = await import('../../src/files/node-file-system.js')
  platform.mockRestore()
  return system
}

/** The next call of it, blocking or not, ends with EINTR; those behind it go through. */
function interruptOnce(name: 'read' | 'write' | 'writev'): void {
  vi.spyOn(fs, `${name}Sync`).mockImplementationOnce(() => {
    throw interrupted()
  })
  vi.spyOn(fs, name).mockImplementationOnce(((...args: unknown[]) => {
    const done = args.at(-1) as (error: Error) => void
    setImmediate(() => done(interrupted()))
  }))
}
