/**
 * The crash test of the counters: log and snapshot lie on the same simulated disk, which loses power at any moment.
 */
import { strict as assert } from 'node:assert'
import type { FileSystem } from 'forelog'
import { type CrashReport, exploreCrashes } from 'forelog/testing'
import { Credits } from './credits.js'

/** A command for a customer that was about to be given, or that was answered. */
interface Fact {
  readonly what: 'asked' | 'told'
  readonly customer: string
  readonly credits: number
}

/** @param diskFor what the counters are opened on; a worse one than the one that is given finds out what the test sees */
export function crashCredits(crashes: number, seed: number, diskFor: (disk: FileSystem) => FileSystem = (disk) => disk): Promise<CrashReport> {
  // #region explore
  return exploreCrashes<Fact>({
    crashes,
    seed,
    crashDuringCheck: 1,
    async workload({ fileSystem, directory, acknowledge }) {
      await using counters = await Credits.open(directory, diskFor(fileSystem))
      const customer = async (name: string): Promise<void> => {
        for (const credits of [10, -4, -3, 5, -8, 2]) {
          acknowledge({ what: 'asked', customer: name, credits })
          await (credits > 0 ? counters.grant(name, credits) : counters.use(name, -credits))
          acknowledge({ what: 'told', customer: name, credits })
        }
      }
      const saver = async (): Promise<void> => {
        for (let n = 0; n < 4; n++) await counters.snapshot()
      }
      await Promise.all([customer('alice'), customer('bob'), saver()])
      await counters.snapshot()
    },
    async check({ fileSystem, directory, acknowledged }) {
      await using counters = await Credits.open(directory, diskFor(fileSystem))
      for (const customer of ['alice', 'bob']) {
        const sum = (what: Fact['what']): number =>
          acknowledged.filter((fact) => fact.what === what && fact.customer === customer).reduce((total, { credits }) => total + credits, 0)
        // The one that was asked and not yet told may be there, or not: nothing else is in doubt.
        const found = counters.of(customer)
        assert.ok([sum('told'), sum('asked')].includes(found), `${customer} was told ${sum('told')}, and has ${found}`)
      }
      await counters.snapshot()
    },
  })
  // #endregion
}
