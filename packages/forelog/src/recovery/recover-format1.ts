/**
 * Opens a log of format 1, the Go library's. Its records have no length and prove nothing of each other, so less can be
 * told, and what can't be told is said: whatever is cut is called ambiguous.
 */
import { join } from 'node:path'
import { remedyOf, WalError } from '../errors.js'
import { DurableFile } from '../files/durable-file.js'
import { crc32, flippedBitOf } from '../format/checksum.js'
import { frameRecord, type FramedRecord, type FramingOf } from '../format/framed-record.js'
import { lowHalf, readU32, recordHeaderBytes } from '../format/record.js'
import { FileWindow } from '../segments/file-window.js'
import { RecordWalker } from '../segments/record-walker.js'
import { damage, missing, onlyZerosFrom } from '../segments/segment-cursor.js'
import type { DirectoryNames } from '../segments/segment-name.js'
import { makeSegment } from '../segments/segment-set.js'
import type { Steps } from '../steps.js'
import { decideEndOfFormat1, type FailingRecord } from './decide.js'
import { hasZeroSector, sectorWasWritten } from './sectors.js'
import { type LookRequest, mend, type RecoveredLog, type RecoveryRequest, refusal, rewriteVerified } from './recovered-log.js'

export interface Found {
  readonly id: number
  readonly name: string
  readonly path: string
  readonly fileBytes: number
  /** Of its first record; undefined in an empty file. */
  readonly firstOffset: number | undefined
}

/** What is searched behind T, and for flipped bits, at the most. */
const searchedBytes = 64 * 1024 * 1024
/** Bits of so many bytes from T on are tried one by one: those that say where a payload ends are among the first. */
const triedBytes = 4096
/** Bytes that all those tries may read, together. */
const triedWorkBytes = 512 * 1024 * 1024

export function* recoverFormat1(request: RecoveryRequest, names: DirectoryNames): Steps<RecoveredLog> {
  const { directory, adapter } = request
  const framingOf: FramingOf = (type) => adapter.framing(type)
  const found: Found[] = []
  for (const { name, id } of names.segments) found.push(yield* look(request, name, id))
  assertInOrder(found)

  const newest = found.at(-1) as Found
  const file = yield* DurableFile.open(request.fileSystem, newest.path, { access: 'read' })
  let examined
  try {
    examined = yield* examine(request, file, found, framingOf)
  } finally {
    yield* file.close()
  }
  const { position, nextOffset, entries, failing, tailBytes } = examined
  const decision = decideEndOfFormat1(failing, request.mode)
  if (decision.action === 'refuse') throw refusal(decision, newest.path, newest.id, position, nextOffset)

  const { file: writable, quarantined } = yield* mend(request, {
    name: newest.name,
    end: position,
    fileBytes: newest.fileBytes,
    tailBytes,
    // Nothing in this format says what is durable, so all of the segment is written again.
    rewrite: (file) => rewriteRecords(file, position, framingOf),
    remove: names.temporaries,
  })
  // What its first bytes say counts only where they are a record; else they were cut off.
  const kept = entries > 0 ? found : [...found.slice(0, -1), { ...newest, firstOffset: undefined }]
  return {
    format: 1,
    live: kept.map(({ id, fileBytes }, index) =>
      makeSegment(directory, 1, id, firstOffsetFrom(kept, index) ?? nextOffset, index === kept.length - 1 ? position : fileBytes),
    ),
    end: { file: writable, position, nextOffset, lowWaterMark: 0, chain: undefined, logId: '', unsettled: undefined, full: false },
    report: {
      clean: newest.fileBytes === position,
      tornBytes: tailBytes,
      ambiguous: tailBytes > 0,
      quarantined,
      entriesExamined: entries,
      bytesExamined: newest.fileBytes,
      ...(failing === undefined ? {} : { recordsBehindTear: failing.recordsBehind }),
    },
  }
}

