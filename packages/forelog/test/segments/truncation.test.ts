import { describe, expect, it } from 'vitest'
import { type StoredEntry, type WalError, type RawEntry, WriteAheadLog } from '../../src/index.js'
import { SimulatedDisk } from '../../src/testing/index.js'
import { filesOn } from '../proofs/sample-logs.js'
import { readDirectory2 } from '../support/reference-reader.js'
import { ExampleEntry2, exampleEntries } from '../support/waltest.js'

const directory = '/data/log'

function newDisk(): SimulatedDisk {
  return new SimulatedDisk({ seed: 1, directories: ['/data'] })
}

function open(disk: SimulatedDisk, maxSegmentSize = 5000, sync: 'always' | 'manual' = 'always'): Promise<WriteAheadLog> {
  return WriteAheadLog.open(directory, { fileSystem: disk, maxSegmentSize, sync })
}

async function appendAll(log: WriteAheadLog, ...texts: string[]): Promise<void> {
  for (const text of texts) await log.append(Buffer.from(text))
}

const textOf = ({ offset, entry }: StoredEntry<RawEntry>): string => `${offset}:${Buffer.from(entry.payload).toString()}`

function contents(log: WriteAheadLog): string {
  return [...log.entriesSync()].map(textOf).join(' ')
}

/** What the reference reader, which shares no code with the library, finds in the files. */
function found(disk: SimulatedDisk): { firstOffset: number; lastOffset: number } {
  const files = filesOn(disk)
  files.delete('lock')
  const { firstOffset, lastOffset } = readDirectory2(files)
  return { firstOffset, lastOffset }
}

function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'none',
    (error: WalError) => error.code,
  )
}

