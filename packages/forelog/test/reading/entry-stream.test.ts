/** What callers iterate: `entries`, `.batches()` and `entriesSync`. */
import { beforeEach, describe, expect, it } from 'vitest'
import type { RawEntry } from '../../src/entries/entry.js'
import type { StoredEntry } from '../../src/reading/entry-reader.js'
import type { ReadOptions } from '../../src/reading/entry-stream.js'
import type { SimulatedDisk } from '../../src/testing/index.js'
import type { WriteAheadLog } from '../../src/write-ahead-log.js'
import { bytesOf, collect, newDisk, openOn, rejection, textOf } from '../support/logs.js'

let disk: SimulatedDisk
let log: WriteAheadLog

/** Twenty entries in several segments. */
beforeEach(async () => {
  disk = newDisk()
  log = await openOn(disk, { maxSegmentSize: 400 })
  for (let offset = 1; offset <= 20; offset++) await log.append({ type: offset, payload: bytesOf(`entry ${offset}`) })
  expect(log.segments().length).toBeGreaterThan(3)
})

const offsetsOf = (stored: readonly StoredEntry<RawEntry>[]): number[] => stored.map(({ offset }) => offset)
const from = (first: number, last: number): number[] => Array.from({ length: last - first + 1 }, (_, index) => first + index)

/** The three ways to read a range, each to an array of entries. */
const ways: [string, (options?: ReadOptions) => Promise<StoredEntry<RawEntry>[]>][] = [
  ['entries', (options) => collect(log.entries(options))],
  ['batches', async (options) => (await collect(log.entries(options).batches())).flat()],
  ['entriesSync', (options) => collect(log.entriesSync(options))],
]

describe.each(ways)('%s', (name, read) => {
  it('gives all entries in order, over all segments, each as it was appended', async () => {
    expect(await read()).toEqual(from(1, 20).map((offset) => ({ offset, entry: { type: offset, payload: bytesOf(`entry ${offset}`) } })))
  })

  it('takes from and to as inclusive', async () => {
    for (const [first, last] of [[1, 1], [1, 20], [3, 11], [7, 7], [20, 20]] as const) {
      expect(offsetsOf(await read({ from: first, to: last }))).toEqual(from(first, last))
    }
    expect(offsetsOf(await read({ from: 18 }))).toEqual([18, 19, 20])
    expect(offsetsOf(await read({ to: 2 }))).toEqual([1, 2])
  })

  it('gives nothing from lastOffset + 1 on, and where to is in front of from', async () => {
    expect(await read({ from: 21 })).toEqual([])
    expect(await read({ from: 5, to: 4 })).toEqual([])
    expect(await read({ to: 0 })).toEqual([])
  })

  it('goes to the end where to is beyond it', async () => {
    expect(offsetsOf(await read({ from: 19, to: 1_000 }))).toEqual([19, 20])
    expect(offsetsOf(await read({ from: 19, to: Infinity }))).toEqual([19, 20])
  })

  it.for([22, 0, -3, Infinity, 2 ** 53])('from %s is out of range, at the first step', async (first) => {
    const error = await rejection('ERR_WAL_OFFSET_OUT_OF_RANGE', read({ from: first }))
    expect(error.offset).toBe(first)
    expect(error.message).toContain('1 to 20')
  })

  it('below firstOffset is out of range; by default it begins there', async () => {
    await log.truncateBefore(15)
    await rejection('ERR_WAL_OFFSET_OUT_OF_RANGE', read({ from: 14 }))
    expect(offsetsOf(await read())).toEqual(from(15, 20))
  })

  it('of an empty log gives nothing', async () => {
    log = await openOn(newDisk())
    expect(await read()).toEqual([])
    expect(await read({ from: 1 })).toEqual([])
    await rejection('ERR_WAL_OFFSET_OUT_OF_RANGE', read({ from: 2 }))
  })

  it('of a log that was truncated to its end gives nothing', async () => {
    await log.truncateBefore(21)
    expect(await read()).toEqual([])
    expect(await read({ from: 21 })).toEqual([])
  })

  it.for<[string, object]>([
    ['form', { form: 1 }],
    ['from', { from: '1' }],
    ['from', { from: 1.5 }],
    ['from', { from: NaN }],
    ['from', { from: null }],
    ['to', { to: '3' }],
    ['to', { to: 2.5 }],
    ['copy', { copy: 1 }],
  ])('refuses the option %s of %j at the call, by name', ([option, options]) => {
    const call = (): unknown => (name === 'entriesSync' ? log.entriesSync(options) : log.entries(options))
    expect(call).toThrow(expect.objectContaining({ code: 'ERR_WAL_OPTION', option, message: expect.stringContaining(option) }))
  })

  it('refuses options that are no object', () => {
    for (const options of [null, 5, 'from', []] as never[]) {
      const call = (): unknown => (name === 'entriesSync' ? log.entriesSync(options) : log.entries(options))
      expect(call).toThrow(expect.objectContaining({ code: 'ERR_WAL_OPTION' }))
    }
  })

  it('hands out bytes that are the caller’s own: they stay, and changing them changes nothing', async () => {
    const first = await read()
    for (const { entry } of first) entry.payload.fill(0)
    expect((await read()).map(({ entry }) => textOf(entry.payload))).toEqual(from(1, 20).map((offset) => `entry ${offset}`))
    expect(first.every(({ entry }) => entry.payload.every((byte) => byte === 0))).toBe(true)
  })
})

