/** Line 9 of docs/RELIABILITY.md: inputs that nobody wrote. The model is in model.test.ts. */
import { it } from 'vitest'
import { Effort, expectFloors, report, seed as firstSeed, timeout } from './effort.js'
import { Fuzzer, newFuzzTally } from './fuzz.js'

/** Inputs of the short form. */
const wanted = 5_000

it('bytes that nobody wrote give no entry that nobody appended, in any reader, and no error but ours', { timeout }, async () => {
  const fuzzer = await Fuzzer.make()
  const tally = newFuzzTally()
  const effort = new Effort(wanted)
  let seed = firstSeed
  for (; effort.goesOn(tally.inputs); seed++) {
    try {
      await fuzzer.try(seed, tally)
    } catch (error) {
      throw new Error(`again: npm run prove -- --only fuzz --runs 0 --seed ${seed}\n${String((error as Error).message)}`, { cause: error })
    }
  }
  report({ line: 9, name: 'fuzz', tried: tally.inputs + tally.pieces, unit: `inputs, files and pieces of them, seeds ${firstSeed} to ${seed - 1}`, madeOf: tally })
  if (!effort.hasEnough(tally.inputs)) return
  expectFloors(tally.byKind, tally.inputs, { 'random bytes': 0.15, mutated: 0.15, forged: 0.15 })
  expectFloors(tally, tally.inputs, { opened: 0.1, refused: 0.2, refusedWhenRead: 0.01, entries: 3 })
})
