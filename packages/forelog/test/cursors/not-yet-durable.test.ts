/**
 * A cursor whose newest commit, end of holding or deletion can be read, and is not on stable storage: a crash may take that back. So what it
 * needed before must not go away because of it.
 */
import { describe, expect, it } from 'vitest'
import type { Cursor, RawEntry } from '../../src/index.js'
import { crashModes, type SimulatedDisk } from '../../src/testing/index.js'
import { WriteAheadLog } from '../../src/write-ahead-log.js'
import { bytesOf, directory, newDisk, openOn, rejection } from '../support/logs.js'

const maxSegmentSize = 300

/** The cursor holds all behind entry 10, durably. */
async function held(): Promise<{ disk: SimulatedDisk; log: WriteAheadLog; cursor: Cursor<RawEntry> }> {
  const disk = newDisk({ journal: false })
  const log = await openOn(disk, { maxSegmentSize })
  for (let n = 1; n <= 150; n++) await log.append(bytesOf(`entry ${n}`))
  const cursor = await log.cursor('a')
  await cursor.commit(5)
  await cursor.commit(10)
  return { disk, log, cursor }
}

/** What is found after a power cut in each of the ways there are, and some more by chance. */
async function expectNothingLost(disk: SimulatedDisk): Promise<void> {
  const choices = [...crashModes, ...Array.from({ length: 20 }, (_, seed) => ({ mode: 'torn', seed }) as const)]
  for (const choice of choices) {
    const after = await openOn(disk.afterCrash(choice))
    for (const { name, hold, offset, lost } of await after.cursors()) if (hold) expect([name, offset, lost], JSON.stringify(choice)).toEqual([name, offset, undefined])
    await after.close()
  }
}

const truncations = {
  truncateBefore: (log: WriteAheadLog) => log.truncateBefore(100),
  retention: (log: WriteAheadLog) => log.applyRetention({ maxBytes: 4096 }),
}

/** How something comes to be seen that is not durable: the disk on which it is. */
const doubts: Readonly<Record<string, () => Promise<SimulatedDisk>>> = {
  async 'a commit'() {
    const { disk, cursor } = await held()
    return await killedDuring(disk, 'write', () => cursor.commit(90))
  },
  async 'the end of holding'() {
    const { disk, log, cursor } = await held()
    await cursor.close()
    let writes = 0
    // The first one writes again what was found.
    return await killedDuring(disk, 'write', () => log.cursor('a', { hold: false }), () => ++writes === 2)
  },
  async 'a deletion'() {
    const { disk, log, cursor } = await held()
    await cursor.close()
    return await killedDuring(disk, 'remove', () => log.deleteCursor('a'))
  },
}

/** What a process leaves that is killed in a call, when others see what that does and it is not on stable storage. */
async function killedDuring(disk: SimulatedDisk, kind: 'write' | 'remove', run: () => Promise<unknown>, isMeant: () => boolean = () => true): Promise<SimulatedDisk> {
  let left: SimulatedDisk | undefined
  disk.onCall = (call, moment) => {
    if (left !== undefined || call.kind !== kind || moment !== (kind === 'write' ? 'during' : 'after') || !call.path.endsWith('a.cursor')) return
    if (isMeant()) left = disk.afterCrash('process')
  }
  await run()
  disk.onCall = undefined
  return left as SimulatedDisk
}

describe.each(Object.entries(truncations))('%s', (_name, truncate) => {
  it.each(Object.entries(doubts))('makes %s durable that a process was killed in before it goes by that', async (_what, leave) => {
    const disk = await leave()
    const log = await openOn(disk, { maxSegmentSize })
    await truncate(log)
    expect(log.firstOffset).toBeGreaterThan(50)
    await expectNothingLost(disk)
    await log.close()
  })

  it.each(['ext4', 'btrfs', 'once', 'retryable'] as const)('does not go by a commit whose sync failed as with %s, and goes on behind the next one', async (syncFailure) => {
    const { disk, log, cursor } = await held()
    disk.fail({ kind: 'write', path: 'a.cursor', code: 'EIO', syncFailure })
    await rejection('ERR_WAL_WRITE_FAILED', cursor.commit(90))
    await truncate(log)
    expect(log.firstOffset).toBeLessThanOrEqual(11)
    await expectNothingLost(disk)
    await cursor.commit(91)
    await truncate(log)
    expect(log.firstOffset).toBeGreaterThan(50)
    await expectNothingLost(disk)
    await log.close()
  })

  it.each(['ext4', 'btrfs', 'once', 'retryable'] as const)('nor when whoever made it was another process, and has ended (%s)', async (syncFailure) => {
    const { disk, log, cursor } = await held()
    await cursor.close()
    const reader = await WriteAheadLog.openReader(directory, { fileSystem: disk })
    const theirs = await reader.cursor('a', { follow: false })
    await reader.get(90)
    disk.fail({ kind: 'write', path: 'a.cursor', code: 'EIO', syncFailure })
    await rejection('ERR_WAL_WRITE_FAILED', theirs.commit(90))
    await truncate(log)
    expect(log.firstOffset).toBeLessThanOrEqual(11)
    await theirs.close()
    await reader.close()
    await truncate(log)
    expect(log.firstOffset).toBeLessThanOrEqual(11)
    await expectNothingLost(disk)
    await log.close()
  })

  it('goes by a commit of another process as soon as that is made, and makes it durable first', async () => {
    const { disk, log, cursor } = await held()
    await cursor.close()
    const reader = await WriteAheadLog.openReader(directory, { fileSystem: disk })
    const theirs = await reader.cursor('a', { follow: false })
    await reader.get(90)
    let truncating: Promise<unknown> | undefined
    disk.onCall = ({ kind, path }, moment) => {
      if (moment === 'during' && kind === 'write' && path.endsWith('a.cursor')) truncating ??= truncate(log)
    }
    await theirs.commit(90)
    disk.onCall = undefined
    await truncating
    await truncate(log)
    expect(log.firstOffset).toBeGreaterThan(50)
    await expectNothingLost(disk)
    await reader.close()
    await log.close()
  })
})
