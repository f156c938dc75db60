import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import type { Cursor, RawEntry } from '../../src/index.js'
import { crashModes, exploreCrashes, Random, SimulatedDisk } from '../../src/testing/index.js'
import { WriteAheadLog } from '../../src/write-ahead-log.js'
import { bytesOf, directory, failCalls, healCalls, newDisk, openOn, rejection } from '../support/logs.js'
import { exampleEntries } from '../support/waltest.js'

async function fill(log: WriteAheadLog, count: number, text = 'n'): Promise<void> {
  for (let n = 0; n < count; n++) await log.append(bytesOf(`${text}${log.lastOffset + 1}`))
}

/** What is behind the committed offset now. */
async function rest(cursor: Cursor<RawEntry>): Promise<number[]> {
  const offsets: number[] = []
  for await (const { offset } of cursor) offsets.push(offset)
  return offsets
}

/** Where the cursor may stand after a crash. */
async function offsetsAfterCrashes(disk: SimulatedDisk): Promise<number[]> {
  const found = new Set<number>()
  const choices = [...crashModes, ...Array.from({ length: 20 }, (_, seed) => ({ mode: 'prefix', seed }) as const)]
  for (const choice of choices) {
    const after = await openOn(disk.afterCrash(choice))
    for (const { offset } of await after.cursors()) found.add(offset)
  }
  return [...found].sort((a, b) => a - b)
}

