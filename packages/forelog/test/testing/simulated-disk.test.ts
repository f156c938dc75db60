import { describe, expect, it } from 'vitest'
import type { OpenFile } from '../../src/files/file-system.js'
import { type CrashMode, crashModes, Random, SimulatedCrash, SimulatedDisk } from '../../src/testing/index.js'

const sector = 512
const path = '/data/a'
const powerCuts = crashModes.filter((mode) => mode !== 'process')

function text(bytes: string): Uint8Array {
  return new TextEncoder().encode(bytes)
}

function filled(byte: number, length: number): Uint8Array {
  return new Uint8Array(length).fill(byte)
}

/** A disk with a file of so many sectors of `0x01`, all durable, and that file opened. */
function diskWithFile(sectors: number, options: ConstructorParameters<typeof SimulatedDisk>[0] = {}): { disk: SimulatedDisk; file: OpenFile } {
  const disk = new SimulatedDisk({ seed: 1, directories: ['/data'], ...options })
  disk.place(path, filled(1, sectors * sector))
  return { disk, file: disk.openSync(path, { access: 'write' }) }
}

/** The first byte of each sector. */
function marks(disk: SimulatedDisk, at = path): number[] {
  return [...disk.contents(at)].filter((_, index) => index % sector === 0)
}

function codeOf(call: () => unknown): string | undefined {
  try {
    call()
  } catch (error) {
    return (error as { code?: string }).code
  }
  return undefined
}

/** As a key for sets: every file with its bytes. */
function image(disk: SimulatedDisk): string {
  return disk
    .listSync('/data')
    .sort()
    .map((name) => `${name}=${Buffer.from(disk.contents(`/data/${name}`)).toString('base64')}`)
    .join(' ')
}

