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
  /** `truncateBefore`, and `truncateAfter`, that were told to be done. */
  truncations: number
  truncationsBehind: number
  commits: number
  shutdowns: number
  openings: number
  clean: number
  unclean: number
  tornTails: number
  ambiguous: number
  endedInFlight: number
  endedInRoll: number
  endedInTruncation: number
  /** With a `truncateAfter` under way, or told after the cut had begun; which of these the next opening found done. */
  endedInTruncationBehind: number
  foundTruncatedBehind: number
  /** With a commit of the cursor under way. */
  endedInCommit: number
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
    truncationsBehind: 0,
    commits: 0,
    shutdowns: 0,
    openings: 0,
    clean: 0,
    unclean: 0,
    tornTails: 0,
    ambiguous: 0,
    endedInFlight: 0,
    endedInRoll: 0,
    endedInTruncation: 0,
    endedInTruncationBehind: 0,
    foundTruncatedBehind: 0,
    endedInCommit: 0,
    endedInOpening: 0,
    endedInClose: 0,
    endedClosed: 0,
    failedClosed: 0,
  }
}

type Phase = 'opening' | 'open' | 'closing' | 'closed' | 'failed'

/** A way in which the log can have gone: there are several while nobody knows whether a `truncateAfter` was done. */
interface Timeline {
  lives: readonly LifeSpan[]
  /** Up to where entries may be there, at the most. */
  called: number
  acked: number
  durable: number
  /** The same, with what was told after the cut had begun. */
  durableInAll: number
  /** Where the cursor must stand at the least, and may stand at the most. */
  committed: number
  committing: number
}

export class Ledger {
  readonly plan: LogPlan
  readonly violations: string[] = []
  readonly #counts: LedgerCounts
  readonly #survivor: Survivor
  /** The first without any of the truncations behind that nobody knows of, each next one with one more. Never empty. */
  #timelines: Timeline[] = [{ lives: [], called: 0, acked: 0, durable: 0, durableInAll: 0, committed: 0, committing: 0 }]
  #life = 0
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
    return { ...this.plan, life: this.#life + 1, timelines: this.#timelines.map(({ lives }) => lives), lifeSeed }
  }

