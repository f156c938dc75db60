import { join, parse, resolve } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { WalError } from '../../src/errors.js'
import {
  createDurably,
  DurableFile,
  removeFile,
  syncDirectory,
  syncDirectoryAndAbove,
} from '../../src/files/durable-file.js'
import { runBlocking, runPooled, type Steps } from '../../src/steps.js'
import { FakeFileSystem, systemError } from './fake-file-system.js'

const directory = resolve('/log')
const path = join(directory, 'a')
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

const ways: { way: string; run: <T>(steps: Steps<T>) => Promise<T> }[] = [
  { way: 'blocking', run: async (steps) => runBlocking(steps) },
  { way: 'pooled', run: (steps) => runPooled(steps) },
]

describe.each(ways)('a durable file, $way', ({ run }) => {
  async function failing<T>(steps: Steps<T>): Promise<WalError> {
    const outcome: unknown = await run(steps).then(
      () => undefined,
      (error: unknown) => error,
    )
    if (!(outcome instanceof WalError)) throw new Error(`no WalError: ${String(outcome)}`)
    return outcome
  }

  async function opened(system: FakeFileSystem, content = '', writeThrough = false): Promise<DurableFile> {
    system.files.set(path, bytes(content))
    return run(DurableFile.open(system, path, { access: 'write', writeThrough }))
  }

  describe('writing', () => {
    it.each([1, 2, 3, 4, 5, 7, 100])('is whole where the system takes %i bytes a call', async (most) => {
      const system = new FakeFileSystem()
      const file = await opened(system, '..')
      system.mostBytes = most
      const pieces = [bytes('ab'), bytes(''), bytes('cde'), bytes('f'), bytes('')]
      await run(file.write(pieces, 2))
      expect(system.text(path)).toBe('..abcdef')
      expect(pieces.map((piece) => piece.byteLength)).toEqual([2, 0, 3, 1, 0])
    })

    it('of nothing makes no call', async () => {
      const system = new FakeFileSystem()
      const file = await opened(system)
      await run(file.write([], 0))
      await run(file.write([bytes('')], 0))
      expect(system.calls).toEqual(['open a'])
    })

    it('outlasts a few calls that take nothing, but not for ever', async () => {
      const system = new FakeFileSystem()
      const file = await opened(system)
      system.takeNothing = 3
      await run(file.write([bytes('abc')], 0))
      expect(system.text(path)).toBe('abc')
      system.takeNothing = Infinity
      expect(await failing(file.write([bytes('abc')], 3))).toMatchObject({ code: 'ERR_WAL_WRITE_FAILED', path, position: 3 })
    })

    it.each([-1, 1.5, NaN, 4])('believes no count of %d for 3 bytes', async (count) => {
      const system = new FakeFileSystem()
      const file = await opened(system)
      system.report = count
      expect((await failing(file.write([bytes('abc')], 0))).code).toBe('ERR_WAL_WRITE_FAILED')
      expect((await failing(file.read(new Uint8Array(3), 0))).code).toBe('ERR_WAL_READ_FAILED')
    })

    it.each([
      ['ENOSPC', false, 'ERR_WAL_NO_SPACE'],
      ['EDQUOT', false, 'ERR_WAL_NO_SPACE'],
      ['EIO', false, 'ERR_WAL_WRITE_FAILED'],
      ['ENOSPC', true, 'ERR_WAL_SYNC_FAILED'],
      ['EDQUOT', true, 'ERR_WAL_SYNC_FAILED'],
      ['EIO', true, 'ERR_WAL_WRITE_FAILED'],
    ])('that fails with %s, written through: %s, is %s and says where', async (code, writeThrough, expected) => {
      const system = new FakeFileSystem()
      const file = await opened(system, '', writeThrough)
      system.mostBytes = 2
      const cause = system.fail('write', code, 2)
      const error = await failing(file.write([bytes('abcdef')], 10))
      expect(error).toMatchObject({ code: expected, path, position: 12, cause })
      expect(error.message).toContain(`${path} at byte 12`)
    })
  })

  describe('reading', () => {
    it.each([1, 2, 5, 100])('fills what the file has where the system gives %i bytes a call', async (most) => {
      const system = new FakeFileSystem()
      const file = await opened(system, 'abcdef')
      system.mostBytes = most
      const target = new Uint8Array(8)
      expect(await run(file.read(target, 1))).toBe(5)
      expect(new TextDecoder().decode(target.subarray(0, 5))).toBe('bcdef')
      expect(await run(file.read(new Uint8Array(3), 2))).toBe(3)
      expect(await run(file.read(target, 6))).toBe(0)
    })

    it('that fails is never the end of the file', async () => {
      const system = new FakeFileSystem()
      const file = await opened(system, 'abcdef')
      system.mostBytes = 2
      const cause = system.fail('read', 'EIO', 2)
      expect(await failing(file.read(new Uint8Array(6), 0))).toMatchObject({
        code: 'ERR_WAL_READ_FAILED',
        path,
        position: 2,
        cause,
      })
    })
  })

  it.each([
    ['sync', 'EIO', 'ERR_WAL_SYNC_FAILED'],
    ['sync', 'ENOSPC', 'ERR_WAL_SYNC_FAILED'],
    ['dataSync', 'EIO', 'ERR_WAL_SYNC_FAILED'],
    ['dataSync', 'ENOSPC', 'ERR_WAL_SYNC_FAILED'],
    ['dataSync', 'EDQUOT', 'ERR_WAL_SYNC_FAILED'],
    ['truncate', 'EIO', 'ERR_WAL_WRITE_FAILED'],
    ['truncate', 'ENOSPC', 'ERR_WAL_NO_SPACE'],
    ['size', 'EIO', 'ERR_WAL_READ_FAILED'],
    ['close', 'EIO', 'ERR_WAL_WRITE_FAILED'],
  ] as const)('%s that fails with %s is %s', async (call, code, expected) => {
    const system = new FakeFileSystem()
    const file = await opened(system)
    const cause = system.fail(call, code)
    const steps: Steps<unknown> = call === 'truncate' ? file.truncate(9) : file[call]()
    expect(await failing(steps)).toMatchObject({ code: expected, path, cause })
  })

  it.each([
    ['read', 'ENOENT', 'ERR_WAL_READ_FAILED'],
    ['read', 'ENOSPC', 'ERR_WAL_READ_FAILED'],
    ['write', 'EACCES', 'ERR_WAL_WRITE_FAILED'],
    ['create', 'EMFILE', 'ERR_WAL_WRITE_FAILED'],
    ['create', 'ENOSPC', 'ERR_WAL_NO_SPACE'],
  ] as const)('opening to %s that fails with %s is %s', async (access, code, expected) => {
    const system = new FakeFileSystem()
    const cause = system.fail('open', code)
    expect(await failing(DurableFile.open(system, path, { access }))).toMatchObject({ code: expected, path, cause })
  })

  it('sets and tells its size, syncs, and is closed once, even where closing fails', async () => {
    const system = new FakeFileSystem()
    const file = await opened(system, 'abcdef')
    await run(file.truncate(4))
    expect(await run(file.size())).toBe(4)
    await run(file.sync())
    await run(file.dataSync())
    system.fail('close', 'EIO')
    await failing(file.close())
    await run(file.close())
    expect(system.calls).toEqual(['open a', 'truncate a', 'size a', 'sync a', 'dataSync a', 'close a'])
  })

  describe('created durably', () => {
    const create = (system: FakeFileSystem): Steps<DurableFile> =>
      createDurably(system, directory, 'a', 'a.tmp', [bytes('head'), bytes('er')], 0o640)

    it('is written and synced under another name, then put in place, then the directory is synced', async () => {
      const system = new FakeFileSystem()
      system.mostBytes = 5
      const file = await run(create(system))
      expect(system.calls).toEqual([
        'remove a.tmp',
        'open a.tmp',
        'write a.tmp',
        'write a.tmp',
        'dataSync a.tmp',
        'open a', // nothing must have the name yet
        'rename a.tmp',
        'syncDirectory log',
      ])
      expect([...system.files.keys()]).toEqual([path])
      expect(system.text(path)).toBe('header')
      expect(system.mode).toBe(0o640)
      expect(file.path).toBe(path)
      await run(file.write([bytes('!')], 6))
      expect(system.text(path)).toBe('header!')
      expect(system.openFiles).toBe(1)
    })

    it('takes the place of what an earlier life left under the other name', async () => {
      const system = new FakeFileSystem()
      system.files.set(join(directory, 'a.tmp'), bytes('a torn header, longer than ours'))
      await run(create(system))
      expect(system.text(path)).toBe('header')
    })

    it('never replaces a file that is there', async () => {
      const system = new FakeFileSystem()
      system.files.set(path, bytes('precious'))
      expect(await failing(create(system))).toMatchObject({ code: 'ERR_WAL_WRITE_FAILED', path })
      expect(system.text(path)).toBe('precious')
      expect([...system.files.keys()]).toEqual([path])
      expect(system.openFiles).toBe(0)
    })

    it.each([
      ['remove', 'EIO', 'ERR_WAL_WRITE_FAILED'],
      ['open', 'ENOSPC', 'ERR_WAL_NO_SPACE'],
      ['open', 'EMFILE', 'ERR_WAL_WRITE_FAILED'],
      ['write', 'ENOSPC', 'ERR_WAL_NO_SPACE'],
      ['write', 'EIO', 'ERR_WAL_WRITE_FAILED'],
      ['dataSync', 'EIO', 'ERR_WAL_SYNC_FAILED'],
      ['dataSync', 'ENOSPC', 'ERR_WAL_SYNC_FAILED'],
      ['open', 'EIO', 'ERR_WAL_WRITE_FAILED', 2],
      ['rename', 'EIO', 'ERR_WAL_WRITE_FAILED'],
      ['rename', 'ENOSPC', 'ERR_WAL_NO_SPACE'],
    ] as const)('leaves no file and no descriptor when %s fails with %s: %s', async (call, code, expected, nth: number = 1) => {
      const system = new FakeFileSystem()
      const cause = system.fail(call, code, nth)
      expect(await failing(create(system))).toMatchObject({ code: expected, cause })
      expect([...system.files.keys()]).toEqual([])
      expect(system.openFiles).toBe(0)
    })

    it.each([['write'], ['dataSync'], ['open', 2], ['rename']] as const)(
      'tells the first error, of %s, when tidying up fails as well',
      async (call, nth: number = 1) => {
        const system = new FakeFileSystem()
        const cause = system.fail(call, 'EIO', nth)
        system.fail('close', 'EBADF')
        system.fail('remove', 'EROFS', 2)
        expect(await failing(create(system))).toMatchObject({ cause })
        expect(system.calls.slice(-2)).toEqual(['close a.tmp', 'remove a.tmp'])
      },
    )

    it('is a failed sync, with the file in place and closed, when the directory cannot be synced', async () => {
      const system = new FakeFileSystem()
      const cause = system.fail('syncDirectory', 'ENOSPC')
      system.fail('close', 'EBADF')
      expect(await failing(create(system))).toMatchObject({ code: 'ERR_WAL_SYNC_FAILED', path: directory, cause })
      expect([...system.files.keys()]).toEqual([path])
      expect(system.calls.at(-1)).toBe('close a.tmp')
    })
  })

  describe('directories', () => {
    const deep = resolve('/one/two/log')
    const root = parse(deep).root

    it('are synced from the one given up to the root', async () => {
      const system = new FakeFileSystem()
      await run(syncDirectoryAndAbove(system, deep))
      expect(system.syncedDirectories).toEqual([deep, resolve('/one/two'), resolve('/one'), root])
    })

    it.each(['EACCES', 'EPERM', 'EROFS', 'EINVAL'])('above that say %s are passed over', async (code) => {
      const system = new FakeFileSystem()
      system.fail('syncDirectory', code, 2)
      await run(syncDirectoryAndAbove(system, deep))
      expect(system.syncedDirectories).toEqual([deep, resolve('/one'), root])
    })

    it.each(['EIO', 'ENOSPC', 'EDQUOT', 'EMFILE', 'ENOENT'])('above that fail with %s are a failed sync', async (code) => {
      const system = new FakeFileSystem()
      const cause = system.fail('syncDirectory', code, 2)
      const error = await failing(syncDirectoryAndAbove(system, deep))
      expect(error).toMatchObject({ code: 'ERR_WAL_SYNC_FAILED', path: resolve('/one/two'), cause })
    })

    it.each(['EACCES', 'EINVAL', 'EIO', 'ENOSPC'])('of the log itself must be synced: %s is a failed sync', async (code) => {
      const system = new FakeFileSystem()
      const cause = system.fail('syncDirectory', code)
      const error = await failing(syncDirectoryAndAbove(system, deep))
      expect(error).toMatchObject({ code: 'ERR_WAL_SYNC_FAILED', path: deep, cause })
      system.fail('syncDirectory', code)
      expect((await failing(syncDirectory(system, deep))).code).toBe('ERR_WAL_SYNC_FAILED')
    })
  })

  it('a file is removed, and one that is gone is no error', async () => {
    const system = new FakeFileSystem()
    system.files.set(path, bytes(''))
    await run(removeFile(system, path))
    await run(removeFile(system, path))
    expect(system.files.size).toBe(0)
    const cause = system.fail('remove', 'EACCES')
    expect(await failing(removeFile(system, path))).toMatchObject({ code: 'ERR_WAL_WRITE_FAILED', path, cause })
  })

  it('every message says what to do', async () => {
    const system = new FakeFileSystem()
    const file = await opened(system)
    for (const [call, code] of [['sync', 'EIO'], ['size', 'EIO'], ['truncate', 'EIO'], ['truncate', 'ENOSPC']] as const) {
      system.fail(call, code)
      const steps: Steps<unknown> = call === 'truncate' ? file.truncate(9) : file[call]()
      expect((await failing(steps)).message).toMatch(/open the log again|Free space/)
    }
    expect(systemError('EIO').message).toContain('EIO')
  })
})

