import { beforeEach, describe, expect, it } from 'vitest'
import { utf8 } from '../../src/entries/codecs.js'
import { defineEntries } from '../../src/entries/define-entries.js'
import type { EntrySource } from '../../src/entries/define-entries.js'
import { SegmentReader, type SegmentReaderOptions } from '../../src/segments/segment-reader.js'
import type { SimulatedDisk } from '../../src/testing/index.js'
import { WriteAheadLog } from '../../src/write-ahead-log.js'
import { bytesOf, collect, directory, newDisk, openOn, rejection, textOf } from '../support/logs.js'
import { refusal } from '../entries/refusal.js'
import { ExampleEntry1, ExampleEntry2, exampleEntries } from '../support/waltest.js'

let disk: SimulatedDisk

beforeEach(() => {
  disk = newDisk()
})

const openReader = <S extends EntrySource>(path: string, options: SegmentReaderOptions<S> = {}) =>
  SegmentReader.open(path, { ...options, fileSystem: disk })

/** A closed segment of format 2 with entries 1 to 5, of several groups; its path and the bytes of its records. */
async function segmentOfFormat2(): Promise<string> {
  const log = await openOn(disk)
  await log.append({ type: 7, payload: bytesOf('one') })
  await log.appendBatch(['two', 'three', 'four'].map(bytesOf))
  await log.append(bytesOf('five'))
  const [segment] = log.segments()
  await log.close()
  return segment?.path as string
}

async function segmentOfFormat1(): Promise<string> {
  const log = await WriteAheadLog.open(directory, { fileSystem: disk, format: 1, entries: exampleEntries })
  await log.append(new ExampleEntry2(true, 'one'))
  await log.append(new ExampleEntry1(2, [1.5, 2.5]))
  await log.append(new ExampleEntry2(false, 'three'))
  await log.close()
  return `${directory}/1.wal`
}

describe('of format 2, a segment', () => {
  it('is read entry by entry, raw where no entries are given', async () => {
    const reader = await openReader(await segmentOfFormat2())
    expect(reader.format).toBe(2)
    const seen: unknown[] = []
    while (await reader.readNext()) seen.push([reader.offset, reader.type, textOf((reader.decode() as { payload: Uint8Array }).payload)])
    expect(seen).toEqual([[1, 7, 'one'], [2, 0, 'two'], [3, 0, 'three'], [4, 0, 'four'], [5, 0, 'five']])
    expect(await reader.readNext()).toBe(false)
    await reader.close()
  })

  it('is read by `for await`, decoded by the entries', async () => {
    const entries = defineEntries({ text: { type: 0, codec: utf8 }, seven: { type: 7, codec: utf8 } })
    const reader = await openReader(await segmentOfFormat2(), { entries })
    const seen = (await collect(reader)).map(({ offset, entry }) => `${offset} ${entry.name} ${entry.value}`)
    expect(seen).toEqual(['1 seven one', '2 text two', '3 text three', '4 text four', '5 text five'])
    await reader.close()
  })

  it('begins at its first offset, wherever in the log that is', async () => {
    const log = await openOn(disk, { maxSegmentSize: 1 })
    for (let index = 0; index < 12; index++) await log.append(bytesOf('x'))
    const [, , , segment] = log.segments()
    const reader = await openReader(segment?.path as string)
    expect(await reader.readNext()).toBe(true)
    expect(reader.offset).toBe(segment?.firstOffset)
    await reader.close()
  })

  it('finds entries without decoding them: a payload that nobody knows is no hindrance', async () => {
    const entries = defineEntries({ other: { type: 99, codec: utf8 } })
    const reader = await openReader(await segmentOfFormat2(), { entries })
    expect(await reader.readNext()).toBe(true)
    expect([reader.offset, reader.type]).toEqual([1, 7])
    refusal('ERR_WAL_ENTRY_TYPE_UNKNOWN', () => reader.decode())
    expect(await reader.seekEnd()).toBe(5)
    await reader.close()
  })

  it('has its payloads verified when they are decoded, not when they are found', async () => {
    const path = await segmentOfFormat2()
    const bytes = disk.contents(path)
    const at = Buffer.from(bytes).indexOf('three')
    bytes[at] = (bytes[at] as number) ^ 1
    disk.place(path, bytes)
    const reader = await openReader(path)
    for (const offset of [1, 2, 3]) {
      expect(await reader.readNext()).toBe(true)
      expect(reader.offset).toBe(offset)
      if (offset < 3) reader.decode()
    }
    const error = refusal('ERR_WAL_CORRUPT', () => reader.decode())
    expect(error).toMatchObject({ path, offset: 3, position: at - 9 })
    expect(await reader.readNext()).toBe(true)
    expect(textOf((reader.decode() as { payload: Uint8Array }).payload)).toBe('four')
    await reader.close()
  })

  it('with a flipped bit in a record’s header is refused, with the place', async () => {
    const path = await segmentOfFormat2()
    const bytes = disk.contents(path)
    const type = Buffer.from(bytes).indexOf('three') - 5
    bytes[type] = (bytes[type] as number) ^ 1
    disk.place(path, bytes)
    const reader = await openReader(path)
    expect(await reader.readNext()).toBe(true)
    const error = await rejection('ERR_WAL_CORRUPT', reader.readNext())
    expect(error.path).toBe(path)
    expect(error.position).toBeGreaterThan(0)
    await reader.close()
  })

  it('that ends within a record is ERR_WAL_TORN at that place; zeros behind the last record are its end', async () => {
    const path = await segmentOfFormat2()
    const whole = disk.contents(path)
    const end = Buffer.from(whole).indexOf('five') + 4
    disk.place(path, Buffer.concat([whole.subarray(0, end), Buffer.alloc(10_000)]))
    const zeros = await openReader(path)
    expect(await zeros.seekEnd()).toBe(5)
    await zeros.close()
    disk.place(path, whole.subarray(0, end - 2))
    const torn = await openReader(path)
    for (let offset = 1; offset <= 4; offset++) expect(await torn.readNext()).toBe(true)
    const error = await rejection('ERR_WAL_TORN', torn.readNext())
    expect(error.path).toBe(path)
    await torn.close()
  })

  it('without an entry has an end at once: seekEnd gives 0', async () => {
    const log = await openOn(disk)
    await log.close()
    const reader = await openReader(log.segments()[0]?.path as string)
    expect(await reader.seekEnd()).toBe(0)
    await reader.close()
  })

  it('can be read while its log is open', async () => {
    const log = await openOn(disk)
    await log.append(bytesOf('a'))
    const reader = await openReader(log.segments()[0]?.path as string)
    expect(await reader.seekEnd()).toBe(1)
    await reader.close()
    expect(await log.append(bytesOf('b'))).toBe(2)
  })
})

