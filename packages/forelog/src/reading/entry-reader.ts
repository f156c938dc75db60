/**
 * Reads the entries of a log in order, over all its segments, in batches: the one loop behind `entries`, `entriesSync` and `get`.
 */
import type { EntryAdapter } from '../entries/entry.js'
import { PayloadWindow } from '../entries/payload-window.js'
import { plainObjects } from '../entries/plain-objects.js'
import { WalError } from '../errors.js'
import type { Steps } from '../steps.js'
import { recordHeaderBytes, type RecordRun } from '../format/record.js'
import type { WindowMemory } from '../segments/file-window.js'
import { damage, GroupCursor, RecordCursor, type SegmentCursor, type SegmentEnd } from '../segments/segment-cursor.js'
import type { Segment, SegmentSet } from '../segments/segment-set.js'

/** An entry, and its place in the log. */
export interface StoredEntry<E> {
  /** The first entry of a log is 1, each next one is one more. */
  readonly offset: number
  readonly entry: E
}

const PlainStoredEntry = plainObjects<StoredEntry<unknown>, [number, unknown]>(function (offset, entry) {
  this.offset = offset
  this.entry = entry
}) as new <E>(offset: number, entry: E) => StoredEntry<E>

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
  /** For who reads a single entry: in pieces of so many bytes, into memory that nobody else uses meanwhile. */
  readonly single?: { readonly chunkBytes: number; readonly memory?: WindowMemory } | undefined
  /** Cuts behind that the log had seen when `to` was determined. */
  readonly cutCount: number
}

/** Entries between two loads at the most, and of one batch: so many are decoded before the caller sees the first one. */
const entriesPerLoad = 512
/**
 * Bytes of payloads that are decoded ahead of who takes them one by one. Many small ones: JSON.parse takes longer where it runs for one value
 * alone, and a list of many is as long (entries/payload-window.ts). Few large ones: what is held while the collector comes by makes it hold twice as much.
 */
const bytesAhead = 16 * 1024
/**
 * A batch of so many entries ends once it has so many bytes, too. What is decoded and not yet looked at is alive when the collector of young
 * objects comes by, and enough of that makes it take more memory, for good (bench/micro/memory.ts). Tiny entries go by `entriesPerLoad` alone.
 */
