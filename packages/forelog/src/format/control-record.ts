/**
 * Control records: what format 2 writes between the entries, so that a log explains itself. A record of type 255 whose
 * Offset field is the low half of the next entry's offset, and whose payload is, big endian:
 *
 *     length u32     bytes behind this field
 *     kind u8        1 segment header · 2 commit · 3 close · 4 low-water mark · 5 durable mark
 *     version u8     2
 *     flags u16      bit 15: may be skipped by who does not know the kind
 *                    bit 0 of a segment header: it cuts off what the segment before it holds from its first offset on
 *                    bit 0 of a close: a clean shutdown (0: a full segment, or one that was cut)
 *     salt u64       random, the same in all control records of a segment: bytes of an older file don't have it
 *     previous u32   CRC field of the control record before: the chain. In a header, of the last one of the segment before
 *     …              fields of the kind
 *
 *     segment header   log id (16 bytes) · segment id u64 · previous segment id u64 · first offset u64 ·
 *                      low-water mark u64 · created u64 (ms since 1970)
 *     commit           first offset u64 · count u32 · body bytes u32 · headers CRC u32 · durable offset u64 ·
 *                      `count` payload lengths, unsigned LEB128 in its shortest form
 *     close            last offset u64 · durable offset u64
 *     low-water mark   first offset that is still wanted u64
 *     durable mark     durable offset u64
 */
import { crc32 as zlibCrc32 } from 'node:zlib'
import { crc32 } from './checksum.js'
import {
  controlType,
  lastOffsetOfFormat2,
  lowHalf,
  readU16,
  readU32,
  readU64,
  recordHeaderBytes,
  writeRecordHeader,
  writeU16,
  writeU32,
  writeU64,
} from './record.js'

export const kinds = { segmentHeader: 1, commit: 2, close: 3, lowWaterMark: 4, durableMark: 5 } as const

export const formatVersion = 2
const skippableFlag = 0x8000
const kindFlag = 0x0001

/** Length field, kind, version, flags, salt, previous. */
const commonBytes = 4 + 1 + 1 + 2 + 8 + 4
/** Payload bytes of each kind, the length field included; a commit's lengths come on top. */
const payloadBytes = {
  segmentHeader: commonBytes + 16 + 5 * 8,
  commit: commonBytes + 8 + 4 + 4 + 4 + 8,
  close: commonBytes + 16,
  lowWaterMark: commonBytes + 8,
  durableMark: commonBytes + 8,
} as const

/** Bytes of a segment header in the file: it is always the first record. */
export const segmentHeaderBytes: number = recordHeaderBytes + payloadBytes.segmentHeader
/** Bytes of a close record in the file. */
export const closeBytes: number = recordHeaderBytes + payloadBytes.close
/** Where a control record's salt stands, from the record's first byte: the search for vouchers looks for it. */
export const saltAt: number = recordHeaderBytes + 8
export const saltBytes = 8
/** Where a commit's body bytes field stands, from the record's first byte. */
export const commitBodyBytesAt: number = recordHeaderBytes + commonBytes + 12
/** Where a commit's lengths begin, from the record's first byte. */
export const commitLengthsAt: number = recordHeaderBytes + payloadBytes.commit
/** What must be there before a control record's length is known. */
export const controlPrefixBytes: number = recordHeaderBytes + 4

/** What every control record has, whatever its kind. */
export interface ControlFrame {
  /** Bytes of the whole record. */
  readonly bytes: number
  /** Its Offset field. */
  readonly lowOffset: number
  readonly crc: number
  readonly kind: number
  readonly version: number
  readonly flags: number
  /** As hexadecimal digits: compared, never calculated with. */
  readonly salt: string
  readonly previous: number
}

export interface SegmentHeader {
  readonly kind: 'segmentHeader'
  /** As hexadecimal digits. */
  readonly logId: string
  readonly segmentId: number
  /** 0: none. */
  readonly previousSegmentId: number
  readonly firstOffset: number
  readonly lowWaterMark: number
  readonly createdMs: number
  /** This segment cuts off what the one before holds at or above its first offset. */
  readonly cut: boolean
}

export interface Commit {
  readonly kind: 'commit'
  readonly firstOffset: number
  readonly bodyBytes: number
  readonly headersCrc: number
  /** Every entry up to it was on stable storage before this commit was written. */
  readonly durableOffset: number
  readonly lengths: readonly number[] | Uint32Array
}

export interface Close {
  readonly kind: 'close'
  readonly lastOffset: number
  readonly durableOffset: number
  /** A clean shutdown; false: the segment was full, or cut. */
  readonly clean: boolean
}

