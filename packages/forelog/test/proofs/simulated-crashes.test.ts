/** Line 1 of docs/RELIABILITY.md. */
import { expect, it } from 'vitest'
import { Effort, report, seed as firstSeed, timeout } from './effort.js'
import { crashSeed, newTally } from './simulated-crashes.js'

/** Crashes of the short form. */
const wanted = 100_000

it('keeps every promise in simulated crashes, a hundred thousand at the least', { timeout }, async () => {
  const tally = newTally()
  const effort = new Effort(wanted)
  let seed = firstSeed
  for (; effort.goesOn(tally.crashes); seed++) {
    try {
      await crashSeed(seed, tally)
    } catch (error) {
      throw new Error(`again: npm run prove -- --only 'simulated crashes' --runs 0 --seed ${seed}\n${String((error as Error).message)}`, { cause: error })
    }
  }
  report({ line: 1, name: 'simulated crashes', tried: tally.crashes, unit: `crashes, seeds ${firstSeed} to ${seed - 1}`, madeOf: tally })
  // Floors: a workload that never meets these proves nothing.
  if (effort.share(tally.crashes) < 0.1) return
  const share = (count: number): number => count / tally.crashes
  expect(share(tally.ofRecoveries)).toBeGreaterThan(0.2)
  expect(share(tally.ofFormat1)).toBeGreaterThan(0.03)
  expect(share(tally.withLatency)).toBeGreaterThan(0.1)
  expect(share(tally.withUnsyncedSectors)).toBeGreaterThan(0.05)
  expect(share(tally.withUnsyncedNames)).toBeGreaterThan(0.05)
  expect(share(tally.tornWrites)).toBeGreaterThan(0.005)
  expect(share(tally.tornTails)).toBeGreaterThan(0.003)
  for (const met of [tally.duringRoll, tally.duringTruncation, tally.duringCut, tally.duringOpening, tally.duringClosing, tally.duringWriteThrough]) {
    expect(share(met)).toBeGreaterThan(0.01)
  }
  for (const met of [tally.failedLives, tally.noSpace]) expect(share(met)).toBeGreaterThan(0.0003)
})