describe('of format 1, a segment', () => {
  it('is read entry by entry', async () => {
    const reader = await openReader(await segmentOfFormat1(), { entries: exampleEntries })
    expect(reader.format).toBe(1)
    expect(await collect(reader)).toEqual([
      { offset: 1, entry: new ExampleEntry2(true, 'one') },
      { offset: 2, entry: new ExampleEntry1(2, [1.5, 2.5]) },
      { offset: 3, entry: new ExampleEntry2(false, 'three') },
    ])
    await reader.close()
  })

  it('can not be read without entries that know where they end', async () => {
    const path = await segmentOfFormat1()
    const error = await rejection('ERR_WAL_OPTION', openReader(path))
    expect(error).toMatchObject({ option: 'entries', path })
    await rejection('ERR_WAL_OPTION', openReader(path, { entries: defineEntries({ a: { type: 0, codec: utf8 } }) }))
  })

  it.each([1, 2, 5, 8])('that lacks its last %i bytes is ERR_WAL_TORN behind the whole entries', async (missing) => {
    const path = await segmentOfFormat1()
    const whole = disk.contents(path)
    disk.place(path, whole.subarray(0, whole.length - missing))
    const reader = await openReader(path, { entries: exampleEntries })
    expect([await reader.readNext(), await reader.readNext()]).toEqual([true, true])
    expect((await rejection('ERR_WAL_TORN', reader.readNext())).path).toBe(path)
    await reader.close()
  })

  it('that is empty has no entry', async () => {
    disk.place(`${directory}/1.wal`, new Uint8Array(0))
    const reader = await openReader(`${directory}/1.wal`, { entries: exampleEntries })
    expect(await reader.readNext()).toBe(false)
    await reader.close()
  })
})

describe('a reader', () => {
  it('of a file that is not there rejects with the system’s reason', async () => {
    const error = await rejection('ERR_WAL_READ_FAILED', openReader('/data/none.wal'))
    expect(error.cause).toMatchObject({ code: 'ENOENT' })
  })

  it('stands at no entry before the first and behind the last', async () => {
    const reader = await openReader(await segmentOfFormat2())
    for (const look of [() => reader.offset, () => reader.type, () => reader.decode()]) refusal('ERR_WAL_OFFSET_OUT_OF_RANGE', look)
    await reader.seekEnd()
    refusal('ERR_WAL_OFFSET_OUT_OF_RANGE', () => reader.offset)
    await reader.close()
  })

  it('that is closed reads nothing; close can be called again', async () => {
    const reader = await openReader(await segmentOfFormat2())
    await reader.readNext()
    await reader.close()
    await reader.close()
    await rejection('ERR_WAL_CLOSED', reader.readNext())
    refusal('ERR_WAL_OFFSET_OUT_OF_RANGE', () => reader.decode())
  })

  it('changes nothing and takes no lock', async () => {
    const path = await segmentOfFormat2()
    const before = disk.journal.length
    const reader = await openReader(path)
    await reader.seekEnd()
    await reader[Symbol.asyncDispose]()
    const kinds = new Set(disk.journal.slice(before).map(({ kind }) => kind))
    expect([...kinds].filter((kind) => !['open', 'read', 'size', 'close'].includes(kind))).toEqual([])
  })

  it('that can not be opened leaves no file open', async () => {
    await segmentOfFormat1()
    await rejection('ERR_WAL_OPTION', openReader(`${directory}/1.wal`))
    expect(disk.openFiles).toBe(0)
  })

  it('hands out bytes that are the caller’s own', async () => {
    const reader = await openReader(await segmentOfFormat2())
    const payloads: Uint8Array[] = []
    while (await reader.readNext()) payloads.push((reader.decode() as { payload: Uint8Array }).payload)
    expect(payloads.map(textOf)).toEqual(['one', 'two', 'three', 'four', 'five'])
    await reader.close()
  })

  it('refuses options that it does not have, by name', async () => {
    const path = await segmentOfFormat2()
    const error = await rejection('ERR_WAL_OPTION', SegmentReader.open(path, { fileSystem: disk, entrys: exampleEntries } as object))
    expect(error.option).toBe('entrys')
  })
})