describe('truncateAfter', () => {
  it('ends the log at the offset, gives those behind it again, and shows the same after reopening', async () => {
    const disk = newDisk()
    const log = await open(disk)
    await appendAll(log, 'a', 'b', 'c', 'd')
    await log.truncateAfter(2)
    expect([log.lastOffset, log.durableOffset]).toEqual([2, 2])
    expect(found(disk)).toEqual({ firstOffset: 1, lastOffset: 2 })
    expect(await log.append(Buffer.from('C'))).toBe(3)
    expect(contents(log)).toBe('1:a 2:b 3:C')
    await log.close()
    const again = await open(disk)
    expect(contents(again)).toBe('1:a 2:b 3:C')
    expect(again.recovery.clean).toBe(true)
    await again.close()
  })

  it('cuts into older segments, cuts cuts, and removes what is dead', async () => {
    const disk = newDisk()
    const log = await open(disk, 1)
    await appendAll(log, 'a', 'b', 'c', 'd', 'e')
    await log.truncateAfter(3)
    expect(log.segments().map(({ id }) => id)).toEqual([1, 2, 3, 6])
    await appendAll(log, 'D', 'E')
    await log.truncateAfter(4)
    await log.truncateAfter(1)
    expect(found(disk)).toEqual({ firstOffset: 1, lastOffset: 1 })
    await appendAll(log, 'B', 'C')
    expect(contents(log)).toBe('1:a 2:B 3:C')
    expect(disk.listSync(directory).filter((name) => name.endsWith('.wal')).length).toBe(log.segments().length)
    await log.close()
    expect(contents(await open(disk, 1))).toBe('1:a 2:B 3:C')
  })

  it('cuts within a batch', async () => {
    const disk = newDisk()
    const log = await open(disk)
    await log.appendBatch(['a', 'b', 'c', 'd'].map((text) => Buffer.from(text)))
    await log.truncateAfter(2)
    await appendAll(log, 'C')
    expect(contents(log)).toBe('1:a 2:b 3:C')
    expect(found(disk)).toEqual({ firstOffset: 1, lastOffset: 3 })
    await log.close()
    expect(contents(await open(disk))).toBe('1:a 2:b 3:C')
  })

  it('takes its place among calls that are not awaited: what is called later gets the offsets behind the cut', async () => {
    const disk = newDisk()
    const log = await open(disk)
    const results = await Promise.all([
      log.append(Buffer.from('a')),
      log.appendBatch([Buffer.from('b'), Buffer.from('c')]),
      log.truncateAfter(1),
      log.append(Buffer.from('B')),
      log.appendBatch([Buffer.from('C'), Buffer.from('D')]),
      log.truncateAfter(3),
      log.append(Buffer.from('d')),
    ])
    expect(results).toEqual([1, { first: 2, last: 3 }, undefined, 2, { first: 3, last: 4 }, undefined, 4])
    expect(contents(log)).toBe('1:a 2:B 3:C 4:d')
    await log.close()
    expect(contents(await open(disk))).toBe('1:a 2:B 3:C 4:d')
  })

  it('empties a log, whether it was truncated in front or not', async () => {
    const disk = newDisk()
    const log = await open(disk, 1)
    await appendAll(log, 'a', 'b', 'c')
    await log.truncateAfter(0)
    expect([log.firstOffset, log.lastOffset]).toEqual([1, 0])
    await appendAll(log, 'A', 'B', 'C', 'D')
    await log.truncateBefore(3)
    await log.truncateAfter(2)
    expect([log.firstOffset, log.lastOffset]).toEqual([3, 2])
    expect(found(disk)).toEqual({ firstOffset: 3, lastOffset: 2 })
    await log.close()
    const again = await open(disk, 1)
    expect([again.firstOffset, again.lastOffset]).toEqual([3, 2])
    expect(await again.append(Buffer.from('x'))).toBe(3)
  })

  it('keeps the low-water mark, also through later rolls and a reopening', async () => {
    const disk = newDisk()
    const log = await open(disk, 1)
    await appendAll(log, 'a', 'b', 'c', 'd', 'e')
    await log.truncateBefore(3)
    await log.truncateAfter(4)
    await appendAll(log, 'E', 'F')
    expect([log.firstOffset, log.lastOffset]).toEqual([3, 6])
    await log.close()
    const again = await open(disk, 1)
    expect(contents(again)).toBe('3:c 4:d 5:E 6:F')
  })

  it('makes what it keeps durable', async () => {
    const disk = newDisk()
    const log = await open(disk, 5000, 'manual')
    await appendAll(log, 'a', 'b', 'c')
    expect(log.durableOffset).toBe(0)
    await log.truncateAfter(2)
    expect(log.durableOffset).toBe(2)
    expect(contents(await open(disk.crash('none')))).toBe('1:a 2:b')
  })

  it('changes nothing at the last offset, and refuses what the log does not hold', async () => {
    const disk = newDisk()
    const log = await open(disk)
    await appendAll(log, 'a', 'b', 'c')
    await log.truncateBefore(2)
    const { calls } = disk
    await log.truncateAfter(3)
    expect(disk.calls).toBe(calls)
    for (const offset of [0, 4, -1, 1.5, Number.NaN]) expect(await codeOf(log.truncateAfter(offset))).toBe('ERR_WAL_OFFSET_OUT_OF_RANGE')
    expect(log.state).toBe('open')
    expect(contents(log)).toBe('2:b 3:c')
  })

  it('removes what a life that died left dead', async () => {
    const disk = newDisk()
    const log = await open(disk, 1)
    await appendAll(log, 'a', 'b', 'c', 'd')
    let died: SimulatedDisk | undefined
    disk.onCall = ({ kind, path }, moment) => {
      if (kind === 'remove' && path.endsWith('.wal') && moment === 'before') died ??= disk.crash('all')
    }
    await codeOf(log.truncateAfter(1))
    const after = died as SimulatedDisk
    expect(after.listSync(directory).filter((name) => name.endsWith('.wal')).length).toBe(5)
    const again = await open(after, 1)
    expect(contents(again)).toBe('1:a')
    expect(after.listSync(directory).filter((name) => name.endsWith('.wal')).length).toBe(again.segments().length)
  })

  it('lets readers of what it removes know, also when the offsets were given again', async () => {
    const disk = newDisk()
    const log = await open(disk, 200)
    await appendAll(log, ...Array.from({ length: 20 }, (_, index) => `old ${index + 1}`))
    const one = log.entries()[Symbol.asyncIterator]()
    const kept = log.entries({ to: 5 })[Symbol.asyncIterator]()
    const batches = log.entries({ from: 8 }).batches()[Symbol.asyncIterator]()
    const blocking = log.entriesSync()[Symbol.iterator]()
    expect((await one.next()).value?.offset).toBe(1)
    expect((await kept.next()).value?.offset).toBe(1)
    expect((await batches.next()).value?.[0]?.offset).toBe(8)
    expect(blocking.next().value?.offset).toBe(1)
    await log.truncateAfter(5)
    await appendAll(log, ...Array.from({ length: 20 }, (_, index) => `new ${index + 6}`))
    for (let offset = 2; offset <= 5; offset++) {
      expect(textOf((await one.next()).value as StoredEntry<RawEntry>)).toBe(`${offset}:old ${offset}`)
      expect((await kept.next()).value?.offset).toBe(offset)
      expect(blocking.next().value?.offset).toBe(offset)
    }
    expect(await codeOf(one.next())).toBe('ERR_WAL_OFFSET_OUT_OF_RANGE')
    expect(await codeOf(batches.next())).toBe('ERR_WAL_OFFSET_OUT_OF_RANGE')
    expect((await kept.next()).done).toBe(true)
    expect(() => blocking.next()).toThrow('was cut off')
    expect(contents(log).split(' ').length).toBe(50)
  })

  it('also those who were called before it and begin afterwards', async () => {
    const log = await open(newDisk())
    await appendAll(log, 'a', 'b', 'c')
    const entries = log.entries({ from: 3 })
    const blocking = log.entriesSync({ from: 2 })
    await log.truncateAfter(1)
    expect(await codeOf(entries[Symbol.asyncIterator]().next())).toBe('ERR_WAL_OFFSET_OUT_OF_RANGE')
    await appendAll(log, 'B', 'C')
    expect(await codeOf(entries[Symbol.asyncIterator]().next())).toBe('ERR_WAL_OFFSET_OUT_OF_RANGE')
    expect(() => [...blocking]).toThrow('was cut off')
  })

  it('without space for the new segment removes nothing, and the log goes on', async () => {
    const disk = newDisk()
    const log = await open(disk)
    await appendAll(log, 'a', 'b', 'c')
    disk.fail({ kind: 'write', code: 'ENOSPC', bytes: 10, times: 1 })
    expect(await codeOf(log.truncateAfter(1))).toBe('ERR_WAL_NO_SPACE')
    disk.fail({ kind: 'rename', code: 'ENOSPC' })
    expect(await codeOf(log.truncateAfter(1))).toBe('ERR_WAL_NO_SPACE')
    expect([log.state, contents(log)]).toEqual(['open', '1:a 2:b 3:c'])
    expect(await log.append(Buffer.from('d'))).toBe(4)
    await log.truncateAfter(1)
    expect(contents(log)).toBe('1:a')
    await log.close()
    expect(contents(await open(disk))).toBe('1:a')
  })

  it('is done when the dead segments cannot be removed for lack of space, and a later truncation on a full disk still works', async () => {
    const disk = newDisk()
    const log = await open(disk, 1)
    await appendAll(log, 'a', 'b', 'c', 'd')
    disk.fail({ kind: 'remove', path: /wal$/, code: 'ENOSPC', times: Infinity })
    await log.truncateAfter(2)
    await appendAll(log, 'C', 'D')
    expect(contents(log)).toBe('1:a 2:b 3:C 4:D')
    disk.heal()
    disk.fail({ kind: 'write', code: 'ENOSPC', bytes: 0 })
    await log.truncateBefore(4)
    await log.close()
    expect(contents(await open(disk, 1))).toBe('4:D')
  })

  it.each(['sync', 'dataSync', 'syncDirectory', 'truncate', 'open', 'rename', 'write', 'remove'] as const)('a %s that fails leaves the old end or the cut, after a crash as well', async (kind) => {
    for (let at = 1; at <= 4; at++) {
      const disk = newDisk()
      const log = await open(disk, 120)
      await appendAll(log, 'a', 'b', 'c', 'd', 'e')
      disk.fail({ kind, at, code: 'EIO', syncFailure: 'ext4' })
      const code = await codeOf(log.truncateAfter(2))
      disk.heal()
      // Where reading failed nothing was begun, and the log goes on.
      if (code === 'ERR_WAL_READ_FAILED') {
        expect([log.state, contents(log)]).toEqual(['open', '1:a 2:b 3:c 4:d 5:e'])
        continue
      }
      const failed = code !== 'none'
      if (failed) expect([log.state, await codeOf(log.append(Buffer.from('x')))]).toEqual(['failed', 'ERR_WAL_FAILED'])
      else expect(contents(log)).toBe('1:a 2:b')
      for (const mode of ['none', 'all', 'process'] as const) {
        const shown = contents(await open(disk.afterCrash(mode), 120))
        expect(failed ? ['1:a 2:b', '1:a 2:b 3:c 4:d 5:e'] : ['1:a 2:b']).toContain(shown)
      }
    }
  })
})