describe('entries', () => {
  it('ends at the lastOffset of the moment of the call', async () => {
    const stream = log.entries({ from: 19 })
    const blocking = log.entriesSync({ from: 19 })
    const steps = stream[Symbol.asyncIterator]()
    await log.append(bytesOf('later'))
    expect((await steps.next()).value).toMatchObject({ offset: 19 })
    await log.append(bytesOf('later still'))
    expect((await steps.next()).value).toMatchObject({ offset: 20 })
    expect((await steps.next()).done).toBe(true)
    expect(offsetsOf(await collect(stream))).toEqual([19, 20])
    expect(offsetsOf(await collect(blocking))).toEqual([19, 20])
    expect(offsetsOf(await collect(log.entries({ from: 19 })))).toEqual([19, 20, 21, 22])
  })

  it('can be iterated more than once, each time from the beginning, and several times at once', async () => {
    const stream = log.entries({ to: 15 })
    const blocking = log.entriesSync({ to: 15 })
    expect(offsetsOf(await collect(stream))).toEqual(from(1, 15))
    expect(offsetsOf(await collect(stream))).toEqual(from(1, 15))
    expect(offsetsOf(await collect(blocking))).toEqual(offsetsOf(await collect(blocking)))
    const both = await Promise.all([collect(stream), collect(stream.batches()), collect(stream)])
    expect(offsetsOf(both[0])).toEqual(from(1, 15))
    expect(offsetsOf(both[1].flat())).toEqual(from(1, 15))
    expect(offsetsOf(both[2])).toEqual(from(1, 15))
  })

  it('can be left at any step, and the log goes on', async () => {
    for await (const { offset } of log.entries()) if (offset === 3) break
    for (const { offset } of log.entriesSync()) if (offset === 3) break
    for await (const batch of log.entries().batches()) if (batch.length > 0) break
    expect(await log.append(bytesOf('x'))).toBe(21)
    await log.close()
    expect(disk.openFiles).toBe(0)
  })

  it('reads what was just appended, in a loop that appends', async () => {
    const seen: number[] = []
    for await (const { offset } of log.entries({ from: 18 })) {
      await log.append(bytesOf('more'))
      seen.push(offset)
    }
    expect(seen).toEqual([18, 19, 20])
    expect(log.lastOffset).toBe(23)
  })

  it('goes on over segments that are begun meanwhile', async () => {
    const steps = log.entries()[Symbol.asyncIterator]()
    expect((await steps.next()).value).toMatchObject({ offset: 1 })
    for (let index = 0; index < 30; index++) await log.append(bytesOf('more'))
    const rest = await collect({ [Symbol.asyncIterator]: () => steps })
    expect(offsetsOf(rest)).toEqual(from(2, 20))
  })

  it('that truncateBefore overtakes says so: it skips nothing in silence', async () => {
    log = await openOn(newDisk(), { maxSegmentSize: 10_000 })
    for (let round = 0; round < 4; round++) await log.appendBatch(Array.from({ length: 1_000 }, (_, index) => bytesOf(`entry ${index}`)))
    const seen: number[] = []
    const error = await rejection(
      'ERR_WAL_OFFSET_OUT_OF_RANGE',
      (async () => {
        for await (const { offset } of log.entries()) {
          if (offset === 10) await log.truncateBefore(4_000)
          seen.push(offset)
        }
      })(),
    )
    expect(seen).toEqual(from(1, seen.length))
    expect(seen.length).toBeLessThan(4_000)
    expect(error.message).toContain('truncated')
  })

  it('whose range was truncated as a whole before the first step gives nothing by default, and is out of range by name', async () => {
    const all = log.entries()
    const named = log.entries({ from: 5 })
    await log.append(bytesOf('x'))
    await log.truncateBefore(22)
    expect(await collect(all)).toEqual([])
    await rejection('ERR_WAL_OFFSET_OUT_OF_RANGE', collect(named))
  })
})