describe('a file system', () => {
  it('reads back what was written, across sectors and holes', () => {
    const disk = new SimulatedDisk({ directories: ['/data'] })
    const file = disk.openSync(path, { access: 'create' })
    expect(file.writeSync([text('hello '), text('world')], 1000)).toBe(11)
    expect(file.sizeSync()).toBe(1011)
    const target = new Uint8Array(2000)
    expect(file.readSync(target, 998)).toBe(13)
    expect(Buffer.from(target.subarray(0, 13)).toString()).toBe('\0\0hello world')
    expect(file.readSync(target, 1011)).toBe(0)
    file.truncateSync(1003)
    file.truncateSync(1011)
    expect(Buffer.from(disk.contents(path).subarray(1000)).toString()).toBe('hel\0\0\0\0\0\0\0\0')
  })

  it('is the same as a plain array of bytes, whatever is done with it', () => {
    const random = new Random(7)
    const { disk, file } = diskWithFile(1)
    let model = Buffer.from(filled(1, sector))
    for (let step = 0; step < 3000; step++) {
      const action = random.below(20)
      if (action === 0) file.syncSync()
      else if (action === 1 || action === 2) {
        const size = random.below(5000)
        file.truncateSync(size)
        model = Buffer.concat([model.subarray(0, size), Buffer.alloc(Math.max(0, size - model.length))])
      } else {
        const bytes = random.chance(0.2) ? new Uint8Array(random.below(1500)) : random.bytes(random.below(1500))
        const position = random.below(4000)
        file.writeSync([bytes.subarray(0, 100), bytes.subarray(100)], position)
        const end = bytes.length === 0 ? 0 : position + bytes.length
        model = Buffer.concat([model, Buffer.alloc(Math.max(0, end - model.length))])
        model.set(bytes, bytes.length === 0 ? 0 : position)
      }
      if (step % 50 === 0) expect(Buffer.compare(disk.contents(path), model)).toBe(0)
      if (action === 0) expect(Buffer.compare(disk.afterCrash('none').contents(path), model)).toBe(0)
    }
  })

  it('fails as a file system does', async () => {
    const { disk, file } = diskWithFile(1)
    expect(codeOf(() => disk.openSync('/data/b', { access: 'write' }))).toBe('ENOENT')
    expect(codeOf(() => disk.openSync('/none/b', { access: 'create' }))).toBe('ENOENT')
    expect(codeOf(() => disk.openSync(path, { access: 'create' }))).toBe('EEXIST')
    expect(codeOf(() => disk.openSync('/data', { access: 'read' }))).toBe('EISDIR')
    expect(codeOf(() => disk.listSync('/none'))).toBe('ENOENT')
    expect(codeOf(() => disk.listSync(path))).toBe('ENOTDIR')
    expect(codeOf(() => disk.removeSync('/data/b'))).toBe('ENOENT')
    expect(codeOf(() => disk.renameSync('/data/b', path))).toBe('ENOENT')
    disk.makeDirectorySync('/data/deep/er')
    expect(codeOf(() => disk.renameSync(path, '/data/deep/a'))).toBe('EXDEV')
    expect(codeOf(() => disk.openSync(path, { access: 'read' }).writeSync([text('x')], 0))).toBe('EBADF')
    file.closeSync()
    expect(codeOf(() => file.sizeSync())).toBe('EBADF')
    await expect(file.size()).rejects.toMatchObject({ code: 'EBADF' })
    expect(disk.listSync('/data').sort()).toEqual(['a', 'deep'])
  })

  it('gives a lock to one holder at a time', async () => {
    const { disk } = diskWithFile(1)
    const lock = await disk.lock('/data/lock', 0o600)
    await expect(disk.lock('/data/../data/lock', 0o600)).rejects.toMatchObject({ code: 'ERR_WAL_LOCKED' })
    await lock.release()
    await lock.release()
    const second = await disk.lock('/data/lock', 0o600)
    const after = disk.crash('process')
    await expect(second.release()).rejects.toBeInstanceOf(SimulatedCrash)
    await (await after.lock('/data/lock', 0o600)).release()
    await expect(after.lock('/none/lock', 0o600)).rejects.toMatchObject({ code: 'ERR_WAL_WRITE_FAILED' })
  })

  it('lets calls that do not block take effect after the call and before they settle', async () => {
    const { disk, file } = diskWithFile(2)
    const written = file.write([filled(2, sector)], 0)
    expect(marks(disk)).toEqual([1, 1])
    const synced = file.dataSync() // before the write has returned: it need not cover it
    await Promise.all([written, synced])
    expect(marks(disk)).toEqual([2, 1])
    expect(marks(disk.afterCrash('none'))).toEqual([1, 1])
    await file.dataSync()
    expect(marks(disk.afterCrash('none'))).toEqual([2, 1])
  })

  it('lets a short latency overtake a long one, without waiting', async () => {
    const { file } = diskWithFile(1, { latencyMs: { write: 3_600_000, dataSync: 7_200_000, size: 10 } })
    const order: string[] = []
    const begun = Date.now()
    await Promise.all([
      file.dataSync().then(() => order.push('dataSync')),
      file.write([text('x')], 0).then(() => order.push('write')),
      file.size().then(() => order.push('size')),
      file.read(new Uint8Array(1), 0).then(() => order.push('read')),
    ])
    expect(order).toEqual(['read', 'size', 'write', 'dataSync'])
    expect(Date.now() - begun).toBeLessThan(60_000)
  })

  it('keeps a journal when asked, and numbers the calls', () => {
    const { disk, file } = diskWithFile(1, { journal: true })
    file.writeSync([text('abc')], 7)
    file.dataSyncSync()
    expect(disk.journal).toEqual([
      { number: 1, kind: 'open', path, access: 'write' },
      { number: 2, kind: 'write', path, position: 7, bytes: 3 },
      { number: 3, kind: 'dataSync', path },
    ])
    expect(disk.calls).toBe(3)
  })
})