describe('a cursor', () => {
  it('goes on behind what was committed, after being opened again and with the log', async () => {
    const disk = newDisk()
    let log = await openOn(disk)
    await fill(log, 5)
    let cursor = await log.cursor('shipper', { follow: false })
    expect([cursor.offset, cursor.lag, cursor.hold]).toEqual([0, 5, true])
    const seen: number[] = []
    for await (const { offset } of cursor) {
      seen.push(offset)
      if (offset === 4) break
      await cursor.commit(offset)
    }
    expect(seen).toEqual([1, 2, 3, 4])
    expect([cursor.offset, cursor.lag]).toEqual([3, 2])
    expect(await rest(cursor)).toEqual([4, 5])
    await log.close()
    await rejection('ERR_WAL_CLOSED', cursor.commit(5))
    log = await openOn(disk)
    cursor = await log.cursor('shipper', { follow: false, from: 1 })
    expect(await rest(cursor)).toEqual([4, 5])
    await cursor.commit(2)
    expect(cursor.offset).toBe(3)
    await log.close()
  })

  it('waits for what comes, and ends when it, or its log, is closed, or its signal aborts', async () => {
    const log = await openOn(newDisk())
    const cursor = await log.cursor('a')
    const iterator = cursor[Symbol.asyncIterator]()
    const next = iterator.next()
    await fill(log, 1)
    expect((await next).value?.offset).toBe(1)
    const last = iterator.next()
    await cursor.close()
    expect((await last).done).toBe(true)
    const aborted = new AbortController()
    const other = await log.cursor('b', { signal: aborted.signal, from: 2 })
    const ending = other[Symbol.asyncIterator]().next()
    aborted.abort()
    expect((await ending).done).toBe(true)
    await log.close()
    await rejection('ERR_WAL_CLOSED', log.cursor('c'))
  })

  it('is held by one at a time, and is free once that one closed it', async () => {
    const log = await openOn(newDisk())
    const first = await log.cursor('a')
    const refused = await rejection('ERR_WAL_LOCKED', log.cursor('a'))
    expect(refused.message).toContain("the cursor 'a' is in use")
    // That of the lock would say that a log has one writer.
    expect(refused.cause).toBeUndefined()
    await rejection('ERR_WAL_LOCKED', log.deleteCursor('a'))
    await first.close()
    await (await log.cursor('a')).close()
    expect(await log.deleteCursor('a')).toBe(true)
    expect(await log.deleteCursor('a')).toBe(false)
    expect(await log.cursors()).toEqual([])
    await log.close()
  })

  it('refuses names that are no safe file names, options that there are not, and offsets that are not durable', async () => {
    const log = await openOn(newDisk(), { sync: 'manual' })
    for (const name of ['', 'A', '../a', 'a/b', '.a', '-a', 'a'.repeat(101)]) await rejection('ERR_WAL_OPTION', log.cursor(name))
    await rejection('ERR_WAL_OPTION', log.cursor('a', { hold: 1 as unknown as boolean }))
    await rejection('ERR_WAL_OPTION', log.cursor('a', { keep: true } as object))
    await rejection('ERR_WAL_OFFSET_OUT_OF_RANGE', log.cursor('a', { from: 2 }))
    const cursor = await log.cursor('a')
    await fill(log, 1)
    await rejection('ERR_WAL_OFFSET_OUT_OF_RANGE', cursor.commit(1))
    await log.sync()
    await cursor.commit(1)
    await log.close()
  })

  it('holds back truncation, open or not, until it has committed; one that does not hold is told what it lost', async () => {
    const disk = newDisk()
    const log = await openOn(disk, { maxSegmentSize: 300 })
    await fill(log, 40)
    await (await log.cursor('away', { from: 11 })).close()
    const fast = await log.cursor('fast', { from: 31 })
    const loose = await log.cursor('loose', { from: 5, hold: false, follow: false })
    await log.truncateBefore(35)
    expect(log.firstOffset).toBe(11)
    expect((await log.cursors()).map(({ name, offset, lag, hold }) => [name, offset, lag, hold])).toEqual([
      ['away', 10, 30, true],
      ['fast', 30, 10, true],
      ['loose', 4, 36, false],
    ])
    expect(loose.lost).toEqual({ first: 5, last: 10 })
    expect((await rejection('ERR_WAL_OFFSET_OUT_OF_RANGE', rest(loose))).message).toContain('skipLost')
    expect(await loose.skipLost()).toEqual({ first: 5, last: 10 })
    expect((await rest(loose))[0]).toBe(11)
    await log.deleteCursor('away')
    await fast.commit(33)
    await log.truncateBefore(35)
    expect(log.firstOffset).toBe(34)
    await log.close()
  })

  it('resumes at a cut, and says so, also when the offsets were given again in the meantime', async () => {
    const disk = newDisk()
    let log = await openOn(disk)
    await fill(log, 10)
    let cursor = await log.cursor('a', { follow: false })
    await rest(cursor)
    await cursor.commit(8)
    await log.truncateAfter(5)
    await rejection('ERR_WAL_OFFSET_OUT_OF_RANGE', cursor.commit(10))
    await fill(log, 10, 'again')
    // Handed out before the cut: what has the offset now is another entry.
    await rejection('ERR_WAL_OFFSET_OUT_OF_RANGE', cursor.commit(9))
    await log.close()
    log = await openOn(disk)
    cursor = await log.cursor('a', { follow: false })
    expect([cursor.offset, cursor.cut]).toEqual([5, { first: 6, last: 8 }])
    await log.truncateBefore(9)
    expect(log.firstOffset).toBe(6)
    expect((await rest(cursor))[0]).toBe(6)
    await cursor.commit(7)
    expect([cursor.offset, cursor.cut]).toEqual([7, undefined])
    await log.close()
  })

  it('works through a reader, which writes nothing but its file in cursors/', async () => {
    const disk = newDisk()
    const log = await openOn(disk)
    await fill(log, 3)
    await log.close()
    const before = disk.journal.length
    const reader = await WriteAheadLog.openReader(directory, { fileSystem: disk })
    const cursor = await reader.cursor('a', { follow: false })
    expect(await rest(cursor)).toEqual([1, 2, 3])
    await cursor.commit(3)
    await reader.close()
    const changed = disk.journal.slice(before).filter(({ kind, path }) => (kind === 'write' || kind === 'rename' || kind === 'remove') && !path.includes('/cursors/'))
    expect(changed).toEqual([])
    const again = await openOn(disk)
    expect((await again.cursors()).map(({ name, offset }) => [name, offset])).toEqual([['a', 3]])
    await again.close()
  })

  it('is refused in the directory of another log, and in format 1', async () => {
    const disk = newDisk()
    const log = await openOn(disk)
    await (await log.cursor('a')).close()
    await log.close()
    for (const name of await disk.list(directory)) if (name.endsWith('.wal')) await disk.remove(join(directory, name))
    const other = await openOn(disk)
    await rejection('ERR_WAL_CORRUPT', other.cursor('a'))
    expect(await other.cursors()).toEqual([])
    await other.close()
    const old = await WriteAheadLog.open('/data/old', { fileSystem: disk, format: 1, entries: exampleEntries })
    await rejection('ERR_WAL_FORMAT', old.cursor('a'))
    await old.close()
  })

  it('commits what is asked for again when a write has failed, and never forgets what it acknowledged', async () => {
    const disk = newDisk()
    let log = await openOn(disk)
    await fill(log, 20)
    let cursor = await log.cursor('a')
    await cursor.commit(1)
    failCalls(disk, ({ kind, path, writeThrough }) => kind === 'write' && writeThrough === true && path.includes('/cursors/'), 'EIO', 2)
    await rejection('ERR_WAL_WRITE_FAILED', cursor.commit(2))
    await rejection('ERR_WAL_WRITE_FAILED', cursor.commit(3))
    expect(cursor.offset).toBe(1)
    await cursor.commit(4)
    await Promise.all([5, 6, 7, 8].map((offset) => cursor.commit(offset)))
    healCalls(disk)
    expect(cursor.offset).toBe(8)
    await log.close()
    log = await openOn(disk)
    cursor = await log.cursor('a')
    expect(cursor.offset).toBe(8)
    await log.close()
  })

  it('costs no descriptor for each of a thousand that nobody has open, and all of them are asked at a truncation', async () => {
    const disk = newDisk({ journal: false })
    const log = await openOn(disk)
    await fill(log, 10)
    for (let n = 0; n < 1000; n++) await (await log.cursor(`c${n}`, { from: n === 500 ? 3 : 8 })).close()
    await log.truncateBefore(9)
    expect(log.firstOffset).toBe(3)
    expect(await log.cursors()).toHaveLength(1000)
    await log.close()
  })
})

