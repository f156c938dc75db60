import { join } from 'node:path'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { LogOf, OpenOptions, TruncateMessage } from '../../src/index.js'
import { exploreCrashes, Random, SimulatedDisk } from '../../src/testing/index.js'
import { WriteAheadLog } from '../../src/write-ahead-log.js'
import { bytesOf, collect, directory, failCalls, healCalls, isSync, newDisk, openOn, rejection, textsOf } from '../support/logs.js'
import { ExampleEntry1, exampleEntries } from '../support/waltest.js'

/** Some seven entries a segment. */
const maxSegmentSize = 600
/** What a segment may have at the most: it is full once it has reached the limit. */
const segmentBytes = maxSegmentSize + 150

async function fill(log: WriteAheadLog, count: number): Promise<void> {
  for (let n = 0; n < count; n++) await log.append(bytesOf(`entry ${log.lastOffset + 1}`))
}

function sizeOf(log: WriteAheadLog): number {
  return log.segments().reduce((sum, { bytes }) => sum + bytes, 0)
}

function assertWhole(texts: readonly string[], firstOffset: number, lastOffset: number): void {
  expect(texts).toEqual(Array.from({ length: lastOffset - firstOffset + 1 }, (_, n) => `${firstOffset + n} entry ${firstOffset + n}`))
}

/** Resolves when a line is logged. */
function loggingUntil(): { readonly logger: NonNullable<OpenOptions['logger']>; readonly lines: [object, string][]; line(part: string): Promise<object> } {
  const lines: [object, string][] = []
  const waiting: { part: string; resolve: (facts: object) => void }[] = []
  const take = (facts: object, message: string): void => {
    lines.push([facts, message])
    for (const { part, resolve } of waiting) if (message.includes(part)) resolve(facts)
  }
  return { logger: { debug: take, info: take, warn: take, error: take }, lines, line: (part) => new Promise((resolve) => waiting.push({ part, resolve })) }
}

const walFiles = async (disk: SimulatedDisk): Promise<string[]> => (await disk.list(directory)).filter((name) => name.endsWith('.wal')).sort()

afterEach(() => {
  vi.useRealTimers()
})