export interface LowWaterMark {
  readonly kind: 'lowWaterMark'
  readonly firstWanted: number
}

export interface DurableMark {
  readonly kind: 'durableMark'
  readonly durableOffset: number
}

/** A kind that this version does not know and need not know. */
export interface Skipped {
  readonly kind: 'skipped'
}

export type ControlContent = SegmentHeader | Commit | Close | LowWaterMark | DurableMark | Skipped

export type FrameResult =
  | { readonly found: 'frame'; readonly frame: ControlFrame }
  /** So many bytes, from the record's first one on, must be there to go on; the file has them. */
  | { readonly found: 'more'; readonly bytes: number }
  | { readonly found: 'nothing'; readonly why: string }

/**
 * The frame of the control record at `at`, its CRC checked; nothing of its meaning. `available` bytes are in `bytes`
 * from there on, `left` the file has.
 */
export function readControlFrame(bytes: Uint8Array, at: number, available: number, left: number): FrameResult {
  if (left < controlPrefixBytes) return { found: 'nothing', why: 'the file ends within a record' }
  if (available < controlPrefixBytes) return { found: 'more', bytes: controlPrefixBytes }
  if (bytes[at + 4] !== controlType) return { found: 'nothing', why: 'no control record stands where one must' }
  const length = readU32(bytes, at + recordHeaderBytes)
  if (length < commonBytes - 4) return { found: 'nothing', why: 'a control record is too short to be one' }
  const whole = controlPrefixBytes + length
  if (whole > left) return { found: 'nothing', why: 'a control record runs beyond the end of the file' }
  if (whole > available) return { found: 'more', bytes: whole }
  const crc = readU32(bytes, at + 5)
  const payload = at + recordHeaderBytes
  if (crc32(bytes, payload, at + whole) !== crc) return { found: 'nothing', why: "a control record's CRC does not fit its bytes" }
  return {
    found: 'frame',
    frame: {
      bytes: whole,
      lowOffset: readU32(bytes, at),
      crc,
      kind: bytes[payload + 4] as number,
      version: bytes[payload + 5] as number,
      flags: readU16(bytes, payload + 6),
      salt: hex(bytes, payload + 8, saltBytes),
      previous: readU32(bytes, payload + 16),
    },
  }
}

export type ContentResult =
  | { readonly found: 'content'; readonly content: ControlContent }
  /** Whole, but of a later version of the format: nobody may touch it who does not know it. */
  | { readonly found: 'unsupported'; readonly why: string }
  /** Whole, but it contradicts itself: no writer makes it, and no crash. */
  | { readonly found: 'contradiction'; readonly why: string }

/** What a control record says, once its frame was read. */
export function readControlContent(bytes: Uint8Array, at: number, frame: ControlFrame): ContentResult {
  if (frame.version !== formatVersion) {
    return unsupported(`it is of version ${frame.version} of the format, and this release knows version ${formatVersion}`)
  }
  const content = readFields(bytes, at + recordHeaderBytes, frame)
  if (content === undefined) {
    if ((frame.flags & skippableFlag) !== 0) return { found: 'content', content: { kind: 'skipped' } }
    return unsupported(`it is a control record of kind ${frame.kind}, which version ${formatVersion} of the format does not have`)
  }
  if (typeof content === 'string') return { found: 'contradiction', why: content }
  const knownFlags = content.kind === 'segmentHeader' || content.kind === 'close' ? kindFlag : 0
  if ((frame.flags & ~knownFlags) !== 0) {
    return unsupported(`its flags are 0x${frame.flags.toString(16)}, and version ${formatVersion} of the format knows 0x${knownFlags.toString(16)} here`)
  }
  return { found: 'content', content }
}

function unsupported(why: string): ContentResult {
  return { found: 'unsupported', why }
}

