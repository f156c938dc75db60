/**
 * What the accounts hold, made of the entries of the log alone.
 */
import type { BankEntry } from './entries.js'
import { Violation } from './violation.js'

export class Balances {
  readonly #cents = new Map<number, number>()
  #lastId = 0
  #entries = 0

  /** Number of the newest transfer. */
  get lastId(): number {
    return this.#lastId
  }

  /** Entries that were taken. */
  get entries(): number {
    return this.#entries
  }

  /** Takes the next entry of the log; a violation when it does not follow from the one before: one is missing, or there twice. */
  take(entry: BankEntry): void {
    const { id } = entry.value
    const goesOn = entry.name === 'posting' && id === this.#lastId
    if (!goesOn && id !== this.#lastId + 1) throw new Violation(`transfer ${id} follows transfer ${this.#lastId}`)
    this.#lastId = id
    this.#entries++
    switch (entry.name) {
      case 'transfer':
        this.#add(entry.value.from, -entry.value.cents)
        this.#add(entry.value.to, entry.value.cents)
        break
      case 'posting':
        this.#add(entry.value.account, entry.value.cents)
        break
    }
  }

  /** All accounts together: zero, for money is only ever moved. */
  sum(): number {
    let sum = 0
    for (const cents of this.#cents.values()) sum += cents
    return sum
  }

  #add(account: number, cents: number): void {
    this.#cents.set(account, (this.#cents.get(account) ?? 0) + cents)
  }
}