describe('a read that nobody waits for', () => {
  async function opened(content: string): Promise<{ system: FakeFileSystem; file: DurableFile }> {
    const system = new FakeFileSystem()
    system.files.set(path, bytes(content))
    return { system, file: await runPooled(DurableFile.open(system, path, { access: 'read' })) }
  }

  it.each(ways)('is whole before the file is closed, $way', async ({ run }) => {
    const { system, file } = await opened('abcdefgh')
    system.mostBytes = 3
    const target = new Uint8Array(8)
    const read = file.beginRead(target, 0)
    const closed = run(file.close())
    expect(await read).toBe(8)
    await closed
    // A blocking close can't wait: the read closes the file when it ends.
    await vi.waitUntil(() => system.openFiles === 0)
    expect(new TextDecoder().decode(target)).toBe('abcdefgh')
    expect(system.calls.slice(1, 4)).toEqual(['read a', 'read a', 'read a'])
    expect(system.calls.at(-1)).toBe('close a')
  })

  it('that fails is told to whoever comes for it, and the file is closed all the same', async () => {
    const { system, file } = await opened('abc')
    system.fail('read', 'EIO')
    const read = file.beginRead(new Uint8Array(3), 0)
    await runPooled(file.close())
    await expect(read).rejects.toMatchObject({ code: 'ERR_WAL_READ_FAILED' })
    expect(system.openFiles).toBe(0)
  })
})
