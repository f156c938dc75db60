/**
 * CRC-32 (IEEE 802.3, reflected, polynomial 0xEDB88320): the checksum of zlib, gzip and the Go library's records.
 */
import { crc32 as zlibCrc32 } from 'node:zlib'

const polynomial = 0xedb88320

const table = Uint32Array.from({ length: 256 }, (_, index) => {
  let crc = index
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ polynomial : crc >>> 1
  return crc >>> 0
})

/** From this size on a call into zlib, which costs some 200 ns before it begins, is faster than the table. */
const zlibFromBytes = 96

/** The CRC-32 of `bytes[from, to)`; with `crc` that of what came before it and these bytes together. */
export function crc32(bytes: Uint8Array, from = 0, to: number = bytes.length, crc = 0): number {
  if (to - from >= zlibFromBytes) return zlibCrc32(bytes.subarray(from, to), crc)
  let register = ~crc
  for (let at = from; at < to; at++) register = (register >>> 8) ^ (table[(register ^ (bytes[at] as number)) & 0xff] as number)
  return ~register >>> 0
}

/** A place in a message: the byte, counted from its start, and the bit of that byte, 0 the lowest. */
export interface BitPlace {
  readonly byte: number
  readonly bit: number
}

/**
 * Which single flipped bit in a message of `length` bytes explains that its CRC comes out as `actual` and not `stored`;
 * undefined when none does.
 *
 * A CRC is linear: the difference of the two CRCs depends on the flipped bits alone, and for one bit it is the
 * polynomial, shifted on once for each bit behind it. So the difference is shifted back until the polynomial appears.
 */
export function flippedBitOf(actual: number, stored: number, length: number): BitPlace | undefined {
  let syndrome = (actual ^ stored) | 0
  if (syndrome === 0) return undefined
  for (let bitsBehind = 0; bitsBehind < length * 8; bitsBehind++) {
    if (syndrome === (polynomial | 0)) {
      return { byte: length - 1 - Math.floor(bitsBehind / 8), bit: 7 - (bitsBehind % 8) }
    }
    syndrome = syndrome < 0 ? ((syndrome ^ polynomial) << 1) | 1 : syndrome << 1
  }
  return undefined
}
