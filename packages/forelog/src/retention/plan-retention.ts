/**
 * Which segments go: a pure function of the limits, of the segments, and of what cursors need.
 *
 * Whole segments go, oldest first, and never the newest. A limit asks for as many as bring the log below it:
 *
 *     maxBytes           the segments together have more bytes
 *     maxAgeMs           a segment's newest entry is older: it is older than the segment behind it
 *     passedByCursors    every cursor has committed all entries of a segment
 *
 * The one that asks for most decides, and none takes what a cursor that holds still needs.
 */
import type { RetentionOptions } from '../options.js'

/** What a retention run did. */
export interface RetentionResult {
  /** Segments that went, and their bytes. */
  readonly segments: number
  readonly bytes: number
  /** Where the log begins now. */
  readonly firstOffset: number
  /** Bytes of segments beyond the limits that stay, because a cursor holds them. */
  readonly heldBackBytes: number
  /** The cursor that holds most of them back. */
  readonly heldBy: string | undefined
}

export interface RetainedSegment {
  readonly firstOffset: number
  readonly bytes: number
  readonly createdMs: number | undefined
}

export interface RetentionNeeds {
  readonly holder: { readonly name: string; readonly offset: number } | undefined
  readonly slowest: { readonly name: string; readonly offset: number } | undefined
}

export interface RetentionPlan {
  /** Segments that go. */
  readonly count: number
  readonly heldBackBytes: number
  readonly heldBy: string | undefined
}

/** How many segments size and age ask for: what is known without a look at the cursors. */
export function countBeyondLimits(live: readonly RetainedSegment[], limits: RetentionOptions, nowMs: number): number {
  return Math.max(countBeyondBytes(live, limits.maxBytes ?? Infinity), countBeyondAge(live, limits.maxAgeMs ?? Infinity, nowMs))
}

/** @param live oldest first */
export function planRetention(live: readonly RetainedSegment[], limits: RetentionOptions, nowMs: number, { holder, slowest }: RetentionNeeds): RetentionPlan {
  const passed = limits.passedByCursors === true && slowest !== undefined ? countBelow(live, slowest.offset + 1) : 0
  const wanted = Math.max(passed, countBeyondLimits(live, limits, nowMs))
  const count = Math.min(wanted, holder === undefined ? wanted : countBelow(live, holder.offset + 1))
  const heldBackBytes = bytesOf(live.slice(count, wanted))
  return { count, heldBackBytes, heldBy: count < wanted ? holder?.name : undefined }
}

export function bytesOf(segments: readonly { readonly bytes: number }[]): number {
  return segments.reduce((sum, { bytes }) => sum + bytes, 0)
}

function countBeyondBytes(live: readonly RetainedSegment[], maxBytes: number): number {
  let left = bytesOf(live)
  let count = 0
  while (left > maxBytes && count < live.length - 1) left -= (live[count++] as RetainedSegment).bytes
  return count
}

/** One that says nothing of its age is kept. */
function countBeyondAge(live: readonly RetainedSegment[], maxAgeMs: number, nowMs: number): number {
  let count = 0
  while (count < live.length - 1 && (live[count + 1]?.createdMs ?? Infinity) < nowMs - maxAgeMs) count++
  return count
}

/** Segments that have only entries below an offset. */
function countBelow(live: readonly RetainedSegment[], offset: number): number {
  let count = 0
  while (count < live.length - 1 && (live[count + 1] as RetainedSegment).firstOffset <= offset) count++
  return count
}
