import { describe, expect, it } from 'vitest'
import { SegmentIndex } from '../../src/segments/segment-index.js'

/** Entries of 1000 bytes each, walked past from the beginning. */
function walked(entries: number): SegmentIndex {
  const index = new SegmentIndex()
  for (let entry = 0; entry < entries; entry++) index.note({ offset: entry + 1, position: entry * 1000, salt: '0102030405060708', previous: entry * 3 })
  return index
}

describe('the index of a segment', () => {
  it('knows nothing of a segment that nobody walked through', () => {
    expect(new SegmentIndex().placeFor(1)).toBeUndefined()
    expect(new SegmentIndex().size).toBe(0)
  })

  it('gives the last place in front of an offset, whole, and never more than some KiB in front of it', () => {
    const index = walked(500)
    for (let offset = 1; offset <= 500; offset++) {
      const place = index.placeFor(offset)
      expect(place).toBeDefined()
      expect(place?.offset).toBeLessThanOrEqual(offset)
      const entry = (place?.offset as number) - 1
      expect(place).toEqual({ offset: entry + 1, position: entry * 1000, salt: '0102030405060708', previous: entry * 3 })
      expect((offset - 1) * 1000 - entry * 1000).toBeLessThan(17_000)
    }
  })

  it('gives no place for what is in front of the first one', () => {
    const index = new SegmentIndex()
    index.note({ offset: 10, position: 5000, salt: '', previous: 0 })
    expect(index.placeFor(9)).toBeUndefined()
    expect(index.placeFor(10)?.position).toBe(5000)
  })

  it('stays small, and does not grow when the same way is walked again', () => {
    const index = walked(500)
    const { size } = index
    expect(size).toBeLessThanOrEqual(500_000 / 16_384 + 1)
    for (let entry = 0; entry < 500; entry++) {
      expect(index.wants(entry * 1000)).toBe(false)
      index.note({ offset: entry + 1, position: entry * 1000, salt: '', previous: 0 })
    }
    expect(index.size).toBe(size)
  })

  it('is built again after it was dropped', () => {
    const index = walked(100)
    index.clear()
    expect(index.size).toBe(0)
    expect(index.placeFor(100)).toBeUndefined()
    index.note({ offset: 1, position: 0, salt: '', previous: 0 })
    expect(index.placeFor(100)?.offset).toBe(1)
  })
})
