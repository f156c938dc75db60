/**
 * Where a cursor stands in a log that was truncated since its last commit: a pure function of what it stored and of the live segments.
 */
import type { OffsetRange } from '../reading/cursor.js'
import type { Segment } from '../segments/segment-set.js'
import type { StoredCursor } from './cursor-file.js'

export interface Standing {
  /** Committed, and still in the log or truncated in front of it. */
  readonly offset: number
  readonly cut: OffsetRange | undefined
  readonly lost: OffsetRange | undefined
}

/** @param live oldest first */
export function standingOf(stored: StoredCursor, live: readonly Pick<Segment, 'id' | 'firstOffset'>[], firstOffset: number): Standing {
  // A segment that is newer than the one which held the entry begins behind it, unless a cut began it.
  const begins = live[firstNewerThan(live, stored.segmentId)]?.firstOffset ?? Infinity
  const isCut = begins <= stored.offset
  const offset = isCut ? begins - 1 : stored.offset
  return {
    offset,
    cut: isCut ? { first: begins, last: stored.offset } : undefined,
    lost: offset + 1 < firstOffset ? { first: offset + 1, last: firstOffset - 1 } : undefined,
  }
}

function firstNewerThan(live: readonly Pick<Segment, 'id'>[], id: number): number {
  let low = 0
  let high = live.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((live[middle] as Pick<Segment, 'id'>).id > id) high = middle
    else low = middle + 1
  }
  return low
}
