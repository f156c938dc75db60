/** What stands in front of damage is handed out, whoever reads, and the damage is told behind it: never instead of it. */
import { describe, expect, it } from 'vitest'
import { type StoredEntry, WriteAheadLog } from '../../src/index.js'
import type { SimulatedDisk } from '../../src/testing/index.js'
import { directory, newDisk, rejection } from '../support/logs.js'
import { ExampleEntry2, exampleEntries } from '../support/waltest.js'

const nameOf = (n: number): string => `entry number ${n}`

/** Thirty entries in groups of `together`, in segments of `maxSegmentSize`; the payload of one has another byte. */
async function damagedLog(format: 1 | 2, together: number, maxSegmentSize: number, damaged: number): Promise<{ disk: SimulatedDisk; log: WriteAheadLog<ExampleEntry2, ExampleEntry2> }> {
  const disk = newDisk({ journal: false })
  const options = { fileSystem: disk, entries: exampleEntries, format, maxSegmentSize }
  const log = (await WriteAheadLog.open(directory, options)) as unknown as WriteAheadLog<ExampleEntry2, ExampleEntry2>
  for (let n = 1; n <= 30; n += together) {
    await log.appendBatch(Array.from({ length: together }, (_, index) => new ExampleEntry2(true, nameOf(n + index))))
  }
  const { path } = log.segments().find(({ firstOffset, lastOffset }) => firstOffset <= damaged && damaged <= lastOffset) as { path: string }
  const bytes = disk.contents(path)
  const at = Buffer.from(bytes).indexOf(`${nameOf(damaged)}`)
  expect(at).toBeGreaterThan(0)
  bytes[at] = (bytes[at] as number) ^ 0x10
  disk.place(path, bytes)
  return { disk, log }
}

/** What is handed out before it throws. */
async function offsetsBefore(source: AsyncIterable<StoredEntry<unknown>>): Promise<number[]> {
  const offsets: number[] = []
  const reading = (async () => {
    for await (const { offset } of source) offsets.push(offset)
  })()
  await rejection('ERR_WAL_CORRUPT', reading)
  return offsets
}

describe.each([
  { format: 1, together: 1, maxSegmentSize: 1 << 20 },
  { format: 1, together: 5, maxSegmentSize: 300 },
  { format: 2, together: 1, maxSegmentSize: 1 << 20 },
  { format: 2, together: 5, maxSegmentSize: 600 },
  { format: 2, together: 5, maxSegmentSize: 1 << 20 },
] as const)('in format $format, in groups of $together, in segments of $maxSegmentSize bytes', ({ format, together, maxSegmentSize }) => {
  it.each([18, 21, 26])('all in front of a damaged entry %i is handed out by entries and followers, and then the damage is told', async (damaged) => {
    const { disk, log } = await damagedLog(format, together, maxSegmentSize, damaged)
    // In format 2 the group is the least that can be trusted.
    const good = format === 1 ? damaged - 1 : damaged - 1 - ((damaged - 1) % together)
    const expected = Array.from({ length: good }, (_, index) => index + 1)
    expect(await offsetsBefore(log.entries())).toEqual(expected)
    expect(await offsetsBefore(log.follow())).toEqual(expected)
    expect(await offsetsBefore(log.follow({ from: 3 }))).toEqual(expected.slice(2))
    // Two at once share what is read, and neither loses what it has not seen yet.
    expect(await Promise.all([offsetsBefore(log.follow({ from: 9 })), offsetsBefore(log.follow())])).toEqual([expected.slice(8), expected])
    if (format === 2) {
      const cursor = await log.cursor('a')
      expect(await offsetsBefore(cursor)).toEqual(expected)
    }
    const reader = await WriteAheadLog.openReader(directory, { fileSystem: disk, entries: exampleEntries })
    // At the end of a log, where nothing proves it durable, damage can't be told from what is being written.
    if (reader.lastOffset >= damaged) expect(await offsetsBefore(reader.follow())).toEqual(expected)
    else expect(reader.lastOffset).toBe(good)
    await reader.close()
    await log.close()
  }, 10_000)
})