describe('retention by size', () => {
  it('keeps the log within the limit and one segment, through rolls and openings, and what stays is whole', async () => {
    const disk = newDisk({ journal: false })
    const options = { maxSegmentSize, retention: { maxBytes: 4096 } }
    let log = await openOn(disk, options)
    for (let n = 0; n < 600; n++) {
      await fill(log, 1)
      expect(sizeOf(log)).toBeLessThanOrEqual(4096 + segmentBytes)
    }
    expect(log.firstOffset).toBeGreaterThan(400)
    assertWhole(await textsOf(log), log.firstOffset, 600)
    const { retention, removedSegments } = log.stats()
    expect(retention).toMatchObject({ heldBackBytes: 0, heldBy: undefined, failures: 0, segmentsDropped: removedSegments })
    expect(retention.segmentsDropped).toBeGreaterThan(20)
    expect(retention.bytesDropped).toBeGreaterThan(20 * maxSegmentSize)
    const { firstOffset } = log
    await log.close()
    expect(await walFiles(disk)).toHaveLength(log.segments().length)
    log = await openOn(disk, options)
    expect(log.firstOffset).toBe(firstOffset)
    await log.close()
  })

  it('is done when a log that is too large already is opened, before anything of it is shown', async () => {
    const disk = newDisk({ journal: false })
    let log = await openOn(disk, { maxSegmentSize })
    await fill(log, 300)
    await log.close()
    log = await openOn(disk, { maxSegmentSize, retention: { maxBytes: 4096 } })
    expect(sizeOf(log)).toBeLessThanOrEqual(4096)
    expect(log.firstOffset).toBeGreaterThan(200)
    await log.close()
    expect(await walFiles(disk)).toHaveLength(log.segments().length)
  })

  it('appendSync is never refused for it, and drops as much', async () => {
    const disk = newDisk({ journal: false })
    const log = await openOn(disk, { maxSegmentSize, retention: { maxBytes: 4096 } })
    // There are cursors to be read.
    await (await log.cursor('loose', { hold: false })).close()
    const random = new Random(3)
    for (let n = 1; n <= 1500; n++) {
      expect(log.appendSync(bytesOf(`entry ${n}`))).toBe(n)
      // Some microtasks, so that it comes between all steps of a run.
      for (let turns = random.below(6); turns > 0; turns--) await Promise.resolve()
      if (random.below(20) === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    expect(log.stats().retention.failures).toBe(0)
    expect(log.stats().retention.segmentsDropped).toBeGreaterThan(100)
    await log.close()
    const again = await openOn(disk)
    assertWhole(await textsOf(again), again.firstOffset, 1500)
    await again.close()
  })

  it('frees a full disk by itself', async () => {
    const disk = newDisk({ journal: false })
    let log = await openOn(disk, { maxSegmentSize })
    await fill(log, 300)
    await log.close()
    disk.onCall = undefined
    const full = failCalls(disk, ({ kind, path }) => kind === 'write' && path.includes('.wal'), 'ENOSPC', 1)
    log = await openOn(disk, { maxSegmentSize, retention: { maxBytes: 4096 } })
    await log.sync()
    await log.applyRetention()
    expect(full.hits).toBe(1)
    expect(sizeOf(log)).toBeLessThanOrEqual(4096)
    await fill(log, 20)
    await log.close()
    log = await openOn(disk)
    assertWhole(await textsOf(log), log.firstOffset, 320)
    await log.close()
  })

  it('works in format 1, which keeps what says which offset is next', async () => {
    const disk = newDisk({ journal: false })
    const open = (retention: OpenOptions['retention']): Promise<LogOf<typeof exampleEntries>> =>
      WriteAheadLog.open(directory, { fileSystem: disk, format: 1, entries: exampleEntries, maxSegmentSize, retention: retention as object })
    let refused = await rejection('ERR_WAL_OPTION', open({ maxAgeMs: 1000 }))
    expect([refused.option, refused.message]).toEqual(['retention.maxAgeMs', expect.stringContaining('format 1')])
    refused = await rejection('ERR_WAL_OPTION', open({ passedByCursors: true }))
    expect(refused.option).toBe('retention.passedByCursors')
    // The lock is free again.
    let log = await open({ maxBytes: 4096 })
    await rejection('ERR_WAL_OPTION', log.applyRetention({ maxAgeMs: 1000 }))
    for (let n = 1; n <= 400; n++) {
      await log.append(new ExampleEntry1(n, []))
      expect(log.segments().reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThanOrEqual(4096 + segmentBytes)
    }
    const { firstOffset } = log
    expect(firstOffset).toBeGreaterThan(100)
    expect(log.segments()[0]).not.toHaveProperty('createdMs')
    await log.close()
    log = await open(undefined)
    expect([log.firstOffset, log.lastOffset]).toEqual([firstOffset, 400])
    await log.close()
  })
})

describe('retention by age', () => {
  it('drops a segment once the one behind it is older than the limit, at the moment that it comes of age', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'], now: 1_000_000 })
    const disk = newDisk({ journal: false })
    const log = await openOn(disk, { maxSegmentSize, retention: { maxAgeMs: 60_000 } })
    await fill(log, 8)
    await vi.advanceTimersByTimeAsync(30_000)
    await fill(log, 8)
    const [, second, third] = log.segments()
    expect([second?.createdMs, third?.createdMs]).toEqual([1_000_000, 1_030_000])
    await vi.advanceTimersByTimeAsync(29_999)
    await log.sync()
    expect(log.firstOffset).toBe(1)
    await vi.advanceTimersByTimeAsync(10)
    await log.sync()
    expect(log.firstOffset).toBe(second?.firstOffset)
    await vi.advanceTimersByTimeAsync(30_000)
    await log.sync()
    expect(log.firstOffset).toBe(third?.firstOffset)
    // The newest stays, however old.
    await vi.advanceTimersByTimeAsync(600_000)
    await log.sync()
    expect([log.firstOffset, log.segments().length]).toEqual([third?.firstOffset, 1])
    await log.close()
    expect(vi.getTimerCount()).toBe(0)
  })

  it('is known after an opening, too, and a clock that runs behind drops nothing', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: 5_000_000 })
    const disk = newDisk({ journal: false })
    let log = await openOn(disk, { maxSegmentSize })
    await fill(log, 20)
    const made = log.segments().map(({ createdMs }) => createdMs)
    expect(made).toEqual([5_000_000, 5_000_000, 5_000_000])
    await log.close()
    vi.setSystemTime(1_000_000)
    log = await openOn(disk, { maxSegmentSize, retention: { maxAgeMs: 1000 } })
    expect(log.segments().map(({ createdMs }) => createdMs)).toEqual(made)
    expect(await log.applyRetention()).toMatchObject({ segments: 0 })
    vi.setSystemTime(5_001_001)
    expect(await log.applyRetention()).toMatchObject({ segments: 2, firstOffset: log.segments()[0]?.firstOffset })
    await log.close()
  })
})

