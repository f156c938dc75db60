import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { runExample, temporaryDirectory } from '../support/run-example.js'
import { KeyValueTable } from './key-value-table.js'

async function contentOf(directory: string): Promise<object> {
  await using table = await KeyValueTable.open(directory)
  return Object.fromEntries(table.rows())
}

test('a table that is opened again has the same content', async () => {
  const directory = temporaryDirectory()
  const table = await KeyValueTable.open(directory)
  await Promise.all([table.put('a', 1), table.put('b', { deep: ['c'] }), table.put('a', 2), table.delete('b'), table.put('d', null)])
  await table.close()

  expect(await contentOf(directory)).toEqual({ a: 2, d: null })
})

test('a snapshot frees the log, and nothing is missing or there twice', async () => {
  const directory = temporaryDirectory()
  const table = await KeyValueTable.open(directory)
  await Promise.all([table.put('a', 1), table.put('b', 2), table.delete('a')])
  await table.snapshot()
  expect(table.logged).toEqual({ first: 4, last: 3 })
  await table.put('c', 3)
  await table.close()

  expect(await contentOf(directory)).toEqual({ b: 2, c: 3 })
})

test('a snapshot that is taken while changes go on holds what was acknowledged by then', async () => {
  const directory = temporaryDirectory()
  const table = await KeyValueTable.open(directory)
  const puts = Array.from({ length: 500 }, (_, index) => table.put(`key ${index % 50}`, index))
  await puts[100]
  await Promise.all([table.snapshot(), ...puts])
  await table.close()

  const expected = Object.fromEntries(Array.from({ length: 50 }, (_, key) => [`key ${key}`, 450 + key]))
  expect(await contentOf(directory)).toEqual(expected)
})

test('a crash between snapshot and truncation loses nothing, and applies nothing twice', async () => {
  const directory = temporaryDirectory()
  const { signal, stderr } = await runExample('key-value-table/die-before-truncation.ts', { args: [directory] })
  expect(stderr).toBe('')
  // tsx dies of what its child died of, or says so with its exit code.
  expect(signal === 'SIGKILL' || signal === null).toBe(true)

  await using table = await KeyValueTable.open(directory)
  expect(table.logged).toEqual({ first: 1, last: 4 })
  expect(Object.fromEntries(table.rows())).toEqual({ b: 2, c: 3 })
  await table.snapshot()
  expect(table.logged).toEqual({ first: 5, last: 4 })
})

test('a snapshot that was half written when the process died is never read', async () => {
  const directory = temporaryDirectory()
  const table = await KeyValueTable.open(directory)
  await table.put('a', 1)
  await table.snapshot()
  await table.put('a', 2)
  await table.close()
  writeFileSync(join(directory, 'snapshot.json.tmp'), '{"checkpoint":99,"ro')

  expect(await contentOf(directory)).toEqual({ a: 2 })
})

test('it runs', async () => {
  const { code, stdout, stderr } = await runExample('key-value-table/main.ts')

  expect(stderr).toBe('')
  expect(stdout).toBe(
    "100 rows, made of the log's entries 1 to 1000\n" +
      "100 rows, made of the snapshot and the log's entries 1001 to 1001; key 0 is newest\n",
  )
  expect(code).toBe(0)
})