function* rewriteRecords(file: DurableFile, end: number, framingOf: FramingOf): Steps<void> {
  yield* rewriteVerified(file, 0, end, (bytes, left) => {
    let whole = 0
    for (;;) {
      const result = frameRecord(bytes, whole, bytes.length - whole, left - whole, framingOf)
      if (result.found === 'more' && whole === 0) return { more: result.bytes }
      const payload = whole + recordHeaderBytes
      if (result.found !== 'record' || crc32(bytes, payload, payload + result.record.length) !== result.record.crc) return { whole }
      whole = payload + result.record.length
    }
  })
}

/** What the name and the first record of a segment say. */
export function* look(request: LookRequest, name: string, id: number): Steps<Found> {
  const path = join(request.directory, name)
  const file = yield* DurableFile.open(request.fileSystem, path, { access: 'read' })
  try {
    const fileBytes = yield* file.size()
    const bytes = new Uint8Array(4)
    const read = yield* file.read(bytes, 0)
    return { id, name, path, fileBytes, firstOffset: read === 4 && readU32(bytes, 0) > 0 ? readU32(bytes, 0) : undefined }
  } finally {
    yield* file.close()
  }
}

/** Refuses what is out of order: ids follow each other, and so do the offsets that the segments begin with, as far as they say. */
export function assertInOrder(found: readonly Found[]): void {
  let before: Found | undefined
  for (const [index, segment] of found.entries()) {
    const previous = found[index - 1]
    if (previous !== undefined && segment.id !== previous.id + 1) {
      throw new WalError(
        'ERR_WAL_SEGMENT_MISSING',
        `segment ${previous.id + 1} is missing: ${previous.name} is followed by ${segment.name} in ${segment.path}. Nothing was changed${remedyOf('ERR_WAL_SEGMENT_MISSING')}`,
        { path: segment.path, segmentId: previous.id + 1 },
      )
    }
    const isNewest = index === found.length - 1
    if (segment.firstOffset === undefined) {
      if (segment.fileBytes > 0 && !isNewest) throw damage(segment, 0, undefined, 'its first record has no offset')
      continue
    }
    if (segment.id === 1 && segment.firstOffset !== 1 && !isNewest) {
      throw damage(segment, 0, segment.firstOffset, `it begins at offset ${segment.firstOffset}, and the first segment of a log begins at 1`)
    }
    // Of the newest one more is asked when it is walked: a flipped bit there is told from a segment that is out of order.
    if (before?.firstOffset !== undefined && segment.firstOffset <= before.firstOffset && !isNewest) {
      throw damage(segment, 0, segment.firstOffset, `it begins at offset ${segment.firstOffset}, and ${before.name} in front of it at ${before.firstOffset}`)
    }
    before = segment
  }
}

function firstOffsetFrom(found: readonly Found[], index: number): number | undefined {
  for (const { firstOffset } of found.slice(index)) if (firstOffset !== undefined) return firstOffset
  return undefined
}

export interface Examined {
  /** T. */
  readonly position: number
  readonly nextOffset: number
  readonly entries: number
  readonly failing: FailingRecord | undefined
  readonly tailBytes: number
}