describe('retention and cursors', () => {
  it('drops what every cursor has committed, and nothing while there is none', async () => {
    const disk = newDisk({ journal: false })
    const log = await openOn(disk, { maxSegmentSize, retention: { passedByCursors: true } })
    await fill(log, 100)
    await log.applyRetention()
    expect(log.firstOffset).toBe(1)
    const fast = await log.cursor('fast')
    const slow = await log.cursor('slow', { hold: false })
    await fast.commit(100)
    expect(await log.applyRetention()).toMatchObject({ segments: 0, heldBy: undefined })
    await slow.commit(50)
    const { firstOffset } = await log.applyRetention()
    expect(firstOffset).toBeGreaterThan(30)
    expect(firstOffset).toBeLessThanOrEqual(51)
    expect(slow.lost).toBe(undefined)
    await log.close()
  })

  it('a commit, and the end of a cursor, is enough for what it held to go', async () => {
    const told = loggingUntil()
    const disk = newDisk({ journal: false })
    const log = await openOn(disk, { maxSegmentSize, logger: told.logger, retention: { maxBytes: 4096 } })
    const slow = await log.cursor('slow')
    const held = told.line('held back')
    await fill(log, 300)
    expect(await held).toMatchObject({ path: directory, cursor: 'slow', firstOffset: 1 })
    expect(log.firstOffset).toBe(1)
    const { retention } = log.stats()
    expect(retention.heldBy).toBe('slow')
    expect(retention.heldBackBytes).toBeGreaterThan(sizeOf(log) - 4096 - segmentBytes)
    let dropped = told.line('retention dropped')
    await slow.commit(150)
    await dropped
    expect(log.firstOffset).toBeGreaterThan(130)
    expect(log.firstOffset).toBeLessThanOrEqual(151)
    expect(slow.lost).toBe(undefined)
    await slow.close()
    dropped = told.line('retention dropped')
    await log.deleteCursor('slow')
    await dropped
    expect(sizeOf(log)).toBeLessThanOrEqual(4096)
    expect(log.stats().retention).toMatchObject({ heldBackBytes: 0, heldBy: undefined })
    await log.close()
    // Once for each that comes to hold, however many runs found it.
    expect(told.lines.filter(([, message]) => message.includes('held back'))).toHaveLength(1)
  })

  it('has what a commit let go of dropped within a second, and not with the next look at what is held back', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'], now: 1_000_000 })
    const log = await openOn(newDisk({ journal: false }), { maxSegmentSize, retention: { maxBytes: 4096 } })
    const slow = await log.cursor('slow')
    await fill(log, 300)
    await log.applyRetention()
    expect([log.firstOffset, log.stats().retention.heldBy]).toEqual([1, 'slow'])
    await slow.commit(150)
    await vi.advanceTimersByTimeAsync(1001)
    await log.sync()
    expect(log.firstOffset).toBeGreaterThan(130)
    await log.close()
  })

  it('does not wait for a cursor that does not hold, which learns what it lost', async () => {
    const log = await openOn(newDisk({ journal: false }), { maxSegmentSize, retention: { maxBytes: 4096 } })
    const loose = await log.cursor('loose', { hold: false })
    await fill(log, 300)
    await log.sync()
    expect(loose.lost).toEqual({ first: 1, last: log.firstOffset - 1 })
    await log.close()
  })

  it('drops nothing while a cursor can not be read, says so, and goes on taking appends', async () => {
    const told = loggingUntil()
    const disk = newDisk({ journal: false })
    const log = await openOn(disk, { maxSegmentSize, logger: told.logger, retention: { maxBytes: 4096 } })
    await (await log.cursor('a')).close()
    const failed = told.line('retention failed')
    failCalls(disk, ({ kind, path }) => kind === 'open' && path.endsWith('a.cursor'), 'EIO')
    await fill(log, 300)
    await failed
    expect([log.firstOffset, log.state]).toEqual([1, 'open'])
    expect(log.stats().retention.failures).toBeGreaterThan(0)
    await rejection('ERR_WAL_READ_FAILED', log.applyRetention())
    healCalls(disk)
    await log.deleteCursor('a')
    await log.applyRetention()
    expect(sizeOf(log)).toBeLessThanOrEqual(4096)
    await log.close()
  })
})

