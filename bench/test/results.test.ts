import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { resultsPage } from '../src/report/html.ts'
import { quotedFiles, withQuotes } from '../src/report/quote.ts'
import { resultsTable, shortTable } from '../src/report/text.ts'
import { problemOf, reached, type Results } from '../src/results.ts'

const sample: Results = {
  resultsVersion: 1,
  date: '2026-01-02T03:04:05.000Z',
  command: 'npm run bench',
  mode: 'usual',
  environment: {
    machine: 'a machine',
    processor: 'a processor',
    cores: 2,
    memoryBytes: 2 ** 34,
    kernel: 'Linux 6',
    fileSystem: 'ext4 (rw)',
    device: 'sda',
    node: 'v20.20.0',
    floor: 'in C',
    contenders: { forelog: { version: '1.0.0', usage: 'raw' }, lmdb: { version: '3.0.0', usage: '<put>' } },
  },
  measures: [
    { line: 2, name: '100 writers', unit: 'appends/s', samples: { forelog: [500, 700, 600], lmdb: [100, 140, 120] }, goals: [{ text: 'times LMDB', value: 5, atLeast: 4 }] },
    { line: 8, name: 'open', unit: 'ms', samples: { forelog: [25] }, goals: [{ text: 'ms', value: 25, atMost: 20 }] },
  ],
  charts: [{ title: 'Appends <1>', x: { name: 'writers', scale: 'log' }, y: { name: 'appends/s', scale: 'log' }, series: [{ name: 'forelog', points: [[1, 2]] }] }],
  skipped: ['better-sqlite3: it could not be installed'],
}

describe('a result file', () => {
  test('is taken when it has everything', () => {
    expect(problemOf(sample)).toBeUndefined()
  })

  test.each<[string, Partial<Record<keyof Results, unknown>>, RegExp]>([
    ['another version', { resultsVersion: 2 }, /resultsVersion is 2/],
    ['no environment', { environment: undefined }, /environment.machine/],
    ['a line that is not there', { measures: [{ ...sample.measures[0], line: 11 }] }, /lines 1 to 10/],
    ['a sample that is no number', { measures: [{ ...sample.measures[0], samples: { forelog: [null] } }] }, /no number/],
    ['nothing of a contender', { measures: [{ ...sample.measures[0], samples: { floor: [1] } }] }, /of a contender/],
    ['a goal without a bound', { measures: [{ ...sample.measures[0], goals: [{ text: 'x', value: 1 }] }] }, /no bound/],
    ['a point without a value', { charts: [{ ...sample.charts[0], series: [{ name: 'forelog', points: [[1, null]] }] }] }, /no pair of numbers/],
  ])('is refused with %s', (_, changed, problem) => {
    expect(problemOf({ ...sample, ...changed })).toMatch(problem)
  })

  test('gives a table with the medians, the ratios and what was not reached', () => {
    const table = resultsTable(sample)
    expect(table).toContain('| 2 | 100 writers, appends/s | 600 | lmdb 120 | 5.00 times LMDB (at least 4.00) |')
    expect(table).toContain('| 8 | open, ms | 25.0 |  | 25.0 ms (at most 20.0: **not reached**) |')
    expect(table).toContain('Not measured: better-sqlite3: it could not be installed.')
  })

  test('gives a short table of what all contenders did, with the command and the machine', () => {
    const table = shortTable(sample)
    expect(table).toContain('|  | forelog | lmdb |\n|---|---|---|\n| 100 writers, appends/s | 600 | 120 |\n')
    expect(table).not.toContain('open')
    expect(table).toContain('`npm run bench`, 2026-01-02: a machine, a processor, 2 cores; Linux 6; ext4 on sda; Node.js v20.20.0; lmdb 3.0.0.')
  })

  test('is quoted between its marks, and what stood there is replaced', () => {
    const document = 'a\n<!-- results: bench/results/x.json, short -->\nold figures\n<!-- end of results -->\nb\n'
    const quoted = withQuotes(document, (path) => ({ ...sample, command: path }))
    expect(quoted).toMatch(/^a\n<!-- results: \S+ short -->\n\|[\s\S]*`bench\/results\/x\.json`[\s\S]*\n<!-- end of results -->\nb\n$/)
    expect(quoted).not.toContain('old figures')
    expect(withQuotes(quoted, (path) => ({ ...sample, command: path }))).toBe(quoted)
    expect(quotedFiles(quoted)).toEqual(['bench/results/x.json'])
  })

  test('gives a page that needs nothing from elsewhere', () => {
    const page = resultsPage(sample, 'const library = "</script>"')
    expect(page).toContain('Appends &lt;1&gt;')
    expect(page).toContain('&lt;put&gt;')
    expect(page).not.toMatch(/\b(src|href)=|https?:|@import/)
    expect(page.match(/<\/script>/g)).toHaveLength(2)
  })

  test('a goal on its bound is reached', () => {
    expect(reached({ text: '', value: 4, atLeast: 4 })).toBe(true)
    expect(reached({ text: '', value: 3.99, atLeast: 4 })).toBe(false)
    expect(reached({ text: '', value: 20.1, atMost: 20 })).toBe(false)
  })
})

describe('what is committed', () => {
  const root = fileURLToPath(new URL('../..', import.meta.url))
  const read = (path: string): Results => JSON.parse(readFileSync(join(root, path), 'utf8')) as Results
  const files = readdirSync(join(root, 'bench/results')).map((name) => `bench/results/${name}`)

  test.each(files)('%s is a result file, and has the measures of all ten lines', (file) => {
    const results = read(file)
    expect(problemOf(results)).toBeUndefined()
    expect([...new Set(results.measures.map(({ line }) => line))]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
  })

  test.each(['README.md', 'docs/PERFORMANCE.md'])('the figures of %s are those of a committed result file', (document) => {
    const text = readFileSync(join(root, document), 'utf8')
    expect(quotedFiles(text)).toHaveLength(1)
    expect(files).toEqual(expect.arrayContaining(quotedFiles(text)))
    expect(withQuotes(text, read)).toBe(text)
  })
})
