/**
 * The end of a log: the newest segment, what is written behind it, and the rolls. All writing of an open log goes through here.
 *
 * The rules of writing of docs/FORMAT.md are kept in this file; each is named where it is.
 */
import { randomBytes } from 'node:crypto'
import { basename, dirname } from 'node:path'
import { isNoSpace, WalError } from '../errors.js'
import { createDurably, type DurableFile, PreparedFile } from '../files/durable-file.js'
import type { FileSystem } from '../files/file-system.js'
import { runPooled, step, type Steps } from '../steps.js'
import { ControlChain, readSegmentHeader, saltBytes, segmentHeaderBytes } from '../format/control-record.js'
import { GroupBuilder } from '../format/group-builder.js'
import { ActiveFile, zerosOf } from './active-file.js'
import { makeSegment, type Segment, type SegmentSet } from './segment-set.js'
import { damage } from './segment-cursor.js'
import { lastSegmentId, segmentName, temporarySuffix } from './segment-name.js'

/** A segment of format 2 larger than this is closed for good at a clean shutdown, so that the next opening has little to walk. */
const largeSegmentBytes = 4 * 1024 * 1024

/** Body bytes from which on a group is full: it is held in memory whole by whoever reads it. */
const groupBytes = 2 * 1024 * 1024
/** A larger group is not written while the caller's thread waits for it, and the file is not filled ahead for such. */
const quickBytes = 256 * 1024
/** A commit record has at most so many bytes, and as many for each entry. */
const commitBytesAtMost = { record: 64, entry: 5 }
/** Pieces of a write that together are smaller are copied into one: a call with several costs more than that. */
const gatheredBytes = 16 * 1024
/** So many groups in one life, and there will be more: segments are filled ahead, and the next one prepared. */
const settledInGroups = 2
/** What the next segment is filled with before it is there. */
const preparedBytes = 512 * 1024
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
  /** Smaller segment ids may have been given, by what others remember. */
  readonly leastSegmentId?: number
  /** Told of each new segment. */
  readonly onRoll: (closed: Segment, opened: Segment) => void
  /** Told when the end has moved back. */
  readonly onCut: () => void
}

export class SegmentWriter {
  readonly #segments: SegmentSet
  readonly #options: SegmentWriterOptions
  readonly #logId: string
  #file: ActiveFile
  #chain: ControlChain | undefined
  /** Behind the last record that was written. */
  #position: number
  /** Every byte of the file in front of it is on stable storage. */
  #syncedTo: number
  /**
   * The record right in front of `#position` that the next write writes again: the close record of an earlier life, whose own
   * sync may have failed, or a durable mark, which has had none.
   */
  #carried: Uint8Array | undefined
  /** The log ends with an earlier life's clean shutdown, and this life has written nothing. */
  #endsClean: boolean
  /** Nothing goes behind the newest record any more: the next write begins a new segment. */
  #full: boolean
  #nextOffset: number
  #lowWaterMark: number
  #durableOffset: number
  /** The newest durable offset that stands in the log, for whoever reads it. */
  #vouchedOffset: number
  readonly #buffers: Uint8Array[] = []
  readonly #gathered: Uint8Array = new Uint8Array(gatheredBytes)
  /** Groups that this life has written, the size of the last one, and whether that was to be synced at once, and small. */
  #groups = 0
  #groupBytes = 0
  #fillsAhead = false
  /** The file of the next segment, under a temporary name: being made, made, or not wanted yet. */
  #preparing: Promise<PreparedFile | undefined> | undefined
  #prepared: PreparedFile | undefined
  /** Files of segments that are closed or cut off. */
  readonly #retired: ActiveFile[] = []
  /** What is under way in the thread pool for files that are closed. */
  #leftovers: Promise<unknown> = Promise.resolve()

