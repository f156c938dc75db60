import { describe, expect, it } from 'vitest'
import { WriteAheadLog } from '../../src/index.js'
import { resolveOptions } from '../../src/options.js'
import { openLog } from '../../src/recovery/open-log.js'
import { SegmentSet } from '../../src/segments/segment-set.js'
import { SegmentWriter } from '../../src/segments/segment-writer.js'
import { runBlocking, runPooled } from '../../src/steps.js'
import { SimulatedDisk } from '../../src/testing/index.js'
import { readSegment2 } from '../support/reference-reader.js'

const directory = '/data/log'

/** A log whose interval has begun a sync in the pool that nobody waits for, and that is not back yet. */
async function duringIntervalSync(maxSegmentSize: number): Promise<{ disk: SimulatedDisk; log: WriteAheadLog; synced: Promise<void> }> {
  let slow = false
  // Calls that block are as quick as ever: they overtake the one in the pool.
  const disk = new SimulatedDisk({ seed: 1, directories: ['/data'], latencyMs: ({ kind }) => (slow && kind === 'dataSync' ? 50 : 0) })
  const log = await WriteAheadLog.open(directory, { fileSystem: disk, sync: 'interval', syncInterval: 1, maxSegmentSize })
  slow = true
  let begun: () => void = () => {}
  const begins = new Promise<void>((resolve) => (begun = resolve))
  const synced = new Promise<void>((resolve) => {
    disk.onCall = ({ kind }, moment) => {
      if (kind !== 'dataSync') return
      if (moment === 'before') begun()
      else resolve()
    }
  })
  await log.append(Buffer.alloc(100, 1))
  await begins
  slow = false
  return { disk, log, synced }
}

describe('a roll by appendSync while a sync of the interval is under way in the pool', () => {
  it('leaves the file open until that sync is back, and the log goes on', async () => {
    const { disk, log, synced } = await duringIntervalSync(300)
    for (let count = 0; count < 12; count++) log.appendSync(Buffer.alloc(60, 2))
    expect(log.segments().length).toBeGreaterThan(2)
    await synced
    await log.sync()
    expect(log.state).toBe('open')
    expect(log.lastOffset).toBe(13)
    await log.close()
    expect(disk.openFiles).toBe(0)
  })

  it('does not make that sync count for the segment that was begun meanwhile', async () => {
    const { disk, log, synced } = await duringIntervalSync(3000)
    log.appendSync(Buffer.alloc(2900, 2))
    log.appendSync(Buffer.alloc(60, 3))
    expect(log.segments().length).toBe(2)
    disk.onCall = undefined
    await synced
    expect(await log.sync()).toBe(3)
    const after = await WriteAheadLog.open(directory, { fileSystem: disk.afterCrash('none') })
    expect(after.lastOffset).toBe(3)
    await log.close()
  })
})

it('a log that fails in appendSync, while a sync of the interval is under way in the pool, keeps its lock until that is back', async () => {
  const { disk, log } = await duringIntervalSync(3000)
  const ended: string[] = []
  disk.onCall = ({ kind }, moment) => {
    if (moment === 'after' && (kind === 'dataSync' || kind === 'release')) ended.push(kind)
  }
  disk.fail({ kind: 'write', code: 'EIO' })
  expect(() => log.appendSync(Buffer.alloc(60, 2))).toThrow(expect.objectContaining({ code: 'ERR_WAL_WRITE_FAILED' }))
  await expect(log.close()).rejects.toMatchObject({ code: 'ERR_WAL_FAILED' })
  expect(ended).toEqual(['dataSync', 'release'])
})

it('a log that is closed keeps its lock until zeros that were filled ahead are synced, also in a segment that appendSync has left', async () => {
  // In the pool alone: calls that block take no time.
  const disk = new SimulatedDisk({ seed: 1, directories: ['/data'], latencyMs: ({ kind }) => (kind === 'dataSync' ? 200 : 0) })
  const log = await WriteAheadLog.open(directory, { fileSystem: disk, maxSegmentSize: 1000 })
  const underWay = new Set<number>()
  let left = 0
  let atRelease = -1
  disk.onCall = ({ kind, number }, moment) => {
    if (kind === 'dataSync' && moment === 'before') underWay.add(number)
    if (kind === 'dataSync' && moment === 'after') underWay.delete(number)
    if (kind === 'release' && moment === 'before') atRelease = underWay.size
  }
  for (let count = 0; log.segments().length < 2; count++) {
    log.appendSync(Buffer.alloc(60, count))
    left = Math.max(left, underWay.size)
  }
  expect(left).toBeGreaterThan(0)
  await log.close()
  expect(atRelease).toBe(0)
  expect(disk.openFiles).toBe(0)
})

describe('a segment that is prepared in the pool', () => {
  it('too late for the roll by appendSync that wanted it is not taken for the next one', async () => {
    const disk = new SimulatedDisk({ seed: 1, directories: ['/data'] })
    const log = await WriteAheadLog.open(directory, { fileSystem: disk, maxSegmentSize: 1000, commit: 'inline' })
    for (let round = 0; round < 6; round++) {
      for (const bytes of [0, 780, 0, 520, 13, 8, 38, 300]) log.appendSync(Buffer.alloc(bytes, 1))
      // What is in the pool comes to its end, or half of it.
      await log.get(log.lastOffset)
      if (round % 2 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    expect(log.state).toBe('open')
    expect(log.lastOffset).toBe(48)
    await log.close()
    expect(disk.openFiles).toBe(0)
    expect(disk.listSync(directory).filter((name) => name.endsWith('.tmp'))).toEqual([])
  })
})

it('a sync makes nothing durable before it is back, and nothing that was appended while it was under way', async () => {
  const { disk, log } = await duringIntervalSync(3000)
  expect(log.durableOffset).toBe(0)
  const durableBefore: number[] = []
  disk.onCall = ({ kind }, moment) => {
    if (kind === 'dataSync' && moment === 'before') durableBefore.push(log.durableOffset)
  }
  log.appendSync(Buffer.alloc(60, 2))
  expect(log.durableOffset).toBe(0)
  expect(await log.sync()).toBe(2)
  expect(durableBefore).toEqual([1])
  await log.close()
})

it('a durable mark behind a sync vouches for what that covered, and not for what was appended while it was under way', async () => {
  const disk = new SimulatedDisk({ seed: 1, directories: ['/data'] })
  const options = resolveOptions(directory, { fileSystem: disk })
  await disk.makeDirectory(directory)
  const { live, end } = await runPooled(openLog({ ...options, mode: 'truncate' }))
  const segments = new SegmentSet(disk, directory, 2, live)
  const writer = new SegmentWriter(segments, end, { maxSegmentBytes: 10_000, fileMode: 0o666, onRoll: () => {}, onCut: () => {} })
  const write = (): void => {
    const group = writer.newGroup(writer.nextOffset, undefined)
    group.add(1, Buffer.from('entry'))
    runBlocking(writer.write(group, false))
  }
  write()
  const syncing = runPooled(writer.sync())
  write()
  await syncing
  expect([writer.durableOffset, writer.nextOffset, writer.hasUnsynced]).toEqual([1, 3, true])
  runBlocking(writer.markDurable())
  const { records } = readSegment2(disk.contents(segments.newest.path))
  expect(records.map(({ kind }) => kind)).toEqual(['header', 'commit', 'commit', 'durable'])
  expect(records.at(-1)).toMatchObject({ durableOffset: 1 })
})
