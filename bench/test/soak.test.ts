import { expect, test } from 'vitest'
import { grows, slopeOf } from '../soak/measure.ts'
import { checkPayload, makePayload } from '../soak/payloads.ts'

const hours = Array.from({ length: 50 }, (_, minute) => minute / 60)
/** Scatter that has no direction. */
const scatter = hours.map((_, minute) => [3, -1, -3, 1][minute % 4] as number)

test('the slope of what grows steadily is what it grows in an hour', () => {
  const slope = slopeOf(hours, hours.map((hour) => 100 + 12 * hour))
  expect(slope.perHour).toBeCloseTo(12)
  expect(slope.error).toBeCloseTo(0)
})

test('a leak is seen through scatter, and scatter alone is no leak', () => {
  expect(grows(slopeOf(hours, scatter.map((each, minute) => 50 + each + (10 * minute) / 60)), 2)).toBe(true)
  expect(grows(slopeOf(hours, scatter.map((each) => 50 + each)), 2)).toBe(false)
})

test('a figure that the system does not show never grows', () => {
  expect(grows(slopeOf(hours, hours.map(() => Number.NaN)), 1)).toBe(false)
})

test('a payload that is not as it was made is noticed', () => {
  for (const length of [0, 8, 9, 500]) expect(() => checkPayload(makePayload(length, 7), 1)).not.toThrow()
  const other = makePayload(500, 7)
  other[250] = 8
  expect(() => checkPayload(other, 1)).toThrow('entry 1 is not what was appended')
  expect(() => checkPayload(makePayload(500, 7).subarray(0, 499), 2)).toThrow('entry 2')
})
