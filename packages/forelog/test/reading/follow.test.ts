import { describe, expect, it } from 'vitest'
import { type RawEntry, type StoredEntry, type WalError, WriteAheadLog } from '../../src/index.js'
import { SimulatedDisk } from '../../src/testing/index.js'
import { ExampleEntry2, exampleEntries } from '../support/waltest.js'

const directory = '/data/log'

function newDisk(): SimulatedDisk {
  return new SimulatedDisk({ seed: 1, directories: ['/data'] })
}

function open(disk: SimulatedDisk, options: { maxSegmentSize?: number; sync?: 'always' | 'manual' } = {}): Promise<WriteAheadLog> {
  return WriteAheadLog.open(directory, { fileSystem: disk, maxSegmentSize: 500, ...options })
}

const payload = (text: string): Uint8Array => Buffer.from(text)
const textOf = ({ offset, entry }: StoredEntry<RawEntry>): string => `${offset}:${Buffer.from(entry.payload).toString()}`

async function take(follower: AsyncIterator<StoredEntry<RawEntry>>, count: number): Promise<string[]> {
  const texts: string[] = []
  while (texts.length < count) {
    const { done, value } = await follower.next()
    if (done === true) throw new Error(`the follower ended after ${texts.length} entries`)
    texts.push(textOf(value))
  }
  return texts
}

function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'none',
    (error: WalError) => error.code,
  )
}

