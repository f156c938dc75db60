import type { FileSystem } from 'forelog'
import { expect, test } from 'vitest'
import { overriding } from '../support/overriding.js'
import { runExample, temporaryDirectory } from '../support/run-example.js'
import { Credits } from './credits.js'
import { crashCredits } from './explore.js'

test('of a hundred who ask at once exactly as many get credits as there are, and the next process counts the same', async () => {
  const directory = temporaryDirectory()
  const credits = await Credits.open(directory)
  await credits.grant('alice', 30)
  const answers = await Promise.all(Array.from({ length: 100 }, () => credits.use('alice', 1)))
  expect(answers.filter(Boolean)).toHaveLength(30)
  expect(credits.of('alice')).toBe(0)
  expect(credits.logged).toBe(31)
  await credits.close()

  await using again = await Credits.open(directory)
  expect(again.of('alice')).toBe(0)
  expect(await again.use('alice', 1)).toBe(false)
})

test('a snapshot frees the log, and snapshot and tail together are all of it', async () => {
  const directory = temporaryDirectory()
  const credits = await Credits.open(directory)
  await Promise.all(Array.from({ length: 50 }, (_, n) => credits.grant(`customer ${n % 7}`, n)))
  await credits.snapshot()
  expect(credits.logged).toBe(0)
  await credits.use('customer 0', 1)
  await credits.close()

  await using again = await Credits.open(directory)
  expect(again.logged).toBe(1)
  const counted = Array.from({ length: 7 }, (_, customer) => again.of(`customer ${customer}`))
  const granted = [0, 0, 0, 0, 0, 0, 0]
  for (let n = 0; n < 50; n++) granted[n % 7]! += n
  granted[0]! -= 1
  expect(counted).toEqual(granted)
})

test('in every crash each counter is what was told, but for the one command that was under way', async () => {
  const report = await crashCredits(1500, 1)
  expect(report.violations, report.summary).toEqual([])
  expect(report.crashes).toBe(3000)
  expect(report.crashesWith.unsyncedSectors).toBeGreaterThan(100)
})

const withoutSyncOf =
  (name: 'sync' | 'syncDirectory') =>
  (disk: FileSystem): FileSystem =>
    overriding(disk, {
      syncDirectory: async (path) => (name === 'syncDirectory' && path === '/data' ? undefined : disk.syncDirectory(path)),
      open: async (path, options) => {
        const file = await disk.open(path, options)
        return name === 'sync' && path.includes('snapshot') ? overriding(file, { sync: async () => {} }) : file
      },
    })

test.each(['sync', 'syncDirectory'] as const)('a snapshot without its %s is found out', async (name) => {
  const { violations } = await crashCredits(500, 1, withoutSyncOf(name))
  expect(violations.length).toBeGreaterThan(0)
})

test('it runs', async () => {
  const { code, stdout, stderr } = await runExample('event-sourced-counter/main.ts')
  expect(stderr).toBe('')
  expect(stdout).toBe('1000 asked for a credit, 500 got one; 501 events\nfrom the snapshot and 1 event: 4 left\n')
  expect(code).toBe(0)
})
