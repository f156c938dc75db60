/**
 * Reads the entries of one segment in runs, whatever its format: found, checked and still encoded.
 *
 * What does not read as it must is damage here, never the end: where the log ends was decided when it was opened.
 */
import { remedyOf, WalError } from '../errors.js'
import type { DurableFile } from '../files/durable-file.js'
import type { Steps } from '../steps.js'
import { readSegmentHeader, segmentHeaderBytes } from '../format/control-record.js'
import type { FramingOf } from '../format/framed-record.js'
import type { ChainPosition, Group } from '../format/group.js'
import { blocksOf } from '../format/group-block.js'
import { numbersPerGroup } from '../format/kernel.js'
import { recordHeaderBytes, type RecordRun } from '../format/record.js'
import type { BriefReads } from './brief-reads.js'
import { FileWindow, type WindowMemory } from './file-window.js'
import { GroupWalker, type WalkResult } from './group-walker.js'
import { type RecordResult, RecordWalker } from './record-walker.js'
import type { ReadingPlace } from './segment-index.js'
import type { Segment } from './segment-set.js'

/** How a segment ended: what the next one must continue. */
export interface SegmentEnd {
  readonly nextOffset: number
  /** CRC field of its last control record; 0 in format 1. */
  readonly previous: number
  /** What is wrong behind its last live entry: damage, unless the next segment cuts off what stands there. */
  readonly fault?: WalError
}

export interface SegmentCursor {
  /** The next run of entries; undefined behind the last one. */
  next(): Steps<RecordRun | undefined>
  /** The next run, where all of it is in memory already, so that the runs before it stay valid; else undefined: ask `next`. */
  nextLoaded(): RecordRun | undefined
  /** The file to read from, which may be opened anew between two runs. */
  use(file: DurableFile): void
  /** Known once `next` gave undefined. */
  readonly end: SegmentEnd
  /** What it read into, for the cursor behind it, when nobody looks at a run of this one any more. */
  readonly memory: WindowMemory
  /** Behind all that `next` gave: where a later cursor may go on. Undefined before the first call. */
  readonly place: ReadingPlace | undefined
}

export interface CursorRequest {
  readonly segment: Segment
  /** Entries below are passed over, without a look at their payloads where the format allows it. */
  readonly from: number
  /** Last offset of the segment that is alive: a cut leaves dead entries behind it, which are passed over unseen. */
  readonly last: number
  /** Whether it is the newest one, which goes on behind what is read; the others must end with a close record. */
  readonly newest: boolean
  /** Where the segment before ended, if that was read. */
  readonly before: SegmentEnd | undefined
  /** Where an earlier cursor of the same segment stopped. */
  readonly at?: ReadingPlace | undefined
  /** Bytes of a read. */
  readonly chunkBytes?: number | undefined
  /** Whether single entries are wanted: blocks of large groups are noted for those that come after. */
  readonly single?: boolean
  /** Memory to read into, which nobody else uses meanwhile; more is made where it is too small. */
  readonly memory?: WindowMemory | undefined
  /** False: of the segment only some is read, and what would be read ahead is not wanted. */
  readonly readsAhead?: boolean
  /** Decides which reads are made on this thread; none: all in the pool, but of who blocks. */
  readonly brief?: BriefReads | undefined
}

/** Groups from this size on are worth blocks. */
const leastGroupOfBlocksBytes = 24 * 1024

/** Reads a segment of format 2. */
export class GroupCursor implements SegmentCursor {
  readonly #request: CursorRequest
  readonly #window: FileWindow
  #walker: GroupWalker | undefined
  #endsWithClose = false
  #fault: WalError | undefined

  constructor(request: CursorRequest, file: DurableFile) {
    this.#request = request
    this.#window = new FileWindow(file, request.segment.bytes, request.chunkBytes, request.memory, request.readsAhead, request.brief)
  }

  use(file: DurableFile): void {
    this.#window.file = file
  }

  get memory(): WindowMemory {
    return this.#window.memory
  }

