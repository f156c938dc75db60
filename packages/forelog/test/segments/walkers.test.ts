// Walking a segment over a window that holds only a piece of it at a time: in whatever pieces, the same is found.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DurableFile } from '../../src/files/durable-file.js'
import { segmentHeaderBytes } from '../../src/format/control-record.js'
import { FileWindow } from '../../src/segments/file-window.js'
import { GroupWalker } from '../../src/segments/group-walker.js'
import { RecordWalker } from '../../src/segments/record-walker.js'
import { lastNonZero, onlyZerosFrom } from '../../src/segments/segment-cursor.js'
import { runBlocking } from '../../src/steps.js'
import { SimulatedDisk } from '../../src/testing/index.js'
import { readSegment2 } from '../support/reference-reader.js'
import { concat, cutTo, entryRecord, flipBit, SegmentBuilder, type SegmentFields } from '../support/reference-writer.js'

const fields: SegmentFields = {
  logId: '000102030405060708090a0b0c0d0e0f',
  segmentId: 1,
  previousId: 0,
  firstOffset: 1,
  lowWaterMark: 1,
  createdMs: 0,
  salt: 0x5a17c0de01234567n,
  previous: 0,
}

/** A window of `chunkBytes` on these bytes, whose file gives at most `readBytes` at once. */
function windowOn(bytes: Uint8Array, chunkBytes: number, readBytes = Infinity): FileWindow {
  const disk = new SimulatedDisk({ seed: 1 })
  disk.place('/segment', bytes)
  if (readBytes < Infinity) disk.fail({ kind: 'read', bytes: readBytes, times: Infinity })
  return new FileWindow(runBlocking(DurableFile.open(disk, '/segment', { access: 'read' })), bytes.length, chunkBytes)
}

/** @param wholeBytes where bodies are verified: larger groups are, in pieces */
function walkGroups(window: FileWindow, bytes: Uint8Array, verify: boolean, wholeBytes?: number) {
  const [first] = readSegment2(bytes).records
  if (first === undefined) throw new Error('no header')
  const salt = first.salt.toString(16).padStart(16, '0')
  const walker = new GroupWalker(window, segmentHeaderBytes, { nextOffset: 1, salt, previous: first.crc })
  const kinds: string[] = []
  for (;;) {
    const result = runBlocking(wholeBytes === undefined ? walker.next(verify) : walker.verified(wholeBytes))
    if (result.found !== 'group') return { kinds, end: walker.position, found: result.found, why: 'why' in result ? result.why : '', nextOffset: walker.expected.nextOffset }
    kinds.push(result.group.content.kind)
  }
}

const anySegment = fc
  .array(fc.oneof(fc.array(fc.uint8Array({ maxLength: 90 }), { minLength: 1, maxLength: 6 }), fc.constantFrom('durable' as const, 'lowWater' as const, 'close' as const)), { minLength: 1, maxLength: 12 })
  .map((steps) => {
    const segment = new SegmentBuilder(fields)
    for (const step of steps) {
      if (step === 'durable') segment.durable()
      else if (step === 'lowWater') segment.lowWater(1)
      else if (step === 'close') segment.close(true)
      else segment.commit(step.map((payload, index) => ({ type: index, payload })))
    }
    return segment
  })
const names = { commit: 'commit', close: 'close', durable: 'durableMark', 'low-water': 'lowWaterMark', header: 'segmentHeader', skipped: 'skipped' } as const

