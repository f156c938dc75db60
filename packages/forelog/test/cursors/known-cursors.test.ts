/**
 * What the writer remembers of cursors makes a truncation cheap, and never bold: whatever others do to them meanwhile, the log keeps what
 * the slowest one that holds needs, and no more.
 */
import { describe, expect, it } from 'vitest'
import type { Cursor, LogReader, RawEntry } from '../../src/index.js'
import { Random } from '../../src/testing/index.js'
import { WriteAheadLog } from '../../src/write-ahead-log.js'
import { bytesOf, directory, failCalls, healCalls, newDisk, openOn, rejection } from '../support/logs.js'

async function fill(log: WriteAheadLog, count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, () => log.append(bytesOf(`entry ${log.lastOffset}`))))
}

interface ModelCursor {
  offset: number
  hold: boolean
}

describe('a truncation', () => {
  it('keeps exactly what the slowest cursor that holds needs, while the writer and a reader make, free, commit and delete them', async () => {
    let truncations = 0
    for (let seed = 1; seed <= 25; seed++) {
      const random = new Random(seed)
      const disk = newDisk({ seed, journal: false })
      const log = await openOn(disk, { maxSegmentSize: 400 })
      await fill(log, 10)
      const reader = await WriteAheadLog.openReader(directory, { fileSystem: disk })
      const model = new Map<string, ModelCursor>()
      const open = new Map<string, Cursor<RawEntry>>()
      const anyOf = <T>(things: readonly T[]): T | undefined => things[random.below(things.length)]
      for (let turn = 0; turn < 120; turn++) {
        const where = `seed ${seed}, turn ${turn}`
        const name = `c${random.below(8)}`
        const host: WriteAheadLog | LogReader<RawEntry> = random.below(2) === 0 ? log : reader
        const what = random.below(7)
        if (what === 0) await fill(log, 1 + random.below(6))
        else if (what <= 2 && !open.has(name)) {
          const known = model.get(name)
          const hold = random.below(3) > 0
          // A reader sees what the log has proven, which may be less than there is.
          const from = log.firstOffset + random.below(Math.max(1, (await provenBy(reader)) - log.firstOffset + 1))
          open.set(name, await host.cursor(name, known === undefined || random.below(2) === 0 ? { from, hold } : {}))
          const cursor = open.get(name) as Cursor<RawEntry>
          if (known === undefined) model.set(name, { offset: from - 1, hold })
          else model.set(name, { offset: known.offset, hold: cursor.hold })
        } else if (what === 3) {
          const one = anyOf([...open.keys()])
          if (one !== undefined) {
            const committed = model.get(one) as ModelCursor
            const target = Math.max(committed.offset, Math.min(await provenBy(reader), committed.offset + random.below(5)))
            await open.get(one)?.commit(target)
            committed.offset = target
          }
        } else if (what === 4) {
          const one = anyOf([...open.keys()])
          await open.get(one ?? '')?.close()
          open.delete(one ?? '')
        } else if (what === 5 && !open.has(name)) {
          expect(await host.deleteCursor(name), where).toBe(model.delete(name))
        } else {
          const wanted = log.firstOffset + random.below(log.lastOffset + 2 - log.firstOffset)
          const held = [...model.values()].filter(({ hold }) => hold).map(({ offset }) => offset + 1)
          const expected = Math.max(log.firstOffset, Math.min(wanted, ...held))
          await log.truncateBefore(wanted)
          truncations++
          expect(log.firstOffset, where).toBe(expected)
        }
      }
      await reader.close()
      await log.close()
    }
    expect(truncations).toBeGreaterThan(300)
    console.log(`truncations: ${truncations}`)
  }, 60_000)

  it('reads the files of all cursors once, and then of those alone that seem to hold it back and are open elsewhere, or nowhere', async () => {
    const disk = newDisk()
    const log = await openOn(disk)
    // The second group proves the first one to a reader.
    for (const count of [100, 1]) await fill(log, count)
    const reader = await WriteAheadLog.openReader(directory, { fileSystem: disk })
    const elsewhere = await reader.cursor('elsewhere', { from: 20 })
    for (let n = 0; n < 50; n++) await (await log.cursor(`away${n}`, { from: 50 + (n % 7) })).close()
    const own = await Promise.all(Array.from({ length: 50 }, (_, n) => log.cursor(`own${n}`, { from: 10 })))
    const readsOf = async (run: () => Promise<unknown>): Promise<number> => {
      const from = disk.journal.length
      await run()
      return disk.journal.slice(from).filter(({ kind, path }) => kind === 'open' && path.endsWith('.cursor')).length
    }
    expect(await readsOf(() => log.truncateBefore(100))).toBe(51)
    expect(log.firstOffset).toBe(10)
    await Promise.all(own.map((cursor) => cursor.commit(90)))
    expect(await readsOf(() => log.truncateBefore(100))).toBe(1)
    expect(log.firstOffset).toBe(20)
    await elsewhere.commit(80)
    expect(await readsOf(() => log.truncateBefore(100))).toBeLessThan(32)
    expect(log.firstOffset).toBe(50)
    // Made in another process: everything is looked at again, and a commit of that process made durable.
    await reader.cursor('late', { from: 60, hold: false })
    expect(await readsOf(() => log.truncateBefore(100))).toBe(53)
    expect(log.firstOffset).toBe(50)
    await reader.close()
    await log.close()
  })

  it('reads again what another process may have begun and died over, and what this one failed to make', async () => {
    const disk = newDisk({ journal: false })
    const log = await openOn(disk)
    for (const count of [50, 1]) await fill(log, count)
    await log.cursor('a', { from: 40 })
    const reader = await WriteAheadLog.openReader(directory, { fileSystem: disk })
    await log.truncateBefore(10)
    // The name is there, and whoever made it was told that it may not be.
    for (const [host, name, from] of [[reader, 'b', 20], [log, 'c', 30]] as const) {
      failCalls(disk, ({ kind, path }) => kind === 'syncDirectory' && path.endsWith('cursors'), 'EIO', 1)
      await rejection('ERR_WAL_SYNC_FAILED', host.cursor(name, { from }))
      healCalls(disk)
      await log.truncateBefore(45)
      expect(log.firstOffset).toBe(from)
      await log.deleteCursor(name)
    }
    await log.truncateBefore(45)
    expect(log.firstOffset).toBe(40)
    await reader.close()
    await log.close()
  })
})

/** The newest entry that the reader has the proof of. */
async function provenBy(reader: LogReader<RawEntry>): Promise<number> {
  await reader.cursors()
  return reader.lastOffset
}
