import { describe, expect, it } from 'vitest'
import { everyState, scripts } from './every-small-state.js'

/** Subsets that one call may leave: 2 to the number of unsynced pieces, so some twelve of them. */
const limit = 4096

describe('every state that a crash can leave of a small log is one that recovery understands', () => {
  it.each(scripts)('$name', async (script) => {
    const tally = await everyState(script, limit)
    console.log(script.name, tally)
    expect(tally.states).toBeGreaterThan(50)
    expect(tally.mostUnsynced).toBeGreaterThan(2)
    expect(tally.passedOver).toBe(0)
  })
})
