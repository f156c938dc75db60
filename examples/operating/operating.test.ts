import { appendFileSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { WriteAheadLog } from 'forelog'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../support/run-example.js'
import { backUp, check, metrics, rescue, worthKnowing } from './operating.js'

test('a copy that is made while the log is appended to has all that was acknowledged before, and opens', async () => {
  const directory = temporaryDirectory()
  await using log = await WriteAheadLog.open(join(directory, 'log'), { maxSegmentSize: 20_000 })
  const entry = (n: number): Uint8Array => new Uint8Array(100).fill(n % 256)
  for (let n = 1; n <= 500; n++) await log.append(entry(n))
  await log.truncateBefore(50)

  for (let round = 0; round < 5; round++) {
    const acknowledged = log.lastOffset
    const writing = Promise.all(Array.from({ length: 400 }, (_, index) => log.append(entry(acknowledged + 1 + index))))
    const to = join(directory, `copy ${round}`)
    await backUp(log, to)
    await writing

    await using copy = await WriteAheadLog.open(to)
    expect(copy.firstOffset).toBe(50)
    expect(copy.lastOffset).toBeGreaterThanOrEqual(acknowledged)
    for (const { offset, entry: found } of copy.entriesSync()) expect(found.payload).toEqual(entry(offset))
  }
})

test('a copy has the cursors, none of them beyond its end, and what was committed goes on there', async () => {
  const directory = temporaryDirectory()
  await using log = await WriteAheadLog.open(join(directory, 'log'))
  await log.appendBatch(Array.from({ length: 10 }, (_, index) => new Uint8Array(10).fill(index)))
  await using cursor = await log.cursor('shipper')
  await cursor.commit(4)

  const backingUp = backUp(log, join(directory, 'copy'))
  await log.append(new Uint8Array(10))
  await cursor.commit(11)
  await backingUp

  await using copy = await WriteAheadLog.open(join(directory, 'copy'))
  const [found] = await copy.cursors()
  expect(found?.name).toBe('shipper')
  expect(found?.offset).toBeGreaterThanOrEqual(4)
  expect(found?.offset).toBeLessThanOrEqual(copy.lastOffset)
})

test('the figures are those of the log', async () => {
  await using log = await WriteAheadLog.open(temporaryDirectory())
  await log.append(new Uint8Array(1))

  expect(metrics(log.stats())).toContain('log_appends_total 1\nlog_pending_bytes 0\nlog_segments 1\n')
})

test('a start tells of a torn end, and of nothing when all was well', async () => {
  const directory = temporaryDirectory()
  const log = await WriteAheadLog.open(directory)
  await log.append(new Uint8Array(1))
  await log.close()
  const clean = await WriteAheadLog.open(directory)
  expect(worthKnowing(clean.recovery)).toBeUndefined()
  await clean.append(new Uint8Array(2))
  await clean.close()

  const [segment] = readdirSync(directory).filter((name) => name.endsWith('.wal'))
  const path = join(directory, segment as string)
  appendFileSync(path, readFileSync(path).subarray(-10)) // half of a record
  await using torn = await WriteAheadLog.open(directory)
  expect(worthKnowing(torn.recovery)).toMatch(/10 (unacknowledged )?bytes were cut off/)
})

test('a check names the damaged byte, and a rescue takes all but the damaged entry', async () => {
  const directory = temporaryDirectory()
  const log = await WriteAheadLog.open(directory)
  for (let n = 1; n <= 5; n++) await log.append(new Uint8Array(100).fill(n))
  await log.close()
  expect(await check(directory)).toEqual(['sound, up to entry 5'])

  const [segment] = readdirSync(directory).filter((name) => name.endsWith('.wal'))
  const path = join(directory, segment as string)
  const bytes = readFileSync(path)
  bytes.fill(0xee, bytes.indexOf(Buffer.alloc(100, 3)), bytes.indexOf(Buffer.alloc(100, 3)) + 50)
  writeFileSync(path, bytes)

  const [outcome, fault] = await check(directory)
  expect(outcome).toBe('damaged')
  expect(fault).toContain(`${path} at byte `)

  const to = join(temporaryDirectory(), 'rescued')
  expect(await rescue(directory, to)).toHaveLength(1)
  await using rescued = await WriteAheadLog.open(to)
  expect([...rescued.entriesSync()].map(({ entry }) => entry.payload[0])).toEqual([1, 2, 4, 5])
})
