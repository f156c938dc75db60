/**
 * What a log is, as far as its names, its headers and its end tell: what opening looks at, without a refusal where it would refuse. The
 * decisions are those of recovery (recovery/decide.ts); here they are told, and everything that can be read is found all the same.
 */
import { basename, join } from 'node:path'
import { beyondEnd, type NamedCursor, type PlacedCursor, placeCursors, readCursors } from '../cursors/cursor-proof.js'
import type { EntryAdapter } from '../entries/entry.js'
import { reasonOf, remedyOf, systemCode, WalError } from '../errors.js'
import { DurableFile, listDirectory } from '../files/durable-file.js'
import type { FileSystem } from '../files/file-system.js'
import { type Close, hex, readControlFrame, readSegmentHeader, type SegmentHeader, segmentHeaderBytes } from '../format/control-record.js'
import type { ChainPosition } from '../format/group.js'
import type { Format } from '../format/record.js'
import { type Decision, decideEnd, decideEndOfFormat1, decideSegments, type FailingGroup, type FoundSegment } from '../recovery/decide.js'
import { examineNewest, type NewestSegment } from '../recovery/examine-newest.js'
import { assertInOrder, examine, type Found, look } from '../recovery/recover-format1.js'
import { type ReadSegment, readHeader } from '../recovery/recover-format2.js'
import type { LookRequest } from '../recovery/recovered-log.js'
import { FileWindow } from '../segments/file-window.js'
import { type DirectoryNames, segmentName, sortNames } from '../segments/segment-name.js'
import { pause, type Steps } from '../steps.js'
import { findMisnamed, type Misnamed } from './misnamed.js'
import { provenHeader } from './rebuilt-header.js'
import type { Fault } from './report.js'

export interface OutlinedSegment {
  readonly name: string
  readonly path: string
  readonly id: number
  readonly firstOffset: number
  readonly fileBytes: number
  readonly state: 'live' | 'dead' | 'stray'
  /** Format 2, where the file begins with a whole one, or with one that can be mended. */
  readonly header?: SegmentHeader
  /** What the record behind the header must fit. */
  readonly start?: ChainPosition
  /** What the header says of the segment before: CRC of its last control record. */
  readonly previous?: number
  /** Why there is no header, or only one that a repair would make. */
  readonly broken?: string
  /** The system does not let us read it, and the faults say so. */
  readonly unreadable?: boolean
  /** A segment, or entries, are missing in front of it. */
  readonly gapBefore?: boolean
}

/** Where the newest segment ends, and what opening would do there. */
export interface OutlinedEnd {
  /** T. */
  readonly position: number
  readonly nextOffset: number
  readonly decision: Decision
  readonly tailBytes: number
  /** Format 2: what the next record must fit. */
  readonly expected?: ChainPosition
  readonly close?: Close | undefined
  /** Format 1: whole records behind T. */
  readonly recordsBehind?: number
  /** Up to which entry a cursor beyond the end proves that there were entries, where one does. */
  readonly provenOffset?: number
}

export interface Outline {
  readonly directory: string
  readonly format: Format
  readonly names: DirectoryNames
  /** In the order of their ids. */
  readonly segments: readonly OutlinedSegment[]
  readonly logId?: string
  /** Where the log begins. */
  readonly firstOffset: number
  readonly lowWaterMark: number
  /** Undefined when the newest segment has no header, or (format 1) its end can't be found. */
  readonly end?: OutlinedEnd
  /** Files of this log whose name is not the one that their header says. */
  readonly misnamed: readonly Misnamed[]
  /** Those of this log that can be read. */
  readonly cursors: readonly PlacedCursor[]
  readonly faults: readonly Fault[]
}

/** How often a tail that fails is looked at before it is believed: beside a writer, and where nobody can tell whether there is one. */
const looksBesideWriter = 10
const looksWhereUnknown = 2
const betweenLooksMs = 20
/** What is read behind a broken header, to find what continues it. */
const headerNeighbourBytes = 64 * 1024

/**
 * @param held whether somebody holds the log's lock; undefined: that can't be told
 * @returns undefined when there is no segment
 */
