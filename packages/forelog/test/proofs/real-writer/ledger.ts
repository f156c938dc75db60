/**
 * What a writer told of one log, kept outside of it, and the judgement of what the next life finds.
 */
import type { LifeSpan } from './entries.js'
import type { LifePlan, LogPlan, Told } from './plan.js'

/** What must be there after the end of a life: after a power cut what was durable, after a kill all that was acknowledged. */
export type Survivor = 'durable' | 'acknowledged'

/** What the end of a life met, and what the next opening found; counts. */
export interface LedgerCounts {
  appended: number
  acknowledged: number
  durable: number
  /**
   * Told after the cut had begun; whether that is there depends on a race inside the file system: an fdatasync that the shutdown
   * overtakes may report success, and one behind a plain write of a single file is lost as often.
   */
  toldDuringCut: number
  toldDuringCutAndLost: number
  /** Ends of lives with entries that were acknowledged and not durable, in which some of those are gone; and how many. */
  endsWithUnsynced: number
  endsLosingUnsynced: number
  unsyncedLost: number
  /** Entries found that were never acknowledged. */
  foundUnacknowledged: number
  rolls: number
  truncations: number
  shutdowns: number
  openings: number
  clean: number
  unclean: number
  tornTails: number
  ambiguous: number
  endedInFlight: number
  endedInRoll: number
  endedInTruncation: number
  endedInOpening: number
  endedInClose: number
  endedClosed: number
  failedClosed: number
}

export function newCounts(): LedgerCounts {
  return {
    appended: 0,
    acknowledged: 0,
    durable: 0,
    toldDuringCut: 0,
    toldDuringCutAndLost: 0,
    endsWithUnsynced: 0,
    endsLosingUnsynced: 0,
    unsyncedLost: 0,
    foundUnacknowledged: 0,
    rolls: 0,
    truncations: 0,
    shutdowns: 0,
    openings: 0,
    clean: 0,
    unclean: 0,
    tornTails: 0,
    ambiguous: 0,
    endedInFlight: 0,
    endedInRoll: 0,
    endedInTruncation: 0,
    endedInOpening: 0,
    endedInClose: 0,
    endedClosed: 0,
    failedClosed: 0,
  }
}

type Phase = 'opening' | 'open' | 'closing' | 'closed' | 'failed'

export class Ledger {
  readonly plan: LogPlan
  readonly violations: string[] = []
  readonly #counts: LedgerCounts
  readonly #survivor: Survivor
  #lives: LifeSpan[] = []
  #life = 0
  /** Up to where entries may be there, at the most. */
  #called = 0
  #acked = 0
  #durable = 0
  /** The same, with what was told after the cut had begun. */
  #durableInAll = 0
  /** What was durable or acknowledged when the life began. */
  #atStart = 0
  #truncated = 1
  #truncating = 1
  #phase: Phase = 'closed'
  #rollDue = false
  /** Closed, and not known to be opened again. */
  #closed = false
  /** The process ended since the log was opened last. */
  #ended = false

  constructor(plan: LogPlan, survivor: Survivor, counts: LedgerCounts) {
    this.plan = plan
    this.#survivor = survivor
    this.#counts = counts
  }