describe('truncateAfter in format 1', () => {
  const open1 = (disk: SimulatedDisk, maxSegmentSize = 40) => WriteAheadLog.open(directory, { fileSystem: disk, format: 1, entries: exampleEntries, maxSegmentSize })
  const names = (log: Awaited<ReturnType<typeof open1>>): string => [...log.entriesSync()].map(({ offset, entry }) => `${offset}:${(entry as ExampleEntry2).name}`).join(' ')

  it('removes segments and cuts the one that holds the offset, and the log goes on there', async () => {
    const disk = newDisk()
    const log = await open1(disk)
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']) await log.append(new ExampleEntry2(true, name))
    expect(log.segments().length).toBe(2)
    await log.truncateAfter(7)
    await log.truncateAfter(3)
    expect(log.segments().map(({ path }) => path)).toEqual([`${directory}/1.wal`])
    const results = await Promise.all([log.append(new ExampleEntry2(true, 'D')), log.truncateAfter(2), log.append(new ExampleEntry2(true, 'C'))])
    expect(results).toEqual([4, undefined, 3])
    expect(names(log)).toBe('1:a 2:b 3:C')
    await log.close()
    const again = await open1(disk)
    expect(names(again)).toBe('1:a 2:b 3:C')
    await again.truncateAfter(0)
    expect(await again.append(new ExampleEntry2(true, 'A'))).toBe(1)
    await again.close()
    expect(names(await open1(disk))).toBe('1:A')
  })

  it('keeps the last entry of a log that was truncated in front, which alone tells the next offset', async () => {
    const disk = newDisk()
    const log = await open1(disk)
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']) await log.append(new ExampleEntry2(true, name))
    await log.truncateBefore(6)
    const { firstOffset } = log
    expect(firstOffset).toBeGreaterThan(1)
    expect(await codeOf(log.truncateAfter(firstOffset - 1))).toBe('ERR_WAL_OFFSET_OUT_OF_RANGE')
    await log.truncateAfter(firstOffset)
    expect([log.firstOffset, log.lastOffset]).toEqual([firstOffset, firstOffset])
  })

  it('a crash leaves an end between the old one and the cut', async () => {
    const disk = newDisk()
    const log = await open1(disk)
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l']) await log.append(new ExampleEntry2(true, name))
    const all = names(log)
    const states: SimulatedDisk[] = []
    disk.onCall = (_call, moment) => {
      if (moment === 'after') states.push(...disk.outcomes())
    }
    await log.truncateAfter(2)
    disk.onCall = undefined
    expect(states.length).toBeGreaterThan(8)
    for (const state of states) {
      const shown = names(await open1(state))
      expect(all.startsWith(shown)).toBe(true)
      expect(shown.startsWith('1:a 2:b')).toBe(true)
    }
    expect(names(await open1(disk.crash('none')))).toBe('1:a 2:b')
  })
})

