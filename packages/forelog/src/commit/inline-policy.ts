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

/** What committing a group may take on average to be done inline. */
const quickMs = 0.4
/** One commit that takes longer ends it at once: this is how long the event loop may have to wait for the first of them. */
const outlierMs = 3
/** So many commits in a row without an outlier show that a device is fast; each disappointment that was not rare doubles it. */
const firstTrial = 64
const longestTrial = 65_536
/** How long whatever comes at any moment may have to wait on average because of outliers that are called rare. */
const rareDelayMs = 0.025

export class InlinePolicy {
  readonly #mode: CommitMode
  #inline: boolean
  #meanMs = quickMs
  /** Commits in the thread pool since the last outlier. */
  #run = 0
  /** What the commits since inline began took together. */
  #inlineMs = 0
  #trial = firstTrial

  constructor(mode: CommitMode) {
    this.#mode = mode
    this.#inline = mode === 'inline'
  }

  get inline(): boolean {
    return this.#inline
  }

  /** Takes in how long the commit of one group took, wherever that was. */
  observe(ms: number): void {
    if (this.#mode !== 'auto') return
    this.#meanMs += (ms - this.#meanMs) / 16
    if (this.#inline) {
      this.#inlineMs += ms
      if (ms > outlierMs || this.#meanMs > quickMs) this.#backOff(ms)
    } else if (ms > outlierMs) {
      this.#run = 0
    } else if (++this.#run >= this.#trial && this.#meanMs <= quickMs) {
      this.#inline = true
      this.#inlineMs = 0
    }
  }

  /**
   * A disk that is fast but for a hiccup now and then is worth another look soon; one that has many, or long ones, is not. What comes at any
   * moment meets a wait of `ms` with a chance of ms / time, and waits half of it.
   */
  #backOff(ms: number): void {
    const rare = (ms * ms) / 2 <= rareDelayMs * this.#inlineMs
    this.#trial = rare ? firstTrial : Math.min(this.#trial * 2, longestTrial)
    this.#inline = false
    this.#run = 0
  }
}
