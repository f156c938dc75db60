import { expect, it } from 'vitest'
import { crashSeed, newTally } from './simulated-crashes.js'

const crashesWanted = Number(process.env['FORELOG_CRASHES'] ?? 100_000)
const firstSeed = Number(process.env['FORELOG_SEED'] ?? 1)

it(`keeps every promise in ${crashesWanted} simulated crashes`, { timeout: 600_000 }, async () => {
  const tally = newTally()
  for (let seed = firstSeed; tally.crashes < crashesWanted; seed++) await crashSeed(seed, tally)
  console.log('simulated crashes', tally)
  // Floors: a workload that never meets these proves nothing.
  const share = (count: number): number => count / tally.crashes
  expect(share(tally.ofRecoveries)).toBeGreaterThan(0.2)
  expect(share(tally.withUnsyncedSectors)).toBeGreaterThan(0.05)
  expect(share(tally.withUnsyncedNames)).toBeGreaterThan(0.05)
  expect(share(tally.tornWrites)).toBeGreaterThan(0.005)
  expect(share(tally.tornTails)).toBeGreaterThan(0.003)
  for (const met of [tally.duringRoll, tally.duringTruncation, tally.duringCut, tally.duringOpening, tally.duringClosing]) expect(share(met)).toBeGreaterThan(0.01)
  for (const met of [tally.failedLives, tally.noSpace]) expect(share(met)).toBeGreaterThan(0.0003)
})
