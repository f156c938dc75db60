import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { findFlippedBit } from '../../src/format/flipped-bit.js'
import type { ChainPosition } from '../../src/format/group.js'
import { concat, flipBit, SegmentBuilder, type SegmentFields } from '../support/reference-writer.js'

const fields: SegmentFields = {
  logId: '000102030405060708090a0b0c0d0e0f',
  segmentId: 1,
  previousId: 0,
  firstOffset: 300,
  lowWaterMark: 1,
  createdMs: 0,
  salt: 0x5a17c0de01234567n,
  previous: 0,
}

function grouped(build: (segment: SegmentBuilder) => unknown): { bytes: Uint8Array; expected: ChainPosition } {
  const segment = new SegmentBuilder(fields)
  const from = segment.length
  const expected = { nextOffset: segment.nextOffset, salt: '5a17c0de01234567', previous: segment.lastCrc }
  build(segment)
  return { bytes: segment.bytes().subarray(from), expected }
}

const entries = [0, 1, 130, 3].map((length, index) => ({ type: index * 60, payload: new Uint8Array(length).fill(0x91) }))

describe('the search for the one flipped bit of a group', () => {
  it.each<[string, (segment: SegmentBuilder) => unknown]>([
    ['a commit and its entries', (segment) => segment.commit(entries)],
    ['a close record', (segment) => segment.close(true)],
    ['a durable mark', (segment) => segment.durable(299)],
    ['a low-water mark', (segment) => segment.lowWater(20)],
  ])('names every single bit of %s', (_, build) => {
    const { bytes, expected } = grouped(build)
    let named = 0
    for (let position = 0; position < bytes.length; position++) {
      for (let bit = 0; bit < 8; bit++) {
        const found = findFlippedBit(flipBit(bytes, position, bit), expected)
        expect(found, `bit ${bit} of byte ${position}`).toEqual({ byte: position, bit, groupBytes: bytes.length })
        named++
      }
    }
    expect(named).toBe(8 * bytes.length)
  })

  it('names it with other bytes behind the group, too', () => {
    const { bytes, expected } = grouped((segment) => segment.commit(entries))
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(7), fc.uint8Array({ maxLength: 700 }), (position, bit, behind) => {
        expect(findFlippedBit(concat(flipBit(bytes, position, bit), behind), expected)).toEqual({ byte: position, bit, groupBytes: bytes.length })
      }),
      { numRuns: 300 },
    )
  })

  it('names none where two bits are flipped, and leaves the bytes as they were', () => {
    const { bytes, expected } = grouped((segment) => segment.commit(entries))
    fc.assert(
      fc.property(fc.nat(bytes.length * 8 - 1), fc.nat(bytes.length * 8 - 1), (one, two) => {
        fc.pre(one !== two)
        const damaged = flipBit(flipBit(bytes, one >> 3, one & 7), two >> 3, two & 7)
        const copy = damaged.slice()
        expect(findFlippedBit(damaged, expected)).toBeUndefined()
        expect(damaged).toEqual(copy)
      }),
      { numRuns: 300 },
    )
  })

  it('names none in random bytes, in zeros, and in a group that is cut short', () => {
    const { bytes, expected } = grouped((segment) => segment.commit(entries))
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (random) => void expect(findFlippedBit(random, expected)).toBeUndefined()))
    expect(findFlippedBit(new Uint8Array(600), expected)).toBeUndefined()
    for (let length = 0; length < bytes.length; length++) expect(findFlippedBit(bytes.slice(0, length), expected)).toBeUndefined()
  })
})
