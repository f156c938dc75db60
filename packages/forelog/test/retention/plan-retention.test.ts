import fc from 'fast-check'
import { expect, it } from 'vitest'
import { planRetention, type RetainedSegment } from '../../src/retention/plan-retention.js'

const nobody = { holder: undefined, slowest: undefined }

/** Segments of ten entries and 100 bytes each, made at 1000, 2000, … */
function segments(count: number): RetainedSegment[] {
  return Array.from({ length: count }, (_, n) => ({ firstOffset: 1 + 10 * n, bytes: 100, createdMs: 1000 * (n + 1) }))
}

it('size asks for as many as bring the log to the limit, and never for the newest', () => {
  expect(planRetention(segments(5), { maxBytes: 500 }, 0, nobody).count).toBe(0)
  expect(planRetention(segments(5), { maxBytes: 499 }, 0, nobody).count).toBe(1)
  expect(planRetention(segments(5), { maxBytes: 250 }, 0, nobody).count).toBe(3)
  expect(planRetention(segments(5), { maxBytes: 1 }, 0, nobody).count).toBe(4)
})

it('age asks for a segment when the one behind it was begun longer ago than the limit, and not a millisecond sooner', () => {
  const count = (nowMs: number): number => planRetention(segments(4), { maxAgeMs: 5000 }, nowMs, nobody).count
  expect([6000, 7000, 7001, 8001, 9001, 99_999].map(count)).toEqual([0, 0, 1, 2, 3, 3])
})

it('a clock that was set back keeps segments for longer, and takes none out of its order', () => {
  const [first, second, third] = segments(3) as [RetainedSegment, RetainedSegment, RetainedSegment]
  const setBack = [first, { ...second, createdMs: 50_000 }, third]
  expect(planRetention(setBack, { maxAgeMs: 1000 }, 20_000, nobody).count).toBe(0)
  expect(planRetention(setBack, { maxAgeMs: 1000 }, 51_001, nobody).count).toBe(2)
})

it('a segment that does not say when it was begun keeps those in front of it, as if it were new', () => {
  const [first, second, third] = segments(3) as [RetainedSegment, RetainedSegment, RetainedSegment]
  expect(planRetention([first, { ...second, createdMs: undefined }, third], { maxAgeMs: 1000 }, 99_999, nobody).count).toBe(0)
  expect(planRetention([first, second, { ...third, createdMs: undefined }], { maxAgeMs: 1000 }, 99_999, nobody).count).toBe(1)
})

it('what every cursor has passed goes, and without cursors nothing does', () => {
  const limits = { passedByCursors: true }
  const count = (offset: number): number => planRetention(segments(4), limits, 0, { holder: undefined, slowest: { name: 'a', offset } }).count
  expect(planRetention(segments(4), limits, 0, nobody).count).toBe(0)
  expect([0, 9, 10, 19, 20, 100].map(count)).toEqual([0, 0, 1, 1, 2, 3])
})

it('a cursor that holds keeps what it needs, and is named with what that comes to', () => {
  const holder = { name: 'slow', offset: 14 }
  expect(planRetention(segments(5), { maxBytes: 100 }, 0, { holder, slowest: holder })).toEqual({ count: 1, heldBackBytes: 300, heldBy: 'slow' })
  expect(planRetention(segments(5), { maxBytes: 400 }, 0, { holder, slowest: holder })).toEqual({ count: 1, heldBackBytes: 0, heldBy: undefined })
})

it('whatever the log and the limits: no more goes than is asked for, and nothing that is held', () => {
  const place = fc.record({ name: fc.constant('c'), offset: fc.nat(250) })
  fc.assert(
    fc.property(
      fc.array(fc.record({ entries: fc.nat(10), bytes: fc.integer({ min: 92, max: 500 }), createdMs: fc.nat(1000) }), { minLength: 1, maxLength: 20 }),
      fc.record({ maxBytes: fc.nat(5000), maxAgeMs: fc.nat(1000), passedByCursors: fc.boolean() }, { requiredKeys: [] }),
      fc.nat(2000),
      fc.option(place, { nil: undefined }),
      fc.option(place, { nil: undefined }),
      (made, limits, nowMs, holding, loose) => {
        let firstOffset = 1
        const live = made.map(({ entries, ...segment }) => {
          const begun = { ...segment, firstOffset }
          firstOffset += entries
          return begun
        })
        const slowest = [holding, loose].filter((cursor) => cursor !== undefined).sort((a, b) => a.offset - b.offset)[0]
        const { count, heldBackBytes, heldBy } = planRetention(live, limits, nowMs, { holder: holding, slowest })
        expect(count).toBeLessThan(live.length)
        const stays = live.slice(count)
        const staysBytes = stays.reduce((sum, { bytes }) => sum + bytes, 0)
        // Held: all that goes is committed.
        if (count > 0 && holding !== undefined) expect(stays[0]?.firstOffset).toBeLessThanOrEqual(holding.offset + 1)
        // Asked for: each segment that goes is too much, too old, or passed.
        const isAskedFor = (index: number): boolean => {
          const fromHere = live.slice(index).reduce((sum, { bytes }) => sum + bytes, 0)
          const next = live[index + 1] as RetainedSegment
          const tooMuch = fromHere > (limits.maxBytes ?? Infinity)
          const tooOld = (next.createdMs as number) < nowMs - (limits.maxAgeMs ?? Infinity)
          return tooMuch || tooOld || (limits.passedByCursors === true && slowest !== undefined && next.firstOffset <= slowest.offset + 1)
        }
        for (let index = 0; index < count; index++) expect(isAskedFor(index)).toBe(true)
        // Kept: within the size, or one segment, or held.
        if (stays.length > 1 && staysBytes > (limits.maxBytes ?? Infinity)) expect([heldBy, heldBackBytes > 0]).toEqual(['c', true])
      },
    ),
    { numRuns: 2000, seed: 1 },
  )
})
