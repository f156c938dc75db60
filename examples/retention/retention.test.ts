import { WriteAheadLog } from 'forelog'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../support/run-example.js'
import { keepMeanwhile, makeRoom, openEvents, openQueue, worthAnAlarm } from './retention.js'

const event = new Uint8Array(1000)

async function fill(log: WriteAheadLog, count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, () => log.append(event)))
}

test('an events log is within its limits, and nothing is to be told of it', async () => {
  await using log = await openEvents(temporaryDirectory())
  await fill(log, 10)
  expect(worthAnAlarm(log.stats())).toBeUndefined()
  expect(await log.applyRetention()).toMatchObject({ segments: 0, firstOffset: 1 })
})

test('a queue drops what was taken, and only that', async () => {
  await using log = await openQueue(temporaryDirectory())
  const worker = await log.cursor('worker')
  for (let n = 0; n < 20; n++) await fill(log, 1000)
  await worker.commit(12_000)
  const { segments, firstOffset } = await log.applyRetention()
  expect(segments).toBe(1)
  expect(firstOffset).toBeGreaterThan(8000)
  expect(firstOffset).toBeLessThanOrEqual(12_001)
})

test('room is made by hand, and not while somebody keeps what is there', async () => {
  await using log = await WriteAheadLog.open(temporaryDirectory(), { maxSegmentSize: 50_000 })
  for (let n = 0; n < 20; n++) await fill(log, 20)
  const held = await keepMeanwhile(log, 'backup', () => makeRoom(log, 100_000))
  expect(held).toMatchObject({ segments: 0, heldBy: 'backup', firstOffset: 1 })
  expect(await makeRoom(log, 100_000)).toMatchObject({ heldBy: undefined, heldBackBytes: 0 })
  expect(log.segments().reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThanOrEqual(100_000)
})

test('a cursor that holds a lot is worth an alarm, and so are failures', async () => {
  await using log = await WriteAheadLog.open(temporaryDirectory())
  const { retention, ...stats } = log.stats()
  expect(worthAnAlarm({ ...stats, retention: { ...retention, heldBy: 'slow', heldBackBytes: 2 * 1024 ** 3 } })).toContain('slow holds 2147483648 bytes')
  expect(worthAnAlarm({ ...stats, retention: { ...retention, failures: 2 } })).toContain('failed 2 times')
})
