import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, test, vi } from 'vitest'
import { newCutRow } from '../../proofs/cuts.ts'
import { merged, type Part, quotedFiles, type Results, tables, withTables } from '../../proofs/results.ts'

vi.setConfig({ testTimeout: 180_000 })

const root = fileURLToPath(new URL('../../..', import.meta.url))

const damage: Part = {
  name: 'damage',
  peers: 'all',
  command: 'npm run peers -- --only damage --seed 1 --runs 1',
  date: '2026-01-02T03:04:05.678Z',
  machine: 'a machine',
  node: 'v20.20.0',
  stores: { 'a store': { version: '1.2.3', usage: 'as it comes' } },
  damages: [{ store: 'a store', state: 'killed', kind: 'bit', places: 800, tried: 36, outcomes: { error: 1, told: 2, right: 3, loss: 4, wrong: 5, crash: 6, hang: 7 }, checked: 9, found: 8 }],
  cuts: [],
  skipped: [],
}
const ext4: Part = {
  ...damage,
  name: 'ext4',
  command: 'npm run peers -- --only ext4 --seed 1 --runs 1',
  damages: [],
  cuts: [{ ...newCutRow('a store', 'ext4'), cuts: 30, told: 900, lost: 11, cutsThatLost: 10, inFlightKept: 12, inFlightGone: 13, late: 14, lateGone: 15, wrong: 16, refused: 17 }],
}

describe('a result', () => {
  test('is a table with each count under its name', () => {
    const text = tables({ resultsVersion: 1, parts: [damage, ext4] })
    const cellsOf = (begin: string): string[] => (text.split('\n').find((line) => line.startsWith(begin)) as string).split(' | ')
    const damages = Object.fromEntries(cellsOf('| one bit flipped').map((name, index) => [name, cellsOf('| a store | killed')[index]]))
    expect(damages).toMatchObject({ 'tried, of': '36 of 800', error: '1', 'missing, told': '2', 'nothing wrong': '3', 'missing, silent': '4', 'wrong, silent': '5', crash: '6', hang: '7' })
    expect(cellsOf('| a store | killed').at(-1)).toBe('8 of 9 |')
    expect(cellsOf('| a store | ext4').join(' ')).toBe('| a store ext4 30 900 11 10 12 13 14 15 16 17 |')
    expect(text).toContain('`npm run peers -- --only damage --seed 1 --runs 1` (2026-01-02)')
    expect(text).toContain('- a store: 1.2.3; as it comes.')
  })

  test('says what was left out, and why', () => {
    const part = { ...ext4, cuts: [], skipped: ['power cuts on ext4: mounting needs root'] }
    expect(tables({ resultsVersion: 1, parts: [part] })).toContain('Left out: power cuts on ext4: mounting needs root.')
  })

  test('of a part takes the place of the same part of an earlier run, and leaves the others', () => {
    const both = merged(merged(undefined, [ext4]), [damage])
    expect(both.parts.map(({ name }) => name)).toEqual(['damage', 'ext4'])
    const again = { ...damage, date: '2026-02-02T00:00:00.000Z' }
    expect(merged(both, [again]).parts).toEqual([again, ext4])
    expect(merged(both, [{ ...damage, peers: 'lmdb' }]).parts).toHaveLength(3)
  })

  test('has the stores in one order, whichever was run first', () => {
    const of = (store: string): Part => ({ ...damage, peers: store, damages: damage.damages.map((row) => ({ ...row, store })) })
    const text = tables({ resultsVersion: 1, parts: [of('LMDB (lmdb)'), of('forelog, format 2')] })
    expect(text.indexOf('| forelog, format 2 |')).toBeLessThan(text.indexOf('| LMDB (lmdb) |'))
  })

  test('is quoted between its marks, and what stood there is replaced', () => {
    const document = 'a\n<!-- others: bench/x.json -->\nold counts\n<!-- end of others -->\nb\n'
    const results: Results = { resultsVersion: 1, parts: [ext4] }
    const quoted = withTables(document, () => results)
    expect(quoted).not.toContain('old counts')
    expect(quoted).toContain('| a store | ext4 | 30 |')
    expect(withTables(quoted, () => results)).toBe(quoted)
    expect(quotedFiles(quoted)).toEqual(['bench/x.json'])
  })
})

describe('what is committed', () => {
  const document = readFileSync(join(root, 'docs/RELIABILITY.md'), 'utf8')
  const read = (path: string): Results => JSON.parse(readFileSync(join(root, path), 'utf8')) as Results

  test('is what the counts of docs/RELIABILITY.md are', () => {
    expect(quotedFiles(document)).toHaveLength(1)
    expect(withTables(document, read)).toBe(document)
  })

  test('has no wrong entry of forelog in format 2, and nothing lost that it had told before a cut', () => {
    const parts = quotedFiles(document).flatMap((path) => read(path).parts)
    const ours = <T extends { store: string }>(rows: readonly T[]): T[] => rows.filter(({ store }) => store === 'forelog, format 2')
    const [damages, cuts] = [ours(parts.flatMap((part) => part.damages)), ours(parts.flatMap((part) => part.cuts))]
    expect(damages.length).toBeGreaterThan(0)
    expect(cuts.length).toBeGreaterThan(0)
    for (const { outcomes } of damages) expect(outcomes).toMatchObject({ wrong: 0, crash: 0, hang: 0 })
    for (const { lost, wrong, refused } of cuts) expect({ lost, wrong, refused }).toEqual({ lost: 0, wrong: 0, refused: 0 })
  })
})

test('a run damages forelog, and finds neither a silent loss of a closed log nor a wrong entry in format 2', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'forelog-peers-test-'))
  try {
    const json = join(directory, 'results.json')
    const { stdout } = await promisify(execFile)(process.execPath, [join(root, 'bench/run.mjs'), '--proofs', '--only', 'damage', '--peers', 'forelog', '--runs', '0.02', '--json', json])
    const { parts } = JSON.parse(readFileSync(json, 'utf8')) as Results
    const rows = parts.flatMap(({ damages }) => damages).filter(({ store }) => store === 'forelog, format 2')
    expect(rows.map(({ state, kind, tried }) => [state, kind, tried])).toEqual(['closed', 'killed'].flatMap((state) => [[state, 'bit', 40], [state, 'sector', 4], [state, 'length', 2]]))
    for (const { state, kind, outcomes } of rows) {
      const { wrong, crash, hang, loss } = outcomes
      expect({ wrong, crash, hang }).toEqual({ wrong: 0, crash: 0, hang: 0 })
      if (state === 'closed' || kind === 'bit') expect(loss).toBe(0)
    }
    expect(stdout).toContain('| forelog, format 2 | closed | 40 of ')
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})
