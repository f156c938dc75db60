/** Line 1 of docs/RELIABILITY.md. */
import { it } from 'vitest'
import { Effort, expectFloors, report, seed as firstSeed, timeout } from './effort.js'
import { crashSeed, newTally } from './simulated-crashes.js'

/** Crashes of the short form. */
const wanted = 100_000

/** Of the crashes, about a third of what the short form meets. */
const floors = {
  ofRecoveries: 0.4,
  ofFormat1: 0.01,
  withLatency: 0.03,
  onSmallDisk: 0.004,
  withUnsyncedSectors: 0.03,
  withUnsyncedNames: 0.03,
  tornWrites: 0.002,
  tornTails: 0.0015,
  duringRoll: 0.03,
  duringTruncation: 0.003,
  duringCut: 0.003,
  duringOpening: 0.02,
  duringClosing: 0.006,
  duringWriteThrough: 0.004,
  duringCommit: 0.006,
  withCursor: 0.06,
  withHold: 0.03,
  held: 0.001,
  withRetention: 0.04,
  duringRetention: 0.003,
  duringDropping: 0.0004,
  droppedByOpening: 0.005,
  dropped: 0.002,
  retained: 0.004,
  droppedByAge: 0.0002,
  heldBack: 0.0004,
  failedLives: 0.001,
  noSpace: 0.001,
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
