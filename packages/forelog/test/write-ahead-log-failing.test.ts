/** The log on a disk that runs full, or fails: who is told what, and what is still possible afterwards. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { describe, expect, it } from 'vitest'
import { utf8 } from '../src/entries/codecs.js'
import { defineEntries } from '../src/entries/define-entries.js'
import type { TruncateMessage } from '../src/diagnostics.js'
import type { WalError } from '../src/errors.js'
import type { SimulatedDisk } from '../src/testing/index.js'
import { WriteAheadLog } from '../src/write-ahead-log.js'
import {
  bytesOf,
  collect,
  directory,
  failCalls,
  healCalls,
  isPlainWrite,
  isSync,
  newDisk,
  openOn,
  rejection,
  syncsSince,
  textsOf,
} from './support/logs.js'

const codesOf = (results: readonly PromiseSettledResult<unknown>[]): unknown[] =>
  results.map((result) => (result.status === 'fulfilled' ? result.value : (result.reason as WalError).code))

/** A log without syncs of its own: there every write is a plain one, whatever the log does for speed. */
const manual = { sync: 'manual' } as const

describe('a disk without space', () => {
  it('rejects every pending append, so that what is stored is a prefix of the calls; the log goes on', async () => {
    const disk = newDisk()
    const log = await openOn(disk, manual)
    await log.append(bytesOf('a'))
    failCalls(disk, isPlainWrite, 'ENOSPC', 1)
    const results = await Promise.allSettled([
      log.append(bytesOf('b')),
      log.appendBatch([bytesOf('c'), bytesOf('d')]),
      log.append(bytesOf('e')),
    ])
    expect(codesOf(results)).toEqual(['ERR_WAL_NO_SPACE', 'ERR_WAL_NO_SPACE', 'ERR_WAL_NO_SPACE'])
    expect([log.state, log.failure, log.lastOffset]).toEqual(['open', undefined, 1])
    expect(log.stats().refused.noSpace).toBe(3)
    expect(await Promise.all([log.append(bytesOf('f')), log.append(bytesOf('g'))])).toEqual([2, 3])
    expect(await textsOf(log)).toEqual(['1 a', '2 f', '3 g'])
    await log.close()
    expect(await textsOf(await openOn(disk))).toEqual(['1 a', '2 f', '3 g'])
  })

  it('rejects appends of later groups with the one that found none: none of them jumps the queue', async () => {
    const disk = newDisk()
    const log = await openOn(disk, manual)
    failCalls(disk, isPlainWrite, 'ENOSPC', 1)
    // An operation ends a group: what is appended behind it belongs to another one.
    const results = await Promise.allSettled([
      log.append(bytesOf('a')),
      log.truncateBefore(1),
      log.append(bytesOf('b')),
      log.sync(),
    ])
    expect(codesOf(results)).toEqual(['ERR_WAL_NO_SPACE', undefined, 'ERR_WAL_NO_SPACE', 'ERR_WAL_NO_SPACE'])
    expect(await log.append(bytesOf('c'))).toBe(1)
    expect(await textsOf(log)).toEqual(['1 c'])
  })

  it('leaves nothing of the group that was undone: a power cut and another opening see what was acknowledged', async () => {
    const disk = newDisk()
    const log = await openOn(disk, manual)
    await log.append(bytesOf('kept'))
    // Takes some bytes, then none.
    disk.fail({ kind: 'write', code: 'ENOSPC', bytes: 40 })
    await rejection('ERR_WAL_NO_SPACE', log.append(new Uint8Array(500).fill(1)))
    for (const crash of ['none', 'process', 'torn'] as const) {
      const after = await openOn(disk.afterCrash(crash))
      expect(after.recovery.tornBytes).toBe(0)
      expect(await textsOf(after)).toEqual(['1 kept'])
    }
  })

  it('counts and tells what a truncation in front emptied, though there is no room for its mark even then', async () => {
    const disk = newDisk()
    const log = await openOn(disk, { ...manual, maxSegmentSize: 300 })
    while (log.segments().length < 6) await log.append(bytesOf(`entry ${log.lastOffset + 1}`))
    const [, , , fourth] = log.segments()
    const told: TruncateMessage[] = []
    const take = (message: unknown): void => void told.push(message as TruncateMessage)
    subscribe('forelog:truncate', take)
    const full = failCalls(disk, isPlainWrite, 'ENOSPC')
    await rejection('ERR_WAL_NO_SPACE', log.truncateBefore(fourth?.firstOffset as number))
    unsubscribe('forelog:truncate', take)
    expect(full.hits).toBe(2)
    expect([log.state, log.firstOffset, log.stats().removedSegments]).toEqual(['open', fourth?.firstOffset, 3])
    expect(told).toMatchObject([{ side: 'front', reason: 'call', removedSegments: 3, firstOffset: fourth?.firstOffset }])
    healCalls(disk)
    await log.close()
    const again = await openOn(disk)
    expect([again.firstOffset, again.lastOffset]).toEqual([fourth?.firstOffset, log.lastOffset])
    await again.close()
  })

  it('that stops a truncation half way through what it empties leaves a log that begins behind that, and reads', async () => {
    const disk = newDisk()
    const log = await openOn(disk, { ...manual, maxSegmentSize: 300 })
    while (log.segments().length < 8) await log.append(bytesOf(`entry ${log.lastOffset + 1}`))
    const before = log.segments()
    const third = before[2]?.firstOffset as number
    const full = failCalls(disk, (call) => isPlainWrite(call) || (call.kind === 'truncate' && call.path === before[2]?.path), 'ENOSPC')
    await rejection('ERR_WAL_NO_SPACE', log.truncateBefore(before[4]?.firstOffset as number))
    expect([full.hits, log.state, log.firstOffset, log.stats().removedSegments]).toEqual([2, 'open', third, 2])
    healCalls(disk)
    const texts = await textsOf(log)
    expect([texts.length, texts[0]]).toEqual([log.lastOffset - third + 1, `${third} entry ${third}`])
    const again = await openOn(disk.afterCrash())
    expect([again.firstOffset, await textsOf(again)]).toEqual([third, texts])
    await again.close()
    await log.truncateBefore(before[4]?.firstOffset as number)
    await log.close()
    expect((await openOn(disk)).firstOffset).toBe(before[4]?.firstOffset)
  })

  it('has a truncation in front empty as well what an earlier one had no room to remove, so that a crash leaves a log that opens', async () => {
    const disk = newDisk()
    const log = await openOn(disk, { ...manual, maxSegmentSize: 300 })
    while (log.segments().length < 8) await log.append(bytesOf(`entry ${log.lastOffset + 1}`))
    const before = log.segments()
    // A file system that copies on write needs room to drop a name.
    const kept = failCalls(disk, ({ kind }) => kind === 'remove', 'ENOSPC')
    await rejection('ERR_WAL_NO_SPACE', log.truncateBefore(before[2]?.firstOffset as number))
    expect([kept.hits, log.state, log.firstOffset]).toEqual([2, 'open', before[2]?.firstOffset])
    healCalls(disk)
    // Now there is no room for the mark either, not even once something was emptied.
    const full = failCalls(disk, isPlainWrite, 'ENOSPC')
    await rejection('ERR_WAL_NO_SPACE', log.truncateBefore(before[4]?.firstOffset as number))
    expect(full.hits).toBe(2)
    const { firstOffset, lastOffset } = log
    expect(firstOffset).toBe(before[4]?.firstOffset)
    const again = await openOn(disk.afterCrash())
    expect([again.firstOffset, again.lastOffset]).toEqual([firstOffset, lastOffset])
    await again.close()
    healCalls(disk)
    await log.close()
  })

  it('is really full: appends fail until truncateBefore frees segments, on the full disk', async () => {
    const disk = newDisk({ capacityBytes: 64 * 1024 })
    const log = await openOn(disk, { maxSegmentSize: 8 * 1024, sync: 'manual' })
    const payload = new Uint8Array(1_000)
    let refusal: WalError | undefined
    while (refusal === undefined) await log.append(payload).catch((error: WalError) => (refusal = error))
    expect(refusal.code).toBe('ERR_WAL_NO_SPACE')
    const { lastOffset } = log
    expect(lastOffset).toBeGreaterThan(40)
    await rejection('ERR_WAL_NO_SPACE', log.append(payload))
    await log.truncateBefore(lastOffset)
    expect(log.firstOffset).toBe(lastOffset)
    expect(await log.append(payload)).toBe(lastOffset + 1)
    await log.close()
    const again = await openOn(disk)
    expect([again.firstOffset, again.lastOffset]).toEqual([lastOffset, lastOffset + 1])
  })

  it('in appendSync is thrown, and the log goes on', async () => {
    const disk = newDisk()
    const log = await openOn(disk, manual)
    failCalls(disk, isPlainWrite, 'ENOSPC', 1)
    expect(() => log.appendSync(bytesOf('a'))).toThrow(expect.objectContaining({ code: 'ERR_WAL_NO_SPACE' }))
    expect(log.state).toBe('open')
    expect(log.appendSync(bytesOf('b'))).toBe(1)
  })

  it('for the next segment rejects what would go there, and the roll is made when there is space again', async () => {
    const disk = newDisk()
    const log = await openOn(disk, { ...manual, maxSegmentSize: 300 })
    await log.append(new Uint8Array(400))
    const full = failCalls(disk, ({ kind, access }) => kind === 'open' && access === 'create', 'ENOSPC')
    await rejection('ERR_WAL_NO_SPACE', log.append(bytesOf('a')))
    await rejection('ERR_WAL_NO_SPACE', log.append(bytesOf('a')))
    expect(full.hits).toBeGreaterThan(0)
    expect(log.state).toBe('open')
    healCalls(disk)
    expect(await log.append(bytesOf('b'))).toBe(2)
    expect(log.segments()).toHaveLength(2)
  })

  it('that can not be undone is a failed write', async () => {
    const disk = newDisk()
    const log = await openOn(disk, manual)
    failCalls(disk, (call) => isPlainWrite(call) || call.kind === 'truncate', 'ENOSPC')
    await rejection('ERR_WAL_WRITE_FAILED', log.append(bytesOf('a')))
    expect(log.state).toBe('failed')
  })

  it('that a sync tells is a failed sync: nothing can be undone then', async () => {
    const disk = newDisk()
    const log = await openOn(disk)
    failCalls(disk, isSync, 'ENOSPC', 1)
    await rejection('ERR_WAL_SYNC_FAILED', log.append(bytesOf('a')))
    expect(log.state).toBe('failed')
  })

  it('at close is no failure: all is on stable storage without a close record', async () => {
    const disk = newDisk()
    const log = await openOn(disk, manual)
    await log.append(bytesOf('a'))
    failCalls(disk, isPlainWrite, 'ENOSPC')
    await log.close()
    expect(log.state).toBe('closed')
    const after = await openOn(disk.afterCrash('none'))
    expect(after.recovery.clean).toBe(false)
    expect(await textsOf(after)).toEqual(['1 a'])
  })
})

