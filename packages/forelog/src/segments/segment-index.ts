/**
 * Places within a segment from which it can be read: one for every so many bytes, noted by whoever walks past, so that a
 * segment is searched from its beginning once at the most. And the blocks of large groups, once somebody read an entry of one.
 */
import type { GroupBlock } from '../format/group-block.js'

export interface ReadingPlace {
  /** Offset of the next entry there. */
  readonly offset: number
  readonly position: number
  /** Format 2: salt of the segment, and CRC field of the control record before. */
  readonly salt: string
  readonly previous: number
}

const leastDistanceBytes = 16 * 1024

export class SegmentIndex {
  // One array for each field: a place as an object would take several times as much.
  #offsets: number[] = []
  #positions: number[] = []
  #previous: number[] = []
  #salt = ''
  /** Of large groups, by their first offset. */
  #blocks: Map<number, readonly GroupBlock[]> | undefined
  #blockCount = 0

  /** How many places are known; a block takes as much memory as two. */
  get size(): number {
    return this.#positions.length + 2 * this.#blockCount
  }

  /** Notes the blocks of a group, which begins at a place. */
  noteBlocks(blocks: readonly GroupBlock[]): void {
    const [first] = blocks
    if (first === undefined || this.#blocks?.has(first.firstOffset) === true) return
    this.#blocks ??= new Map()
    this.#blocks.set(first.firstOffset, blocks)
    this.#blockCount += blocks.length
  }

  /** The block that holds an entry, where its group was noted. */
  blockFor(offset: number): GroupBlock | undefined {
    if (this.#blockCount === 0) return undefined
    const place = this.#indexOf(offset)
    const blocks = place < 0 ? undefined : this.#blocks?.get(this.#offsets[place] as number)
    if (blocks === undefined) return undefined
    const block = blocks[lastOf(blocks.length, (index) => (blocks[index] as GroupBlock).firstOffset <= offset)] as GroupBlock
    // Behind a group another one may begin, without a place of its own.
    return offset < block.firstOffset + block.count ? block : undefined
  }

  /** Whether a place there is far enough behind the last one to be noted. */
  wants(position: number): boolean {
    const last = this.#positions.at(-1)
    return last === undefined || position >= last + leastDistanceBytes
  }

  /** Notes a place, if it is far enough behind the last one. */
  note({ offset, position, salt, previous }: ReadingPlace): void {
    if (!this.wants(position)) return
    this.#offsets.push(offset)
    this.#positions.push(position)
    this.#previous.push(previous)
    this.#salt = salt
  }

  /** The last noted place from which an offset is still ahead. */
  placeFor(offset: number): ReadingPlace | undefined {
    const at = this.#indexOf(offset)
    if (at < 0) return undefined
    return { offset: this.#offsets[at] as number, position: this.#positions[at] as number, salt: this.#salt, previous: this.#previous[at] as number }
  }

  /** Bytes from the place for an offset to the next one, or to `end`: so much is read at the most to find the entry. */
  distanceAt(offset: number, end: number): number {
    const at = this.#indexOf(offset)
    return at < 0 ? Infinity : (this.#positions[at + 1] ?? end) - (this.#positions[at] as number)
  }

  #indexOf(offset: number): number {
    return lastOf(this.#offsets.length, (index) => (this.#offsets[index] as number) <= offset)
  }

  /** Forgets all places: whoever walks past notes them again. */
  clear(): void {
    this.#offsets = []
    this.#positions = []
    this.#previous = []
    this.#blocks = undefined
    this.#blockCount = 0
  }
}

/** Of `count` things in order, the last one for which something holds that holds for all in front of it; -1: for none. */
export function lastOf(count: number, holds: (index: number) => boolean): number {
  let low = 0
  let high = count
  while (low < high) {
    const middle = (low + high) >>> 1
    if (holds(middle)) low = middle + 1
    else high = middle
  }
  return low - 1
}

/** Places of all indexes of a log together: some MiB, whatever the number of segments. */
const mostPlaces = 256 * 1024

/** Keeps the indexes of many segments small together: those that were used longest ago are dropped. */
export class IndexBudget {
  readonly #mostPlaces: number
  /** What each index was known to hold, the one used last at the end. */
  readonly #sizes = new Map<SegmentIndex, number>()
  #places = 0

  constructor(most: number = mostPlaces) {
    this.#mostPlaces = most
  }

  /** Places that are held, as far as told. */
  get places(): number {
    return this.#places
  }

  /** An index was used, and has grown perhaps. */
  used(index: SegmentIndex): void {
    this.forget(index)
    this.#sizes.set(index, index.size)
    this.#places += index.size
    for (const oldest of this.#sizes.keys()) {
      if (this.#places <= this.#mostPlaces || oldest === index) return
      this.forget(oldest)
      oldest.clear()
    }
  }

  /** An index of a segment that is gone. */
  forget(index: SegmentIndex): void {
    this.#places -= this.#sizes.get(index) ?? 0
    this.#sizes.delete(index)
  }
}
