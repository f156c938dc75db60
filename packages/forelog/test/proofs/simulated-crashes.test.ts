/** Line 1 of docs/RELIABILITY.md. */
import { it } from 'vitest'
import { Effort, expectFloors, report, seed as firstSeed, timeout } from './effort.js'
import { crashSeed, newTally } from './simulated-crashes.js'

/** Crashes of the short form. */
const wanted = 100_000

/** Of the crashes, about a third of what the short form meets. */
const floors = {
  ofRecoveries: 0.2,
  ofFormat1: 0.03,
  withLatency: 0.1,
  onSmallDisk: 0.02,
  withUnsyncedSectors: 0.03,
  withUnsyncedNames: 0.03,
  tornWrites: 0.003,
  tornTails: 0.002,
  duringRoll: 0.02,
  duringTruncation: 0.004,
  duringCut: 0.004,
  duringOpening: 0.02,
  duringClosing: 0.005,
  duringWriteThrough: 0.005,
  duringCommit: 0.006,
  withCursor: 0.05,
  withHold: 0.03,
  held: 0.0005,
  failedLives: 0.0005,
  noSpace: 0.0003,
} as const

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
  if (effort.hasEnough(tally.crashes)) expectFloors(tally, tally.crashes, floors)
})
