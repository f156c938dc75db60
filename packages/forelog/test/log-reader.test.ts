import { mkdtempSync, rmSync, writeFileSync, readFileSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type FileSystem, type LogReader, type RawEntry, type StoredEntry, type WalError, WriteAheadLog } from '../src/index.js'
import { SimulatedDisk } from '../src/testing/index.js'
import { ExampleEntry2, exampleEntries } from './support/waltest.js'

const payload = (text: string): Uint8Array => Buffer.from(text)
const textOf = ({ offset, entry }: StoredEntry<RawEntry>): string => `${offset}:${Buffer.from(entry.payload).toString()}`

function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'none',
    (error: WalError) => error.code,
  )
}

async function all(reader: LogReader<RawEntry>): Promise<string> {
  const texts: string[] = []
  for await (const entry of reader.entries()) texts.push(textOf(entry))
  expect([...reader.entriesSync()].map(textOf)).toEqual(texts)
  return texts.join(' ')
}

async function take(follower: AsyncIterator<StoredEntry<RawEntry>>, count: number): Promise<string> {
  const texts: string[] = []
  while (texts.length < count) {
    const { done, value } = await follower.next()
    if (done === true) throw new Error(`the follower ended after ${texts.length} entries`)
    texts.push(textOf(value))
  }
  return texts.join(' ')
}

