import { join } from 'node:path'
import { WalError, WriteAheadLog } from 'forelog'
import { expect, test } from 'vitest'
import { runExample, temporaryDirectory } from '../support/run-example.js'
import { appendOrMakeRoom, beside, blocking, count, manualSync, manyAppends, openReaderWhenThere, piped, rawLog, reading, ship, stockEntries as entries, type StockLog, watchGroups } from './recipes.js'

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
  expect(calls).toEqual(['append', 'truncate before 6', 'append'])
})

test('a follower gets what was there and what comes, from where it was, and ends when it is told to', async () => {
  await using log = await WriteAheadLog.open(temporaryDirectory(), { entries })
  for (const key of ['a', 'b', 'c']) await log.append(entries.put({ key, amount: 1 }))
  const sent: string[] = []
  const stop = new AbortController()
  const following = ship(log, 1, async (offset, name) => {
    sent.push(`${offset} ${name}`)
    if (offset === 3) await log.append(entries.del('a'))
    if (offset === 4) stop.abort()
  }, stop.signal)
  await following

  expect(sent).toEqual(['2 put', '3 put', '4 del'])
})

test('a reader beside the writer sees what is durable', async () => {
  const directory = temporaryDirectory()
  const log = await WriteAheadLog.open(directory, { entries })
  await log.appendBatch([entries.put({ key: 'a', amount: 1 }), entries.del('a')])
  await log.close()
  await using _writer = await WriteAheadLog.open(directory, { entries })
  const sent: string[] = []
  await beside(directory, 1, async (offset, name) => void sent.push(`${offset} ${name}`))

  expect(sent).toEqual(['2 del'])
})

test('a reader that is started first opens when there is a log, and gives up when it is told to', async () => {
  const directory = join(temporaryDirectory(), 'stock')
  const opening = openReaderWhenThere(directory, new AbortController().signal, 5)
  const stop = new AbortController()
  const givenUp = openReaderWhenThere(join(directory, 'never'), stop.signal, 5)
  stop.abort()
  await expect(givenUp).rejects.toMatchObject({ name: 'AbortError' })
  await using log = await WriteAheadLog.open(directory, { entries })
  await using reader = await opening
  await log.append(entries.del('a'))
  for await (const { offset, entry } of reader.follow()) {
    expect([offset, entry.name]).toEqual([1, 'del'])
    break
  }
})

test('a pipeline into a log ends when all of it is durable, and its groups can be watched', async () => {
  await using log = await WriteAheadLog.open(temporaryDirectory(), { entries })
  let watched = 0
  const stop = watchGroups((count) => (watched += count))
  await piped(log, Array.from({ length: 500 }, (_, amount) => ({ key: 'a', amount })))
  stop()

  expect(log.durableOffset).toBe(500)
  expect(watched).toBe(500)
})

test('many appends in a window are all there, in order', async () => {
  await using log = await WriteAheadLog.open(temporaryDirectory(), { entries })
  await manyAppends(log, Array.from({ length: 2500 }, (_, amount) => ({ key: 'a', amount })))

  expect([...log.entriesSync()].map(({ entry }) => entry.name === 'put' && entry.value.amount)).toEqual(Array.from({ length: 2500 }, (_, n) => n))
  expect(log.stats().syncs).toBeLessThan(1250)
})

test('a script can block', async () => {
  const directory = temporaryDirectory()
  await blocking(directory)
  await using log = await WriteAheadLog.open(directory, { entries })
  expect((await log.get(1)).entry).toMatchObject({ name: 'del', value: 'apples' })
})

test('a manual sync covers what was appended before it', async () => {
  const measurements = Array.from({ length: 10 }, (_, amount) => ({ key: 'a', amount }))
  expect(await manualSync(temporaryDirectory(), measurements)).toBe(10)
})

test('it runs, and pino takes what the log says', async () => {
  const { code, stdout, stderr } = await runExample('recipes/main.ts')

  expect(stderr).toBe('')
  expect(stdout).toContain('"name":"stock"')
  expect(stdout).toContain('"msg":"opened a log"')
  expect(stdout).toContain("[ 'put', 'put', 'put', 'put' ] 1")
  expect(code).toBe(0)
})
