/**
 * Opening a log: what was found, and what is to be done. No I/O: this file is the decision table of docs/FORMAT.md, and
 * where a torn tail is told from damage.
 *
 * T is the first byte of the newest segment that can't be read as the next record. What stands there decides:
 *
 *     A  no segment                                    a new log
 *     B  only zeros, or nothing                        the end of the log
 *     C  a group that fails, nothing vouches for it    torn: cut off, copied to quarantine first
 *     D  a group that fails, and a voucher behind it   acknowledged data is damaged: refused
 *     E  as C, but one flipped bit explains it         rot: refused; or it can't be decided: cut, and called ambiguous
 *     G  the segments don't follow from each other     refused
 *     H  the newest segment's header is not whole      refused
 *     I  the last record in front of T is no close     what is not proven durable is written again, before it is shown
 *     K  of a version, flag or kind that is unknown    refused
 *     M  B, C or E, and a cursor stands beyond T       the end of the log is missing: refused
 *
 * F (damage elsewhere) and L (read errors) are told by whoever reads; J (a crash during any of this) holds because every
 * action leaves a log for which the same decision is made again.
 */
import type { WalErrorCode } from '../errors.js'

/** `'truncate'` cuts a torn tail off; `'strict'` refuses to. */
export type RecoveryMode = 'truncate' | 'strict'

export type Row = 'A' | 'B' | 'C' | 'D' | 'E' | 'G' | 'H' | 'K' | 'M'

/** The failing group, as far as it can be told. */
export interface FailingGroup {
  /** Why it can't be read. */
  readonly why: string
  /** Whole, but of an unknown version, flag or kind; or whole, and contradicting itself. */
  readonly whole?: 'unsupported' | 'contradiction'
  /** The position of a record behind it that proves it durable. */
  readonly voucher?: number
  /** The one bit whose change makes it whole. */
  readonly flippedBit?: {
    readonly position: number
    readonly bit: number
    /** Whether that bit's sector has another set bit at or behind T: it was written, at least in part. */
    readonly sectorWasWritten: boolean
  }
  /** Whether it ends within the file. */
  readonly withinFile: boolean
  /** Whether one of its sectors of 512 bytes is all zero from T on: then part of it was never written. */
  readonly hasZeroSector: boolean
}

export type Decision =
  | { readonly row: 'A'; readonly action: 'create' }
  | { readonly row: 'B'; readonly action: 'resume' }
  | { readonly row: 'C' | 'E'; readonly action: 'cut'; readonly ambiguous: boolean }
  | { readonly row: Row; readonly action: 'refuse'; readonly code: WalErrorCode; readonly why: string; readonly bit?: { readonly position: number; readonly bit: number } }

type Refusal = Extract<Decision, { action: 'refuse' }>

/**
 * What to do about T. `failing`: undefined when only zeros, or nothing, stand there.
 *
 * @param beyondEnd what proves that entries from T on were on stable storage, where something outside the log does
 */
export function decideEnd(failing: FailingGroup | undefined, mode: RecoveryMode, beyondEnd?: string): Decision {
  if (failing === undefined) return beyondEnd === undefined ? { row: 'B', action: 'resume' } : refuse('M', 'ERR_WAL_CORRUPT', beyondEnd)
  if (failing.whole === 'unsupported') {
    return refuse('K', 'ERR_WAL_FORMAT', `${failing.why}: open it with a later release of forelog`)
  }
  // A CRC that holds over fields which can't be is nothing that a crash leaves behind.
  if (failing.whole === 'contradiction') return refuse('D', 'ERR_WAL_CORRUPT', failing.why)
  if (failing.voucher !== undefined) {
    return refuse('D', 'ERR_WAL_CORRUPT', `${failing.why}, and a record at byte ${failing.voucher} proves that it was on stable storage: this is damage, no torn write`)
  }
  const { flippedBit } = failing
  // A torn write leaves whole sectors as they were: zeros. If each was written, and one bit is wrong, the bit was flipped.
  if (flippedBit?.sectorWasWritten === true && !failing.hasZeroSector) {
    return refuseRot(failing.why, flippedBit)
  }
  // It was all there once, so it is no torn write.
  if (beyondEnd !== undefined) return flippedBit === undefined ? refuse('M', 'ERR_WAL_CORRUPT', `${failing.why}, and ${beyondEnd}`) : refuseRot(failing.why, flippedBit)
  const ambiguous = flippedBit !== undefined || (failing.withinFile && !failing.hasZeroSector)
  const row = ambiguous ? 'E' : 'C'
  if (mode === 'strict') return refuse(row, 'ERR_WAL_TORN', `${failing.why}, and nothing proves that it was acknowledged: 'truncate', the default of the option recovery, cuts it off`)
  return { row, action: 'cut', ambiguous }
}