/** The content; a text when it contradicts itself; undefined when the kind is unknown. */
function readFields(bytes: Uint8Array, payload: number, frame: ControlFrame): ControlContent | string | undefined {
  const fields = payload + commonBytes
  const length = frame.bytes - recordHeaderBytes
  const flag = (frame.flags & kindFlag) !== 0
  switch (frame.kind) {
    case kinds.segmentHeader: {
      if (length !== payloadBytes.segmentHeader) return 'a segment header of a wrong length'
      const header = headerFields(new DataView(bytes.buffer, bytes.byteOffset + fields, payloadBytes.segmentHeader - commonBytes), hex(bytes, fields, 16), flag)
      return contradictionIn(header) ?? header
    }
    case kinds.commit:
      return readCommit(bytes, fields, payload + length)
    case kinds.close: {
      if (length !== payloadBytes.close) return 'a close record of a wrong length'
      const lastOffset = readU64(bytes, fields)
      const durableOffset = readU64(bytes, fields + 8)
      if (lastOffset > lastOffsetOfFormat2) return 'a close record with an offset beyond 2^53'
      if (durableOffset !== lastOffset) return 'a close record whose durable offset is not its last offset'
      return { kind: 'close', lastOffset, durableOffset, clean: flag }
    }
    case kinds.lowWaterMark: {
      if (length !== payloadBytes.lowWaterMark) return 'a low-water mark of a wrong length'
      const firstWanted = readU64(bytes, fields)
      if (firstWanted > lastOffsetOfFormat2 + 1) return 'a low-water mark beyond 2^53'
      return { kind: 'lowWaterMark', firstWanted }
    }
    case kinds.durableMark: {
      if (length !== payloadBytes.durableMark) return 'a durable mark of a wrong length'
      const durableOffset = readU64(bytes, fields)
      if (durableOffset > lastOffsetOfFormat2) return 'a durable mark beyond 2^53'
      return { kind: 'durableMark', durableOffset }
    }
    default:
      return undefined
  }
}

/** What stands at the places of a segment header's fields. */
function headerFields(fields: DataView, logId: string, cut: boolean): SegmentHeader {
  return {
    kind: 'segmentHeader',
    logId,
    segmentId: viewU64(fields, 16),
    previousSegmentId: viewU64(fields, 24),
    firstOffset: viewU64(fields, 32),
    lowWaterMark: viewU64(fields, 40),
    createdMs: viewU64(fields, 48),
    cut,
  }
}

/** As `readU64` of a record. */
function viewU64(view: DataView, at: number): number {
  return view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4)
}

function contradictionIn({ segmentId, previousSegmentId, firstOffset, lowWaterMark, createdMs }: SegmentHeader): string | undefined {
  if (Math.max(segmentId, previousSegmentId, firstOffset, lowWaterMark, createdMs) > lastOffsetOfFormat2) return 'a segment header with a number beyond 2^53'
  if (firstOffset === 0 || segmentId === 0 || previousSegmentId >= segmentId) return 'a segment header with impossible numbers'
  return undefined
}

/** The same fields of a first record, whether there is a segment header or not. */
export function segmentHeaderAsItStands(bytes: Uint8Array): Omit<SegmentHeader, 'kind'> & { readonly previous: number } {
  const fields = recordHeaderBytes + commonBytes
  const view = new DataView(bytes.buffer, bytes.byteOffset + fields, payloadBytes.segmentHeader - commonBytes)
  return { ...headerFields(view, hex(bytes, fields, 16), (readU16(bytes, recordHeaderBytes + 6) & kindFlag) !== 0), previous: readU32(bytes, fields - 4) }
}

/**
 * So many lengths and more are kept outside of the heap. A commit's lengths live as long as its entries are handed out, and are what the collector
 * of young objects finds alive each time: enough of that makes it take more memory, for good (bench/micro/memory.ts). Few are made faster in it.
 */
const manyLengths = 64

function readCommit(bytes: Uint8Array, fields: number, end: number): Commit | string {
  if (end - fields < payloadBytes.commit - commonBytes) return 'a commit of a wrong length'
  const firstOffset = readU64(bytes, fields)
  const count = readU32(bytes, fields + 8)
  const bodyBytes = readU32(bytes, fields + 12)
  const headersCrc = readU32(bytes, fields + 16)
  const durableOffset = readU64(bytes, fields + 20)
  if (count === 0) return 'a commit without entries'
  if (firstOffset === 0 || firstOffset > lastOffsetOfFormat2 - (count - 1)) return 'a commit with offsets beyond 2^53'
  if (durableOffset >= firstOffset) return 'a commit that calls its own entries durable'
  // A length takes a byte at least: a count that the bytes can't hold is refused before anything is made of that size.
  if (count > end - fields - 28) return 'a commit with more entries than lengths'
  const lengths = count < manyLengths ? new Array<number>(count) : new Uint32Array(count)
  let at = fields + 28
  let sum = count * recordHeaderBytes
  for (let index = 0; index < count; index++) {
    if (at >= end) return 'a commit whose lengths are not what it counts'
    let byte = bytes[at++] as number
    let length = byte & 0x7f
    // Most lengths have one byte or two: these take no multiplication.
    if (byte >= 0x80 && at < end) {
      const second = bytes[at] as number
      if (second > 0 && second < 0x80) {
        length |= second << 7
        byte = second
        at++
      }
    }
    for (let factor = 0x80; byte >= 0x80; factor *= 0x80) {
      if (at >= end || factor > 0x1000_0000) return 'a commit whose lengths are not what it counts'
      byte = bytes[at++] as number
      length += (byte & 0x7f) * factor
      if (byte === 0) return 'a commit with a length that is not in its shortest form'
    }
    lengths[index] = length
    sum += length
  }
  if (at !== end) return 'a commit whose lengths are not what it counts'
  if (sum !== bodyBytes) return 'a commit whose lengths do not add up to its body'
  return { kind: 'commit', firstOffset, bodyBytes, headersCrc, durableOffset, lengths }
}

