/**
 * Reads the entries of a log in order, over all its segments, in batches: the one loop behind `entries`, `entriesSync` and `get`.
 */
import type { EntryAdapter } from '../entries/entry.js'
import { PayloadWindow } from '../entries/payload-window.js'
import { WalError } from '../errors.js'
import type { Steps } from '../steps.js'
import { recordHeaderBytes, type RecordRun } from '../format/record.js'
import { damage, GroupCursor, RecordCursor, type SegmentCursor, type SegmentEnd } from '../segments/segment-cursor.js'
import type { Segment, SegmentSet } from '../segments/segment-set.js'

/** An entry, and its place in the log. */
export interface StoredEntry<E> {
  /** The first entry of a log is 1, each next one is one more. */
  readonly offset: number
  readonly entry: E
}

/** What reading asks of the log that is read. */
export interface ReadableLog {
  readonly segments: SegmentSet
  readonly adapter: EntryAdapter
  readonly firstOffset: number
  readonly lastOffset: number
  /** Throws when the log is closed or has failed. */
  assertReadable(): void
  /** Of a log that another process writes: asks whether entries were taken away meanwhile; not always, where the last time was just now. */
  refresh?(always: boolean): Steps<void>
  /** Of such a log, too: waits and looks again; false when that was tried often enough, and an error is to be believed. */
  retry?(attempt: number): Steps<boolean>
}

/** What a reader reads: all of it known when it begins. */
export interface ReadRange {
  /** First and last offset, inclusive. */
  readonly from: number
  readonly to: number
  /** Whether handed out bytes are the caller's own, or views that are valid until the next batch. */
  readonly copy: boolean
  /** For who reads little: small pieces, into memory that nobody else uses meanwhile. */
  readonly memory?: Uint8Array
  /** Cuts behind that the log had seen when `to` was determined. */
  readonly cutCount: number
}

/** Entries of one batch at the most: so many are decoded before the caller sees the first one. */
const entriesPerBatch = 512
/** Bytes of a read for who reads little. */
const smallChunkBytes = 32 * 1024

export class EntryReader<E> {
  readonly #log: ReadableLog
  readonly #range: ReadRange
  #next: number
  /** Cuts behind that are known of: a later one may take away what is still to be read. */
  #knownCuts: number
  /** The lowest offset that the log was cut after since reading began. */
  #cutAfter = Infinity
  #cursor: SegmentCursor | undefined
  #segment: Segment | undefined
  /** Where the segment in front of `#segment` ended, if that was read. */
  #before: SegmentEnd | undefined
  /** Last offset of the segment that is read: what it holds behind is cut off. */
  #last = 0
  /** What was read and is not handed out yet, and how many of its records are. */
  #run: RecordRun | undefined
  #handedOut = 0
  #runAt = 0
  /** The payloads of the run, where the entries are made of text. */
  #payloads: PayloadWindow | undefined
  readonly #memory: { readonly chunkBytes?: number; readonly memory?: Uint8Array }
  /** What is wrong with the next entry, while those in front of it are handed out. */
  #failure: { readonly error: unknown } | undefined

  constructor(log: ReadableLog, range: ReadRange) {
    this.#log = log
    this.#range = range
    this.#next = range.from
    this.#memory = range.memory === undefined ? {} : { memory: range.memory, chunkBytes: smallChunkBytes }
    this.#knownCuts = range.cutCount
  }

