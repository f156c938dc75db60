/**
 * Reads on from where it stopped, as far as the log is durable by then, and holds nothing in between but its place.
 */
import type { Steps } from '../steps.js'
import { recordHeaderBytes, type RecordRun } from '../format/record.js'
import type { WindowMemory } from '../segments/file-window.js'
import { damage, GroupCursor, RecordCursor, type SegmentCursor, type SegmentEnd } from '../segments/segment-cursor.js'
import type { ReadingPlace } from '../segments/segment-index.js'
import type { Segment } from '../segments/segment-set.js'
import type { ReadableLog } from './entry-reader.js'

/** A log that grows while it is read. */
export interface GrowingLog extends ReadableLog {
  readonly durableOffset: number
  /** Whether nothing is read any more, without that being a failure. */
  readonly ended: boolean
}

/** Records that follow each other, in memory of their own, still encoded. */
export interface TailRun {
  readonly firstOffset: number
  /** Behind the last record. */
  readonly nextOffset: number
  readonly lengths: readonly number[]
  readonly bytes: Uint8Array
  /** Where they come from, for errors. */
  readonly segment: Segment
}

/** Pieces that are kept for later reads, and bytes of one at the most: what a large entry took is not kept. */
const keptPieces = 4
const keptPieceBytes = 512 * 1024

/**
 * What the readers of one log read into. Runs are in memory of their own, so it serves whoever reads next: made anew for each read, it would be
 * let go of only when the collector comes by, and a gigabyte would pass through it meanwhile.
 */
export class SpareMemory {
  readonly #pieces: Uint8Array[] = []

