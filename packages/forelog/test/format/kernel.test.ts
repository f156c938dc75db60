import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { embedded, kernelModule } from '../../../../scripts/build-kernel.mjs'
import { crc32 } from '../../src/format/checksum.ts'
import { instantiateKernel, plainKernel, recordKernel, type RecordKernel } from '../../src/format/kernel.ts'
import { readU32, recordHeaderBytes, type RecordRun } from '../../src/format/record.ts'

const kernel = instantiateKernel() as RecordKernel

/** Lengths that meet every path: empty and small ones, the sizes where zlib takes over, some that the kernel's memory can't hold. */
const length = fc.oneof(
  { weight: 20, arbitrary: fc.integer({ min: 0, max: 40 }) },
  { weight: 5, arbitrary: fc.integer({ min: 0, max: 1500 }) },
  { weight: 1, arbitrary: fc.constantFrom(1023, 1024, 1025, 256 * 1024 - 9, 256 * 1024) },
)
const lengthLists = fc.oneof(fc.array(length, { maxLength: 60 }), fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 500, maxLength: 3000 }))
const offsets = fc.oneof(fc.integer({ min: 1, max: 1000 }), fc.constantFrom(0xffff_fff0, 2 ** 31 - 5, 2 ** 32 - 1, 2 ** 40 + 7, Number.MAX_SAFE_INTEGER - 5000))

/** Records with types and payloads, whose headers are rubbish otherwise, some way into an array. */
function unsealed(lengths: readonly number[], at: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(at + lengths.reduce((sum, next) => sum + recordHeaderBytes + next, 0) + 5)
  let state = seed | 1
  for (let index = 0; index < bytes.length; index++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    bytes[index] = state >>> 24
  }
  let position = at
  for (const next of lengths) {
    if (bytes[position + 4] === 255) bytes[position + 4] = 254
    position += recordHeaderBytes + next
  }
  return bytes
}

