/**
 * Mistakes that other logs have made, one test for each. Where a mistake can be made in either format, both are tried.
 *
 * One more is looked for elsewhere: a flush that does no sync (`FileHandle.appendFile(…, { flush: true })` on Node.js 20.20). There the
 * calls of a real process are watched: proofs/acknowledged-means-synced.root.test.ts.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { OpenOptions } from '../src/options.js'
import type { SegmentInfo } from '../src/segments/segment-set.js'
import type { SimulatedDisk } from '../src/testing/index.js'
import { WriteAheadLog } from '../src/write-ahead-log.js'
import { bytesOf, collect, directory, failCalls, healCalls, isSync, newDisk, openOn, rejection, textsOf } from './support/logs.js'
import { ExampleEntry2, exampleEntries } from './support/waltest.js'

/** A log of either format, of texts. */
interface TextLog {
  readonly lastOffset: number
  append(text: string): Promise<number>
  texts(): Promise<string[]>
  segments(): readonly SegmentInfo[]
  close(): Promise<void>
}

type Settings = Pick<OpenOptions, 'maxSegmentSize' | 'sync'>

const formats: [string, (disk: SimulatedDisk, settings?: Settings) => Promise<TextLog>][] = [
  [
    'format 2',
    async (disk, settings) => {
      const log = await openOn(disk, settings)
      return {
        get lastOffset() {
          return log.lastOffset
        },
        append: (text) => log.append(bytesOf(text)),
        texts: () => textsOf(log),
        segments: () => log.segments(),
        close: () => log.close(),
      }
    },
  ],
  [
    'format 1',
    async (disk, settings) => {
      const log = await WriteAheadLog.open(directory, { ...settings, fileSystem: disk, format: 1, entries: exampleEntries })
      return {
        get lastOffset() {
          return log.lastOffset
        },
        append: (text) => log.append(new ExampleEntry2(true, text)),
        texts: async () => (await collect(log.entries())).map(({ offset, entry }) => `${offset} ${(entry as ExampleEntry2).name}`),
        segments: () => log.segments(),
        close: () => log.close(),
      }
    },
  ],
]

const numbered = (last: number): string[] => Array.from({ length: last }, (_, index) => `${index + 1} entry ${index + 1}`)

async function appendUpTo(log: TextLog, last: number): Promise<void> {
  while (log.lastOffset < last) await log.append(`entry ${log.lastOffset + 1}`)
}

/** How many segment files there are. */
const segmentFiles = (disk: SimulatedDisk): string[] => disk.listSync(directory).filter((name) => name.endsWith('.wal'))

