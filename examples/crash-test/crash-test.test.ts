import { expect, test } from 'vitest'
import { runExample } from '../support/run-example.js'
import { crashTest, putThenSay, sayThenPut } from './crash-test.js'

test('the key-value table keeps what it acknowledged in every simulated crash', async () => {
  const report = await crashTest(putThenSay, { seed: 7 })
  expect(report.violations, report.summary).toEqual([])
  expect(report.crashes).toBe(2000)
  expect(report.crashesWith.unsyncedSectors).toBeGreaterThan(100)
  expect(report.acknowledged).toBe(200)
})

test('a variant that acknowledges before the append resolves is caught, and its crash repeated', async () => {
  const report = await crashTest(sayThenPut, { seed: 7 })
  const [first] = report.violations
  expect(String(first?.error)).toMatch(/^Error: key \d was \d+, and is/)
  const again = await crashTest(sayThenPut, { replay: first?.replay as string })
  expect(again.crashes).toBeLessThanOrEqual(2)
  expect(String(again.violations[0]?.error)).toBe(String(first?.error))
})

test('it runs', async () => {
  const { code, stdout, stderr } = await runExample('crash-test/main.ts')
  expect(stderr).toBe('')
  const lines = stdout.trimEnd().split('\n')
  expect(lines[0]).toBe('the table: 2000 crashes, 0 violations')
  expect(lines[1]).toMatch(/^a table that says so before the log does: key \d was \d+, and is/)
  expect(lines[2]?.split(': ')[1]).toBe(lines[1]?.split(': ')[1])
  expect(code).toBe(0)
})
