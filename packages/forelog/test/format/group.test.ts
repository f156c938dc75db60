import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ControlChain, fromHex } from '../../src/format/control-record.js'
import { GroupBuilder } from '../../src/format/group-builder.js'
import { type ChainPosition, claimedBytes, type GroupResult, readGroup } from '../../src/format/group.js'
import { concat, cutTo, entryRecord, flipBit, kinds, SegmentBuilder, type SegmentFields, skippable, u64 } from '../support/reference-writer.js'

const fields: SegmentFields = {
  logId: '000102030405060708090a0b0c0d0e0f',
  segmentId: 1,
  previousId: 0,
  firstOffset: 10,
  lowWaterMark: 1,
  createdMs: 0,
  salt: 0x5a17c0de01234567n,
  previous: 0,
}

/** One group, alone, and what it must fit. */
function grouped(build: (segment: SegmentBuilder) => unknown, changes: Partial<SegmentFields> = {}): { bytes: Uint8Array; expected: ChainPosition } {
  const segment = new SegmentBuilder({ ...fields, ...changes })
  const from = segment.length
  const expected = { nextOffset: segment.nextOffset, salt: '5a17c0de01234567', previous: segment.lastCrc }
  build(segment)
  return { bytes: segment.bytes().subarray(from), expected }
}

const read = ({ bytes, expected }: { bytes: Uint8Array; expected: ChainPosition }, verifyBody = true): GroupResult =>
  readGroup(bytes, 0, bytes.length, bytes.length, expected, verifyBody)

const entries = [
  { type: 0, payload: Uint8Array.of(1, 2, 3) },
  { type: 254, payload: new Uint8Array(0) },
  { type: 7, payload: new Uint8Array(200).fill(5) },
]

describe('a group', () => {
  it('is the commit and its records, and leads on to the next', () => {
    const group = grouped((segment) => segment.commit(entries))
    const result = read(group)
    expect(result).toMatchObject({
      found: 'group',
      group: { bytes: group.bytes.length, content: { kind: 'commit', firstOffset: 10, lengths: [3, 0, 200] }, next: { nextOffset: 13, salt: '5a17c0de01234567' } },
    })
    if (result.found === 'group') expect(result.group.next.previous).toBe(result.group.frame.crc)
  })

  it('is what the builder of groups makes, whatever the entries', () => {
    const anyEntries = fc.array(fc.record({ type: fc.nat(254), payload: fc.uint8Array({ maxLength: 400 }) }), { minLength: 1, maxLength: 30 })
    fc.assert(
      fc.property(anyEntries, fc.integer({ min: 1, max: 2 ** 40 }), fc.boolean(), (list, firstOffset, inPlace) => {
        const builder = new GroupBuilder(firstOffset, Infinity)
        for (const { type, payload } of list) {
          const room = builder.room(payload.length)
          room.set(payload)
          builder.add(type, inPlace ? room.subarray(0, payload.length) : payload)
        }
        const commit = new ControlChain(fromHex('5a17c0de01234567'), 0).commit({
          firstOffset,
          bodyBytes: builder.bytes,
          headersCrc: builder.headersCrc,
          durableOffset: 0,
          lengths: builder.lengths,
        })
        const bytes = concat(commit, builder.body)
        const result = readGroup(bytes, 0, bytes.length, bytes.length, { nextOffset: firstOffset, salt: '5a17c0de01234567', previous: 0 }, true)
        expect(result.found).toBe('group')
        expect(builder.body).toEqual(concat(...list.map(({ type, payload }, index) => entryRecord(firstOffset + index, type, payload))))
      }),
    )
  })

  it('is not there any more when a single bit of it is flipped, whichever', () => {
    const group = grouped((segment) => segment.commit(entries))
    let flips = 0
    for (let position = 0; position < group.bytes.length; position++) {
      for (let bit = 0; bit < 8; bit++) {
        expect(read({ ...group, bytes: flipBit(group.bytes, position, bit) }).found, `bit ${bit} of byte ${position}`).not.toBe('group')
        flips++
      }
    }
    expect(flips).toBe(8 * group.bytes.length)
  })

  it('is not there when the file ends within it, at every length; the commit is told where it is whole', () => {
    const group = grouped((segment) => segment.commit(entries))
    const commitBytes = group.bytes.length - (3 * 9 + 203)
    for (let length = 0; length < group.bytes.length; length++) {
      const result = read({ ...group, bytes: cutTo(group.bytes, length) })
      expect(result.found, `${length} bytes`).toBe('nothing')
      if (result.found === 'nothing') expect(result.commit !== undefined, `${length} bytes`).toBe(length >= commitBytes)
    }
  })

  it('asks for its body only when that is to be verified', () => {
    const group = grouped((segment) => segment.commit(entries))
    const commitBytes = group.bytes.length - (3 * 9 + 203)
    const partly = (verify: boolean): GroupResult => readGroup(group.bytes, 0, commitBytes, group.bytes.length, group.expected, verify)
    expect(partly(true)).toEqual({ found: 'more', bytes: group.bytes.length })
    expect(partly(false).found).toBe('group')
  })

  it('does not belong here with another salt, or another record in front of it', () => {
    const group = grouped((segment) => segment.commit(entries))
    expect(read({ ...group, expected: { ...group.expected, salt: '5a17c0de01234566' } })).toMatchObject({ found: 'nothing', why: expect.stringContaining('another file') as string })
    expect(read({ ...group, expected: { ...group.expected, previous: group.expected.previous ^ 1 } })).toMatchObject({ found: 'nothing', why: expect.stringContaining('chain') as string })
  })

  it('has offsets whose low halves wrap behind 2^32', () => {
    const group = grouped((segment) => segment.commit(entries), { firstOffset: 2 ** 32 - 1 })
    expect(read(group)).toMatchObject({ found: 'group', group: { next: { nextOffset: 2 ** 32 + 2 } } })
  })

  it('is not there when a record has the type of control records, or stands elsewhere, though all checksums fit', () => {
    expect(read(grouped((segment) => segment.commit([{ type: 255, payload: new Uint8Array(4) }]))).found).toBe('nothing')
    expect(read(grouped((segment) => segment.commit([{ type: 1, payload: new Uint8Array(4), offset: 11 }]))).found).toBe('nothing')
  })

  it('is there only with the headers that its commit was written for', () => {
    // Two types swapped: every record is whole in itself.
    const other = concat(entryRecord(10, 254, entries[0]?.payload as Uint8Array), entryRecord(11, 0, new Uint8Array(0)), entryRecord(12, 7, new Uint8Array(200).fill(5)))
    const result = read(grouped((segment) => segment.commit(entries, { body: other })))
    expect(result).toMatchObject({ found: 'nothing', why: expect.stringContaining('headers') as string })
  })

  it.each<[string, (segment: SegmentBuilder) => unknown]>([
    ['another first offset', (segment) => segment.commit(entries, { firstOffset: 11 })],
    ['a close of another last offset', (segment) => segment.close(true, { lastOffset: 8 })],
    ['a durable mark beyond the last entry', (segment) => segment.durable(10)],
    ['a low-water mark beyond the next entry', (segment) => segment.lowWater(11)],
    ['a second segment header', (segment) => segment.control(kinds.header, concat(fromHex(fields.logId), u64(1), u64(0), u64(10), u64(1), u64(0)))],
  ])('contradicts its place with %s', (_, build) => {
    expect(read(grouped(build)).found).toBe('contradiction')
  })

  it('is also a control record without entries', () => {
    for (const build of [
      (segment: SegmentBuilder) => segment.close(true),
      (segment: SegmentBuilder) => segment.close(false),
      (segment: SegmentBuilder) => segment.durable(9),
      (segment: SegmentBuilder) => segment.lowWater(10),
      (segment: SegmentBuilder) => segment.control(17, u64(1), { flags: skippable }),
    ]) {
      const group = grouped(build)
      expect(read(group)).toMatchObject({ found: 'group', group: { bytes: group.bytes.length, next: { nextOffset: 10 } } })
    }
  })

  it('is asked for the Offset field of its control record, which no CRC covers', () => {
    const group = grouped((segment) => segment.durable(9, { offset: 11 }))
    expect(read(group)).toMatchObject({ found: 'nothing', why: expect.stringContaining('Offset field') as string })
  })
})

