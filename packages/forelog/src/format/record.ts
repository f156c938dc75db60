/**
 * The record: what every byte of a segment belongs to, in both formats. Big endian, as the Go library writes it.
 *
 *     ┌─────────────┬───────────┬──────────┬─────────┐
 *     │ Offset (4B) │ Type (1B) │ CRC (4B) │ Payload │
 *     └─────────────┴───────────┴──────────┴─────────┘
 *
 * Offset is the low half of the entry's number, CRC the CRC-32 of the payload alone. There is no length: format 1 asks
 * the entry type where the payload ends, format 2 says it in the commit in front of the records.
 */

/** 1: the Go library's files. 2: the same records, and control records between them. */
export type Format = 1 | 2

export const recordHeaderBytes = 9

/** Type of the control records of format 2, which applications can't use there. */
export const controlType = 255

/** The last offset that format 1 can hold: there is no wrap behind it. */
export const lastOffsetOfFormat1 = 0xffff_ffff

/** The largest offset: every number up to it is exact. */
export const lastOffsetOfFormat2: number = Number.MAX_SAFE_INTEGER

const two32 = 0x1_0000_0000

export function readU16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number)
}

export function readU32(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] as number) << 24) | ((bytes[at + 1] as number) << 16) | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number)) >>> 0
  )
}

/** A u64 as a number: not exact above `Number.MAX_SAFE_INTEGER`, which every caller refuses. */
export function readU64(bytes: Uint8Array, at: number): number {
  return readU32(bytes, at) * two32 + readU32(bytes, at + 4)
}

export function writeU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8
  bytes[at + 1] = value
}

export function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
}

export function writeU64(bytes: Uint8Array, at: number, value: number): void {
  writeU32(bytes, at, Math.floor(value / two32))
  writeU32(bytes, at + 4, value >>> 0)
}

/** The low half of an offset, as a record's Offset field has it. */
export function lowHalf(offset: number): number {
  return offset >>> 0
}

/** The smallest offset at or above `floor` that has these low 32 bits. */
export function offsetFromLowHalf(low: number, floor: number): number {
  const high = Math.floor(floor / two32)
  const candidate = high * two32 + low
  return candidate >= floor ? candidate : candidate + two32
}

export function writeRecordHeader(bytes: Uint8Array, at: number, offset: number, type: number, crc: number): void {
  writeU32(bytes, at, lowHalf(offset))
  bytes[at + 4] = type
  writeU32(bytes, at + 5, crc)
}

/** A run of entry records, found and checked: what readers decode. */
export interface RecordRun {
  /** Holds the records; it is used again for later runs. */
  readonly bytes: Uint8Array
  /** Index of the first record's header in `bytes`; where there are `starts`, of the place that they count from. */
  readonly at: number
  readonly firstOffset: number
  /** Where the header of each record is, from `at` on. Absent: they stand one behind the other. */
  readonly starts?: ArrayLike<number> | undefined
  /** Payload bytes of each record: its header is `recordHeaderBytes` in front of it. */
  readonly lengths: ArrayLike<number>
  /** Where `at` is in the file. */
  readonly position: number
  /** All payloads are known to be ASCII. */
  readonly ascii: boolean
}
