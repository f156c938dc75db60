import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ControlChain, fromHex } from '../../src/format/control-record.js'
import { blocksOf, findInBlock, type GroupBlock } from '../../src/format/group-block.js'
import { GroupBuilder } from '../../src/format/group-builder.js'

interface Group {
  readonly bytes: Uint8Array
  readonly body: number
  readonly lengths: readonly number[]
  readonly blocks: readonly GroupBlock[]
}

/** A group in a file, 1000 bytes behind its beginning. */
function groupOf(payloads: readonly Uint8Array[], firstOffset: number): Group {
  const builder = new GroupBuilder(firstOffset, Infinity)
  for (const [index, payload] of payloads.entries()) builder.add(index % 255, payload)
  const lengths = payloads.map(({ length }) => length)
  const commit = new ControlChain(fromHex('0102030405060708'), 7).commit({ firstOffset, bodyBytes: builder.bytes, headersCrc: builder.headersCrc, durableOffset: 0, lengths })
  const body = 1000 + commit.length
  const bytes = new Uint8Array(body + builder.bytes + 10)
  bytes.set(commit, 1000)
  bytes.set(builder.body, body)
  return { bytes, body, lengths, blocks: blocksOf(bytes, body, body, firstOffset, lengths) }
}

function read({ bytes }: { bytes: Uint8Array }, block: GroupBlock, offset: number): ReturnType<typeof findInBlock> {
  const records = bytes.subarray(block.position, block.position + block.bytes)
  return findInBlock(block, records, bytes.subarray(block.lengthsPosition, block.lengthsPosition + block.lengthsBytes), offset)
}

const payloads = fc.array(fc.oneof({ weight: 20, arbitrary: fc.integer({ min: 0, max: 300 }) }, { weight: 1, arbitrary: fc.constantFrom(127, 128, 16_383, 16_384, 40_000) }), { minLength: 1, maxLength: 400 })
  .map((sizes) => sizes.map((size, index) => new Uint8Array(size).fill(index)))

describe('the blocks of a group', () => {
  it('have each entry once, in order, all bytes of the body and all lengths', () => {
    fc.assert(
      fc.property(payloads, fc.constantFrom(1, 77, 2 ** 32 - 20, 2 ** 40), (list, firstOffset) => {
        const group = groupOf(list, firstOffset)
        let [offset, position, lengths] = [firstOffset, group.body, group.blocks[0]?.lengthsPosition as number]
        for (const [index, block] of group.blocks.entries()) {
          expect([block.firstOffset, block.position, block.lengthsPosition]).toEqual([offset, position, lengths])
          if (index + 1 < group.blocks.length) expect(block.bytes).toBeGreaterThanOrEqual(16 * 1024)
          offset += block.count
          position += block.bytes
          lengths += block.lengthsBytes
        }
        expect([offset, position, lengths]).toEqual([firstOffset + list.length, group.bytes.length - 10, group.body])
        for (const [index, payload] of list.entries()) {
          const block = group.blocks.find((each) => firstOffset + index < each.firstOffset + each.count) as GroupBlock
          const found = read(group, block, firstOffset + index)
          expect(found?.type).toBe(index % 255)
          expect(group.bytes.subarray(block.position + (found?.from as number), block.position + (found?.to as number))).toEqual(payload)
        }
      }),
      { numRuns: 60 },
    )
  })

  it('give no entry with a bit flipped in its payload, in any header, or in any length', () => {
    const group = groupOf([new Uint8Array(20).fill(1), new Uint8Array(130).fill(2), new Uint8Array(0), new Uint8Array(9).fill(3)], 2 ** 32 - 2)
    const [block] = group.blocks as [GroupBlock]
    const offset = 2 ** 32 - 1
    const places = new Set<number>()
    for (let at = block.lengthsPosition; at < group.body; at++) places.add(at)
    let record = group.body
    for (const [index, length] of group.lengths.entries()) {
      for (let at = 0; at < 9 + (index === 1 ? length : 0); at++) places.add(record + at)
      record += 9 + length
    }
    for (const at of places) {
      for (let bit = 0; bit < 8; bit++) {
        group.bytes[at] = (group.bytes[at] as number) ^ (1 << bit)
        expect(read(group, block, offset), `bit ${bit} of byte ${at}`).toBeUndefined()
        group.bytes[at] = (group.bytes[at]) ^ (1 << bit)
      }
    }
    expect(places.size).toBe(5 + 4 * 9 + 130)
    expect(read(group, block, offset)).toEqual({ type: 1, from: 38, to: 168 })
  })

  it('take any bytes for what they are: none of theirs', () => {
    const { blocks } = groupOf(Array.from({ length: 40 }, () => new Uint8Array(30)), 1)
    const [block] = blocks as [GroupBlock]
    fc.assert(
      fc.property(fc.uint8Array({ minLength: block.bytes, maxLength: block.bytes }), fc.uint8Array({ minLength: 40, maxLength: 40 }), (bytes, lengths) => {
        expect(findInBlock(block, bytes, lengths, 7)).toBeUndefined()
      }),
    )
  })
})
