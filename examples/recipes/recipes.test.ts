import { WalError, WriteAheadLog } from 'forelog'
import { expect, test } from 'vitest'
import { runExample, temporaryDirectory } from '../support/run-example.js'
import { appendOrMakeRoom, count, rawLog, reading, stockEntries as entries, type StockLog } from './recipes.js'

test('a raw log gives back types and payloads', async () => {
  expect(await rawLog(temporaryDirectory())).toEqual([
    { type: 0, payload: new Uint8Array([1, 2, 3]) },
    { type: 7, payload: new Uint8Array(Buffer.from('hello')) },
  ])
})

test('all ways of reading give the same entries', async () => {
  await using log = await WriteAheadLog.open(temporaryDirectory(), { entries })
  await log.appendBatch([entries.put({ key: 'a', amount: 1 }), entries.put({ key: 'b', amount: 2 }), entries.del('a')])

  expect(await reading(log, 1)).toEqual(['put', 'del', 'put', 'del', 'put', 'del', 'del'])
  expect(await count(log)).toBe(3)
})

test('an append that finds the disk full is made again, once there is room', async () => {
  const calls: string[] = []
  const log = {
    append: () => {
      calls.push('append')
      return calls.length === 1 ? Promise.reject(new WalError('ERR_WAL_NO_SPACE', 'full')) : Promise.resolve(9)
    },
    truncateBefore: (offset: number) => Promise.resolve(calls.push(`truncate before ${offset}`)),
  } as unknown as StockLog

  expect(await appendOrMakeRoom(log, 'a', 5)).toBe(9)
  expect(calls).toEqual(['append', 'truncate before 5', 'append'])
})

test('it runs, and pino takes what the log says', async () => {
  const { code, stdout, stderr } = await runExample('recipes/main.ts')

  expect(stderr).toBe('')
  expect(stdout).toContain('"name":"stock"')
  expect(stdout).toContain('"msg":"opened a log"')
  expect(stdout).toContain("[ 'put', 'put', 'put', 'put' ] 1")
  expect(code).toBe(0)
})
