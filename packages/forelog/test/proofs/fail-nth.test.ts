/** Line 3 of docs/RELIABILITY.md. */
import { describe, expect, it } from 'vitest'
import { isLong, report, timeout } from './effort.js'
import { faultName } from '../support/faults.js'
import { failEach, type FailTally, faults, type Setting } from './fail-nth.js'

const settings: readonly Setting[] = [
  { format: 2, sync: 'always', commit: 'inline' },
  { format: 2, sync: 'always', commit: 'background' },
  { format: 2, sync: 'manual', commit: 'background' },
  { format: 1, sync: 'always', commit: 'background' },
]
/** The short form fails every third call where a fault lasts: what comes behind the first one hardly differs then. */
const strideForGood = isLong ? 1 : 3

describe('whichever call fails, and however, nothing acknowledged is lost and nothing else is there', () => {
  it.each(settings)('format $format, sync $sync, commit $commit', { timeout }, async (setting) => {
    const tally: FailTally = { failed: 0, openRefused: 0, logFailed: 0, noSpace: 0, unharmed: 0, crashes: 0 }
    const byFault: Record<string, number> = {}
    for (const fault of faults) {
      const before = tally.failed
      await failEach(setting, fault, fault.times === Infinity ? strideForGood : 1, tally)
      byFault[faultName(fault)] = tally.failed - before
      expect(tally.failed - before, faultName(fault)).toBeGreaterThan(3)
    }
    report({ line: 3, name: `each call fails, ${Object.values(setting).join(', ')}`, tried: tally.failed, unit: 'failed calls', madeOf: { ...tally, byFault } })
    for (const met of [tally.openRefused, tally.logFailed, tally.noSpace, tally.unharmed]) expect(met).toBeGreaterThan(30)
  })
})
