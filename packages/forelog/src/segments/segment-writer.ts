/**
 * The end of a log: the newest segment, what is written behind it, and the rolls. All writing of an open log goes through here.
 *
 * The rules of writing of docs/FORMAT.md are kept in this file; each is named where it is.
 */
import { randomBytes } from 'node:crypto'
import { basename, dirname } from 'node:path'
import { isNoSpace, WalError } from '../errors.js'
import { createDurably, type DurableFile } from '../files/durable-file.js'
import type { FileSystem } from '../files/file-system.js'
import type { Steps } from '../steps.js'
import { ControlChain, readSegmentHeader, saltBytes, segmentHeaderBytes } from '../format/control-record.js'
import { GroupBuilder } from '../format/group-builder.js'
import { makeSegment, type Segment, type SegmentSet } from './segment-set.js'
import { damage } from './segment-cursor.js'
import { lastSegmentId, temporarySuffix } from './segment-name.js'

/** A segment of format 2 larger than this is closed for good at a clean shutdown, so that the next opening has little to walk. */
const largeSegmentBytes = 4 * 1024 * 1024

/** Body bytes from which on a group is full: it is held in memory whole by whoever reads it. */
const groupBytes = 2 * 1024 * 1024
/** Buffers of written groups that are kept for the next ones: one is written while another is filled. */
const spareBuffers = 2

/** Where a log ends: what opening found, or what creating made. */
export interface LogEnd {
  readonly file: DurableFile
  /** Behind the last record; everything in front is on stable storage, but for `unsettled`. */
  readonly position: number
  readonly nextOffset: number
  readonly lowWaterMark: number
  /** Format 2: what the next control record continues. */
  readonly chain: ControlChain | undefined
  readonly logId: string
  /** The close record that the log ends with, if it does: its own sync may have failed. */
  readonly unsettled: Uint8Array | undefined
  /** The close record says that the segment is full, or cut: nothing is written behind it. */
  readonly full: boolean
}

export interface SegmentWriterOptions {
  readonly maxSegmentBytes: number
  readonly fileMode: number
  /** Told of each new segment. */
  readonly onRoll: (closed: Segment, opened: Segment) => void
  /** Told when the end has moved back. */
  readonly onCut: () => void
}

export class SegmentWriter {
  readonly #segments: SegmentSet
  readonly #options: SegmentWriterOptions
  readonly #logId: string
  #file: DurableFile
  #chain: ControlChain | undefined
  /** Behind the last record that was written. */
  #position: number
  /** The close record right in front of `#position`, when it is of an earlier life: the next write writes it again. */
  #unsettled: Uint8Array | undefined
  /** Nothing goes behind the newest record any more: the next write begins a new segment. */
  #full: boolean
  #nextOffset: number
  #lowWaterMark: number
  #durableOffset: number
  /** The newest durable offset that stands in the log, for whoever reads it. */
  #vouchedOffset: number
  readonly #buffers: Uint8Array[] = []
  /** Writes that returned, and how many of them a sync has covered. */
  #writes = 0
  #syncedWrites = 0
  #syncing = false
  /** Files of closed segments that can't be closed yet, because a sync of them may be under way. */
  #retired: DurableFile[] = []

  constructor(segments: SegmentSet, end: LogEnd, options: SegmentWriterOptions) {
    this.#segments = segments
    this.#options = options
    this.#logId = end.logId
    this.#file = end.file
    this.#chain = end.chain
    this.#position = end.position
    this.#unsettled = end.unsettled
    this.#full = end.full
    this.#nextOffset = end.nextOffset
    this.#lowWaterMark = end.lowWaterMark
    // Opening leaves nothing unsynced in front of the end (row I), so all that it found is durable.
    this.#durableOffset = end.nextOffset - 1
    this.#vouchedOffset = end.unsettled === undefined ? 0 : end.nextOffset - 1
  }

  /** The offset that the next group must begin with. */
  get nextOffset(): number {
    return this.#nextOffset
  }

  get durableOffset(): number {
    return this.#durableOffset
  }

  get lowWaterMark(): number {
    return this.#lowWaterMark
  }

  get position(): number {
    return this.#position
  }

  get hasUnsynced(): boolean {
    return this.#writes !== this.#syncedWrites
  }

  /** Whether a durable mark would tell readers something new. */
  get hasUnvouched(): boolean {
    return this.#chain !== undefined && !this.#full && this.#durableOffset > this.#vouchedOffset
  }

