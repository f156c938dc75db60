import { expect, test } from 'vitest'
import { median, medianRatio, percentiles } from '../src/numbers.ts'
import { number } from '../src/report/text.ts'

test('a median is the middle value, or the mean of the two in the middle', () => {
  expect(median([9, 1, 5])).toBe(5)
  expect(median([9, 1, 5, 7])).toBe(6)
  expect(median([])).toBeNaN()
})

test('a ratio is that within a round, so that a slow round does not move it', () => {
  expect(medianRatio([100, 10, 120], [50, 5, 60])).toBe(2)
  // The medians alone would say 100 / 5.
  expect(medianRatio([100, 10, 100], [50, 5, 5])).toBe(2)
})

test('percentiles are values that were measured', () => {
  const values = Array.from({ length: 1000 }, (_, index) => 1000 - index)
  expect(percentiles(values)).toEqual({ p50: 501, p90: 901, p99: 991, p999: 1000, max: 1000 })
})

test('numbers are shown with three digits that count', () => {
  expect([0, 0.01234, 1.5, 45.67, 1234, 12_345, 1_234_567, 12_345_678_901].map(number)).toEqual(['0', '0.0123', '1.50', '45.7', '1234', '12.3 k', '1.23 M', '12.3 G'])
})
