/**
 * A part of a large group that can be read alone, once the whole group was verified.
 *
 * What a group's commit vouches for is the CRC over the headers of all its records, and through them every payload. Remembered at some places
 * in the middle, that CRC vouches for the headers in between two of them:
 *
 *     commit │ lengths ……… ▓▓▓▓▓ ……… │ record │ record │ record │ record │ record │ record │ record │
 *                                             ▲                                   ▲
 *                                         crcBefore                           crcBehind
 *
 * Then what is read again to hand out one entry is a block, and not the group: its lengths, its records, and of the payloads that of the entry.
 */
import { crc32 } from './checksum.js'
import { leb128Bytes } from './control-record.js'
import { controlType, lowHalf, readU32, recordHeaderBytes } from './record.js'

/** Bytes of a block at the least, but for the last one of a group. */
const leastBlockBytes = 16 * 1024

export interface GroupBlock {
  readonly firstOffset: number
  readonly count: number
  /** Its records in the file. */
  readonly position: number
  readonly bytes: number
  /** Their lengths in the file, as the commit has them. */
  readonly lengthsPosition: number
  readonly lengthsBytes: number
  /** CRC over the headers of the group's records in front of it, and to its end. */
  readonly crcBefore: number
  readonly crcBehind: number
}

/** The blocks of a group that was verified: its records are at `at` in `bytes`, and at `position` in the file, its lengths right in front of them. */
export function blocksOf(bytes: Uint8Array, at: number, position: number, firstOffset: number, lengths: ArrayLike<number>): GroupBlock[] {
  const blocks: GroupBlock[] = []
  let lengthsPosition = position
  for (let index = 0; index < lengths.length; index++) lengthsPosition -= leb128Bytes(lengths[index] as number)
  let headersCrc = 0
  let begin = { index: 0, from: at, lengthsPosition, crc: 0 }
  let from = at
  for (let index = 0; index < lengths.length; index++) {
    const length = lengths[index] as number
    headersCrc = crc32(bytes, from, from + recordHeaderBytes, headersCrc)
    from += recordHeaderBytes + length
    lengthsPosition += leb128Bytes(length)
    if (from - begin.from < leastBlockBytes && index + 1 < lengths.length) continue
    blocks.push({
      firstOffset: firstOffset + begin.index,
      count: index + 1 - begin.index,
      position: position + begin.from - at,
      bytes: from - begin.from,
      lengthsPosition: begin.lengthsPosition,
      lengthsBytes: lengthsPosition - begin.lengthsPosition,
      crcBefore: begin.crc,
      crcBehind: headersCrc,
    })
    begin = { index: index + 1, from, lengthsPosition, crc: headersCrc }
  }
  return blocks
}

/** Where an entry's payload is in the bytes of its block, and its type; undefined where anything is not as it was. */
export function findInBlock(block: GroupBlock, bytes: Uint8Array, lengths: Uint8Array, offset: number): { readonly type: number; readonly from: number; readonly to: number } | undefined {
  let found: { readonly type: number; readonly from: number; readonly to: number } | undefined
  let headersCrc = block.crcBefore
  let at = 0
  let lengthAt = 0
  for (let entry = block.firstOffset; entry < block.firstOffset + block.count; entry++) {
    let length = 0
    for (let factor = 1, byte = 0x80; byte >= 0x80; factor *= 0x80) {
      if (lengthAt === lengths.length) return undefined
      byte = lengths[lengthAt++] as number
      length += (byte & 0x7f) * factor
    }
    const from = at + recordHeaderBytes
    const to = from + length
    if (to > bytes.length || readU32(bytes, at) !== lowHalf(entry) || bytes[at + 4] === controlType) return undefined
    headersCrc = crc32(bytes, at, from, headersCrc)
    if (entry === offset) {
      if (crc32(bytes, from, to) !== readU32(bytes, at + 5)) return undefined
      found = { type: bytes[at + 4] as number, from, to }
    }
    at = to
  }
  return at === bytes.length && lengthAt === lengths.length && headersCrc === block.crcBehind ? found : undefined
}
