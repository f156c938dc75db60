/**
 * Opens a log of format 2: looks, decides (decide.ts), and only then changes anything.
 */
import { join } from 'node:path'
import { remedyOf, WalError } from '../errors.js'
import { DurableFile } from '../files/durable-file.js'
import { nodeFileSystem } from '../files/node-file-system.js'
import { closeBytes, ControlChain, type ControlFrame, fromHex, readSegmentHeader, segmentHeaderBytes, SegmentHeaderReader, type HeaderResult, type SegmentHeader } from '../format/control-record.js'
import { readGroup } from '../format/group.js'
import { BriefReads } from '../segments/brief-reads.js'
import { FileWindow } from '../segments/file-window.js'
import { type DirectoryNames, pathIn, type SegmentName } from '../segments/segment-name.js'
import { makeSegment } from '../segments/segment-set.js'
import { brieflyTogether, type Steps, together } from '../steps.js'
import { decideEnd, decideSegments, type FoundSegment, type SegmentsDecision } from './decide.js'
import { examineNewest, type Walked } from './examine-newest.js'
import { type LookRequest, mend, type RecoveredLog, type RecoveryRequest, refusal, rewriteVerified } from './recovered-log.js'

/** Pieces that stay in the processor's own memory while they are worked on (`npm run bench -- --only 8`). */
const walkedChunkBytes = 256 * 1024

export interface ReadSegment {
  readonly found: FoundSegment
  readonly fileBytes: number
  readonly result: HeaderResult
}

export function* recoverFormat2(request: RecoveryRequest, names: DirectoryNames): Steps<RecoveredLog> {
  const { directory } = request
  // Others than that of the machine may take their time for a call, or count them.
  const isNode = request.fileSystem === nodeFileSystem
  const read = ({ name, id, firstOffset }: SegmentName): Steps<ReadSegment> => readHeader(request, name, id, firstOffset as number)
  const segments = yield* isNode ? brieflyTogether(names.segments, read, headersAtOnce(request)) : together(names.segments, read)
  const newest = segments.at(-1) as ReadSegment
  const { name, id } = newest.found
  const path = join(directory, name)
  if (newest.result.found === 'unsupported') {
    throw refusal({ row: 'K', action: 'refuse', code: 'ERR_WAL_FORMAT', why: `${newest.result.why}: open it with a later release of forelog` }, path, id, 0)
  }
  // Row H is told by the same function as row G: a header that is not whole leaves no chain to follow.
  if (newest.result.found !== 'header') throw refusalOfSegments(request, decideSegments(segments.map(({ found }) => found), 0))

  const { header, frame } = newest.result
  const file = yield* DurableFile.open(request.fileSystem, path, { access: 'read' })
  let examined
  let closeRecord: Uint8Array | undefined
  try {
    const window = new FileWindow(file, newest.fileBytes, walkedChunkBytes, [], true, isNode ? new BriefReads() : undefined)
    examined = yield* examineNewest(window, header, { nextOffset: header.firstOffset, salt: frame.salt, previous: frame.crc })
    if (examined.end.close !== undefined) closeRecord = yield* readCloseRecord(file, examined.end.position)
  } finally {
    yield* file.close()
  }
  const { end, failing, tailBytes } = examined
  const { nextOffset, salt, previous } = end.expected

  // Whether a torn tail may be cut is asked below, when it is known what others prove of it.
  const atOnce = decideEnd(failing, 'truncate')
  if (atOnce.action === 'refuse') throw refusal(atOnce, path, id, end.position, nextOffset)
  if (end.lowWaterMark > nextOffset) {
    // No crash leaves that: what stands in front of a mark was synced with it.
    const why = `entries from ${end.lowWaterMark} on are wanted, by its low-water mark, and the log ends at ${nextOffset - 1}`
    throw refusal({ row: 'D', action: 'refuse', code: 'ERR_WAL_CORRUPT', why }, path, id, end.position, nextOffset)
  }
  const ofSegments = decideSegments(segments.map(({ found }) => found), Math.max(end.lowWaterMark, request.wantedFrom ?? 0))
  if (ofSegments.action === 'refuse') throw refusalOfSegments(request, ofSegments)
  const byName = new Map(segments.map((segment) => [segment.found.name, segment]))
  const liveSegments = ofSegments.live.map((liveName) => byName.get(liveName) as ReadSegment)
  const headers = { logId: header.logId, live: liveSegments.map(({ found }) => found), firstOffset: ofSegments.firstOffset }
  const beyondEnd = request.beyondEnd === undefined ? undefined : yield* request.beyondEnd(headers, nextOffset - 1)
  const decision = decideEnd(failing, request.mode, beyondEnd)
  if (decision.action === 'refuse') throw refusal(decision.row === 'M' ? { ...decision, why: `${decision.why}. ${remedyForMissingEnd}` } : decision, path, id, end.position, nextOffset)

  // Where no mark says so yet, an emptied file is all that tells where the log begins: it was emptied by a life that may have died
  // before the sync of that, and what this opening shows must not come back.
  const dead = new Set(ofSegments.dead)
  for (const { found } of segments) {
    if (found.header === 'empty' && !dead.has(found.name)) yield* syncEmptied(request, found.name)
  }
  const { file: writable, quarantined } = yield* mend(request, {
    name,
    end: end.position,
    fileBytes: newest.fileBytes,
    tailBytes,
    rewrite: end.close === undefined ? (file) => rewriteGroups(file, end, header, frame) : undefined,
    remove: [...ofSegments.dead, ...names.temporaries],
  })
  const live = liveSegments.map((segment) => {
    const bytes = segment === newest ? end.position : segment.fileBytes
    const createdMs = segment.result.found === 'header' ? segment.result.header.createdMs : undefined
    return makeSegment(directory, 2, segment.found.id, segment.found.firstOffset, bytes, createdMs)
  })
  return {
    format: 2,
    live,
    end: {
      file: writable,
      position: end.position,
      nextOffset,
      lowWaterMark: ofSegments.firstOffset,
      chain: new ControlChain(fromHex(salt), previous),
      logId: header.logId,
      unsettled: closeRecord,
      full: end.close !== undefined && !end.close.clean,
    },
    report: {
      clean: end.close?.clean === true && failing === undefined,
      tornBytes: tailBytes,
      ambiguous: decision.action === 'cut' && decision.ambiguous,
      quarantined,
      entriesExamined: end.entries,
      bytesExamined: examined.bytesExamined,
    },
  }
}