export type HeaderResult =
  | { readonly found: 'header'; readonly header: SegmentHeader; readonly frame: ControlFrame }
  | { readonly found: 'nothing' | 'unsupported' | 'contradiction'; readonly why: string }

/** The header of a segment: `bytes` begin with the file, and `left` bytes the file has in all. */
export function readSegmentHeader(bytes: Uint8Array, left: number): HeaderResult {
  const framed = readControlFrame(bytes, 0, bytes.length, left)
  if (framed.found === 'more') return { found: 'nothing', why: 'the first record is no segment header' }
  if (framed.found === 'nothing') return framed
  const read = readControlContent(bytes, 0, framed.frame)
  if (read.found !== 'content') return read
  if (read.content.kind !== 'segmentHeader') return { found: 'nothing', why: 'the first record is no segment header' }
  if (framed.frame.lowOffset !== lowHalf(read.content.firstOffset)) {
    return { found: 'nothing', why: "the segment header's Offset field does not fit" }
  }
  return { found: 'header', header: read.content, frame: framed.frame }
}

/** Kind, version and flags of a header that does not cut, as one number. */
const usualKind = (kinds.segmentHeader << 24) | (formatVersion << 16)

/**
 * Reads the headers of many segments, one after the other in the same memory, as `readSegmentHeader` does. A process that has just begun has none of
 * this compiled: what counts there is how few steps it takes, and that as many as possible are calls of what is.
 */
export class SegmentHeaderReader {
  /** What is to be read: a header, and no less. */
  readonly bytes: Uint8Array
  readonly #buffer: Buffer
  readonly #record: DataView
  readonly #fields: DataView
  readonly #payload: Uint8Array

  constructor() {
    const buffer = Buffer.from(new ArrayBuffer(segmentHeaderBytes))
    this.bytes = buffer
    this.#buffer = buffer
    this.#record = new DataView(buffer.buffer)
    this.#fields = new DataView(buffer.buffer, recordHeaderBytes + commonBytes)
    this.#payload = buffer.subarray(recordHeaderBytes)
  }