describe('copy: false', () => {
  it('hands out views that hold the right bytes until the next step or batch', async () => {
    const seen: string[] = []
    for await (const { entry } of log.entries({ copy: false })) seen.push(textOf(entry.payload))
    expect(seen).toEqual(from(1, 20).map((offset) => `entry ${offset}`))
    const inBatches: string[] = []
    for await (const batch of log.entries({ copy: false }).batches()) {
      await Promise.resolve()
      for (const { entry } of batch) inBatches.push(textOf(entry.payload))
    }
    expect(inBatches).toEqual(seen)
    expect(Array.from(log.entriesSync({ copy: false }), ({ entry }) => textOf(entry.payload))).toEqual(seen)
  })
})

describe('a signal', () => {
  it('that is aborted ends reading with an AbortError at the next step, its cause the reason', async () => {
    const controller = new AbortController()
    const steps = log.entries({ signal: controller.signal })[Symbol.asyncIterator]()
    expect((await steps.next()).value).toMatchObject({ offset: 1 })
    controller.abort('enough')
    const error = await rejection('ERR_WAL_ABORTED', steps.next() as Promise<unknown>)
    expect(error.name).toBe('AbortError')
    expect(error.cause).toBe('enough')
    expect((await steps.next()).done).toBe(true)
  })

  it('that is aborted before ends reading at the first step, of batches too', async () => {
    const signal = AbortSignal.abort()
    const error = await rejection('ERR_WAL_ABORTED', collect(log.entries({ signal })))
    expect(error.cause).toBe(signal.reason)
    await rejection('ERR_WAL_ABORTED', collect(log.entries({ signal }).batches()))
  })

  it('ends batches at the next one', async () => {
    await log.appendBatch(Array.from({ length: 2_000 }, () => bytesOf('x')))
    const controller = new AbortController()
    const batches = log.entries({ signal: controller.signal }).batches()[Symbol.asyncIterator]()
    await batches.next()
    controller.abort()
    await rejection('ERR_WAL_ABORTED', batches.next() as Promise<unknown>)
  })

  it('that is never aborted changes nothing, and gathers no listeners', async () => {
    const { signal } = new AbortController()
    expect(await collect(log.entries({ signal }))).toHaveLength(20)
  })

  it('is refused where it is none, and by entriesSync', () => {
    expect(() => log.entries({ signal: {} as AbortSignal })).toThrow(expect.objectContaining({ code: 'ERR_WAL_OPTION', option: 'signal' }))
    expect(() => log.entriesSync({ signal: AbortSignal.abort() } as object)).toThrow(
      expect.objectContaining({ code: 'ERR_WAL_OPTION', option: 'signal' }),
    )
  })
})

describe('close', () => {
  it('lets open iterators throw ERR_WAL_CLOSED at their next step', async () => {
    const steps = log.entries()[Symbol.asyncIterator]()
    const batches = log.entries().batches()[Symbol.asyncIterator]()
    const blocking = log.entriesSync()[Symbol.iterator]()
    const notBegun = log.entries()[Symbol.asyncIterator]()
    const atItsEnd = log.entries({ from: 20 })[Symbol.asyncIterator]()
    await Promise.all([steps.next(), batches.next(), atItsEnd.next()])
    blocking.next()
    const closed = log.close()
    for (const iterator of [steps, batches, notBegun, atItsEnd]) {
      await rejection('ERR_WAL_CLOSED', iterator.next() as Promise<unknown>)
      expect((await iterator.next()).done).toBe(true)
    }
    expect(() => blocking.next()).toThrow(expect.objectContaining({ code: 'ERR_WAL_CLOSED' }))
    await closed
  })

  it('does not pull the file away under a read that is under way', async () => {
    const reading = collect(log.entries({ from: 1 }))
    await Promise.all([rejection('ERR_WAL_CLOSED', reading), log.close()])
    expect(disk.openFiles).toBe(0)
  })
})