describe('openReader', () => {
  const directory = '/data/log'
  let disk: SimulatedDisk
  beforeEach(() => {
    disk = new SimulatedDisk({ seed: 1, directories: [directory] })
  })
  const open = (options: { maxSegmentSize?: number; sync?: 'always' | 'manual' } = {}): Promise<WriteAheadLog> =>
    WriteAheadLog.open(directory, { fileSystem: disk, maxSegmentSize: 5000, ...options })
  const openReader = (): Promise<LogReader<RawEntry>> => WriteAheadLog.openReader(directory, { fileSystem: disk })

  it('shows what a clean log holds, takes no lock and changes nothing', async () => {
    const log = await open({ maxSegmentSize: 200 })
    for (let n = 1; n <= 9; n++) await log.append(payload(`n${n}`))
    await log.truncateBefore(4)
    await log.close()
    const files = (): string => JSON.stringify(disk.listSync(directory).map((name) => [name, Buffer.from(disk.contents(join(directory, name))).toString('hex')]))
    const before = files()
    const reader = await openReader()
    const writer = await open()
    await writer.close()
    expect(await all(reader)).toBe('4:n4 5:n5 6:n6 7:n7 8:n8 9:n9')
    expect([reader.firstOffset, reader.lastOffset, reader.durableOffset]).toEqual([4, 9, 9])
    expect(textOf(await reader.get(7))).toBe('7:n7')
    for (const offset of [3, 10]) expect(await codeOf(reader.get(offset))).toBe('ERR_WAL_OFFSET_OUT_OF_RANGE')
    expect(reader.segments().at(-1)?.lastOffset).toBe(9)
    await reader.close()
    for (const read of [reader.get(5), reader.entries()[Symbol.asyncIterator]().next()]) expect(await codeOf(read)).toBe('ERR_WAL_CLOSED')
    expect(files()).toBe(before)
  })

  it('shows beside a writer what a later record vouches for, and no more', async () => {
    const log = await open({ sync: 'manual' })
    const reader = await openReader()
    expect(await all(reader)).toBe('')
    await log.appendBatch([payload('a'), payload('b')])
    await log.append(payload('c'))
    expect(await all(reader)).toBe('')
    await log.sync()
    // The next commit says so.
    await log.append(payload('d'))
    expect(await all(reader)).toBe('1:a 2:b 3:c')
    await log.close()
    expect(await all(reader)).toBe('1:a 2:b 3:c 4:d')
  })

  it('opens an empty directory as an empty log, and refuses one that is not there', async () => {
    const reader = await openReader()
    expect(await all(reader)).toBe('')
    const follower = reader.follow()[Symbol.asyncIterator]()
    const next = take(follower, 1)
    const log = await open()
    await log.append(payload('a'))
    await log.close()
    expect(await next).toBe('1:a')
    await reader.close()
    expect(await codeOf(WriteAheadLog.openReader('/nowhere', { fileSystem: disk }))).toBe('ERR_WAL_READ_FAILED')
    expect(await codeOf(WriteAheadLog.openReader(directory, { sync: 'always' } as object))).toBe('ERR_WAL_OPTION')
  })

  it('says where there is no log yet, and opens in an empty directory, where it waits for one', async () => {
    const early = await WriteAheadLog.openReader('/data/later', { fileSystem: disk }).catch((error: unknown) => error as WalError)
    expect(early).toMatchObject({ code: 'ERR_WAL_READ_FAILED', path: '/data/later', cause: { code: 'ENOENT' } })
    expect((early as WalError).message).toMatch(/^there is no log in \/data\/later yet, .*: its writer makes it/)
    const reader = await openReader()
    expect(reader.segments()).toEqual([])
    const follower = reader.follow()[Symbol.asyncIterator]()
    const first = take(follower, 2)
    const log = await open()
    await log.append(payload('a'))
    await log.append(payload('b'))
    await log.close()
    expect(await first).toBe('1:a 2:b')
    await reader.close()
  })

  it('follows through rolls, truncation in front, closing and opening again, each entry once', async () => {
    const reader = await openReader()
    let log = await open({ maxSegmentSize: 300 })
    const follower = reader.follow()[Symbol.asyncIterator]()
    const expected: string[] = []
    for (let n = 1; n <= 120; n++) {
      await log.append(payload(`n${n}`))
      expected.push(`${n}:n${n}`)
      if (n % 10 === 0) expect(await take(follower, 5)).toBe(expected.slice(n / 2 - 5, n / 2).join(' '))
      if (n % 25 === 0) await log.truncateBefore(Math.floor(n / 2) - 10)
      if (n % 40 === 0) {
        await log.close()
        log = await open({ maxSegmentSize: 300 })
      }
    }
    await log.close()
    expect(await take(follower, 60)).toBe(expected.slice(60).join(' '))
    await reader.close()
    expect((await follower.next()).done).toBe(true)
  })

  it('has shown nothing of what a recovery cuts off, and goes on behind it', async () => {
    const log = await open()
    const reader = await openReader()
    const follower = reader.follow()[Symbol.asyncIterator]()
    await log.append(payload('a'))
    await log.append(payload('b'))
    disk.fail({ kind: 'write', bytes: 400, code: 'EIO', times: Infinity })
    await codeOf(log.appendBatch([payload('lost'.repeat(50)), payload('as well'.repeat(50))]))
    await codeOf(log.close())
    disk.heal()
    // The torn group's commit is whole, and says that what is in front of it is durable.
    expect(await all(reader)).toBe('1:a 2:b')
    const again = await open()
    expect(again.recovery.tornBytes).toBeGreaterThan(100)
    for (const text of ['x', 'y', 'z']) await again.append(payload(text))
    await again.close()
    expect(await take(follower, 5)).toBe('1:a 2:b 3:x 4:y 5:z')
    await reader.close()
  })

  it('tells who stands on what was cut off, also when the offsets were given again in the meantime', async () => {
    const log = await open({ maxSegmentSize: 200 })
    for (let n = 1; n <= 10; n++) await log.append(payload(`old${n}`))
    await log.sync()
    const reader = await openReader()
    await log.append(payload('old11'))
    const gone = reader.follow()[Symbol.asyncIterator]()
    const kept = reader.follow()[Symbol.asyncIterator]()
    const entries = reader.entries()[Symbol.asyncIterator]()
    await take(gone, 6)
    await take(kept, 4)
    await entries.next()
    await log.truncateAfter(4)
    for (let n = 5; n <= 12; n++) await log.append(payload(`new${n}`))
    await log.truncateBefore(3)
    await log.close()
    expect(await codeOf(gone.next())).toBe('ERR_WAL_OFFSET_OUT_OF_RANGE')
    expect(await take(kept, 3)).toBe('5:new5 6:new6 7:new7')
    expect(await all(reader)).toBe('3:old3 4:old4 5:new5 6:new6 7:new7 8:new8 9:new9 10:new10 11:new11 12:new12')
    let code = 'none'
    while (code === 'none') code = await codeOf(entries.next().then(({ value }) => expect(textOf(value as StoredEntry<RawEntry>)).toContain('old')))
    expect(code).toBe('ERR_WAL_OFFSET_OUT_OF_RANGE')
    await reader.close()
  })

  it('hands out nothing that a cut left dead in a segment that stays, though it had not looked again before it read', async () => {
    const log = await open({ maxSegmentSize: 10_000_000 })
    // Large ones, so that a follower reads a few of them at a time.
    const entryOf = (mark: number): Uint8Array => new Uint8Array(100_000).fill(mark)
    for (let n = 1; n <= 8; n++) await log.append(entryOf(n))
    const reader = await openReader()
    const follower = reader.follow()[Symbol.asyncIterator]()
    const next = async (): Promise<number[]> => {
      const { value } = (await follower.next()) as { value: StoredEntry<RawEntry> }
      return [value.offset, value.entry.payload[0] as number]
    }
    for (let n = 1; n <= 3; n++) expect(await next()).toEqual([n, n])
    await log.truncateAfter(4)
    for (let n = 5; n <= 8; n++) await log.append(entryOf(100 + n))
    await log.close()
    expect(await next()).toEqual([4, 4])
    for (let n = 5; n <= 8; n++) expect(await next()).toEqual([n, 100 + n])
    await reader.close()
  })

  it('tells who stands behind segments that came and went unseen', async () => {
    const log = await open({ maxSegmentSize: 1 })
    for (let n = 1; n <= 9; n++) await log.append(payload(`old${n}`))
    const reader = await openReader()
    const follower = reader.follow()[Symbol.asyncIterator]()
    await take(follower, 8)
    await log.truncateAfter(5)
    for (let n = 6; n <= 10; n++) await log.append(payload(`new${n}`))
    await log.truncateBefore(9)
    await log.close()
    expect(await codeOf(follower.next())).toBe('ERR_WAL_OFFSET_OUT_OF_RANGE')
    await reader.close()
  })

  it('goes on where the next entry is there, though all segments that it knew are gone', async () => {
    const log = await open({ maxSegmentSize: 1 })
    for (let n = 1; n <= 9; n++) await log.append(payload(`old${n}`))
    const reader = await openReader()
    const follower = reader.follow()[Symbol.asyncIterator]()
    await take(follower, 5)
    // A new segment behind the one of entry 5, which is not the newest that the reader has seen.
    await log.truncateAfter(5)
    await log.append(payload('new6'))
    await log.truncateBefore(6)
    await log.append(payload('new7'))
    expect(await all(reader)).toBe('6:new6')
    expect(await take(follower, 1)).toBe('6:new6')
    // Emptied: the new segment says of none that it follows it, and its id is the next one.
    await log.truncateBefore(7)
    await log.truncateAfter(6)
    await log.append(payload('newer7'))
    await log.close()
    expect(await all(reader)).toBe('7:newer7')
    expect(await take(follower, 1)).toBe('7:newer7')
    await reader.close()
  })

  it('looks again by itself while entries wait for their proof, also when nobody tells of it', async () => {
    // Without the poll: what is not told is found by such a look or never.
    vi.useFakeTimers({ toFake: ['setInterval'] })
    try {
      let tell = (): void => {}
      const watch: FileSystem['watch'] = (_, onChange) => {
        tell = () => onChange(undefined)
        return { close: () => {} }
      }
      const valueOf = (name: string | symbol): unknown => {
        const value: unknown = Reflect.get(disk, name)
        return typeof value === 'function' ? value.bind(disk) : value
      }
      const watched = new Proxy<FileSystem>(disk, { get: (_, name) => (name === 'watch' ? watch : valueOf(name)) })
      const log = await open({ sync: 'manual' })
      const reader = await WriteAheadLog.openReader(directory, { fileSystem: watched })
      const next = take(reader.follow()[Symbol.asyncIterator](), 2)
      await log.append(payload('a'))
      await all(reader)
      tell()
      // Looks behind the one that was told of.
      expect(await all(reader)).toBe('')
      await log.append(payload('b'))
      await log.close()
      expect(await next).toBe('1:a 2:b')
      await reader.close()
    } finally {
      vi.useRealTimers()
    }
  })

  it('calls damage what stays damaged, and only that', async () => {
    const log = await open({ maxSegmentSize: 1 })
    for (const text of ['aaaa', 'bbbb', 'cccc']) await log.append(payload(text))
    await log.close()
    const name = disk.listSync(directory).filter((each) => each.endsWith('.wal')).sort()[1] as string
    const bytes = Buffer.from(disk.contents(join(directory, name)))
    expect(bytes.includes('bbbb')).toBe(true)
    bytes[bytes.indexOf('bbbb')]! ^= 1
    disk.place(join(directory, name), bytes)
    const reader = await openReader()
    expect(await codeOf(reader.get(2))).toBe('ERR_WAL_CORRUPT')
    const follower = reader.follow()[Symbol.asyncIterator]()
    expect(await take(follower, 1)).toBe('1:aaaa')
    expect(await codeOf(follower.next())).toBe('ERR_WAL_CORRUPT')
    expect(textOf(await reader.get(3))).toBe('3:cccc')
  })

  it('calls damage in the newest segment by its name at once, where a later record proves that it was durable: whoever looks once loses nothing unsaid', async () => {
    const log = await open()
    for (const text of ['aaaa', 'bbbb', 'cccc', 'dddd']) await log.append(payload(text))
    await log.close()
    const [name = ''] = disk.listSync(directory).filter((each) => each.endsWith('.wal'))
    const whole = Buffer.from(disk.contents(join(directory, name)))
    // All of the commit of the second group, from behind the payload of the first one on; each looks again for a while, so all at once.
    const [from, to] = [whole.indexOf('aaaa') + 4, whole.indexOf('bbbb') - 9]
    const codes = Array.from({ length: (to - from) * 8 }, async (_, index) => {
      const bytes = Buffer.from(whole)
      bytes[from + (index >> 3)]! ^= 1 << index % 8
      const damaged = disk.copy()
      damaged.place(join(directory, name), bytes)
      return await codeOf(WriteAheadLog.openReader(directory, { fileSystem: damaged }))
    })
    expect(new Set(await Promise.all(codes))).toEqual(new Set(['ERR_WAL_CORRUPT']))
    expect([...(await openReader()).entriesSync()].map(textOf).join(' ')).toBe('1:aaaa 2:bbbb 3:cccc 4:dddd')
  })

  it('reads format 1 as far as there are whole records', async () => {
    const log = await WriteAheadLog.open(directory, { fileSystem: disk, format: 1, entries: exampleEntries, maxSegmentSize: 40 })
    const reader = await WriteAheadLog.openReader(directory, { fileSystem: disk, entries: exampleEntries })
    const name = ({ offset, entry }: StoredEntry<unknown>): string => `${offset}:${(entry as ExampleEntry2).name}`
    const follower = reader.follow()[Symbol.asyncIterator]()
    for (const each of ['a', 'b', 'c', 'd', 'e', 'f', 'g']) await log.append(new ExampleEntry2(true, each))
    expect([...reader.entriesSync()].map(name).join(' ')).toBe('1:a 2:b 3:c 4:d 5:e 6:f 7:g')
    for (let n = 1; n <= 6; n++) expect((await follower.next()).value?.offset).toBe(n)
    await log.truncateAfter(4)
    await log.append(new ExampleEntry2(true, 'E'))
    expect([...reader.entriesSync()].map(name).join(' ')).toBe('1:a 2:b 3:c 4:d 5:E')
    expect(await codeOf(follower.next())).toBe('ERR_WAL_OFFSET_OUT_OF_RANGE')
    await reader.close()
    await log.close()
    expect(await codeOf(WriteAheadLog.openReader(directory, { fileSystem: disk }))).toBe('ERR_WAL_OPTION')
  })
})