  take(): WindowMemory {
    return [this.#pieces.pop()]
  }

  /** Of a window that nobody reads through any more. */
  give(memory: WindowMemory): void {
    for (const piece of memory) {
      if (piece !== undefined && piece.length > 0 && piece.length <= keptPieceBytes && this.#pieces.length < keptPieces) this.#pieces.push(piece)
    }
  }
}

export class TailReader {
  readonly #log: GrowingLog
  #next: number
  #knownCuts: number
  #segment: Segment | undefined
  /** In `#segment`, behind all that was read; undefined: at its beginning, or not known. */
  #place: ReadingPlace | undefined
  /** Where the segment before ended, while nothing of this one was read. */
  #before: SegmentEnd | undefined
  readonly #spare: SpareMemory

  constructor(log: GrowingLog, from: number, spare: SpareMemory) {
    this.#log = log
    this.#spare = spare
    this.#next = from
    this.#knownCuts = log.segments.cutCount
  }

  /** Offset of the next entry. */
  get next(): number {
    return this.#next
  }

  /**
   * The next records, all of one segment, some `bytes` of them or one larger group; undefined where none can be read now: nothing more
   * is durable, or a truncation came in between, and the caller looks whether it still stands where it may.
   */
  *read(bytes: number): Steps<TailRun | undefined> {
    const { segments } = this.#log
    if (segments.cutCount !== this.#knownCuts) this.#standNowhere()
    for (;;) {
      const limit = this.#log.durableOffset
      if (this.#next > limit || this.#next < this.#log.firstOffset) return undefined
      const segment = this.#segment ?? segments.live[segments.indexOf(this.#next)]
      if (segment === undefined) return undefined
      const index = segments.placeOf(segment)
      if (index < 0) {
        this.#standNowhere()
        continue
      }
      const last = Math.min(limit, segments.lastOffsetOf(index, limit))
      try {
        const run = yield* this.#readSegment(segment, last, segment === segments.newest, bytes)
        // Read from a file that a truncation may have taken away meanwhile.
        if (this.#log.refresh !== undefined) yield* this.#log.refresh(true)
        if (segments.cutCount !== this.#knownCuts) return undefined
        if (run !== undefined) {
          this.#next = run.nextOffset
          return run
        }
      } catch (error) {
        const isGone = segments.cutCount !== this.#knownCuts || segments.placeOf(segment) < 0
        this.#standNowhere()
        if (isGone) return undefined
        throw error
      }
    }
  }

  #standNowhere(): void {
    this.#knownCuts = this.#log.segments.cutCount
    this.#segment = undefined
    this.#place = undefined
    this.#before = undefined
  }

  /** Undefined: the segment has no more, and the next one is entered. */
  *#readSegment(segment: Segment, last: number, newest: boolean, bytes: number): Steps<TailRun | undefined> {
    const { segments } = this.#log
    const file = yield* segments.acquire(segment)
    const cursor = this.#open(segment, file, last, newest, bytes)
    try {
      const collected = new RunCollector(segment, this.#next)
      // A segment whose entries were all handed out is walked to its end all the same: the next one must continue it.
      while (collected.bytes < bytes && (collected.nextOffset <= last || (!newest && collected.bytes === 0))) {
        // Of another piece most would be read for nothing: what is not here whole is where the next read begins. Format 1 has no groups.
        const isLoaded = segments.format === 2 && collected.bytes > 0
        let run: RecordRun | undefined
        try {
          run = isLoaded ? cursor.nextLoaded() : yield* cursor.next()
        } catch (error) {
          // First those in front of it are handed out: the next read begins here, and meets it again.
          if (collected.bytes > 0) break
          throw error
        }
        if (run === undefined && isLoaded) break
        if (run === undefined) {
          this.#enterNext(segment, cursor.end)
          return collected.bytes === 0 ? undefined : collected.take()
        }
        collected.add(run, last)
      }
      this.#segment = segment
      this.#place = cursor.place
      this.#before = undefined
      return collected.take()
    } finally {
      this.#spare.give(cursor.memory)
      yield* segments.release(segment)
    }
  }

  #open(segment: Segment, file: Parameters<SegmentCursor['use']>[0], last: number, newest: boolean, bytes: number): SegmentCursor {
    const { segments, adapter } = this.#log
    // Each read has a window of its own: nothing comes back for what it would read ahead.
    const request = { segment, from: this.#next, last, newest, before: this.#before, at: this.#place, chunkBytes: bytes, memory: this.#spare.take(), readsAhead: false }
    return segments.format === 2 ? new GroupCursor(request, file) : new RecordCursor(request, file, (type) => adapter.framing(type))
  }

  #enterNext(read: Segment, end: SegmentEnd): void {
    const { segments } = this.#log
    const index = segments.placeOf(read)
    if (index < 0) return this.#standNowhere()
    const segment = segments.live[index + 1]
    if (segment === undefined) throw damage(read, read.bytes, this.#next, 'it ends before an entry that the log holds')
    this.#segment = segment
    this.#place = undefined
    this.#before = end
  }
}

/** Puts runs together, in memory of their own. */
class RunCollector {
  readonly #segment: Segment
  readonly #firstOffset: number
  readonly #lengths: number[] = []
  readonly #pieces: Uint8Array[] = []
  bytes = 0

  constructor(segment: Segment, firstOffset: number) {
    this.#segment = segment
    this.#firstOffset = firstOffset
  }

  get nextOffset(): number {
    return this.#firstOffset + this.#lengths.length
  }

  /** Takes the records from `nextOffset` to `last` out of a run. */
  add(run: RecordRun, last: number): void {
    const { starts, lengths } = run
    let at = run.at
    let start = at
    for (let index = 0; index < lengths.length && run.firstOffset + index <= last; index++) {
      const header = starts === undefined ? at : run.at + (starts[index] as number)
      if (header !== at) {
        // A commit stands in between.
        this.#addPiece(run.bytes, start, at)
        start = header
      }
      const length = lengths[index] as number
      at = header + recordHeaderBytes + length
      if (run.firstOffset + index < this.nextOffset) start = at
      else this.#lengths.push(length)
    }
    this.#addPiece(run.bytes, start, at)
  }

  #addPiece(bytes: Uint8Array, from: number, to: number): void {
    if (to <= from) return
    this.#pieces.push(bytes.slice(from, to))
    this.bytes += to - from
  }

  take(): TailRun {
    const [first, ...more] = this.#pieces
    const bytes = more.length === 0 ? (first ?? new Uint8Array(0)) : joined(this.#pieces, this.bytes)
    return { firstOffset: this.#firstOffset, nextOffset: this.nextOffset, lengths: this.#lengths, bytes, segment: this.#segment }
  }
}

function joined(pieces: readonly Uint8Array[], bytes: number): Uint8Array {
  const whole = new Uint8Array(bytes)
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}
