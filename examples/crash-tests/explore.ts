/**
 * The crash test of accounts.ts: a few hundred power cuts a second, in memory.
 */
import { strict as assert } from 'node:assert'
import { type CrashReport, exploreCrashes } from 'forelog/testing'
import { Accounts } from './accounts.js'

export interface Transfers {
  readonly crashes: number
  readonly seed: number
  /** Which of the two to test. */
  readonly method: 'transfer' | 'transferInTwoSteps'
  /** Repeats the one crash of a violation. */
  readonly replay?: string
}

export function crashTransfers({ crashes, seed, method, replay }: Transfers): Promise<CrashReport> {
  // #region explore
  return exploreCrashes<number>({
    crashes,
    seed,
    // The program. It runs on a disk in memory that knows what was synced, and says what it was promised.
    async workload({ fileSystem, directory, acknowledge }) {
      await using accounts = await Accounts.open(directory, fileSystem)
      for (let cents = 1; cents <= 10; cents++) {
        await accounts[method]('alice', 'bob', cents)
        acknowledge(cents)
      }
    },
    // What has to hold after each crash: it throws where that is not so.
    async check({ fileSystem, directory, acknowledged }) {
      await using accounts = await Accounts.open(directory, fileSystem)
      assert.equal(accounts.sum, 0, 'money was made or lost')
      const promised = acknowledged.reduce((sum, cents) => sum + cents, 0)
      assert.ok(accounts.balance('bob') >= promised, 'an acknowledged transfer is lost')
    },
    ...(replay === undefined ? {} : { replay }),
  })
  // #endregion
}