export function* outlineLog(request: LookRequest, adapter: EntryAdapter, held: boolean | undefined): Steps<Outline | undefined> {
  for (let looks = 1; ; looks++) {
    try {
      return yield* outlineOnce(request, adapter, held)
    } catch (error) {
      // A writer removed a segment, perhaps the newest one of a moment ago, since its name was read: its log is looked at anew.
      const isGone = error instanceof WalError && systemCode(error.cause) === 'ENOENT'
      if (!isGone || held === false || looks === looksBesideWriter) throw error
    }
  }
}

function* outlineOnce(request: LookRequest, adapter: EntryAdapter, held: boolean | undefined): Steps<Outline | undefined> {
  // Before the log: beside a writer, what a cursor was committed at is in what is looked at afterwards.
  const cursors = yield* readCursors(request.fileSystem, request.directory)
  const names = sortNames(yield* listDirectory(request.fileSystem, request.directory))
  const faults: Fault[] = []
  for (const name of names.foreign) {
    faults.push(yield* strayFile(request, name, 'it is no segment of a log, though it is named like one', 'The log does not open while it is there. Move it elsewhere.'))
  }
  const format = names.segments.at(-1)?.format
  if (format === undefined) return undefined
  for (const other of names.segments.filter((segment) => segment.format !== format)) {
    const why = `it is a segment of format ${other.format}, and the newest one is of format ${format}`
    faults.push(yield* strayFile(request, other.name, why, 'A log has one format: it does not open while both are there. Move those of the other log elsewhere.'))
  }
  const ours = { ...names, segments: names.segments.filter((segment) => segment.format === format) }
  return format === 2 ? yield* outlineFormat2(request, ours, faults, held, cursors) : yield* outlineFormat1(request, ours, faults, adapter)
}

/** A file that belongs to no log, or to another one: all of its bytes. */
function* strayFile({ fileSystem, directory }: LookRequest, name: string, why: string, meaning: string): Steps<Fault> {
  const path = join(directory, name)
  return { kind: 'stray', path, position: 0, bytes: yield* sizeOf(fileSystem, path), why, meaning }
}

/** 0 for what can't be opened: no more is known of it than its name. */
function* sizeOf(fileSystem: FileSystem, path: string): Steps<number> {
  let file: DurableFile
  try {
    file = yield* DurableFile.open(fileSystem, path, { access: 'read' })
  } catch (error) {
    if (error instanceof WalError) return 0
    throw error
  }
  try {
    return yield* file.size()
  } finally {
    yield* file.close()
  }
}

function* outlineFormat2(
  request: LookRequest,
  names: DirectoryNames,
  faults: Fault[],
  held: boolean | undefined,
  cursors: readonly NamedCursor[],
): Steps<Outline | undefined> {
  const found: LookedAt[] = []
  for (const { name, id, firstOffset } of names.segments) {
    const segment = yield* readOrGone(request, name, id, firstOffset as number, held === true)
    if (segment !== undefined) found.push(segment)
  }
  if (found.length === 0) return undefined
  const mainId = mainLogId(found)
  const misnamed = yield* misnamedOf(request, names, found, mainId)
  tellMisnamed(faults, misnamed)
  // What a header says once it is mended is what everything else is to be looked at by.
  const read: LookedAt[] = []
  for (const segment of found) read.push(yield* mended(request, segment, found, mainId))
  const newest = newestOf(read, mainId)
  let end = yield* findEnd(request, newest)
  // A tail that fails beside a writer is being written, most likely: a reader looks again before it calls anything damage.
  const looksAtMost = held === true ? looksBesideWriter : held === undefined ? looksWhereUnknown : 1
  for (let looks = 1; looks < looksAtMost && newest.mend === undefined && end !== undefined && end.decision.action !== 'resume'; looks++) {
    yield* pause(betweenLooksMs)
    end = yield* findEnd(request, yield* readHeader(request, newest.found.name, newest.found.id, newest.found.firstOffset))
  }
  const markOf = ({ result }: LookedAt): number => (result.found === 'header' ? result.header.lowWaterMark : 0)
  const lowWaterMark = Math.max(end?.lowWaterMark ?? 0, markOf(newest), end === undefined ? Math.max(...read.map(markOf)) : 0)
  const traced = trace(request.directory, read, newest, mainId, lowWaterMark, misnamed)
  faults.push(...traced.faults)
  const decision = decideSegments(read.map(({ found }) => found), lowWaterMark)
  if (decision.action === 'refuse' && traced.faults.length === 0) {
    const path = join(request.directory, decision.name)
    faults.push({ kind: 'chain', path, position: 0, bytes: 0, why: decision.why, meaning: 'The log does not open.' })
  }
  const live = traced.segments.filter(({ state }) => state === 'live')
  const logId = live.findLast(({ header }) => header !== undefined)?.header?.logId
  const placed = logId === undefined ? [] : placeCursors(cursors, { logId, live, firstOffset: traced.firstOffset })
  // Whoever holds the lock has asked that itself.
  if (end !== undefined && held !== true) end = withCursors(end, placed)
  return {
    directory: request.directory,
    format: 2,
    names,
    segments: traced.segments,
    ...(logId === undefined ? {} : { logId }),
    firstOffset: traced.firstOffset,
    lowWaterMark,
    ...(end === undefined ? {} : { end }),
    misnamed,
    cursors: placed,
    faults,
  }
}

