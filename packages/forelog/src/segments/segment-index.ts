/**
 * Places within a segment from which it can be read: one for every so many bytes, noted by whoever walks past, so that a
 * segment is searched from its beginning once at the most.
 */

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

  /** How many places are known. */
  get size(): number {
    return this.#positions.length
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
    let low = 0
    let high = this.#offsets.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#offsets[middle] as number) <= offset) low = middle + 1
      else high = middle
    }
    if (low === 0) return undefined
    const at = low - 1
    return { offset: this.#offsets[at] as number, position: this.#positions[at] as number, salt: this.#salt, previous: this.#previous[at] as number }
  }

  /** Forgets all places: whoever walks past notes them again. */
  clear(): void {
    this.#offsets = []
    this.#positions = []
    this.#previous = []
  }
}
