import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { embedded, kernelModule } from '../../../../scripts/build-kernel.mjs'
import { crc32 } from '../../src/format/checksum.ts'
import { instantiateKernel, plainKernel, recordKernel, type RecordKernel } from '../../src/format/kernel.ts'
import { readU32, recordHeaderBytes } from '../../src/format/record.ts'

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
