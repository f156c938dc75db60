/** Line 9 of docs/RELIABILITY.md: inputs that nobody wrote. The model is in model.test.ts. */
import { expect, it } from 'vitest'
import { Effort, report, seed as firstSeed, timeout } from './effort.js'
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
  if (effort.share(tally.inputs) < 0.1) return
  for (const count of Object.values(tally.byKind)) expect(count / tally.inputs).toBeGreaterThan(0.15)
  expect(tally.opened / tally.inputs).toBeGreaterThan(0.1)
  expect(tally.refused / tally.inputs).toBeGreaterThan(0.2)
  expect(tally.refusedWhenRead / tally.inputs).toBeGreaterThan(0.01)
  expect(tally.entries / tally.inputs).toBeGreaterThan(3)
})
