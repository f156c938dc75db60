import { describe, expect, it } from 'vitest'
import { IndexBudget, SegmentIndex } from '../../src/segments/segment-index.js'

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

describe('the indexes of many segments', () => {
  it('stay within their bound together, and those used last are kept', () => {
    const budget = new IndexBudget(100)
    const indexes = Array.from({ length: 10_000 }, () => walked(200))
    for (const index of indexes) budget.used(index)
    expect(budget.places).toBeLessThanOrEqual(100)
    expect(indexes.reduce((sum, { size }) => sum + size, 0)).toBe(budget.places)
    expect(indexes.at(-1)?.size).toBeGreaterThan(0)
    expect(indexes[0]?.size).toBe(0)
  })

  it('keep one that is used again and again', () => {
    const budget = new IndexBudget(100)
    const wanted = walked(200)
    for (let turn = 0; turn < 50; turn++) {
      budget.used(walked(200))
      budget.used(wanted)
    }
    expect(wanted.size).toBeGreaterThan(0)
    budget.forget(wanted)
    expect(budget.places).toBeLessThanOrEqual(100)
  })

  it('keep the one in use, however large it is', () => {
    const budget = new IndexBudget(3)
    const large = walked(5000)
    budget.used(large)
    expect(large.size).toBeGreaterThan(3)
  })

  it('say how far an entry may lie behind its place', () => {
    const index = walked(100)
    expect(index.distanceAt(1, 100_000)).toBe(17_000)
    expect(index.distanceAt(100, 100_000)).toBeLessThanOrEqual(17_000)
    expect(new SegmentIndex().distanceAt(1, 100_000)).toBe(Infinity)
  })
})
