import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { problemOf, type Results } from '../src/results.ts'

// A run is a dozen processes; where everything else runs besides, they take their time.
vi.setConfig({ testTimeout: 180_000 })

const run = fileURLToPath(new URL('../run.mjs', import.meta.url))
let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'forelog-bench-'))
})
afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
})

async function bench(...options: string[]): Promise<{ results: Results; stdout: string }> {
  const json = join(directory, 'results.json')
  const data = join(directory, 'data')
  const tiny = ['--quick', '--peers', 'node:fs', '--rounds', '2', '--ms', '20', '--dir', data, '--json', json]
  const { stdout } = await promisify(execFile)(process.execPath, [run, ...tiny, ...options])
  expect(readdirSync(data)).toEqual([]) // it takes away what it made
  return { results: JSON.parse(readFileSync(json, 'utf8')) as Results, stdout }
}

test('a run measures forelog, the floor and a peer side by side, and leaves a result file', async () => {
  const { results, stdout } = await bench('--only', '1,2')
  expect(problemOf(results)).toBeUndefined()
  expect(Object.keys(results.environment.contenders)).toEqual(['forelog', 'node:fs'])
  expect(results.command).toBe('npm run bench -- --quick --only 1,2 --peers node:fs --rounds 2 --ms 20')

  const [oneWriter] = results.measures
  expect(oneWriter?.line).toBe(1)
  expect(Object.keys(oneWriter?.samples ?? {}).sort()).toEqual(['floor', 'forelog', 'node:fs'])
  for (const rates of Object.values(oneWriter?.samples ?? {})) {
    expect(rates).toHaveLength(2)
    for (const rate of rates) expect(rate).toBeGreaterThan(0)
  }
  expect(stdout).toContain('line 2  100 writers, appends/s')
})

test('each append of one writer has a sync that the kernel sees', async (context) => {
  const { results } = await bench('--only', '1')
  const counted = results.measures.find(({ unit }) => unit === 'syncs/entry')
  if (counted === undefined) return context.skip(results.skipped.join('; '))
  expect(counted.samples['forelog']?.[0]).toBeGreaterThanOrEqual(1)
})

test('a replay visits every entry that was appended, else it fails', async () => {
  const { results } = await bench('--only', '7')
  expect(results.measures.map(({ line }) => line)).toEqual([7])
  expect(results.measures[0]?.samples['JSON.parse alone']).toHaveLength(2)
})
