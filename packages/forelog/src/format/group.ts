/**
 * The group: what one write puts on disk, and what is applied whole or not at all.
 *
 *     ┌────────┬──────────┬──────────┬─────┐
 *     │ commit │ record 1 │ record 2 │  …  │      the other control records are groups without entries
 *     └────────┴──────────┴──────────┴─────┘
 *              └──────── body ─────────────┘
 *
 * A commit's headers CRC covers the 9-byte headers of its records, in order. Each header has the CRC of its payload, so
 * every byte of the body is bound to the commit, and the commit to the chain.
 */
import { crc32 } from './checksum.js'
import { commitBodyBytesAt, commitLengthsAt, type ControlContent, type ControlFrame, controlPrefixBytes, kinds, readControlContent, readControlFrame } from './control-record.js'
import { recordKernel } from './kernel.js'
import { controlType, lowHalf, readU32, recordHeaderBytes } from './record.js'

/** What the next control record of a segment must fit. */
export interface ChainPosition {
  readonly nextOffset: number
  readonly salt: string
  /** CRC field of the control record before. */
  readonly previous: number
}

export interface Group {
  readonly content: ControlContent
  readonly frame: ControlFrame
  /** Bytes of control record and body. */
  readonly bytes: number
  /** What the record behind this group must fit. */
  readonly next: ChainPosition
  /** All payloads were looked at, and are ASCII. */
  readonly ascii: boolean
}

export type GroupResult =
  | { readonly found: 'group'; readonly group: Group }
  | { readonly found: 'more'; readonly bytes: number }
  | GroupFailure

/** Why no group can be read at a place. */
export interface GroupFailure {
  readonly found: 'nothing' | 'unsupported' | 'contradiction'
  readonly why: string
  /** The control record, where that is whole and fits, and only the body behind it does not. */
  readonly commit?: Group
}

/**
 * Reads the group at `at`. `available` bytes are in `bytes` from there on, `left` the file has. Without `verifyBody`, or where
 * that says no of a commit, its records are passed over unread.
 */
export function readGroup(
  bytes: Uint8Array,
  at: number,
  available: number,
  left: number,
  expected: ChainPosition,
  verifyBody: boolean | ((group: Group) => boolean),
): GroupResult {
  const framed = readControlFrame(bytes, at, available, left)
  if (framed.found !== 'frame') return framed
  const { frame } = framed
  if (frame.salt !== expected.salt) return { found: 'nothing', why: 'a control record of another file stands here' }
  if (frame.previous !== expected.previous) return { found: 'nothing', why: 'a control record does not continue the chain' }
  const read = readControlContent(bytes, at, frame)
  if (read.found !== 'content') return read
  // The Offset field stands outside the CRC, so it is asked on its own, and only of records that are known.
  if (frame.lowOffset !== lowHalf(expected.nextOffset)) return { found: 'nothing', why: "a control record's Offset field does not fit" }
  const { content } = read
  const disagreement = disagreementWith(content, expected)
  if (disagreement !== undefined) return { found: 'contradiction', why: disagreement }

  const isCommit = content.kind === 'commit'
  const group: Group = {
    content,
    frame,
    bytes: frame.bytes + (isCommit ? content.bodyBytes : 0),
    next: {
      nextOffset: expected.nextOffset + (isCommit ? content.lengths.length : 0),
      salt: expected.salt,
      previous: frame.crc,
    },
    ascii: false,
  }
  if (!isCommit) return { found: 'group', group }
  if (group.bytes > left) return { found: 'nothing', why: 'a group runs beyond the end of the file', commit: group }
  if (typeof verifyBody === 'boolean' ? !verifyBody : !verifyBody(group)) return { found: 'group', group }
  if (group.bytes > available) return { found: 'more', bytes: group.bytes }
  const body = at + frame.bytes
  const { firstOffset, lengths, headersCrc } = content
  const verified = recordKernel().verify(bytes, body, lengths, lengths.length, firstOffset)
  if (verified?.headersCrc === headersCrc) return { found: 'group', group: verified.ascii ? { ...group, ascii: true } : group }
  return { found: 'nothing', why: bodyFault(bytes, body, firstOffset, lengths), commit: group }
}

/** What a group has at the most to be small, and each of its records on average: what is larger is read faster on its own. */
const smallGroupBytes = 16 * 1024
const smallRecordBytes = 1024

/** Whether a commit with its records seems to stand at `at`, and they are few and small: by fields that may be damaged. */
export function isSmallCommit(bytes: Uint8Array, at: number, available: number): boolean {
  if (available <= commitLengthsAt || bytes[at + 4] !== controlType || bytes[at + controlPrefixBytes] !== kinds.commit) return false
  const bodyBytes = readU32(bytes, at + commitBodyBytesAt)
  const whole = controlPrefixBytes + readU32(bytes, at + recordHeaderBytes) + bodyBytes
  return whole <= Math.min(available, smallGroupBytes) && bodyBytes <= smallRecordBytes * readU32(bytes, at + commitBodyBytesAt - 4)
}

/** Fields that repeat what the place in the log says already: they must agree. */
function disagreementWith(content: ControlContent, expected: ChainPosition): string | undefined {
  switch (content.kind) {
    case 'segmentHeader':
      return 'a segment header within a segment'
    case 'commit':
      return content.firstOffset === expected.nextOffset ? undefined : 'a commit with another first offset than the next one'
    case 'close':
      return content.lastOffset === expected.nextOffset - 1 ? undefined : 'a close record with another last offset than the last one'
    case 'durableMark':
      return content.durableOffset < expected.nextOffset ? undefined : 'a durable mark beyond the last entry'
    case 'lowWaterMark':
      return content.firstWanted <= expected.nextOffset ? undefined : 'a low-water mark beyond the next entry'
    case 'skipped':
      return undefined
  }
}

/** What is wrong with the records behind a commit, which are not what it says: they are gone through once more, one by one. */
function bodyFault(bytes: Uint8Array, body: number, firstOffset: number, lengths: ArrayLike<number>): string {
  let at = body
  for (let index = 0; index < lengths.length; index++) {
    const payload = at + recordHeaderBytes
    const end = payload + (lengths[index] as number)
    if (readU32(bytes, at) !== lowHalf(firstOffset + index)) return `the record of entry ${firstOffset + index} has another offset`
    if (bytes[at + 4] === controlType) return `the record of entry ${firstOffset + index} has the type of control records`
    if (crc32(bytes, payload, end) !== readU32(bytes, at + 5)) return `the CRC of entry ${firstOffset + index} does not fit its payload`
    at = end
  }
  return 'the headers of a group are not those that its commit was written for'
}

/**
 * How many bytes the group at the start of `bytes` claims to have, by fields that may be damaged; undefined when not even
 * its beginning looks like one.
 */
export function claimedBytes(bytes: Uint8Array): number | undefined {
  if (bytes.length < controlPrefixBytes + 1 || bytes[4] !== controlType) return undefined
  const control = controlPrefixBytes + readU32(bytes, recordHeaderBytes)
  if (bytes[controlPrefixBytes] !== kinds.commit || bytes.length < commitBodyBytesAt + 4) return control
  return control + readU32(bytes, commitBodyBytesAt)
}