describe.each(formats)('in %s', (format, open) => {
  it('an id counter that restarts on reopening, so that a roll overwrites the oldest segment', async () => {
    const disk = newDisk()
    let files = 0
    for (let life = 1; life <= 6; life++) {
      const log = await open(disk, { maxSegmentSize: 120 })
      await appendUpTo(log, life * 10)
      await log.close()
      expect(segmentFiles(disk).length).toBeGreaterThan(files)
      files = segmentFiles(disk).length
    }
    const log = await open(disk)
    expect(await log.texts()).toEqual(numbered(60))
    const ids = log.segments().map(({ id }) => id)
    expect(ids).toEqual(ids.map((_, index) => index + 1))
  })

  it('10.wal sorted before 2.wal', async () => {
    const disk = newDisk()
    const log = await open(disk, { maxSegmentSize: 1 })
    await appendUpTo(log, 12)
    await log.close()
    expect(segmentFiles(disk).length).toBeGreaterThanOrEqual(12)
    const again = await open(disk, { maxSegmentSize: 1 })
    expect(await again.texts()).toEqual(numbered(12))
    await appendUpTo(again, 13)
    expect(await again.texts()).toEqual(numbered(13))
  })

  it('a torn tail that makes opening fail for good', async () => {
    const disk = newDisk()
    const log = await open(disk)
    await appendUpTo(log, 5)
    const [segment] = log.segments() as [SegmentInfo]
    const whole = disk.contents(segment.path).subarray(0, segment.bytes)
    // A beginning of the last entry: that cuts through the group, and in the second round through what was written behind it.
    let torn = disk.afterCrash('process')
    torn.place(segment.path, whole.subarray(0, whole.length - 3))
    for (let life = 0; life < 3; life++) {
      const after = await open(torn)
      expect(after.lastOffset).toBe(4)
      expect(await after.texts()).toEqual(numbered(4))
      await after.append('torn as well')
      const { bytes } = after.segments()[0] as SegmentInfo
      const { length } = torn.contents(segment.path)
      torn = torn.afterCrash('process')
      torn.place(segment.path, torn.contents(segment.path).subarray(0, Math.min(bytes, length) - 3))
    }
  })

  it('appending behind a torn tail, so that later acknowledged entries can not be reached', async () => {
    const disk = newDisk()
    const log = await open(disk)
    await appendUpTo(log, 5)
    const [segment] = log.segments() as [SegmentInfo]
    const torn = disk.afterCrash('process')
    torn.place(segment.path, torn.contents(segment.path).subarray(0, segment.bytes - 3))
    const after = await open(torn)
    expect(after.lastOffset).toBe(4)
    await appendUpTo(after, 8)
    for (const crash of ['none', 'process'] as const) {
      const again = await open(torn.afterCrash(crash))
      expect(await again.texts()).toEqual(numbered(8))
    }
  })

  it.each(['nothing', 'zeros'])('an empty or zero-filled newest segment that restarts offsets at 1: %s in it', async (content) => {
    const disk = newDisk()
    const log = await open(disk, { maxSegmentSize: 1 })
    await appendUpTo(log, 3)
    const segments = log.segments()
    const newest = segments.at(-1) as SegmentInfo
    // As a crash right behind the roll leaves it: its header, where it has one, and no entry.
    const crashed = disk.afterCrash('process')
    const header = format === 'format 2' ? headerOf(crashed.contents(newest.path)) : new Uint8Array(0)
    crashed.place(newest.path, Buffer.concat([header, Buffer.alloc(content === 'zeros' ? 64 * 1024 : 0)]))
    for (let life = 0; life < 2; life++) {
      const after = await open(crashed, { maxSegmentSize: 1 })
      expect(after.lastOffset).toBe(newest.firstOffset - 1)
      expect(await after.texts()).toEqual(numbered(newest.firstOffset - 1))
      await after.close()
    }
    const after = await open(crashed, { maxSegmentSize: 1 })
    await appendUpTo(after, 6)
    expect(await after.texts()).toEqual(numbered(6))
  })

  it('damage in the middle taken for the end', async () => {
    const disk = newDisk()
    const log = await open(disk, { maxSegmentSize: 70 })
    await appendUpTo(log, 12)
    const segments = log.segments()
    expect(segments.length).toBeGreaterThan(2)
    await log.close()
    const { path } = segments[1] as SegmentInfo
    const damaged = disk.afterCrash('process')
    const bytes = damaged.contents(path)
    const at = Buffer.from(bytes).indexOf('entry')
    bytes[at] = (bytes[at] as number) ^ 0x10
    damaged.place(path, bytes)
    const after = await open(damaged)
    expect(after.lastOffset).toBe(12)
    const error = await rejection('ERR_WAL_CORRUPT', after.texts())
    expect(error.path).toBe(path)
    expect(error.position).toBeGreaterThanOrEqual(0)
    expect(damaged.contents(path)).toEqual(bytes)
  })

  it('a close of a log that was never written to that leaves it open', async () => {
    const disk = newDisk()
    for (let life = 0; life < 3; life++) {
      const log = await open(disk)
      await log.close()
      await expect(log.append('x')).rejects.toMatchObject({ code: 'ERR_WAL_CLOSED' })
    }
    expect(disk.openFiles).toBe(0)
    expect(disk.journal.filter(({ kind }) => kind === 'release')).toHaveLength(3)
  })

  it('a directory that is never synced, so that a whole segment is gone after a power cut', async () => {
    const disk = newDisk()
    const log = await open(disk, { maxSegmentSize: 70 })
    for (let last = 1; last <= 12; last++) {
      await appendUpTo(log, last)
      const after = await open(disk.afterCrash('none'))
      expect(await after.texts()).toEqual(numbered(last))
    }
    expect(log.segments().length).toBeGreaterThan(2)
  })

  it('a size that is not restored on reopening, so that a segment grows without end', async () => {
    const disk = newDisk()
    for (let life = 1; life <= 40; life++) {
      const log = await open(disk, { maxSegmentSize: 400 })
      await appendUpTo(log, life)
      for (const { bytes } of log.segments()) expect(bytes).toBeLessThan(800)
      await log.close()
    }
    expect(segmentFiles(disk).length).toBeGreaterThan(1)
    expect(await (await open(disk)).texts()).toEqual(numbered(40))
  })
})

/** The first record of a file of format 2: its length stands in its payload. */
function headerOf(bytes: Uint8Array): Uint8Array {
  const recordHeader = 9
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(recordHeader)
  return bytes.slice(0, recordHeader + 4 + length)
}