  constructor(segments: SegmentSet, end: LogEnd, options: SegmentWriterOptions) {
    this.#segments = segments
    this.#options = options
    this.#logId = end.logId
    segments.logId = end.logId
    this.#file = new ActiveFile(segments.fileSystem, end.file, end.position)
    this.#chain = end.chain
    this.#position = end.position
    // Opening leaves nothing unsynced in front of the end (row I), so all that it found is durable.
    this.#syncedTo = end.position - (end.unsettled?.length ?? 0)
    this.#carried = end.unsettled
    this.#endsClean = end.unsettled !== undefined && !end.full
    this.#full = end.full
    this.#nextOffset = end.nextOffset
    this.#lowWaterMark = end.lowWaterMark
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

  get hasUnsynced(): boolean {
    return this.#writtenFrom > this.#syncedTo
  }

  /** Where the next write begins: what it writes again is as good as unwritten. */
  get #writtenFrom(): number {
    return this.#position - (this.#carried?.length ?? 0)
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

  /**
   * Whether `write` of this group takes one quick call: within the segment, and, if it is to be synced, within what is filled.
   */
  isQuick(group: GroupBuilder, durably: boolean): boolean {
    if (this.#wantsRoll || group.bytes > quickBytes) return false
    const commitBytes = commitBytesAtMost.record + commitBytesAtMost.entry * group.count
    return !durably || this.#canWriteThrough(this.#position + commitBytes + group.bytes)
  }

  /** Whether the next group begins a new segment. One that holds no entry stays, however small a segment may be. */
  get #wantsRoll(): boolean {
    const holdsEntries = this.#nextOffset > this.#segments.newest.firstOffset
    return this.#full || (holdsEntries && this.#position >= this.#options.maxSegmentBytes)
  }

  /** Rule 1: a write with O_DSYNC syncs its own range alone, so nothing in front of it may be unsynced. */
  #canWriteThrough(to: number): boolean {
    return this.#syncedTo >= this.#writtenFrom && this.#file.isFilled(to)
  }