/** The end, by what cursors prove as well. */
function withCursors(end: FoundEnd, cursors: readonly PlacedCursor[]): FoundEnd {
  const beyond = beyondEnd(cursors, end.nextOffset - 1)
  if (beyond === undefined || end.decision.action === 'refuse') return end
  return { ...end, decision: decideEnd(end.failing, 'truncate', beyond.why), provenOffset: beyond.offset }
}

/** A segment's header; undefined when a writer has removed the file since its name was read. */
function* readOrGone(request: LookRequest, name: string, id: number, firstOffset: number, writing: boolean): Steps<LookedAt | undefined> {
  try {
    return yield* readHeader(request, name, id, firstOffset)
  } catch (error) {
    if (!(error instanceof WalError)) throw error
    if (systemCode(error.cause) === 'ENOENT') {
      if (writing || !(yield* listDirectory(request.fileSystem, request.directory)).includes(name)) return undefined
    }
    return {
      found: { name, id, firstOffset, header: { broken: reasonOf(error.cause ?? error) } },
      fileBytes: 0,
      result: { found: 'nothing', why: reasonOf(error.cause ?? error) },
      unreadable: error,
    }
  }
}

/**
 * The log that most segments are of; of two, that of the newest segment. Opening goes by the newest alone, and refuses; but one file that was copied in
 * must not make strangers of all the others.
 */
function mainLogId(read: readonly LookedAt[]): string | undefined {
  const counts = new Map<string, number>()
  for (const { result } of read) if (result.found === 'header') counts.set(result.header.logId, (counts.get(result.header.logId) ?? 0) + 1)
  const most = Math.max(...counts.values())
  return logIdOf(read.findLast(({ result }) => result.found === 'header' && counts.get(result.header.logId) === most))
}

function logIdOf(segment: LookedAt | undefined): string | undefined {
  return segment?.result.found === 'header' ? segment.result.header.logId : undefined
}

/** The newest segment that is none of another log, and no copy, under another name, of one that is there. */
function newestOf(read: readonly LookedAt[], logId: string | undefined): LookedAt {
  const isOutsider = (segment: LookedAt): boolean => logIdOf(segment) !== undefined && !fits(segment, logId) && (logIdOf(segment) !== logId || originalOf(segment, read) !== undefined)
  return read.findLast((segment) => !isOutsider(segment)) ?? (read.at(-1) as LookedAt)
}

/** The segment of which this one is a copy under another name. */
function originalOf({ result }: LookedAt, read: readonly LookedAt[]): LookedAt | undefined {
  if (result.found !== 'header') return undefined
  const { segmentId, firstOffset } = result.header
  return read.find((other) => other.result.found === 'header' && other.found.id === segmentId && other.found.firstOffset === firstOffset && other.result.frame.salt === result.frame.salt)
}

