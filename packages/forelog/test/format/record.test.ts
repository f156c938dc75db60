import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  lowHalf,
  offsetFromLowHalf,
  readU16,
  readU32,
  readU64,
  writeRecordHeader,
  writeU16,
  writeU32,
  writeU64,
} from '../../src/format/record.js'
import { entryRecord, u16, u32, u64 } from '../support/reference-writer.js'

const two32 = 2 ** 32

describe('numbers in a record', () => {
  it('are big endian, whatever stands around them', () => {
    fc.assert(
      fc.property(fc.nat(0xffff), fc.nat(0xffff_ffff), fc.maxSafeNat(), fc.nat(9), (small, middle, large, at) => {
        const bytes = new Uint8Array(40).fill(0xee)
        writeU16(bytes, at, small)
        writeU32(bytes, at + 4, middle)
        writeU64(bytes, at + 12, large)
        expect(bytes.subarray(at, at + 2)).toEqual(u16(small))
        expect(bytes.subarray(at + 4, at + 8)).toEqual(u32(middle))
        expect(bytes.subarray(at + 12, at + 20)).toEqual(u64(large))
        expect([readU16(bytes, at), readU32(bytes, at + 4), readU64(bytes, at + 12)]).toEqual([small, middle, large])
        expect(bytes.subarray(at + 20).every((byte) => byte === 0xee)).toBe(true)
      }),
    )
  })

  it('reach up to the largest offset exactly, and what lies beyond reads as larger than that', () => {
    expect(readU64(u64(Number.MAX_SAFE_INTEGER), 0)).toBe(Number.MAX_SAFE_INTEGER)
    expect(readU64(u64(2n ** 53n), 0)).toBeGreaterThan(Number.MAX_SAFE_INTEGER)
    expect(readU64(u64(2n ** 64n - 1n), 0)).toBeGreaterThan(Number.MAX_SAFE_INTEGER)
  })
})

describe('a record header', () => {
  it('has the layout of the Go library: Offset, Type, CRC, big endian, nine bytes', () => {
    const bytes = new Uint8Array(11).fill(0x77)
    writeRecordHeader(bytes, 1, 0x01020304, 0xfe, 0xa1b2c3d4)
    expect(Buffer.from(bytes).toString('hex')).toBe('77' + '01020304' + 'fe' + 'a1b2c3d4' + '77')
  })

  it('has the low 32 bits of an offset that is larger', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), fc.nat(255), fc.nat(0xffff_ffff), (offset, type, crc) => {
        const bytes = new Uint8Array(9)
        writeRecordHeader(bytes, 0, offset, type, crc)
        expect(bytes).toEqual(entryRecord(offset, type, new Uint8Array(0), crc))
        expect(lowHalf(offset)).toBe(offset % two32)
      }),
    )
  })
})

describe('an offset told by its low half', () => {
  it('is the smallest one at or above a floor that has these 32 bits', () => {
    fc.assert(
      fc.property(fc.nat(0xffff_ffff), fc.nat(2 ** 40), (low, floor) => {
        const offset = offsetFromLowHalf(low, floor)
        expect(offset).toBeGreaterThanOrEqual(floor)
        expect(offset - floor).toBeLessThan(two32)
        expect(lowHalf(offset)).toBe(low)
      }),
    )
  })

  it('goes on behind 2^32', () => {
    expect(offsetFromLowHalf(0, two32 - 1)).toBe(two32)
    expect(offsetFromLowHalf(0xffff_ffff, two32 - 1)).toBe(two32 - 1)
    expect(offsetFromLowHalf(5, two32)).toBe(two32 + 5)
    expect(offsetFromLowHalf(5, two32 + 6)).toBe(2 * two32 + 5)
  })
})