describe('retention that fails', () => {
  it('goes on without a file that can not be removed, and tries again', async () => {
    const told = loggingUntil()
    const disk = newDisk({ journal: false })
    let log = await openOn(disk, { maxSegmentSize, logger: told.logger, retention: { maxBytes: 4096 } })
    const failed = told.line('retention failed')
    failCalls(disk, ({ kind, path }) => kind === 'remove' && path.endsWith('.wal'), 'EACCES')
    await fill(log, 300)
    await failed
    await rejection('ERR_WAL_WRITE_FAILED', log.applyRetention())
    expect(log.state).toBe('open')
    healCalls(disk)
    await log.applyRetention()
    const { failures } = log.stats().retention
    expect(failures).toBeGreaterThan(1)
    expect(await walFiles(disk)).toHaveLength(log.segments().length)
    await fill(log, 100)
    expect(log.stats().retention.failures).toBe(failures)
    await log.close()
    expect(await walFiles(disk)).toHaveLength(log.segments().length)
    log = await openOn(disk)
    assertWhole(await textsOf(log), log.firstOffset, log.lastOffset)
    await log.close()
  })

  it('counts and tells what a first round dropped, though a full disk refuses the second one, and a crash then harms nobody', async () => {
    const disk = newDisk()
    const log = await openOn(disk, { maxSegmentSize })
    while (log.segments().length < 16) await fill(log, 1)
    // The newest segment is full, and says so: the mark has to begin another one.
    const full = failCalls(disk, ({ kind, path }) => kind === 'open' && path.endsWith('.wal.tmp'), 'ENOSPC')
    await expect(fill(log, 100)).rejects.toMatchObject({ code: 'ERR_WAL_NO_SPACE' })
    expect(full.hits).toBeGreaterThan(0)
    healCalls(disk)
    const before = log.segments()
    const { lastOffset } = log
    const limit = before.slice(-8).reduce((sum, { bytes }) => sum + bytes, 0)
    const messages: TruncateMessage[] = []
    const listener = (message: unknown): void => void messages.push(message as TruncateMessage)
    subscribe('forelog:truncate', listener)
    let writes = 0
    // Its header and the mark of the first round. The second would drop a segment more, because of the bytes that these have.
    const refused = failCalls(disk, ({ kind }) => kind === 'write' && ++writes > 2, 'ENOSPC')
    await rejection('ERR_WAL_NO_SPACE', log.applyRetention({ maxBytes: limit }))
    expect(refused.hits).toBe(2)
    unsubscribe('forelog:truncate', listener)
    const dropped = before.filter((segment) => !log.segments().some(({ id }) => id === segment.id))
    const bytes = dropped.reduce((sum, segment) => sum + segment.bytes, 0)
    expect(dropped).toHaveLength(9)
    expect(log.stats()).toMatchObject({ removedSegments: 9, retention: { segmentsDropped: 9, bytesDropped: bytes, failures: 1 } })
    expect(messages).toMatchObject([{ side: 'front', reason: 'retention', firstOffset: log.firstOffset, removedSegments: 9 }])
    const { firstOffset } = log
    const again = await openOn(disk.afterCrash())
    expect([again.firstOffset, again.lastOffset]).toEqual([firstOffset, lastOffset])
    assertWhole(await textsOf(again), firstOffset, lastOffset)
    await again.close()
    healCalls(disk)
    await log.applyRetention({ maxBytes: limit })
    expect(log.stats().retention).toMatchObject({ segmentsDropped: 9 })
    await log.close()
  })

  it('ends the log where its mark can not be put on stable storage, as any failed sync does', async () => {
    const disk = newDisk({ journal: false })
    const log = await openOn(disk, { maxSegmentSize, retention: { maxBytes: 4096 } })
    await (await log.cursor('a')).close()
    await fill(log, 300)
    await log.deleteCursor('a')
    // Writing through: the mark's write is its sync.
    const failing = failCalls(disk, (call) => isSync(call) && call.path.endsWith('.wal'), 'EIO', 1)
    await rejection('ERR_WAL_WRITE_FAILED', log.applyRetention())
    expect([failing.hits, log.state]).toEqual([1, 'failed'])
    await rejection('ERR_WAL_FAILED', log.append(bytesOf('more')))
    await rejection('ERR_WAL_FAILED', log.close())
  })
})