describe('walking a segment of format 2', () => {
  it('finds what an independent reader finds, over a window of any size and reads of any length', () => {
    fc.assert(
      fc.property(anySegment, fc.integer({ min: 1, max: 400 }), fc.integer({ min: 1, max: 100 }), fc.boolean(), (segment, chunk, read, verify) => {
        const bytes = segment.bytes()
        const reference = readSegment2(bytes)
        expect(walkGroups(windowOn(bytes, chunk, read), bytes, verify)).toMatchObject({
          kinds: reference.records.slice(1).map(({ kind }) => names[kind]),
          end: bytes.length,
          found: 'end',
          nextOffset: reference.nextOffset,
        })
      }),
      { numRuns: 200 },
    )
  })

  it('stops where that reader stops, in a segment with a flipped bit or a cut end', () => {
    fc.assert(
      fc.property(anySegment, fc.nat(), fc.nat(7), fc.boolean(), fc.integer({ min: 1, max: 300 }), (segment, place, bit, cut, chunk) => {
        const whole = segment.bytes()
        const at = segmentHeaderBytes + (place % (whole.length - segmentHeaderBytes))
        const bytes = cut ? cutTo(whole, at) : flipBit(whole, at, bit)
        const reference = readSegment2(bytes)
        const walked = walkGroups(windowOn(bytes, chunk), bytes, true)
        expect([walked.end, walked.nextOffset]).toEqual([reference.end, reference.nextOffset])
        expect(walked.found === 'end').toBe(reference.end === bytes.length)
      }),
      { numRuns: 300 },
    )
  })

  it('finds the same where large groups are verified in pieces, and says the same of what is wrong', () => {
    fc.assert(
      fc.property(anySegment, fc.nat(), fc.nat(7), fc.constantFrom('whole', 'cut', 'flipped'), fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 60 }), fc.integer({ min: 0, max: 400 }), (segment, place, bit, damage, chunk, read, wholeBytes) => {
        const whole = segment.bytes()
        const at = segmentHeaderBytes + (place % (whole.length - segmentHeaderBytes))
        const bytes = damage === 'whole' ? whole : damage === 'cut' ? cutTo(whole, at) : flipBit(whole, at, bit)
        expect(walkGroups(windowOn(bytes, chunk, read), bytes, true, wholeBytes)).toEqual(walkGroups(windowOn(bytes, chunk), bytes, true))
      }),
      { numRuns: 500 },
    )
  })

  it('verifies a group that is larger than the window without loading all of it, and notices each bit', () => {
    const segment = new SegmentBuilder(fields).commit([3000, 0, 9, 700].map((length, index) => ({ type: index, payload: new Uint8Array(length).fill(7 * index + 1) })))
    const bytes = segment.bytes()
    const window = windowOn(bytes, 512)
    expect(walkGroups(window, bytes, true, 64)).toMatchObject({ found: 'end', nextOffset: 5 })
    expect(window.bytes.length).toBeLessThan(1100)
    for (let at = segmentHeaderBytes; at < bytes.length; at++) {
      const flipped = flipBit(bytes, at, at % 8)
      expect(walkGroups(windowOn(flipped, 512), flipped, true, 64).end).toBe(segmentHeaderBytes)
    }
  })

  it('passes over the bodies of large groups without reading them, where nobody asks for them', () => {
    const segment = new SegmentBuilder(fields)
    for (let group = 0; group < 20; group++) segment.commit([{ type: 1, payload: new Uint8Array(300_000).fill(group) }])
    const bytes = segment.bytes()
    const readBy = (verify: boolean): number => {
      const window = windowOn(bytes, 256 * 1024)
      const { file } = window
      const read = file.read.bind(file)
      let total = 0
      file.read = function* (target, position) {
        const count = yield* read(target, position)
        total += count
        return count
      }
      expect(walkGroups(window, bytes, verify)).toMatchObject({ found: 'end', end: bytes.length, nextOffset: 21 })
      return total
    }
    expect(readBy(true)).toBe(bytes.length - segmentHeaderBytes)
    expect(readBy(false)).toBeLessThan(bytes.length / 8)
  })
})

describe('walking a segment of format 1', () => {
  const framingOf = () => (reader: { read(length: number): Uint8Array }) => reader.read(reader.read(1)[0] as number)
  const payloadOf = (rest: Uint8Array): Uint8Array => concat(Uint8Array.of(rest.length), rest)

  it('finds every record, over a window of any size and reads of any length', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 255 }), { maxLength: 20 }), fc.integer({ min: 1, max: 600 }), fc.integer({ min: 1, max: 50 }), (list, chunk, read) => {
        const bytes = concat(...list.map((rest, index) => entryRecord(7 + index, 3, payloadOf(rest))))
        const walker = new RecordWalker(windowOn(bytes, chunk, read), 0, undefined, framingOf)
        const lengths: number[] = []
        for (;;) {
          const result = runBlocking(walker.next())
          if (result.found !== 'record') {
            expect(result.found).toBe('end')
            break
          }
          lengths.push(result.record.length)
        }
        expect(lengths).toEqual(list.map((rest) => rest.length + 1))
        expect(walker.nextOffset).toBe(list.length === 0 ? undefined : 7 + list.length)
      }),
      { numRuns: 200 },
    )
  })

  it('stops at another offset than the next, at offset 0, and at a CRC that does not fit', () => {
    const walk = (bytes: Uint8Array, nextOffset?: number): string => {
      const result = runBlocking(new RecordWalker(windowOn(bytes, 100), 0, nextOffset, framingOf).next())
      return result.found === 'nothing' ? result.why : result.found
    }
    const record = entryRecord(5, 3, payloadOf(Uint8Array.of(1, 2)))
    expect(walk(record)).toBe('record')
    expect(walk(record, 5)).toBe('record')
    expect(walk(record, 4)).toContain('offset 5 where 4 is next')
    expect(walk(entryRecord(0, 3, payloadOf(Uint8Array.of(1))))).toContain('offset 0')
    expect(walk(flipBit(record, record.length - 1, 0), 5)).toContain('CRC of entry 5')
  })
})

describe('the zeros at the end of a file', () => {
  it('are found wherever they begin, over a window of any size', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(700), fc.integer({ min: 1, max: 400 }), fc.nat(300), (front, zeros, chunk, start) => {
        const bytes = concat(front, new Uint8Array(zeros))
        const from = Math.min(start, bytes.length)
        let last = from - 1
        for (let index = from; index < bytes.length; index++) if (bytes[index] !== 0) last = index
        expect(runBlocking(lastNonZero(windowOn(bytes, chunk), from))).toBe(last)
        expect(runBlocking(onlyZerosFrom(windowOn(bytes, chunk), from))).toBe(last < from)
      }),
    )
  })
})
