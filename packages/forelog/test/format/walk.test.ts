// Many small groups at once: what the kernel goes over is what group by group is found, and it stops in front of everything else.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ControlChain, fromHex } from '../../src/format/control-record.js'
import { GroupBuilder } from '../../src/format/group-builder.js'
import { type ChainPosition, isSmallCommit, readGroup } from '../../src/format/group.js'
import { instantiateKernel, numbersPerGroup, type RecordKernel, strideBytesMost } from '../../src/format/kernel.js'
import { concat } from '../support/reference-writer.js'

const kernel = instantiateKernel() as RecordKernel
const salt = '5af7c0de81234567'

type Step = readonly { readonly type: number; readonly payload: Uint8Array }[] | 'durableMark' | 'lowWaterMark' | 'close'

function streamOf(steps: readonly Step[], firstOffset: number): { bytes: Uint8Array; expected: ChainPosition } {
  const chain = new ControlChain(fromHex(salt), 0x89abcdef)
  const pieces: Uint8Array[] = [Uint8Array.of(1, 2, 3)]
  let next = firstOffset
  const add = (record: Uint8Array, body = new Uint8Array(0)): void => {
    chain.advance(record)
    pieces.push(record, body)
  }
  for (const step of steps) {
    if (step === 'durableMark') add(chain.durableMark(next - 1, next))
    else if (step === 'lowWaterMark') add(chain.lowWaterMark(1, next))
    else if (step === 'close') add(chain.close({ lastOffset: next - 1, durableOffset: next - 1, clean: true }))
    else {
      const builder = new GroupBuilder(next, Infinity)
      for (const { type, payload } of step) builder.add(type, payload)
      add(chain.commit({ firstOffset: next, bodyBytes: builder.bytes, headersCrc: builder.headersCrc, durableOffset: Math.max(0, next - 1 - (step.length % 3)), lengths: builder.lengths }), builder.body.slice())
      next += step.length
    }
  }
  return { bytes: concat(...pieces), expected: { nextOffset: firstOffset, salt, previous: 0x89abcdef } }
}

interface Found {
  readonly at: number
  readonly previous: number
  readonly count: number
  readonly durableOffset: number
}

/** What group by group is found of a stream from byte 3 on: commits whose records hold, up to what is none. */
function oneByOne(bytes: Uint8Array, available: number, expected: ChainPosition, from: number, last: number) {
  const groups: Found[] = []
  const records: { at: number; length: number }[] = []
  let at = 3
  let place = expected
  let ascii = true
  while (groups.length < 1024 && place.nextOffset <= last) {
    const result = readGroup(bytes, at, 3 + available - at, 3 + available - at, place, ({ next }) => next.nextOffset > from)
    if (result.found !== 'group' || result.group.content.kind !== 'commit') break
    const { content, frame, next } = result.group
    if (records.length + content.lengths.length > 8192) break
    groups.push({ at: at - 3, previous: place.previous, count: content.lengths.length, durableOffset: content.durableOffset })
    let record = at + frame.bytes
    for (const length of next.nextOffset > from ? content.lengths : []) {
      records.push({ at: record - 3, length })
      for (const byte of bytes.subarray(record + 9, record + 9 + length)) if (byte >= 128) ascii = false
      record += 9 + length
    }
    at += result.group.bytes
    place = next
  }
  return { groups, records, bytes: at - 3, place, ascii }
}

function assertSame(bytes: Uint8Array, expected: ChainPosition, from: number, last: number): number {
  const available = Math.min(bytes.length - 3, strideBytesMost)
  const plain = oneByOne(bytes, available, expected, from, last)
  const stride = kernel.walk?.(bytes, 3, bytes.length - 3, { ...expected, from, last })
  if (stride === undefined) {
    expect(plain.groups).toEqual([])
    return 0
  }
  const found: Found[] = []
  for (let at = 0; at < stride.groups.length; at += numbersPerGroup) {
    const [place, previous, count, high, low] = stride.groups.subarray(at, at + numbersPerGroup) as unknown as [number, number, number, number, number]
    found.push({ at: place, previous, count, durableOffset: high * 2 ** 32 + low })
  }
  expect(found).toEqual(plain.groups)
  expect([...stride.starts]).toEqual(plain.records.map(({ at }) => at))
  expect([...stride.lengths]).toEqual(plain.records.map(({ length }) => length))
  expect({ bytes: stride.bytes, nextOffset: stride.nextOffset, previous: stride.previous, ascii: stride.ascii }).toEqual({
    bytes: plain.bytes,
    nextOffset: plain.place.nextOffset,
    previous: plain.place.previous,
    ascii: plain.ascii,
  })
  return found.length
}

const payload = fc.oneof(
  { weight: 10, arbitrary: fc.uint8Array({ maxLength: 20 }) },
  { weight: 10, arbitrary: fc.string({ unit: 'binary-ascii', maxLength: 150 }).map((text) => new TextEncoder().encode(text)) },
  { weight: 1, arbitrary: fc.constantFrom(127, 128, 129, 16_383, 16_384, 16_385).map((size) => new Uint8Array(size).fill(7)) },
)
const commit = fc.array(fc.record({ type: fc.nat(254), payload }), { minLength: 1, maxLength: 8 })
const steps = fc.array(fc.oneof({ weight: 12, arbitrary: commit }, { weight: 1, arbitrary: fc.constantFrom<Step>('durableMark', 'lowWaterMark', 'close') }), { minLength: 1, maxLength: 25 })
const offsets = fc.oneof(fc.integer({ min: 1, max: 1000 }), fc.constantFrom(2 ** 31 - 3, 2 ** 32 - 3, 2 ** 40 + 7, Number.MAX_SAFE_INTEGER - 400))