interface FoundEnd extends OutlinedEnd {
  readonly lowWaterMark: number
  readonly failing: FailingGroup | undefined
}

function* findEnd(request: LookRequest, newest: ReadSegment): Steps<FoundEnd | undefined> {
  if (newest.result.found !== 'header') return undefined
  const { header, frame } = newest.result
  const file = yield* DurableFile.open(request.fileSystem, join(request.directory, newest.found.name), { access: 'read' })
  let examined: NewestSegment
  try {
    examined = yield* examineNewest(new FileWindow(file, newest.fileBytes), header, { nextOffset: header.firstOffset, salt: frame.salt, previous: frame.crc })
  } finally {
    yield* file.close()
  }
  const { end, failing, tailBytes } = examined
  return {
    position: end.position,
    nextOffset: end.expected.nextOffset,
    decision: decideEnd(failing, 'truncate'),
    tailBytes,
    expected: end.expected,
    close: end.close,
    lowWaterMark: end.lowWaterMark,
    failing,
  }
}

/** A segment's beginning, or why the system does not let us read it. */
interface LookedAt extends ReadSegment {
  readonly unreadable?: WalError
  /** Its header is rubbish, but it is known what it was: `result` is that. */
  readonly mend?: Pick<Fault, 'bit' | 'header' | 'meaning'>
  readonly unmended?: ReadSegment
}

interface Traced {
  readonly segments: readonly OutlinedSegment[]
  readonly firstOffset: number
  readonly faults: readonly Fault[]
}

/**
 * Row G, told and not refused: the segments are followed from the newest back. Where one is missing, or its header is broken, the walk
 * goes on with the next older one of the log, so that what is left in front of it is looked at too.
 */
