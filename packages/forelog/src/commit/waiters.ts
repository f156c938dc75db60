/**
 * Those who wait for a group: a promise each, and as little else as can be, for this is most of what an append costs.
 */
import type { WalError } from '../errors.js'

type Resolve = (value: unknown) => void

// `new Promise` calls its executor at once, so one executor and one variable serve all: no closure for each append.
let lastResolve: Resolve
const keepResolve = (resolve: Resolve): void => {
  lastResolve = resolve
}

/** In the place of a last offset: the caller appended one entry, and wants one number. */
const single = -1

export class Waiters {
  readonly #resolves: Resolve[] = []
  readonly #firsts: number[] = []
  /** Last offset of a batch, or `single`. */
  readonly #lasts: number[] = []

  get count(): number {
    return this.#resolves.length
  }

  /** Resolves with the offset of one entry. */
  addEntry(offset: number): Promise<number> {
    return this.#add(offset, single) as Promise<number>
  }

  /** Resolves with the offsets of a batch. */
  addBatch(first: number, last: number): Promise<{ readonly first: number; readonly last: number }> {
    return this.#add(first, last) as Promise<{ readonly first: number; readonly last: number }>
  }

  #add(first: number, last: number): Promise<unknown> {
    const promise = new Promise<unknown>(keepResolve)
    this.#resolves.push(lastResolve)
    this.#firsts.push(first)
    this.#lasts.push(last)
    return promise
  }

  /** Gives their entries other offsets: the log was cut behind while they waited. */
  moveBy(offsets: number): void {
    for (let index = 0; index < this.#firsts.length; index++) {
      this.#firsts[index] = (this.#firsts[index] as number) + offsets
      if (this.#lasts[index] !== single) this.#lasts[index] = (this.#lasts[index] as number) + offsets
    }
  }

  /** In the order in which they came. */
  resolveAll(): void {
    for (let index = 0; index < this.#resolves.length; index++) {
      const first = this.#firsts[index] as number
      const last = this.#lasts[index] as number
      ;(this.#resolves[index] as Resolve)(last === single ? first : { first, last })
    }
  }

  rejectAll(error: WalError): void {
    for (const resolve of this.#resolves) resolve(Promise.reject(error))
  }
}
