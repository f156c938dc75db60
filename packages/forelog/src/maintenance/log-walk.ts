/**
 * Walks all that can be read of a log, oldest segment first: each segment's survey, and between two of them what must fit. Pulled, like
 * the survey of a segment.
 */
import type { EntryAdapter } from '../entries/entry.js'
import { systemCode, WalError } from '../errors.js'
import { DurableFile } from '../files/durable-file.js'
import { readControlFrame, segmentHeaderBytes } from '../format/control-record.js'
import type { ChainPosition } from '../format/group.js'
import { recordHeaderBytes } from '../format/record.js'
import type { LookRequest } from '../recovery/recovered-log.js'
import { defaultChunkBytes, FileWindow } from '../segments/file-window.js'
import type { Steps } from '../steps.js'
import { GroupSurvey } from './group-survey.js'
import { type Outline, type OutlinedEnd, type OutlinedSegment, unreadableFault } from './outline.js'
import { RecordSurvey } from './record-survey.js'
import type { Fault } from './report.js'
import type { Finding, FoundControl, FoundDamage, FoundEntries, SegmentSurvey } from './survey.js'

export type LogFinding =
  /** A segment begins; what comes next is of it. */
  | { readonly kind: 'segment'; readonly segment: OutlinedSegment }
  | FoundEntries
  | FoundControl
  /** Bytes that hold no entry of the log. */
  | { readonly kind: 'zeros' | 'torn' | 'dead' | 'unread' | 'damage'; readonly position: number; readonly bytes: number }
  | { readonly kind: 'fault'; readonly fault: Fault; /** Whether its bytes belong on the map. */ readonly mapped: boolean }
  | { readonly kind: 'end' }

interface Before {
  readonly segment: OutlinedSegment
  readonly nextOffset: number
  /** CRC field of its last control record; undefined: not known, because of damage. */
  readonly previous: number | undefined
  /** Damage runs to its end, so what it held behind is not known. */
  readonly openEnd: boolean
}

export class LogWalk {
  readonly #request: LookRequest
  readonly #adapter: EntryAdapter
  readonly #outline: Outline
  readonly #live: readonly OutlinedSegment[]
  readonly #end: OutlinedEnd | undefined
  /** Somebody writes: a tail that fails is being written. */
  readonly #writing: boolean
  #index: number
  #file: DurableFile | undefined
  #window: FileWindow | undefined
  #survey: SegmentSurvey | undefined
  /** Walks what stands at and behind T. */
  #tail: SegmentSurvey | undefined
  #before: Before | undefined
  #lastControl: FoundControl | undefined
  #endsWithClose = false
  #openEnd = false
  #hasFault = false
  #queue: LogFinding[] = []
  #wholeEntriesBehind = 0

  /** @param from begins with the segment that holds this entry */
  constructor(request: LookRequest, adapter: EntryAdapter, outline: Outline, writing: boolean, from = 0) {
    this.#request = request
    this.#adapter = adapter
    this.#outline = outline
    this.#writing = writing
    this.#live = outline.segments.filter(({ state }) => state === 'live')
    this.#end = outline.end
    const index = this.#live.findLastIndex(({ firstOffset }) => firstOffset <= from)
    this.#index = Math.max(0, index) - 1
  }

  /** Whole entries among what opening would cut off; known once the walk is over. */
  get wholeEntriesBehind(): number {
    return this.#wholeEntriesBehind
  }