describe('a crash', () => {
  it.each(powerCuts)('leaves what was synced, in mode %s', (mode) => {
    for (let seed = 0; seed < 50; seed++) {
      const { disk, file } = diskWithFile(4)
      file.writeSync([filled(2, 2 * sector)], sector)
      file.dataSyncSync()
      file.writeSync([filled(3, sector)], 3 * sector) // another sector than those
      const after = disk.crash({ mode, seed })
      expect(marks(after).slice(0, 3)).toEqual([1, 2, 2])
      expect([1, 3]).toContain(marks(after)[3])
      expect(after.unsynced()).toEqual({ sectors: 0, sizes: 0, cuts: 0, names: 0 })
    }
  })

  it('may take any subset of the sectors that were not synced', () => {
    const { disk, file } = diskWithFile(4)
    file.writeSync([filled(2, 4 * sector)], 0)
    const outcomes = disk.outcomes()
    expect(outcomes.count).toBe(16)
    const seen = new Set([...outcomes].map(image))
    expect(seen.size).toBe(16)
    for (let seed = 0; seed < 200; seed++) expect(seen).toContain(image(disk.afterCrash({ mode: 'random', seed })))
  })

  it('may leave any version of a sector that was written again and again', () => {
    const { disk, file } = diskWithFile(1)
    for (const mark of [2, 3, 4]) file.writeSync([filled(mark, sector)], 0)
    expect([...disk.outcomes()].map((after) => marks(after)[0]).sort()).toEqual([1, 2, 3, 4])
  })

  it('treats size and data apart', () => {
    const { disk, file } = diskWithFile(1)
    file.writeSync([filled(2, sector)], sector)
    expect([...disk.outcomes()].map((after) => marks(after).join(' ')).sort()).toEqual(['1', '1 0', '1 2'])
    file.writeSync([filled(3, sector)], 0)
    expect(disk.outcomes().count).toBe(2 * 3) // the new sector counts only within the new size
  })

  it('may leave old bytes where nothing arrived, where the disk is told so', () => {
    const { disk, file } = diskWithFile(1, { unwritten: 'old-bytes' })
    disk.place('/data/old', filled(9, sector))
    file.writeSync([filled(2, sector)], sector)
    const seen = new Set<number | undefined>()
    for (let seed = 0; seed < 100; seed++) seen.add(marks(disk.afterCrash({ mode: 'random', seed }))[1])
    expect(seen).toContain(9)
    expect(seen).toContain(2)
    expect(seen.has(0) && seen.size < 4).toBe(false)
  })

  it('takes back a cut whole or not at all', () => {
    const { disk, file } = diskWithFile(4)
    file.truncateSync(sector)
    file.truncateSync(4 * sector)
    expect(marks(disk)).toEqual([1, 0, 0, 0])
    const seen = new Set([...disk.outcomes()].map((after) => marks(after).join(' ')))
    expect(seen).toEqual(new Set(['1', '1 0 0 0', '1 1 1 1']))
    file.writeSync([filled(2, sector)], 2 * sector)
    const more = new Set([...disk.outcomes()].map((after) => marks(after).join(' ')))
    expect(more).toEqual(new Set(['1', '1 0 0 0', '1 1 1 1', '1 0 2 0', '1 1 2 1']))
    file.syncSync()
    expect([...disk.outcomes()].map((after) => marks(after).join(' '))).toEqual(['1 0 2 0'])
  })

  it('never leaves the old size of a file whose cut it kept', () => {
    const { disk, file } = diskWithFile(3)
    file.truncateSync(0)
    const seen = new Set(['1 1 1', ''])
    expect(new Set([...disk.outcomes()].map((after) => marks(after).join(' ')))).toEqual(seen)
    for (const mode of powerCuts) {
      for (let seed = 0; seed < 50; seed++) expect(seen).toContain(marks(disk.afterCrash({ mode, seed })).join(' '))
    }
    file.writeSync([filled(2, sector)], 2 * sector)
    for (const after of disk.outcomes()) if (after.contents(path).length === 3 * sector) expect(['1 1 1', '1 1 2', '0 0 2', '0 0 0']).toContain(marks(after).join(' '))
  })

  it('leaves zeros behind the end that it chose', () => {
    const { disk, file } = diskWithFile(1)
    file.writeSync([filled(2, 3 * sector)], 100)
    for (const after of disk.outcomes()) {
      const reopened = after.openSync(path, { access: 'write' })
      const size = reopened.sizeSync()
      reopened.truncateSync(4 * sector)
      expect(after.contents(path).subarray(size).every((byte) => byte === 0)).toBe(true)
    }
  })

  it('gives the disk before it and the one after it lives of their own', () => {
    const { disk, file } = diskWithFile(2)
    file.writeSync([filled(2, sector)], 0)
    const copy = disk.copy()
    const after = disk.afterCrash('all')
    file.writeSync([filled(3, 2 * sector)], 0)
    file.syncSync()
    const reopened = after.openSync(path, { access: 'write' })
    reopened.writeSync([filled(4, sector)], sector)
    reopened.syncSync()
    expect([disk, copy, after].map((each) => marks(each))).toEqual([[3, 3], [2, 1], [2, 4]])
    expect(marks(copy.crash('none'))).toEqual([1, 1])
  })

  it('ends every handle and every call under way', async () => {
    const { disk, file } = diskWithFile(1)
    const writing = file.write([text('x')], 0)
    disk.crash('all')
    await expect(writing).rejects.toBeInstanceOf(SimulatedCrash)
    await expect(file.dataSync()).rejects.toBeInstanceOf(SimulatedCrash)
    expect(() => disk.listSync('/data')).toThrow(SimulatedCrash)
    expect(() => disk.crash()).toThrow(SimulatedCrash)
  })

  it('can come at any call: before it, or after it took effect', () => {
    for (const [moment, left] of [['before', 1], ['after', 2]] as const) {
      const { disk, file } = diskWithFile(1)
      let after: SimulatedDisk | undefined
      disk.onCall = ({ kind }, when) => {
        if (kind === 'write' && when === moment) after = disk.crash('all')
      }
      expect(() => file.writeSync([filled(2, sector)], 0)).toThrow(SimulatedCrash)
      expect(marks(after as SimulatedDisk)).toEqual([left])
    }
  })

  it('of the process alone leaves the cache, and what of it is not durable', () => {
    const { disk, file } = diskWithFile(1)
    file.writeSync([filled(2, sector)], 0)
    const next = disk.crash('process')
    expect(marks(next)).toEqual([2])
    expect(next.unsynced().sectors).toBe(1)
    expect(marks(next.crash('none'))).toEqual([1])
  })

  it('is repeated by its choice', () => {
    const { disk, file } = diskWithFile(8)
    for (let step = 0; step < 5; step++) file.writeSync([filled(step + 2, 3 * sector)], step * sector)
    disk.openSync('/data/b', { access: 'create' })
    for (let crash = 0; crash < 100; crash++) {
      const after = disk.afterCrash()
      const choice = after.origin?.choice
      expect(image(disk.afterCrash(choice))).toBe(image(after))
      expect(disk.afterCrash(choice).origin).toEqual(after.origin)
    }
    const [first, second] = [1, 1].map((seed) => {
      const same = new SimulatedDisk({ seed })
      return JSON.stringify([same.afterCrash().origin, same.afterCrash().origin])
    })
    expect(first).toBe(second)
  })

  it('says what it met and what it took', () => {
    const { disk, file } = diskWithFile(4)
    file.writeSync([filled(2, 4 * sector)], 0)
    disk.openSync('/data/b', { access: 'create' })
    expect(disk.unsynced()).toEqual({ sectors: 4, sizes: 0, cuts: 0, names: 1 })
    expect(disk.afterCrash('none').origin?.lost).toEqual({ sectors: 4, sizes: 0, cuts: 0, names: 1 })
    expect(disk.afterCrash('all').origin?.lost).toEqual({ sectors: 0, sizes: 0, cuts: 0, names: 0 })
    const kept: Partial<Record<CrashMode, (lost: number, torn: number) => boolean>> = {
      torn: (lost, torn) => lost > 0 && torn === 1,
      prefix: (_, torn) => torn === 0,
      'all-but-one': (lost, torn) => lost + torn <= 2,
    }
    for (let seed = 0; seed < 100; seed++) {
      for (const [mode, holds] of Object.entries(kept)) {
        const { lost, tornWrites } = disk.afterCrash({ mode: mode as CrashMode, seed }).origin ?? expect.unreachable()
        expect(holds(lost.sectors, tornWrites)).toBe(true)
      }
    }
  })

  it('refuses to enumerate more than the limit, and says how much there is', () => {
    const { disk, file } = diskWithFile(20)
    file.writeSync([filled(2, 20 * sector)], 0)
    expect(() => disk.outcomes()).toThrow(/more than 65536 outcomes: 20 sectors/)
    expect(disk.outcomes({ limit: 2 ** 20 }).count).toBe(2 ** 20)
  })
})