/** What format 1 can tell of T: nothing proves anything there, so all that is cut is ambiguous. */
export interface FailingRecord {
  readonly why: string
  /** As in a {@link FailingGroup}. */
  readonly flippedBit?: NonNullable<FailingGroup['flippedBit']>
  /** Whether one of the sectors of the record, once mended, is all zero from T on: then part of it was never written. */
  readonly hasZeroSector: boolean
  /** Its CRC holds once so many bytes behind its payload are counted in: it was written by a faulty `encodePayload`. */
  readonly padding?: { readonly bytes: number; readonly onlyZeros: boolean }
  /** Whole records behind T. */
  readonly recordsBehind: number
}

export function decideEndOfFormat1(failing: FailingRecord | undefined, mode: RecoveryMode): Decision {
  if (failing === undefined) return { row: 'B', action: 'resume' }
  const { padding, flippedBit } = failing
  const isRot = flippedBit?.sectorWasWritten === true && !failing.hasZeroSector
  // A flipped bit that makes a length smaller looks like padding, too: of the rest of the payload, though, and not of zeros.
  if (padding !== undefined && (padding.onlyZeros || !isRot)) {
    return refuse(
      'D',
      'ERR_WAL_CORRUPT',
      `${failing.why}, but it fits with ${padding.bytes} more bytes behind the payload: it was encoded by an entry that returned its whole buffer, and what follows can't be found`,
    )
  }
  if (isRot) {
    return refuseRot(failing.why, flippedBit)
  }
  if (mode === 'strict') {
    return refuse(
      'E',
      'ERR_WAL_TORN',
      `${failing.why}, and ${failing.recordsBehind} whole records stand behind it: format 1 can't tell a torn write from damage; 'truncate', the default of the option recovery, cuts all of it off`,
    )
  }
  return { row: 'E', action: 'cut', ambiguous: true }
}

function refuseRot(why: string, { position, bit }: { readonly position: number; readonly bit: number }): Refusal {
  return { ...refuse('E', 'ERR_WAL_CORRUPT', `${why}, and bit ${bit} of byte ${position} alone explains it: it was flipped`), bit: { position, bit } }
}

function refuse(row: Row, code: WalErrorCode, why: string): Refusal {
  return { row, action: 'refuse', code, why }
}

/** A segment file, as its name and its first record tell of it. */
export interface FoundSegment {
  readonly name: string
  readonly id: number
  /** As its name says. */
  readonly firstOffset: number
  readonly header:
    | {
        readonly logId: string
        readonly segmentId: number
        readonly previousSegmentId: number
        readonly firstOffset: number
      }
    /** Why there is none; `'empty'`: the file has no bytes. */
    | { readonly broken: string }
    | 'empty'
}

export type SegmentsDecision =
  | {
      readonly row: 'G'
      readonly action: 'live'
      /** Names, oldest first; the newest segment is the last. */
      readonly live: readonly string[]
      /** Where the log begins: at the low-water mark, or behind an emptied segment. */
      readonly firstOffset: number
      /** Names of what can be removed: nothing live refers to it. */
      readonly dead: readonly string[]
    }
  | { readonly row: 'G' | 'H'; readonly action: 'refuse'; readonly code: WalErrorCode; readonly why: string; readonly name: string }

/**
 * Row G: which segments are the log. They are followed from the newest one back, by what each header says of the one before,
 * until one begins at or below the low-water mark.
 *
 * @param found in the order of their ids
 */
