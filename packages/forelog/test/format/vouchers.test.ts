import { describe, expect, it } from 'vitest'
import { voucherAt, type VoucherResult } from '../../src/format/vouchers.js'
import { flipBit, SegmentBuilder, type SegmentFields, u64 } from '../support/reference-writer.js'

const fields: SegmentFields = {
  logId: '000102030405060708090a0b0c0d0e0f',
  segmentId: 1,
  previousId: 0,
  firstOffset: 20,
  lowWaterMark: 1,
  createdMs: 0,
  salt: 0x5a17c0de01234567n,
  previous: 0,
}
const salt = '5a17c0de01234567'

function record(build: (segment: SegmentBuilder) => unknown, changes: Partial<SegmentFields> = {}): Uint8Array {
  const segment = new SegmentBuilder({ ...fields, ...changes })
  const from = segment.length
  build(segment)
  return segment.bytes().subarray(from)
}

const voucher = (bytes: Uint8Array, failingOffset: number, ofSalt = salt): VoucherResult['found'] =>
  voucherAt(bytes, 0, bytes.length, bytes.length, ofSalt, failingOffset).found

const entry = { type: 1, payload: Uint8Array.of(1) }

describe('a voucher for a failing group', () => {
  it('is a commit, a close or a durable mark whose durable offset reaches the first offset of the group', () => {
    for (const [name, build] of [
      ['commit', (segment: SegmentBuilder) => segment.commit([entry], { durableOffset: 15 })],
      ['durable mark', (segment: SegmentBuilder) => segment.durable(15)],
    ] as const) {
      expect(voucher(record(build), 15), name).toBe('voucher')
      expect(voucher(record(build), 12), name).toBe('voucher')
      expect(voucher(record(build), 16), name).toBe('none')
    }
    expect(voucher(record((segment) => segment.close(true)), 19)).toBe('voucher')
    expect(voucher(record((segment) => segment.close(false)), 19)).toBe('voucher')
    expect(voucher(record((segment) => segment.close(false)), 20)).toBe('none')
  })

  it('is no low-water mark, no header, and no kind that is skipped: they prove nothing durable', () => {
    expect(voucher(record((segment) => segment.lowWater(20)), 1)).toBe('none')
    expect(voucher(record((segment) => segment.control(9, u64(19), { flags: 0x8000 })), 1)).toBe('none')
    expect(voucher(new SegmentBuilder(fields).bytes(), 1)).toBe('none')
  })

  it('is whole: any flipped bit behind its Offset field makes it none', () => {
    const bytes = record((segment) => segment.durable(19))
    for (let position = 4; position < bytes.length; position++) {
      for (let bit = 0; bit < 8; bit++) expect(voucher(flipBit(bytes, position, bit), 10)).toBe('none')
    }
  })

  it('has the salt of this segment', () => {
    expect(voucher(record((segment) => segment.durable(19)), 10, '5a17c0de01234568')).toBe('none')
  })

  it('need not continue the chain: what it hangs on may be what was damaged', () => {
    expect(voucher(record((segment) => segment.durable(19, { previous: 12345 })), 10)).toBe('voucher')
  })

  it('lies below its own next offset, told by the low half of that', () => {
    // As if the record were of entries far below: its durable offset is not below 12, the next offset that its field says.
    expect(voucher(record((segment) => segment.durable(19, { offset: 12 })), 10)).toBe('none')
    // What stands behind entry 18 can't say that entry 19 is durable; what stands behind that one can.
    expect(voucher(record((segment) => segment.durable(19, { offset: 19 })), 10)).toBe('none')
    expect(voucher(record((segment) => segment.durable(19, { offset: 20 })), 10)).toBe('voucher')
    expect(voucher(record((segment) => segment.durable(2 ** 32 + 4), { firstOffset: 2 ** 32 + 5 }), 2 ** 32 - 3)).toBe('voucher')
  })

  it('has the exact length and the right version; another version may vouch for anything', () => {
    expect(voucher(record((segment) => segment.durable(19, { extra: Uint8Array.of(0) })), 10)).toBe('none')
    expect(voucher(record((segment) => segment.close(true, { durableOffset: 18 })), 10)).toBe('none')
    expect(voucher(record((segment) => segment.durable(19, { version: 3 })), 10)).toBe('unsupported')
    expect(voucher(record((segment) => segment.control(9, u64(19))), 10)).toBe('unsupported')
  })

  it('asks for the bytes that it needs', () => {
    const bytes = record((segment) => segment.durable(19))
    expect(voucherAt(bytes, 0, 13, bytes.length, salt, 10)).toEqual({ found: 'more', bytes: bytes.length })
    expect(voucherAt(bytes, 0, 13, bytes.length - 1, salt, 10)).toEqual({ found: 'none' })
  })
})