  get place(): ReadingPlace | undefined {
    if (this.#walker === undefined) return undefined
    const { nextOffset, salt, previous } = this.#walker.expected
    return { offset: nextOffset, position: this.#walker.position, salt, previous }
  }

  get end(): SegmentEnd {
    const { nextOffset, previous } = (this.#walker as GroupWalker).expected
    return { nextOffset, previous, ...(this.#fault === undefined ? {} : { fault: this.#fault }) }
  }

  *next(): Steps<RecordRun | undefined> {
    this.#walker ??= yield* this.#begin()
    for (;;) {
      const result = this.#step(this.#walker)
      if (result.found === 'run') return result.run
      if (result.found === 'more') {
        yield* this.#load(result.bytes)
        continue
      }
      return yield* this.#endAt(result)
    }
  }

  nextLoaded(): RecordRun | undefined {
    const result = this.#walker === undefined ? undefined : this.#step(this.#walker)
    return result?.found === 'run' ? result.run : undefined
  }

  /** The next run of what is loaded, the groups without a wanted entry passed over. */
  #step(walker: GroupWalker): { readonly found: 'run'; readonly run: RecordRun } | { readonly found: 'more'; readonly bytes: number } | Exclude<WalkResult, { found: 'group' }> {
    const { segment, from, last } = this.#request
    const { index } = segment
    for (;;) {
      const { nextOffset } = walker.expected
      const small = nextOffset <= last ? this.#stride(walker) : 'none'
      if (small === 'passed') continue
      if (small !== 'none') return { found: 'run', run: small }
      if (nextOffset <= last && index.wants(walker.position)) index.note({ ...walker.expected, offset: nextOffset, position: walker.position })
      const isWanted = (group: Group): boolean => group.next.nextOffset > from && nextOffset <= last
      const result = walker.step(isWanted)
      if (result.found !== 'group') return result
      const { content, frame } = result.group
      this.#endsWithClose = content.kind === 'close'
      if (content.kind !== 'commit' || !isWanted(result.group)) continue
      const position = result.position + frame.bytes
      if (this.#request.single === true && content.lengths.length > 1 && content.bodyBytes >= leastGroupOfBlocksBytes) {
        index.noteBlocks(blocksOf(this.#window.bytes, this.#window.indexOf(position), position, content.firstOffset, content.lengths))
      }
      const run = { bytes: this.#window.bytes, at: this.#window.indexOf(position), firstOffset: content.firstOffset, lengths: content.lengths, position, ascii: result.group.ascii }
      return { found: 'run', run }
    }
  }

  /** Several small groups at once, where such stand here. */
  #stride(walker: GroupWalker): RecordRun | 'passed' | 'none' {
    const { segment, from, last } = this.#request
    const { position, expected } = walker
    const stride = walker.stride(from, last)
    if (stride === undefined) return 'none'
    const { groups, starts, lengths, ascii } = stride
    let offset = expected.nextOffset
    for (let at = 0; at < groups.length; at += numbersPerGroup) {
      const place = position + (groups[at] as number)
      if (segment.index.wants(place)) segment.index.note({ offset, position: place, salt: expected.salt, previous: groups[at + 1] as number })
      offset += groups[at + 2] as number
    }
    this.#endsWithClose = false
    if (lengths.length === 0) return 'passed'
    return { bytes: this.#window.bytes, at: this.#window.indexOf(position), firstOffset: offset - lengths.length, starts, lengths, position, ascii }
  }

  *#load(bytes: number): Steps<void> {
    const walker = this.#walker as GroupWalker
    if ((yield* this.#window.load(walker.position, bytes)) >= bytes) return
    throw damage(this.#request.segment, walker.position, walker.expected.nextOffset, 'the file became shorter while it was read')
  }

  /** Whether the segment may end where the walk ends. */
  *#endAt(result: Exclude<WalkResult, { found: 'group' }>): Steps<undefined> {
    const { segment, last, newest } = this.#request
    const walker = this.#walker as GroupWalker
    if (result.found === 'end' && (newest || this.#endsWithClose)) return undefined
    // What was filled ahead behind a close record was cut off, or that was lost: it is no damage.
    if (this.#endsWithClose && (yield* onlyZerosFrom(this.#window, walker.position))) return undefined
    const why = result.found === 'end' ? 'it ends without a close record' : result.why
    const fault = damage(segment, walker.position, walker.expected.nextOffset, why)
    if (newest || walker.expected.nextOffset <= last) throw fault
    this.#fault = fault
    return undefined
  }

  /** A walker at the best place from which `from` is still ahead. */
  *#begin(): Steps<GroupWalker> {
    const { segment, from, before } = this.#request
    const place = this.#request.at ?? (before === undefined ? segment.index.placeFor(from) : undefined)
    if (place !== undefined) return new GroupWalker(this.#window, place.position, { ...place, nextOffset: place.offset })
    return new GroupWalker(this.#window, segmentHeaderBytes, yield* this.#readHeader(before))
  }

  *#readHeader(before: SegmentEnd | undefined): Steps<ChainPosition> {
    const { segment } = this.#request
    const loaded = yield* this.#window.load(0, segmentHeaderBytes)
    const result = readSegmentHeader(this.#window.bytes.subarray(0, loaded), this.#window.fileBytes)
    if (result.found !== 'header') throw damage(segment, 0, segment.firstOffset, result.why)
    const { header, frame } = result
    if (header.segmentId !== segment.id || header.firstOffset !== segment.firstOffset) {
      throw damage(segment, 0, segment.firstOffset, 'its header belongs to a file of another name')
    }
    // A cut leaves entries behind it in the segment before: they are dead, and neither their end nor damage to them matters.
    if (before?.fault !== undefined && !header.cut) throw before.fault
    if (before !== undefined && !header.cut && header.firstOffset !== before.nextOffset) {
      throw missing(segment, before.nextOffset)
    }
    if (before !== undefined && before.fault === undefined && frame.previous !== before.previous) {
      throw damage(segment, 0, segment.firstOffset, 'it does not continue the segment before it')
    }
    return { nextOffset: header.firstOffset, salt: frame.salt, previous: frame.crc }
  }
}

/** Records of format 1 that are handed out at once, at the most. */
const recordsPerRun = 4096

/** Reads a segment of format 1. */
export class RecordCursor implements SegmentCursor {
  readonly #request: CursorRequest
  readonly #window: FileWindow
  readonly #walker: RecordWalker

  constructor(request: CursorRequest, file: DurableFile, framingOf: FramingOf) {
    this.#request = request
    this.#window = new FileWindow(file, request.segment.bytes, request.chunkBytes, request.memory, request.readsAhead, request.brief)
    const { segment, before } = request
    const place = request.at ?? (before === undefined ? segment.index.placeFor(request.from) : undefined)
    this.#walker = new RecordWalker(this.#window, place?.position ?? 0, place?.offset ?? segment.firstOffset, framingOf)
  }

  use(file: DurableFile): void {
    this.#window.file = file
  }

  get memory(): WindowMemory {
    return this.#window.memory
  }

  get place(): ReadingPlace {
    return { offset: this.#walker.nextOffset as number, position: this.#walker.position, salt: '', previous: 0 }
  }

  get end(): SegmentEnd {
    return { nextOffset: this.#walker.nextOffset as number, previous: 0 }
  }

  nextLoaded(): undefined {
    return undefined
  }

  *next(): Steps<RecordRun | undefined> {
    const { segment, before, from, last, newest } = this.#request
    if (before !== undefined && this.#walker.position === 0 && segment.firstOffset !== before.nextOffset) {
      throw segment.firstOffset > before.nextOffset
        ? missing(segment, before.nextOffset)
        : damage(segment, 0, segment.firstOffset, `it begins at offset ${segment.firstOffset}, which the segment before it holds already`)
    }
    const walker = this.#walker
    const run = { firstOffset: walker.nextOffset as number, position: walker.position, lengths: [] as number[], ascii: false }
    for (;;) {
      if (run.lengths.length === 0) {
        if (segment.index.wants(walker.position)) segment.index.note({ offset: walker.nextOffset as number, position: walker.position, salt: '', previous: 0 })
        run.firstOffset = walker.nextOffset as number
        run.position = walker.position
      }
      // What the newest segment holds behind is not to be shown yet.
      const result = newest && (walker.nextOffset as number) > last ? ({ found: 'end' } as const) : walker.step()
      if (result.found === 'record') {
        if ((walker.nextOffset as number) <= from) continue
        run.lengths.push(result.record.length)
        if (run.lengths.length < recordsPerRun) continue
      }
      if (result.found !== 'record' && result.found !== 'more') this.#assertOffsetsFit(run, result)
      if (run.lengths.length > 0) return { ...run, bytes: this.#window.bytes, at: this.#window.indexOf(run.position) }
      if (result.found === 'more') {
        yield* this.#window.load(walker.position, Math.max(result.bytes, recordHeaderBytes))
        if (this.#window.available(walker.position) < result.bytes) throw damage(segment, walker.position, walker.nextOffset, 'the file became shorter while it was read')
        continue
      }
      if (result.found === 'end') return undefined
      if (result.found === 'nothing') throw damage(segment, walker.position, walker.nextOffset, result.why)
    }
  }

  /**
   * The offset of a segment's first record says where the segment begins, and no CRC covers it: what follows must fit it
   * before the record is handed out, be it the next record or the beginning of the next segment.
   */
  #assertOffsetsFit(run: { readonly position: number; readonly lengths: readonly number[] }, stopped: { readonly found: 'end' } | Extract<RecordResult, { found: 'nothing' }>): void {
    if (run.position !== 0 || run.lengths.length !== 1) return
    const { segment, last, newest } = this.#request
    const { nextOffset } = this.#walker
    const fits = stopped.found === 'nothing' ? stopped.record === undefined : newest || nextOffset === last + 1
    if (fits) return
    const why = stopped.found === 'nothing' ? stopped.why : `its only entry has the offset ${(nextOffset as number) - 1}, and the next segment begins at ${last + 1}`
    throw damage(segment, this.#walker.position, nextOffset, why)
  }
}

/** Whether a file has nothing but zeros from a position on. */
export function* onlyZerosFrom(window: FileWindow, position: number): Steps<boolean> {
  return (yield* lastNonZero(window, position)) < position
}

/** The position of the last byte that is not zero, from a position on; one less than that position if all are. */
export function* lastNonZero(window: FileWindow, from: number): Steps<number> {
  let last = from - 1
  for (let position = from; window.left(position) > 0; ) {
    const bytes = yield* window.load(position, 1)
    if (bytes === 0) break
    const at = window.indexOf(position)
    for (let index = at + bytes - 1; index >= at; index--) {
      if (window.bytes[index] !== 0) {
        last = position + index - at
        break
      }
    }
    position += bytes
  }
  return last
}

export function damage(segment: { readonly path: string; readonly id: number }, position: number, offset: number | undefined, why: string): WalError {
  return new WalError(
    'ERR_WAL_CORRUPT',
    `${segment.path} is damaged at byte ${position}${offset === undefined ? '' : `, entry ${offset}`}: ${why}. ` +
      `Nothing was changed${remedyOf('ERR_WAL_CORRUPT')}`,
    { path: segment.path, segmentId: segment.id, position, ...(offset === undefined ? {} : { offset }) },
  )
}

export function missing(segment: { readonly path: string; readonly id: number }, offset: number): WalError {
  return new WalError(
    'ERR_WAL_SEGMENT_MISSING',
    `a segment is missing in front of ${segment.path}: entry ${offset} is in none. Nothing was changed${remedyOf('ERR_WAL_SEGMENT_MISSING')}`,
    { path: segment.path, segmentId: segment.id, offset },
  )
}
