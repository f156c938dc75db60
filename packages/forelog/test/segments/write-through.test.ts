/** Rule 1 of writing: a write with O_DSYNC syncs its own range alone, and is used only inside what is filled. */
import { describe, expect, it } from 'vitest'
import type { DiskCall, SimulatedDisk } from '../../src/testing/index.js'
import type { WriteAheadLog } from '../../src/write-ahead-log.js'
import { bytesOf, newDisk, openOn } from '../support/logs.js'

/**
 * Goes through all writes to segments, and says of each that goes through what is wrong with it: bytes in front of it that no sync
 * has covered, or bytes beyond those that a sync has put into the file. Each sync here ends before the next write to its file begins.
 */
function faultsOf(calls: readonly DiskCall[]): { readonly faults: readonly string[]; readonly through: number } {
  const files = new Map<string, { unsyncedFrom: number; end: number; syncedEnd: number }>()
  const faults: string[] = []
  let through = 0
  for (const { kind, path, position = 0, bytes = 0, writeThrough } of calls) {
    const name = path.replace(/\.tmp$/, '')
    const file = files.get(name) ?? { unsyncedFrom: Infinity, end: 0, syncedEnd: 0 }
    files.set(name, file)
    if (kind === 'sync' || kind === 'dataSync') {
      file.unsyncedFrom = Infinity
      file.syncedEnd = file.end
    } else if (kind === 'write' && writeThrough === true) {
      through++
      if (file.unsyncedFrom < position) faults.push(`a write through at byte ${position}, and byte ${file.unsyncedFrom} is not synced`)
      if (position + bytes > file.syncedEnd) faults.push(`a write through up to byte ${position + bytes}, and ${file.syncedEnd} are filled`)
      // What was unsynced from there on is synced by it.
      if (file.unsyncedFrom >= position) file.unsyncedFrom = Infinity
    } else if (kind === 'write') {
      file.unsyncedFrom = Math.min(file.unsyncedFrom, position)
      file.end = Math.max(file.end, position + bytes)
    } else if (kind === 'truncate') {
      file.end = Math.min(file.end, position)
      file.syncedEnd = Math.min(file.syncedEnd, position)
    }
  }
  return { faults, through }
}

/** Appends until the last one went through. */
async function appendUntilThrough(disk: SimulatedDisk, append: () => Promise<unknown>): Promise<void> {
  for (let count = 0; count < 100; count++) {
    await append()
    if (disk.journal.findLast(({ kind }) => kind === 'write')?.writeThrough === true) return
  }
  throw new Error('nothing went through')
}

function append(log: WriteAheadLog): Promise<unknown> {
  return log.append(bytesOf('entry'))
}

describe('a write through', () => {
  it('takes a durable mark in front of it along', async () => {
    const disk = newDisk()
    const log = await openOn(disk)
    for (let spell = 0; spell < 3; spell++) {
      await appendUntilThrough(disk, () => append(log))
      const before = disk.journal.length
      // The mark is the only write that nobody waits for.
      await expect.poll(() => disk.journal.slice(before).filter(({ kind, writeThrough }) => kind === 'write' && writeThrough !== true)).toHaveLength(1)
    }
    const { faults, through } = faultsOf(disk.journal)
    expect(faults).toEqual([])
    expect(through).toBeGreaterThan(1)
  })

  it('is not used where a write in front of it waits for its sync', async () => {
    const disk = newDisk()
    const log = await openOn(disk, { sync: 'manual' })
    const durably = (): Promise<unknown> => Promise.all([append(log), log.sync()])
    await appendUntilThrough(disk, durably)
    await append(log)
    await durably()
    const { faults, through } = faultsOf(disk.journal)
    expect(faults).toEqual([])
    expect(through).toBeGreaterThan(0)
    expect(log.durableOffset).toBe(log.lastOffset)
  })

  it('is not used for what does not fit into the part that is filled', async () => {
    const disk = newDisk()
    const log = await openOn(disk)
    await appendUntilThrough(disk, () => append(log))
    await log.append(new Uint8Array(1_000_000))
    const { faults, through } = faultsOf(disk.journal)
    expect(faults).toEqual([])
    expect(through).toBeGreaterThan(0)
  })
})
