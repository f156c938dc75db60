import { expect, test } from 'vitest'
import { runExample } from '../support/run-example.js'
import { crashTransfers } from './explore.js'

test('a transfer in one batch survives every crash whole', async () => {
  const report = await crashTransfers({ crashes: 2000, seed: 1, method: 'transfer' })

  expect(report.crashes).toBe(2000)
  expect(report.crashesWith.lostSectors).toBeGreaterThan(100)
  expect(report.violations, report.summary).toEqual([])
})

test('a transfer in two steps is found out, and its replay shows the same again', async () => {
  const report = await crashTransfers({ crashes: 2000, seed: 1, method: 'transferInTwoSteps' })
  const [violation] = report.violations
  expect(String(violation?.error)).toContain('money was made or lost')

  const replay = violation?.replay as string
  const again = await crashTransfers({ crashes: 1, seed: 1, method: 'transferInTwoSteps', replay })
  expect(again.violations.map(({ error }) => String(error))).toEqual([String(violation?.error)])
})

test('it runs', async () => {
  const { code, stdout, stderr } = await runExample('crash-tests/main.ts')

  expect(stderr).toBe('')
  expect(stdout).toContain('money was made or lost')
  expect(code).toBe(0)
})
