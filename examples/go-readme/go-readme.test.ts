import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Logger, WriteAheadLog } from 'forelog'
import { expect, test } from 'vitest'
import { ExampleEntry1 } from '../../packages/forelog/test/support/waltest.js'
import { runExample, temporaryDirectory } from '../support/run-example.js'
import { goReadme, walEntries } from './go-readme.js'

const nothing = (): void => {}
const silent: Logger = { debug: nothing, info: nothing, warn: nothing, error: nothing }

test.each([2, 1] as const)('in format %i the entry comes back, and the next one is appended behind it', async (format) => {
  const directory = temporaryDirectory()

  expect(await goReadme(directory, format, silent)).toBe(1)
  expect(await goReadme(directory, format, silent)).toBe(2)

  await using log = await WriteAheadLog.open(directory, { entries: walEntries })
  const entry = new ExampleEntry1(42, [1, 2, 3])
  expect([...log.entriesSync()]).toEqual([
    { offset: 1, entry },
    { offset: 2, entry },
  ])
})

test('in format 1 the file is the one that the Go library writes', async () => {
  const directory = temporaryDirectory()
  await goReadme(directory, 1, silent)

  expect(readdirSync(directory).filter((name) => name.endsWith('.wal'))).toEqual(['1.wal'])
  // Offset 1, type 0, CRC; id 42, three float32.
  const bytes = readFileSync(join(directory, '1.wal')).toString('hex')
  expect(bytes).toMatch(/^0000000100[0-9a-f]{8}0000002a00033f8000004000000040400000$/)
})

test('it runs', async () => {
  const { code, stdout } = await runExample('go-readme/main.ts')

  expect(stdout.split('\n').filter((line) => line.startsWith('format'))).toEqual(['format 2: offset 1', 'format 1: offset 1'])
  expect(code).toBe(0)
})
