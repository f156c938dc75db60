/** Logs on a volume whose power is cut again and again while they are written to. */
import { cpSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomFrom } from '../real-writer/entries.js'
import { Ledger, type LedgerCounts } from '../real-writer/ledger.js'
import type { LogPlan } from '../real-writer/plan.js'
import { ToldLines } from '../real-writer/told-lines.js'
import type { WriterSpawner } from '../real-writer/writer-process.js'
import type { Volume } from './volumes.js'

export interface CutCounts extends LedgerCounts {
  cuts: number
  /** Cuts with one log at work alone: no other log's sync takes its data along. */
  cutsOfOneLog: number
}

/** The logs on a volume: small segments, so that rolls are met; each mode with few and with many callers. */
function plansIn(directory: string, seed: number): LogPlan[] {
  const shared = { maxBatchEntries: 12, batchShare: 0.25, closeShare: 0.012, cutShare: 0.05, commitShare: 0.08, keepEntries: 200 }
  const of = (log: number, plan: Pick<LogPlan, 'sync' | 'callers' | 'maxPayloadBytes' | 'maxSegmentSize'> & Partial<LogPlan>): LogPlan => ({
    ...shared,
    ...plan,
    log,
    seed: seed + log,
    directory: join(directory, `log-${log}`),
  })
  return [
    of(0, { sync: 'always', callers: 8, maxPayloadBytes: 8_000, maxSegmentSize: 48_000 }),
    of(1, { sync: 'always', callers: 1, maxPayloadBytes: 20_000, maxSegmentSize: 30_000 }),
    of(2, { sync: 'manual', callers: 4, maxPayloadBytes: 8_000, maxSegmentSize: 100_000 }),
    of(3, { sync: 'interval', syncInterval: 10, callers: 2, maxPayloadBytes: 3_000, maxSegmentSize: 64_000 }),
    of(4, { sync: 'always', callers: 16, maxPayloadBytes: 120_000, maxSegmentSize: 1_500_000, keepEntries: 1_500 }),
    of(5, { sync: 'manual', callers: 1, maxPayloadBytes: 2_000, maxSegmentSize: 12_000 }),
  ]
}

/** Cuts the power `cuts` times, and counts. Throws what was found broken. */
export async function cutPower(volume: Volume, writers: WriterSpawner, cuts: number, seed: number, counts: CutCounts): Promise<void> {
  const random = randomFrom(seed)
  const ledgers = plansIn(volume.directory, seed).map((plan) => new Ledger(plan, 'durable', counts))
  // The last mount only looks at what the last cut left.
  for (let cut = 0; cut <= cuts; cut++) {
    const chosen = cut === cuts || random() >= 0.6 ? ledgers : [ledgers[Math.floor(random() * ledgers.length)] as Ledger]
    volume.mount(random())
    const writer = writers.take()
    const told = new ToldLines(ledgers, writer.ended)
    await writer.start(
      chosen.map((ledger) => ledger.nextLife(Math.floor(random() * 2 ** 32))),
      (line) => told.take(line),
    )
    if (cut === cuts) {
      await told.until(() => chosen.every(({ plan }) => told.wasOpened(plan.log)))
      await writer.kill()
      volume.unmount()
    } else {
      await told.randomMoment(
        chosen.map(({ plan }) => plan.log),
        random,
      )
      const { beganUs } = await volume.cut()
      told.cutAt(beganUs)
      // Some are watched until they noticed: a log whose disk is gone fails closed.
      if (volume.isFelt && random() < 0.25) await told.until(() => chosen.every(({ plan }) => told.isOver(plan.log)))
      await writer.kill()
      volume.unmount()
      counts.cuts++
      if (chosen.length === 1) counts.cutsOfOneLog++
    }
    told.end()
    if (cut < cuts) for (const ledger of chosen) ledger.end()
    const violations = ledgers.flatMap((ledger) => ledger.violations)
    if (violations.length > 0) {
      volume.mount(0)
      const kept = mkdtempSync(join(tmpdir(), 'forelog-violation-'))
      cpSync(volume.directory, kept, { recursive: true })
      throw new Error(`after ${counts.cuts} cuts, seed ${seed}: ${violations.join('; ')}. The logs as they are now: ${kept}`)
    }
  }
}