  get #newest(): Timeline {
    return this.#timelines.at(-1) as Timeline
  }

  /** @param late told after the cut had begun: it proves that something was tried, never that it is there */
  take({ kind, rest }: Told, late: boolean): void {
    const [first = 0, second = 0] = rest.map(Number)
    const newest = this.#newest
    switch (kind) {
      case 'ready':
        return
      case 'opening':
        if (!late) this.#phase = 'opening'
        return
      case 'opened':
        return this.#opened(rest.map(Number), late)
      case 'called':
        this.#counts.appended += Math.max(0, first - newest.called)
        newest.called = Math.max(newest.called, first)
        return
      case 'acked':
        this.#counts.toldDuringCut += late ? Math.max(0, second - newest.durableInAll) : 0
        newest.durableInAll = Math.max(newest.durableInAll, second)
        if (!late) this.#acked(first, second)
        return
      case 'truncating':
        this.#truncating = Math.max(this.#truncating, first)
        return
      case 'truncated':
        this.#counts.truncations++
        if (!late) this.#truncated = Math.max(this.#truncated, first)
        return
      case 'cutting':
        this.#life = second
        this.#timelines.push(cutTo(newest, first, second))
        return
      case 'cut':
        this.#counts.truncationsBehind++
        if (late) return
        this.#timelines = [newest]
        newest.acked = newest.durable = first
        return
      case 'position':
        return this.#cursorOpened(first, late)
      case 'committing':
        newest.committing = Math.max(newest.committing, first)
        return
      case 'committed':
        this.#counts.commits++
        if (!late) newest.committed = Math.max(newest.committed, first)
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
        this.#acked(newest.acked, newest.acked)
        newest.durableInAll = Math.max(newest.durableInAll, newest.acked)
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

  #acked(acked: number, durable: number): void {
    const newest = this.#newest
    this.#counts.acknowledged += Math.max(0, acked - newest.acked)
    this.#counts.durable += Math.max(0, durable - newest.durable)
    newest.acked = Math.max(newest.acked, acked)
    newest.durable = Math.max(newest.durable, durable)
  }

  /** The life is over: all that was told is in. */
  end(): void {
    const counts = this.#counts
    this.#ended = true
    if (this.isInFlight) counts.endedInFlight++
    if (this.isRolling) counts.endedInRoll++
    if (this.#phase === 'open' && this.#truncating > this.#truncated) counts.endedInTruncation++
    if (this.#timelines.length > 1) counts.endedInTruncationBehind++
    if (this.isCommitting) counts.endedInCommit++
    if (this.isOpening) counts.endedInOpening++
    if (this.#phase === 'closing') counts.endedInClose++
    if (this.#phase === 'closed') counts.endedClosed++
  }

  get isInFlight(): boolean {
    return this.#phase === 'open' && this.#newest.called > this.#newest.acked
  }

  get isRolling(): boolean {
    return this.#phase === 'open' && this.#rollDue
  }

  /** In front or behind. */
  get isTruncating(): boolean {
    return this.#phase === 'open' && (this.#truncating > this.#truncated || this.#timelines.length > 1)
  }

  get isCommitting(): boolean {
    return this.#newest.committing > this.#newest.committed
  }

  get isOpening(): boolean {
    return this.#phase === 'opening'
  }

  #opened(numbers: readonly number[], late: boolean): void {
    const [life = 0, first = 0, last = 0, clean = 0, tornBytes = 0, ambiguous = 0, ...matching] = numbers
    const counts = this.#counts
    // Which of the timelines the entries are of, by the word of the writer; it says nothing when it opens again what it closed.
    const possible = matching.length === 0 ? [this.#newest] : matching.map((index) => this.#timelines[index] as Timeline)
    const found = possible.find((timeline) => this.#wrongWith(timeline, first, last).length === 0) ?? possible[0] ?? this.#newest
    const wrong = (what: string): void => {
      this.violations.push(`log ${this.plan.log} (${this.plan.sync}), life ${life}: ${what}`)
    }
    for (const what of this.#wrongWith(found, first, last)) wrong(what)
    if (this.#closed && clean !== 1) wrong('it was closed, and is not found clean')

    counts.openings++
    if (this.#ended) {
      if (clean === 1) counts.clean++
      else counts.unclean++
      if (found !== this.#timelines[0]) counts.foundTruncatedBehind++
      if (found.durableInAll > last) counts.toldDuringCutAndLost += found.durableInAll - last
      if (found.acked > found.durable) counts.endsWithUnsynced++
      if (found.acked > Math.max(last, found.durable)) {
        counts.endsLosingUnsynced++
        counts.unsyncedLost += found.acked - last
      }
      counts.foundUnacknowledged += Math.max(0, last - found.acked)
    }
    if (tornBytes > 0) counts.tornTails++
    if (ambiguous === 1) counts.ambiguous++

    this.#life = life
    this.#timelines = late ? possible : [found]
    for (const timeline of this.#timelines) {
      timeline.lives = withSpan(timeline.lives, first, { life, from: last + 1 })
      // What a life shows is durable, and what it does not show is gone; unless the cut had begun, then it may be neither.
      timeline.called = late ? Math.max(timeline.called, last) : last
      timeline.durableInAll = last
    }
    if (!late) {
      found.durable = found.acked = last
      this.#truncated = this.#truncating = first
      this.#phase = 'open'
      this.#rollDue = false
    }
    this.#closed = false
    this.#ended = false
  }

  #wrongWith({ called, acked, durable, committing }: Timeline, first: number, last: number): string[] {
    const floor = this.#survivor === 'durable' ? durable : acked
    const wrong: string[] = []
    if (last < floor) wrong.push(`entries ${last + 1} to ${floor} were told to be ${this.#survivor} and are lost`)
    if (last > called) wrong.push(`the log ends at ${last}, and ${called} is the last that was appended`)
    if (first < this.#truncated) wrong.push(`the log begins at ${first}, and was truncated before ${this.#truncated}`)
    if (first > this.#truncating) wrong.push(`the log begins at ${first}, and was never truncated beyond ${this.#truncating}`)
    if (first > committing + 1) wrong.push(`the log begins at ${first}, and its cursor, which holds, was never committed beyond ${committing}`)
    return wrong
  }

  #cursorOpened(offset: number, late: boolean): void {
    if (late) return
    const [timeline = this.#newest] = this.#timelines
    const { committed, committing } = timeline
    if (offset < committed || offset > committing) {
      this.violations.push(`log ${this.plan.log} (${this.plan.sync}): the cursor stands at ${offset}, and was committed up to ${committed}, perhaps up to ${committing}`)
    }
    timeline.committed = timeline.committing = offset
  }
}

/** The timeline with a truncation more; from there on entries are of another life. */
function cutTo(before: Timeline, offset: number, life: number): Timeline {
  const { lives, acked, durable, durableInAll, committed, committing } = before
  return {
    lives: [...lives, { life, from: offset + 1, isCut: true }],
    called: offset,
    acked: Math.min(acked, offset),
    durable: Math.min(durable, offset),
    durableInAll: Math.min(durableInAll, offset),
    committed: Math.min(committed, offset),
    committing: Math.min(committing, offset),
  }
}

/** Without those of which nothing is left in front. */
function withSpan(lives: readonly LifeSpan[], firstOffset: number, span: LifeSpan): LifeSpan[] {
  return [...lives.filter((_, index, all) => (all[index + 1]?.from ?? Infinity) > firstOffset), span]
}