  *next(): Steps<LogFinding> {
    for (;;) {
      const queued = this.#queue.shift()
      if (queued !== undefined) return queued
      const segment = this.#segment
      if (this.#file === undefined || segment === undefined) {
        this.#index++
        if (this.#segment === undefined) return { kind: 'end' }
        yield* this.#begin(this.#segment)
        continue
      }
      try {
        if (this.#tail !== undefined) yield* this.#walkTail(this.#tail)
        else if (this.#survey !== undefined) {
          const finding = yield* this.#survey.next()
          if (finding.kind !== 'end') return this.#told(segment, finding)
          yield* this.#endSegment(segment)
        } else yield* this.#leave(segment, true)
      } catch (error) {
        if (!(error instanceof WalError) || error.code !== 'ERR_WAL_READ_FAILED') throw error
        yield* this.#unreadable(segment, error)
      }
    }
  }

  /** Closes what is open; to be called by who stops early. */
  *close(): Steps<void> {
    const file = this.#file
    this.#file = undefined
    if (file !== undefined) yield* file.close()
  }

  get #segment(): OutlinedSegment | undefined {
    return this.#live[this.#index]
  }

  get #isNewest(): boolean {
    return this.#index === this.#live.length - 1
  }

  /** The last offset of the segment that is part of the log. */
  get #last(): number {
    const next = this.#live[this.#index + 1]
    return next === undefined ? Number.MAX_SAFE_INTEGER : next.firstOffset - 1
  }

  get #isCut(): boolean {
    const next = this.#live[this.#index + 1]
    // Where the header is broken it may have been a cut, and its name says where: what stands behind that may be dead.
    return this.#outline.format === 2 && next !== undefined && (next.header === undefined || next.header.cut)
  }

  *#begin(segment: OutlinedSegment): Steps<void> {
    this.#survey = undefined
    this.#tail = undefined
    this.#lastControl = undefined
    this.#endsWithClose = false
    this.#openEnd = false
    this.#hasFault = false
    this.#queue.push({ kind: 'segment', segment })
    try {
      this.#file = yield* DurableFile.open(this.#request.fileSystem, segment.path, { access: 'read' })
    } catch (error) {
      if (!(error instanceof WalError)) throw error
      // Beside a writer that truncates the log in front, a segment may go while it is looked at.
      if (!this.#writing || systemCode(error.cause) !== 'ENOENT') yield* this.#unreadable(segment, error)
      return
    }
    const bytes = this.#isNewest && this.#end !== undefined ? this.#end.position : segment.fileBytes
    this.#window = this.#windowOver(this.#file, bytes)
    if (this.#outline.format === 1) {
      if (this.#adapter.unfitForFormat1 !== undefined) {
        this.#queue.push({ kind: 'unread', position: 0, bytes: segment.fileBytes })
        return
      }
      this.#checkJoint(segment)
      const nextOffset = this.#before !== undefined && !this.#before.openEnd ? this.#before.nextOffset : segment.firstOffset
      this.#survey = new RecordSurvey(this.#window, 0, segment.id === 1 ? 1 : nextOffset, (type) => this.#adapter.framing(type))
      return
    }
    try {
      const start = segment.start ?? (yield* this.#startBehindHeader(segment))
      const header = Math.min(segmentHeaderBytes, segment.fileBytes)
      if (segment.start === undefined || segment.broken !== undefined) this.#queue.push({ kind: 'damage', position: 0, bytes: header })
      else this.#queue.push({ kind: 'control', position: 0, bytes: header, content: { kind: 'skipped' }, crc: segment.start.previous })
      this.#checkJoint(segment)
      if (start !== undefined) this.#survey = new GroupSurvey(this.#window, segmentHeaderBytes, start)
      else if (header < segment.fileBytes) this.#queue.push({ kind: 'unread', position: header, bytes: segment.fileBytes - header })
    } catch (error) {
      if (!(error instanceof WalError) || error.code !== 'ERR_WAL_READ_FAILED') throw error
      yield* this.#unreadable(segment, error)
    }
  }

  /** In the memory of the window before it: one of its own for each segment is a GiB of garbage in a thousand, of which the collector hears late. */
  #windowOver(file: DurableFile, bytes: number): FileWindow {
    return new FileWindow(file, bytes, defaultChunkBytes, this.#window?.memory)
  }

  /** Where a header is broken, the record behind it says what continues it: its salt and its chain. */
  *#startBehindHeader(segment: OutlinedSegment): Steps<ChainPosition | undefined> {
    const window = this.#window as FileWindow
    for (let wanted = segmentHeaderBytes + 64; ; ) {
      const loaded = yield* window.load(segmentHeaderBytes, wanted)
      const framed = readControlFrame(window.bytes, window.indexOf(segmentHeaderBytes), loaded, window.left(segmentHeaderBytes))
      if (framed.found === 'frame') return { nextOffset: segment.firstOffset, salt: framed.frame.salt, previous: framed.frame.previous }
      if (framed.found === 'nothing' || framed.bytes <= loaded || framed.bytes > window.fileBytes) return undefined
      wanted = framed.bytes
    }
  }

  /** Whether a segment continues the one before it. */
  #checkJoint(segment: OutlinedSegment): void {
    const before = this.#before
    // Behind a broken header nobody knows whether it is a cut.
    if (before === undefined || segment.header?.cut === true || (this.#outline.format === 2 && segment.header === undefined)) return
    const { firstOffset } = segment
    if (firstOffset > before.nextOffset && !before.openEnd && segment.gapBefore !== true) {
      this.#fault(segment, {
        kind: 'missing',
        position: 0,
        bytes: 0,
        firstOffset: before.nextOffset,
        lastOffset: firstOffset - 1,
        why: `it begins at entry ${firstOffset}, and ${before.segment.name} in front of it ends before entry ${before.nextOffset}`,
        meaning: `${entriesFrom(before.nextOffset, firstOffset - 1)} missing.`,
      })
    } else if (firstOffset < before.nextOffset) {
      this.#fault(segment, {
        kind: 'chain',
        position: 0,
        bytes: 0,
        firstOffset,
        lastOffset: before.nextOffset - 1,
        why: `it begins at entry ${firstOffset}, which ${before.segment.name} in front of it holds already`,
        meaning: `${entriesFrom(firstOffset, before.nextOffset - 1)} there twice: which are right can't be told.`,
      })
    } else if (before.previous !== undefined && segment.previous !== undefined && segment.gapBefore !== true && segment.previous !== before.previous) {
      this.#fault(segment, {
        kind: 'chain',
        position: 0,
        bytes: 0,
        firstOffset,
        why: `it does not continue ${before.segment.name}: its header names another last record`,
        meaning: 'One of the two files is not the one that was written: restored from an older copy, perhaps.',
      })
    }
  }

  #told(segment: OutlinedSegment, finding: Exclude<Finding, { kind: 'end' }>): LogFinding {
    if (finding.kind === 'damage') return this.#damaged(segment, finding)
    if (finding.kind === 'zeros') {
      if (!this.#isNewest && !this.#endsWithClose) this.#openEnd = true
      return finding
    }
    this.#endsWithClose = finding.kind === 'control' && finding.content.kind === 'close'
    if (finding.kind === 'control') this.#lastControl = finding
    // Behind a cut stands what it cut off.
    return finding.kind === 'entries' && this.#isCut && finding.firstOffset + finding.lengths.length - 1 > this.#last ? this.#clipped(finding) : finding
  }

  /** Of entries that reach behind a cut, those in front of it; the rest is dead. */
  #clipped(finding: FoundEntries): LogFinding {
    const { position, bytes, firstOffset, controlBytes } = finding
    const lengths = Array.from(finding.lengths).slice(0, Math.max(0, this.#last - firstOffset + 1))
    if (lengths.length === 0) return { kind: 'dead', position, bytes }
    const live = controlBytes + lengths.reduce((sum, length) => sum + recordHeaderBytes + length, 0)
    this.#queue.push({ kind: 'dead', position: position + live, bytes: bytes - live })
    return { ...finding, bytes: live, lengths }
  }

  #damaged(segment: OutlinedSegment, damage: FoundDamage): LogFinding {
    this.#endsWithClose = false
    this.#lastControl = undefined
    this.#openEnd = damage.nextOffset === undefined
    const isUnwanted = damage.passable && damage.nextOffset !== undefined && damage.nextOffset <= this.#outline.firstOffset
    if (isUnwanted || (this.#isCut && damage.firstOffset > this.#last)) return { kind: 'dead', position: damage.position, bytes: damage.bytes }
    return { kind: 'fault', fault: this.#faultOfDamage(segment, damage), mapped: true }
  }

  #faultOfDamage(segment: OutlinedSegment, damage: FoundDamage, why = damage.why): Fault {
    const { position, bytes, firstOffset, nextOffset, bit, unsupported } = damage
    const lastOffset = nextOffset === undefined ? (this.#isNewest ? undefined : this.#last + 1) : Math.min(nextOffset, this.#last + 1)
    const isKnown = lastOffset !== undefined && lastOffset !== Number.MAX_SAFE_INTEGER
    this.#hasFault = true
    return {
      kind: unsupported ? 'unsupported' : 'record',
      path: segment.path,
      segmentId: segment.id,
      position,
      bytes,
      firstOffset,
      ...(isKnown ? { lastOffset: lastOffset - 1 } : {}),
      why,
      meaning: meaningOf(firstOffset, isKnown ? lastOffset - 1 : undefined, bit !== undefined, nextOffset !== undefined),
      ...(bit === undefined ? {} : { bit }),
    }
  }

  /** Behind the last record of a segment, or at T. */
  *#endSegment(segment: OutlinedSegment): Steps<void> {
    const survey = this.#survey as SegmentSurvey
    if (this.#isNewest) return yield* this.#endNewest(segment, survey)
    const isDeadEnd = this.#isCut && survey.nextOffset > this.#last
    if (this.#outline.format === 2 && !this.#endsWithClose && !this.#hasFault && !isDeadEnd) {
      this.#openEnd = true
      const next = this.#live[this.#index + 1]
      const lost = next !== undefined && next.firstOffset > survey.nextOffset ? `${entriesFrom(survey.nextOffset, next.firstOffset - 1)} missing.` : 'Every entry of it is there.'
      this.#fault(segment, { kind: 'end', position: survey.position, bytes: 0, firstOffset: survey.nextOffset, why: 'it ends without a close record: its end was cut off', meaning: lost })
      if (next !== undefined) this.#before = { segment, nextOffset: next.firstOffset, previous: undefined, openEnd: true }
      return yield* this.#leave(segment, false)
    }
    yield* this.#leave(segment, true)
  }

  *#endNewest(segment: OutlinedSegment, survey: SegmentSurvey): Steps<void> {
    const end = this.#end
    if (end === undefined) return yield* this.#leave(segment, false)
    const { decision, position, tailBytes } = end
    const rest = segment.fileBytes - position
    if (decision.row === 'M' && tailBytes === 0) {
      this.#fault(segment, faultOfMissingEnd(end))
      this.#queue.push({ kind: 'zeros', position, bytes: rest })
      return yield* this.#leave(segment, false)
    }
    if (decision.action === 'resume' || (this.#writing && decision.action === 'cut')) {
      this.#queue.push({ kind: decision.action === 'resume' ? 'zeros' : 'torn', position, bytes: rest })
      return yield* this.#leave(segment, false)
    }
    if (decision.action === 'cut') {
      this.#queue.push({ kind: 'torn', position, bytes: tailBytes }, { kind: 'zeros', position: position + tailBytes, bytes: rest - tailBytes })
    }
    this.#window = this.#windowOver(this.#file as DurableFile, segment.fileBytes)
    this.#tail =
      end.expected !== undefined
        ? new GroupSurvey(this.#window, position, end.expected)
        : new RecordSurvey(this.#window, position, survey.nextOffset, (type) => this.#adapter.framing(type))
  }

  /** What stands at and behind T: counted where it would be cut off, told as damage where opening refuses. */
  *#walkTail(tail: SegmentSurvey): Steps<void> {
    const segment = this.#segment as OutlinedSegment
    const { decision } = this.#end as OutlinedEnd
    const finding = yield* tail.next()
    if (finding.kind === 'end') return yield* this.#leave(segment, false)
    if (decision.action !== 'refuse') {
      if (finding.kind === 'entries') this.#wholeEntriesBehind += finding.lengths.length
      return
    }
    if (finding.kind === 'damage') {
      const why = finding.position === (this.#end as OutlinedEnd).position ? decision.why : finding.why
      this.#queue.push({ kind: 'fault', fault: this.#faultOfDamage(segment, finding, why), mapped: true })
    } else this.#queue.push(finding)
  }

  *#unreadable(segment: OutlinedSegment, error: WalError): Steps<void> {
    const position = error.position ?? this.#survey?.position ?? 0
    const next = this.#live[this.#index + 1]
    const firstOffset = this.#survey?.nextOffset ?? segment.firstOffset
    this.#openEnd = true
    if (segment.unreadable !== true) {
      const lastOffset = next === undefined ? undefined : next.firstOffset - 1
      this.#fault(segment, unreadableFault(segment.path, segment.id, error, { position, bytes: Math.max(0, segment.fileBytes - position), firstOffset, lastOffset }))
    }
    this.#queue.push({ kind: 'unread', position, bytes: Math.max(0, segment.fileBytes - position) })
    yield* this.#leave(segment, false)
  }

  /** @param chained whether its last control record is known, for the next segment to continue */
  *#leave(segment: OutlinedSegment, chained: boolean): Steps<void> {
    const survey = this.#survey
    if (this.#before?.segment !== segment) {
      const previous = chained && this.#endsWithClose ? this.#lastControl?.crc : undefined
      this.#before = { segment, nextOffset: survey?.nextOffset ?? segment.firstOffset, previous, openEnd: this.#openEnd || survey === undefined }
    }
    this.#survey = undefined
    this.#tail = undefined
    yield* this.close()
  }

  #fault(segment: OutlinedSegment, fault: Omit<Fault, 'path' | 'segmentId'>): void {
    this.#hasFault = true
    this.#queue.push({ kind: 'fault', fault: { path: segment.path, segmentId: segment.id, ...fault }, mapped: false })
  }
}

/** Nothing is wrong with what is there, but cursors prove that there was more. */
export function faultOfMissingEnd({ decision, position, nextOffset, provenOffset }: OutlinedEnd): Omit<Fault, 'path' | 'segmentId'> {
  const lastOffset = provenOffset ?? nextOffset
  return {
    kind: 'end',
    position,
    bytes: 0,
    firstOffset: nextOffset,
    lastOffset,
    why: decision.action === 'refuse' ? decision.why : '',
    meaning: `${entriesFrom(nextOffset, lastOffset)} missing, at least. The log does not open until they are put back, or the cursors are pulled back by a repair.`,
  }
}

/** `Entry 5 is`, `Entries 5 to 9 are`. */
export function entriesFrom(first: number, last: number): string {
  return first === last ? `Entry ${first} is` : `Entries ${first} to ${last} are`
}

function meaningOf(first: number, last: number | undefined, mendable: boolean, goesOn: boolean): string {
  const range = last !== undefined && last < first ? undefined : last === undefined ? `Entry ${first} and those behind it in this file can't be read` : first === last ? `Entry ${first} can't be read` : `Entries ${first} to ${last} can't be read`
  if (mendable) return `${range ?? 'No entry is lost, but the log can not be read past this place'}: one flipped bit explains it, and mending it loses nothing.`
  if (range === undefined) return 'No entry is lost, but the log can not be read past this place.'
  return goesOn ? `${range}; those behind can.` : `${range}.`
}
