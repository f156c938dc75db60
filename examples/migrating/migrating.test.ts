import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { defineEntries, json, WriteAheadLog } from 'forelog'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../support/run-example.js'
import { importLines, importTable, payments } from './migrating.js'

test('every line of a file becomes an entry, once, also when more lines come later', async () => {
  const directory = temporaryDirectory()
  const [path, log] = [join(directory, 'events.ndjson'), join(directory, 'log')]
  const lines = (count: number): string => Array.from({ length: count }, (_, id) => `${JSON.stringify({ id, text: `ü ${id}` })}\n`).join('')
  writeFileSync(path, lines(2500))

  expect(await importLines(path, log)).toBe(2500)
  expect(await importLines(path, log)).toBe(2500)
  writeFileSync(path, lines(2600))
  expect(await importLines(path, log)).toBe(2600)

  await using imported = await WriteAheadLog.open(log, { entries: defineEntries({ event: { type: 1, codec: json<{ id: number }>() } }) })
  for (const { offset, entry } of imported.entriesSync()) expect(entry.value.id).toBe(offset - 1)
})

test('half a line at the end of a file is not taken for a line', async () => {
  const directory = temporaryDirectory()
  const path = join(directory, 'events.ndjson')
  writeFileSync(path, '{"id":0,"text":"a"}\n{"id":1,"te')

  await expect(importLines(path, join(directory, 'log'))).rejects.toThrow(SyntaxError)
})

test('every row of a table becomes an entry, once, and keeps its number', async () => {
  const directory = temporaryDirectory()
  const rows = Array.from({ length: 1500 }, (_, n) => ({ seq: 2 * n + 1, body: `row ${n}` }))
  const rowsAfter = (seq: number): Iterable<{ seq: number; body: string }> => rows.filter((row) => row.seq > seq)

  expect(await importTable(rowsAfter, directory)).toBe(1500)
  rows.push({ seq: 9999, body: 'new' })
  expect(await importTable(rowsAfter, directory)).toBe(1501)
})

test('entries of an older version are read as what they mean today', async () => {
  const directory = temporaryDirectory()
  const before = defineEntries({ paid: { type: 1, codec: json<{ id: string; cents: number }>() } })
  const old = await WriteAheadLog.open(directory, { entries: before })
  await old.append(before.paid({ id: 'a', cents: 1 }))
  await old.close()

  await using log = await WriteAheadLog.open(directory, { entries: payments })
  await log.append(payments.paid({ id: 'b', cents: 2, currency: 'CHF' }))
  await log.append(payments.refunded('a'))
  expect([...log.entriesSync()].map(({ entry }) => entry.value)).toEqual([
    { id: 'a', cents: 1, currency: 'EUR' },
    { id: 'b', cents: 2, currency: 'CHF' },
    'a',
  ])

  await log.close()
  await using older = await WriteAheadLog.open(directory, { entries: before })
  await expect(older.get(3)).rejects.toMatchObject({ code: 'ERR_WAL_ENTRY_TYPE_UNKNOWN' })
})
