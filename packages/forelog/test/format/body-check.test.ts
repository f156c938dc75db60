import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BodyCheck } from '../../src/format/body-check.js'
import type { Commit } from '../../src/format/control-record.js'
import { plainKernel } from '../../src/format/kernel.js'
import { recordHeaderBytes } from '../../src/format/record.js'

interface Body {
  readonly commit: Commit
  readonly bytes: Uint8Array
}

/** Records with these payload lengths, as the kernel seals them. */
function bodyOf(lengths: readonly number[], firstOffset: number, isTyped = false): Body {
  const bytes = Uint8Array.from({ length: lengths.reduce((sum, length) => sum + recordHeaderBytes + length, 0) }, (_, index) => (index * 37 + (index >>> 7)) & 0x7f)
  const headersCrc = plainKernel.seal(bytes, 0, lengths, lengths.length, firstOffset)
  const commit: Commit = { kind: 'commit', firstOffset, bodyBytes: bytes.length, headersCrc, durableOffset: 0, lengths: isTyped ? Uint32Array.from(lengths) : [...lengths] }
  return { commit, bytes }
}

/** Goes over a body as a file is read: in pieces, each behind what the last one left. Undefined: it was not taken. */
function holdsIn({ commit, bytes }: Body, pieceBytes: (piece: number) => number): boolean | undefined {
  const check = new BodyCheck(commit)
  let position = 0
  for (let piece = 0, end = 0; position < bytes.length; piece++) {
    end = Math.min(bytes.length, Math.max(end, position) + pieceBytes(piece))
    const margin = piece % 5
    const held = new Uint8Array(margin + end - position + 3).fill(0xee)
    held.set(bytes.subarray(position, end), margin)
    const taken = check.take(held, margin, margin + end - position)
    if (taken === undefined) return undefined
    if (end - position - taken >= recordHeaderBytes) throw new Error(`${end - position - taken} bytes were left`)
    if (taken === 0 && end === bytes.length) return undefined
    position += taken
  }
  return check.holds
}

const lengthLists = fc.array(fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 3000 })), { minLength: 1, maxLength: 90 })
const offsets = fc.constantFrom(1, 77, 2 ** 32 - 20, 2 ** 40 + 7)
const pieces = fc.array(fc.oneof(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 1, max: 5000 })), { minLength: 1, maxLength: 10 })

describe('a body that is verified in pieces', () => {
  it('holds in whatever pieces it comes', () => {
    fc.assert(
      fc.property(lengthLists, offsets, pieces, fc.boolean(), (lengths, firstOffset, sizes, isTyped) => {
        expect(holdsIn(bodyOf(lengths, firstOffset, isTyped), (piece) => sizes[piece % sizes.length] as number)).toBe(true)
      }),
      { numRuns: 300 },
    )
  })

  it('does not hold with any of its bits flipped', () => {
    const { commit, bytes } = bodyOf([0, 300, 5, 1100, 0, 17], 2 ** 32 - 3)
    for (const size of [1, 8, 10, 100, 700, bytes.length]) {
      for (let at = 0; at < bytes.length; at++) {
        const flipped = bytes.slice()
        flipped[at] = (flipped[at] as number) ^ (1 << (at + size) % 8)
        expect(holdsIn({ commit, bytes: flipped }, () => size) ?? false).toBe(false)
      }
    }
  })

  it('does not hold when it ends early, goes on, or is that of other offsets', () => {
    const { commit, bytes } = bodyOf([20, 2000, 4, 0], 9)
    for (let end = 0; end < bytes.length; end++) expect(holdsIn({ commit, bytes: bytes.subarray(0, end) }, () => 333) ?? false).toBe(false)
    const longer = new Uint8Array(bytes.length + 30)
    longer.set(bytes)
    expect(holdsIn({ commit, bytes: longer }, () => 333)).toBeUndefined()
    expect(holdsIn({ commit: { ...commit, firstOffset: 10 }, bytes }, () => 333)).toBeUndefined()
    expect(holdsIn({ commit: { ...commit, headersCrc: commit.headersCrc ^ 1 }, bytes }, () => 333)).toBe(false)
  })

  it('has no record of the type of control records', () => {
    const { commit, bytes } = bodyOf([30, 30], 1)
    bytes[4] = 255
    const headersCrc = plainKernel.seal(bytes, 0, commit.lengths, 2, 1)
    for (const size of [9, 20, 100]) expect(holdsIn({ commit: { ...commit, headersCrc }, bytes }, () => size) ?? false).toBe(false)
  })
})