/** Finds T in the newest segment, and what the decision table asks about it. */
export function* examine(request: LookRequest, file: DurableFile, found: readonly Found[], framingOf: FramingOf): Steps<Examined> {
  const newest = found.at(-1) as Found
  const window = new FileWindow(file, newest.fileBytes)
  let expected = newest.id === 1 ? 1 : undefined
  let walked = yield* walk(window, expected, framingOf)
  const earlier = found.slice(0, -1).findLast(({ fileBytes }) => fileBytes > 0)
  const disagrees = earlier?.firstOffset !== undefined && newest.firstOffset !== undefined && newest.firstOffset <= earlier.firstOffset
  if (expected === undefined && (walked.entries <= 1 || disagrees)) {
    // One record alone can't show that its own offset is right, and none has none: the segment before says what is next.
    if (earlier !== undefined) expected = yield* endOf(request, earlier, framingOf)
    // Empty files from the first one on: nothing was ever written.
    else if (walked.entries === 0 && found[0]?.id === 1) expected = 1
    if (expected === undefined && walked.entries === 0) throw missing(newest, 1)
    walked = yield* walk(window, expected, framingOf)
  }
  const { position, entries, stopped } = walked
  const nextOffset = walked.nextOffset as number
  // This format is never filled ahead: either all behind T is zeros that a file system left, or all of it is the tail.
  const onlyZeros = yield* onlyZerosFrom(window, position)
  if (onlyZeros || stopped.found !== 'nothing') return { position, nextOffset, entries, failing: undefined, tailBytes: 0 }
  const tailBytes = window.left(position)

  const loaded = yield* window.load(position, Math.min(window.left(position), searchedBytes))
  const tail = window.bytes.subarray(window.indexOf(position), window.indexOf(position) + loaded)
  // Where nothing in front says what the first offset is, only the records behind it do.
  if (expected === undefined && entries === 1 && walked.first !== undefined && stopped.record !== undefined) {
    const third = recordHeaderBytes + stopped.record.length
    const followsSecond = wholeRecord(tail, third, stopped.record.lowOffset + 1, framingOf) !== undefined
    if (followsSecond) assertFirstOffset(newest, walked.first, stopped.record)
  }
  const flipped = findFlippedBit(tail, nextOffset, framingOf)
  const padding = findPadding(tail, nextOffset, framingOf)
  return {
    position,
    nextOffset,
    entries,
    tailBytes,
    failing: {
      why: stopped.why,
      ...(flipped === undefined
        ? {}
        : { flippedBit: { position: position + flipped.byte, bit: flipped.bit, sectorWasWritten: sectorWasWritten(tail, position, flipped) } }),
      hasZeroSector: flipped !== undefined && hasZeroSector(tail, position, flipped.recordBytes),
      ...(padding === undefined ? {} : { padding }),
      recordsBehind: countRecords(tail, nextOffset, framingOf),
    },
  }
}

function* walk(window: FileWindow, expected: number | undefined, framingOf: FramingOf) {
  const walker = new RecordWalker(window, 0, expected, framingOf)
  let entries = 0
  let first: FramedRecord | undefined
  for (;;) {
    const result = yield* walker.next()
    if (result.found !== 'record') return { position: walker.position, nextOffset: walker.nextOffset, entries, first, stopped: result }
    first ??= result.record
    entries++
  }
}

/** The offset behind the last entry of a segment that must be whole. */
function* endOf(request: LookRequest, segment: Found, framingOf: FramingOf): Steps<number> {
  const file = yield* DurableFile.open(request.fileSystem, segment.path, { access: 'read' })
  try {
    const walked = yield* walk(new FileWindow(file, segment.fileBytes), segment.firstOffset, framingOf)
    if (walked.stopped.found === 'nothing') throw damage(segment, walked.position, walked.nextOffset, walked.stopped.why)
    return walked.nextOffset as number
  } finally {
    yield* file.close()
  }
}

/** When the second record does not follow the first, and a third follows the second, the flipped bit is in the first one's offset. */
function assertFirstOffset(segment: Found, first: FramedRecord, second: FramedRecord): void {
  const difference = (first.lowOffset ^ (second.lowOffset - 1)) >>> 0
  if (difference === 0 || (difference & (difference - 1)) !== 0) return
  const bitFromLowest = 31 - Math.clz32(difference)
  const position = 3 - Math.floor(bitFromLowest / 8)
  const bit = bitFromLowest % 8
  throw refusal(
    {
      row: 'E',
      action: 'refuse',
      code: 'ERR_WAL_CORRUPT',
      why: `its first two records have the offsets ${first.lowOffset} and ${second.lowOffset}, and bit ${bit} of byte ${position} alone explains it: it was flipped`,
      bit: { position, bit },
    },
    segment.path,
    segment.id,
    position,
    second.lowOffset - 1,
  )
}

