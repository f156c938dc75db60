/**
 * Where a group is committed: on this thread, or in the thread pool.
 *
 * A trip through the pool costs 25 to 50 µs, on a fast device as much as half a sync. So while the device is fast a group that
 * takes one call is written right here; while it is not, nothing else of the process may have to wait for it.
 */

/**
 * `'auto'` (default): on the main thread while the device is measured to be fast, else in the thread pool. `'inline'`: on the
 * main thread whatever it takes, for a process that has nothing else to do. `'background'`: always in the pool.
 */
export type CommitMode = 'auto' | 'inline' | 'background'

/** What committing a group may usually take to be done inline. */
const quickMs = 0.4
/** What took longer says nothing of what is usual, and counts as this; how much of it was the disk's doing is found out. */
const stallMs = 1
/** One commit that takes longer ends it at once: this is how long the event loop may have to wait for the first of them. */
const outlierMs = 5
/** How long whatever comes at any moment may have to wait on average for commits: a commit of `ms` makes it wait `ms`² / 2, divided by the time. */
const waitMs = 1
/**
 * So many commits without an outlier show that a device is fast, and one outlier among them counts as so many less; each disappointment
 * that was not rare doubles it.
 */
const firstTrial = 64
const outlierCounts = 8
const longestTrial = 65_536
/** How much disappointments that are called rare may add to that wait: so little that in 99 of 100 moments it is below `outlierMs`. */
const rareWaitMs = 0.1
/** How much time of commits may lie between two looks at the wait for processors; of commits that stall in the thread pool, should. */
const looksEachMs = 8

/** How long this thread, and all of the process together, waited for a processor because others had all of them. */
export interface ProcessorWaits {
  readonly ofThread: ProcessorWait
  readonly ofProcess: ProcessorWait
}

interface ProcessorWait {
  /** Milliseconds since the last call; 0 where nobody counts them. */
  take(): number
}

const uncounted: ProcessorWait = { take: () => 0 }

export class InlinePolicy {
  readonly #mode: CommitMode
  readonly #waits: ProcessorWaits
  /** What the commits since the last look took together. */
  #sinceLookMs = 0
  #inline: boolean
  /** What is usual. */
  #meanMs = quickMs
  /** Commits in the thread pool, less what outliers count. */
  #run = 0
  #trial = firstTrial
  /** What the commits since inline began took together, and what they may still make others wait, in ms². */
  #inlineMs = 0
  #credit = 0

  constructor(mode: CommitMode, waits: ProcessorWaits = { ofThread: uncounted, ofProcess: uncounted }) {
    this.#mode = mode
    this.#waits = waits
    this.#inline = mode === 'inline'
  }

  get inline(): boolean {
    return this.#inline
  }

  /** Takes in how long the commit of one group took, wherever that was. */
  observe(tookMs: number): void {
    if (this.#mode !== 'auto') return
    const ms = this.#inline ? this.#ofTheDisk(tookMs) : this.#ofTheDiskInPool(tookMs)
    if (ms === undefined) return
    this.#meanMs += (Math.min(ms, stallMs) - this.#meanMs) / 16
    if (this.#inline) {
      this.#inlineMs += ms
      // Never more than one outlier costs, so that one is too much at any time.
      this.#credit = Math.min(this.#credit + waitMs * ms, mostCredit) - costOf(ms)
      if (this.#credit < 0 || this.#meanMs > quickMs) this.#backOff(ms)
    } else if (ms > outlierMs) {
      this.#run = Math.max(0, this.#run - outlierCounts)
    } else if (++this.#run >= this.#trial && this.#meanMs <= quickMs) {
      this.#inline = true
      this.#inlineMs = 0
      this.#credit = mostCredit
      this.#waits.ofThread.take()
    }
  }

  /** Without what this thread waited for a processor since the last look, which is hardly more than in this commit. */
  #ofTheDisk(ms: number): number {
    this.#sinceLookMs += ms
    const stalled = ms > stallMs
    if (!stalled && this.#sinceLookMs < looksEachMs) return ms
    this.#sinceLookMs = 0
    const waitedMs = this.#waits.ofThread.take()
    return stalled ? lessWait(ms, waitedMs, this.#meanMs) : ms
  }

  /** The same for two threads, and it may be too little; undefined: it was looked a moment ago, and this commit says nothing. */
  #ofTheDiskInPool(ms: number): number | undefined {
    this.#sinceLookMs += ms
    if (ms <= stallMs) return ms
    if (this.#sinceLookMs < looksEachMs) return undefined
    this.#sinceLookMs = 0
    return lessWait(ms, this.#waits.ofProcess.take(), this.#meanMs)
  }

  /** A disk that is fast but for a hiccup now and then is worth another look soon; one that has many, or long ones, is not. */
  #backOff(ms: number): void {
    const rare = costOf(ms) <= rareWaitMs * this.#inlineMs
    this.#trial = rare ? firstTrial : Math.min(this.#trial * 2, longestTrial)
    this.#inline = false
    this.#run = 0
  }
}

/** What a commit took without the wait; it took what is usual at least. */
function lessWait(ms: number, waitedMs: number, usualMs: number): number {
  return Math.max(ms - waitedMs, Math.min(ms, usualMs))
}

/** What comes while a commit blocks has half of it to wait, and so much of the time it does: in ms². */
function costOf(ms: number): number {
  return (ms * ms) / 2
}

const mostCredit = costOf(outlierMs)