describe('retention by hand', () => {
  it('takes limits of its own, tells what went, and is refused by name what there is not', async () => {
    const log = await openOn(newDisk(), { maxSegmentSize })
    await fill(log, 100)
    expect(await log.applyRetention()).toEqual({ segments: 0, bytes: 0, firstOffset: 1, heldBackBytes: 0, heldBy: undefined })
    const before = log.segments()
    const cursor = await log.cursor('a', { from: 30 })
    const held = await log.applyRetention({ maxBytes: 4096 })
    expect(held.heldBy).toBe('a')
    expect(held.segments).toBe(before.filter((segment) => segment.lastOffset < 30).length)
    expect(held.bytes).toBe(before.slice(0, held.segments).reduce((sum, segment) => sum + segment.bytes, 0))
    expect(held.firstOffset).toBe(log.firstOffset)
    await cursor.close()
    for (const limits of [{ maxBytes: 4095 }, { maxBytes: 1.5e9 + 0.5 }, { maxAgeMs: 999 }, { passedByCursors: 1 }, { maxSize: 1 }, [], 5]) {
      await rejection('ERR_WAL_OPTION', log.applyRetention(limits as object))
      await rejection('ERR_WAL_OPTION', openOn(newDisk(), { retention: limits as object }))
    }
    const refused = await rejection('ERR_WAL_OPTION', openOn(newDisk(), { retention: { maxSize: 1 } as object }))
    expect(refused.message).toContain('maxBytes, maxAgeMs, passedByCursors')
    await log.close()
    await rejection('ERR_WAL_CLOSED', log.applyRetention())
  })

  it('is told on the channel, apart from calls', async () => {
    const told: TruncateMessage[] = []
    const take = (message: unknown): void => void told.push(message as TruncateMessage)
    subscribe('forelog:truncate', take)
    try {
      const log = await openOn(newDisk(), { maxSegmentSize })
      await fill(log, 200)
      await log.truncateBefore(20)
      const { segments, firstOffset } = await log.applyRetention({ maxBytes: 4096 })
      await log.close()
      expect(told.map(({ side, reason }) => [side, reason])).toEqual([
        ['front', 'call'],
        ['front', 'retention'],
      ])
      expect(told[1]).toMatchObject({ path: directory, removedSegments: segments, firstOffset, lastOffset: 200 })
    } finally {
      unsubscribe('forelog:truncate', take)
    }
  })
})