describe('what a group claims to be', () => {
  it('is the length of control record and body, where those fields are there', () => {
    const commit = grouped((segment) => segment.commit(entries)).bytes
    expect(claimedBytes(commit)).toBe(commit.length)
    expect(claimedBytes(commit.subarray(0, 20))).toBe(commit.length - (3 * 9 + 203))
    const close = grouped((segment) => segment.close(true)).bytes
    expect(claimedBytes(close)).toBe(close.length)
    expect(claimedBytes(close.subarray(0, 12))).toBeUndefined()
    expect(claimedBytes(new Uint8Array(100))).toBeUndefined()
  })
})

describe('the builder of a group', () => {
  it('takes back what failed halfway', () => {
    const builder = new GroupBuilder(1, Infinity)
    builder.add(1, Uint8Array.of(1))
    const before = { body: builder.body.slice(), crc: builder.headersCrc, next: builder.nextOffset }
    builder.mark()
    builder.add(2, new Uint8Array(70_000))
    builder.add(3, Uint8Array.of(3))
    builder.rewind()
    expect({ body: builder.body.slice(), crc: builder.headersCrc, next: builder.nextOffset }).toEqual(before)
    builder.add(2, Uint8Array.of(2))
    expect(builder.body).toEqual(concat(entryRecord(1, 1, Uint8Array.of(1)), entryRecord(2, 2, Uint8Array.of(2))))
  })

  it('copies a payload that lies elsewhere: its owner may change it at once', () => {
    const builder = new GroupBuilder(1, Infinity)
    const payload = Uint8Array.of(1, 2, 3)
    builder.add(0, payload)
    payload.fill(9)
    expect(builder.body).toEqual(entryRecord(1, 0, Uint8Array.of(1, 2, 3)))
  })

  it('is full from its limit on', () => {
    const builder = new GroupBuilder(1, 20)
    builder.add(0, new Uint8Array(10))
    expect(builder.full).toBe(false)
    builder.add(0, new Uint8Array(10))
    expect(builder.full).toBe(true)
  })
})
