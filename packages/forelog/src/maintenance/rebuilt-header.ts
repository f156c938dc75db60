/**
 * The header of a segment whose first bytes are rubbish. What it was is told by the records around it, each of which has a CRC of its own:
 *
 *     salt, the header's CRC                     the record behind it names both
 *     segment id, first offset                   the name of the file; where that record is a commit, it has the offset, too
 *     log id                                     the other segments
 *     previous segment id, previous, cut         the segment in front, walked to its close record: it ends where this one begins, or, where
 *                                                this one is a cut, it holds the entry in front of that
 *     low-water mark                             the newest one in the segment in front, or its header's; or where the oldest segment begins; for a cut
 *                                                that of the segment behind, too
 *     created                                    nobody else: see below
 *
 * A field that nobody tells may still be there, and so may all of them: what is put together with it is the header if its CRC is the one that
 * the next record names, which other bytes have once in 2^32 tries, and there are some ten. Where the time of creation is gone, too, but
 * everything else is told, it is what makes that CRC: of the moments between the creation of the segment in front and that of the segment
 * behind, hardly ever more than one does. What can be put together in two ways is not believed.
 */
import { join } from 'node:path'
import { WalError } from '../errors.js'
import { DurableFile } from '../files/durable-file.js'
import { crc32, fourBytesFor } from '../format/checksum.js'
import { ControlChain, type ControlContent, type ControlFrame, fromHex, hex, readControlContent, readControlFrame, readSegmentHeader, type SegmentHeader, segmentHeaderAsItStands, segmentHeaderBytes } from '../format/control-record.js'
import { lowHalf, readU32, recordHeaderBytes } from '../format/record.js'
import type { ReadSegment } from '../recovery/recover-format2.js'
import type { LookRequest } from '../recovery/recovered-log.js'
import { FileWindow } from '../segments/file-window.js'
import { GroupWalker } from '../segments/group-walker.js'
import type { Steps } from '../steps.js'

/** What a segment follows, by the segment in front of it. */
export interface Origin {
  readonly previousSegmentId: number
  /** CRC field of its last control record. */
  readonly previous: number
  readonly lowWaterMark: number
  /** When it was created itself; undefined: that is not known. */
  readonly createdMs: number | undefined
  readonly cut: boolean
}

export interface HeaderEvidence {
  /** The first record as it stands there, and the one behind it. */
  readonly damaged: Uint8Array
  readonly next: Pick<ControlFrame, 'salt' | 'previous'>
  readonly segmentId: number
  readonly firstOffset: number
  /** Undefined: no other segment says it. */
  readonly logId: string | undefined
  readonly origins: readonly Origin[]
  /** When the segment had been created at the latest. */
  readonly createdUpTo: number
}

/** The header's bytes; undefined: nothing proves what they were. */
export function rebuildHeader(evidence: HeaderEvidence): Uint8Array | undefined {
  const kept = segmentHeaderAsItStands(evidence.damaged)
  const checked = new Set<string>()
  const solved = new Set<string>()
  for (const origin of [...evidence.origins, kept]) {
    for (const lowWaterMark of new Set([origin.lowWaterMark, kept.lowWaterMark])) {
      const { createdMs } = kept
      const record = headerOf(evidence, { ...origin, lowWaterMark, logId: evidence.logId ?? kept.logId, createdMs })
      if (record !== undefined) checked.add(hex(record, 0, record.length))
    }
  }
  for (const origin of evidence.origins) {
    for (const record of withTimeOfCreation(evidence, origin)) solved.add(hex(record, 0, record.length))
  }
  const [found, ...others] = checked.size > 0 ? checked : solved
  return found === undefined || others.length > 0 ? undefined : fromHex(found)
}

type Told = Omit<Origin, 'createdMs'> & { readonly logId: string; readonly createdMs: number }

/** Undefined: it is not what the next record follows. */
function headerOf(evidence: HeaderEvidence, told: Told): Uint8Array | undefined {
  const record = recordOf(evidence, told)
  if (readU32(record, 5) !== evidence.next.previous) return undefined
  return readSegmentHeader(record, record.length).found === 'header' ? record : undefined
}

function recordOf({ next, segmentId, firstOffset }: HeaderEvidence, { previous, ...told }: Told): Uint8Array {
  const header: Omit<SegmentHeader, 'kind'> = { ...told, segmentId, firstOffset }
  return new ControlChain(fromHex(next.salt), previous).segmentHeader(header)
}

const halfOf64 = 0x1_0000_0000

