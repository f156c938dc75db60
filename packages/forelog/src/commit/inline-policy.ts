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
/** So many commits in a row without an outlier show that a device is fast; each disappointment doubles it. */
const firstTrial = 64
const longestTrial = 65_536
/** So many inline commits without a disappointment make up for earlier ones. */
const forgivenAfter = 50_000

export class InlinePolicy {
  readonly #mode: CommitMode
  #inline: boolean
  #meanMs = quickMs
  /** Commits since the last outlier, or since inline began. */
  #run = 0
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
    this.#run++
    if (this.#inline) {
      if (ms > outlierMs || this.#meanMs > quickMs) this.#backOff()
      else if (this.#run === forgivenAfter) this.#trial = firstTrial
    } else if (ms > outlierMs) {
      this.#run = 0
    } else if (this.#run >= this.#trial && this.#meanMs <= quickMs) {
      this.#inline = true
      this.#run = 0
    }
  }

  #backOff(): void {
    this.#inline = false
    this.#run = 0
    this.#trial = Math.min(this.#trial * 2, longestTrial)
  }
}
