import { describe, expect, it } from 'vitest'
import { WriteAheadLog } from '../../src/index.js'
import { SimulatedDisk } from '../../src/testing/index.js'

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