describe('names', () => {
  const files = (disk: SimulatedDisk): string => disk.listSync('/data').sort().join(' ')

  it('are lost in any subset until their directory is synced', () => {
    const disk = new SimulatedDisk({ directories: ['/data'] })
    for (const name of ['a', 'b', 'c']) disk.openSync(`/data/${name}`, { access: 'create' }).syncSync()
    expect(disk.outcomes().count).toBe(8)
    expect(new Set([...disk.outcomes()].map(files)).size).toBe(8)
    disk.syncDirectorySync('/data')
    disk.removeSync('/data/b')
    expect([...disk.outcomes()].map(files).sort()).toEqual(['a b c', 'a c'])
    disk.syncDirectorySync('/data')
    expect([...disk.outcomes()].map(files)).toEqual(['a c'])
  })

  it('of a rename: the old one, both, or the new one', () => {
    const { disk } = diskWithFile(1)
    disk.renameSync(path, '/data/b')
    expect([...disk.outcomes()].map(files).sort()).toEqual(['a', 'a b', 'b'])
    for (let seed = 0; seed < 100; seed++) expect(['a', 'a b', 'b']).toContain(files(disk.afterCrash({ mode: 'random', seed })))
  })

  it('of a replacing rename lead to the old file or to the new one, never to nothing', () => {
    const { disk } = diskWithFile(1)
    const file = disk.openSync('/data/new', { access: 'create' })
    file.writeSync([filled(2, sector)], 0)
    file.syncSync()
    disk.renameSync('/data/new', path)
    const seen = new Set([...disk.outcomes()].map((after) => marks(after)[0]))
    expect(seen).toEqual(new Set([1, 2]))
  })

  it('take their file with them when all are lost', () => {
    const disk = new SimulatedDisk({ directories: ['/data'] })
    disk.openSync('/data/temporary', { access: 'create' }).syncSync()
    disk.renameSync('/data/temporary', '/data/a')
    expect(new Set([...disk.outcomes()].map(files))).toEqual(new Set(['', 'temporary', 'a', 'a temporary']))
  })

  it('of directories are lost, too, with all below', () => {
    const disk = new SimulatedDisk()
    disk.makeDirectorySync('/x/y')
    disk.openSync('/x/y/a', { access: 'create' }).syncSync()
    disk.syncDirectorySync('/x/y')
    disk.syncDirectorySync('/x')
    expect(disk.afterCrash('none').listSync('/')).toEqual([])
    expect(disk.outcomes().count).toBe(2)
    disk.syncDirectorySync('/')
    expect(disk.afterCrash('none').listSync('/x/y')).toEqual(['a'])
  })

  it('that were removed come back with the bytes that were synced', () => {
    const { disk } = diskWithFile(1)
    disk.removeSync(path)
    expect(marks(disk.crash('process').crash('none'))).toEqual([1])
  })

  it('do not become durable by a sync of the file', () => {
    const disk = new SimulatedDisk({ directories: ['/data'] })
    disk.openSync(path, { access: 'create' }).syncSync()
    expect(files(disk.afterCrash('none'))).toBe('')
  })
})