/** Whatever makes the log fail: which call fails, and how that is called. */
const failures = [
  { name: 'a failed sync', picked: isSync, error: 'EIO', code: 'ERR_WAL_SYNC_FAILED', sync: 'always' },
  { name: 'a failed write', picked: isPlainWrite, error: 'EIO', code: 'ERR_WAL_WRITE_FAILED', sync: 'manual' },
] as const

describe.each(failures)('$name', ({ picked, error, code, sync }) => {
  async function openFailing(): Promise<{ disk: SimulatedDisk; log: WriteAheadLog }> {
    const disk = newDisk()
    const log = await openOn(disk, { sync })
    await log.append(bytesOf('a'))
    failCalls(disk, picked, error)
    return { disk, log }
  }

  it('rejects everything in flight, with the failure itself', async () => {
    const { log } = await openFailing()
    const results = await Promise.allSettled([
      log.append(bytesOf('b')),
      log.appendBatch([bytesOf('c'), bytesOf('d')]),
      log.truncateBefore(1),
      log.append(bytesOf('e')),
      log.sync(),
      log.truncateBefore(2),
    ])
    expect(codesOf(results)).toEqual(Array.from({ length: 6 }, () => code))
    expect(log.state).toBe('failed')
    expect(log.failure).toBe((results[0] as PromiseRejectedResult).reason)
    expect(log.failure?.cause).toMatchObject({ code: error })
    expect(log.failure?.path).toContain(directory)
    expect(log.lastOffset).toBe(1)
  })

  it.for<[string, (log: WriteAheadLog) => Promise<unknown>]>([
    ['append', (log) => log.append(bytesOf('x'))],
    ['appendBatch', (log) => log.appendBatch([bytesOf('x')])],
    ['appendSync', async (log) => log.appendSync(bytesOf('x'))],
    ['sync', (log) => log.sync()],
    ['truncateBefore', (log) => log.truncateBefore(1)],
    ['get', (log) => log.get(1)],
    ['entries', (log) => collect(log.entries())],
    ['entriesSync', async (log) => collect(log.entriesSync())],
    ['close', (log) => log.close()],
  ])('makes %s reject with ERR_WAL_FAILED, whose cause is the failure', async ([, call]) => {
    const { disk, log } = await openFailing()
    await rejection(code, log.append(bytesOf('b')))
    healCalls(disk)
    const refused = await rejection('ERR_WAL_FAILED', call(log))
    expect(refused.cause).toBe(log.failure)
    expect(refused.message).toContain(directory)
  })

  it('is final: nothing is written or synced a second time, at close neither', async () => {
    const { disk, log } = await openFailing()
    await rejection(code, log.append(bytesOf('b')))
    healCalls(disk)
    const before = disk.journal.length
    await rejection('ERR_WAL_FAILED', log.append(bytesOf('c')))
    await rejection('ERR_WAL_FAILED', log.sync())
    await rejection('ERR_WAL_FAILED', log.close())
    expect(disk.journal.slice(before).filter(({ kind }) => kind !== 'close' && kind !== 'release')).toEqual([])
  })

  it('close frees everything, then rejects, again with the same promise; opening again is the way on', async () => {
    const { disk, log } = await openFailing()
    await rejection(code, log.append(bytesOf('b')))
    healCalls(disk)
    await rejection('ERR_WAL_LOCKED', openOn(disk))
    const closed = log.close()
    await rejection('ERR_WAL_FAILED', closed)
    expect(log.close()).toBe(closed)
    expect(log.state).toBe('failed')
    expect(disk.openFiles).toBe(0)
    const again = await openOn(disk)
    expect((await textsOf(again))[0]).toBe('1 a')
    expect(await again.append(bytesOf('next'))).toBe(again.lastOffset)
  })

  it('lets open iterators throw ERR_WAL_FAILED at their next step', async () => {
    const { log } = await openFailing()
    const steps = log.entries()[Symbol.asyncIterator]()
    const blocking = log.entriesSync()[Symbol.iterator]()
    expect(await steps.next()).toMatchObject({ value: { offset: 1 } })
    expect(blocking.next()).toMatchObject({ value: { offset: 1 } })
    await rejection(code, log.append(bytesOf('b')))
    await rejection('ERR_WAL_FAILED', steps.next() as Promise<unknown>)
    expect(() => blocking.next()).toThrow(expect.objectContaining({ code: 'ERR_WAL_FAILED' }))
  })
})