describe('openReader on a real file system', () => {
  let home: string
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'forelog-reader-'))
  })
  afterEach(() => rmSync(home, { recursive: true, force: true }))

  it('is woken by what the writer writes, without waiting for the poll', async () => {
    const log = await WriteAheadLog.open(home)
    const reader = await WriteAheadLog.openReader(home)
    const follower = reader.follow()[Symbol.asyncIterator]()
    const latencies: number[] = []
    for (let n = 1; n <= 20; n++) {
      const next = follower.next()
      await log.append(payload(`n${n}`))
      const beganMs = performance.now()
      expect((await next).value?.offset).toBe(n)
      latencies.push(performance.now() - beganMs)
    }
    // Each waits for the durable mark, some ms after the sync; the poll would take a second.
    latencies.sort((a, b) => a - b)
    expect(latencies[10]).toBeLessThan(200)
    await reader.close()
    await log.close()
  })

  it('shows the golden cut: a log whose files lie there without a writer', async () => {
    const log = await WriteAheadLog.open(home, { maxSegmentSize: 100 })
    for (const text of ['a', 'b', 'c']) await log.append(payload(text))
    await log.truncateAfter(1)
    await log.append(payload('B'))
    await log.close()
    for (const name of readdirSync(home)) if (name.endsWith('.wal')) writeFileSync(join(home, name), readFileSync(join(home, name)))
    const reader = await WriteAheadLog.openReader(home)
    expect(await all(reader)).toBe('1:a 2:B')
    await reader.close()
  })
})
