/**
 * CRC-32 (IEEE 802.3, reflected, polynomial 0xEDB88320): the checksum of zlib, gzip and the Go library's records.
 */
import { crc32 as zlibCrc32 } from 'node:zlib'

const polynomial = 0xedb88320

/** Eight tables of 256: `tables[256 * n + byte]` is what a byte does to the register when n more bytes follow. */
const tables = new Int32Array(8 * 256)
for (let byte = 0; byte < 256; byte++) {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ polynomial : crc >>> 1
  tables[byte] = crc
}
for (let place = 256; place < tables.length; place++) {
  const crc = tables[place - 256] as number
  tables[place] = (crc >>> 8) ^ (tables[crc & 0xff] as number)
}

/** From this size on a call into zlib, which costs some 200 ns before it begins, is faster (bench/micro/checksum.ts). */
const zlibFromBytes = 256

/** The CRC-32 of `bytes[from, to)`; with `crc` that of what came before it and these bytes together. */
export function crc32(bytes: Uint8Array, from = 0, to: number = bytes.length, crc = 0): number {
  if (to - from >= zlibFromBytes) return zlibCrc32(bytes.subarray(from, to), crc)
  return crc32Plain(bytes, from, to, crc)
}

/** The same without a call out of JavaScript: eight bytes at a time, and what is left one by one. */
export function crc32Plain(bytes: Uint8Array, from: number, to: number, crc: number): number {
  let register = ~crc
  let at = from
  for (; at + 8 <= to; at += 8) {
    const four = register ^ ((bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 24))
    register =
      (tables[0x700 + (four & 0xff)] as number) ^
      (tables[0x600 + ((four >>> 8) & 0xff)] as number) ^
      (tables[0x500 + ((four >>> 16) & 0xff)] as number) ^
      (tables[0x400 + (four >>> 24)] as number) ^
      (tables[0x300 + (bytes[at + 4] as number)] as number) ^
      (tables[0x200 + (bytes[at + 5] as number)] as number) ^
      (tables[0x100 + (bytes[at + 6] as number)] as number) ^
      (tables[bytes[at + 7] as number] as number)
  }
  for (; at < to; at++) register = (register >>> 8) ^ (tables[(register ^ (bytes[at] as number)) & 0xff] as number)
  return ~register >>> 0
}

/** Which four bytes, as a big endian number, have to follow bytes with the CRC `crc` for all of them to have the CRC `wanted`. */
export function fourBytesFor(crc: number, wanted: number): number {
  // The register is shifted once for each of their bits: back again, and it is what it was before, changed by the bytes alone.
  let register = ~wanted
  for (let bit = 0; bit < 32; bit++) register = register < 0 ? ((register ^ polynomial) << 1) | 1 : register << 1
  const bytes = register ^ ~crc
  return (((bytes & 0xff) << 24) | ((bytes & 0xff00) << 8) | ((bytes >>> 8) & 0xff00) | (bytes >>> 24)) >>> 0
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