describe('truncateBefore', () => {
  it('makes firstOffset the offset, never less than it was, and never beyond the next entry', async () => {
    const disk = newDisk()
    const log = await open(disk, 120)
    await appendAll(log, 'a', 'b', 'c', 'd', 'e')
    for (const [offset, first] of [[0, 1], [1, 1], [3, 3], [2, 3], [6, 6]] as const) {
      await log.truncateBefore(offset)
      expect(log.firstOffset).toBe(first)
      expect(found(disk).firstOffset).toBe(first)
    }
    expect(await codeOf(log.truncateBefore(7))).toBe('ERR_WAL_OFFSET_OUT_OF_RANGE')
    expect([log.firstOffset, log.lastOffset]).toEqual([6, 5])
    expect(await log.append(Buffer.from('f'))).toBe(6)
    await log.close()
    expect(contents(await open(disk))).toBe('6:f')
  })

  it('on a full disk, what an opening shows to be gone does not come back: files that were emptied are synced first', async () => {
    const disk = newDisk()
    const log = await open(disk, 1)
    for (let n = 1; n <= 3; n++) await log.append(new Uint8Array(400))
    disk.fail({ kind: 'write', code: 'ENOSPC', bytes: 0, times: Infinity })
    // Killed when the first files are cut and before they are synced: the cache of the system lives on.
    const killed: SimulatedDisk[] = []
    disk.onCall = ({ kind, path }, moment) => {
      if (kind === 'truncate' && moment === 'after' && path.endsWith('.wal')) killed.push(disk.afterCrash('process'))
    }
    await codeOf(log.truncateBefore(3))
    expect(killed.length).toBeGreaterThan(1)
    for (const after of killed) {
      const { firstOffset } = await open(after, 1)
      expect((await open(after.crash('none'), 1)).firstOffset).toBe(firstOffset)
    }
  })

  it('on a full disk empties the oldest first, each durably: no crash leaves an emptied file behind one that is not', async () => {
    const disk = newDisk()
    const log = await open(disk, 1)
    for (let n = 1; n <= 5; n++) await log.append(new Uint8Array(400))
    disk.fail({ kind: 'write', code: 'ENOSPC', bytes: 0, times: Infinity })
    const crashed: SimulatedDisk[] = []
    disk.onCall = ({ kind, path }, moment) => {
      if (kind === 'truncate' && moment === 'after' && path.endsWith('.wal')) crashed.push(...disk.outcomes())
    }
    await codeOf(log.truncateBefore(5))
    expect(crashed.length).toBeGreaterThan(8)
    for (const after of crashed) {
      const again = await open(after, 1)
      expect(again.lastOffset).toBe(5)
      expect([...again.entriesSync()].at(-1)?.offset).toBe(5)
    }
  })

  it('in format 1 keeps the last entry where the newest segment has none: a life died behind its roll', async () => {
    const disk = newDisk()
    const options = { fileSystem: disk, entries: exampleEntries, maxSegmentSize: 1 }
    const log = await WriteAheadLog.open(directory, { ...options, format: 1 })
    for (const name of ['a', 'b', 'c']) await log.append(new ExampleEntry2(true, name))
    await log.close()
    disk.place(`${directory}/4.wal`, new Uint8Array(0))
    const again = await WriteAheadLog.open(directory, options)
    await again.truncateBefore(4)
    await again.close()
    const after = await WriteAheadLog.open(directory, options)
    expect([after.firstOffset, after.lastOffset]).toEqual([3, 3])
    expect(await after.append(new ExampleEntry2(true, 'd'))).toBe(4)
  })

  it('lets readers of what it removes know, and those that stand behind it go on', async () => {
    const disk = newDisk()
    const log = await open(disk, 1)
    await appendAll(log, 'a', 'b', 'c', 'd', 'e')
    const front = log.entries()[Symbol.asyncIterator]()
    const behind = log.entries({ from: 3 })[Symbol.asyncIterator]()
    await front.next()
    await behind.next()
    await log.truncateBefore(4)
    expect(await codeOf(front.next())).toBe('ERR_WAL_OFFSET_OUT_OF_RANGE')
    expect((await behind.next()).value?.offset).toBe(4)
    expect((await behind.next()).value?.offset).toBe(5)
    expect((await behind.next()).done).toBe(true)
  })

  it('in format 1 syncs what stays, before anything goes: it is all that says which offset is next', async () => {
    const disk = newDisk()
    const options = { fileSystem: disk, entries: exampleEntries, format: 1, maxSegmentSize: 1, sync: 'manual' } as const
    const log = await WriteAheadLog.open(directory, options)
    for (const text of ['a', 'b', 'c', 'd', 'e']) await log.append(new ExampleEntry2(true, text))
    await log.truncateBefore(5)
    expect(log.segments().map(({ firstOffset }) => firstOffset)).toEqual([5])
    for (const after of disk.outcomes()) {
      const again = await WriteAheadLog.open(directory, { ...options, fileSystem: after })
      expect([again.firstOffset, again.lastOffset]).toEqual([5, 5])
    }
  })

  it('in format 1 removes no newer segment before one that could not be removed', async () => {
    const disk = newDisk()
    const options = { fileSystem: disk, entries: exampleEntries, format: 1, maxSegmentSize: 1 } as const
    const log = await WriteAheadLog.open(directory, options)
    for (const text of ['a', 'b', 'c', 'd', 'e']) await log.append(new ExampleEntry2(true, text))
    disk.fail({ kind: 'remove', code: 'ENOSPC' })
    expect(await codeOf(log.truncateBefore(4))).toBe('ERR_WAL_NO_SPACE')
    expect([log.state, log.firstOffset]).toEqual(['open', 1])
    await log.truncateBefore(4)
    expect(log.firstOffset).toBe(4)
    await log.close()
    const again = await WriteAheadLog.open(directory, options)
    expect([again.firstOffset, again.lastOffset]).toEqual([4, 5])
  })
})

it.each(['nothing', 'an entry'])('damage in front of a cut is told by who reads: only what lies behind the cut is dead; %s was appended behind it', async (what) => {
  const disk = newDisk()
  const log = await open(disk)
  await appendAll(log, 'first', 'second', 'third')
  const [{ path } = { path: '' }] = log.segments()
  await log.truncateAfter(2)
  // Without one a reader comes to the end of the log before its last entry, which is refused whatever it makes of the damage.
  if (what === 'an entry') await appendAll(log, 'other third')
  const last = log.lastOffset
  await log.close()
  const bytes = disk.contents(path)
  const at = Buffer.from(bytes).indexOf('second')
  bytes[at] = (bytes[at] as number) ^ 1
  disk.place(path, bytes)
  const again = await open(disk)
  expect(again.lastOffset).toBe(last)
  expect(() => contents(again)).toThrow(expect.objectContaining({ code: 'ERR_WAL_CORRUPT', offset: 2 }))
  const followed: number[] = []
  const following = async (): Promise<void> => {
    for await (const { offset } of again.follow({ from: 1 })) followed.push(offset)
  }
  expect(await codeOf(following())).toBe('ERR_WAL_CORRUPT')
  expect(followed.filter((offset) => offset > 1)).toEqual([])
})