function trace(directory: string, read: readonly LookedAt[], newest: LookedAt, logId: string | undefined, lowWaterMark: number, misnamed: readonly Misnamed[]): Traced {
  const faults: Fault[] = []
  const live = new Map<LookedAt, { gapBefore: boolean }>()
  let segment: LookedAt | undefined = newest
  let firstLive = newest
  while (segment !== undefined) {
    const { found, result, unreadable }: LookedAt = segment
    const index = read.indexOf(segment)
    // Asked where the chain is broken alone: it looks through all that is older.
    const nextOlder = (): LookedAt | undefined => read.slice(0, index).findLast((other) => fits(other, logId) && other.found.firstOffset <= found.firstOffset && !live.has(other))
    if (found.header === 'empty' && segment !== newest) break
    const place = { gapBefore: false }
    live.set(segment, place)
    firstLive = segment
    if (unreadable !== undefined) {
      const following = [...live.keys()].at(-2)
      faults.unshift(unreadableFault(join(directory, found.name), found.id, unreadable, { position: 0, bytes: 0, firstOffset: found.firstOffset, lastOffset: following === undefined ? undefined : following.found.firstOffset - 1 }))
      segment = nextOlder()
      continue
    }
    if (result.found !== 'header') {
      const kind = result.found === 'unsupported' ? 'unsupported' : 'header'
      const why = found.header === 'empty' ? 'the file is empty, and it is the newest segment: no crash leaves that' : `its header can't be read: ${result.why}`
      faults.unshift(faultOf(directory, found, kind, why, 'The log does not open.'))
      segment = nextOlder()
      continue
    }
    const { header } = result
    if (segment.mend !== undefined) faults.unshift({ ...faultOf(directory, found, 'header', `its header can't be read: ${brokenBy(segment)}`, ''), ...segment.mend })
    if (header.segmentId !== found.id || header.firstOffset !== found.firstOffset) {
      faults.unshift(faultOf(directory, found, 'header', `its header is that of segment ${header.segmentId}, first offset ${header.firstOffset}`, `The file was renamed. Name it ${segmentName(2, header.segmentId, header.firstOffset)} again, and verify once more.`))
    }
    if (header.firstOffset <= lowWaterMark || (header.previousSegmentId === 0 && header.firstOffset === 1)) break
    const previous = read.slice(0, index).findLast((other) => other.found.id === header.previousSegmentId && (other.result.found !== 'header' || fits(other, logId)))
    if (previous === undefined) {
      place.gapBefore = true
      const why =
        header.previousSegmentId === 0
          ? `it names no segment in front of it, and entries from ${Math.max(1, lowWaterMark)} on are wanted`
          : `segment ${header.previousSegmentId}, which stands in front of it, ${whereIs(header.previousSegmentId, misnamed)}`
      const lastBefore = nextOlder()
      // Where the one before ends is known to who reads it.
      const firstMissing = Math.max(1, lowWaterMark)
      const meaning = lastBefore === undefined ? missingText(firstMissing, header.firstOffset - 1) : `Entries in front of ${header.firstOffset} are missing.`
      const fault = faultOf(directory, found, 'missing', why, meaning)
      faults.unshift({ ...fault, ...(lastBefore === undefined ? { firstOffset: firstMissing } : {}), lastOffset: header.firstOffset - 1 })
    }
    segment = previous ?? nextOlder()
  }
  const segments = read.map((each): OutlinedSegment => {
    const place = live.get(each)
    // Nothing is mended that is no part of the log.
    const { found, result, fileBytes } = place === undefined ? (each.unmended ?? each) : each
    const isStray = place === undefined && found.header !== 'empty' && !fits({ found, result }, logId)
    if (isStray) {
      const why =
        result.found !== 'header'
          ? `nothing refers to it, and its header can't be read: ${result.why}`
          : result.header.logId === logId
            ? `its header is that of segment ${result.header.segmentId}, first offset ${result.header.firstOffset}: ${copyText(originalOf(each, read))}`
            : `it belongs to another log, ${result.header.logId}`
      const wasRenamed = result.found === 'header' && result.header.logId === logId && originalOf(each, read) === undefined
      const meaning = wasRenamed
        ? nameAgain(segmentName(2, result.header.segmentId, result.header.firstOffset))
        : 'No entry of the log is in it, but the log does not open while it is there.'
      faults.push(faultOf(directory, found, 'stray', why, meaning))
    }
    return {
      name: found.name,
      path: join(directory, found.name),
      id: found.id,
      firstOffset: found.firstOffset,
      fileBytes,
      state: place !== undefined ? 'live' : isStray ? 'stray' : 'dead',
      ...(result.found === 'header'
        ? { header: result.header, start: { nextOffset: result.header.firstOffset, salt: result.frame.salt, previous: result.frame.crc }, previous: result.frame.previous }
        : {}),
      ...(result.found !== 'header' ? { broken: result.why } : each.mend === undefined ? {} : { broken: brokenBy(each) }),
      ...(place?.gapBefore === true ? { gapBefore: true } : {}),
      ...(each.unreadable === undefined ? {} : { unreadable: true }),
    }
  })
  const first = firstLive === newest && newest.result.found !== 'header' ? newest.found.firstOffset : firstLive.found.firstOffset
  return { segments, firstOffset: Math.max(lowWaterMark, first), faults }
}

/** Those of the log, and files with names that no segment has. */
function* misnamedOf(request: LookRequest, names: DirectoryNames, read: readonly LookedAt[], logId: string | undefined): Steps<Misnamed[]> {
  if (logId === undefined) return []
  const found: LookedAt[] = [...read]
  for (const name of names.foreign) {
    const segment = yield* readOrGone(request, name, 0, 0, false)
    if (segment !== undefined) found.push(segment)
  }
  const ofLog = found.flatMap(({ found: { name }, result }) => (result.found === 'header' && result.header.logId === logId ? [{ name, ...result.header }] : []))
  return findMisnamed(ofLog, [...names.segments.map(({ name }) => name), ...names.foreign])
}

/** A file with a name that no segment has is none, unless its header says that it is. */
function tellMisnamed(faults: Fault[], misnamed: readonly Misnamed[]): void {
  for (const [index, fault] of faults.entries()) {
    const found = misnamed.find(({ name }) => name === basename(fault.path))
    if (found !== undefined) faults[index] = { ...fault, why: `it is ${found.rightName} of this log, under another name`, meaning: nameAgain(found.rightName) }
  }
}