it('damage in the middle of the newest segment taken for a torn tail', async () => {
  const disk = newDisk()
  const log = await openOn(disk)
  for (let index = 1; index <= 9; index++) await log.append(bytesOf(`entry ${index}`))
  const [segment] = log.segments() as [SegmentInfo]
  const damaged = disk.afterCrash('process')
  const bytes = damaged.contents(segment.path)
  const at = Buffer.from(bytes).indexOf('entry 4')
  bytes[at] = (bytes[at] as number) ^ 0x04
  damaged.place(segment.path, bytes)
  const error = await rejection('ERR_WAL_CORRUPT', openOn(damaged))
  expect(error.path).toBe(segment.path)
  expect(damaged.contents(segment.path)).toEqual(bytes)
  expect(damaged.listSync(directory)).not.toContain('quarantine')
})

it('a wakeup that is lost between the end of one group and the beginning of the next, so that an append waits for ever', async () => {
  const turns: ((next: () => void) => void)[] = [
    (next) => next(),
    (next) => queueMicrotask(next),
    (next) => process.nextTick(next),
    (next) => setImmediate(next),
    (next) => setTimeout(next, 0),
  ]
  // Every combination of how late the disk answers, and when the next append comes: right before, at and behind the end of a group.
  for (const latencyMs of [0, 1]) {
    const disk = newDisk({ latencyMs: ({ number }) => (latencyMs * number) % 3, journal: false })
    const log = await openOn(disk)
    let appended = 0
    await Promise.all(
      turns.map(async (turn, writer) => {
        for (let index = 0; index < 60; index++) {
          await new Promise<void>((resolve) => (turns[(writer + index) % turns.length] as typeof turn)(resolve))
          await Promise.all([log.append(bytesOf('x')), ...(index % 7 === 0 ? [log.sync()] : []), ...(index % 11 === 0 ? [log.truncateBefore(1)] : [])])
          appended++
        }
      }),
    )
    expect(appended).toBe(300)
    expect(log.lastOffset).toBe(300)
    await log.close()
  }
})

it('an error of a sync that the retry in close swallows', async () => {
  const disk = newDisk()
  const log = await openOn(disk, { sync: 'manual' })
  await log.append(bytesOf('a'))
  failCalls(disk, isSync, 'EIO', 1)
  await rejection('ERR_WAL_SYNC_FAILED', log.sync())
  healCalls(disk)
  const before = disk.journal.length
  await rejection('ERR_WAL_FAILED', log.close())
  expect(disk.journal.slice(before).filter(isSync)).toEqual([])
})

it('a path name with [ or * that is given to a glob', async () => {
  const home = mkdtempSync(join(tmpdir(), 'forelog-glob-'))
  try {
    const path = join(home, 'lo[g] *?{a,b}')
    const decoy = join(home, 'log 1')
    for (const each of [decoy, path]) {
      const log = await WriteAheadLog.open(each, { maxSegmentSize: 1 })
      for (let index = 0; index < 12; index++) await log.append(bytesOf(each))
      await log.close()
    }
    const log = await WriteAheadLog.open(path)
    expect(log.lastOffset).toBe(12)
    expect((await textsOf(log)).every((text) => text.endsWith(path))).toBe(true)
    await log.truncateBefore(13)
    await log.close()
    const untouched = await WriteAheadLog.open(decoy)
    expect([untouched.firstOffset, untouched.lastOffset]).toEqual([1, 12])
    await untouched.close()
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
})

it('a buffer of the caller’s that is changed between append and write', async () => {
  const disk = newDisk()
  const log = await openOn(disk)
  const buffer = bytesOf('entry 0')
  const appended: Promise<number>[] = []
  for (let index = 1; index <= 9; index++) {
    buffer[6] = '0'.charCodeAt(0) + index
    appended.push(log.append(buffer))
  }
  buffer.fill(0)
  await Promise.all(appended)
  expect(await textsOf(log)).toEqual(numbered(9))
})

it('an entry that returns its whole buffer as its payload, so that in format 1 nothing behind it can be read', async () => {
  /** As the Go library's own example does. */
  class Padded extends ExampleEntry2 {
    override encodePayload(buffer: Uint8Array): Uint8Array {
      const used = super.encodePayload(buffer).length
      return buffer.subarray(0, used + 1)
    }
  }
  const disk = newDisk()
  const log = await WriteAheadLog.open(directory, { fileSystem: disk, format: 1, entries: exampleEntries })
  await log.append(new ExampleEntry2(true, 'a'))
  const error = await rejection('ERR_WAL_ENCODE', log.append(new Padded(true, 'b')))
  expect(error.message).toContain('return the part that was used')
  expect(await log.append(new ExampleEntry2(true, 'c'))).toBe(2)
  await log.close()
  const again = await WriteAheadLog.open(directory, { fileSystem: disk, entries: exampleEntries })
  expect((await collect(again.entries())).map(({ entry }) => (entry as ExampleEntry2).name)).toEqual(['a', 'c'])
})