describe('many small groups at once', () => {
  it('are what they are one by one, from any offset to any', () => {
    fc.assert(
      fc.property(steps, offsets, fc.integer({ min: -5, max: 120 }), fc.integer({ min: -2, max: 150 }), (list, firstOffset, from, to) => {
        const { bytes, expected } = streamOf(list, firstOffset)
        assertSame(bytes, expected, 0, Number.MAX_SAFE_INTEGER)
        assertSame(bytes, expected, Math.max(0, firstOffset + from), Math.min(Number.MAX_SAFE_INTEGER, Math.max(0, firstOffset + to)))
      }),
      { numRuns: 1000 },
    )
  })

  it('end in front of what was changed, whatever it is and wherever, as they do one by one', () => {
    const change = fc.tuple(fc.nat(), fc.nat(255), fc.integer({ min: 1, max: 4 }))
    fc.assert(
      fc.property(steps, offsets, fc.array(change, { minLength: 1, maxLength: 3 }), (list, firstOffset, changes) => {
        const { bytes, expected } = streamOf(list, firstOffset)
        for (const [at, byte, length] of changes) bytes.fill(byte, 3 + (at % (bytes.length - 3)), Math.min(bytes.length, 3 + (at % (bytes.length - 3)) + length))
        assertSame(bytes, expected, 0, Number.MAX_SAFE_INTEGER)
      }),
      { numRuns: 3000 },
    )
  })

  it('are not gone over with a single bit flipped, whichever', () => {
    const entry = (size: number): { type: number; payload: Uint8Array } => ({ type: size % 200, payload: new Uint8Array(size).fill(65 + size) })
    const { bytes, expected } = streamOf([[entry(14)], [entry(0), entry(150), entry(33)], [entry(70)]], 2 ** 32 - 2)
    expect(assertSame(bytes, expected, 0, Number.MAX_SAFE_INTEGER)).toBe(3)
    let flips = 0
    for (let bit = 3 * 8; bit < bytes.length * 8; bit++) {
      const flip = (): void => void (bytes[bit >>> 3] = (bytes[bit >>> 3] as number) ^ (1 << (bit & 7)))
      flip()
      expect(assertSame(bytes, expected, 0, Number.MAX_SAFE_INTEGER), `bit ${bit}`).toBeLessThan(3)
      flip()
      flips++
    }
    expect(flips).toBe((bytes.length - 3) * 8)
  })

  it('are not gone over where a commit has its CRC right and a length, a count or a sum wrong', () => {
    // Fields that only the commit's own CRC stands behind, written anew with it: what a program with a mistake would leave.
    fc.assert(
      fc.property(fc.array(commit, { minLength: 1, maxLength: 4 }), fc.nat(), fc.nat(255), (list, place, byte) => {
        const { bytes, expected } = streamOf(list, 100)
        const length = new DataView(bytes.buffer).getUint32(3 + 9)
        bytes[3 + 13 + (place % length)] = byte
        const sealed = bytes.slice()
        const crc = new DataView(sealed.buffer)
        crc.setUint32(3 + 5, crcOf(sealed.subarray(3 + 9, 3 + 13 + length)))
        assertSame(sealed, expected, 0, Number.MAX_SAFE_INTEGER)
      }),
      { numRuns: 3000 },
    )
  })

  it('are no more than its memory holds', () => {
    const tiny = Array.from({ length: 1500 }, () => [{ type: 1, payload: new Uint8Array(0) }])
    const { bytes, expected } = streamOf(tiny, 1)
    expect(assertSame(bytes, expected, 0, Number.MAX_SAFE_INTEGER)).toBeLessThan(1024)
    const empties = Array.from({ length: 40 }, () => new Array<{ type: number; payload: Uint8Array }>(1000).fill({ type: 1, payload: new Uint8Array(0) }))
    const many = streamOf(empties, 1)
    expect(assertSame(many.bytes, many.expected, 0, Number.MAX_SAFE_INTEGER)).toBeGreaterThan(3)
  })

  it('seem to stand where a commit of a few small records does, and nowhere else', () => {
    const small = streamOf([[{ type: 1, payload: new Uint8Array(100) }]], 1).bytes
    expect(isSmallCommit(small, 3, small.length - 3)).toBe(true)
    expect(isSmallCommit(small, 3, small.length - 4)).toBe(false)
    const large = streamOf([[{ type: 1, payload: new Uint8Array(1100) }]], 1).bytes
    expect(isSmallCommit(large, 3, large.length - 3)).toBe(false)
    const mark = streamOf(['durableMark', [{ type: 1, payload: new Uint8Array(100) }]], 1).bytes
    expect(isSmallCommit(mark, 3, mark.length - 3)).toBe(false)
  })
})

function crcOf(bytes: Uint8Array): number {
  let crc = ~0
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  }
  return ~crc >>> 0
}