function nameAgain(rightName: string): string {
  return `The log does without its entries while it has this name. Name it ${rightName} again, which a repair does, too, and verify once more.`
}

function whereIs(segmentId: number, misnamed: readonly Misnamed[]): string {
  const found = misnamed.find(({ rightName }) => Number(rightName.slice(0, 10)) === segmentId)
  return found === undefined ? 'is missing' : `is missing under its name: ${found.name} is it`
}

/** A segment with its header as it was, where one flipped bit explains what it is, or the records around it prove that. */
function* mended(request: LookRequest, segment: LookedAt, read: readonly LookedAt[], logId: string | undefined): Steps<LookedAt> {
  if (segment.result.found !== 'nothing' || segment.unreadable !== undefined || segment.fileBytes < segmentHeaderBytes) return segment
  const file = yield* DurableFile.open(request.fileSystem, join(request.directory, segment.found.name), { access: 'read' })
  try {
    const bytes = new Uint8Array(Math.min(segment.fileBytes, segmentHeaderBytes + headerNeighbourBytes))
    const loaded = bytes.subarray(0, yield* file.read(bytes, 0))
    const as = (header: Uint8Array, mend: LookedAt['mend']): LookedAt => ({ ...segment, result: readSegmentHeader(header, segment.fileBytes), unmended: segment, ...(mend && { mend }) })
    const bit = flippedHeaderBit(loaded, segment.fileBytes, { ...segment.found, logId })
    if (bit !== undefined) return as(flipped(loaded.slice(0, segmentHeaderBytes), bit), { bit, meaning: 'One flipped bit explains it, and mending it loses nothing.' })
    const index = read.indexOf(segment)
    const ofLog = (other: LookedAt): boolean => other.result.found === 'header' && fits(other, logId)
    const header = yield* provenHeader(request, { segment, bytes: loaded, logId, older: read.slice(0, index).filter(ofLog), newer: read.slice(index + 1).find(ofLog) })
    if (header === undefined) return segment
    return as(header, { header: hex(header, 0, header.length), meaning: 'The records around it prove what it was, and writing it again loses nothing.' })
  } finally {
    yield* file.close()
  }
}

function brokenBy({ unmended }: LookedAt): string {
  return unmended?.result.found === 'header' ? '' : (unmended?.result.why ?? '')
}

function flipped(bytes: Uint8Array, { position, bit }: { readonly position: number; readonly bit: number }): Uint8Array {
  bytes[position] = (bytes[position] as number) ^ (1 << bit)
  return bytes
}

function flippedHeaderBit(
  bytes: Uint8Array,
  fileBytes: number,
  wanted: { readonly id: number; readonly firstOffset: number; readonly logId: string | undefined },
): { position: number; bit: number } | undefined {
  const next = readControlFrame(bytes, segmentHeaderBytes, bytes.length - segmentHeaderBytes, fileBytes - segmentHeaderBytes)
  for (let position = 0; position < segmentHeaderBytes; position++) {
    for (let bit = 0; bit < 8; bit++) {
      const before = bytes[position] as number
      bytes[position] = before ^ (1 << bit)
      const result = readSegmentHeader(bytes, fileBytes)
      bytes[position] = before
      if (result.found !== 'header' || result.header.segmentId !== wanted.id || result.header.firstOffset !== wanted.firstOffset) continue
      if (wanted.logId !== undefined && result.header.logId !== wanted.logId) continue
      if (next.found === 'frame' && (next.frame.salt !== result.frame.salt || next.frame.previous !== result.frame.crc)) continue
      return { position, bit }
    }
  }
  return undefined
}

/** `Entries 3 to 5 are missing.` */
export function missingText(first: number, last: number): string {
  return first === last ? `Entry ${first} is missing.` : `Entries ${first} to ${last} are missing.`
}

function copyText(original: LookedAt | undefined): string {
  return original === undefined ? 'it was renamed' : `it is a copy of ${original.found.name}`
}

