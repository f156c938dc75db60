/**
 * A program that stands on a log, made to be crash-tested: what it opens its log on can be a simulated disk.
 */
import { defineEntries, type FileSystem, json, type LogOf, nodeFileSystem, WriteAheadLog } from 'forelog'

const entries = defineEntries({
  moved: { type: 1, codec: json<{ account: string; cents: number }>() },
})

// #region program
/** Balances of accounts. A transfer takes from one and gives to another: two entries that have to survive together. */
export class Accounts implements AsyncDisposable {
  readonly #log: LogOf<typeof entries>
  readonly #balances = new Map<string, number>()

  private constructor(log: LogOf<typeof entries>) {
    this.#log = log
  }

  static async open(directory: string, fileSystem: FileSystem = nodeFileSystem): Promise<Accounts> {
    const accounts = new Accounts(await WriteAheadLog.open(directory, { entries, fileSystem }))
    try {
      for (const { entry } of accounts.#log.entriesSync()) accounts.#move(entry.value.account, entry.value.cents)
      return accounts
    } catch (error) {
      await accounts.#log.close() // or the next attempt of this process finds the log locked
      throw error
    }
  }

  async transfer(from: string, to: string, cents: number): Promise<void> {
    await this.#log.appendBatch([entries.moved({ account: from, cents: -cents }), entries.moved({ account: to, cents })])
    this.#move(from, -cents)
    this.#move(to, cents)
  }
  // #endregion

  // #region mistake
  /** Looks right, and is, until a crash comes between the two. */
  async transferInTwoSteps(from: string, to: string, cents: number): Promise<void> {
    await this.#log.append(entries.moved({ account: from, cents: -cents }))
    await this.#log.append(entries.moved({ account: to, cents }))
    this.#move(from, -cents)
    this.#move(to, cents)
  }
  // #endregion

  balance(account: string): number {
    return this.#balances.get(account) ?? 0
  }

  /** Of all accounts: always 0. */
  get sum(): number {
    return [...this.#balances.values()].reduce((sum, cents) => sum + cents, 0)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#log.close()
  }

  #move(account: string, cents: number): void {
    this.#balances.set(account, this.balance(account) + cents)
  }
}
