/** docs/RELIABILITY.md names tests for what it claims: each of them is there, and its table of mutants is what the last runs found. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
// @ts-expect-error: plain JavaScript, as all scripts are
import * as list from '../scripts/mutants/list.mjs'
// @ts-expect-error: as above
import * as patches from '../scripts/mutants/patches.mjs'
// @ts-expect-error: as above
import * as table from '../scripts/mutants/table.mjs'

interface Killed {
  readonly name: string
  readonly file: string
  readonly test: string
}

const { mutants, equivalent } = list as { mutants: { readonly name: string; readonly tests: readonly string[] }[]; equivalent: { readonly name: string; readonly why: string }[] }
const { misfits } = patches as { misfits(): string[] }
const { readKilled, makeTable, tableOf } = table as { readKilled(): Killed[]; makeTable(): string; tableOf(): string }

const root = fileURLToPath(new URL('../', import.meta.url))
const tests = join(root, 'packages/forelog/test')
const page = readFileSync(join(root, 'docs/RELIABILITY.md'), 'utf8')
/** Below the tests of the library, those of the proofs, or with its whole path. */
const isTest = (file: string): boolean => [tests, join(tests, 'proofs'), root].some((directory) => existsSync(join(directory, file)))

test('every test file that the page names is there', () => {
  const named = [...page.matchAll(/`([\w./-]+\.test\.ts)`/g)].map(([, file = '']) => file)
  expect(named.length).toBeGreaterThan(30)
  expect(named.filter((file) => !isTest(file))).toEqual([])
})

test('every mistake of others has the test that the page names for it', () => {
  const [, section = ''] = page.split('## Mistakes of others')
  const rows = [...(section.split('\n## ')[0] ?? '').matchAll(/^\| (?!mistake|---)(.+) \| (.+) \|$/gm)]
  expect(rows.length).toBeGreaterThanOrEqual(16)
  for (const [, mistake = '', cell = ''] of rows) {
    const named = [...cell.matchAll(/`([\w./-]+\.test\.ts)`: ([^;]+)/g)]
    expect(named.length, mistake).toBeGreaterThan(0)
    for (const [, file = '', name = ''] of named) {
      // As a title in the source; what an `it.each` puts in behind it is left out in the page.
      const source = readFileSync(join(tests, file), 'utf8')
      expect(["'", '"', '`'].some((quote) => source.includes(`(${quote}${name.trim()}`)), `${file}: ${name}`).toBe(true)
    }
  }
})

test('the mutants fit the sources, have names of their own, and name tests that there are', () => {
  expect(misfits()).toEqual([])
  const names = [...mutants, ...equivalent].map(({ name }) => name)
  expect(new Set(names).size).toBe(names.length)
  expect(mutants.flatMap(({ tests: files }) => files).filter((file) => !isTest(file))).toEqual([])
})

test('every mutant is killed, and the page says by which test', () => {
  const killed = readKilled()
  expect(killed.map(({ name }) => name), 'npm run mutants -- --write').toEqual(mutants.map(({ name }) => name))
  expect(killed.filter(({ file }) => !isTest(file))).toEqual([])
  expect(tableOf(), 'npm run mutants -- --write').toBe(makeTable())
})