export function decideSegments(found: readonly FoundSegment[], lowWaterMark: number): SegmentsDecision {
  const newest = found.at(-1) as FoundSegment
  if (newest.header === 'empty' || 'broken' in newest.header) {
    return { row: 'H', action: 'refuse', code: 'ERR_WAL_CORRUPT', why: headerFault(newest), name: newest.name }
  }
  const { logId } = newest.header
  const byId = new Map<number, FoundSegment>()
  for (const segment of found) {
    const rival = byId.get(segment.id)
    if (rival !== undefined) return refuseSegment(segment, `it has the segment id of ${rival.name}`)
    byId.set(segment.id, segment)
  }

  /** Newest first. */
  const live: FoundSegment[] = []
  let endsAtEmpty = false
  for (let segment = newest; ; ) {
    const { header } = segment
    // Emptied by a truncation on a full disk: what it held is no longer wanted, and the log begins behind it.
    if (header === 'empty') {
      endsAtEmpty = true
      break
    }
    if ('broken' in header) return refuseSegment(segment, headerFault(segment))
    const misnamed = refuseMisnamed(segment, header)
    if (misnamed !== undefined) return misnamed
    if (header.logId !== logId) return refuseSegment(segment, `it belongs to another log than ${newest.name}, which is the newest segment`)
    const later = live.at(-1)
    if (later !== undefined && segment.firstOffset > later.firstOffset) {
      return refuseSegment(segment, `it begins at offset ${segment.firstOffset}, behind the beginning of ${later.name}, which follows it`)
    }
    live.push(segment)
    if (segment.firstOffset <= lowWaterMark) break
    if (header.previousSegmentId === 0) {
      // The first one of a log begins at 1, which a mark of 0 does not say.
      if (segment.firstOffset === 1) break
      return refuseSegment(segment, `it begins at offset ${segment.firstOffset}, entries from ${lowWaterMark} on are wanted, and it names no segment in front of it`)
    }
    if (header.previousSegmentId >= segment.id) return refuseSegment(segment, `it names segment ${header.previousSegmentId} as the one in front of it`)
    const previous = byId.get(header.previousSegmentId)
    if (previous === undefined) {
      return {
        row: 'G',
        action: 'refuse',
        code: 'ERR_WAL_SEGMENT_MISSING',
        why: `segment ${header.previousSegmentId}, which stands in front of ${segment.name}, is missing, and entries below ${segment.firstOffset} are still wanted`,
        name: segment.name,
      }
    }
    segment = previous
  }

  const alive = new Set(live)
  const dead: string[] = []
  let hasBytesBefore = false
  for (const segment of found) {
    if (alive.has(segment)) continue
    const { header } = segment
    // A truncation on a full disk empties the oldest first: an empty file behind one that is not was emptied by somebody else.
    if (header === 'empty' && hasBytesBefore) return refuseSegment(segment, 'it is empty, and an older one is not: no truncation leaves that')
    hasBytesBefore ||= header !== 'empty'
    // Its id is smaller than the newest one's, because it is not the newest.
    if (header !== 'empty' && 'broken' in header) return refuseSegment(segment, `nothing refers to it, and ${headerFault(segment)}`)
    if (header !== 'empty' && header.logId !== logId) return refuseSegment(segment, `it belongs to another log than ${newest.name}, which is the newest segment`)
    // One that was renamed may be the newest in truth, so it is not removed for what its name says.
    const misnamed = header === 'empty' ? undefined : refuseMisnamed(segment, header)
    if (misnamed !== undefined) return misnamed
    // While no mark says so, the emptied files are all that tells where the log begins: they stay until one does.
    if (header === 'empty' && endsAtEmpty) continue
    dead.push(segment.name)
  }
  const firstOffset = Math.max(lowWaterMark, (live.at(-1) as FoundSegment).firstOffset)
  return { row: 'G', action: 'live', live: live.map(({ name }) => name).reverse(), firstOffset, dead }
}

function refuseMisnamed(segment: FoundSegment, header: { readonly segmentId: number; readonly firstOffset: number }): SegmentsDecision | undefined {
  if (header.segmentId !== segment.id || header.firstOffset !== segment.firstOffset) {
    return refuseSegment(segment, `its header is that of segment ${header.segmentId}, first offset ${header.firstOffset}`)
  }
  return undefined
}

function headerFault(segment: FoundSegment): string {
  if (segment.header === 'empty') return 'the newest segment is empty: no crash leaves that'
  return 'broken' in segment.header ? `its header can't be read: ${segment.header.broken}` : ''
}

function refuseSegment(segment: FoundSegment, why: string): SegmentsDecision {
  return { row: 'G', action: 'refuse', code: 'ERR_WAL_CORRUPT', why, name: segment.name }
}