describe('a write that goes through', () => {
  it('is durable when it returns, with the size, and nothing else is', () => {
    const { disk, file } = diskWithFile(2)
    file.writeSync([filled(2, sector)], 0)
    const through = disk.openSync(path, { access: 'write', writeThrough: true })
    through.writeSync([filled(3, sector)], 2 * sector)
    expect(marks(disk.afterCrash('none'))).toEqual([1, 1, 3])
    expect(disk.outcomes().count).toBe(2)
  })

  it('keeps an earlier cut from taking it', () => {
    const { disk, file } = diskWithFile(4)
    file.truncateSync(sector)
    const through = disk.openSync(path, { access: 'write', writeThrough: true })
    through.writeSync([filled(3, sector)], sector)
    for (const after of disk.outcomes()) expect(marks(after).slice(0, 2)).toEqual([1, 3])
  })

  it('can be met half way by a crash', () => {
    const { disk } = diskWithFile(2)
    const through = disk.openSync(path, { access: 'write', writeThrough: true })
    const counts: number[] = []
    disk.onCall = () => counts.push(disk.outcomes().count)
    through.writeSync([filled(3, 2 * sector)], 0)
    expect(counts).toEqual([1, 4, 1]) // before, during, after
  })
})

describe('a failure that is played', () => {
  it('hits the n-th call of a kind, once or for good', () => {
    const { disk, file } = diskWithFile(1)
    disk.fail({ kind: 'write', at: 2, code: 'EINTR' })
    disk.fail({ kind: 'open', code: 'EMFILE', times: Infinity })
    const write = (): unknown => file.writeSync([text('x')], 0)
    expect([1, 2, 3].map(() => codeOf(write))).toEqual([undefined, 'EINTR', undefined])
    for (let attempt = 0; attempt < 3; attempt++) {
      expect(codeOf(() => disk.openSync(path, { access: 'read' }))).toBe('EMFILE')
    }
    expect(disk.faultsTold).toBe(4)
    disk.heal()
    expect(codeOf(() => disk.openSync(path, { access: 'read' }))).toBeUndefined()
  })

  it('hits any call, or those of a path', () => {
    const { disk, file } = diskWithFile(1)
    disk.fail({ at: 2 })
    expect([codeOf(() => file.sizeSync()), codeOf(() => disk.listSync('/data'))]).toEqual([undefined, 'EIO'])
    disk.fail({ kind: ['open', 'remove'], path: /b$/, code: 'EACCES' })
    expect(codeOf(() => disk.openSync(path, { access: 'read' }))).toBeUndefined()
    expect(codeOf(() => disk.removeSync('/data/b'))).toBe('EACCES')
  })

  it('can be a short write, a short read, or a write that fails half way', () => {
    const { disk, file } = diskWithFile(1)
    disk.fail({ kind: 'write', bytes: 3 })
    expect(file.writeSync([text('ab'), text('cd')], 0)).toBe(3)
    disk.fail({ kind: 'read', bytes: 2 })
    expect(file.readSync(new Uint8Array(10), 0)).toBe(2)
    disk.fail({ kind: 'write', bytes: 1, code: 'ENOSPC' })
    expect(codeOf(() => file.writeSync([text('xyz')], 0))).toBe('ENOSPC')
    expect(Buffer.from(disk.contents(path).subarray(0, 4)).toString()).toBe('xbc\u0001')
  })

  it('can be a full disk, told by the write', () => {
    const { disk, file } = diskWithFile(1, { capacityBytes: 3 * sector })
    expect(file.writeSync([filled(2, 5 * sector)], 0)).toBe(3 * sector)
    expect(codeOf(() => file.writeSync([filled(2, 1)], 3 * sector))).toBe('ENOSPC')
    expect(codeOf(() => file.writeSync([filled(3, sector)], 0))).toBeUndefined() // no new space
    expect(codeOf(() => disk.openSync('/data/b', { access: 'create' }))).toBe('ENOSPC')
    expect(codeOf(() => disk.makeDirectorySync('/data/b'))).toBe('ENOSPC')
    file.truncateSync(sector)
    expect(file.writeSync([filled(2, sector)], sector)).toBe(sector)
    disk.capacityBytes = undefined
    expect(file.writeSync([filled(2, 5 * sector)], 0)).toBe(5 * sector)
  })

  it('can be a full disk, told by the sync', () => {
    const { disk, file } = diskWithFile(1, { capacityBytes: 2 * sector, lateAllocation: true })
    expect(file.writeSync([filled(2, 5 * sector)], 0)).toBe(5 * sector)
    expect(codeOf(() => file.dataSyncSync())).toBe('ENOSPC')
    expect(marks(disk.afterCrash('none'))).toEqual([1])
  })
})

