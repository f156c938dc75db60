/**
 * The kernel: CRC-32 and the records of a group, in WebAssembly. The language is AssemblyScript, a dialect of TypeScript.
 *
 * It works on copies in a memory of fixed size, which holds nothing between two calls but the tables:
 *
 *     tables    16 KiB    of the checksum, made when the module starts
 *     lengths   128 KiB   payload bytes of each record, u32 little endian
 *     staging   256 KiB   records, one behind the other, as docs/FORMAT.md has them
 *
 * Whoever calls keeps within these: nothing is checked here. The plain TypeScript that does the same, and that this is
 * tested against, is in src/format/kernel.ts, with the measurements that decided between the two.
 */

const tables: usize = 1024
const lengths: usize = tables + 16 * 1024
const staging: usize = lengths + 128 * 1024

export const lengthsAt: u32 = <u32>lengths
export const lengthsMost: u32 = 32 * 1024
export const stagingAt: u32 = <u32>staging
export const stagingBytes: u32 = 256 * 1024

/** Where the last `verify` or `seal` left the CRC of the headers. */
export let headersCrc: u32 = 0

/** Whether all payloads that the last `verify` found to hold were ASCII: 1 or 0. */
export let ascii: u32 = 0

const recordHeaderBytes: usize = 9
const controlType: u8 = 255

// tables[n][b]: what byte b does to the register when n more bytes follow.
for (let byte: u32 = 0; byte < 256; byte++) {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) != 0 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  store<u32>(tables + (byte << 2), crc)
}
for (let place: usize = 1024; place < 16 * 1024; place += 4) {
  const crc = load<u32>(tables + place - 1024)
  store<u32>(tables + place, (crc >>> 8) ^ load<u32>(tables + ((crc & 0xff) << 2)))
}

// @ts-ignore: decorator
@inline
function look(table: usize, byte: u32): u32 {
  return load<u32>(tables + (table << 10) + ((byte & 0xff) << 2))
}

/** Four bytes, of which the last one has `behind` more behind it. */
// @ts-ignore: decorator
@inline
function fold(word: u32, behind: usize): u32 {
  return look(behind + 3, word) ^ look(behind + 2, word >>> 8) ^ look(behind + 1, word >>> 16) ^ look(behind, word >>> 24)
}

/** The register behind `length` bytes, by 16 at a time. */
// @ts-ignore: decorator
@inline
function run(at: usize, length: u32, register: u32): u32 {
  let left = length
  while (left >= 16) {
    register = fold(load<u32>(at) ^ register, 12) ^ fold(load<u32>(at, 4), 8) ^ fold(load<u32>(at, 8), 4) ^ fold(load<u32>(at, 12), 0)
    at += 16
    left -= 16
  }
  if (left >= 8) {
    register = fold(load<u32>(at) ^ register, 4) ^ fold(load<u32>(at, 4), 0)
    at += 8
    left -= 8
  }
  if (left >= 4) {
    register = fold(load<u32>(at) ^ register, 0)
    at += 4
    left -= 4
  }
  while (left > 0) {
    register = (register >>> 8) ^ look(0, register ^ load<u8>(at))
    at++
    left--
  }
  return register
}

/** Not 0 where a byte above 127 stands. */
// @ts-ignore: decorator
@inline
function highBits(at: usize, length: u32): u64 {
  let left = length
  let bits: u64 = 0
  while (left >= 16) {
    bits |= load<u64>(at) | load<u64>(at, 8)
    at += 16
    left -= 16
  }
  if (left >= 8) {
    bits |= load<u64>(at)
    at += 8
    left -= 8
  }
  while (left > 0) {
    bits |= load<u8>(at)
    at++
    left--
  }
  return bits & 0x8080808080808080
}

/** The 9 bytes of a record's header: eight and one. */
// @ts-ignore: decorator
@inline
function runHeader(at: usize, register: u32): u32 {
  const eight = fold(load<u32>(at) ^ register, 4) ^ fold(load<u32>(at, 4), 0)
  return (eight >>> 8) ^ look(0, eight ^ load<u8>(at, 8))
}

/**
 * Checks `count` records: that they have the offsets from `lowOffset` on, no type of control records, and the CRCs of their
 * payloads. How many of them hold; `headersCrc` is then that of those before and these, and `ascii` says what the payloads are.
 */
export function verify(count: u32, lowOffset: u32, crcBefore: u32): u32 {
  let register = ~crcBefore
  let high: u64 = 0
  let at = staging
  for (let index: u32 = 0; index < count; index++) {
    const length = load<u32>(lengths + (index << 2))
    const payload = at + recordHeaderBytes
    if (bswap(load<u32>(at)) != lowOffset + index || load<u8>(at, 4) == controlType) return index
    if (~run(payload, length, 0xffffffff) != bswap(load<u32>(at, 5))) return index
    high |= highBits(payload, length)
    register = runHeader(at, register)
    at = payload + length
  }
  headersCrc = ~register
  ascii = high == 0 ? 1 : 0
  return count
}

/** Fills in the headers of `count` records whose types and payloads are there, and goes on with the CRC of the headers. */
export function seal(count: u32, lowOffset: u32, crcBefore: u32): void {
  let register = ~crcBefore
  let at = staging
  for (let index: u32 = 0; index < count; index++) {
    const length = load<u32>(lengths + (index << 2))
    const payload = at + recordHeaderBytes
    store<u32>(at, bswap(lowOffset + index))
    store<u32>(at, bswap(~run(payload, length, 0xffffffff)), 5)
    register = runHeader(at, register)
    at = payload + length
  }
  headersCrc = ~register
}