  /** First entry that is wanted: format 1 knows only what its oldest file begins with. */
  get firstOffset(): number {
    return Math.max(this.#lowWaterMark, (this.#segments.live[0] as Segment).firstOffset)
  }

  /** A group to encode into; `before`: the one in front of it, when that is not written yet. */
  newGroup(firstOffset: number, before: GroupBuilder | undefined): GroupBuilder {
    if (this.#chain !== undefined) return new GroupBuilder(firstOffset, groupBytes, 0, this.#buffers.pop())
    // The Go library asks before each record whether the segment is full. A group ends where it would roll.
    const reached = before === undefined ? this.#position : before.startsAt + before.bytes
    const startsAt = reached >= this.#options.maxSegmentBytes ? 0 : reached
    return new GroupBuilder(firstOffset, Math.min(groupBytes, this.#options.maxSegmentBytes - startsAt), startsAt, this.#buffers.pop())
  }

  /** Takes back the buffer of a group that is written. */
  recycle(group: GroupBuilder): void {
    const buffer = group.releaseBuffer()
    if (this.#buffers.length < spareBuffers && buffer.length <= 2 * groupBytes) this.#buffers.push(buffer)
  }

  /** Puts a group behind the last one, in a new segment if this one is full. When it throws `ERR_WAL_NO_SPACE`, the log is what it was. */
  *write(group: GroupBuilder): Steps<void> {
    if (group.firstOffset !== this.#nextOffset) throw new Error(`a group of offset ${group.firstOffset} where ${this.#nextOffset} is next`)
    if (this.#full || this.#position >= this.#options.maxSegmentBytes) yield* this.#roll()
    const vouched = this.#durableOffset
    const commit = this.#chain?.commit({
      firstOffset: group.firstOffset,
      bodyBytes: group.bytes,
      headersCrc: group.headersCrc,
      durableOffset: vouched,
      lengths: group.lengths,
    })
    const place = { offset: group.firstOffset, position: this.#position, salt: this.#chain?.salt ?? '', previous: this.#chain?.previous ?? 0 }
    yield* this.#put(commit === undefined ? [group.body] : [commit, group.body])
    this.#segments.newest.index.note(place)
    if (commit !== undefined) {
      this.#chain?.advance(commit)
      this.#vouchedOffset = vouched
    }
    this.#nextOffset = group.nextOffset
  }

  /** Puts on stable storage what was written before the call. */
  *sync(): Steps<void> {
    if (!this.hasUnsynced) return
    // Only what had been handed to the system before the call is covered by it (rule 1): a write may come in meanwhile.
    const writes = this.#writes
    const lastOffset = this.#nextOffset - 1
    this.#syncing = true
    try {
      yield* this.#file.dataSync()
    } finally {
      this.#syncing = false
    }
    this.#syncedWrites = Math.max(this.#syncedWrites, writes)
    this.#durableOffset = Math.max(this.#durableOffset, lastOffset)
    yield* this.#closeRetired()
  }

  /**
   * Says in the log what is durable, without a sync of its own. Where there is no room for it, it is left out.
   */
  *markDurable(): Steps<void> {
    if (!this.hasUnvouched || this.#chain === undefined) return
    const mark = this.#chain.durableMark(this.#durableOffset, this.#nextOffset)
    try {
      yield* this.#put([mark])
    } catch (error) {
      if (isNoSpace(error)) return
      throw error
    }
    this.#chain.advance(mark)
    this.#vouchedOffset = this.#durableOffset
  }

  /** Format 2: says that entries below `offset` are no longer wanted, durably. */
  *writeLowWaterMark(offset: number): Steps<void> {
    if (this.#full) yield* this.#roll()
    if (this.#chain === undefined) return
    const mark = this.#chain.lowWaterMark(offset, this.#nextOffset)
    yield* this.#put([mark])
    this.#chain.advance(mark)
    yield* this.sync()
    this.#lowWaterMark = offset
  }

  /** Ends the log's life in good order; false: all is on stable storage, but there was no room to say so. */
  *close(): Steps<boolean> {
    let said = true
    try {
      yield* this.#endLife()
    } catch (error) {
      if (!isNoSpace(error)) throw error
      yield* this.sync()
      said = false
    }
    yield* this.release()
    return said
  }

  /** Closes the files without writing anything: after a failure, nothing may be synced a second time. */
  *release(): Steps<void> {
    yield* this.#file.close()
    yield* this.#closeRetired()
  }

  *#endLife(): Steps<void> {
    if (this.#chain === undefined) return yield* this.sync()
    // Without a write in this life, a log that ended with a clean shutdown's close still does.
    if (this.#unsettled !== undefined && !this.#full) return
    // Rule 3: behind a large segment an empty one is closed, so that the next opening has little to walk.
    if (this.#full || this.#position > largeSegmentBytes) {
      try {
        yield* this.#roll()
      } catch (error) {
        if (!isNoSpace(error)) throw error
        // The shutdown is clean without the new segment: its close goes behind the one that says full.
      }
    }
    yield* this.#writeClose(true)
  }

  /** Rule 3, in every sync mode: sync; close record; cut to length; sync; only then is the next segment created. */
  *#roll(): Steps<void> {
    const closed = this.#segments.newest
    yield* this.#closeSegment()
    // `#full` stands now: should creating fail for lack of space, the next write comes here again and creates alone.
    const opened = yield* this.#createNext({ id: closed.id, crc: this.#chain?.previous ?? 0 }, this.#nextOffset, false)
    this.#segments.add(opened)
    this.#options.onRoll(closed, opened)
    yield* this.#closeRetired()
  }

  /**
   * Format 2: ends the log at `offset`, durably, by a new segment that says so; the segments that are dead then. A crash leaves
   * the old end until the new segment's name is durable, and the cut from then on. When it throws `ERR_WAL_NO_SPACE`, the log
   * is what it was.
   */
  *cutByNewSegment(offset: number): Steps<readonly Segment[]> {
    const segments = this.#segments
    // The header names the newest mark; in front of a segment that was emptied for lack of space none may stand in the log yet.
    const { firstOffset } = this
    const holder = offset < firstOffset ? -1 : segments.indexOf(offset)
    const previous = holder < 0 ? { id: 0, crc: 0 } : { id: (segments.live[holder] as Segment).id, crc: yield* this.#lastCrcOf(holder) }
    const opened = yield* this.#createNext(previous, offset + 1, true, firstOffset)
    this.#lowWaterMark = firstOffset
    const dead = this.#endAt(offset, holder + 1, opened)
    this.#durableOffset = offset
    this.#vouchedOffset = offset
    return dead
  }

  /** Format 1: what is behind the first `kept` segments, and behind `offset` in the last of them, is about to be removed. */
  forgetAfter(offset: number, kept: number): readonly Segment[] {
    return this.#endAt(offset, kept, undefined)
  }

  /** Format 1: the newest segment ends at `position`, durably; `file`, where another one than before is the newest. */
  resumeAt(position: number, file: DurableFile | undefined): void {
    if (file !== undefined) {
      this.#retired.push(this.#file)
      this.#file = file
    }
    this.#position = position
    this.#segments.newest.bytes = position
    this.#durableOffset = this.#nextOffset - 1
  }

  /** The file that is written to. */
  get file(): DurableFile {
    return this.#file
  }

  /** Closes the files of segments that are closed or cut off. */
  *tidyUp(): Steps<void> {
    yield* this.#closeRetired()
    yield* this.#segments.closeUnused()
  }

  /** Nothing else runs between these: who reads sees the old end or the new one. */
  #endAt(offset: number, kept: number, opened: Segment | undefined): readonly Segment[] {
    this.#nextOffset = offset + 1
    this.#durableOffset = Math.min(this.#durableOffset, offset)
    this.#vouchedOffset = Math.min(this.#vouchedOffset, offset)
    // What was not synced is gone, or was synced by closing its segment.
    this.#syncedWrites = this.#writes
    const dead = this.#segments.cutAfter(offset, kept, opened)
    this.#options.onCut()
    return dead
  }

  /** The CRC field of a live segment's last control record; the newest one is closed for that. */
  *#lastCrcOf(index: number): Steps<number> {
    const segments = this.#segments
    if (index === segments.live.length - 1) {
      yield* this.#closeSegment()
      return this.#chain?.previous ?? 0
    }
    // What follows it was begun behind its last record, and says which one that was.
    const next = segments.live[index + 1] as Segment
    const file = yield* segments.acquire(next)
    try {
      const bytes = new Uint8Array(segmentHeaderBytes)
      const read = yield* file.read(bytes, 0)
      const result = readSegmentHeader(bytes.subarray(0, read), next.bytes)
      if (result.found !== 'header') throw damage(next, 0, next.firstOffset, result.why)
      return result.frame.previous
    } finally {
      yield* segments.release(next)
    }
  }

  /** Syncs the newest segment, and closes it if it isn't. */
  *#closeSegment(): Steps<void> {
    if (this.#chain === undefined) yield* this.sync()
    else if (this.#full) yield* this.#settle()
    else yield* this.#writeClose(false)
  }

  /** Creates the segment that is written from now on; it is not among the live ones yet. */
  *#createNext(previous: { readonly id: number; readonly crc: number }, firstOffset: number, cut: boolean, lowWaterMark: number = this.#lowWaterMark): Steps<Segment> {
    const segments = this.#segments
    const id = segments.newest.id + 1
    if (id > lastSegmentId) {
      throw new WalError('ERR_WAL_OFFSET_EXHAUSTED', `the log in ${segments.directory} has used all segment ids: go on in another directory`, {
        path: segments.directory,
        segmentId: id - 1,
      })
    }
    const chain = this.#chain === undefined ? undefined : new ControlChain(randomBytes(saltBytes), previous.crc)
    const header = chain?.segmentHeader({
      logId: this.#logId,
      segmentId: id,
      previousSegmentId: previous.id,
      firstOffset,
      lowWaterMark,
      createdMs: Date.now(),
      cut,
    })
    const opened = makeSegment(segments.directory, segments.format, id, firstOffset, header?.length ?? 0)
    const file = yield* createSegment(segments.fileSystem, opened, header, this.#options.fileMode)
    if (header !== undefined) chain?.advance(header)
    this.#retired.push(this.#file)
    this.#file = file
    this.#chain = chain
    this.#position = opened.bytes
    this.#unsettled = undefined
    this.#full = false
    return opened
  }

  /** Rule 2: a close record is written only after a sync that covers all in front of it, and is then synced itself. */
  *#writeClose(clean: boolean): Steps<void> {
    const chain = this.#chain as ControlChain
    yield* this.#settle()
    yield* this.sync()
    const lastOffset = this.#nextOffset - 1
    const close = chain.close({ lastOffset, durableOffset: lastOffset, clean })
    yield* this.#put([close])
    chain.advance(close)
    yield* this.#file.truncate(this.#position)
    yield* this.#file.sync()
    this.#syncedWrites = this.#writes
    this.#vouchedOffset = lastOffset
    this.#full = !clean
  }

  /** Rule 2: the close record of an earlier life is written again and synced: its own sync may have failed. */
  *#settle(): Steps<void> {
    if (this.#unsettled === undefined) return
    yield* this.#put([])
    yield* this.sync()
  }

  /** Writes pieces behind the last record, in one write; on a full disk undoes what got there. */
  *#put(pieces: readonly Uint8Array[]): Steps<void> {
    const all = this.#unsettled === undefined ? pieces : [this.#unsettled, ...pieces]
    const from = this.#position - (this.#unsettled?.length ?? 0)
    try {
      yield* this.#file.write(all, from)
    } catch (error) {
      if (isNoSpace(error)) yield* this.#undo()
      throw error
    }
    for (const piece of pieces) this.#position += piece.length
    this.#unsettled = undefined
    this.#writes++
    this.#segments.newest.bytes = this.#position
  }

  /**
   * Takes back what a write left on a full disk. Rule 7: only a write without O_DSYNC may be undone, and DurableFile calls
   * no other one a lack of space. Rule 6: the tail is cut, and that synced, before anything is written again.
   */
  *#undo(): Steps<void> {
    try {
      yield* this.#file.truncate(this.#position)
      yield* this.#file.sync()
    } catch (cause) {
      // It may lack space, too, but what it leaves behind is not known: this is no failure to go on from.
      throw new WalError('ERR_WAL_WRITE_FAILED', `a write to ${this.#file.path} that found no space could not be undone: close the log and open it again`, {
        path: this.#file.path,
        position: this.#position,
        cause,
      })
    }
    this.#syncedWrites = this.#writes
    this.#durableOffset = this.#nextOffset - 1
  }

  /** A sync of an older file may still be under way in the thread pool: then its end closes the file. */
  *#closeRetired(): Steps<void> {
    if (this.#syncing) return
    for (let file = this.#retired.shift(); file !== undefined; file = this.#retired.shift()) yield* file.close()
  }
}

/** Rule 4: creates the file of a segment, with its header, under a temporary name; its own name appears when all of it is durable. */
export function createSegment(fileSystem: FileSystem, segment: Segment, header: Uint8Array | undefined, fileMode: number): Steps<DurableFile> {
  const name = basename(segment.path)
  return createDurably(fileSystem, dirname(segment.path), name, name + temporarySuffix, header === undefined ? [] : [header], fileMode)
}