const entriesPerFullBatch = 128
const bytesPerFullBatch = 16 * 1024

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
  /** What the cursor in front of `#cursor` read into. */
  #memory: WindowMemory | undefined
  /** Where the segment in front of `#segment` ended, if that was read. */
  #before: SegmentEnd | undefined
  /** Last offset of the segment that is read: what it holds behind is cut off. */
  #last = 0
  /** What was read and is not handed out yet, how many of its records are, and where the next one begins in its bytes. */
  #run: RecordRun | undefined
  #handedOut = 0
  #runAt = 0
  /** The payloads of the run. */
  readonly #payloads = new PayloadWindow()
  /** Entries that were taken since something was loaded. */
  #taken = 0
  /** What is wrong with the next entry, while those in front of it are handed out. */
  #failure: { readonly error: unknown } | undefined

  constructor(log: ReadableLog, range: ReadRange) {
    this.#log = log
    this.#range = range
    this.#next = range.from
    this.#knownCuts = range.cutCount
  }

  /** The next entries, decoded; undefined behind the last one. */
  *nextBatch(): Steps<StoredEntry<E>[] | undefined> {
    return (yield* this.load()) ? this.#take(bytesPerFullBatch, entriesPerFullBatch) : undefined
  }

  /** Sees to it that `takeLoaded` has entries to give; false behind the last one. */
  *load(): Steps<boolean> {
    this.#log.assertReadable()
    if (this.#next > this.#range.to) return false
    this.assertKept(this.#next)
    if (this.#run === undefined) yield* this.#nextRun()
    this.#taken = 0
    return true
  }

  /**
   * Some of the next entries, out of what is in memory, decoded now; none where something is to be loaded first, or behind the last one.
   * To load more takes away what the views among them look at.
   */
  takeLoaded(): StoredEntry<E>[] {
    return this.#take(bytesAhead, 0)
  }

  /** Ends at `mostBytes`, but not with less than `leastEntries` while there are more in memory. */
  #take(mostBytes: number, leastEntries: number): StoredEntry<E>[] {
    const batch: StoredEntry<E>[] = []
    if (this.#next > this.#range.to) return batch
    this.assertKept(this.#next)
    if (this.#failure !== undefined) throw this.#failure.error
    let bytes = 0
    for (let run = this.#loadedRun(); run !== undefined && (bytes < mostBytes || batch.length < leastEntries) && this.#failure === undefined; run = this.#loadedRun()) {
      bytes += this.#decode(run, batch, mostBytes - bytes, leastEntries)
    }
    return batch
  }

  /** A run in memory that has the next entry. Now and then undefined all the same: then truncations by another process are looked for. */
  #loadedRun(): RecordRun | undefined {
    if (this.#taken >= entriesPerLoad) return undefined
    if (this.#run !== undefined) return this.#run
    if (this.#next > Math.min(this.#range.to, this.#last)) return undefined
    const run = this.#cursor?.nextLoaded()
    if (run !== undefined) this.#begin(run)
    return run
  }

  /** Begins with the next entry, which is in the run. */
  #begin(run: RecordRun): void {
    this.#run = run
    this.#handedOut = this.#next - run.firstOffset
    this.#runAt = run.at
    for (let index = 0; run.starts === undefined && index < this.#handedOut; index++) this.#runAt += recordHeaderBytes + (run.lengths[index] as number)
    this.#payloads.lookAtRun(run)
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
        const isThere = this.#segment === segment && segments.placeOf(segment) >= 0
        if (isThere && (this.#log.retry === undefined || !(yield* this.#log.retry(attempt++)))) throw error
        this.#standNowhere()
        continue
      }
      this.assertKept(this.#next)
      if (this.#cursor !== cursor) continue
      if (run === undefined) {
        this.#memory = cursor.memory
        this.#enterNextSegment(segment, cursor.end)
      } else if (run.firstOffset + run.lengths.length > this.#next && run.firstOffset <= this.#last) {
        this.#begin(run)
        return run
      }
    }
  }

  #open(segment: Segment, file: Parameters<SegmentCursor['use']>[0]): SegmentCursor {
    const { segments, adapter } = this.#log
    this.#last = segments.lastOffsetOf(segments.placeOf(segment), this.#log.lastOffset)
    const { single, copy } = this.#range
    // Copies lie outside of the heap, and V8 lets go of them while this thread waits: read without waiting, they take 30 MiB more.
    const isBrief = single === undefined && (!copy || adapter.copiesNothing === true)
    const request = {
      segment,
      from: this.#next,
      last: this.#last,
      newest: segment === segments.newest,
      before: this.#before,
      single: single !== undefined,
      chunkBytes: single?.chunkBytes,
      memory: this.#memory ?? single?.memory,
      brief: isBrief ? segments.brief : undefined,
    }
    return segments.format === 2 ? new GroupCursor(request, file) : new RecordCursor(request, file, (type) => adapter.framing(type))
  }

  #enterNextSegment(read: Segment, end: SegmentEnd): void {
    const { segments } = this.#log
    const index = segments.placeOf(read)
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

  /** Decodes the next entries of the run that has them; the bytes that they have there. */
  #decode(run: RecordRun, batch: StoredEntry<E>[], mostBytes: number, leastEntries: number): number {
    const { adapter } = this.#log
    const { copy } = this.#range
    const { bytes, starts, lengths, firstOffset } = run
    const payloads = this.#payloads
    const to = Math.min(this.#range.to, this.#last)
    const begin = this.#handedOut
    const end = Math.min(lengths.length, to - firstOffset + 1, begin + entriesPerLoad - this.#taken)
    const from = starts === undefined ? this.#runAt : run.at + (starts[begin] as number)
    let at = from
    let index = begin
    try {
      for (; index < end && (at - from < mostBytes || batch.length < leastEntries); index++) {
        if (starts !== undefined) at = run.at + (starts[index] as number)
        const payload = at + recordHeaderBytes
        const behind = payload + (lengths[index] as number)
        payloads.moveTo(payload, behind, index)
        batch.push(new PlainStoredEntry<E>(firstOffset + index, adapter.decodeAmong(bytes[at + 4] as number, payloads, copy) as E))
        at = behind
      }
    } catch (error) {
      const placed = withPlace(error, firstOffset + index, bytes[at + 4] as number, this.#segment as Segment)
      // First those in front of it are handed out.
      if (batch.length === 0) throw placed
      this.#failure = { error: placed }
    }
    this.#taken += index - begin
    this.#next = firstOffset + index
    this.#runAt = at
    this.#handedOut = index
    // What a cut left dead in the group is passed over.
    this.#run = index < lengths.length && this.#next <= to ? run : undefined
    return at - from
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

/** What is known of a log where an offset is refused. */
interface Extent {
  readonly firstOffset: number
  readonly lastOffset: number
  readonly segments: { readonly directory: string }
}

/** @param why what is wrong with the offset, where that is not that the log doesn't hold it */
export function outOfRange(log: Extent, offset: number, why?: string): WalError {
  const { firstOffset, lastOffset, segments } = log
  const path = segments.directory
  const holds = lastOffset < firstOffset ? `the log in ${path} is empty, its next entry is ${lastOffset + 1}` : `the log in ${path} holds ${firstOffset} to ${lastOffset}`
  if (!Number.isInteger(offset) && Math.abs(offset) !== Infinity) {
    const given = typeof offset === 'string' ? `the string '${String(offset)}'` : String(offset)
    return new WalError('ERR_WAL_OFFSET_OUT_OF_RANGE', `${given} is no offset, which is a whole number: ${holds}`, { path })
  }
  return new WalError('ERR_WAL_OFFSET_OUT_OF_RANGE', `offset ${offset} ${why ?? 'is not in the log'}: ${holds}.${adviceFor(offset, log)}`, { path, offset })
}

function adviceFor(offset: number, { firstOffset, lastOffset }: Extent): string {
  if (offset < firstOffset && firstOffset > 1) return ` What is below was truncated: begin at ${firstOffset}, if you know that what is missing is safe elsewhere`
  if (offset > lastOffset) return ' What is above was not written yet, or was cut off, or the log was restored from an earlier time'
  return ''
}