describe('failures of a few other kinds', () => {
  it('a failed sync in appendSync is thrown, and the log has failed', async () => {
    const disk = newDisk()
    const log = await openOn(disk)
    failCalls(disk, isSync, 'EIO', 1)
    expect(() => log.appendSync(bytesOf('a'))).toThrow(expect.objectContaining({ code: 'ERR_WAL_SYNC_FAILED' }))
    expect(log.state).toBe('failed')
  })

  it("a failed sync of sync: 'interval', which nobody waits for, makes the log fail", async () => {
    const disk = newDisk()
    const log = await openOn(disk, { sync: 'interval', syncInterval: 1 })
    failCalls(disk, isSync, 'EIO', 1)
    await log.append(bytesOf('a'))
    await expect.poll(() => log.state).toBe('failed')
    expect(log.failure?.code).toBe('ERR_WAL_SYNC_FAILED')
    await rejection('ERR_WAL_FAILED', log.append(bytesOf('b')))
  })

  it('a failed sync at close makes close reject, and frees everything', async () => {
    const disk = newDisk()
    const log = await openOn(disk, manual)
    await log.append(bytesOf('a'))
    failCalls(disk, isSync, 'EIO', 1)
    const error = await rejection('ERR_WAL_FAILED', log.close())
    expect(error.cause).toMatchObject({ code: 'ERR_WAL_SYNC_FAILED' })
    expect(syncsSince(disk)).toBeGreaterThan(0)
    await (await openOn(disk)).close()
  })

  it('a file that can not be closed does not keep the lock: close rejects, and the next one may have the log', async () => {
    const disk = newDisk()
    const log = await openOn(disk, manual)
    await log.append(bytesOf('a'))
    await textsOf(log)
    failCalls(disk, ({ kind }) => kind === 'close', 'EIO')
    await rejection('ERR_WAL_FAILED', log.close())
    healCalls(disk)
    await (await openOn(disk)).close()
  })

  it('no two syncs are asked of a file whose first one failed, whatever waits', async () => {
    const disk = newDisk()
    const log = await openOn(disk)
    await log.append(bytesOf('a'))
    const before = disk.journal.length
    const told = failCalls(disk, isSync, 'EIO', 1)
    const waiting = Array.from({ length: 5 }, () => log.append(bytesOf('b')))
    await Promise.allSettled([...waiting, log.sync(), log.truncateBefore(1), log.sync()])
    await rejection('ERR_WAL_FAILED', log.close())
    expect(told.hits).toBe(1)
    expect(syncsSince(disk, before)).toBe(1)
  })

  it('a codec that throws is no failure of the log', async () => {
    const disk = newDisk()
    const decode = (): string => {
      throw new Error('broken')
    }
    const broken = defineEntries({ a: { type: 1, codec: { encode: (text: string) => utf8.encode(text), decode } } })
    const log = await WriteAheadLog.open(directory, { fileSystem: disk, entries: broken })
    await log.append(broken.a('x'))
    const error = await rejection('ERR_WAL_DECODE', log.get(1))
    expect(error).toMatchObject({ offset: 1, type: 1, segmentId: 1 })
    expect(error.cause).toMatchObject({ message: 'broken' })
    expect(log.state).toBe('open')
    expect(await log.append(broken.a('y'))).toBe(2)
  })
})