const remedyForMissingEnd =
  'Put the end of the log back, from a backup or a replica; or have `forelog repair --keep front` pull the cursors back, which says first what is lost by that'

/** Row I: every byte from the end of the last entry that is proven durable, or else from the start of the segment, up to T. */
function* rewriteGroups(file: DurableFile, end: Walked, header: SegmentHeader, frame: ControlFrame): Steps<void> {
  const start = { position: segmentHeaderBytes, expected: { nextOffset: header.firstOffset, salt: frame.salt, previous: frame.crc } }
  if (end.proven === undefined) {
    yield* rewriteVerified(file, 0, segmentHeaderBytes, (bytes, left) => {
      const result = readSegmentHeader(bytes, left)
      return result.found === 'header' && result.frame.crc === frame.crc ? { whole: segmentHeaderBytes } : { more: segmentHeaderBytes }
    })
  }
  let { expected } = end.proven ?? start
  yield* rewriteVerified(file, (end.proven ?? start).position, end.position, (bytes, left) => {
    let whole = 0
    for (;;) {
      const result = readGroup(bytes, whole, bytes.length - whole, left - whole, expected, true)
      if (result.found === 'more' && whole === 0) return { more: result.bytes }
      if (result.found !== 'group') return { whole }
      whole += result.group.bytes
      expected = result.group.next
    }
  })
}

/** What the name and the first record of a segment say. */
export function* readHeader(request: LookRequest, name: string, id: number, firstOffset: number): Steps<ReadSegment> {
  const file = yield* DurableFile.open(request.fileSystem, pathIn(request.directory, name), { access: 'read' })
  try {
    const fileBytes = yield* file.size()
    const bytes = new Uint8Array(Math.min(segmentHeaderBytes, fileBytes))
    const read = yield* file.read(bytes, 0)
    return segmentOf(name, id, firstOffset, fileBytes, readSegmentHeader(bytes.subarray(0, read), fileBytes))
  } finally {
    yield* file.close()
  }
}

/**
 * The same without a way round, where nothing is unusual: of thousands of segments the calls to the system alone should take their time. Undefined where
 * a call fails, or reads less than it could: `readHeader` says what is wrong.
 */
function headersAtOnce({ fileSystem, directory }: LookRequest): (segment: SegmentName) => ReadSegment | undefined {
  const options = { access: 'read' } as const
  const headers = new SegmentHeaderReader()
  return ({ name, id, firstOffset }) => {
    try {
      const file = fileSystem.openSync(pathIn(directory, name), options)
      let fileBytes: number
      let read: number
      try {
        fileBytes = file.sizeSync()
        read = file.readSync(headers.bytes, 0)
      } finally {
        file.closeSync()
      }
      return read === segmentHeaderBytes && read <= fileBytes ? segmentOf(name, id, firstOffset as number, fileBytes, headers.read(fileBytes)) : undefined
    } catch {
      return undefined
    }
  }
}

function segmentOf(name: string, id: number, firstOffset: number, fileBytes: number, result: HeaderResult): ReadSegment {
  const header = fileBytes === 0 ? 'empty' : result.found === 'header' ? result.header : { broken: result.why }
  return { found: { name, id, firstOffset, header }, fileBytes, result }
}

function* syncEmptied(request: RecoveryRequest, name: string): Steps<void> {
  const file = yield* DurableFile.open(request.fileSystem, join(request.directory, name), { access: 'write' })
  try {
    yield* file.sync()
  } finally {
    yield* file.close()
  }
}

/** The close record that ends at a position, as it stands in the file: the next write writes it again. */
function* readCloseRecord(file: DurableFile, end: number): Steps<Uint8Array> {
  const record = new Uint8Array(closeBytes)
  yield* file.read(record, end - closeBytes)
  return record
}

function refusalOfSegments(request: RecoveryRequest, decision: SegmentsDecision): WalError {
  if (decision.action !== 'refuse') throw new Error('a header that can not be read was not refused')
  const path = join(request.directory, decision.name)
  return new WalError(decision.code, `${path}: ${decision.why}. Nothing was changed${remedyOf(decision.code)}`, { path, segmentId: Number(decision.name.slice(0, 10)) })
}
