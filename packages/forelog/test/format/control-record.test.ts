import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  ControlChain,
  type ControlContent,
  type ControlFrame,
  fromHex,
  hex,
  readControlContent,
  readControlFrame,
  readSegmentHeader,
  SegmentHeaderReader,
} from '../../src/format/control-record.js'
import { crc32 } from '../../src/format/checksum.js'
import { readSegment2 } from '../support/reference-reader.js'
import { concat, flipBit, kinds, leb128, SegmentBuilder, type SegmentFields, skippable, u32, u64 } from '../support/reference-writer.js'

const fields: SegmentFields = {
  logId: '000102030405060708090a0b0c0d0e0f',
  segmentId: 3,
  previousId: 2,
  firstOffset: 41,
  lowWaterMark: 7,
  createdMs: 1_700_000_000_000,
  salt: 0x5a17c0de01234567n,
  previous: 0xfeedface,
}
const salt = '5a17c0de01234567'
const header = { logId: fields.logId, segmentId: 3, previousSegmentId: 2, firstOffset: 41, lowWaterMark: 7, createdMs: fields.createdMs, cut: false }

/** The bytes of one control record, made by the second writer of the tests. */
function record(build: (segment: SegmentBuilder) => unknown): Uint8Array {
  const segment = new SegmentBuilder(fields)
  const from = segment.length
  build(segment)
  return segment.bytes().subarray(from)
}

function frameOf(bytes: Uint8Array): ControlFrame {
  const result = readControlFrame(bytes, 0, bytes.length, bytes.length)
  if (result.found !== 'frame') throw new Error(`no frame: ${JSON.stringify(result)}`)
  return result.frame
}

function contentOf(bytes: Uint8Array): ControlContent {
  const result = readControlContent(bytes, 0, frameOf(bytes))
  if (result.found !== 'content') throw new Error(`no content: ${JSON.stringify(result)}`)
  return result.content
}

/** What the content of a record whose frame is right comes to. */
function judged(bytes: Uint8Array): string {
  const result = readControlContent(bytes, 0, frameOf(bytes))
  return result.found === 'content' ? 'content' : `${result.found}: ${result.why}`
}

const entry = { type: 4, payload: Uint8Array.of(1, 2, 3) }
const body = (segment: SegmentBuilder, overrides = {}): SegmentBuilder => segment.commit([entry], { body: new Uint8Array(0), bodyBytes: 12, ...overrides })

