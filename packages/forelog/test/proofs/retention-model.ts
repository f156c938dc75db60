/**
 * How far retention may go: the rules of docs/guide/retention.md, asked of each segment anew, at any moment of a log's life. Apart from how the
 * library decides, so that the two can be compared.
 */
import type { RetentionOptions } from '../../src/index.js'
import type { Random } from '../../src/testing/random.js'
import type { Log } from './either-format.js'
import type { Position } from './log-journal.js'

type Segment = ReturnType<Log['segments']>[number]

/** What is known of the one cursor while nobody has it open here. */
interface KnownCursor {
  readonly holds: boolean
  position: Position
}

/** Limits as somebody might choose them: so low that a log of some kilobytes meets them. */
export function anyLimits(random: Random, format: 1 | 2): RetentionOptions {
  const maxBytes = 4096 + random.below(2000)
  if (format === 1) return { maxBytes }
  const maxAgeMs = 1000 + random.below(1500)
  return random.pick([{ maxBytes }, { maxAgeMs }, { passedByCursors: true }, { maxBytes, maxAgeMs }, { maxBytes, passedByCursors: true }, { maxAgeMs, passedByCursors: true }])
}

/** Whether nothing but age decides. */
export function isAgeAlone(limits: RetentionOptions | undefined): boolean {
  return limits?.maxAgeMs !== undefined && limits.maxBytes === undefined && limits.passedByCursors === undefined
}

/**
 * The first offset that a log may have, when it is to keep within any of the limits.
 *
 * @param segments oldest first
 * @param firstOffset that it has
 */
function furthestFirst(segments: readonly Segment[], firstOffset: number, limits: readonly RetentionOptions[], { holds, position }: KnownCursor, nowMs: number): number {
  let furthest = firstOffset
  for (const { maxBytes = Infinity, maxAgeMs = Infinity, passedByCursors = false } of limits) {
    const isPast: readonly ((index: number, next: Segment) => boolean)[] = [
      (index) => segments.slice(index).reduce((sum, { bytes }) => sum + bytes, 0) > maxBytes,
      (_, { createdMs }) => createdMs !== undefined && createdMs + maxAgeMs < nowMs,
      (_, next) => passedByCursors && position !== 'none' && next.firstOffset - 1 <= position,
    ]
    // A limit takes segments from the oldest on, and none behind one that it leaves; unless another limit takes that one.
    for (let index = 0; index + 1 < segments.length; index++) {
      const next = segments[index + 1] as Segment
      const isHeld = holds && position !== 'none' && position < next.firstOffset - 1
      if (isHeld || !isPast.some((rule) => rule(index, next))) break
      furthest = Math.max(furthest, next.firstOffset)
    }
  }
  return furthest
}

/** The same as a log goes on; before it is open, as a copy of it showed. */
export class Leash {
  readonly #looked: { readonly segments: readonly Segment[]; readonly firstOffset: number }
  readonly #limits: RetentionOptions | undefined
  readonly cursor: KnownCursor
  log: Log | undefined
  /** Where the cursor stands durably, when it is open. */
  openAt: (() => number) | undefined
  /** Of a call that is under way. */
  asked: RetentionOptions | undefined
  #kept = 1

  constructor(looked: Log, limits: RetentionOptions | undefined, cursor: KnownCursor) {
    const { firstOffset, lastOffset } = looked
    const segments = looked.segments()
    // Behind a full segment the mark begins a new one, which counts, too.
    const begun: Segment = { ...(segments.at(-1) as Segment), firstOffset: lastOffset + 1, lastOffset, bytes: 200, createdMs: Date.now() }
    this.#looked = { segments: [...segments, begun], firstOffset }
    this.#limits = limits
    this.cursor = cursor
  }

  /** How late the log may begin now. */
  get furthest(): number {
    return Math.max(this.#kept, this.#furthestBy([this.#limits, this.asked]))
  }

  /** What is asked of it now it may still do, though the call that asked is over. */
  keepFurthest(): void {
    this.#kept = this.furthest
  }

  /** Throws what is still there of what is beyond limits; undefined: those of the log. */
  checkDone(log: Log, limits: RetentionOptions | undefined): void {
    const furthest = this.#furthestBy([limits ?? this.#limits])
    if (furthest > log.firstOffset) throw new Error(`retention left entries from ${log.firstOffset} on, and by its limits the log begins at ${furthest}`)
  }

  #furthestBy(limits: readonly (RetentionOptions | undefined)[]): number {
    const { log } = this
    const position = this.openAt?.() ?? this.cursor.position
    const { firstOffset } = log ?? this.#looked
    const given = limits.filter((each) => each !== undefined)
    return furthestFirst(log?.segments() ?? this.#looked.segments, firstOffset, given, { holds: this.cursor.holds, position }, Date.now())
  }
}