  read(left: number): HeaderResult {
    const record = this.#record
    const crc = record.getUint32(5)
    const isUsual =
      record.getUint8(4) === controlType &&
      record.getUint32(recordHeaderBytes) === payloadBytes.segmentHeader - 4 &&
      record.getUint32(recordHeaderBytes + 4) === usualKind &&
      left >= segmentHeaderBytes &&
      zlibCrc32(this.#payload) === crc
    const header = isUsual ? headerFields(this.#fields, this.#buffer.toString('hex', recordHeaderBytes + commonBytes, recordHeaderBytes + commonBytes + 16), false) : undefined
    // Whatever is not as it is as a rule is told as it is of any header.
    if (header === undefined || contradictionIn(header) !== undefined || record.getUint32(0) !== lowHalf(header.firstOffset)) return readSegmentHeader(this.bytes, left)
    const frame: ControlFrame = {
      bytes: segmentHeaderBytes,
      lowOffset: record.getUint32(0),
      crc,
      kind: kinds.segmentHeader,
      version: formatVersion,
      flags: 0,
      salt: this.#buffer.toString('hex', saltAt, saltAt + saltBytes),
      previous: record.getUint32(saltAt + saltBytes),
    }
    return { found: 'header', header, frame }
  }
}

/** The chain of control records of one segment, as its writer goes on with it. */
export class ControlChain {
  readonly #salt: Uint8Array
  #previous: number

  /** @param previous CRC field of the control record before the next one. */
  constructor(salt: Uint8Array, previous: number) {
    this.#salt = salt
    this.#previous = previous
  }

  /** As hexadecimal digits. */
  get salt(): string {
    return hex(this.#salt, 0, saltBytes)
  }

  /** CRC field of the newest control record that was written. */
  get previous(): number {
    return this.#previous
  }

  /** Makes `record` the newest of the chain, once it is written: one that failed must leave no trace. */
  advance(record: Uint8Array): void {
    this.#previous = readU32(record, 5)
  }

  segmentHeader(header: Omit<SegmentHeader, 'kind'>): Uint8Array {
    const record = this.#record(kinds.segmentHeader, header.cut ? kindFlag : 0, payloadBytes.segmentHeader)
    const fields = recordHeaderBytes + commonBytes
    record.set(fromHex(header.logId), fields)
    writeU64(record, fields + 16, header.segmentId)
    writeU64(record, fields + 24, header.previousSegmentId)
    writeU64(record, fields + 32, header.firstOffset)
    writeU64(record, fields + 40, header.lowWaterMark)
    writeU64(record, fields + 48, header.createdMs)
    return seal(record, header.firstOffset)
  }

  commit(commit: Omit<Commit, 'kind' | 'lengths'> & { readonly lengths: ArrayLike<number> }): Uint8Array {
    const { lengths } = commit
    const count = lengths.length
    let lengthsBytes = 0
    for (let index = 0; index < count; index++) lengthsBytes += leb128Bytes(lengths[index] as number)
    const record = this.#record(kinds.commit, 0, payloadBytes.commit + lengthsBytes)
    const fields = recordHeaderBytes + commonBytes
    writeU64(record, fields, commit.firstOffset)
    writeU32(record, fields + 8, count)
    writeU32(record, fields + 12, commit.bodyBytes)
    writeU32(record, fields + 16, commit.headersCrc)
    writeU64(record, fields + 20, commit.durableOffset)
    let at = fields + 28
    for (let index = 0; index < count; index++) at = writeLeb128(record, at, lengths[index] as number)
    return seal(record, commit.firstOffset)
  }

  close(close: Omit<Close, 'kind'>): Uint8Array {
    const record = this.#record(kinds.close, close.clean ? kindFlag : 0, payloadBytes.close)
    writeU64(record, recordHeaderBytes + commonBytes, close.lastOffset)
    writeU64(record, recordHeaderBytes + commonBytes + 8, close.durableOffset)
    return seal(record, close.lastOffset + 1)
  }

  lowWaterMark(firstWanted: number, nextOffset: number): Uint8Array {
    const record = this.#record(kinds.lowWaterMark, 0, payloadBytes.lowWaterMark)
    writeU64(record, recordHeaderBytes + commonBytes, firstWanted)
    return seal(record, nextOffset)
  }

  durableMark(durableOffset: number, nextOffset: number): Uint8Array {
    const record = this.#record(kinds.durableMark, 0, payloadBytes.durableMark)
    writeU64(record, recordHeaderBytes + commonBytes, durableOffset)
    return seal(record, nextOffset)
  }

  /** A record of `payload` bytes with all but its own fields, its offset and its CRC filled in. */
  #record(kind: number, flags: number, payload: number): Uint8Array {
    const record = new Uint8Array(recordHeaderBytes + payload)
    writeU32(record, recordHeaderBytes, payload - 4)
    record[recordHeaderBytes + 4] = kind
    record[recordHeaderBytes + 5] = formatVersion
    writeU16(record, recordHeaderBytes + 6, flags)
    record.set(this.#salt, saltAt)
    writeU32(record, saltAt + saltBytes, this.#previous)
    return record
  }
}

function seal(record: Uint8Array, nextOffset: number): Uint8Array {
  writeRecordHeader(record, 0, nextOffset, controlType, crc32(record, recordHeaderBytes))
  return record
}

/** Bytes that a length takes in a commit. */
export function leb128Bytes(value: number): number {
  let bytes = 1
  for (let rest = value; rest >= 0x80; rest >>>= 7) bytes++
  return bytes
}

function writeLeb128(bytes: Uint8Array, at: number, value: number): number {
  let rest = value
  while (rest >= 0x80) {
    bytes[at++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  bytes[at++] = rest
  return at
}

/** One flat string: digits put together one by one are a string of strings, which headers that are kept would keep. */
export function hex(bytes: Uint8Array, at: number, length: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + at, length).toString('hex')
}

export function fromHex(text: string): Uint8Array {
  return Uint8Array.from({ length: text.length / 2 }, (_, index) => Number.parseInt(text.slice(index * 2, index * 2 + 2), 16))
}
