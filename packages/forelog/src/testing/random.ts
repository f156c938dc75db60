/**
 * Random numbers that a seed replays: sfc32 ("Small Fast Counter", Chris Doty-Humphrey, PractRand), 32 bits at a time.
 * Not for secrets.
 *
 * @example
 * ```ts
 * const random = new Random(42)
 * random.below(6) // 0 to 5, the same in each run
 * ```
 */
export class Random {
  /** What it was made from; `new Random(seed)` gives the same numbers again. */
  readonly seed: number
  #a: number
  #b: number
  #c: number
  #counter = 1

  /** @param seed any number; its low 32 bits count */
  constructor(seed: number) {
    this.seed = seed >>> 0
    this.#a = this.seed
    this.#b = 0x9e37_79b9
    this.#c = 0x243f_6a88
    // As in PractRand: the first numbers of near seeds are alike.
    for (let round = 0; round < 12; round++) this.next()
  }

  /** A whole number from 0 to 2^32 - 1. */
  next(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0
    return sum >>> 0
  }

  /** A number from 0 up to 1, 1 excluded. */
  fraction(): number {
    return this.next() / 0x1_0000_0000
  }

  /** A whole number from 0 up to `limit`, `limit` excluded; 0 when `limit` is 0. */
  below(limit: number): number {
    return Math.floor(this.fraction() * limit)
  }

  /** True in the given share of cases, 0 to 1. */
  chance(probability: number): boolean {
    return this.fraction() < probability
  }

  /** One of the items. Throws a RangeError when there is none. */
  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new RangeError('there is nothing to pick from')
    return items[this.below(items.length)] as T
  }

  /** That many random bytes. */
  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length)
    for (let index = 0; index < length; index++) bytes[index] = this.next()
    return bytes
  }
}

/** A seed nobody chose, for `new Random(seed)`: print it, so that the run can be repeated. */
export function randomSeed(): number {
  return Math.floor(Math.random() * 0x1_0000_0000)
}

/** The `index`-th of the seeds that belong to a seed: far from each other, and always the same. */
export function deriveSeed(seed: number, index: number): number {
  return new Random((seed ^ Math.imul(index + 1, 0x85eb_ca6b)) >>> 0).next()
}