describe('what is written as a control record', () => {
  const newChain = (): ControlChain => new ControlChain(fromHex(salt), 0xfeedface)

  it('is byte for byte what an independent writer makes of the same fields, for all five kinds', () => {
    const chain = newChain()
    const reference = new SegmentBuilder(fields)
    const written: Uint8Array[] = []
    const put = (bytes: Uint8Array): void => {
      written.push(bytes)
      chain.advance(bytes)
    }
    put(chain.segmentHeader(header))
    put(chain.commit({ firstOffset: 41, bodyBytes: 12, headersCrc: 0x01020304, durableOffset: 40, lengths: [3] }))
    body(reference, { headersCrc: 0x01020304 })
    put(chain.durableMark(41, 42))
    reference.durable(41)
    put(chain.lowWaterMark(42, 42))
    reference.lowWater(42)
    put(chain.close({ lastOffset: 41, durableOffset: 41, clean: false }))
    reference.close(false)
    put(chain.close({ lastOffset: 41, durableOffset: 41, clean: true }))
    reference.close(true)
    expect(Buffer.from(concat(...written)).toString('hex')).toBe(Buffer.from(reference.bytes()).toString('hex'))
  })

  it('says in a header that cuts, by bit 0 of its flags', () => {
    const bytes = newChain().segmentHeader({ ...header, cut: true })
    expect(bytes).toEqual(new SegmentBuilder({ ...fields, cut: true }).bytes())
    expect(contentOf(bytes)).toEqual({ kind: 'segmentHeader', ...header, cut: true })
  })

  it('reads back as what was written, whatever the numbers', () => {
    const offset = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER - 100 })
    fc.assert(
      fc.property(offset, fc.array(fc.nat(300_000), { minLength: 1, maxLength: 40 }), fc.nat(0xffff_ffff), fc.boolean(), (firstOffset, lengths, crc, flag) => {
        const chain = newChain()
        const bodyBytes = lengths.reduce((sum, length) => sum + 9 + length, 0)
        const commit = { firstOffset, bodyBytes, headersCrc: crc, durableOffset: firstOffset - 1, lengths }
        expect(contentOf(chain.commit(commit))).toEqual({ kind: 'commit', ...commit })
        const close = { lastOffset: firstOffset, durableOffset: firstOffset, clean: flag }
        expect(contentOf(chain.close(close))).toEqual({ kind: 'close', ...close })
        expect(contentOf(chain.lowWaterMark(firstOffset, firstOffset))).toEqual({ kind: 'lowWaterMark', firstWanted: firstOffset })
        expect(contentOf(chain.durableMark(firstOffset - 1, firstOffset))).toEqual({ kind: 'durableMark', durableOffset: firstOffset - 1 })
        const changed = { ...header, firstOffset, lowWaterMark: firstOffset, cut: flag }
        expect(contentOf(chain.segmentHeader(changed))).toEqual({ kind: 'segmentHeader', ...changed })
      }),
    )
  })

  it('repeats the CRC field of the one before it, and only once that is advanced to', () => {
    const chain = newChain()
    const first = chain.durableMark(3, 4)
    expect(frameOf(chain.durableMark(3, 4)).previous).toBe(0xfeedface)
    chain.advance(first)
    expect(frameOf(chain.durableMark(3, 4)).previous).toBe(frameOf(first).crc)
    expect(chain.previous).toBe(frameOf(first).crc)
    expect(chain.salt).toBe(salt)
  })

  it('has payload lengths as LEB128 in its shortest form', () => {
    for (const [length, text] of [[0, '00'], [1, '01'], [127, '7f'], [128, '8001'], [16_383, 'ff7f'], [16_384, '808001'], [2_097_151, 'ffff7f'], [2 ** 31, '8080808008'], [0xffff_fff0, 'f0ffffff0f']] as const) {
      const bytes = newChain().commit({ firstOffset: 1, bodyBytes: 9 + length, headersCrc: 0, durableOffset: 0, lengths: [length] })
      expect(Buffer.from(bytes.subarray(9 + 20 + 28)).toString('hex'), String(length)).toBe(text)
      expect(bytes.subarray(9 + 20 + 28)).toEqual(leb128(length))
    }
  })
})

describe('the frame of a control record', () => {
  const bytes = record((segment) => segment.durable(40))

  it('is what the record says, whatever its kind', () => {
    expect(frameOf(bytes)).toEqual({
      bytes: bytes.length,
      lowOffset: 41,
      crc: Buffer.from(bytes).readUInt32BE(5),
      kind: kinds.durable,
      version: 2,
      flags: 0,
      salt,
      previous: Buffer.from(new SegmentBuilder(fields).bytes()).readUInt32BE(5),
    })
  })

  it('asks for the bytes that it needs, no more, as long as the file has them', () => {
    let available = 0
    const asked: number[] = []
    for (;;) {
      const result = readControlFrame(bytes, 0, available, bytes.length)
      if (result.found !== 'more') {
        expect(result.found).toBe('frame')
        break
      }
      asked.push(result.bytes)
      available = result.bytes
    }
    expect(asked).toEqual([13, bytes.length])
  })

  it('is none where the file ends first, at every length', () => {
    for (let length = 0; length < bytes.length; length++) {
      expect(readControlFrame(bytes.subarray(0, length), 0, length, length).found, `${length} bytes`).toBe('nothing')
    }
  })

  it('is none when any bit behind the Offset field is flipped', () => {
    for (let position = 4; position < bytes.length; position++) {
      for (let bit = 0; bit < 8; bit++) {
        const flipped = flipBit(bytes, position, bit)
        expect(readControlFrame(flipped, 0, flipped.length, flipped.length).found, `bit ${bit} of byte ${position}`).toBe('nothing')
      }
    }
  })

  it('is never made of zeros, nor of an entry', () => {
    for (const length of [13, 29, 64, 4096]) expect(readControlFrame(new Uint8Array(length), 0, length, length).found).toBe('nothing')
    const anEntry = concat(u32(41), Uint8Array.of(254), bytes.subarray(5))
    expect(readControlFrame(anEntry, 0, anEntry.length, anEntry.length).found).toBe('nothing')
  })

  it('is none when its length leaves no room for what all kinds have', () => {
    const short = record((segment) => segment.durable(40, { length: 15 }))
    expect(readControlFrame(short, 0, short.length, short.length)).toMatchObject({ found: 'nothing', why: expect.stringContaining('too short') as string })
  })
})

