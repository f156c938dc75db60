/** Line 2 of docs/RELIABILITY.md. */
import { describe, expect, it } from 'vitest'
import { report, timeout } from './effort.js'
import { everyState, scripts } from './every-small-state.js'

/** Subsets that one call may leave: 2 to the number of unsynced pieces, so some thirteen of them. */
const limit = 8192

describe('every state that a crash can leave of a small log, and then of its recovery, is one that recovery understands', () => {
  it.each(scripts)('$name', { timeout }, async (script) => {
    const tally = await everyState(script, limit)
    expect(tally.states).toBeGreaterThanOrEqual(script.floors.states)
    expect(tally.mostUnsynced).toBeGreaterThanOrEqual(script.floors.unsynced)
    if (!script.withoutRecoveries) expect(tally.ofRecoveries).toBeGreaterThan(50)
    expect(tally.passedOver).toBe(0)
    report({ line: 2, name: script.name, tried: tally.states + tally.ofRecoveries, unit: `states (up to ${limit} of each call)`, madeOf: tally })
  })
})
