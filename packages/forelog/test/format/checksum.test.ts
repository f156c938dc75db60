import { crc32 as zlibCrc32 } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { crc32, crc32Plain, flippedBitOf, fourBytesFor } from '../../src/format/checksum.js'
import { flipBit } from '../support/reference-writer.js'

const anyBytes = fc.uint8Array({ maxLength: 400 })

describe('the checksum', () => {
  it('is the CRC-32 whose check value every catalogue lists', () => {
    expect(crc32(new TextEncoder().encode('123456789'))).toBe(0xcbf43926)
    expect(crc32(new Uint8Array(0))).toBe(0)
  })

  it('is that of zlib for every length around the one from which zlib itself is called', () => {
    for (let length = 0; length <= 300; length++) {
      const bytes = Uint8Array.from({ length }, (_, index) => (index * 167 + length) & 0xff)
      expect(crc32(bytes), `${length} bytes`).toBe(zlibCrc32(bytes))
    }
  })

  it('is that of zlib for any bytes, any part of them, and goes on where it stopped', () => {
    fc.assert(
      fc.property(anyBytes, fc.nat(400), fc.nat(400), (bytes, a, b) => {
        const from = Math.min(a, b, bytes.length)
        const to = Math.min(Math.max(a, b), bytes.length)
        expect(crc32(bytes, from, to)).toBe(zlibCrc32(bytes.subarray(from, to)))
        expect(crc32(bytes, from, bytes.length, crc32(bytes, 0, from))).toBe(zlibCrc32(bytes))
      }),
    )
  })

  it('is the same without a call to zlib, eight bytes at a time', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1500 }), fc.nat(20), (bytes, middle) => {
        const before = Math.min(middle, bytes.length)
        expect(crc32Plain(bytes, before, bytes.length, crc32Plain(bytes, 0, before, 0))).toBe(zlibCrc32(bytes))
      }),
    )
  })
})

describe('the bit that explains a wrong checksum', () => {
  it('is found for every bit of messages of every length up to 100 bytes', () => {
    let found = 0
    for (let length = 1; length <= 100; length++) {
      const bytes = Uint8Array.from({ length }, (_, index) => (index * 31 + length * 7) & 0xff)
      const crc = crc32(bytes)
      for (let byte = 0; byte < length; byte++) {
        for (let bit = 0; bit < 8; bit++) {
          expect(flippedBitOf(crc32(flipBit(bytes, byte, bit)), crc, length)).toEqual({ byte, bit })
          found++
        }
      }
    }
    expect(found).toBe(8 * 5050)
  })

  it('is found in a message of a mebibyte', () => {
    const bytes = new Uint8Array(1 << 20).fill(0xa5)
    for (const [byte, bit] of [[0, 7], [1, 0], [700_001, 3], [(1 << 20) - 1, 0]] as const) {
      expect(flippedBitOf(crc32(flipBit(bytes, byte, bit)), crc32(bytes), bytes.length)).toEqual({ byte, bit })
    }
  })

  it('is none where nothing is wrong, where two bits are, and where the CRC itself has one', () => {
    const bytes = Uint8Array.from({ length: 64 }, (_, index) => index)
    const crc = crc32(bytes)
    expect(flippedBitOf(crc, crc, 64)).toBeUndefined()
    expect(flippedBitOf(crc, crc, 0)).toBeUndefined()
    fc.assert(
      fc.property(fc.nat(511), fc.nat(511), (one, two) => {
        fc.pre(one !== two)
        const wrong = flipBit(flipBit(bytes, one >> 3, one & 7), two >> 3, two & 7)
        expect(flippedBitOf(crc32(wrong), crc, 64)).toBeUndefined()
      }),
    )
    for (let bit = 0; bit < 32; bit++) expect(flippedBitOf(crc, (crc ^ (1 << bit)) >>> 0, 64)).toBeUndefined()
  })
})

describe('four bytes', () => {
  it('are found that give any bytes in front of them any CRC', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.integer({ min: 0, max: 0xffff_ffff }), (front, wanted) => {
        const bytes = new Uint8Array(front.length + 4)
        bytes.set(front)
        new DataView(bytes.buffer).setUint32(front.length, fourBytesFor(crc32(front), wanted))
        expect(crc32(bytes)).toBe(wanted)
      }),
    )
  })
})