describe('the content of a control record whose CRC holds', () => {
  it('is refused as of a later version, with both versions named (row K)', () => {
    expect(judged(record((segment) => segment.durable(40, { version: 3 })))).toMatch(/^unsupported: .*version 3 .*version 2/)
    expect(judged(record((segment) => segment.control(9, u64(1), { version: 3, flags: skippable })))).toMatch(/^unsupported/)
  })

  it('is refused when its kind is unknown, unless it says that it may be skipped (row K)', () => {
    expect(judged(record((segment) => segment.control(6, u64(1))))).toMatch(/^unsupported: .*kind 6/)
    expect(contentOf(record((segment) => segment.control(6, u64(1), { flags: skippable })))).toEqual({ kind: 'skipped' })
    expect(contentOf(record((segment) => segment.control(0, new Uint8Array(0), { flags: skippable | 0x40 })))).toEqual({ kind: 'skipped' })
  })

  it('is refused when it has a flag that is not known, in every kind and for every bit (row K)', () => {
    const known = [
      { name: 'header', bits: [0], build: (flags: number) => new SegmentBuilder(fields, { flags }).bytes() },
      { name: 'commit', bits: [], build: (flags: number) => record((segment) => body(segment, { flags })) },
      { name: 'close', bits: [0], build: (flags: number) => record((segment) => segment.close(true, { flags })) },
      { name: 'low-water mark', bits: [], build: (flags: number) => record((segment) => segment.lowWater(7, { flags })) },
      { name: 'durable mark', bits: [], build: (flags: number) => record((segment) => segment.durable(40, { flags })) },
    ]
    for (const { name, bits, build } of known) {
      for (let bit = 0; bit < 16; bit++) {
        const isKnown = (bits).includes(bit)
        expect(judged(build(1 << bit)), `${name}, bit ${bit}`).toMatch(isKnown ? /^content/ : /^unsupported: .*flags/)
      }
    }
  })

  const contradictions: [string, Uint8Array][] = [
    ['a header that is longer', new SegmentBuilder(fields, { extra: Uint8Array.of(0) }).bytes()],
    ['a header of segment 0', new SegmentBuilder(fields, { segmentId: 0, previousId: 0 }).bytes()],
    ['a header of a first offset of 0', new SegmentBuilder(fields, { firstOffset: 0 }).bytes()],
    ['a header whose previous segment is itself', new SegmentBuilder(fields, { previousId: 3 }).bytes()],
    ['a header whose previous segment is later', new SegmentBuilder(fields, { previousId: 4 }).bytes()],
    ['a header with a number beyond 2^53', new SegmentBuilder(fields, { lowWaterMark: 2 ** 53 }).bytes()],
    ['a commit without entries', record((segment) => segment.commit([]))],
    ['a commit that counts more entries than it has lengths', record((segment) => body(segment, { count: 2 }))],
    ['a commit that counts more entries than its bytes can hold', record((segment) => body(segment, { count: 0xffff_ffff }))],
    ['a commit that counts fewer entries than it has lengths', record((segment) => body(segment, { lengths: Uint8Array.of(3, 0), bodyBytes: 12 }))],
    ['a commit whose lengths do not add up to its body', record((segment) => body(segment, { bodyBytes: 13 }))],
    ['a commit with a length in more bytes than it needs', record((segment) => body(segment, { lengths: leb128(3, 2) }))],
    ['a commit with a length of 0 in two bytes', record((segment) => body(segment, { lengths: leb128(0, 2), bodyBytes: 9 }))],
    ['a commit with a length that does not end', record((segment) => body(segment, { lengths: Uint8Array.of(0x83) }))],
    ['a commit with a length of six bytes', record((segment) => body(segment, { lengths: leb128(2 ** 35) }))],
    ['a commit with something behind its lengths', record((segment) => body(segment, { extra: Uint8Array.of(9) }))],
    ['a commit that is too short for its fields', record((segment) => segment.control(kinds.commit, new Uint8Array(27)))],
    ['a commit of a first offset of 0', record((segment) => body(segment, { firstOffset: 0, durableOffset: 0 }))],
    ['a commit beyond the largest offset', record((segment) => body(segment, { firstOffset: 2 ** 53 }))],
    ['a commit that calls its own entries durable', record((segment) => body(segment, { durableOffset: 41 }))],
    ['a close that is shorter', record((segment) => segment.close(true, { fields: new Uint8Array(15) }))],
    ['a close that is longer', record((segment) => segment.close(true, { extra: new Uint8Array(1) }))],
    ['a close whose durable offset is not its last', record((segment) => segment.close(true, { durableOffset: 39 }))],
    ['a close beyond the largest offset', record((segment) => segment.close(true, { lastOffset: 2 ** 53 }))],
    ['a low-water mark that is longer', record((segment) => segment.lowWater(7, { extra: new Uint8Array(1) }))],
    ['a low-water mark beyond the largest offset', record((segment) => segment.control(kinds.lowWater, u64(2n ** 53n + 2n)))],
    ['a durable mark that is shorter', record((segment) => segment.control(kinds.durable, new Uint8Array(7)))],
    ['a durable mark beyond the largest offset', record((segment) => segment.control(kinds.durable, u64(2n ** 60n)))],
  ]

  it.each(contradictions)('is a contradiction in %s', (_, bytes) => {
    expect(judged(bytes)).toMatch(/^contradiction/)
  })

  it('is refused for a count that its bytes can not hold before anything is made of that size', () => {
    for (const count of [3, 30_000_000, 0xffff_ffff]) expect(judged(record((segment) => body(segment, { count })))).toContain('more entries than lengths')
  })

  it('is right at the largest offset there is', () => {
    const last = Number.MAX_SAFE_INTEGER
    expect(judged(record((segment) => body(segment, { firstOffset: last, durableOffset: last - 1 })))).toBe('content')
    expect(judged(record((segment) => segment.close(true, { lastOffset: last, durableOffset: last })))).toBe('content')
    expect(contentOf(record((segment) => segment.control(kinds.lowWater, u64(2n ** 53n))))).toEqual({ kind: 'lowWaterMark', firstWanted: 2 ** 53 })
  })

  it('is judged as an independent reader judges it, whatever bytes stand in the fields', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), fc.uint8Array({ maxLength: 60 }), fc.constantFrom(0, 1, 0x8000, 0x10), (kind, bytes, flags) => {
        const segment = new SegmentBuilder(fields)
        const before = readSegment2(segment.bytes()).records.length
        const from = segment.length
        segment.control(kind, bytes, { flags })
        const ours = judged(segment.bytes().subarray(from))
        const reference = readSegment2(segment.bytes())
        // The second reader asks of the place, too, so it refuses more; what it accepts is content, and K is K for both.
        if (reference.records.length > before) expect(ours).toBe('content')
        if (['version', 'kind'].includes(reference.stop.why)) expect(ours).toMatch(/^unsupported/)
        if (ours !== 'content') expect(reference.records.length).toBe(before)
      }),
      { numRuns: 500 },
    )
  })
})

