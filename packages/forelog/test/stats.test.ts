import { describe, expect, it } from 'vitest'
import { byteBounds, countBounds, type Histogram, HistogramCounter, msBounds } from '../src/stats.js'
import { bytesOf, failCalls, isPlainWrite, newDisk, openOn, rejection } from './support/logs.js'

const total = ({ buckets }: Histogram): number => buckets.reduce((sum, { count }) => sum + count, 0)

describe('a histogram', () => {
  it('puts a value into the first bucket whose bound it does not exceed, and what exceeds all of them into the last', () => {
    const counter = new HistogramCounter([1, 10])
    for (const value of [0, 1, 1.5, 10, 11, 1_000]) counter.add(value)
    expect(counter.snapshot()).toEqual({
      count: 6,
      sum: 1_023.5,
      min: 0,
      max: 1_000,
      buckets: [{ upTo: 1, count: 2 }, { upTo: 10, count: 2 }, { upTo: Infinity, count: 2 }],
    })
  })

  it('without values is all zeros', () => {
    expect(new HistogramCounter([1]).snapshot()).toEqual({ count: 0, sum: 0, min: 0, max: 0, buckets: [{ upTo: 1, count: 0 }, { upTo: Infinity, count: 0 }] })
  })

  it('that was handed out does not change', () => {
    const counter = new HistogramCounter([1])
    const before = counter.snapshot()
    counter.add(1)
    expect(before.count).toBe(0)
    expect(total(before)).toBe(0)
  })

  it('has bounds that grow', () => {
    for (const bounds of [countBounds, byteBounds, msBounds]) expect([...bounds].sort((a, b) => a - b)).toEqual(bounds)
  })
})

describe('stats()', () => {
  it('counts appends, bytes, groups and syncs, as plain data', async () => {
    const log = await openOn(newDisk())
    await log.append(new Uint8Array(91))
    await Promise.all(Array.from({ length: 10 }, () => log.append(new Uint8Array(91))))
    await log.appendBatch([new Uint8Array(91), new Uint8Array(91)])
    const stats = log.stats()
    expect(stats).toMatchObject({ appends: 13, appendedBytes: 1_300, pendingBytes: 0, pendingEntries: 0, segments: 1, rolls: 0 })
    expect(stats.groups).toBe(stats.entriesPerGroup.count)
    expect(stats.entriesPerGroup).toMatchObject({ sum: 13, min: 1, max: 10 })
    expect(stats.bytesPerGroup.sum).toBe(1_300)
    expect(stats.syncs).toBe(stats.syncMs.count)
    expect(stats.syncs).toBeGreaterThan(0)
    expect(stats.syncs).toBeLessThanOrEqual(stats.groups)
    for (const histogram of [stats.entriesPerGroup, stats.bytesPerGroup, stats.syncMs]) expect(total(histogram)).toBe(histogram.count)
    expect(structuredClone(stats)).toEqual(stats)
  })

  it('tells what waits to be written', async () => {
    const log = await openOn(newDisk())
    const waiting = [log.append(new Uint8Array(91)), log.append(new Uint8Array(91))]
    expect(log.stats()).toMatchObject({ appends: 0, pendingBytes: 200, pendingEntries: 2 })
    await Promise.all(waiting)
    expect(log.stats()).toMatchObject({ appends: 2, pendingBytes: 0, pendingEntries: 0 })
  })

  it('is a snapshot', async () => {
    const log = await openOn(newDisk())
    const before = log.stats()
    await log.append(bytesOf('a'))
    expect(before.appends).toBe(0)
    expect(before.entriesPerGroup.count).toBe(0)
  })

  it('counts what was refused, by its reason, and does not count it as appended', async () => {
    const disk = newDisk()
    const log = await openOn(disk, { sync: 'manual', maxPendingBytes: 100 })
    await rejection('ERR_WAL_ENCODE', log.append('text' as never))
    const taken = log.append(new Uint8Array(91))
    await rejection('ERR_WAL_BACKPRESSURE', log.append(bytesOf('a')))
    await taken
    failCalls(disk, isPlainWrite, 'ENOSPC', 1)
    await rejection('ERR_WAL_NO_SPACE', log.append(bytesOf('a')))
    expect(log.stats()).toMatchObject({ appends: 1, refused: { encode: 1, backpressure: 1, noSpace: 1 } })
  })

  it('counts rolls, segments, and those that truncation removed', async () => {
    const log = await openOn(newDisk(), { maxSegmentSize: 200 })
    for (let index = 0; index < 20; index++) await log.append(bytesOf(`entry ${index}`))
    const { rolls, segments } = log.stats()
    expect(segments).toBe(log.segments().length)
    expect(rolls).toBe(segments - 1)
    await log.truncateBefore(21)
    expect(log.stats()).toMatchObject({ segments: log.segments().length, removedSegments: segments - log.segments().length })
  })

  it('counts an opening behind an unclean end as a recovery', async () => {
    const disk = newDisk()
    const log = await openOn(disk)
    expect(log.stats()).toMatchObject({ recoveries: 0, tornBytes: 0 })
    await log.append(bytesOf('a'))
    const after = await openOn(disk.afterCrash('process'))
    expect(after.stats()).toMatchObject({ recoveries: 1, tornBytes: 0, appends: 0 })
    await after.close()
  })
})
