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

const leastDistanceBytes = 64 * 1024

export class SegmentIndex {
  readonly #places: ReadingPlace[] = []

  /** Whether a place there is far enough behind the last one to be noted. */
  wants(position: number): boolean {
    const last = this.#places.at(-1)
    return last === undefined || position >= last.position + leastDistanceBytes
  }

  /** Notes a place, if it is far enough behind the last one. */
  note(place: ReadingPlace): void {
    if (this.wants(place.position)) this.#places.push(place)
  }

  /** The last noted place from which an offset is still ahead. */
  placeFor(offset: number): ReadingPlace | undefined {
    let low = 0
    let high = this.#places.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#places[middle] as ReadingPlace).offset <= offset) low = middle + 1
      else high = middle
    }
    return this.#places[low - 1]
  }
}