describe('the signal of a failure', () => {
  it('aborts when the log fails, with the failure as its reason, for whoever asked before and for whoever asks later', async () => {
    const disk = newDisk()
    const log = await openOn(disk, manual)
    const signal = log.failureSignal
    expect(log.failureSignal).toBe(signal)
    const told: unknown[] = []
    for (let n = 0; n < 20; n++) signal.addEventListener('abort', () => told.push(log.state))
    failCalls(disk, isPlainWrite, 'EIO', 1)
    const failure = await rejection('ERR_WAL_WRITE_FAILED', log.append(bytesOf('a')))
    expect(signal.aborted).toBe(true)
    expect(told).toEqual(new Array(20).fill('failed'))
    expect(signal.reason).toBe(log.failure)
    expect((signal.reason as WalError).code).toBe(failure.code)
    await log.close().catch(() => {})
    const late = await openOn(disk, manual)
    failCalls(disk, isPlainWrite, 'EIO', 1)
    await rejection('ERR_WAL_WRITE_FAILED', late.append(bytesOf('a')))
    expect(late.failureSignal.reason).toBe(late.failure)
    await late.close().catch(() => {})
  })

  it('stays as it is when the log is closed, or when there was no room and the log goes on', async () => {
    const disk = newDisk()
    const log = await openOn(disk, manual)
    const signal = log.failureSignal
    failCalls(disk, isPlainWrite, 'ENOSPC', 1)
    await rejection('ERR_WAL_NO_SPACE', log.append(bytesOf('a')))
    healCalls(disk)
    await log.append(bytesOf('b'))
    await log.close()
    expect(signal.aborted).toBe(false)
  })
})