/** The record at a place of `tail`, if it has that offset and is whole. */
export function wholeRecord(tail: Uint8Array, at: number, offset: number, framingOf: FramingOf): FramedRecord | undefined {
  if (tail.length - at < recordHeaderBytes || readU32(tail, at) !== lowHalf(offset)) return undefined
  const result = frameRecord(tail, at, tail.length - at, tail.length - at, framingOf)
  if (result.found !== 'record') return undefined
  const payload = at + recordHeaderBytes
  return crc32(tail, payload, payload + result.record.length) === result.record.crc ? result.record : undefined
}

export interface FlippedBit {
  readonly byte: number
  readonly bit: number
  /** Bytes of the record, once mended. */
  readonly recordBytes: number
}

/** The bit of `tail`, which begins with the record that fails, whose change makes that record whole. */
export function findFlippedBit(tail: Uint8Array, offset: number, framingOf: FramingOf): FlippedBit | undefined {
  const mend = (byte: number, bit: number): FlippedBit | undefined => {
    tail[byte] = (tail[byte] as number) ^ (1 << bit)
    const record = wholeRecord(tail, 0, offset, framingOf)
    tail[byte] = (tail[byte]) ^ (1 << bit)
    return record === undefined ? undefined : { byte, bit, recordBytes: recordHeaderBytes + record.length }
  }
  // Where the payload ends is found all the same, the CRC names the bit.
  const framed = frameRecord(tail, 0, tail.length, tail.length, framingOf)
  if (framed.found === 'record') {
    const { length, crc } = framed.record
    const place = flippedBitOf(crc32(tail, recordHeaderBytes, recordHeaderBytes + length), crc, length)
    const mended = place === undefined ? undefined : mend(recordHeaderBytes + place.byte, place.bit)
    if (mended !== undefined) return mended
  }
  // Else the bit is in the header, or in what says where the payload ends.
  const tries = Math.min(triedBytes, tail.length, Math.max(recordHeaderBytes, Math.floor(triedWorkBytes / (8 * tail.length))))
  for (let byte = 0; byte < tries; byte++) {
    for (let bit = 0; bit < 8; bit++) {
      const mended = mend(byte, bit)
      if (mended !== undefined) return mended
    }
  }
  return undefined
}

/** Bytes behind a payload that are tried as its padding: the Go library's buffers have 128 unless configured. */
const paddingBytes = 4096

/**
 * How many bytes behind the payload, counted in, make its CRC hold: what an entry leaves that returns its whole buffer as
 * the part it used. They are zeros, or what an earlier entry left in the buffer.
 */
function findPadding(tail: Uint8Array, offset: number, framingOf: FramingOf): FailingRecord['padding'] {
  const framed = frameRecord(tail, 0, tail.length, tail.length, framingOf)
  if (framed.found !== 'record' || framed.record.lowOffset !== lowHalf(offset)) return undefined
  const end = recordHeaderBytes + framed.record.length
  let crc = crc32(tail, recordHeaderBytes, end)
  for (let at = end; at < Math.min(tail.length, end + paddingBytes); at++) {
    crc = crc32(tail, at, at + 1, crc)
    if (crc === framed.record.crc) return { bytes: at + 1 - end, onlyZeros: tail.subarray(end, at + 1).every((byte) => byte === 0) }
  }
  return undefined
}

/** Whole records behind T: how much a cut would take along. */
function countRecords(tail: Uint8Array, offset: number, framingOf: FramingOf): number {
  let count = 0
  for (let at = 1; at <= tail.length - recordHeaderBytes; ) {
    const low = readU32(tail, at)
    // An offset ahead that can lie in these bytes: each record in between takes a header at the least.
    const record = low > offset && low <= offset + tail.length / recordHeaderBytes ? wholeRecord(tail, at, low, framingOf) : undefined
    if (record !== undefined) count++
    at += record === undefined ? 1 : recordHeaderBytes + record.length
  }
  return count
}
