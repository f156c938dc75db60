/**
 * What a log counts of itself, as plain data: ready for any metrics library, and for `console.log`.
 */

/** A distribution. Bucket counts are not cumulative; the last bucket has no upper bound. */
export interface Histogram {
  readonly count: number
  readonly sum: number
  /** 0 while `count` is 0. */
  readonly min: number
  readonly max: number
  /** `count` values at or below `upTo` and above the bucket before. */
  readonly buckets: readonly { readonly upTo: number; readonly count: number }[]
}

/** A snapshot of a log's counters, since it was opened. */
export interface LogStats {
  /** Entries that were acknowledged. */
  readonly appends: number
  /** Their payload bytes and record headers. */
  readonly appendedBytes: number
  /** Groups that were written: each in one write. */
  readonly groups: number
  readonly entriesPerGroup: Histogram
  readonly bytesPerGroup: Histogram
  readonly syncs: number
  /** Milliseconds that a sync took. */
  readonly syncMs: Histogram
  /** Encoded and not yet written. */
  readonly pendingBytes: number
  readonly pendingEntries: number
  /** Appends that were refused: too much pending, no space, not encodable. */
  readonly refused: { readonly backpressure: number; readonly noSpace: number; readonly encode: number }
  /** Segments that were begun because one was full. */
  readonly rolls: number
  readonly segments: number
  /** Segments that truncation removed. */
  readonly removedSegments: number
  /** What the option `retention`, and `applyRetention`, did. */
  readonly retention: RetentionStats
  /** 1 when opening found that the life before had not ended in a clean shutdown, else 0: to be summed over openings. */
  readonly recoveries: number
  /** Bytes of the torn tail that opening cut off. */
  readonly tornBytes: number
}

/** What dropping by the limits of `retention` came to. */
export interface RetentionStats {
  /** How often the limits were compared with the log. */
  readonly runs: number
  readonly segmentsDropped: number
  /** Bytes of the segments that were dropped. */
  readonly bytesDropped: number
  /** At the last run: bytes of segments beyond the limits that stay, because a cursor holds them. */
  readonly heldBackBytes: number
  /** At the last run: the cursor that holds most of them back. */
  readonly heldBy: string | undefined
  /** When the last run was, in milliseconds since 1970; 0: there was none. */
  readonly lastRunMs: number
  /** Runs that failed; they are tried again. */
  readonly failures: number
}

/** Counts values into buckets with the given upper bounds. */
export class HistogramCounter {
  readonly #bounds: readonly number[]
  readonly #counts: number[]
  #count = 0
  #sum = 0
  #min = 0
  #max = 0

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.#counts = new Array<number>(bounds.length + 1).fill(0)
  }

  add(value: number): void {
    let bucket = 0
    while (bucket < this.#bounds.length && value > (this.#bounds[bucket] as number)) bucket++
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1
    this.#min = this.#count === 0 ? value : Math.min(this.#min, value)
    this.#max = Math.max(this.#max, value)
    this.#count++
    this.#sum += value
  }

  snapshot(): Histogram {
    return {
      count: this.#count,
      sum: this.#sum,
      min: this.#min,
      max: this.#max,
      buckets: this.#counts.map((count, index) => ({ upTo: this.#bounds[index] ?? Infinity, count })),
    }
  }
}

const powersOf = (base: number, from: number, to: number): number[] => {
  const bounds: number[] = []
  for (let bound = from; bound <= to; bound *= base) bounds.push(bound)
  return bounds
}

/** Entries: 1, 2, 4, … 65,536. */
export const countBounds: readonly number[] = powersOf(2, 1, 65_536)
/** Bytes: 64, 256, … 16 MiB. */
export const byteBounds: readonly number[] = powersOf(4, 64, 16 * 1024 * 1024)
/** Milliseconds: 0.05, 0.1, … some 1.6 s. */
export const msBounds: readonly number[] = powersOf(2, 0.05, 2000)