  nextLife(lifeSeed: number): LifePlan {
    return { ...this.plan, life: this.#life + 1, lives: this.#lives, lifeSeed }
  }

  /** @param late told after the cut had begun: it proves that something was tried, never that it is there */
  take({ kind, rest }: Told, late: boolean): void {
    const [first = 0, second = 0] = rest.map(Number)
    switch (kind) {
      case 'ready':
        return
      case 'opening':
        if (!late) this.#phase = 'opening'
        return
      case 'opened':
        return this.#opened(rest.map(Number), late)
      case 'called':
        this.#called = Math.max(this.#called, first)
        return
      case 'acked':
        this.#counts.toldDuringCut += late ? Math.max(0, second - this.#durableInAll) : 0
        this.#durableInAll = Math.max(this.#durableInAll, second)
        if (late) return
        this.#acked = Math.max(this.#acked, first)
        this.#durable = Math.max(this.#durable, second)
        return
      case 'truncating':
        this.#truncating = Math.max(this.#truncating, first)
        return
      case 'truncated':
        this.#counts.truncations++
        if (!late) this.#truncated = Math.max(this.#truncated, first)
        return
      case 'roll-due':
        if (!late) this.#rollDue = true
        return
      case 'rolled':
        this.#counts.rolls++
        if (!late) this.#rollDue = false
        return
      case 'closing':
        if (!late) this.#phase = 'closing'
        return
      case 'closed':
        this.#counts.shutdowns++
        if (late) return
        this.#phase = 'closed'
        this.#closed = true
        // A clean shutdown has synced all of it.
        this.#durable = this.#acked
        this.#durableInAll = Math.max(this.#durableInAll, this.#acked)
        return
      case 'failed':
        this.#counts.failedClosed++
        if (!late) this.violations.push(`log ${this.plan.log} failed with no cut: ${rest.join(' ')}`)
        return
      case 'wrong':
        this.violations.push(`log ${this.plan.log} (${this.plan.sync}): ${rest.join(' ')}`)
        return
    }
  }

  /** The life is over: all that was told is in. */
  end(): void {
    const counts = this.#counts
    this.#ended = true
    counts.appended += Math.max(0, this.#called - this.#atStart)
    counts.acknowledged += Math.max(0, this.#acked - this.#atStart)
    counts.durable += Math.max(0, this.#durable - this.#atStart)
    if (this.isInFlight) counts.endedInFlight++
    if (this.isRolling) counts.endedInRoll++
    if (this.#phase === 'open' && this.#truncating > this.#truncated) counts.endedInTruncation++
    if (this.isOpening) counts.endedInOpening++
    if (this.#phase === 'closing') counts.endedInClose++
    if (this.#phase === 'closed') counts.endedClosed++
  }

  get isInFlight(): boolean {
    return this.#phase === 'open' && this.#called > this.#acked
  }

  get isRolling(): boolean {
    return this.#phase === 'open' && this.#rollDue
  }

  get isOpening(): boolean {
    return this.#phase === 'opening'
  }

  #opened(numbers: readonly number[], late: boolean): void {
    const [life = 0, first = 0, last = 0, clean = 0, tornBytes = 0, ambiguous = 0] = numbers
    const counts = this.#counts
    const floor = this.#survivor === 'durable' ? this.#durable : this.#acked
    const wrong = (what: string): void => {
      this.violations.push(`log ${this.plan.log} (${this.plan.sync}), life ${life}: ${what}`)
    }
    if (last < floor) wrong(`entries ${last + 1} to ${floor} were told to be ${this.#survivor} and are lost`)
    if (last > this.#called) wrong(`the log ends at ${last}, and ${this.#called} is the last that was appended`)
    if (first < this.#truncated) wrong(`the log begins at ${first}, and was truncated before ${this.#truncated}`)
    if (first > this.#truncating) wrong(`the log begins at ${first}, and was never truncated beyond ${this.#truncating}`)
    if (this.#closed && clean !== 1) wrong('it was closed, and is not found clean')

    counts.openings++
    if (this.#ended) {
      if (clean === 1) counts.clean++
      else counts.unclean++
      if (this.#durableInAll > last) counts.toldDuringCutAndLost += this.#durableInAll - last
      if (this.#acked > this.#durable) counts.endsWithUnsynced++
      if (this.#acked > Math.max(last, this.#durable)) {
        counts.endsLosingUnsynced++
        counts.unsyncedLost += this.#acked - last
      }
      counts.foundUnacknowledged += Math.max(0, last - this.#acked)
    }
    if (tornBytes > 0) counts.tornTails++
    if (ambiguous === 1) counts.ambiguous++

    this.#life = life
    this.#lives = [...this.#lives.filter((_, index, all) => (all[index + 1]?.from ?? Infinity) > first), { life, from: last + 1 }]
    // What a life shows is durable, and what it does not show is gone; unless the cut had begun, then it may be neither.
    this.#called = late ? Math.max(this.#called, last) : last
    if (!late) {
      this.#durable = this.#acked = last
      this.#truncated = this.#truncating = first
      this.#phase = 'open'
      this.#rollDue = false
    }
    this.#durableInAll = last
    this.#atStart = last
    this.#closed = false
    this.#ended = false
  }
}