describe('retention and crashes', () => {
  it('removes nothing before its mark is on stable storage: at each of its calls a crash leaves the log as it was, or as it is to be', async () => {
    const disk = newDisk({ journal: false })
    const log = await openOn(disk, { maxSegmentSize })
    await fill(log, 200)
    const crashed: SimulatedDisk[] = []
    disk.onCall = () => void crashed.push(disk.afterCrash('none'), disk.afterCrash('process'))
    const { firstOffset } = await log.applyRetention({ maxBytes: 4096 })
    disk.onCall = undefined
    await log.close()
    const found = new Set<number>()
    for (const left of crashed) {
      const again = await openOn(left)
      found.add(again.firstOffset)
      assertWhole(await textsOf(again), again.firstOffset, 200)
      await again.close()
    }
    expect([...found].sort((a, b) => a - b)).toEqual([1, firstOffset])
  })

  it('a crash at any moment leaves all that is within the limits, and all that a cursor holds', async () => {
    const retention = { maxBytes: 4096 }
    const report = await exploreCrashes<{ readonly last: number } | { readonly committed: number } | { readonly first: number }>({
      seed: 7,
      runs: 4,
      crashes: 1500,
      crashDuringCheck: 1,
      async workload({ fileSystem, directory: data, acknowledge, seed }) {
        const random = new Random(seed)
        const log = await WriteAheadLog.open(join(data, 'log'), { fileSystem, maxSegmentSize, retention })
        const cursor = await log.cursor('a')
        acknowledge({ committed: 0 })
        for (let n = 0; n < 220; n++) {
          acknowledge({ last: await log.append(bytesOf(`entry ${log.lastOffset + 1}`)) })
          if (random.below(12) === 0) {
            const committed = cursor.offset + random.below(log.durableOffset - cursor.offset + 1)
            await cursor.commit(committed)
            acknowledge({ committed })
          }
          if (random.below(20) === 0) acknowledge({ first: (await log.applyRetention()).firstOffset })
        }
        await log.close()
      },
      async check({ fileSystem, directory: data, acknowledged, acknowledge }) {
        const log = await WriteAheadLog.open(join(data, 'log'), { fileSystem, maxSegmentSize, retention })
        const last = acknowledged.findLast((told) => 'last' in told)?.last ?? 0
        const first = acknowledged.findLast((told) => 'first' in told)?.first ?? 1
        if (log.lastOffset < last) throw new Error(`${last} was acknowledged, and the log ends at ${log.lastOffset}`)
        if (log.firstOffset < first) throw new Error(`the log began at ${first}, and begins at ${log.firstOffset}`)
        const [cursor] = await log.cursors()
        const committed = acknowledged.findLast((told) => 'committed' in told)?.committed
        if (committed !== undefined && (cursor === undefined || cursor.offset < committed)) throw new Error(`${committed} was committed, and it is at ${cursor?.offset}`)
        if (cursor?.lost !== undefined) throw new Error(`it lost ${cursor.lost.first} to ${cursor.lost.last}`)
        const texts = await collect(log.entries())
        if (texts.length !== log.lastOffset - log.firstOffset + 1) throw new Error('there is a gap')
        const left = await log.applyRetention()
        if (left.heldBy === undefined && sizeOf(log) > 4096) throw new Error(`${sizeOf(log)} bytes are left, and nobody holds them`)
        acknowledge({ last: log.lastOffset })
        acknowledge({ first: left.firstOffset })
        await log.close()
      },
    })
    expect(report.violations).toEqual([])
    expect(report.crashes).toBeGreaterThan(1500)
  }, 120_000)

  it('follows a model through appends, commits, cursors that come and go, ages, truncations both ways and openings', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: 1_000_000 })
    for (let seed = 1; seed <= 40; seed++) {
      const random = new Random(seed)
      const disk = new SimulatedDisk({ seed, directories: ['/data'] })
      const limits = {
        ...(random.below(3) > 0 && { maxBytes: 4096 + random.below(3000) }),
        ...(random.below(3) === 0 && { maxAgeMs: 5000 }),
        ...(random.below(3) === 0 && { passedByCursors: true }),
      }
      const options = { maxSegmentSize, retention: limits }
      let log = await openOn(disk, options)
      // Of each cursor what it has committed; of each entry when it was appended.
      const cursors = new Map<string, { committed: number; hold: boolean }>()
      let appendedMs: number[] = [0]
      for (let turn = 0; turn < 60; turn++) {
        const what = random.below(8)
        const name = random.pick(['a', 'b', 'c'])
        const before = log.firstOffset
        if (what <= 2) {
          const count = 1 + random.below(40)
          await fill(log, count)
          while (appendedMs.length <= log.lastOffset) appendedMs.push(Date.now())
        } else if (what === 3) {
          const hold = random.below(2) === 0
          const isNew = !cursors.has(name)
          const cursor = await log.cursor(name, isNew ? { hold } : {})
          if (isNew) cursors.set(name, { committed: cursor.offset, hold })
          expect(cursor.offset + 1, `seed ${seed}`).toBeGreaterThanOrEqual(isNew ? log.firstOffset : 0)
          const known = cursors.get(name) as { committed: number; hold: boolean }
          const offset = cursor.offset + random.below(log.durableOffset - cursor.offset + 1)
          await cursor.commit(offset)
          known.committed = Math.max(known.committed, offset)
          await cursor.close()
        } else if (what === 4 && random.below(3) === 0) {
          await log.deleteCursor(name)
          cursors.delete(name)
        } else if (what === 5) {
          vi.setSystemTime(Date.now() + random.below(4000))
        } else if (what === 6 && random.below(3) === 0) {
          const offset = Math.max(log.firstOffset - 1, log.lastOffset - random.below(30))
          await log.truncateAfter(offset)
          appendedMs = appendedMs.slice(0, offset + 1)
          for (const cursor of cursors.values()) cursor.committed = Math.min(cursor.committed, offset)
        } else if (what === 7) {
          await log.close()
          log = await openOn(disk, options)
        }
        const result = await log.applyRetention()
        const where = `seed ${seed}, turn ${turn}`
        const holds = [...cursors.values()].filter(({ hold }) => hold)
        // Nothing that is held has gone, and nothing that no limit asked for.
        for (const { committed } of holds) expect(log.firstOffset, where).toBeLessThanOrEqual(Math.max(before, committed + 1))
        const all = [...cursors.values()].map(({ committed }) => committed)
        const passedTo = limits.passedByCursors === true && all.length > 0 ? Math.min(...all) : 0
        const gone = log.firstOffset - 1
        const isOld = (appendedMs[gone] ?? 0) < Date.now() - (limits.maxAgeMs ?? Infinity)
        if (gone >= before) expect(limits.maxBytes !== undefined || isOld || gone <= passedTo, where).toBe(true)
        // All that may go has gone.
        if (limits.maxBytes !== undefined && result.heldBy === undefined && log.segments().length > 1) expect(sizeOf(log), where).toBeLessThanOrEqual(limits.maxBytes)
        if (result.heldBy !== undefined) expect(holds.length, where).toBeGreaterThan(0)
        for (const { name, hold, lost } of await log.cursors()) if (hold) expect([name, lost], where).toEqual([name, undefined])
        assertWhole(await textsOf(log), log.firstOffset, log.lastOffset)
      }
      await log.close()
      expect(await walFiles(disk), `seed ${seed}`).toHaveLength(log.segments().length)
    }
  }, 120_000)
})
