/**
 * The kernel: CRC-32 and the records of a group, in WebAssembly. The language is AssemblyScript, a dialect of TypeScript.
 *
 * It works on copies in a memory of fixed size, which holds nothing between two calls but the tables:
 *
 *     tables    16 KiB    of the checksum, made when the module starts
 *     lengths   128 KiB   payload bytes of each record, u32 little endian; and what else `walk` found
 *     staging   256 KiB   records, one behind the other, as docs/FORMAT.md has them; behind the first 64 KiB what `decode` or `list` makes of them
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

/** `walk` takes so many records and groups at the most. */
export const walkRecordsMost: u32 = 8 * 1024
export const walkGroupsMost: u32 = 1024
/** Where `walk` leaves the place of each record, from the beginning of the staging area: u32, behind the lengths. */
const starts: usize = lengths + 4 * <usize>walkRecordsMost
export const startsAt: u32 = <u32>starts
/** Where it leaves five u32 for each group: its place, `previous` of its commit, its count, and its durable offset, high half first. */
const groups: usize = starts + 4 * <usize>walkRecordsMost
export const groupsAt: u32 = <u32>groups
const groupBytes: usize = 20

/** Where the last `verify` or `seal` left the CRC of the headers. */
export let headersCrc: u32 = 0

/** `decode` and `list` take so many bytes of records at the most, and leave their texts behind them. */
export const textBytesMost: u32 = 64 * 1024
const texts: usize = staging + <usize>textBytesMost
export const textsAt: u32 = <u32>texts

/** Whether the last `decode` stopped in front of a text that has a unit above 255. */
export let wide: u32 = 0

/** Where the text ends that the last `list` made. */
export let listedBytes: u32 = 0

/** Whether all payloads that the last `verify` or `walk` found to hold were ASCII: 1 or 0. */
export let ascii: u32 = 0

/** What the last `walk` went over: bytes, records that it verified, and the CRC field of the last commit. */
export let walkedBytes: u32 = 0
export let walkedRecords: u32 = 0
export let walkedPrevious: u32 = 0

const recordHeaderBytes: usize = 9
const controlType: u8 = 255
const commitKind: u8 = 2
const formatVersion: u8 = 2
/** Where a commit has its lengths, from its first byte. */
const commitLengthsAt: usize = 57
/** The last offset that there is. */
const lastOffset: u64 = (1 << 53) - 1

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

/**
 * Four bytes, of which the last one has `behind` more behind it. The place of a byte in a table takes one shift and one mask, and where the table lies is
 * part of the instruction that loads, which wants a constant: hence four functions. That is 3 instructions for a byte instead of 5.
 */
// @ts-ignore: decorator
@inline
function fold12(word: u32): u32 {
  return (
    (load<u32>((word << 2) & 0x3fc, tables + 15 * 1024) ^ load<u32>((word >>> 6) & 0x3fc, tables + 14 * 1024)) ^
    (load<u32>((word >>> 14) & 0x3fc, tables + 13 * 1024) ^ load<u32>((word >>> 22) & 0x3fc, tables + 12 * 1024))
  )
}

// @ts-ignore: decorator
@inline
function fold8(word: u32): u32 {
  return (
    (load<u32>((word << 2) & 0x3fc, tables + 11 * 1024) ^ load<u32>((word >>> 6) & 0x3fc, tables + 10 * 1024)) ^
    (load<u32>((word >>> 14) & 0x3fc, tables + 9 * 1024) ^ load<u32>((word >>> 22) & 0x3fc, tables + 8 * 1024))
  )
}

// @ts-ignore: decorator
@inline
function fold4(word: u32): u32 {
  return (
    (load<u32>((word << 2) & 0x3fc, tables + 7 * 1024) ^ load<u32>((word >>> 6) & 0x3fc, tables + 6 * 1024)) ^
    (load<u32>((word >>> 14) & 0x3fc, tables + 5 * 1024) ^ load<u32>((word >>> 22) & 0x3fc, tables + 4 * 1024))
  )
}

// @ts-ignore: decorator
@inline
function fold0(word: u32): u32 {
  return (
    (load<u32>((word << 2) & 0x3fc, tables + 3 * 1024) ^ load<u32>((word >>> 6) & 0x3fc, tables + 2 * 1024)) ^
    (load<u32>((word >>> 14) & 0x3fc, tables + 1 * 1024) ^ load<u32>((word >>> 22) & 0x3fc, tables + 0 * 1024))
  )
}