describe('a cursor and a crash', () => {
  it('that was deleted does not come back', async () => {
    const disk = newDisk()
    const log = await openOn(disk)
    await fill(log, 3)
    const cursor = await log.cursor('a')
    await cursor.commit(2)
    await cursor.close()
    expect(await log.deleteCursor('a')).toBe(true)
    const after = await openOn(disk.afterCrash('none'))
    expect(await after.cursors()).toEqual([])
  })

  it('shows what no later crash takes back, though its own sync had failed', async () => {
    const disk = newDisk()
    const log = await openOn(disk)
    await fill(log, 5)
    const cursor = await log.cursor('a')
    await cursor.commit(2)
    // The page cache has the bytes, and the disk has not; and they can't be taken back either.
    disk.fail({ kind: 'write', path: 'cursors', code: 'EIO', syncFailure: 'ext4' })
    failCalls(disk, ({ kind, path, writeThrough }) => kind === 'write' && writeThrough !== true && path.includes('/cursors/'), 'EIO')
    await rejection('ERR_WAL_WRITE_FAILED', cursor.commit(4))
    await cursor.close()
    healCalls(disk)
    const again = await log.cursor('a')
    const shown = again.offset
    expect(shown).toBe(4)
    const after = await openOn(disk.afterCrash('none'))
    expect((await after.cursor('a')).offset).toBe(shown)
  })

  it.each([0, 1, 2])('behind %d commits shows, opened again, what no later crash goes beyond, though the disk may have the commit that failed', async (commits) => {
    const disk = newDisk()
    const log = await openOn(disk)
    await fill(log, 5)
    const cursor = await log.cursor('a')
    for (let offset = 1; offset <= commits; offset++) await cursor.commit(offset)
    // The commit is in the page cache and on its way, and what takes it back is, too.
    disk.fail({ kind: 'write', path: 'cursors', code: 'EIO', syncFailure: 'retryable' })
    await rejection('ERR_WAL_WRITE_FAILED', cursor.commit(4))
    await cursor.close()
    // Until then a crash decides.
    expect(await offsetsAfterCrashes(disk)).toEqual([commits, 4])
    expect((await log.cursor('a')).offset).toBe(commits)
    expect(await offsetsAfterCrashes(disk)).toEqual([commits])
  })

  it('takes the commit before where the bytes of the last one do not fit their CRC, and is refused where neither do', async () => {
    const disk = newDisk()
    const log = await openOn(disk)
    await fill(log, 5)
    const cursor = await log.cursor('a')
    for (const offset of [2, 4]) await cursor.commit(offset)
    await cursor.close()
    const path = `${directory}/cursors/a.cursor`
    const bytes = disk.contents(path)
    // The sequences 1 and 2 stand in the slots 1 and 0; in each the lowest byte of the committed offset.
    for (const [at, expected] of [[47, 2], [4096 + 47, undefined]] as const) {
      bytes[at] = (bytes[at] as number) ^ 1
      disk.place(path, bytes)
      const after = await openOn(disk.copy())
      if (expected === undefined) await rejection('ERR_WAL_CORRUPT', after.cursor('a'))
      else expect((await after.cursor('a')).offset).toBe(expected)
    }
  })

  it('is what was acknowledged last, or what was being committed', async () => {
    const report = await exploreCrashes<number>({
      seed: 5,
      runs: 4,
      crashes: 600,
      crashDuringCheck: 1,
      async workload({ fileSystem, directory: data, acknowledge, seed }) {
        const random = new Random(seed)
        const log = await WriteAheadLog.open(join(data, 'log'), { fileSystem })
        await fill(log, 12)
        const cursor = await log.cursor('a')
        for (let offset = random.below(2) + 1; offset <= 12; offset += 1 + random.below(3)) {
          await cursor.commit(offset)
          acknowledge(offset)
        }
        await log.close()
      },
      async check({ fileSystem, directory: data, acknowledged, acknowledge }) {
        const log = await WriteAheadLog.open(join(data, 'log'), { fileSystem })
        const least = acknowledged.at(-1) ?? 0
        const known = await log.cursors()
        if (least > 0 && known.length === 0) throw new Error('the cursor is gone')
        if (log.lastOffset < 1) return log.close()
        const cursor = await log.cursor('a')
        if (cursor.offset < least || cursor.offset > least + 3) throw new Error(`${least} was acknowledged, and ${cursor.offset} is committed`)
        if (cursor.cut !== undefined || cursor.lost !== undefined) throw new Error('nothing was truncated')
        // What was shown once is not taken back by the next crash.
        acknowledge(cursor.offset)
        await log.close()
      },
    })
    expect(report.violations).toEqual([])
  }, 60_000)

  it('follows a model through commits, truncations both ways, appends and openings', async () => {
    for (let seed = 1; seed <= 30; seed++) {
      const random = new Random(seed)
      const disk = new SimulatedDisk({ seed, directories: ['/data'] })
      let log = await openOn(disk, { maxSegmentSize: 400 })
      let cursor = await log.cursor('a', { follow: false })
      let committed = 0
      for (let turn = 0; turn < 60; turn++) {
        const what = random.below(6)
        if (what <= 1) await fill(log, 1 + random.below(8))
        else if (what === 2) {
          const offsets = await rest(cursor)
          expect(offsets, `seed ${seed}`).toEqual(Array.from({ length: log.lastOffset - committed }, (_, index) => committed + 1 + index))
          const done = committed + random.below(offsets.length + 1)
          await cursor.commit(done)
          committed = done
        } else if (what === 3) {
          const offset = log.firstOffset + random.below(log.lastOffset - log.firstOffset + 2)
          const expected = Math.max(log.firstOffset, Math.min(offset, committed + 1))
          await log.truncateBefore(offset)
          expect(log.firstOffset, `seed ${seed}`).toBe(expected)
        } else if (what === 4) {
          const offset = log.firstOffset - 1 + random.below(log.lastOffset - log.firstOffset + 2)
          await log.truncateAfter(offset)
          committed = Math.min(committed, offset)
        } else {
          await log.close()
          log = await openOn(disk, { maxSegmentSize: 400 })
          cursor = await log.cursor('a', { follow: false })
        }
        expect([cursor.offset, cursor.lost], `seed ${seed}`).toEqual([committed, undefined])
      }
      await log.close()
    }
  }, 60_000)

  it('is freed when the process that held it is killed, and stands where that one committed last', async () => {
    const path = await mkdtemp(join(tmpdir(), 'forelog-cursor-'))
    const log = await WriteAheadLog.open(path)
    await fill(log, 20)
    const root = fileURLToPath(new URL('../../../../', import.meta.url))
    const script = fileURLToPath(new URL('hold-cursor.ts', import.meta.url))
    const child = spawn(process.execPath, ['--import', 'tsx', script, path, 'a'], { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
    const exited = once(child, 'exit')
    let told = 0
    for await (const line of createInterface({ input: child.stdout })) {
      if (line === 'open') expect((await rejection('ERR_WAL_LOCKED', log.cursor('a'))).holder?.pid).toBe(child.pid)
      else told = Number(line)
      if (told === 7) child.kill('SIGKILL')
    }
    await exited
    const cursor = await log.cursor('a', { follow: false })
    // Told, or committed and killed before it could be told.
    expect(cursor.offset).toBeGreaterThanOrEqual(told)
    expect(told).toBeGreaterThanOrEqual(7)
    expect((await rest(cursor))[0] ?? 21).toBe(cursor.offset + 1)
    await log.truncateBefore(20)
    expect(log.firstOffset).toBe(Math.min(20, cursor.offset + 1))
    await log.close()
    await rm(path, { recursive: true })
  }, 60_000)
})
