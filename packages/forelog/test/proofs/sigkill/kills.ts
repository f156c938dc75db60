/** Logs whose writer is killed again and again. */
import { randomFrom } from '../real-writer/entries.js'
import { Ledger, type LedgerCounts } from '../real-writer/ledger.js'
import type { LogPlan } from '../real-writer/plan.js'
import { ToldLines } from '../real-writer/told-lines.js'
import { WriterSpawner } from '../real-writer/writer-process.js'
import type { SyncMode } from '../../../src/index.js'
import { join } from 'node:path'

export interface KillCounts extends LedgerCounts {
  kills: number
  /** Kills with an append under way; while a log was opened, and rolled. */
  killsInFlight: number
  killsInOpening: number
  killsInRoll: number
  killsInTruncation: number
  killsInCommit: number
}

interface Lane {
  readonly home: string
  readonly script: string
  readonly sync: SyncMode
  readonly kills: number
  readonly seed: number
}

/** Two logs of a mode, one with several callers, one with a single one that uses `appendSync`, too. */
function plansOf({ home, sync, seed }: Lane): LogPlan[] {
  const shared = { sync, maxBatchEntries: 12, batchShare: 0.25, closeShare: 0.02, cutShare: 0.06, commitShare: 0.1, keepEntries: 250, ...(sync === 'interval' ? { syncInterval: 5 } : {}) }
  return [
    { ...shared, log: 0, directory: join(home, 'several'), seed, callers: 8, maxPayloadBytes: 8_000, maxSegmentSize: 60_000 },
    { ...shared, log: 1, directory: join(home, 'single'), seed: seed + 1, callers: 1, maxPayloadBytes: 40_000, maxSegmentSize: 40_000 },
  ]
}

export async function killAgainAndAgain(lane: Lane, counts: KillCounts): Promise<void> {
  const random = randomFrom(lane.seed)
  const ledgers = plansOf(lane).map((plan) => new Ledger(plan, 'acknowledged', counts))
  const writers = new WriterSpawner(lane.script)
  try {
    for (let kill = 0; kill <= lane.kills; kill++) {
      const writer = writers.take()
      const told = new ToldLines(ledgers, writer.ended)
      await writer.start(
        ledgers.map((ledger) => ledger.nextLife(Math.floor(random() * 2 ** 32))),
        (line) => told.take(line),
      )
      const isLast = kill >= lane.kills
      const logs = ledgers.map(({ plan }) => plan.log)
      if (isLast) await told.until(() => logs.every((log) => told.wasOpened(log)))
      else await told.randomMoment(logs, random)
      await writer.kill()
      told.end()
      if (!isLast) {
        counts.kills++
        if (ledgers.some(({ isInFlight }) => isInFlight)) counts.killsInFlight++
        if (ledgers.some(({ isOpening }) => isOpening)) counts.killsInOpening++
        if (ledgers.some(({ isRolling }) => isRolling)) counts.killsInRoll++
        if (ledgers.some(({ isTruncating }) => isTruncating)) counts.killsInTruncation++
        if (ledgers.some(({ isCommitting }) => isCommitting)) counts.killsInCommit++
        for (const ledger of ledgers) ledger.end()
      }
      const violations = ledgers.flatMap((ledger) => ledger.violations)
      if (violations.length > 0) throw new Error(`after ${kill} kills, mode ${lane.sync}, seed ${lane.seed}: ${violations.join('; ')}`)
    }
  } finally {
    await writers.stop()
  }
}
