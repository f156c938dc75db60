/**
 * What a writer process is asked to do, and what it tells: one line for each thing that happened, `<kind> <log> <µs> <numbers>`,
 * handed to the system before the writer goes on, so that no kill can take it back.
 */
import type { SyncMode } from '../../../src/index.js'
import type { LifeSpan } from './entries.js'

export interface LogPlan {
  /** A number: how the lines name the log. */
  readonly log: number
  readonly directory: string
  readonly sync: SyncMode
  readonly syncDelay?: number
  readonly syncInterval?: number
  readonly seed: number
  readonly callers: number
  readonly maxPayloadBytes: number
  readonly maxBatchEntries: number
  /** Which of the appends are batches, 0 to 1. */
  readonly batchShare: number
  readonly maxSegmentSize: number
  /** From so many entries on, about half are truncated. */
  readonly keepEntries: number
  /** How often entries are cut off behind, and how often the cursor of the log goes on, per append of the first caller. */
  readonly cutShare: number
  readonly commitShare: number
  /** How often the log is closed, per append of the first caller; in one case of four for good, else it is opened again. */
  readonly closeShare: number
}

export interface LifePlan extends LogPlan {
  /** The number of this life; the writer goes on from it when it opens again. */
  readonly life: number
  /** Which lives the entries can be of: several ways, while nobody knows whether a truncation behind was done. */
  readonly timelines: readonly (readonly LifeSpan[])[]
  /** Seed of what is done in this life. */
  readonly lifeSeed: number
}

/**
 * - `ready`: the process is up.
 * - `opening`; `opened life first last clean tornBytes ambiguous timelines…`: the log was opened and all entries are what they have to
 *   be in these of the timelines; `position offset`: where its cursor stands.
 * - `called last`: entries up to there are about to be appended.
 * - `acked last durable`: appends up to `last` have resolved; `durable` is said to be on stable storage.
 * - `truncating offset`, `truncated offset`: in front; `cutting offset life`, `cut offset`: behind, and what is appended from now on is
 *   of this life; `committing offset`, `committed offset`: the cursor.
 * - `roll-due`: the next write begins a segment, `rolled`: it has; `closing`, `closed`.
 * - `failed code`: the log has failed, and behaves as a failed log has to.
 * - `wrong message`: an invariant is broken.
 */
export type ToldKind =
  | 'ready'
  | 'opening'
  | 'opened'
  | 'called'
  | 'acked'
  | 'truncating'
  | 'truncated'
  | 'cutting'
  | 'cut'
  | 'position'
  | 'committing'
  | 'committed'
  | 'roll-due'
  | 'rolled'
  | 'closing'
  | 'closed'
  | 'failed'
  | 'wrong'

export interface Told {
  readonly kind: ToldKind
  readonly log: number
  readonly atUs: number
  readonly rest: readonly string[]
}

export function parseTold(line: string): Told {
  const [kind, log, atUs, ...rest] = line.split(' ')
  return { kind: kind as ToldKind, log: Number(log), atUs: Number(atUs), rest }
}

/** A clock that all processes of the machine share (CLOCK_MONOTONIC). */
export function nowUs(): number {
  return Number(process.hrtime.bigint() / 1000n)
}