describe('a failed sync', () => {
  it("as on ext4 and XFS: the bytes are readable, the next sync succeeds, and a crash may take them", () => {
    const { disk, file } = diskWithFile(2)
    const other = disk.openSync(path, { access: 'write' })
    file.writeSync([filled(2, sector)], 2 * sector)
    file.writeSync([filled(2, 2 * sector)], 0)
    disk.fail({ kind: 'dataSync', code: 'EIO' })
    expect(codeOf(() => file.dataSyncSync())).toBe('EIO')
    expect(codeOf(() => file.dataSyncSync())).toBeUndefined()
    expect([codeOf(() => other.syncSync()), codeOf(() => other.syncSync())]).toEqual(['EIO', undefined])
    expect(marks(disk)).toEqual([2, 2, 2])
    expect(marks(disk.afterCrash('none'))).toEqual([1, 1])
    expect(marks(disk.afterCrash('all'))).toEqual([2, 2, 2])
    const next = disk.crash('process') // another process finds the same
    const again = next.openSync(path, { access: 'write' })
    again.syncSync()
    expect(marks(next.afterCrash('none'))).toEqual([1, 1])
    again.writeSync([filled(2, 3 * sector)], 0)
    again.syncSync()
    expect(marks(next.afterCrash('none'))).toEqual([2, 2, 2])
  })

  it('as on ext4 loses the size, too, but for what is written again', () => {
    const { disk, file } = diskWithFile(1)
    file.writeSync([filled(2, 2 * sector)], sector)
    disk.fail({ kind: 'dataSync' })
    expect(codeOf(() => file.dataSyncSync())).toBe('EIO')
    file.writeSync([filled(2, sector)], sector)
    file.dataSyncSync()
    expect(marks(disk)).toEqual([1, 2, 2])
    expect(marks(disk.afterCrash('none'))).toEqual([1, 2])
    file.dataSyncSync()
    expect(marks(disk.afterCrash('none'))).toEqual([1, 2])
    file.writeSync([filled(2, sector)], 2 * sector)
    file.dataSyncSync()
    expect(marks(disk.afterCrash('none'))).toEqual([1, 2, 2])
  })

  it('as on ext4 loses the size, which is back as far as it was written again, in however many writes', () => {
    const { disk, file } = diskWithFile(1)
    file.writeSync([filled(2, 4 * sector)], sector)
    disk.fail({ kind: 'dataSync' })
    expect(codeOf(() => file.dataSyncSync())).toBe('EIO')
    for (const at of [1, 2, 3]) file.writeSync([filled(2, sector)], at * sector)
    file.dataSyncSync()
    expect(marks(disk.afterCrash('none'))).toEqual([1, 2, 2, 2])
    file.writeSync([filled(2, sector)], 4 * sector)
    file.dataSyncSync()
    expect(disk.outcomes().count).toBe(1)
    expect(marks(disk.afterCrash('none'))).toEqual([1, 2, 2, 2, 2])
  })

  it('as on Btrfs: the old bytes and the old size are back', () => {
    const { disk, file } = diskWithFile(1, { syncFailure: 'btrfs' })
    file.writeSync([filled(2, 3 * sector)], 0)
    disk.fail({ kind: 'sync', code: 'EIO' })
    expect(codeOf(() => file.syncSync())).toBe('EIO')
    expect(marks(disk)).toEqual([1])
    expect(disk.outcomes().count).toBe(1)
  })

  it("told once: no other handle hears of it, and nothing was written", () => {
    const { disk, file } = diskWithFile(1)
    const other = disk.openSync(path, { access: 'write' })
    file.writeSync([filled(2, sector)], 0)
    disk.fail({ kind: 'sync', code: 'EIO', syncFailure: 'once' })
    expect(codeOf(() => file.syncSync())).toBe('EIO')
    expect(codeOf(() => other.syncSync())).toBeUndefined()
    expect(marks(disk)).toEqual([2])
    expect(marks(disk.afterCrash('none'))).toEqual([1])
  })

  it('that can be tried again leaves everything as it was', () => {
    const { disk, file } = diskWithFile(1)
    file.writeSync([filled(2, sector)], 0)
    disk.fail({ kind: 'sync', code: 'EINTR', syncFailure: 'retryable' })
    expect(codeOf(() => file.syncSync())).toBe('EINTR')
    file.syncSync()
    expect(marks(disk.afterCrash('none'))).toEqual([2])
  })

  it('can be that of a write that goes through', () => {
    const { disk } = diskWithFile(1)
    const through = disk.openSync(path, { access: 'write', writeThrough: true })
    disk.fail({ kind: 'write', code: 'EIO', syncFailure: 'ext4' })
    expect(codeOf(() => through.writeSync([filled(2, sector)], 0))).toBe('EIO')
    expect(marks(disk)).toEqual([2])
    expect(marks(disk.afterCrash('none'))).toEqual([1])
    through.syncSync()
    expect(marks(disk.afterCrash('none'))).toEqual([1])
  })

  it.each(['ext4', 'btrfs'] as const)('as on %s is told to every handle once, by a write that goes through as well', (syncFailure) => {
    const { disk, file } = diskWithFile(1)
    const through = disk.openSync(path, { access: 'write', writeThrough: true })
    const third = disk.openSync(path, { access: 'write' })
    file.writeSync([filled(2, sector)], 0)
    disk.fail({ kind: 'dataSync', code: 'EIO', syncFailure })
    expect(codeOf(() => file.dataSyncSync())).toBe('EIO')
    const told = [third, file, third].map((handle) => codeOf(() => handle.dataSyncSync()))
    expect(told).toEqual(['EIO', undefined, undefined])
    expect([1, 2].map(() => codeOf(() => through.writeSync([filled(3, sector)], 0)))).toEqual(['EIO', undefined])
  })

  it('of a directory makes no name durable, and loses none', () => {
    const { disk } = diskWithFile(1)
    disk.renameSync(path, '/data/b')
    disk.fail({ kind: 'syncDirectory', code: 'EIO' })
    expect(codeOf(() => disk.syncDirectorySync('/data'))).toBe('EIO')
    expect(disk.outcomes().count).toBe(3)
    disk.syncDirectorySync('/data')
    expect(disk.outcomes().count).toBe(1)
  })
})

describe('random', () => {
  it('is replayed by its seed', () => {
    const numbers = (seed: number): number[] => {
      const random = new Random(seed)
      return Array.from({ length: 20 }, () => random.next())
    }
    expect(numbers(5)).toEqual(numbers(5))
    expect(numbers(5)).not.toEqual(numbers(6))
    expect(() => new Random(0).pick([])).toThrow(RangeError)
  })
})
