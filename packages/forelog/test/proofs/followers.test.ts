/**
 * Followers in one process, the writer in another, killed at random: what a follower was shown is, without a gap and without a repeat,
 * what every later recovery keeps, byte for byte. `FORELOG_FOLLOWED_KILLS=500` kills so often, `FORELOG_SEED` chooses what is written.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type LogReader, type RawEntry, type WalError, WriteAheadLog } from '../../src/index.js'
import { crc32 } from '../../src/format/checksum.js'
import { type Compiled, compile } from './real-writer/compile.js'
import { randomFrom } from './real-writer/entries.js'
import { Ledger, newCounts } from './real-writer/ledger.js'
import type { LogPlan } from './real-writer/plan.js'
import { ToldLines } from './real-writer/told-lines.js'
import { WriterSpawner } from './real-writer/writer-process.js'

const kills = Number(process.env['FORELOG_FOLLOWED_KILLS'] ?? 24)
const seed = Number(process.env['FORELOG_SEED'] ?? 1)

let compiled: Compiled
let home: string

beforeAll(() => {
  compiled = compile('real-writer')
  home = mkdtempSync(join(tmpdir(), 'forelog-followed-'))
})

afterAll(() => {
  rmSync(home, { recursive: true, force: true })
  compiled.remove()
})

/** Fingerprint of what was shown under each offset, by all followers together. */
class Shown {
  readonly entries = new Map<number, number>()
  /** A follower of a log that is truncated may be left behind, and begins again where the log does. */
  leftBehind = 0

  note(offset: number, { type, payload }: RawEntry): void {
    const print = crc32(payload, 0, payload.length, type)
    const before = this.entries.get(offset)
    if (before !== undefined && before !== print) throw new Error(`entry ${offset} was shown twice, and differs`)
    this.entries.set(offset, print)
  }
}

/** Follows until it is aborted; `slowMs`: a pause now and then. Resolves with the offset behind the last entry. */
async function follow(reader: LogReader<RawEntry>, shown: Shown, signal: AbortSignal, slow: () => Promise<void>): Promise<number> {
  let next = 1
  while (!signal.aborted) {
    try {
      for await (const { offset, entry } of reader.follow({ from: next, signal })) {
        if (offset !== next) throw new Error(`entry ${offset} came where ${next} was next`)
        next++
        shown.note(offset, entry)
        await slow()
      }
    } catch (error) {
      if ((error as WalError).code !== 'ERR_WAL_OFFSET_OUT_OF_RANGE') throw error
      shown.leftBehind++
      next = reader.firstOffset
    }
  }
  return next
}

it(`followers beside a writer that is killed ${kills} times see each durable entry once, and nothing that is lost later`, { timeout: 900_000 }, async (context) => {
  context.skip(process.platform === 'win32', 'Windows has no SIGKILL')
  const random = randomFrom(seed)
  const shared = { maxBatchEntries: 8, batchShare: 0.25, closeShare: 0.01, cutShare: 0, commitShare: 0.6, maxPayloadBytes: 3000, maxSegmentSize: 60_000 }
  const plans: LogPlan[] = [
    { ...shared, log: 0, directory: join(home, 'all'), sync: 'always', seed, callers: 6, keepEntries: 1e9 },
    { ...shared, log: 1, directory: join(home, 'truncated'), sync: 'always', seed: seed + 1, callers: 1, keepEntries: 150 },
    { ...shared, log: 2, directory: join(home, 'interval'), sync: 'interval', syncInterval: 5, seed: seed + 2, callers: 4, keepEntries: 1e9 },
  ]
  const counts = newCounts()
  const ledgers = plans.map((plan) => new Ledger(plan, 'acknowledged', counts))
  const writers = new WriterSpawner(compiled.path('real-writer/writer.ts'))
  const abort = new AbortController()
  const shown = plans.map(() => new Shown())
  const readers: LogReader<RawEntry>[] = []
  const following: Promise<number>[][] = []
  // A failure of a follower ends the test at once.
  let failed: unknown
  try {
    for (let kill = 0; kill < kills && failed === undefined; kill++) {
      const writer = writers.take()
      const told = new ToldLines(ledgers, writer.ended)
      await writer.start(
        ledgers.map((ledger) => ledger.nextLife(Math.floor(random() * 2 ** 32))),
        (line) => told.take(line),
      )
      if (readers.length === 0) {
        await told.until(() => plans.every(({ log }) => told.wasOpened(log)))
        for (const [index, { directory }] of plans.entries()) {
          const reader = await WriteAheadLog.openReader(directory)
          readers.push(reader)
          let steps = 0
          const quick = (): Promise<void> => Promise.resolve()
          const slow = (): Promise<void> => (++steps % 64 === 0 ? new Promise((resolve) => setTimeout(resolve, 3)) : Promise.resolve())
          following.push([quick, slow].map((pace) => follow(reader, shown[index] as Shown, abort.signal, pace)))
        }
        for (const each of following.flat()) each.catch((error: unknown) => (failed = error))
      }
      await told.randomMoment(plans.map(({ log }) => log), random)
      await writer.kill()
      told.end()
      for (const ledger of ledgers) ledger.end()
      const violations = ledgers.flatMap((ledger) => ledger.violations)
      if (violations.length > 0) throw new Error(violations.join('; '))
    }
    if (failed !== undefined) throw failed

    // The last recovery says what is there; a clean shutdown proves all of it.
    const ends: number[] = []
    for (const { directory } of plans) {
      const log = await WriteAheadLog.open(directory)
      ends.push(log.lastOffset + 1)
      await log.close()
    }
    // Until all have come to the end.
    for (const [index, reader] of readers.entries()) {
      const last = (ends[index] as number) - 1
      while (failed === undefined && !(shown[index] as Shown).entries.has(last)) await new Promise((resolve) => setImmediate(resolve))
      expect(reader.lastOffset).toBe(last)
    }
    if (failed !== undefined) throw failed
  } finally {
    abort.abort()
    await writers.stop()
    await Promise.allSettled(following.flat())
  }
  for (const [index, plan] of plans.entries()) {
    const { entries, leftBehind } = shown[index] as Shown
    const log = await WriteAheadLog.open(plan.directory)
    for (const { offset, entry } of log.entriesSync()) {
      const print = entries.get(offset)
      if (print === undefined && leftBehind > 0) continue
      expect(print, `entry ${offset} of log ${plan.log}`).toBe(crc32(entry.payload, 0, entry.payload.length, entry.type))
    }
    expect(Math.max(...entries.keys())).toBe(log.lastOffset)
    if (plan.keepEntries > 1e6) expect([entries.size, leftBehind]).toEqual([log.lastOffset, 0])
    console.log(`log ${plan.log} (${plan.sync}): ${entries.size} entries shown of ${log.lastOffset}, left behind ${leftBehind} times`)
    await log.close()
    await readers[index]?.close()
  }
  console.log(`followed, seed ${seed}`, { kills, acknowledged: counts.acknowledged, rolls: counts.rolls, truncations: counts.truncations, openings: counts.openings })
  expect(counts.acknowledged / kills).toBeGreaterThan(20)
})