  /**
   * Puts a group behind the last one, in a new segment if this one is full; with `durably` it, and all in front of it, is on stable
   * storage then. When it throws `ERR_WAL_NO_SPACE`, the log is what it was.
   */
  *write(group: GroupBuilder, durably: boolean): Steps<void> {
    if (group.firstOffset !== this.#nextOffset) throw new Error(`a group of offset ${group.firstOffset} where ${this.#nextOffset} is next`)
    if (this.#wantsRoll) yield* this.#roll()
    const vouched = this.#durableOffset
    const chain = this.#chain
    const commit = chain?.commit({
      firstOffset: group.firstOffset,
      bodyBytes: group.bytes,
      headersCrc: group.headersCrc,
      durableOffset: vouched,
      lengths: group.lengths,
    })
    const { index } = this.#segments.newest
    if (index.wants(this.#position)) {
      index.note({ offset: group.firstOffset, position: this.#position, salt: chain?.salt ?? '', previous: chain?.previous ?? 0 })
    }
    yield* this.#put(commit === undefined ? [group.body] : [commit, group.body], durably)
    if (commit !== undefined) {
      chain?.advance(commit)
      this.#vouchedOffset = vouched
    }
    this.#nextOffset = group.nextOffset
    this.#groups++
    this.#groupBytes = group.bytes
    this.#fillsAhead = chain !== undefined && durably && group.bytes <= quickBytes
    if (!durably) return
    if (this.hasUnsynced) yield* this.sync()
    else this.#durableOffset = group.nextOffset - 1
  }

  /** What later groups profit from, once this one's callers are told: zeros ahead of them, and the next segment. */
  prepare(): Steps<void> | undefined {
    if (!this.#fillsAhead || this.#full || this.#groups < settledInGroups) return undefined
    const limit = this.#options.maxSegmentBytes
    if (this.#preparing === undefined && this.#position >= limit / 2) this.#beginPreparing()
    if (this.#file.wantsOpening(this.#position)) return this.#file.openThrough()
    if (this.#file.wantsFill(this.#position, limit, this.#groupBytes)) return this.#file.fill(this.#position, limit)
    return undefined
  }

  #beginPreparing(): void {
    const preparing = this.#prepareNext()
    this.#preparing = preparing
    // One that a roll did not wait for is discarded once it is made: it is nobody's any more.
    void preparing.then((prepared) => {
      if (this.#preparing === preparing) this.#prepared = prepared
    })
  }

  /** In the thread pool: who writes does not wait for it. Without it a roll makes the file itself. */
  async #prepareNext(): Promise<PreparedFile | undefined> {
    const { fileSystem, directory, format, newest } = this.#segments
    // Its first offset is not known yet. Any name of our pattern will do that creating a segment does not use.
    const name = segmentName(format, newest.id, this.#nextOffset) + temporarySuffix
    try {
      const bytes = Math.min(preparedBytes, this.#options.maxSegmentBytes)
      // One before it that is being discarded may have the same name.
      await this.#leftovers
      return await runPooled(PreparedFile.make(fileSystem, directory, name, zerosOf(bytes), this.#options.fileMode))
    } catch {
      return undefined
    }
  }

  /** Puts on stable storage what was written before the call. */
  *sync(): Steps<void> {
    if (!this.hasUnsynced) return
    // Only what had been handed to the system before the call is covered by it (rule 1).
    const file = this.#file
    const position = this.#writtenFrom
    const lastOffset = this.#nextOffset - 1
    yield* file.dataSync()
    // While a sync that nobody waits for was in the thread pool, `appendSync` may have rolled: positions are of another file now.
    if (file === this.#file) this.#syncedTo = Math.max(this.#syncedTo, position)
    this.#durableOffset = Math.max(this.#durableOffset, lastOffset)
  }

  /**
   * Says in the log what is durable, without a sync of its own. Where there is no room for it, it is left out.
   */
  *markDurable(): Steps<void> {
    if (!this.hasUnvouched || this.#chain === undefined) return
    const mark = this.#chain.durableMark(this.#durableOffset, this.#nextOffset)
    try {
      yield* this.#put([mark], false)
    } catch (error) {
      if (isNoSpace(error)) return
      throw error
    }
    this.#chain.advance(mark)
    this.#vouchedOffset = this.#durableOffset
    // Not synced: the next write takes it along, so that all in front of its own end is.
    this.#carried = mark
  }

  /** Format 2: says that entries below `offset` are no longer wanted, durably. */
  *writeLowWaterMark(offset: number): Steps<void> {
    if (this.#full) yield* this.#roll()
    if (this.#chain === undefined) return
    const mark = this.#chain.lowWaterMark(offset, this.#nextOffset)
    yield* this.#put([mark], true)
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
    this.#fillsAhead = false
    yield* this.#discardPrepared()
    this.#retired.push(this.#file)
    yield* this.#closeRetired()
  }

  /** Resolves when nothing of this log is under way in the thread pool (rule 8). */
  async whenIdle(): Promise<void> {
    await this.#preparing
    await this.#file.whenIdle()
    await this.#leftovers
  }

  *#closeRetired(): Steps<void> {
    const file = this.#retired.shift()
    if (file === undefined) return
    this.#leftovers = Promise.all([this.#leftovers, file.whenIdle()])
    try {
      yield* file.close()
    } finally {
      // One that can't be closed is no reason to leave the others open.
      yield* this.#closeRetired()
    }
  }

  /** The file that was made for the next segment; waits for it where that is possible. */
  *#takePrepared(): Steps<PreparedFile | undefined> {
    const preparing = this.#preparing
    if (preparing === undefined) return undefined
    this.#preparing = undefined
    const ready = this.#prepared
    const prepared = yield* step<PreparedFile | undefined>(
      () => {
        // Nobody can wait on this thread: one that is late is removed once it is made.
        if (ready === undefined) this.#leftovers = Promise.all([this.#leftovers, preparing.then((late) => late && runPooled(late.discard()))])
        return ready
      },
      () => preparing,
    )
    this.#prepared = undefined
    return prepared
  }

  *#discardPrepared(): Steps<void> {
    const prepared = yield* this.#takePrepared()
    if (prepared !== undefined) yield* prepared.discard()
  }

  *#endLife(): Steps<void> {
    if (this.#chain === undefined) return yield* this.sync()
    // Without a write in this life, a log that ended with a clean shutdown's close still does.
    if (this.#endsClean) return
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
      this.#file = new ActiveFile(this.#segments.fileSystem, file, position)
    }
    this.#position = position
    this.#syncedTo = position
    this.#segments.newest.bytes = position
    this.#segments.newest.index.clear()
    this.#durableOffset = this.#nextOffset - 1
  }

  /** The file that is written to. */
  get file(): DurableFile {
    return this.#file.file
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
    this.#syncedTo = this.#writtenFrom
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
    const id = Math.max(segments.newest.id + 1, this.#options.leastSegmentId ?? 0)
    if (id > lastSegmentId) {
      throw new WalError('ERR_WAL_OFFSET_EXHAUSTED', `the log in ${segments.directory} has used all segment ids: go on in another directory`, {
        path: segments.directory,
        segmentId: id - 1,
      })
    }
    const chain = this.#chain === undefined ? undefined : new ControlChain(randomBytes(saltBytes), previous.crc)
    const createdMs = Date.now()
    const header = chain?.segmentHeader({
      logId: this.#logId,
      segmentId: id,
      previousSegmentId: previous.id,
      firstOffset,
      lowWaterMark,
      createdMs,
      cut,
    })
    const opened = makeSegment(segments.directory, segments.format, id, firstOffset, header?.length ?? 0, chain && createdMs)
    const file = yield* this.#create(opened, header)
    if (header !== undefined) chain?.advance(header)
    this.#retired.push(this.#file)
    this.#file = file
    this.#chain = chain
    this.#position = opened.bytes
    this.#syncedTo = opened.bytes
    this.#carried = undefined
    this.#endsClean = false
    this.#full = false
    return opened
  }

  /** The file of a new segment: the one that was prepared for it, if that is ready. */
  *#create(segment: Segment, header: Uint8Array | undefined): Steps<ActiveFile> {
    const { fileSystem } = this.#segments
    const prepared = yield* this.#takePrepared()
    if (prepared === undefined || header === undefined) {
      return new ActiveFile(fileSystem, yield* createSegment(fileSystem, segment, header, this.#options.fileMode), segment.bytes)
    }
    yield* prepared.begin([header])
    const file = new ActiveFile(fileSystem, yield* prepared.putInPlace(basename(segment.path)), prepared.bytes, this.#file.fillBytes)
    // Its zeros are on stable storage, so already the first group can be written through.
    yield* file.openThrough()
    return file
  }

  /** Rule 2: a close record is written only after a sync that covers all in front of it, and is then synced itself. */
  *#writeClose(clean: boolean): Steps<void> {
    const chain = this.#chain as ControlChain
    yield* this.#settle()
    yield* this.sync()
    const lastOffset = this.#nextOffset - 1
    const close = chain.close({ lastOffset, durableOffset: lastOffset, clean })
    yield* this.#put([close], false)
    chain.advance(close)
    yield* this.#file.cut(this.#position)
    this.#syncedTo = this.#position
    this.#vouchedOffset = lastOffset
    this.#full = !clean
  }

  /** Rule 2: the close record of an earlier life is written again and synced: its own sync may have failed. */
  *#settle(): Steps<void> {
    if (this.#carried === undefined) return
    yield* this.#put([], true)
    yield* this.sync()
  }

  /**
   * Writes pieces behind the last record, in one write, with what is carried in front of them. With `durably` they are on stable
   * storage then, where that can be had with the write itself; else there is something unsynced, which a sync puts there.
   */
  *#put(pieces: readonly Uint8Array[], durably: boolean): Steps<void> {
    const all = this.#gather(this.#carried === undefined ? pieces : [this.#carried, ...pieces])
    const from = this.#writtenFrom
    let to = this.#position
    for (const piece of pieces) to += piece.length
    if (durably && this.#canWriteThrough(to)) {
      yield* this.#file.writeThrough(all, from)
      this.#syncedTo = to
    } else {
      try {
        yield* this.#file.write(all, from)
      } catch (error) {
        if (isNoSpace(error)) yield* this.#undo()
        throw error
      }
      this.#syncedTo = Math.min(this.#syncedTo, from)
    }
    this.#position = to
    this.#carried = undefined
    this.#endsClean = false
    this.#segments.newest.bytes = to
  }

  /** Small pieces as one. The memory is used again by the next write, which begins when this one is over. */
  #gather(pieces: readonly Uint8Array[]): readonly Uint8Array[] {
    let bytes = 0
    for (const piece of pieces) bytes += piece.length
    if (pieces.length < 2 || bytes > gatheredBytes) return pieces
    let at = 0
    for (const piece of pieces) {
      this.#gathered.set(piece, at)
      at += piece.length
    }
    return [this.#gathered.subarray(0, bytes)]
  }

  /**
   * Takes back what a write left on a full disk. Rule 7: only a write without O_DSYNC may be undone, and DurableFile calls
   * no other one a lack of space. Rule 6: the tail is cut, and that synced, before anything is written again.
   */
  *#undo(): Steps<void> {
    try {
      yield* this.#discardPrepared()
      yield* this.#file.cut(this.#position)
    } catch (cause) {
      // It may lack space, too, but what it leaves behind is not known: this is no failure to go on from.
      throw new WalError('ERR_WAL_WRITE_FAILED', `a write to ${this.#file.path} that found no space could not be undone: close the log and open it again`, {
        path: this.#file.path,
        position: this.#position,
        cause,
      })
    }
    // What is carried may have been written over in part, with the same bytes: it is written again all the same.
    this.#syncedTo = this.#writtenFrom
    this.#durableOffset = this.#nextOffset - 1
  }
}

/** Rule 4: creates the file of a segment, with its header, under a temporary name; its own name appears when all of it is durable. */
export function createSegment(fileSystem: FileSystem, segment: Segment, header: Uint8Array | undefined, fileMode: number): Steps<DurableFile> {
  const name = basename(segment.path)
  return createDurably(fileSystem, dirname(segment.path), name, name + temporarySuffix, header === undefined ? [] : [header], fileMode)
}
