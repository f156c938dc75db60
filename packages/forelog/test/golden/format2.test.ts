// Format 2, as docs/FORMAT.md has it: the vector that stands there byte by byte, and a log that was made from that page alone.

import { Buffer } from 'node:buffer'
import { join } from 'node:path'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type RawEntry, SegmentReader, WriteAheadLog } from '../../src/index.js'
import { SimulatedDisk } from '../../src/testing/index.js'
import { inDirectory } from '../support/directory.js'
import { copyGoldenFormat2, goldenFormat2 } from '../support/golden.js'
import { readDirectory2 } from '../support/reference-reader.js'
import { vectorLogId, vectorOfPage, vectorSalts, vectorTimeMs } from '../support/vector.js'

/** What is drawn at random next, in hexadecimal, by how many bytes are asked for. */
const drawn: Map<number, string[]> = vi.hoisted(() => new Map())
vi.mock(import('node:crypto'), async (original) => {
  const crypto = await original()
  const randomBytes = (size: number): Buffer => {
    const next = drawn.get(size)?.shift()
    return next === undefined ? crypto.randomBytes(size) : Buffer.from(next, 'hex')
  }
  return { ...crypto, randomBytes: randomBytes as typeof crypto.randomBytes }
})
afterEach(() => {
  drawn.clear()
  vi.restoreAllMocks()
})

const text = (value: string): Uint8Array => new TextEncoder().encode(value)
const directory = '/log'
const hexOf = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString('hex')

const vectorEntries: { offset: number; entry: RawEntry }[] = [
  { offset: 1, entry: { type: 0, payload: text('hello') } },
  { offset: 2, entry: { type: 3, payload: text('world!') } },
  { offset: 3, entry: { type: 1, payload: new Uint8Array(0) } },
  { offset: 4, entry: { type: 254, payload: text('x'.repeat(130)) } },
  { offset: 5, entry: { type: 7, payload: text('{"n":5}') } },
]
const entryOf = (offset: number): RawEntry => vectorEntries[offset - 1]?.entry as RawEntry

/** The life of the log of the vector, with what is random given. */
async function writeVector(): Promise<SimulatedDisk> {
  drawn.set(16, [vectorLogId]).set(8, [...vectorSalts])
  vi.spyOn(Date, 'now').mockReturnValue(vectorTimeMs)
  const disk = new SimulatedDisk({ seed: 1, directories: [directory] })
  const log = await WriteAheadLog.open(directory, { fileSystem: disk, maxSegmentSize: 500 })
  await log.appendBatch([entryOf(1), entryOf(2)])
  // Its timer keeps no process alive, so something else has to.
  const alive = setInterval(() => {}, 1000)
  const marked = new Promise<void>((resolve) => {
    disk.onCall = ({ kind, bytes }, moment) => {
      if (kind === 'write' && bytes === 37 && moment === 'after') resolve()
    }
  })
  await log.append(entryOf(3))
  await marked
  clearInterval(alive)
  disk.onCall = undefined
  await log.truncateBefore(2)
  await log.append(entryOf(4))
  await log.append(entryOf(5))
  await log.close()
  return disk
}

describe('the vector of docs/FORMAT.md', () => {
  const files = vectorOfPage()

  it('is what the log writes, byte for byte', async () => {
    const disk = await writeVector()
    const names = disk.listSync(directory).filter((name) => name.endsWith('.wal')).sort()
    expect(names).toEqual([...files.keys()])
    for (const name of names) expect(hexOf(disk.contents(join(directory, name))), name).toBe(hexOf(files.get(name)))
  })

  it('has all five kinds of control records, both flags of a close, and lengths of one byte and of two', () => {
    const { segments, problems } = readDirectory2(files)
    expect(problems).toEqual([])
    const records = segments.flatMap((segment) => segment.records)
    expect(records.map(({ kind }) => kind)).toEqual(['header', 'commit', 'commit', 'durable', 'low-water', 'commit', 'close', 'header', 'commit', 'close'])
    expect(records.flatMap((record) => (record.kind === 'close' ? [record.clean] : []))).toEqual([false, true])
    expect(records.flatMap((record) => (record.kind === 'commit' ? record.payloadLengths : []))).toEqual([5, 6, 0, 130, 7])
  })

  it('is read by an independent reader as the entries that were appended', () => {
    const { segments } = readDirectory2(files)
    const entries = segments.flatMap(({ records }) => records.flatMap((record) => (record.kind === 'commit' ? record.entries : [])))
    expect(entries.map(({ offset, type, payload }) => ({ offset, entry: { type, payload } }))).toEqual(vectorEntries)
  })

  it('opens as a clean log from offset 2 to 5, and is not changed by that', async () => {
    const disk = new SimulatedDisk({ seed: 1 })
    for (const [name, bytes] of files) disk.place(join(directory, name), bytes)
    const log = await WriteAheadLog.open(directory, { fileSystem: disk, recovery: 'strict' })
    expect(log.recovery).toMatchObject({ clean: true, tornBytes: 0, ambiguous: false, quarantined: [] })
    expect([log.firstOffset, log.lastOffset]).toEqual([2, 5])
    expect([...log.entriesSync()]).toEqual(vectorEntries.slice(1))
    await log.close()
    for (const [name, bytes] of files) expect(hexOf(disk.contents(join(directory, name)))).toBe(hexOf(bytes))
  })
})

describe('the golden log of format 2', () => {
  const { files, expected } = goldenFormat2()
  const stored = expected.entries.map(({ offset, type, payload }) => ({ offset, entry: { type, payload: Uint8Array.from(Buffer.from(payload, 'hex')) } }))

  it.each(['truncate', 'strict'] as const)('opens as its expected.json says, with recovery: %s', async (recovery) => {
    await inDirectory(async (path) => {
      copyGoldenFormat2(path)
      const log = await WriteAheadLog.open(path, { recovery })
      expect([log.firstOffset, log.lastOffset, log.recovery.clean]).toEqual([expected.firstOffset, expected.lastOffset, expected.clean])
      expect(log.recovery).toMatchObject({ tornBytes: 0, ambiguous: false, quarantined: [] })
      const wanted = stored.filter(({ offset }) => offset >= expected.firstOffset)
      expect([...log.entriesSync()]).toEqual(wanted)
      for (const { offset, entry } of wanted) expect(await log.get(offset)).toEqual({ offset, entry })
      expect(await log.append({ type: 9, payload: text('on') })).toBe(expected.lastOffset + 1)
      await log.close()
      const again = await WriteAheadLog.open(path, { recovery: 'strict' })
      expect(again.recovery.clean).toBe(true)
      expect([...again.entriesSync()]).toEqual([...wanted, { offset: expected.lastOffset + 1, entry: { type: 9, payload: text('on') } }])
      await again.close()
    })
  })

  it('is read segment by segment, entries below the low-water mark too', async () => {
    await inDirectory(async (path) => {
      copyGoldenFormat2(path)
      const read: unknown[] = []
      for (const name of [...files.keys()].sort()) {
        await using reader = await SegmentReader.open(join(path, name))
        expect(reader.format).toBe(2)
        for await (const entry of reader) read.push(entry)
      }
      expect(read).toEqual(stored)
    })
  })
})
