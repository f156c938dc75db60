/** The log as callers see it, on a disk that works. What it does on one that fails: write-ahead-log-failing.test.ts. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { json, utf8 } from '../src/entries/codecs.js'
import { defineEntries } from '../src/entries/define-entries.js'
import type { SimulatedDisk } from '../src/testing/index.js'
import { WriteAheadLog } from '../src/write-ahead-log.js'
import { bytesOf, collect, directory, newDisk, openOn, rejection, syncsSince, textOf, textsOf } from './support/logs.js'
import { ExampleEntry2, exampleEntries } from './support/waltest.js'

let disk: SimulatedDisk

beforeEach(() => {
  disk = newDisk()
})

const entries = defineEntries({
  put: { type: 1, codec: json<{ key: string; value?: unknown }>() },
  del: { type: 2, codec: utf8 },
})

describe('opening', () => {
  let home: string

  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'forelog-open-'))
  })

  afterEach(() => {
    rmSync(home, { recursive: true, force: true })
  })

  it('makes the directory and those above it, by a path or a URL', async () => {
    const path = join(home, 'a', 'b [1]*?')
    const log = await WriteAheadLog.open(path)
    await log.append(bytesOf('x'))
    await log.close()
    const again = await WriteAheadLog.open(pathToFileURL(path))
    expect(await textsOf(again)).toEqual(['1 x'])
    await again.close()
  })

  it('of a directory that can not be made rejects, and says why', async () => {
    const blocked = join(home, 'file')
    await (await WriteAheadLog.open(blocked)).close()
    const error = await rejection('ERR_WAL_WRITE_FAILED', WriteAheadLog.open(join(blocked, 'lock', 'log')))
    expect(error.message).toContain(join(blocked, 'lock', 'log'))
    expect(error.cause).toBeInstanceOf(Error)
  })

  it('a second time in one process is refused while the first has it, and not afterwards', async () => {
    const first = await WriteAheadLog.open(home)
    const error = await rejection('ERR_WAL_LOCKED', WriteAheadLog.open(home))
    expect(error.holder).toMatchObject({ pid: process.pid })
    await first.close()
    await (await WriteAheadLog.open(home)).close()
  })

  it('that is refused holds nothing: the next one may have the log', async () => {
    disk.place(`${directory}/foreign.wal`, bytesOf('?'))
    const error = await rejection('ERR_WAL_CORRUPT', openOn(disk))
    expect(error.path).toContain('foreign.wal')
    disk.removeSync(`${directory}/foreign.wal`)
    await (await openOn(disk)).close()
  })

  it('asks for no format and takes the one that is there; asked for the other one, it refuses', async () => {
    await (await WriteAheadLog.open(directory, { fileSystem: disk, format: 1, entries: exampleEntries })).close()
    await rejection('ERR_WAL_FORMAT', WriteAheadLog.open(directory, { fileSystem: disk, format: 2, entries: exampleEntries }))
    const log = await WriteAheadLog.open(directory, { fileSystem: disk, entries: exampleEntries })
    await log.append(new ExampleEntry2(true, 'x'))
    expect(disk.listSync(directory)).toContain('1.wal')
    await log.close()
  })

  it('as format 1 needs entries that know where they end', async () => {
    expect((await rejection('ERR_WAL_OPTION', openOn(disk, { format: 1 }))).message).toContain('readPayload')
    expect((await rejection('ERR_WAL_OPTION', WriteAheadLog.open(directory, { fileSystem: disk, format: 1, entries }))).message).toContain('readPayload')
  })
})

describe('append', () => {
  it('gives dense offsets from 1 on, in the order of the calls, and resolves in that order', async () => {
    const log = await openOn(disk)
    const settled: number[] = []
    const offsets = await Promise.all(
      Array.from({ length: 100 }, (_, index) =>
        log.append(bytesOf(String(index))).then((offset) => {
          settled.push(offset)
          return offset
        }),
      ),
    )
    const expected = Array.from({ length: 100 }, (_, index) => index + 1)
    expect(offsets).toEqual(expected)
    expect(settled).toEqual(expected)
    expect(await textsOf(log)).toEqual(expected.map((offset) => `${offset} ${offset - 1}`))
  })

  it('mixed with batches and syncs still resolves in the order of the calls', async () => {
    const log = await openOn(disk)
    const order: string[] = []
    const note = (name: string) => (): void => void order.push(name)
    await Promise.all([
      log.append(bytesOf('1')).then(note('append 1')),
      log.appendBatch([bytesOf('2'), bytesOf('3')]).then(note('batch 2')),
      log.append(bytesOf('4')).then(note('append 4')),
      log.truncateBefore(2).then(note('truncate')),
      log.append(bytesOf('5')).then(note('append 5')),
      log.sync().then(note('sync')),
      log.append(bytesOf('6')).then(note('append 6')),
    ])
    expect(order.filter((name) => name !== 'sync')).toEqual(['append 1', 'batch 2', 'append 4', 'truncate', 'append 5', 'append 6'])
    expect(order.indexOf('sync')).toBeGreaterThan(order.indexOf('append 5'))
  })

  it('resolves once the entry is on stable storage: a power cut right then loses nothing', async () => {
    const log = await openOn(disk)
    for (let offset = 1; offset <= 5; offset++) {
      await log.append(bytesOf(`entry ${offset}`))
      expect(log.durableOffset).toBe(offset)
      const after = await openOn(disk.afterCrash('none'))
      expect(after.lastOffset).toBe(offset)
      expect(await textsOf(after, { from: offset })).toEqual([`${offset} entry ${offset}`])
    }
  })

  it('encodes before it returns: what the caller does to its buffer afterwards changes nothing', async () => {
    const log = await openOn(disk)
    const buffer = bytesOf('before')
    const raw = { type: 7, payload: bytesOf('payload') }
    const batch = [bytesOf('in a batch')]
    const appended = [log.append(buffer), log.append(raw), log.appendBatch(batch)]
    buffer.fill(0)
    raw.payload.fill(0)
    raw.type = 3
    batch[0]?.fill(0)
    batch.length = 0
    await Promise.all(appended)
    expect(await textsOf(log)).toEqual(['1 before', '2 payload', '3 in a batch'])
    expect((await log.get(2)).entry.type).toBe(7)
  })

  it('of objects stores what they were at the call', async () => {
    const log = await WriteAheadLog.open(directory, { fileSystem: disk, entries })
    const value = { key: 'a', value: [1] }
    const appended = log.append(entries.put(value))
    value.key = 'b'
    value.value.push(2)
    await appended
    expect((await log.get(1)).entry.value).toEqual({ key: 'a', value: [1] })
  })

  it('takes an empty payload, and views of larger buffers', async () => {
    const log = await openOn(disk)
    await log.append(new Uint8Array(0))
    await log.append(bytesOf('..view..').subarray(2, 6))
    await log.append(Buffer.from('buffer'))
    expect(await textsOf(log)).toEqual(['1 ', '2 view', '3 buffer'])
  })

  it('ten thousand times at once needs a handful of syncs', async () => {
    const log = await openOn(disk)
    const before = disk.journal.length
    const offsets = await Promise.all(Array.from({ length: 10_000 }, (_, index) => log.append(bytesOf(String(index)))))
    expect(offsets).toEqual(Array.from({ length: 10_000 }, (_, index) => index + 1))
    expect(syncsSince(disk, before)).toBeLessThanOrEqual(10)
    expect(await textsOf(log)).toEqual(offsets.map((offset) => `${offset} ${offset - 1}`))
    await log.close()
    expect((await openOn(disk)).lastOffset).toBe(10_000)
  })

  it('one after the other needs a sync for each: none is acknowledged on the word of an earlier one', async () => {
    const log = await openOn(disk)
    const before = disk.journal.length
    for (let index = 0; index < 50; index++) await log.append(bytesOf(String(index)))
    expect(syncsSince(disk, before)).toBeGreaterThanOrEqual(50)
  })

  it('that is not awaited is still there after close', async () => {
    const log = await openOn(disk)
    const appended = Promise.all([log.append(bytesOf('a')), log.append(bytesOf('b'))])
    await log.close()
    expect(await appended).toEqual([1, 2])
    expect(await textsOf(await openOn(disk))).toEqual(['1 a', '2 b'])
  })

  it('of something that can not be encoded rejects that append alone: it uses no offset, and the log goes on', async () => {
    const log = await WriteAheadLog.open(directory, { fileSystem: disk, entries })
    const cyclic: { key: string; value?: unknown } = { key: 'a' }
    cyclic.value = cyclic
    const [first, bad, second] = await Promise.allSettled([
      log.append(entries.del('x')),
      log.append(entries.put(cyclic)),
      log.append(entries.del('y')),
    ])
    expect(first).toMatchObject({ value: 1 })
    expect(second).toMatchObject({ value: 2 })
    expect(bad).toMatchObject({ reason: { code: 'ERR_WAL_ENCODE', type: 1, cause: expect.any(TypeError) } })
    expect((bad as PromiseRejectedResult).reason.message).toContain("'put'")
    expect(log.state).toBe('open')
    expect((await collect(log.entries())).map(({ entry }) => entry.value)).toEqual(['x', 'y'])
  })

  it.for([
    ['nothing', undefined],
    ['null', null],
    ['a string', 'text'],
    ['a number', 5],
    ['an object', {}],
    ['a type without a payload', { type: 1 }],
    ['a payload that is no Uint8Array', { type: 1, payload: 'text' }],
    ['a type that is no integer', { type: 1.5, payload: new Uint8Array(1) }],
    ['a type below 0', { type: -1, payload: new Uint8Array(1) }],
    ['a type above 255', { type: 256, payload: new Uint8Array(1) }],
    ['an array of numbers', [1, 2]],
    ['an ArrayBuffer', new ArrayBuffer(1)],
  ] as const)('refuses %s', async ([, wrong]) => {
    const log = await openOn(disk)
    await rejection('ERR_WAL_ENCODE', log.append(wrong as never))
    expect(await log.append(bytesOf('right'))).toBe(1)
  })

  it('refuses the type of the log itself, 255, in format 2', async () => {
    const log = await openOn(disk)
    const error = await rejection('ERR_WAL_ENTRY_TYPE_RESERVED', log.append({ type: 255, payload: bytesOf('x') }))
    expect(error.type).toBe(255)
    expect(await log.append({ type: 254, payload: bytesOf('x') })).toBe(1)
  })

  it('refuses entries of types that the log does not know', async () => {
    const log = await WriteAheadLog.open(directory, { fileSystem: disk, entries })
    const others = defineEntries({ other: { type: 9, codec: utf8 } })
    expect((await rejection('ERR_WAL_ENTRY_TYPE_UNKNOWN', log.append(others.other('x') as never))).type).toBe(9)
  })

  it('refuses an entry above maxEntrySize and writes nothing of it; one of exactly that size is taken', async () => {
    const log = await openOn(disk, { maxEntrySize: 100 })
    const error = await rejection('ERR_WAL_ENTRY_TOO_LARGE', log.append(new Uint8Array(101)))
    expect(error.bytes).toBe(101)
    expect(await log.append(new Uint8Array(100))).toBe(1)
    await log.close()
    const smaller = await openOn(disk, { maxEntrySize: 10 })
    expect((await smaller.get(1)).entry.payload).toHaveLength(100)
  })

  it('refuses to be called by an entry that is being encoded', async () => {
    const log = await WriteAheadLog.open(directory, { fileSystem: disk, entries: exampleEntries })
    const inner: Promise<number>[] = []
    const nosy = new ExampleEntry2(true, 'nosy')
    nosy.encodePayload = (buffer) => {
      inner.push(log.append(new ExampleEntry2(false, 'inner')))
      return new ExampleEntry2(true, 'nosy').encodePayload(buffer)
    }
    expect(await log.append(nosy)).toBe(1)
    await rejection('ERR_WAL_BUSY', inner[0] as Promise<number>)
    expect(log.lastOffset).toBe(1)
  })
})

describe('appendBatch', () => {
  it('gives the first and the last offset, in the order of the calls', async () => {
    const log = await openOn(disk)
    const results = await Promise.all([
      log.append(bytesOf('a')),
      log.appendBatch([bytesOf('b'), { type: 4, payload: bytesOf('c') }]),
      log.append(bytesOf('d')),
    ])
    expect(results).toEqual([1, { first: 2, last: 3 }, 4])
    expect(await textsOf(log)).toEqual(['1 a', '2 b', '3 c', '4 d'])
  })

  it('of nothing changes nothing: first is one more than last', async () => {
    const log = await openOn(disk)
    await log.append(bytesOf('a'))
    const before = disk.contents(log.segments()[0]?.path as string)
    expect(await log.appendBatch([])).toEqual({ first: 2, last: 1 })
    expect(disk.contents(log.segments()[0]?.path as string)).toEqual(before)
    expect(log.lastOffset).toBe(1)
    expect(await Promise.all([log.appendBatch([]), log.append(bytesOf('b')), log.appendBatch([])])).toEqual([
      { first: 2, last: 1 },
      2,
      { first: 3, last: 2 },
    ])
  })

  it('of nothing on a new log gives first 1, last 0', async () => {
    const log = await openOn(disk)
    expect(await log.appendBatch([])).toEqual({ first: 1, last: 0 })
    expect(await log.append(bytesOf('a'))).toBe(1)
  })

  it('takes any iterable', async () => {
    const log = await openOn(disk)
    function* some(): Generator<Uint8Array> {
      yield bytesOf('a')
      yield bytesOf('b')
    }
    expect(await log.appendBatch(some())).toEqual({ first: 1, last: 2 })
    expect(await log.appendBatch(new Set([bytesOf('c')]))).toEqual({ first: 3, last: 3 })
  })

  it.for([[undefined], [null], [5], [{}]] as const)('refuses %s, which is no iterable', async ([wrong]) => {
    const log = await openOn(disk)
    await rejection('ERR_WAL_OPTION', log.appendBatch(wrong as never))
  })

  it('with one bad entry rejects all of it, and uses no offset', async () => {
    const log = await openOn(disk)
    const [, bad, after] = await Promise.allSettled([
      log.append(bytesOf('a')),
      log.appendBatch([bytesOf('b'), 'not bytes' as never, bytesOf('c')]),
      log.append(bytesOf('d')),
    ])
    expect(bad).toMatchObject({ reason: { code: 'ERR_WAL_ENCODE' } })
    expect(after).toMatchObject({ value: 2 })
    expect(await textsOf(log)).toEqual(['1 a', '2 d'])
  })

  it('whose iterable throws rejects with that, and the log goes on', async () => {
    const log = await openOn(disk)
    const thrown = new Error('no more')
    function* breaks(): Generator<Uint8Array> {
      yield bytesOf('a')
      throw thrown
    }
    await expect(log.appendBatch(breaks())).rejects.toBe(thrown)
    expect(await log.append(bytesOf('b'))).toBe(1)
    expect(await textsOf(log)).toEqual(['1 b'])
  })

  it('is never split over segments, however small they are', async () => {
    const log = await openOn(disk, { maxSegmentSize: 200 })
    await log.append(bytesOf('a'))
    await log.appendBatch(Array.from({ length: 50 }, () => new Uint8Array(20)))
    await log.append(bytesOf('b'))
    expect(log.segments().map(({ firstOffset, lastOffset }) => [firstOffset, lastOffset])).toEqual([[1, 51], [52, 52]])
  })

  it('is there after a power cut as a whole or not at all', async () => {
    const log = await openOn(disk)
    await log.append(bytesOf('a'))
    const cuts: SimulatedDisk[] = []
    disk.onCall = ({ kind, path }, moment) => {
      if (moment !== 'after' || kind !== 'write' || !path.includes('.wal')) return
      disk.onCall = undefined
      for (let seed = 0; seed < 200; seed++) cuts.push(disk.afterCrash({ mode: 'torn', seed }))
    }
    await log.appendBatch(Array.from({ length: 40 }, (_, index) => new Uint8Array(100).fill(index + 1)))
    expect(cuts).toHaveLength(200)
    const lastOffsets = new Set<number>()
    for (const cut of cuts) lastOffsets.add((await openOn(cut)).lastOffset)
    expect([...lastOffsets].filter((last) => last !== 1 && last !== 41)).toEqual([])
    expect(lastOffsets).toContain(1)
  })
})

describe('appendSync', () => {
  it('gives the offset, and the entry is on stable storage when it returns', async () => {
    const log = await openOn(disk)
    expect(log.appendSync(bytesOf('a'))).toBe(1)
    expect(log.appendSync(bytesOf('b'))).toBe(2)
    expect([log.lastOffset, log.durableOffset]).toEqual([2, 2])
    const after = await openOn(disk.afterCrash('none'))
    expect(await textsOf(after)).toEqual(['1 a', '2 b'])
  })

  it('takes turns with append', async () => {
    const log = await openOn(disk)
    expect(await log.append(bytesOf('a'))).toBe(1)
    expect(log.appendSync(bytesOf('b'))).toBe(2)
    expect(await log.append(bytesOf('c'))).toBe(3)
    expect(await textsOf(log)).toEqual(['1 a', '2 b', '3 c'])
  })

  it.for<[string, (log: WriteAheadLog) => Promise<unknown>]>([
    ['append', (log) => log.append(bytesOf('x'))],
    ['appendBatch', (log) => log.appendBatch([bytesOf('x')])],
    ['empty appendBatch', (log) => log.appendBatch([])],
    ['sync', (log) => log.sync()],
    ['truncateBefore', (log) => log.truncateBefore(1)],
  ])('is refused while the promise of %s has not settled, and goes on afterwards', async ([, call]) => {
    const log = await openOn(disk)
    const pending = call(log)
    expect(() => log.appendSync(bytesOf('y'))).toThrow(expect.objectContaining({ code: 'ERR_WAL_BUSY' }))
    await pending
    const last = log.lastOffset
    expect(log.appendSync(bytesOf('y'))).toBe(last + 1)
  })

  it('throws what can not be encoded, and uses no offset for it', async () => {
    const log = await openOn(disk)
    expect(() => log.appendSync('text' as never)).toThrow(expect.objectContaining({ code: 'ERR_WAL_ENCODE' }))
    expect(log.appendSync(bytesOf('a'))).toBe(1)
    expect(await log.append(bytesOf('b'))).toBe(2)
  })

  it('rolls, and throws on a closed log', async () => {
    const log = await openOn(disk, { maxSegmentSize: 300 })
    for (let index = 0; index < 20; index++) log.appendSync(bytesOf(`entry ${index}`))
    expect(log.segments().length).toBeGreaterThan(3)
    await log.close()
    expect(() => log.appendSync(bytesOf('x'))).toThrow(expect.objectContaining({ code: 'ERR_WAL_CLOSED' }))
    expect((await openOn(disk)).lastOffset).toBe(20)
  })

  it('works beside the timer that syncs every interval', async () => {
    const log = await openOn(disk, { sync: 'interval', syncInterval: 1 })
    for (let index = 0; index < 5; index++) {
      log.appendSync(bytesOf(String(index)))
      await expect.poll(() => log.durableOffset).toBe(index + 1)
    }
    await log.close()
  })
})

describe('sync', () => {
  it.for(['interval', 'manual'] as const)('in mode %s gives the durable offset, and covers every append called before it', async (sync) => {
    const log = await openOn(disk, sync === 'interval' ? { sync, syncInterval: 3_600_000 } : { sync })
    const appended = Array.from({ length: 10 }, (_, index) => log.append(bytesOf(String(index))))
    const durable = await log.sync()
    expect(durable).toBeGreaterThanOrEqual(10)
    expect(log.durableOffset).toBe(durable)
    expect(await Promise.all(appended)).toHaveLength(10)
    expect((await openOn(disk.afterCrash('none'))).lastOffset).toBe(10)
    await log.close()
  })

  it('covers appends of which none has begun to be written', async () => {
    const log = await openOn(disk, { sync: 'manual' })
    await log.append(bytesOf('a'))
    expect(log.durableOffset).toBe(0)
    void log.append(bytesOf('b'))
    void log.appendBatch([bytesOf('c'), bytesOf('d')])
    expect(await log.sync()).toBe(4)
  })

  it('with nothing to sync resolves, on a new log with 0', async () => {
    const log = await openOn(disk)
    expect(await log.sync()).toBe(0)
    await log.append(bytesOf('a'))
    const before = disk.journal.length
    expect(await log.sync()).toBe(1)
    expect(syncsSince(disk, before)).toBe(0)
  })
})

describe("sync: 'interval' and 'manual'", () => {
  it('acknowledge what the operating system has, which survives the process', async () => {
    const log = await openOn(disk, { sync: 'manual' })
    for (let index = 0; index < 10; index++) await log.append(bytesOf(String(index)))
    expect([log.lastOffset, log.durableOffset]).toEqual([10, 0])
    const killed = await openOn(disk.afterCrash('process'))
    expect(killed.lastOffset).toBe(10)
  })

  it("'manual' syncs nothing until it is asked to, and close is such a request", async () => {
    const log = await openOn(disk, { sync: 'manual' })
    const before = disk.journal.length
    for (let index = 0; index < 10; index++) await log.append(bytesOf(String(index)))
    expect(syncsSince(disk, before)).toBe(0)
    await log.close()
    expect((await openOn(disk.afterCrash('none'))).lastOffset).toBe(10)
  })

  it("'interval' syncs by itself", async () => {
    const log = await openOn(disk, { sync: 'interval', syncInterval: 2 })
    await log.append(bytesOf('a'))
    await expect.poll(() => log.durableOffset).toBe(1)
    await log.append(bytesOf('b'))
    await expect.poll(() => log.durableOffset).toBe(2)
    await log.close()
  })
})

describe('syncDelay', () => {
  it('lets appends of later turns share a sync, and is not waited out by sync()', async () => {
    const log = await openOn(disk, { syncDelay: 60_000 })
    const appended: Promise<number>[] = []
    for (let turn = 0; turn < 5; turn++) {
      appended.push(log.append(bytesOf(String(turn))))
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(log.lastOffset).toBe(0)
    const before = disk.journal.length
    expect(await log.sync()).toBe(5)
    expect(syncsSince(disk, before)).toBe(1)
    expect(await Promise.all(appended)).toEqual([1, 2, 3, 4, 5])
  })

  it('passes by itself', async () => {
    const log = await openOn(disk, { syncDelay: 2 })
    expect(await log.append(bytesOf('a'))).toBe(1)
    expect(log.durableOffset).toBe(1)
  })

  it('is not waited out by close()', async () => {
    const log = await openOn(disk, { syncDelay: 60_000 })
    const appended = log.append(bytesOf('a'))
    await log.close()
    expect(await appended).toBe(1)
  })
})

describe('maxPendingBytes', () => {
  const payload = new Uint8Array(91) // with its header: 100 bytes

  it('refuses what is beyond it, and every later one until half is written: the order has no holes', async () => {
    const log = await openOn(disk, { maxPendingBytes: 1_000 })
    const calls = [
      ...Array.from({ length: 10 }, () => log.append(payload)),
      log.append(payload),
      // Small enough to fit, but behind one that was refused.
      log.append(new Uint8Array(0)),
      log.appendBatch([]),
    ]
    const results = await Promise.allSettled(calls)
    expect(results.slice(0, 10).map((result) => (result as PromiseFulfilledResult<number>).value)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    for (const refused of results.slice(10)) expect(refused).toMatchObject({ reason: { code: 'ERR_WAL_BACKPRESSURE' } })
    expect(await log.append(payload)).toBe(11)
    expect(log.lastOffset).toBe(11)
    expect(log.state).toBe('open')
  })

  it('takes exactly as much as it says', async () => {
    const log = await openOn(disk, { maxPendingBytes: 1_000 })
    const results = await Promise.allSettled([
      ...Array.from({ length: 9 }, () => log.append(payload)),
      log.append(new Uint8Array(92)),
    ])
    expect(results.map(({ status }) => status)).toEqual([...Array.from({ length: 9 }, () => 'fulfilled'), 'rejected'])
  })

  it('takes one larger batch alone', async () => {
    const log = await openOn(disk, { maxPendingBytes: 1_000 })
    const large = log.appendBatch(Array.from({ length: 30 }, () => payload))
    await rejection('ERR_WAL_BACKPRESSURE', log.append(payload))
    expect(await large).toEqual({ first: 1, last: 30 })
    expect(await log.append(new Uint8Array(5_000))).toBe(31)
  })

  it('is never met by a caller with one append in flight', async () => {
    const log = await openOn(disk, { maxPendingBytes: 1 })
    for (let index = 1; index <= 20; index++) expect(await log.append(payload)).toBe(index)
    expect(log.stats().refused.backpressure).toBe(0)
  })
})

describe('get', () => {
  it('gives one entry with its offset', async () => {
    const log = await openOn(disk, { maxSegmentSize: 300 })
    for (let index = 1; index <= 40; index++) await log.append({ type: index, payload: bytesOf(`entry ${index}`) })
    for (const offset of [1, 2, 17, 39, 40]) {
      expect(await log.get(offset)).toEqual({ offset, entry: { type: offset, payload: bytesOf(`entry ${offset}`) } })
    }
  })

  it.for([0, 4, -1, 1.5, NaN, Infinity, '1' as unknown as number, undefined as unknown as number])('of %s is out of range', async (offset) => {
    const log = await openOn(disk)
    await log.appendBatch(['a', 'b', 'c'].map(bytesOf))
    await rejection('ERR_WAL_OFFSET_OUT_OF_RANGE', log.get(offset))
  })

  it('of what was truncated is out of range, and says what is there', async () => {
    const log = await openOn(disk)
    await log.appendBatch(['a', 'b', 'c'].map(bytesOf))
    await log.truncateBefore(3)
    const error = await rejection('ERR_WAL_OFFSET_OUT_OF_RANGE', log.get(2))
    expect(error.offset).toBe(2)
    expect(error.message).toContain('3')
    expect(textOf((await log.get(3)).entry.payload)).toBe('c')
  })
})

describe('offsets', () => {
  it('of a new log: first 1, last 0, durable 0', async () => {
    const log = await openOn(disk)
    expect([log.firstOffset, log.lastOffset, log.durableOffset]).toEqual([1, 0, 0])
  })

  it('lastOffset is the newest acknowledged entry, not the newest called', async () => {
    const log = await openOn(disk)
    const appended = log.append(bytesOf('a'))
    expect(log.lastOffset).toBe(0)
    await appended
    expect(log.lastOffset).toBe(1)
  })

  it('go on where they were after every reopening, with and without rolls', async () => {
    for (let life = 0; life < 6; life++) {
      const log = await openOn(disk, { maxSegmentSize: 200 })
      expect(log.lastOffset).toBe(life * 7)
      for (let index = 1; index <= 7; index++) expect(await log.append(bytesOf(`life ${life}`))).toBe(life * 7 + index)
      await log.close()
    }
    const log = await openOn(disk)
    expect(await textsOf(log)).toEqual(Array.from({ length: 42 }, (_, index) => `${index + 1} life ${Math.floor(index / 7)}`))
    expect(log.durableOffset).toBe(42)
  })
})

describe('segments', () => {
  it('tells each with its path, offsets and bytes; the newest is active, all others are closed', async () => {
    const log = await openOn(disk, { maxSegmentSize: 300 })
    for (let index = 0; index < 30; index++) await log.append(bytesOf(`entry ${index}`))
    const segments = log.segments()
    expect(segments.length).toBeGreaterThan(3)
    expect(segments.map(({ state }) => state)).toEqual([...segments.slice(1).map(() => 'closed'), 'active'])
    let next = 1
    for (const [index, segment] of segments.entries()) {
      expect(segment.id).toBe(index + 1)
      expect(segment.firstOffset).toBe(next)
      next = segment.lastOffset + 1
      expect(segment.path).toBe(`${directory}/${String(segment.id).padStart(10, '0')}-${String(segment.firstOffset).padStart(16, '0')}.wal`)
      if (segment.state === 'closed') expect(segment.bytes).toBe(disk.contents(segment.path).length)
      else expect(segment.bytes).toBeLessThanOrEqual(disk.contents(segment.path).length)
    }
    expect(next).toBe(31)
  })

  it('are larger than maxSegmentSize by their last group alone', async () => {
    const log = await openOn(disk, { maxSegmentSize: 1_000 })
    for (let index = 0; index < 100; index++) await log.append(new Uint8Array(90))
    for (const { bytes, state } of log.segments()) {
      if (state === 'closed') expect(bytes).toBeLessThan(1_000 + 400)
    }
  })

  it('that have no entry yet end in front of their first', async () => {
    const log = await openOn(disk)
    expect(log.segments()).toMatchObject([{ id: 1, firstOffset: 1, lastOffset: 0, state: 'active' }])
  })

  it('count no byte that is only filled ahead', async () => {
    const log = await openOn(disk)
    await log.append(new Uint8Array(1_000))
    const [segment] = log.segments()
    expect(segment?.bytes).toBeGreaterThan(1_000)
    expect(segment?.bytes).toBeLessThan(1_500)
  })
})

describe('truncateBefore', () => {
  async function filled(options: Parameters<typeof openOn>[1] = { maxSegmentSize: 300 }): Promise<WriteAheadLog> {
    const log = await openOn(disk, options)
    for (let index = 1; index <= 40; index++) await log.append(bytesOf(`entry ${index}`))
    return log
  }

  it('makes the offset the first one, durably, and frees the segments below', async () => {
    const log = await filled()
    const before = log.segments()
    await log.truncateBefore(25)
    expect(log.firstOffset).toBe(25)
    expect(await textsOf(log)).toEqual(Array.from({ length: 16 }, (_, index) => `${index + 25} entry ${index + 25}`))
    expect(log.segments().length).toBeLessThan(before.length)
    for (const { path, lastOffset } of before) {
      expect(disk.listSync(directory).some((name) => path.endsWith(name)), path).toBe(lastOffset >= 25)
    }
    const after = await openOn(disk.afterCrash('none'))
    expect([after.firstOffset, after.lastOffset]).toEqual([25, 40])
  })

  it('to lastOffset + 1 leaves an empty log that goes on behind it, in this life and the next', async () => {
    const log = await filled()
    await log.truncateBefore(41)
    expect([log.firstOffset, log.lastOffset]).toEqual([41, 40])
    expect(await textsOf(log)).toEqual([])
    await log.close()
    const again = await openOn(disk)
    expect([again.firstOffset, again.lastOffset]).toEqual([41, 40])
    expect(await again.append(bytesOf('next'))).toBe(41)
    expect(await textsOf(again)).toEqual(['41 next'])
  })

  it('below firstOffset changes nothing', async () => {
    const log = await filled()
    await log.truncateBefore(20)
    for (const offset of [0, 1, 19, 20]) await log.truncateBefore(offset)
    expect(log.firstOffset).toBe(20)
  })

  it.for([42, -1, 1.5, NaN, Infinity, '2' as unknown as number])('of %s is out of range', async (offset) => {
    const log = await filled()
    await rejection('ERR_WAL_OFFSET_OUT_OF_RANGE', log.truncateBefore(offset))
    expect(log.firstOffset).toBe(1)
    expect(log.state).toBe('open')
  })

  it('takes its place in the order of the calls: it knows the appends in front of it', async () => {
    const log = await openOn(disk)
    const [, , late] = await Promise.allSettled([
      log.appendBatch(['a', 'b'].map(bytesOf)),
      log.truncateBefore(3),
      log.truncateBefore(4),
      log.append(bytesOf('c')),
    ])
    expect(late).toMatchObject({ reason: { code: 'ERR_WAL_OFFSET_OUT_OF_RANGE' } })
    expect([log.firstOffset, log.lastOffset]).toEqual([3, 3])
  })

  it('in format 1 frees whole segments, and keeps the newest one with an entry', async () => {
    const log = await WriteAheadLog.open(directory, { fileSystem: disk, format: 1, entries: exampleEntries, maxSegmentSize: 100 })
    for (let index = 1; index <= 20; index++) await log.append(new ExampleEntry2(true, `entry ${index}`))
    await log.truncateBefore(10)
    expect(log.firstOffset).toBeLessThanOrEqual(10)
    expect(log.firstOffset).toBeGreaterThan(1)
    await log.truncateBefore(21)
    expect(log.firstOffset).toBeLessThanOrEqual(20)
    await log.close()
    const again = await WriteAheadLog.open(directory, { fileSystem: disk, entries: exampleEntries })
    expect(again.lastOffset).toBe(20)
    expect(await again.append(new ExampleEntry2(true, 'next'))).toBe(21)
  })
})

describe('recovery', () => {
  it('of a new log and of a clean shutdown: clean, nothing cut', async () => {
    const log = await openOn(disk)
    const nothing = { clean: true, tornBytes: 0, ambiguous: false, quarantined: [] }
    expect(log.recovery).toMatchObject(nothing)
    await log.append(bytesOf('a'))
    await log.close()
    const again = await openOn(disk)
    expect(again.recovery).toMatchObject(nothing)
  })

  it('of a process that ended without close: not clean, nothing cut, with what was examined', async () => {
    const log = await openOn(disk)
    for (let index = 0; index < 10; index++) await log.append(bytesOf(String(index)))
    const after = await openOn(disk.afterCrash('process'))
    expect(after.recovery).toMatchObject({ clean: false, tornBytes: 0, quarantined: [] })
    expect(after.recovery.entriesExamined).toBeGreaterThanOrEqual(10)
    expect(after.recovery.bytesExamined).toBeGreaterThan(100)
  })

  it("tells what was cut and where its copy is; 'strict' refuses to cut it and changes nothing", async () => {
    const log = await openOn(disk)
    await log.append(bytesOf('kept'))
    const path = log.segments()[0]?.path as string
    const { bytes } = log.segments()[0] as { bytes: number }
    const torn = disk.afterCrash('process')
    const whole = disk.contents(path).subarray(0, bytes)
    torn.place(path, Buffer.concat([whole, Buffer.alloc(700, 0xee)]))
    const before = torn.contents(path)
    await rejection('ERR_WAL_TORN', openOn(torn, { recovery: 'strict' }))
    expect(torn.contents(path)).toEqual(before)
    const after = await openOn(torn)
    expect(after.recovery).toMatchObject({ clean: false, tornBytes: 700 })
    expect(after.recovery.quarantined).toHaveLength(1)
    expect(torn.contents(after.recovery.quarantined[0] as string)).toEqual(new Uint8Array(700).fill(0xee))
    expect(await textsOf(after)).toEqual(['1 kept'])
  })
})

describe('state and close', () => {
  it('goes from open over closing to closed', async () => {
    const log = await openOn(disk)
    expect(log.state).toBe('open')
    const closed = log.close()
    expect(log.state).toBe('closing')
    await closed
    expect(log.state).toBe('closed')
    expect(log.failure).toBeUndefined()
  })

  it('a second close gives the same promise', async () => {
    const log = await openOn(disk)
    const closed = log.close()
    expect(log.close()).toBe(closed)
    expect(log[Symbol.asyncDispose]()).toBe(closed)
    await closed
    expect(log.close()).toBe(closed)
  })

  it('finishes what was accepted, in any mode, and says in the log that all is well', async () => {
    for (const [index, sync] of (['always', 'interval', 'manual'] as const).entries()) {
      const log = await openOn(disk, { sync })
      const appended = Array.from({ length: 5 }, () => log.append(bytesOf(sync)))
      await log.close()
      await Promise.all(appended)
      const after = await openOn(disk.afterCrash('none'))
      expect(after.lastOffset).toBe((index + 1) * 5)
      expect(after.recovery.clean).toBe(true)
    }
  })

  it.for<[string, (log: WriteAheadLog) => Promise<unknown>]>([
    ['append', (log) => log.append(bytesOf('x'))],
    ['appendBatch', (log) => log.appendBatch([bytesOf('x')])],
    ['an empty appendBatch', (log) => log.appendBatch([])],
    ['sync', (log) => log.sync()],
    ['truncateBefore', (log) => log.truncateBefore(1)],
    ['get', (log) => log.get(1)],
    ['entries', (log) => collect(log.entries())],
    ['batches', (log) => collect(log.entries().batches())],
    ['entriesSync', async (log) => collect(log.entriesSync())],
  ])('refuses %s from the call on, and afterwards', async ([, call]) => {
    const log = await openOn(disk)
    await log.append(bytesOf('a'))
    const closed = log.close()
    await rejection('ERR_WAL_CLOSED', call(log))
    await closed
    await rejection('ERR_WAL_CLOSED', call(log))
    expect(log.lastOffset).toBe(1)
  })

  it('still tells offsets, segments and stats afterwards', async () => {
    const log = await openOn(disk)
    await log.append(bytesOf('a'))
    await log.close()
    expect([log.firstOffset, log.lastOffset, log.durableOffset]).toEqual([1, 1, 1])
    expect(log.segments()).toHaveLength(1)
    expect(log.stats().appends).toBe(1)
  })

  it('frees the lock: the next one may have the log', async () => {
    const log = await openOn(disk)
    await rejection('ERR_WAL_LOCKED', openOn(disk))
    await log.close()
    await (await openOn(disk)).close()
  })

  it('opened and closed without an append leaves a log that is empty and clean, again and again', async () => {
    for (let life = 0; life < 5; life++) {
      const log = await openOn(disk)
      expect([log.firstOffset, log.lastOffset, log.recovery.clean]).toEqual([1, 0, true])
      await log.close()
      expect(log.state).toBe('closed')
    }
    expect(disk.listSync(directory).filter((name) => name.endsWith('.wal'))).toHaveLength(1)
  })

  it('is what `await using` calls', async () => {
    let held: WriteAheadLog
    {
      await using log = await openOn(disk)
      held = log
      void log.append(bytesOf('a'))
    }
    expect(held.state).toBe('closed')
    expect(held.lastOffset).toBe(1)
  })

  it('leaves no file open and no lock held', async () => {
    const log = await openOn(disk, { maxSegmentSize: 200 })
    for (let index = 0; index < 30; index++) await log.append(bytesOf(`entry ${index}`))
    await textsOf(log)
    await log.close()
    expect(disk.openFiles).toBe(0)
    expect(disk.journal.filter(({ kind }) => kind === 'lock' || kind === 'release').map(({ kind }) => kind)).toEqual(['lock', 'release'])
  })
})