describe('the kernel', () => {
  it('is the module that its source builds', async () => {
    expect(readFileSync(embedded, 'utf8')).toBe(await kernelModule())
  })

  it('is what this interpreter uses', () => {
    expect(kernel).toBeDefined()
    expect(recordKernel()).not.toBe(plainKernel)
    expect(recordKernel()).toBe(recordKernel())
  })

  it('seals records as plain TypeScript does, and touches nothing around them', () => {
    fc.assert(
      fc.property(lengthLists, offsets, fc.nat(30), fc.integer(), (lengths, firstOffset, at, seed) => {
        const [ours, plain] = [unsealed(lengths, at, seed), unsealed(lengths, at, seed)]
        const crc = kernel.seal(ours, at, lengths, lengths.length, firstOffset)
        expect(crc).toBe(plainKernel.seal(plain, at, lengths, lengths.length, firstOffset))
        expect(Buffer.compare(ours, plain)).toBe(0)
        expect(kernel.verify(ours, at, lengths, lengths.length, firstOffset)?.headersCrc).toBe(crc)
        expect(plainKernel.verify(ours, at, lengths, lengths.length, firstOffset)?.headersCrc).toBe(crc)
      }),
      { numRuns: 300 },
    )
  })

  it('gives each record the offset, the CRC of its payload, and the headers theirs, as the format says', () => {
    const lengths = [0, 1, 14, 128, 1024, 5000]
    const bytes = unsealed(lengths, 3, 7)
    const headersCrc = kernel.seal(bytes, 3, lengths, lengths.length, 2 ** 32 - 2)
    const headers: number[] = []
    let at = 3
    for (const [index, next] of lengths.entries()) {
      expect(readU32(bytes, at)).toBe([0xffff_fffe, 0xffff_ffff, 0, 1, 2, 3][index])
      expect(readU32(bytes, at + 5)).toBe(crc32(bytes, at + 9, at + 9 + next))
      headers.push(...bytes.subarray(at, at + 9))
      at += recordHeaderBytes + next
    }
    expect(headersCrc).toBe(crc32(Uint8Array.from(headers)))
  })

  it('notices every flipped bit, in what it copies and in what zlib reads', () => {
    const lengths = [14, 0, 3, 200, 1100, 14]
    const bytes = unsealed(lengths, 0, 99)
    const headersCrc = kernel.seal(bytes, 0, lengths, lengths.length, 77)
    let unnoticed = 0
    for (let bit = 0; bit < (bytes.length - 5) * 8; bit++) {
      const flip = (): void => void (bytes[bit >>> 3] = (bytes[bit >>> 3] as number) ^ (1 << (bit & 7)))
      flip()
      const crc = kernel.verify(bytes, 0, lengths, lengths.length, 77)?.headersCrc
      expect(crc).toBe(plainKernel.verify(bytes, 0, lengths, lengths.length, 77)?.headersCrc)
      if (crc === headersCrc) unnoticed++
      flip()
    }
    expect(unnoticed).toBe(0)
  })

  it('says that payloads are ASCII where all of them are, and only then', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 70 }), { minLength: 10, maxLength: 60 }), fc.nat(), fc.integer({ min: 128, max: 255 }), (lengths, place, byte) => {
        const bytes = unsealed(lengths, 0, 1)
        for (const [index, each] of bytes.entries()) bytes[index] = each & 0x7f
        kernel.seal(bytes, 0, lengths, lengths.length, 0xffff_fff0)
        expect(kernel.verify(bytes, 0, lengths, lengths.length, 0xffff_fff0)?.ascii).toBe(true)
        const payloads: number[] = []
        let at = 0
        for (const next of lengths) {
          for (let index = 0; index < next; index++) payloads.push(at + recordHeaderBytes + index)
          at += recordHeaderBytes + next
        }
        if (payloads.length === 0) return
        bytes[payloads[place % payloads.length] as number] = byte
        kernel.seal(bytes, 0, lengths, lengths.length, 0xffff_fff0)
        expect(kernel.verify(bytes, 0, lengths, lengths.length, 0xffff_fff0)?.ascii).toBe(false)
      }),
      { numRuns: 500 },
    )
  })

  it('refuses a record of the type of control records', () => {
    const lengths = new Array<number>(100).fill(20)
    const bytes = unsealed(lengths, 0, 1)
    bytes[50 * 29 + 4] = 255
    kernel.seal(bytes, 0, lengths, 100, 1)
    for (const each of [kernel, plainKernel]) {
      expect(each.verify(bytes, 0, lengths, 100, 1)).toBeUndefined()
      expect(each.verify(bytes, 0, lengths, 50, 1)).toBeDefined()
      // One alone, which the kernel leaves to plain TypeScript.
      expect(each.verify(bytes, 50 * 29, lengths, 1, 51)).toBeUndefined()
      expect(each.verify(bytes, 49 * 29, lengths, 1, 50)).toBeDefined()
    }
  })

  it('takes more records, and more bytes, than its memory holds', () => {
    const empty = new Array<number>(100_000).fill(0)
    const bytes = unsealed(empty, 0, 5)
    const crc = plainKernel.seal(bytes, 0, empty, empty.length, 1)
    expect(kernel.verify(bytes, 0, empty, empty.length, 1)?.headersCrc).toBe(crc)
    const middling = new Array<number>(3000).fill(900)
    const more = unsealed(middling, 0, 5)
    const crcOfMore = plainKernel.seal(more, 0, middling, middling.length, 1)
    expect(kernel.verify(more, 0, middling, middling.length, 1)?.headersCrc).toBe(crcOfMore)
  })

  it('takes lengths from a typed array as well, and the first of them alone', () => {
    const lengths = Uint32Array.from([30, 40, 50, 60, 70])
    const bytes = unsealed([...lengths], 0, 3)
    const crc = kernel.seal(bytes, 0, lengths, 3, 9)
    expect(kernel.verify(bytes, 0, [30, 40, 50], 3, 9)?.headersCrc).toBe(crc)
  })

  it('is left out where there is no WebAssembly, or where it is forbidden', () => {
    expect(instantiateKernel(null)).toBeUndefined()
    expect(instantiateKernel({})).toBeUndefined()
    const forbidding = {
      Module: class {
        constructor() {
          throw new Error('code generation from bytes is disallowed')
        }
      },
    }
    expect(instantiateKernel(forbidding)).toBeUndefined()
  })
})