describe('follow', () => {
  it('hands out what is there and then what comes, each entry once and in order, through rolls', async () => {
    const log = await open(newDisk(), { maxSegmentSize: 300 })
    for (let n = 1; n <= 10; n++) await log.append(payload(`n${n}`))
    const follower = log.follow()[Symbol.asyncIterator]()
    const late = log.follow({ from: 11 })[Symbol.asyncIterator]()
    const all = take(follower, 60)
    const some = take(late, 50)
    for (let n = 11; n <= 60; n += 5) await log.appendBatch([n, n + 1, n + 2, n + 3, n + 4].map((each) => payload(`n${each}`)))
    const expected = Array.from({ length: 60 }, (_, index) => `${index + 1}:n${index + 1}`)
    expect(await all).toEqual(expected)
    expect(await some).toEqual(expected.slice(10))
    expect(log.segments().length).toBeGreaterThan(5)
    await log.close()
  })

  it('hands out no entry that is not durable', async () => {
    const log = await open(newDisk(), { sync: 'manual' })
    const follower = log.follow()[Symbol.asyncIterator]()
    const first = take(follower, 3)
    let told = false
    void first.then(() => (told = true))
    await log.append(payload('a'))
    await log.appendBatch([payload('b'), payload('c')])
    // As many turns as any reading of them would take.
    for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve))
    expect(told).toBe(false)
    await log.sync()
    expect(await first).toEqual(['1:a', '2:b', '3:c'])
    await log.close()
  })

  it('ends when its signal is aborted, while it waits and while it has more, and throws nothing', async () => {
    const log = await open(newDisk())
    await log.append(payload('a'))
    const abort = new AbortController()
    const seen: string[] = []
    const done = (async () => {
      for await (const entry of log.follow({ signal: abort.signal })) seen.push(textOf(entry))
    })()
    while (seen.length === 0) await new Promise((resolve) => setImmediate(resolve))
    abort.abort()
    await done
    expect(seen).toEqual(['1:a'])
    for await (const _ of log.follow({ signal: AbortSignal.abort() })) throw new Error('it was aborted before')
    await log.close()
  })

  it('ends at close, and when its consumer lets go of it while it waits', async () => {
    const log = await open(newDisk())
    const left = log.follow()[Symbol.asyncIterator]()
    const waiting = left.next()
    expect((await left.return?.())?.done).toBe(true)
    expect((await waiting).done).toBe(true)
    const follower = log.follow()[Symbol.asyncIterator]()
    const next = follower.next()
    await log.close()
    expect((await next).done).toBe(true)
    expect((await log.follow()[Symbol.asyncIterator]().next()).done).toBe(true)
  })

  it('throws ERR_WAL_FAILED when the log fails', async () => {
    const disk = newDisk()
    const log = await open(disk)
    const next = log.follow()[Symbol.asyncIterator]().next()
    disk.fail({ kind: ['dataSync', 'sync'], code: 'EIO' })
    await codeOf(log.append(payload('a')))
    expect(await codeOf(next)).toBe('ERR_WAL_FAILED')
    await codeOf(log.close())
  })

  it('refuses to begin where the log is not, and may begin at the next entry', async () => {
    const log = await open(newDisk())
    for (const text of ['a', 'b', 'c']) await log.append(payload(text))
    await log.truncateBefore(2)
    for (const from of [1, 5, 0]) expect(await codeOf(log.follow({ from })[Symbol.asyncIterator]().next())).toBe('ERR_WAL_OFFSET_OUT_OF_RANGE')
    expect(() => log.follow({ to: 3 } as object)).toThrow('no option to')
    const follower = log.follow({ from: 4 })[Symbol.asyncIterator]()
    const next = take(follower, 1)
    await log.append(payload('d'))
    expect(await next).toEqual(['4:d'])
    await log.close()
  })

  it('tells a follower that what it stands on was truncated, also when the offsets were given again', async () => {
    const log = await open(newDisk())
    for (const text of ['a', 'b', 'c', 'd', 'e']) await log.append(payload(text))
    const behind = log.follow()[Symbol.asyncIterator]()
    const cut = log.follow()[Symbol.asyncIterator]()
    const waiting = log.follow()[Symbol.asyncIterator]()
    const kept = log.follow()[Symbol.asyncIterator]()
    expect(await take(behind, 1)).toEqual(['1:a'])
    await take(kept, 3)
    await take(cut, 4)
    await take(waiting, 5)
    const last = waiting.next()
    await log.truncateAfter(3)
    for (const text of ['D', 'E', 'F']) await log.append(payload(text))
    expect(await codeOf(cut.next())).toBe('ERR_WAL_OFFSET_OUT_OF_RANGE')
    expect(await codeOf(last)).toBe('ERR_WAL_OFFSET_OUT_OF_RANGE')
    // One that stands in front of the cut loses nothing that it was shown.
    expect(await take(kept, 3)).toEqual(['4:D', '5:E', '6:F'])
    await log.truncateBefore(3)
    expect(await codeOf(behind.next())).toBe('ERR_WAL_OFFSET_OUT_OF_RANGE')
    expect((await cut.next()).done).toBe(true)
    await log.close()
  })

  it('gives each follower bytes of its own, views too', async () => {
    const log = await open(newDisk())
    const one = log.follow({ copy: false })[Symbol.asyncIterator]()
    const other = log.follow({ copy: false })[Symbol.asyncIterator]()
    const both = [one.next(), other.next()]
    await log.append(payload('abc'))
    const [first, second] = await Promise.all(both)
    first?.value?.entry.payload.fill(0)
    expect(textOf(second?.value as StoredEntry<RawEntry>)).toBe('1:abc')
    await log.close()
  })

  it('hands out what stands in front of an entry that can not be decoded', async () => {
    const disk = newDisk()
    const raw = await open(disk)
    await raw.appendBatch([{ type: 1, payload: Buffer.from([1, 0, 1, 65]) }, { type: 9, payload: payload('?') }])
    await raw.close()
    const log = await WriteAheadLog.open(directory, { fileSystem: disk, entries: exampleEntries })
    const follower = log.follow()[Symbol.asyncIterator]()
    expect((await follower.next()).value?.offset).toBe(1)
    expect(await codeOf(follower.next())).toBe('ERR_WAL_ENTRY_TYPE_UNKNOWN')
    await log.close()
  })

  it('follows a log of format 1', async () => {
    const disk = newDisk()
    const log = await WriteAheadLog.open(directory, { fileSystem: disk, format: 1, entries: exampleEntries, maxSegmentSize: 60, sync: 'manual' })
    const follower = log.follow()[Symbol.asyncIterator]()
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i']) await log.append(new ExampleEntry2(true, name))
    await log.sync()
    await log.append(new ExampleEntry2(true, 'not durable'))
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i']) expect(((await follower.next()).value?.entry as ExampleEntry2).name).toBe(name)
    const next = follower.next()
    await log.sync()
    expect((await next).value?.offset).toBe(10)
    await log.close()
  })

  it('shares the reading among 2000 followers', { timeout: 120_000 }, async () => {
    const disk = newDisk()
    const log = await open(disk, { maxSegmentSize: 3000 })
    const wanted = 60
    let reads = 0
    disk.onCall = ({ kind }, moment) => {
      if (kind === 'read' && moment === 'before') reads++
    }
    const followers = Array.from({ length: 2000 }, async () => {
      let next = 1
      for await (const { offset, entry } of log.follow()) {
        if (offset !== next++ || entry.payload[0] !== offset) throw new Error(`entry ${offset} came where ${next - 1} was next`)
        if (offset === wanted) break
      }
      return next - 1
    })
    for (let offset = 1; offset <= wanted; offset++) await log.append(new Uint8Array(100).fill(offset))
    expect(await Promise.all(followers)).toEqual(followers.map(() => wanted))
    expect(reads).toBeLessThan(10 * wanted)
    await log.close()
  })

  it('lets a slow follower fall behind what is kept, without losing anything and without holding the others up', async () => {
    const log = await open(newDisk(), { maxSegmentSize: 1_500_000 })
    const slow = log.follow()[Symbol.asyncIterator]()
    const fast = log.follow()[Symbol.asyncIterator]()
    for (let offset = 1; offset <= 60; offset++) {
      await log.append(new Uint8Array(200_000).fill(offset))
      expect((await fast.next()).value?.offset).toBe(offset)
      if (offset === 1) expect((await slow.next()).value?.offset).toBe(1)
    }
    for (let offset = 2; offset <= 60; offset++) {
      const { value } = await slow.next()
      expect([value?.offset, value?.entry.payload[0]]).toEqual([offset, offset])
    }
    await log.append(payload('together again'))
    expect([(await slow.next()).value?.offset, (await fast.next()).value?.offset]).toEqual([61, 61])
    await log.close()
  })

  it.each([1, 20])('catches up with a writer that goes on, %i together, through rolls, each entry once and with its own bytes', async (followers) => {
    const log = await open(newDisk(), { maxSegmentSize: 300_000 })
    const append = (): Promise<unknown> => {
      const first = log.lastOffset + 1
      return log.appendBatch(Array.from({ length: 100 }, (_, index) => Buffer.alloc(1000 + index, `${first + index} `)))
    }
    await append()
    const shown = Array.from({ length: followers }, () => ({ next: 1, entries: log.follow({ from: 1 })[Symbol.asyncIterator]() }))
    const step = async (each: (typeof shown)[number]): Promise<void> => {
      const { value } = await each.entries.next()
      const { payload: bytes } = (value as StoredEntry<RawEntry>).entry
      expect([value?.offset, bytes.length, bytes.buffer.byteLength, Buffer.from(bytes.subarray(0, 6)).toString()]).toEqual([
        each.next,
        1000 + ((each.next - 1) % 100),
        1000 + ((each.next - 1) % 100),
        `${each.next} `.repeat(6).slice(0, 6),
      ])
      each.next++
    }
    await Promise.all(shown.map(step))
    // More than is kept for them, of which all begin to read the same.
    for (let count = 0; count < 60; count++) await append()
    const writing = (async () => {
      while (log.lastOffset < 8000) await append()
    })()
    await Promise.all(
      shown.map(async (each) => {
        while (each.next <= 8000) await step(each)
      }),
    )
    await writing
    expect(log.segments().length).toBeGreaterThan(20)
    await log.close()
  })

  it('tells those who were left far behind that they were truncated in front of, and hands out nothing else', async () => {
    const log = await open(newDisk(), { maxSegmentSize: 300_000 })
    const append = (): Promise<unknown> => log.appendBatch(Array.from({ length: 100 }, () => new Uint8Array(1000).fill(7)))
    await append()
    const left = log.follow({ from: 1 })[Symbol.asyncIterator]()
    let next = 1
    for (; next <= 10; next++) expect((await left.next()).value?.offset).toBe(next)
    for (let count = 0; count < 60; count++) await append()
    for (; next <= 350; next++) expect((await left.next()).value?.offset).toBe(next)
    await log.truncateBefore(3000)
    expect(await codeOf(left.next())).toBe('ERR_WAL_OFFSET_OUT_OF_RANGE')
    const behind = log.follow({ from: 3000 })[Symbol.asyncIterator]()
    expect((await behind.next()).value?.offset).toBe(3000)
    await log.close()
  })
})
