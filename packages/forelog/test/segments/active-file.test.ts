import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createDurably } from '../../src/files/durable-file.js'
import { WriteAheadLog } from '../../src/index.js'
import { ActiveFile } from '../../src/segments/active-file.js'
import { runBlocking } from '../../src/steps.js'
import { type DiskCall, type Fault, SimulatedDisk } from '../../src/testing/index.js'

const directory = '/data/log'
const payload = new Uint8Array(100).fill(1)

async function openOn(disk: SimulatedDisk, options: object = {}): Promise<WriteAheadLog> {
  return WriteAheadLog.open(directory, { fileSystem: disk, ...options })
}

function watched(): { disk: SimulatedDisk; calls: DiskCall[] } {
  const calls: DiskCall[] = []
  const disk = new SimulatedDisk({ seed: 1, directories: ['/data'] })
  disk.onCall = (call, moment) => {
    if (moment === 'after') calls.push(call)
  }
  return { disk, calls }
}

describe('the newest segment is filled ahead', () => {
  it('and a group in the filled part takes one call, which writes and syncs it', async () => {
    const { disk, calls } = watched()
    const log = await openOn(disk)
    for (let count = 0; count < 10; count++) await log.append(payload)
    calls.length = 0
    await log.append(payload)
    expect(calls.map(({ kind, writeThrough }) => [kind, writeThrough])).toEqual([['write', true]])
    expect(log.durableOffset).toBe(11)
    // What was acknowledged is there without any later sync.
    disk.onCall = undefined
    expect((await openOn(disk.afterCrash('none'))).lastOffset).toBe(11)
  })

  it('and so is the next one before it begins: already the group that rolls is written and synced by one call', async () => {
    const { disk, calls } = watched()
    const log = await openOn(disk, { maxSegmentSize: 40_000 })
    for (let rolls = 1; rolls <= 3; rolls++) {
      while (log.stats().rolls < rolls) {
        calls.length = 0
        await log.append(payload)
      }
      const name = log.segments().at(-1)?.path as string
      const own = calls.filter(({ kind, path }) => kind === 'write' && path === name)
      expect(own.map(({ writeThrough }) => writeThrough)).toEqual([true])
    }
  })

  it('not under sync modes whose writes are not synced one by one', async () => {
    const { disk, calls } = watched()
    const log = await openOn(disk, { sync: 'manual' })
    for (let count = 0; count < 10; count++) await log.append(payload)
    await log.sync()
    expect(calls.filter(({ writeThrough }) => writeThrough)).toEqual([])
    expect(disk.copy().openSync(log.segments()[0]?.path as string, { access: 'read' }).sizeSync()).toBe(log.segments()[0]?.bytes)
  })

  it('where there is room; where there is none the log goes on without', async () => {
    const { disk, calls } = watched()
    const log = await openOn(disk)
    await log.append(payload)
    disk.fail({ kind: 'write', code: 'ENOSPC', bytes: 0, at: 2 })
    for (let count = 0; count < 10; count++) await log.append(payload)
    expect(log.state).toBe('open')
    expect(log.durableOffset).toBe(11)
    expect(calls.filter(({ writeThrough }) => writeThrough)).toEqual([])
    await log.close()
    expect((await openOn(disk)).lastOffset).toBe(11)
  })

  it('and no byte of it is left when the log is closed', async () => {
    const { disk } = watched()
    const log = await openOn(disk)
    for (let count = 0; count < 10; count++) await log.append(payload)
    await log.close()
    const [segment] = log.segments()
    expect(disk.openSync(segment?.path as string, { access: 'read' }).sizeSync()).toBe(segment?.bytes)
  })
})

describe('what is filled ahead', () => {
  /** A file with some bytes of records, and zeros behind them whose sync is under way in the pool. */
  function filling(fault?: Fault): { disk: SimulatedDisk; active: ActiveFile } {
    const disk = new SimulatedDisk({ seed: 1, directories: [directory] })
    const active = new ActiveFile(disk, runBlocking(createDurably(disk, directory, 'a', 'b', [payload], 0o666)), payload.length)
    if (fault !== undefined) disk.fail(fault)
    runBlocking(active.fill(payload.length, 1_000_000))
    runBlocking(active.openThrough())
    return { disk, active }
  }

  it('is written through once it is on stable storage, and not before', async () => {
    const { disk, active } = filling()
    expect(disk.unsynced().sectors).toBeGreaterThan(0)
    expect(active.isFilled(payload.length + 1)).toBe(false)
    await active.whenIdle()
    expect(disk.unsynced().sectors).toBe(0)
    expect(active.isFilled(payload.length + 1)).toBe(true)
    expect(active.isFilled(1_000_000)).toBe(false)
  })

  it('counts no more once it was cut off, though its sync ends later', async () => {
    const { active } = filling()
    runBlocking(active.cut(payload.length))
    await active.whenIdle()
    expect(active.isFilled(payload.length + 1)).toBe(false)
    expect(active.isFilled(payload.length)).toBe(true)
  })

  it('reaches so far that three groups like the last one fit, for its sync takes as long as some of them', async () => {
    const { active } = filling()
    await active.whenIdle()
    const ahead = active.fillBytes / 2
    expect(active.wantsFill(payload.length, 1_000_000, ahead / 3 - 1)).toBe(false)
    expect(active.wantsFill(payload.length, 1_000_000, ahead / 3 + 1)).toBe(true)
  })

  it('is never written through where its sync failed, and nothing more is filled', async () => {
    const { disk, active } = filling({ kind: 'dataSync', code: 'EIO' })
    await active.whenIdle()
    expect(disk.faultsTold).toBe(1)
    expect(active.isFilled(payload.length + 1)).toBe(false)
    expect(active.wantsFill(payload.length, 1_000_000, 100)).toBe(false)
  })
})

describe('on a real disk', () => {
  let home: string
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'forelog-active-'))
  })
  afterEach(() => rmSync(home, { recursive: true, force: true }))

  it('a log of three entries is small while it is open, and smaller when it is closed', async () => {
    const log = await WriteAheadLog.open(home)
    for (let count = 0; count < 3; count++) await log.append(payload)
    const path = log.segments()[0]?.path as string
    expect(statSync(path).size).toBeLessThanOrEqual(256 * 1024)
    await log.close()
    expect(statSync(path).size).toBeLessThan(1024)
  })

  it('rolls leave no temporary file behind, and a loop of appends never starves timers', async () => {
    const log = await WriteAheadLog.open(home, { maxSegmentSize: 40_000, commit: 'inline' })
    let ticks = 0
    const timer = setInterval(() => ticks++, 1)
    for (let count = 0; count < 2000; count++) await log.append(payload)
    clearInterval(timer)
    expect(ticks).toBeGreaterThan(10)
    await log.close()
    expect(log.stats().rolls).toBeGreaterThan(5)
    expect(readdirSync(home).filter((name) => name.endsWith('.tmp'))).toEqual([])
    const again = await WriteAheadLog.open(home)
    expect(again.lastOffset).toBe(2000)
    let read = 0
    for await (const batch of again.entries().batches()) read += batch.length
    expect(read).toBe(2000)
    await again.close()
  })
})
