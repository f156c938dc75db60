/**
 * Entries that say of themselves whether they are right: all bytes follow from the log's seed, the life that appended them
 * and their offset, and the type tells where in a batch they stand.
 */
import type { RawEntry } from '../../../src/index.js'

/** The type of an entry by its place: alone, or in a batch. */
export const placeTypes = { alone: 1, first: 2, middle: 3, last: 4 } as const

/** Entries from offset `from` on, up to where the next life begins, were appended by life number `life`. */
export interface LifeSpan {
  readonly life: number
  readonly from: number
  /** A truncation began it: what is in front may be the beginning of a batch. */
  readonly isCut?: true
}

/** Numbers from 0 to 1 (without), the same for the same seed. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    return (mix(state) >>> 0) / 2 ** 32
  }
}

function mix(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 15), value | 1)
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
  return mixed ^ (mixed >>> 14)
}

/** What stands at an offset: mostly small payloads, empty ones too, a few up to `maxPayloadBytes`. */
export function entryAt(seed: number, life: number, offset: number, type: number, maxPayloadBytes: number): RawEntry {
  const random = randomFrom(mix(seed) ^ mix(life * 0x9e3779b1) ^ mix(offset * 0x85ebca6b + type))
  const kind = random()
  const most = kind < 0.6 ? 64 : kind < 0.9 ? maxPayloadBytes / 8 : maxPayloadBytes
  const payload = new Uint8Array(Math.floor(random() * (most + 1)))
  // A run of zeros in some, as a file filled ahead or a lost sector has them.
  const zeros = random() < 0.1 ? Math.floor(payload.length / 2) : 0
  let state = Math.floor(random() * 2 ** 32) | 1
  for (let index = zeros; index < payload.length; index++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    payload[index] = state
  }
  return { type, payload }
}

/** Types of `count` entries that go together. */
export function typesOfBatch(count: number): number[] {
  const { alone, first, middle, last } = placeTypes
  if (count === 1) return [alone]
  return Array.from({ length: count }, (_, index) => (index === 0 ? first : index === count - 1 ? last : middle))
}

/** Checks entries in their order; each method throws what is wrong. */
export class EntryChecker {
  readonly #lives: readonly LifeSpan[]
  readonly #seed: number
  readonly #maxPayloadBytes: number
  #next: number
  #insideBatch: boolean | undefined

  constructor(seed: number, maxPayloadBytes: number, lives: readonly LifeSpan[], firstOffset: number) {
    this.#seed = seed
    this.#maxPayloadBytes = maxPayloadBytes
    this.#lives = lives
    this.#next = firstOffset
    // What is truncated in front may have been the beginning of a batch; entry 1 is always shown with its own.
    this.#insideBatch = firstOffset === 1 ? false : undefined
  }

  take(offset: number, { type, payload }: RawEntry): void {
    if (offset !== this.#next) throw new Error(`entry ${offset} stands where ${this.#next} is next`)
    this.#next++
    const span = this.#lives.findLast(({ from }) => from <= offset)
    if (span === undefined) throw new Error(`entry ${offset} is there, and nobody appended it`)
    const wanted = entryAt(this.#seed, span.life, offset, type, this.#maxPayloadBytes)
    if (Buffer.compare(wanted.payload, payload) !== 0) {
      throw new Error(`entry ${offset}, type ${type}, ${payload.length} bytes, is not what life ${span.life} appended there`)
    }
    const startsNew = type === placeTypes.alone || type === placeTypes.first
    if (this.#isCutAt(offset)) this.#insideBatch = false
    if (this.#insideBatch !== undefined && startsNew === this.#insideBatch) throw new Error(`a batch is there in part, around entry ${offset}`)
    this.#insideBatch = type === placeTypes.first || type === placeTypes.middle
  }

  end(lastOffset: number): void {
    if (this.#next !== lastOffset + 1) throw new Error(`the log holds entries up to ${this.#next - 1}, and says ${lastOffset}`)
    if (this.#insideBatch === true && !this.#isCutAt(lastOffset + 1)) throw new Error(`the batch at the end of the log, up to entry ${lastOffset}, is there in part`)
  }

  #isCutAt(offset: number): boolean {
    // What lives before appended in front of it is gone, too, once a later one began further in front.
    const since = this.#lives.findLastIndex(({ from }) => from < offset)
    return this.#lives.slice(since + 1).some(({ from, isCut = false }) => isCut && from === offset)
  }
}