describe('a list of JSON', () => {
  const encoder = new TextEncoder()

  /** Records whose headers hold nothing but types, with other bytes in front of some. */
  function runOf(payloads: readonly { readonly text: string; readonly type: number }[], strided: boolean): { run: RecordRun; places: number[] } {
    const pieces: Uint8Array[] = []
    const starts: number[] = []
    const places: number[] = []
    const lengths: number[] = []
    let at = 3
    for (const [index, { text, type }] of payloads.entries()) {
      const between = strided && index % 3 === 0 ? 50 : 0
      const payload = encoder.encode(text)
      pieces.push(new Uint8Array(between).fill(0x22), new Uint8Array(recordHeaderBytes).fill(0xe9).fill(type, 4, 5), payload)
      at += between
      starts.push(at - 3)
      places.push(at + recordHeaderBytes)
      lengths.push(payload.length)
      at += recordHeaderBytes + payload.length
    }
    const bytes = new Uint8Array(Buffer.concat([new Uint8Array(3), ...pieces, new Uint8Array(7)]))
    return { run: { bytes, at: 3, firstOffset: 1, lengths, position: 0, ascii: false, ...(strided && { starts }) }, places }
  }

  /** Whether a text ends outside of strings, and with as many brackets closed as opened; by one character after the other. */
  function isContained(text: string): boolean {
    let within = false
    let depth = 0
    for (let index = 0; index < text.length; index++) {
      const character = text[index] as string
      if (character > '\x7f') return false
      if (character === '\\') index++
      else if (character === '"') within = !within
      else if (!within && '{['.includes(character)) depth++
      else if (!within && '}]'.includes(character)) depth--
    }
    return !within && depth === 0
  }

  const rubbish = fc.array(fc.constantFrom('"', '\\', '{', '[', '}', ']', ',', ':', '1', 'é', '\x7f', '\0', ';', '\\"', '"a"', '[]', '{}', 'x'.repeat(61)), { maxLength: 60 }).map((parts) => parts.join(''))
  const text = fc.oneof({ weight: 4, arbitrary: fc.json({ stringUnit: 'binary-ascii' }) }, { weight: 1, arbitrary: rubbish })

  it('takes what ends outside of strings and brackets, of one type, as it is', () => {
    // What a backslash outside of a string does is the one thing that is not looked at: there is no such JSON.
    const sure = text.filter((each) => !/\\/.test(each.replace(/"(?:[^"\\]|\\.)*"/gs, '')))
    const payloads = fc.array(fc.record({ text: sure, type: fc.constantFrom(1, 1, 1, 1, 1, 1, 2) }), { minLength: 1, maxLength: 30 })
    fc.assert(
      fc.property(payloads, fc.boolean(), fc.nat(29), (payloads, strided, from) => {
        const first = from % payloads.length
        const { run, places } = runOf(payloads, strided)
        const { type } = payloads[first] as { type: number }
        const list = kernel.list?.(run, first, places[first] as number, type, 64 * 1024)
        const expected = payloads.slice(first)
        const end = expected.findIndex((payload) => payload.type !== type || !isContained(payload.text))
        const taken = end < 0 ? expected : expected.slice(0, end)
        expect(list).toEqual(taken.length === 0 ? undefined : { text: `[${taken.map((payload) => payload.text).join(',')}]`, count: taken.length })
      }),
      { numRuns: 2000 },
    )
  })

  it('has the values that the payloads have, where it is valid and has as many, whatever the payloads are', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(text, fc.constantFrom('1,2', '[1', '2]', '', ' ', '],[', '1],[2', '"a', 'b"', '\\', '"\\', '{"a":1},{"b":2}')), { minLength: 1, maxLength: 12 }), (texts) => {
        const { run, places } = runOf(texts.map((text) => ({ text, type: 1 })), false)
        const list = kernel.list?.(run, 0, places[0] as number, 1, 64 * 1024)
        let values: unknown
        try {
          values = JSON.parse((list as { text: string }).text)
        } catch {
          return
        }
        if ((values as unknown[]).length === list?.count) expect(values).toEqual(texts.slice(0, list.count).map((text) => JSON.parse(text) as unknown))
      }),
      { numRuns: 5000 },
    )
  })

  it('has no more than is asked for, and none of what the kernel has no room for', () => {
    const { run, places } = runOf(Array.from({ length: 100 }, () => ({ text: '"'.padEnd(99, 'a') + '"', type: 1 })), false)
    expect(kernel.list?.(run, 0, places[0] as number, 1, 109 * 3 + 100)?.count).toBe(4)
    expect(kernel.list?.(run, 97, places[97] as number, 1, 64 * 1024)?.count).toBe(3)
    const { run: large, places: at } = runOf([{ text: `"${'a'.repeat(64 * 1024)}"`, type: 1 }], false)
    expect(kernel.list?.(large, 0, at[0] as number, 1, 64 * 1024)).toBeUndefined()
  })
})
