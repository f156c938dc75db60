/**
 * Crash-tests the key-value table: it runs on a simulated disk, power fails at a thousand moments, and each time every change that
 * was acknowledged must still be there.
 */
import { type CrashReport, exploreCrashes } from 'forelog/testing'
import { KeyValueTable } from '../key-value-table/key-value-table.js'

/** Puts a value, and says when it may be relied on. */
export type Put = (table: KeyValueTable, key: string, value: number, acknowledge: () => void) => Promise<void>

export const putThenSay: Put = async (table, key, value, acknowledge) => {
  await table.put(key, value)
  acknowledge()
}

/** The bug that the tool is to find: the caller is told before the log has the change. */
export const sayThenPut: Put = async (table, key, value, acknowledge) => {
  acknowledge()
  await table.put(key, value)
}

// #region crash-test
export function crashTest(put: Put, options: { seed?: number; replay?: string } = {}): Promise<CrashReport> {
  return exploreCrashes<readonly [key: string, value: number]>({
    ...options,
    crashes: 1000,
    // Each of them is followed by a second one, while the table is being opened again.
    crashDuringCheck: 1,
    async workload({ fileSystem, directory, acknowledge }) {
      const table = await KeyValueTable.open(directory, { fileSystem })
      for (let value = 1; value <= 20; value++) {
        const key = `key ${value % 3}`
        await put(table, key, value, () => acknowledge([key, value]))
      }
      await table.close()
    },
    async check({ fileSystem, directory, acknowledged }) {
      const table = await KeyValueTable.open(directory, { fileSystem })
      for (const [key, value] of new Map(acknowledged)) {
        // A newer value may have come through without being acknowledged; values only grow.
        if (!(Number(table.get(key)) >= value)) throw new Error(`${key} was ${value}, and is ${String(table.get(key))}`)
      }
      await table.close()
    },
  })
}
// #endregion