/** A file that the system does not let us read: what to do depends on why. */
export function unreadableFault(
  path: string,
  segmentId: number,
  error: WalError,
  { position, bytes, firstOffset, lastOffset }: { readonly position: number; readonly bytes: number; readonly firstOffset: number; readonly lastOffset: number | undefined },
): Fault {
  const entries =
    lastOffset === undefined
      ? `Entry ${firstOffset} and those behind it are`
      : lastOffset <= firstOffset
        ? `Entry ${firstOffset} is`
        : `Entries ${firstOffset} to ${lastOffset} are`
  const code = systemCode(error.cause)
  const remedy = code === 'EACCES' || code === 'EPERM' ? 'look at its owner and mode, or run this as a user who may read it' : 'look at the disk, its cables and the kernel log first'
  return {
    kind: 'unreadable',
    path,
    segmentId,
    position,
    bytes,
    firstOffset,
    ...(lastOffset === undefined ? {} : { lastOffset }),
    why: reasonOf(error.cause ?? error),
    meaning: `${entries} out of reach while the file can't be read: ${remedy}.`,
  }
}

function fits({ found, result }: Pick<LookedAt, 'found' | 'result'>, logId: string | undefined): boolean {
  return found.header === 'empty' || (result.found === 'header' && result.header.logId === logId && result.header.segmentId === found.id && result.header.firstOffset === found.firstOffset) || (result.found !== 'header' && logId === undefined)
}

function faultOf(directory: string, found: FoundSegment, kind: Fault['kind'], why: string, meaning: string): Fault {
  return { kind, path: join(directory, found.name), segmentId: found.id, position: 0, bytes: kind === 'header' ? segmentHeaderBytes : 0, firstOffset: found.firstOffset, why, meaning }
}

function* outlineFormat1(request: LookRequest, names: DirectoryNames, faults: Fault[], adapter: EntryAdapter): Steps<Outline | undefined> {
  const found: Found[] = []
  for (const { name, id } of names.segments) found.push(yield* look(request, name, id))
  const newest = found.at(-1)
  if (newest === undefined) return undefined
  try {
    assertInOrder(found)
  } catch (error) {
    faults.push(faultFrom(error, found))
  }
  let end: OutlinedEnd | undefined
  if (adapter.unfitForFormat1 === undefined) {
    const file = yield* DurableFile.open(request.fileSystem, newest.path, { access: 'read' })
    try {
      const { position, nextOffset, failing, tailBytes } = yield* examine(request, file, found, (type) => adapter.framing(type))
      end = { position, nextOffset, decision: decideEndOfFormat1(failing, 'truncate'), tailBytes, ...(failing === undefined ? {} : { recordsBehind: failing.recordsBehind }) }
    } catch (error) {
      if (!(error instanceof WalError) || error.code === 'ERR_WAL_READ_FAILED') throw error
      if (faults.length === 0) faults.push(faultFrom(error, found))
    } finally {
      yield* file.close()
    }
  }
  const firsts = found.map((_, index) => found.slice(index).find(({ firstOffset }) => firstOffset !== undefined)?.firstOffset ?? end?.nextOffset ?? 1)
  return {
    directory: request.directory,
    format: 1,
    names,
    segments: found.map(({ name, path, id, fileBytes }, index) => ({ name, path, id, fileBytes, firstOffset: firsts[index] as number, state: 'live' })),
    firstOffset: firsts[0] as number,
    lowWaterMark: 0,
    ...(end === undefined ? {} : { end }),
    misnamed: [],
    cursors: [],
    faults,
  }
}

function faultFrom(error: unknown, found: readonly Found[]): Fault {
  if (!(error instanceof WalError)) throw error
  const { path, segmentId, position, offset, bit } = error
  const last = found.at(-1) as Found
  return {
    kind: error.code === 'ERR_WAL_SEGMENT_MISSING' ? 'missing' : 'header',
    path: path ?? last.path,
    ...(segmentId === undefined ? {} : { segmentId }),
    position: position ?? 0,
    bytes: 0,
    ...(offset === undefined ? {} : { firstOffset: offset }),
    why: error.message.replace(remedyOf(error.code), ''),
    meaning: 'The log does not open.',
    ...(bit === undefined || position === undefined ? {} : { bit: { position, bit } }),
  }
}