  /** The next entries, decoded; undefined behind the last one. */
  *nextBatch(): Steps<StoredEntry<E>[] | undefined> {
    this.#log.assertReadable()
    if (this.#next > this.#range.to) return undefined
    this.assertKept(this.#next)
    if (this.#failure !== undefined) throw this.#failure.error
    const batch: StoredEntry<E>[] = []
    // All of a batch comes from memory as it is now: to load more would take away what its views look at.
    for (let run: RecordRun | undefined = this.#run ?? (yield* this.#nextRun()); run !== undefined; run = this.#nextRunLoaded(batch.length)) this.#decode(run, batch)
    return batch
  }

  #nextRunLoaded(taken: number): RecordRun | undefined {
    if (taken >= entriesPerBatch || this.#failure !== undefined || this.#next > Math.min(this.#range.to, this.#last)) return undefined
    const run = this.#cursor?.nextLoaded()
    if (run !== undefined) this.#begin(run)
    return run
  }

  #begin(run: RecordRun): void {
    this.#run = run
    this.#runAt = run.at
    this.#handedOut = 0
    this.#payloads = this.#log.adapter.decodeAmong === undefined ? undefined : new PayloadWindow(run.bytes, run.ascii)
  }

  /** Throws where an entry of the range was taken away since reading began, also when something else has its offset by now. */
  assertKept(offset: number): void {
    const { segments, firstOffset } = this.#log
    if (offset < firstOffset) throw outOfRange(this.#log, offset, 'was truncated while it was being read')
    if (segments.cutCount !== this.#knownCuts) {
      this.#cutAfter = Math.min(this.#cutAfter, segments.lowestCutSince(this.#knownCuts))
      this.#knownCuts = segments.cutCount
      // What is still read lies in front of the cut, but perhaps in other segments than before, and up to elsewhere.
      this.#standNowhere()
    }
    if (offset > this.#cutAfter) throw outOfRange(this.#log, offset, 'was cut off while it was being read')
  }

  /** The segment is looked for again. */
  #standNowhere(): void {
    this.#cursor = undefined
    this.#segment = undefined
    this.#before = undefined
    this.#run = undefined
  }

  /** The next run that has an entry of the range, from this segment or a later one. */
  *#nextRun(): Steps<RecordRun> {
    for (let attempt = 1; ; ) {
      const { segments } = this.#log
      this.assertKept(this.#next)
      const segment: Segment = this.#segment ?? (segments.live[segments.indexOf(this.#next)] as Segment)
      this.#segment = segment
      let run: RecordRun | undefined
      let cursor: SegmentCursor
      try {
        const file = yield* segments.acquire(segment)
        try {
          cursor = this.#cursor ??= this.#open(segment, file)
          cursor.use(file)
          run = yield* cursor.next()
        } finally {
          yield* segments.release(segment)
        }
        if (this.#log.refresh !== undefined) yield* this.#log.refresh(false)
      } catch (error) {
        // A segment that a truncation took away is not damaged or missing.
        this.assertKept(this.#next)
        const isThere = this.#segment === segment && segments.live.includes(segment)
        if (isThere && (this.#log.retry === undefined || !(yield* this.#log.retry(attempt++)))) throw error
        this.#standNowhere()
        continue
      }
      this.assertKept(this.#next)
      if (this.#cursor !== cursor) continue
      if (run === undefined) {
        this.#enterNextSegment(segment, cursor.end)
      } else if (run.firstOffset + run.lengths.length > this.#next && run.firstOffset <= this.#last) {
        this.#begin(run)
        return run
      }
    }
  }

  #open(segment: Segment, file: Parameters<SegmentCursor['use']>[0]): SegmentCursor {
    const { segments, adapter } = this.#log
    this.#last = segments.lastOffsetOf(segments.live.indexOf(segment), this.#log.lastOffset)
    const request = { segment, from: this.#next, last: this.#last, newest: segment === segments.newest, before: this.#before, ...this.#memory }
    return segments.format === 2 ? new GroupCursor(request, file) : new RecordCursor(request, file, (type) => adapter.framing(type))
  }

  #enterNextSegment(read: Segment, end: SegmentEnd): void {
    const { segments } = this.#log
    const index = segments.live.indexOf(read)
    // Truncated in front, up to the entry that is next.
    if (index < 0) return this.#standNowhere()
    const segment = segments.live[index + 1]
    if (segment === undefined || read === segments.newest) {
      throw damage(read, read.bytes, this.#next, 'it ends before an entry that the log holds')
    }
    this.#segment = segment
    this.#cursor = undefined
    this.#before = end
  }

  #decode(run: RecordRun, batch: StoredEntry<E>[]): void {
    const { adapter } = this.#log
    const { copy } = this.#range
    const { bytes, lengths, firstOffset } = run
    const payloads = this.#payloads
    const to = Math.min(this.#range.to, this.#last)
    // Entries of the run in front of the next one, behind the last wanted one, and behind what a batch takes.
    const wantedFrom = this.#next - firstOffset
    const end = Math.min(lengths.length, to - firstOffset + 1, Math.max(this.#handedOut, wantedFrom) + entriesPerBatch - batch.length)
    let at = this.#runAt
    let index = this.#handedOut
    try {
      for (; index < end; index++) {
        const payload = at + recordHeaderBytes
        const behind = payload + (lengths[index] as number)
        if (index >= wantedFrom) {
          const type = bytes[at + 4] as number
          payloads?.moveTo(payload, behind)
          const entry = payloads === undefined ? adapter.decode(type, bytes.subarray(payload, behind), copy) : adapter.decodeAmong?.(type, payloads, copy)
          batch.push({ offset: firstOffset + index, entry: entry as E })
        }
        at = behind
      }
    } catch (error) {
      const placed = withPlace(error, firstOffset + index, bytes[at + 4] as number, this.#segment as Segment)
      if (batch.length === 0) throw placed
      this.#failure = { error: placed }
    }
    this.#next = firstOffset + index
    this.#runAt = at
    this.#handedOut = index
    // What a cut left dead in the group is passed over.
    this.#run = index < lengths.length && this.#next <= to ? run : undefined
  }
}

/** An error of decoding, with the entry and its file in it. */
export function withPlace(error: unknown, offset: number, type: number, segment: Segment): unknown {
  if (!(error instanceof WalError)) return error
  return new WalError(error.code, `entry ${offset} in ${segment.path}: ${error.message}`, {
    path: segment.path,
    segmentId: segment.id,
    offset,
    type,
    cause: error.cause ?? error,
  })
}

export function outOfRange(log: { readonly firstOffset: number; readonly lastOffset: number }, offset: number, why?: string): WalError {
  const holds = log.lastOffset < log.firstOffset ? `the log is empty, its next entry is ${log.lastOffset + 1}` : `the log holds ${log.firstOffset} to ${log.lastOffset}`
  return new WalError('ERR_WAL_OFFSET_OUT_OF_RANGE', `offset ${offset} ${why ?? 'is not in the log'}: ${holds}`, { offset })
}
