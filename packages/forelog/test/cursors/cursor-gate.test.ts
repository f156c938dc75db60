/**
 * Cursors that are made while the log is truncated: whichever of the two comes first, the cursor begins where the log does, or behind,
 * and what it holds is there afterwards.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Cursor, LogReader, RawEntry } from '../../src/index.js'
import { Random, type SimulatedDisk } from '../../src/testing/index.js'
import { WriteAheadLog } from '../../src/write-ahead-log.js'
import { bytesOf, directory, failCalls, newDisk, openOn, rejection } from '../support/logs.js'

const maxSegmentSize = 300

afterEach(() => {
  vi.useRealTimers()
})

async function filled(disk: SimulatedDisk): Promise<WriteAheadLog> {
  const log = await openOn(disk, { maxSegmentSize })
  for (let n = 1; n <= 30; n++) await log.append(bytesOf(`entry ${n}`))
  return log
}

async function offsetsOf(cursor: Cursor<RawEntry>): Promise<number[]> {
  const offsets: number[] = []
  for await (const { offset } of cursor) offsets.push(offset)
  return offsets
}

const makers = {
  'the writer': (log: WriteAheadLog) => log,
  'a reader beside it': (_log: WriteAheadLog, reader: LogReader<RawEntry>) => reader,
}
const truncations = {
  truncateBefore: (log: WriteAheadLog) => log.truncateBefore(25),
  retention: (log: WriteAheadLog) => log.applyRetention({ maxBytes: 4096 }),
}

describe.each(Object.entries(makers))('a cursor that %s makes', (_who, makerOf) => {
  it.each(Object.entries(truncations))('while %s is at any of its calls waits for that, and begins where the log does then', async (name, truncate) => {
    for (let at = 1, isReached = true; isReached; at++) {
      const disk = newDisk({ journal: false })
      const log = await filled(disk)
      if (name === 'retention') for (let n = 31; n <= 150; n++) await log.append(bytesOf(`entry ${n}`))
      const reader = await WriteAheadLog.openReader(directory, { fileSystem: disk })
      const maker = makerOf(log, reader)
      let calls = 0
      let making: Promise<Cursor<RawEntry>> | undefined
      disk.onCall = (_call, moment) => {
        if (moment === 'before' && ++calls === at) making = maker.cursor('new', { follow: false })
      }
      await truncate(log)
      disk.onCall = undefined
      isReached = making !== undefined
      const cursor = await (making ?? maker.cursor('new', { follow: false }))
      expect([cursor.offset, cursor.lost], `call ${at}`).toEqual([log.firstOffset - 1, undefined])
      expect(log.firstOffset).toBeGreaterThan(1)
      await log.truncateBefore(log.lastOffset)
      expect(log.firstOffset).toBe(cursor.offset + 1)
      expect((await offsetsOf(cursor))[0]).toBe(log.firstOffset)
      await reader.close()
      await log.close()
    }
  })

  it.each(Object.entries(truncations))('is not overlooked by %s that begins at any call of its making', async (name, truncate) => {
    const seen = new Set<boolean>()
    for (let at = 1, isReached = true; isReached; at++) {
      const disk = newDisk({ journal: false })
      const log = await filled(disk)
      if (name === 'retention') for (let n = 31; n <= 150; n++) await log.append(bytesOf(`entry ${n}`))
      const reader = await WriteAheadLog.openReader(directory, { fileSystem: disk })
      let calls = 0
      let truncating: Promise<unknown> | undefined
      disk.onCall = (_call, moment) => {
        if (moment === 'before' && ++calls === at) truncating = truncate(log)
      }
      const cursor = await makerOf(log, reader).cursor('new', { follow: false })
      disk.onCall = undefined
      isReached = truncating !== undefined
      await truncating
      expect(log.firstOffset, `call ${at}`).toBe(cursor.offset + 1)
      expect(cursor.lost).toBe(undefined)
      expect((await offsetsOf(cursor))[0]).toBe(log.firstOffset)
      if (isReached) seen.add(log.firstOffset > 1)
      await reader.close()
      await log.close()
    }
    // Either may come first.
    expect(seen.size).toBe(2)
  })

  it('at an entry that a truncation takes away meanwhile is refused, and not made', async () => {
    const disk = newDisk({ journal: false })
    const log = await filled(disk)
    const reader = await WriteAheadLog.openReader(directory, { fileSystem: disk })
    let making: Promise<Cursor<RawEntry>> | undefined
    disk.onCall = ({ kind }, moment) => {
      if (moment === 'before' && kind === 'remove') making ??= makerOf(log, reader).cursor('new', { from: 5 })
    }
    await log.truncateBefore(25)
    disk.onCall = undefined
    await rejection('ERR_WAL_OFFSET_OUT_OF_RANGE', making as Promise<unknown>)
    expect(await log.cursors()).toEqual([])
    await reader.close()
    await log.close()
  })

  it('or has hold from now on is seen by a truncation that begins at any call of that, or has lost what it lost before', async () => {
    const seen = new Set<boolean>()
    for (let at = 1, isReached = true; isReached; at++) {
      const disk = newDisk({ journal: false })
      const log = await filled(disk)
      const reader = await WriteAheadLog.openReader(directory, { fileSystem: disk })
      await (await log.cursor('a', { hold: false })).close()
      let calls = 0
      let truncating: Promise<void> | undefined
      disk.onCall = (_call, moment) => {
        if (moment === 'before' && ++calls === at) truncating = log.truncateBefore(25)
      }
      const cursor = await makerOf(log, reader).cursor('a', { hold: true })
      disk.onCall = undefined
      isReached = truncating !== undefined
      await truncating
      await reader.get(29)
      // It lost all of that before it held, or nothing.
      expect(cursor.lost, `call ${at}`).toEqual(log.firstOffset === 1 ? undefined : { first: 1, last: 24 })
      if (isReached) seen.add(cursor.lost === undefined)
      const { firstOffset } = log
      await cursor.skipLost()
      await log.truncateBefore(28)
      expect(log.firstOffset).toBe(firstOffset)
      await reader.close()
      await log.close()
    }
    expect(seen.size).toBe(2)
  })
})

describe('who is making a cursor in another process, and does not come to an end,', () => {
  it('counts as one that holds everything, and is named', async () => {
    const disk = newDisk({ journal: false })
    const log = await filled(disk)
    const making = await disk.lock(join(directory, 'cursors.lock'))
    await log.truncateBefore(25)
    expect(log.firstOffset).toBe(1)
    const { segments, heldBy, heldBackBytes } = await log.applyRetention({ maxBytes: 4096 })
    expect([segments, heldBy, heldBackBytes]).toEqual([0, undefined, 0])
    for (let n = 31; n <= 150; n++) await log.append(bytesOf(`entry ${n}`))
    expect((await log.applyRetention({ maxBytes: 4096 })).heldBy).toBe(`a cursor that process ${process.pid}, this one, is making`)
    await making.release()
    expect((await log.applyRetention({ maxBytes: 4096 })).heldBy).toBe(undefined)
    expect(log.firstOffset).toBeGreaterThan(1)
    await log.close()
  })

  it('or a truncation that does not, is waited for by a reader for a while, and then named', async () => {
    const disk = newDisk({ journal: false })
    const log = await filled(disk)
    const reader = await WriteAheadLog.openReader(directory, { fileSystem: disk })
    const truncating = await disk.lock(join(directory, 'cursors.lock'))
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    const refused = rejection('ERR_WAL_LOCKED', reader.cursor('a'))
    await vi.advanceTimersByTimeAsync(9900)
    const free = await log.cursor('b')
    await free.close()
    await vi.advanceTimersByTimeAsync(200)
    const { message, holder } = await refused
    expect(message).toContain(`process ${process.pid}, this one, has held /data/log/cursors.lock for 10 s`)
    expect(holder?.pid).toBe(process.pid)
    await truncating.release()
    vi.useRealTimers()
    expect((await reader.cursor('a')).offset).toBe(0)
    await reader.close()
    await log.close()
  })

  it('is not waited for where there is no room for the lock: nobody has room to make a cursor then', async () => {
    const disk = newDisk({ journal: false })
    const log = await filled(disk)
    failCalls(disk, ({ kind, path }) => kind === 'lock' && path.endsWith('cursors.lock'), 'ENOSPC')
    await log.truncateBefore(25)
    expect(log.firstOffset).toBe(25)
    await log.close()
  })

  it('is in the way of nothing when the lock can not be taken for another reason: the truncation is refused, and the log goes on', async () => {
    const disk = newDisk({ journal: false })
    const log = await filled(disk)
    failCalls(disk, ({ kind, path }) => kind === 'lock' && path.endsWith('cursors.lock'), 'EMFILE', 1)
    const refused = await rejection('ERR_WAL_READ_FAILED', log.truncateBefore(25))
    expect(refused.message).toContain('cursors.lock')
    expect([log.firstOffset, log.state]).toEqual([1, 'open'])
    await log.truncateBefore(25)
    expect(log.firstOffset).toBe(25)
    await log.close()
  })
})

it('cursors that another process makes while this one writes and drops lose nothing', async () => {
  const path = await mkdtemp(join(tmpdir(), 'forelog-gate-'))
  const root = fileURLToPath(new URL('../../../../', import.meta.url))
  const script = fileURLToPath(new URL('make-cursors.ts', import.meta.url))
  const log = await WriteAheadLog.open(path, { maxSegmentSize: 4096, sync: 'manual', retention: { maxBytes: 8192 } })
  const random = new Random(1)
  await log.append(new Uint8Array(100))
  const child = spawn(process.execPath, ['--import', 'tsx', script, path, '60'], { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  let told = lines.next()
  let made = 0
  for (let isOver = false; !isOver; ) {
    for (let n = 0; n < 20; n++) await log.append(new Uint8Array(50 + random.below(100)))
    await log.sync()
    // Whatever has been made holds, or was deleted again by whoever made it.
    for (const { hold, lost } of await log.cursors()) if (hold) expect(lost).toBe(undefined)
    const line = await Promise.race([told, new Promise<undefined>((resolve) => setImmediate(() => resolve(undefined)))])
    if (line === undefined) continue
    isOver = line.done === true
    if (line.done === true) break
    expect(JSON.parse(line.value)).toMatchObject({ lost: null, first: 'there' })
    made++
    told = lines.next()
  }
  expect(await exited).toEqual([0, null])
  expect(made).toBe(60)
  await log.applyRetention()
  expect(log.firstOffset).toBeGreaterThan(100)
  await log.close()
  await rm(path, { recursive: true })
}, 60_000)