/** It is the last field: whatever stands in front of its lower half, just one lower half makes the CRC. */
function* withTimeOfCreation(evidence: HeaderEvidence, origin: Origin): Generator<Uint8Array> {
  const { logId, createdUpTo, next } = evidence
  const { createdMs: from } = origin
  if (logId === undefined || from === undefined || createdUpTo - from >= halfOf64) return
  for (let upper = Math.floor(from / halfOf64); upper * halfOf64 <= createdUpTo; upper++) {
    const record = recordOf(evidence, { ...origin, logId, createdMs: upper * halfOf64 })
    const createdMs = upper * halfOf64 + fourBytesFor(crc32(record, recordHeaderBytes, record.length - 4), next.previous)
    if (createdMs < from || createdMs > createdUpTo) continue
    const rebuilt = headerOf(evidence, { ...origin, logId, createdMs })
    if (rebuilt !== undefined) yield rebuilt
  }
}

export interface RubbishHeader {
  readonly segment: ReadSegment
  /** The beginning of its file. */
  readonly bytes: Uint8Array
  readonly logId: string | undefined
  /** Segments of the log with a smaller id whose headers hold, oldest first. */
  readonly older: readonly ReadSegment[]
  /** The next one with a larger id. */
  readonly newer: ReadSegment | undefined
}

/** The header that the records around it prove; undefined: they don't. */
export function* provenHeader(request: LookRequest, { segment, bytes, logId, older, newer }: RubbishHeader): Steps<Uint8Array | undefined> {
  const { id, firstOffset } = segment.found
  const next = readControlFrame(bytes, segmentHeaderBytes, bytes.length - segmentHeaderBytes, segment.fileBytes - segmentHeaderBytes)
  if (next.found !== 'frame' || !follows(bytes, next.frame, firstOffset)) return undefined
  const behind = newer?.result.found === 'header' ? newer.result.header : undefined
  return rebuildHeader({
    damaged: bytes.subarray(0, segmentHeaderBytes),
    next: next.frame,
    segmentId: id,
    firstOffset,
    logId,
    origins: id === 1 ? [{ previousSegmentId: 0, previous: 0, lowWaterMark: firstOffset, createdMs: undefined, cut: false }] : yield* originsOf(request, older, firstOffset, behind?.lowWaterMark),
    createdUpTo: behind?.createdMs ?? Date.now(),
  })
}

function follows(bytes: Uint8Array, frame: ControlFrame, firstOffset: number): boolean {
  const read = readControlContent(bytes, segmentHeaderBytes, frame)
  if (read.found !== 'content' || frame.lowOffset !== lowHalf(firstOffset)) return false
  return read.content.kind !== 'commit' || read.content.firstOffset === firstOffset
}

function* originsOf(request: LookRequest, older: readonly ReadSegment[], firstOffset: number, markBehind: number | undefined): Steps<Origin[]> {
  // One without an entry begins where the next one does, and holds no entry in front of a cut.
  const inFront = older.findLast(({ found }) => found.firstOffset <= firstOffset)
  const holder = older.findLast(({ found }) => found.firstOffset < firstOffset)
  const origins: Origin[] = []
  for (const each of new Set([inFront, holder])) {
    const end = each && (yield* walkToClose(request, each))
    if (end === undefined) continue
    const { nextOffset, ...origin } = end
    // In front of segments that a full disk had emptied no mark may stand in the log, and later headers name where it began behind them.
    const begin = Math.max(origin.lowWaterMark, older[0]?.found.firstOffset ?? 0)
    if (each === inFront && nextOffset === firstOffset) for (const lowWaterMark of new Set([origin.lowWaterMark, begin])) origins.push({ ...origin, lowWaterMark, cut: false })
    if (each !== holder || nextOffset < firstOffset) continue
    // The newest mark may have stood in what was cut off: then the next header is the only other one to have it.
    for (const lowWaterMark of new Set([origin.lowWaterMark, begin, markBehind ?? begin])) origins.push({ ...origin, lowWaterMark, cut: true })
  }
  return origins
}

/** Undefined: it doesn't end with a close record, or can't be read. */
function* walkToClose({ fileSystem, directory }: LookRequest, { found, result, fileBytes }: ReadSegment): Steps<(Omit<Origin, 'cut'> & { readonly nextOffset: number }) | undefined> {
  if (result.found !== 'header') return undefined
  const { header, frame } = result
  let file: DurableFile | undefined
  try {
    file = yield* DurableFile.open(fileSystem, join(directory, found.name), { access: 'read' })
    const walker = new GroupWalker(new FileWindow(file, fileBytes), segmentHeaderBytes, { nextOffset: header.firstOffset, salt: frame.salt, previous: frame.crc })
    let { lowWaterMark } = header
    let last: ControlContent | undefined
    for (;;) {
      const step = yield* walker.next(false)
      if (step.found !== 'group') {
        if (step.found !== 'end' || last?.kind !== 'close') return undefined
        const { nextOffset, previous } = walker.expected
        return { previousSegmentId: found.id, previous, lowWaterMark, createdMs: header.createdMs, nextOffset }
      }
      last = step.group.content
      if (last.kind === 'lowWaterMark') lowWaterMark = last.firstWanted
    }
  } catch (error) {
    if (error instanceof WalError) return undefined
    throw error
  } finally {
    if (file !== undefined) yield* file.close()
  }
}