/** The register behind `length` bytes, by 16 at a time. */
// @ts-ignore: decorator
@inline
function run(at: usize, length: u32, register: u32): u32 {
  let left = length
  while (left >= 16) {
    register = fold12(load<u32>(at) ^ register) ^ fold8(load<u32>(at, 4)) ^ fold4(load<u32>(at, 8)) ^ fold0(load<u32>(at, 12))
    at += 16
    left -= 16
  }
  if (left >= 8) {
    register = fold4(load<u32>(at) ^ register) ^ fold0(load<u32>(at, 4))
    at += 8
    left -= 8
  }
  if (left >= 4) {
    register = fold0(load<u32>(at) ^ register)
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
  const eight = fold4(load<u32>(at) ^ register) ^ fold0(load<u32>(at, 4))
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

/** A big-endian u64. */
// @ts-ignore: decorator
@inline
function load64(at: usize): u64 {
  return bswap(load<u64>(at))
}

/**
 * Goes from commit to commit in the first `bytes` of the staging area, as long as all is as it must be: the chain, the fields, the lengths,
 * and the records of groups that reach beyond `from`. Stops in front of what is anything else, is not there to its end, or begins behind
 * `last`: somebody else finds out what it is. How many groups it went over.
 */
export function walk(
  bytes: u32,
  nextHigh: u32,
  nextLow: u32,
  saltHigh: u32,
  saltLow: u32,
  previousCrc: u32,
  fromHigh: u32,
  fromLow: u32,
  lastHigh: u32,
  lastLow: u32,
): u32 {
  let next = (<u64>nextHigh << 32) | <u64>nextLow
  const from = (<u64>fromHigh << 32) | <u64>fromLow
  const last = (<u64>lastHigh << 32) | <u64>lastLow
  const salt = bswap((<u64>saltHigh << 32) | <u64>saltLow)
  let previous = previousCrc
  let at = staging
  const end = staging + <usize>bytes
  let count: u32 = 0
  let records: u32 = 0
  let high: u64 = 0
  while (count < walkGroupsMost) {
    const left = end - at
    if (next > last || left <= commitLengthsAt || load<u8>(at, 4) != controlType) break
    const control = <usize>bswap(load<u32>(at, 9)) + 13
    if (control <= commitLengthsAt || control > left) break
    // Kind, version, and no flags; the salt and the chain; the offset, twice.
    if (load<u8>(at, 13) != commitKind || load<u8>(at, 14) != formatVersion || load<u16>(at, 15) != 0) break
    if (load<u64>(at, 17) != salt || bswap(load<u32>(at, 25)) != previous) break
    if (load64(at + 29) != next || bswap(load<u32>(at)) != <u32>next) break
    const groupRecords = bswap(load<u32>(at, 37))
    const bodyBytes = <usize>bswap(load<u32>(at, 41))
    if (groupRecords == 0 || groupRecords > walkRecordsMost - records || bodyBytes > left - control) break
    if (next + <u64>groupRecords - 1 > lastOffset || load64(at + 49) >= next) break
    const crc = bswap(load<u32>(at, 5))
    if (~run(at + recordHeaderBytes, <u32>(control - recordHeaderBytes), 0xffffffff) != crc) break

    // The lengths, in their shortest form: a body of this size has none of more than three bytes.
    let lengthAt = at + commitLengthsAt
    const body = at + control
    let sum: usize = 0
    let read: u32 = 0
    for (; read < groupRecords && lengthAt < body; read++) {
      let byte = <u32>load<u8>(lengthAt++)
      let length = byte & 0x7f
      if (byte >= 0x80) {
        if (lengthAt == body) break
        byte = <u32>load<u8>(lengthAt++)
        length |= (byte & 0x7f) << 7
        if (byte >= 0x80) {
          if (lengthAt == body) break
          byte = <u32>load<u8>(lengthAt++)
          length |= byte << 14
        }
        if (byte == 0 || byte >= 0x80) break
      }
      const record = (records + read) << 2
      store<u32>(lengths + record, length)
      store<u32>(starts + record, <u32>(body + sum - staging))
      sum += recordHeaderBytes + <usize>length
      if (sum > bodyBytes) break
    }
    if (read != groupRecords || lengthAt != body || sum != bodyBytes) break

    if (next + <u64>groupRecords > from) {
      let register: u32 = 0xffffffff
      let record = body
      let index: u32 = 0
      let seen: u64 = 0
      for (; index < groupRecords; index++) {
        const length = load<u32>(lengths + ((records + index) << 2))
        const payload = record + recordHeaderBytes
        if (bswap(load<u32>(record)) != <u32>next + index || load<u8>(record, 4) == controlType) break
        if (~run(payload, length, 0xffffffff) != bswap(load<u32>(record, 5))) break
        seen |= highBits(payload, length)
        register = runHeader(record, register)
        record = payload + length
      }
      if (index != groupRecords || ~register != bswap(load<u32>(at, 45))) break
      high |= seen
      records += groupRecords
    }
    const place = groups + <usize>count * groupBytes
    store<u32>(place, <u32>(at - staging))
    store<u32>(place, previous, 4)
    store<u32>(place, groupRecords, 8)
    store<u32>(place, bswap(load<u32>(at, 49)), 12)
    store<u32>(place, bswap(load<u32>(at, 53)), 16)
    count++
    next += <u64>groupRecords
    previous = crc
    at = body + bodyBytes
  }
  walkedBytes = <u32>(at - staging)
  walkedRecords = records
  walkedPrevious = previous
  ascii = high == 0 ? 1 : 0
  return count
}

/** Four bytes below 128 as four units of 16 bits. */
// @ts-ignore: decorator
@inline
function spread(four: u64): u64 {
  const two = (four | (four << 16)) & 0x0000ffff0000ffff
  return (two | (two << 8)) & 0x00ff00ff00ff00ff
}

/** The six bits of a byte that continues a character; above 63 where it is none, or where there is none in front of `end`. */
// @ts-ignore: decorator
@inline
function continued(at: usize, end: usize): u32 {
  return at < end ? <u32>load<u8>(at) ^ 0x80 : 0xff
}

/**
 * Makes text of `count` payloads of UTF-8, one behind the other, in units of a byte (Latin-1) or of two (UTF-16): payload `n` begins
 * `starts[n]` behind the beginning of the staging area and has `lengths[n]` bytes. Stops in front of one that is not valid UTF-8, and
 * in units of a byte in front of one that needs two. How many it took; `lengths[n]` is then the number of units up to the end of text `n`.
 */
export function decode(count: u32, inTwo: u32): u32 {
  const shift: usize = inTwo != 0 ? 1 : 0
  let out = texts
  wide = 0
  for (let index: u32 = 0; index < count; index++) {
    const slot = <usize>index << 2
    let at = staging + <usize>load<u32>(starts + slot)
    const end = at + <usize>load<u32>(lengths + slot)
    while (at < end) {
      while (at + 8 <= end) {
        const eight = load<u64>(at)
        if ((eight & 0x8080808080808080) != 0) break
        if (shift == 0) {
          store<u64>(out, eight)
        } else {
          store<u64>(out, spread(eight & 0xffffffff))
          store<u64>(out, spread(eight >> 32), 8)
        }
        at += 8
        out += <usize>8 << shift
      }
      if (at == end) break
      // One character: its shortest form, no surrogate, nothing behind the last character that there is.
      let character = <u32>load<u8>(at)
      if (character >= 0x80) {
        const second = continued(at + 1, end)
        if (character < 0xc2 || character > 0xf4 || second > 63) return index
        if (character < 0xe0) {
          character = ((character & 0x1f) << 6) | second
          at += 1
        } else {
          const third = continued(at + 2, end)
          if (third > 63) return index
          if (character < 0xf0) {
            character = ((character & 0xf) << 12) | (second << 6) | third
            if (character < 0x800 || (character & 0xf800) == 0xd800) return index
            at += 2
          } else {
            const fourth = continued(at + 3, end)
            if (fourth > 63) return index
            character = ((character & 7) << 18) | (second << 12) | (third << 6) | fourth
            if (character < 0x10000 || character > 0x10ffff) return index
            at += 3
          }
        }
      }
      at += 1
      if (shift == 0) {
        if (character > 0xff) {
          wide = 1
          return index
        }
        store<u8>(out, <u8>character)
        out += 1
      } else if (character < 0x10000) {
        store<u16>(out, <u16>character)
        out += 2
      } else {
        store<u16>(out, <u16>(0xd7c0 + (character >> 10)))
        store<u16>(out, <u16>(0xdc00 | (character & 0x3ff)), 2)
        out += 4
      }
    }
    store<u32>(lengths + slot, <u32>((out - texts) >> shift))
  }
  return count
}

/** A bit for each of 64 bytes. */
// @ts-ignore: decorator
@inline
function bitsOf(first: v128, second: v128, third: v128, fourth: v128): u64 {
  return (
    (<u64>(<u32>i8x16.bitmask(first) | (<u32>i8x16.bitmask(second) << 16))) | (<u64>(<u32>i8x16.bitmask(third) | (<u32>i8x16.bitmask(fourth) << 16)) << 32)
  )
}

/** Of 64 bytes, those that are this one. */
// @ts-ignore: decorator
@inline
function bitsOfByte(byte: u8, first: v128, second: v128, third: v128, fourth: v128): u64 {
  const all = i8x16.splat(byte)
  return bitsOf(i8x16.eq(first, all), i8x16.eq(second, all), i8x16.eq(third, all), i8x16.eq(fourth, all))
}

/**
 * Makes one list of JSON of `count` payloads, which lie as for `decode`. Stops in front of one that has another type in the header before it
 * than `type`, that is not ASCII, that ends within a string, or whose brackets outside of strings do not cancel out. How many it took.
 *
 * So the commas that stand between the payloads are in no string and in no bracket but the outermost, and that is closed by none of what is
 * valid. Where the text is valid JSON, and has as many elements as payloads were taken, each payload is the text of one of them.
 */
export function list(count: u32, type: u32): u32 {
  let out = texts
  store<u8>(out, 0x5b)
  out += 1
  listedBytes = 1
  const bracketBit = i8x16.splat(0x20)
  for (let index: u32 = 0; index < count; index++) {
    const slot = <usize>index << 2
    let at = staging + <usize>load<u32>(starts + slot)
    let left = load<u32>(lengths + slot)
    // The first payload has no header before it here.
    if (index > 0 && load<u8>(at - 5) != type) return index
    // All ones or none: whether what is next is in a string.
    let within: u64 = 0
    let escaped: u64 = 0
    let depth: i32 = 0
    while (left > 0) {
      const first = v128.load(at)
      const second = v128.load(at, 16)
      const third = v128.load(at, 32)
      const fourth = v128.load(at, 48)
      // What lies behind the payload is copied too, and written over by what comes next.
      v128.store(out, first)
      v128.store(out, second, 16)
      v128.store(out, third, 32)
      v128.store(out, fourth, 48)
      const seen: u64 = left >= 64 ? 0xffffffffffffffff : (<u64>1 << left) - 1
      if ((bitsOf(first, second, third, fourth) & seen) != 0) return index
      let quotes = bitsOfByte(0x22, first, second, third, fourth) & seen
      const backslashes = bitsOfByte(0x5c, first, second, third, fourth) & seen
      if ((backslashes | escaped) != 0) {
        // Every second one of a row of backslashes escapes what is behind it.
        const odd: u64 = 0xaaaaaaaaaaaaaaaa
        const begins = backslashes & ~escaped
        const rows = (((begins << 1) | odd) - begins) ^ odd
        quotes &= ~(rows ^ (backslashes | escaped))
        escaped = (rows & backslashes) >> 63
      }
      let strings = quotes ^ (quotes << 1)
      strings ^= strings << 2
      strings ^= strings << 4
      strings ^= strings << 8
      strings ^= strings << 16
      strings ^= strings << 32
      strings ^= within
      within = <u64>(<i64>strings >> 63)
      const outside = seen & ~strings
      // Both kinds of brackets: they differ in one bit, which no other two bytes that become these differ in.
      const a = v128.or(first, bracketBit)
      const b = v128.or(second, bracketBit)
      const c = v128.or(third, bracketBit)
      const d = v128.or(fourth, bracketBit)
      depth += <i32>popcnt(bitsOfByte(0x7b, a, b, c, d) & outside) - <i32>popcnt(bitsOfByte(0x7d, a, b, c, d) & outside)
      const step = left >= 64 ? 64 : left
      at += step
      out += step
      left -= step
    }
    if (within != 0 || depth != 0) return index
    store<u8>(out, 0x2c)
    out += 1
    listedBytes = <u32>(out - texts)
  }
  return count
}
