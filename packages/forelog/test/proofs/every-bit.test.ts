/** Line 4 of docs/RELIABILITY.md: whatever is flipped, cut, zeroed or mixed up, no wrong entry is read and no loss goes unsaid. */
import { describe, expect, it } from 'vitest'
import { type Damage, DamageTally, everyFlip, everyLength, everyMixUp, everyZeroedSector, recordBytesOf, tryAll } from './every-bit.js'
import { isLong, report, timeout } from './effort.js'
import { buildCutFormat2, goldenFormat1, type SampleLog, writeFormat1, writeFormat2 } from './sample-logs.js'

const damagesOf = (log: SampleLog, other: SampleLog): (() => Iterable<Damage>)[] => [
  () => everyFlip(log),
  () => everyLength(log),
  () => everyZeroedSector(log),
  // All subsets of so many segments are too many.
  ...(log.files.size < 8 ? [() => everyMixUp(log, other)] : []),
]

async function damageAll(log: SampleLog, other: SampleLog): Promise<DamageTally> {
  const tally = new DamageTally()
  for (const damages of damagesOf(log, other)) await tryAll(log, damages(), tally)
  return tally
}

/** Floors: what each bit and each byte of a log makes up, whatever its size. */
function expectAll(tally: DamageTally, log: SampleLog): void {
  const bytes = recordBytesOf(log.files)
  expect(tally.tried).toBeGreaterThan(10 * bytes)
  expect(tally.of('refused') + tally.of('refused when read'), 'refused').toBeGreaterThan(6 * bytes)
}

const format2: (readonly [string, () => Promise<{ log: SampleLog; other: SampleLog }>])[] = [
  ['that was closed', async () => ({ log: (await writeFormat2()).clean, other: (await writeFormat2(3)).clean })],
  ['that was left open', async () => ({ log: (await writeFormat2()).unclean, other: (await writeFormat2(3)).clean })],
  ['whose end was cut off', async () => ({ log: buildCutFormat2(), other: (await writeFormat2(3)).clean })],
]

describe('format 2', () => {
  it.each(format2)('damage to a log %s is never a wrong entry and never a silent loss', { timeout }, async (_what, make) => {
    const { log, other } = await make()
    const tally = await damageAll(log, other)
    expect(tally.violations).toEqual([])
    for (const never of ['WRONG ENTRY', 'SILENT LOSS', 'CALLED CLEAN'] as const) expect(tally.of(never), never).toBe(0)
    expectAll(tally, log)
    // The exceptions that the format names, and how often each was met.
    for (const kind of ['bit flipped', 'older one cut', 'rubbish behind', 'zeros behind', 'swapped', 'copied', 'of another log']) {
      for (const exception of ['clean: false', 'an earlier shutdown', 'an earlier end', 'emptied in front'] as const) expect(tally.of(exception, kind), kind).toBe(0)
    }
    expect(tally.of('clean: false')).toBeGreaterThan(0)
    expect(tally.of('cut', 'newest cut')).toBeGreaterThan(200)
    expect(tally.of('cut, ambiguous')).toBeGreaterThan(200)
    report({ line: 4, name: `every bit, ${log.name}`, tried: tally.tried, unit: 'damages', madeOf: tally.table() })
  })
})

describe('format 1', () => {
  it('has the weaknesses of its layout, and no other', { timeout }, async () => {
    const log = await writeFormat1()
    const tally = await damageAll(log, await writeFormat1(3))
    // Nothing covers the type; types of the same shape can be taken for each other. One bit of each entry tells these two apart.
    expect(tally.of('WRONG ENTRY', 'bit flipped')).toBe(log.lastOffset)
    // Nothing says which log a segment belongs to: one that fits is taken.
    expect(tally.of('WRONG ENTRY', 'of another log')).toBeGreaterThan(0)
    expect(tally.of('WRONG ENTRY')).toBe(tally.of('WRONG ENTRY', 'bit flipped') + tally.of('WRONG ENTRY', 'of another log'))
    // Nothing says where the log ended: it can be cut between two records, and a newest segment can be gone or emptied.
    expect(tally.of('SILENT LOSS', 'newest cut')).toBeGreaterThan(0)
    expect(tally.of('SILENT LOSS')).toBe(tally.of('SILENT LOSS', 'newest cut') + tally.of('SILENT LOSS', 'missing') + tally.of('SILENT LOSS', 'emptied') + tally.of('SILENT LOSS', 'renamed'))
    expect(tally.of('CALLED CLEAN')).toBe(0)
    expect(tally.violations.filter((what) => !/: (WRONG ENTRY|SILENT LOSS)/.test(what))).toEqual([])
    expectAll(tally, log)
    report({ line: 4, name: 'every bit, format 1', tried: tally.tried, unit: 'damages', madeOf: tally.table() })
  })

  it.each(isLong ? ['one-segment', 'twelve-segments', 'twelve-empty-tail'] : ['one-segment'])('so has a log that the Go library wrote: %s', { timeout }, async (name) => {
    const log = goldenFormat1(name)
    const tally = await damageAll(log, goldenFormat1('reopened'))
    // Its types have different shapes: a flipped one does not fit the CRC.
    expect(tally.of('WRONG ENTRY')).toBe(0)
    expect(tally.of('CALLED CLEAN')).toBe(0)
    expect(tally.violations.filter((what) => !what.includes(': SILENT LOSS'))).toEqual([])
    expectAll(tally, log)
    report({ line: 4, name: `every bit, ${log.name}`, tried: tally.tried, unit: 'damages', madeOf: tally.table() })
  })
})
