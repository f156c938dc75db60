import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { frameRecord, type FramedResult, type FramingOf } from '../../src/format/framed-record.js'
import { crc32 } from '../support/reference-reader.js'
import { concat, entryRecord } from '../support/reference-writer.js'
import { ExampleEntry1, ExampleEntry2 } from '../support/waltest.js'

const framingOf: FramingOf = (type) =>
  type === 0 ? (reader) => new ExampleEntry1().readPayload(reader) : type === 1 ? (reader) => new ExampleEntry2().readPayload(reader) : undefined

const anyEntry = fc.oneof(
  fc.record({ id: fc.nat(0xffff_ffff), point: fc.array(fc.float({ noNaN: true }), { maxLength: 40 }) }).map(({ id, point }) => new ExampleEntry1(id, point)),
  fc.record({ test: fc.boolean(), name: fc.string({ maxLength: 200, unit: 'grapheme' }) }).map(({ test, name }) => new ExampleEntry2(test, name)),
)

/** Frames a record out of a stream that hands over `chunk` more bytes each time that more is asked for. */
function frameChunked(stream: Uint8Array, at: number, chunk: number): { result: FramedResult; asked: number[] } {
  const asked: number[] = []
  let available = 0
  for (;;) {
    // What is not there yet is rubbish: whoever looks at it is caught.
    const there = concat(stream.subarray(0, at + available), new Uint8Array(stream.length - at - available).fill(0xd1))
    const result = frameRecord(there, at, available, stream.length - at, framingOf)
    if (result.found !== 'more') return { result, asked }
    expect(result.bytes).toBeGreaterThan(available)
    asked.push(result.bytes)
    // At least one more: a reader that hands over less than is asked for is asked again.
    available = Math.min(stream.length - at, available + chunk)
  }
}

describe('a record of format 1', () => {
  it('ends where readPayload ends it, whatever the chunks that the stream comes in', () => {
    fc.assert(
      fc.property(anyEntry, fc.nat(60), fc.integer({ min: 1, max: 50 }), fc.uint8Array({ maxLength: 30 }), (entry, before, chunk, behind) => {
        const payload = entry.encodePayload(new Uint8Array(0))
        const stream = concat(new Uint8Array(before).fill(0xab), entryRecord(77, entry.type, payload), behind)
        const { result } = frameChunked(stream, before, chunk)
        expect(result).toEqual({ found: 'record', record: { lowOffset: 77, type: entry.type, crc: crc32(payload), length: payload.length } })
      }),
    )
  })

  it('is found byte by byte, and asks only for what readPayload has asked for', () => {
    const record = entryRecord(1, 0, new ExampleEntry1(1, [1, 2]).encodePayload(new Uint8Array(0)))
    const { result, asked } = frameChunked(record, 0, 1)
    expect(result.found).toBe('record')
    expect([...new Set(asked)]).toEqual([9, 9 + 6, 9 + 6 + 8])
  })

  it('is nothing where the file ends first, at every length', () => {
    const record = entryRecord(1, 1, new ExampleEntry2(true, 'a name').encodePayload(new Uint8Array(0)))
    for (let length = 0; length < record.length; length++) {
      expect(frameRecord(record.subarray(0, length), 0, length, length, framingOf).found, `${length} bytes`).toBe('nothing')
    }
  })

  it('is nothing where its type is unknown', () => {
    const record = entryRecord(1, 9, new Uint8Array(5))
    expect(frameRecord(record, 0, record.length, record.length, framingOf)).toEqual({ found: 'nothing', why: 'entry type 9 is not known' })
  })

  it('is nothing, with the reason, where readPayload fails or asks for an impossible number of bytes', () => {
    const record = entryRecord(1, 0, new Uint8Array(20))
    const frame = (framing: (reader: { read(length: number): Uint8Array }) => unknown): FramedResult =>
      frameRecord(record, 0, record.length, record.length, () => framing)
    const failed = frame(() => {
      throw new Error('no such thing')
    })
    expect(failed).toMatchObject({ found: 'nothing', why: expect.stringContaining('no such thing') as string })
    for (const impossible of [-1, 1.5, Number.NaN, Infinity]) {
      expect(frame((reader) => reader.read(impossible)), String(impossible)).toMatchObject({ found: 'nothing', why: expect.stringContaining(String(impossible)) as string })
    }
  })

  it('is framed all the same by a readPayload that swallows what read throws', () => {
    const payload = new ExampleEntry2(false, 'abc').encodePayload(new Uint8Array(0))
    const record = entryRecord(1, 1, payload)
    const swallowing: FramingOf = () => (reader) => {
      try {
        reader.read(3)
        reader.read(3)
      } catch {
        // as it must not
      }
    }
    expect(frameRecord(record, 0, 9 + 3, record.length, swallowing)).toEqual({ found: 'more', bytes: 9 + 6 })
    expect(frameRecord(record, 0, record.length, record.length, swallowing)).toMatchObject({ found: 'record', record: { length: 6 } })
  })
})