describe('the header of a segment', () => {
  it('is the first record and nothing else', () => {
    const bytes = new SegmentBuilder(fields).commit([entry]).bytes()
    const result = readSegmentHeader(bytes, bytes.length)
    expect(result).toMatchObject({ found: 'header', header: { kind: 'segmentHeader', ...header }, frame: { bytes: 85, previous: 0xfeedface, salt } })
    const other = record((segment) => segment.durable(40))
    expect(readSegmentHeader(other, other.length).found).toBe('nothing')
  })

  it('is none at any length that cuts it, and with any bit flipped', () => {
    const bytes = new SegmentBuilder(fields).bytes()
    for (let length = 0; length < bytes.length; length++) expect(readSegmentHeader(bytes.subarray(0, length), length).found).toBe('nothing')
    for (let position = 0; position < bytes.length; position++) {
      for (let bit = 0; bit < 8; bit++) expect(readSegmentHeader(flipBit(bytes, position, bit), bytes.length).found).toBe('nothing')
    }
  })

  it('is refused as of a later version (row K)', () => {
    const later = new SegmentBuilder(fields, { version: 7 }).bytes()
    expect(readSegmentHeader(later, later.length)).toMatchObject({ found: 'unsupported', why: expect.stringContaining('version 7') as string })
  })

  it('says the same where many are read one after the other, with fields of any value, any bit flipped, and any CRC that holds', () => {
    const reader = new SegmentHeaderReader()
    const same = (bytes: Uint8Array, left: number): string => {
      reader.bytes.set(bytes)
      const result = reader.read(left)
      expect(result).toEqual(readSegmentHeader(bytes, left))
      return result.found
    }
    const number = fc.oneof(fc.nat(5), fc.maxSafeNat(), fc.constant(Number.MAX_SAFE_INTEGER))
    const anyFields = fc.record({ segmentId: number, previousId: number, firstOffset: number, lowWaterMark: number, createdMs: number, salt: fc.bigInt(0n, 2n ** 64n - 1n), previous: fc.nat(0xffff_ffff) })
    const seen = new Set<string>()
    fc.assert(
      fc.property(anyFields, fc.boolean(), fc.option(fc.tuple(fc.nat(84), fc.nat(7))), fc.boolean(), fc.constantFrom(84, 85, 86, 5000), (numbers, cut, flip, sealed, left) => {
        const bytes = new SegmentBuilder({ ...fields, ...numbers, ...(cut && { cut: true }) }).bytes()
        const damaged = flip === null ? bytes : flipBit(bytes, ...flip)
        if (sealed) new DataView(damaged.buffer, damaged.byteOffset).setUint32(5, crc32(damaged, 9))
        seen.add(same(damaged, left))
      }),
      { numRuns: 2000 },
    )
    expect([...seen].sort()).toEqual(['contradiction', 'header', 'nothing', 'unsupported'])
    const whole = new SegmentBuilder(fields).bytes()
    for (let position = 0; position < whole.length; position++) {
      for (let bit = 0; bit < 8; bit++) expect(same(flipBit(whole, position, bit), whole.length)).toBe('nothing')
    }
  })
})

describe('hexadecimal digits', () => {
  it('stand for the bytes that they came from', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 20 }), (bytes) => void expect(fromHex(hex(bytes, 0, bytes.length))).toEqual(bytes)))
    expect(hex(Uint8Array.of(9, 0, 255, 9), 1, 2)).toBe('00ff')
  })
})
