import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { relative } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { WriteAheadLog } from '../src/index.js'
import { SimulatedDisk } from '../src/testing/index.js'

const names = ['append', 'sync', 'roll', 'recover', 'truncate', 'fail'].map((name) => `forelog:${name}`)
const directory = '/data/log'
let told: { readonly name: string; readonly message: Record<string, unknown> }[]
let disk: SimulatedDisk

const listen = (message: unknown, name: string | symbol): void => {
  told.push({ name: String(name), message: message as Record<string, unknown> })
}

beforeEach(() => {
  told = []
  disk = new SimulatedDisk({ seed: 1, directories: ['/data'] })
  for (const name of names) subscribe(name, listen)
})

afterEach(() => {
  for (const name of names) unsubscribe(name, listen)
})

const toldOn = (name: string): Record<string, unknown>[] => told.filter((one) => one.name === `forelog:${name}`).map(({ message }) => message)
const bytes = (length: number): Uint8Array => new Uint8Array(length)

it('every group that is acknowledged is told once, with its offsets and bytes', async () => {
  const log = await WriteAheadLog.open(directory, { fileSystem: disk })
  await log.append(bytes(10))
  await log.appendBatch([bytes(1), bytes(2), bytes(3)])
  expect(toldOn('append')).toEqual([
    { path: directory, first: 1, last: 1, bytes: 19, durable: true, durationMs: expect.any(Number) },
    { path: directory, first: 2, last: 4, bytes: 33, durable: true, durationMs: expect.any(Number) },
  ])
  expect(toldOn('sync').map(({ durableOffset }) => durableOffset)).toEqual([1, 4])
})

it('what is acknowledged before it is synced is told as such, and its sync later', async () => {
  const log = await WriteAheadLog.open(directory, { fileSystem: disk, sync: 'manual' })
  await log.append(bytes(1))
  expect(toldOn('append')).toMatchObject([{ durable: false }])
  expect(toldOn('sync')).toEqual([])
  await log.sync()
  expect(toldOn('sync')).toMatchObject([{ path: directory, durableOffset: 1 }])
})

it('a blocking append is told as well', async () => {
  const log = await WriteAheadLog.open(directory, { fileSystem: disk })
  log.appendSync(bytes(1))
  expect(toldOn('append')).toMatchObject([{ first: 1, last: 1 }])
})

it('every message has the path of its log, which the log tells, too', async () => {
  const log = await WriteAheadLog.open(relative(process.cwd(), directory), { fileSystem: disk })
  expect(log.path).toBe(directory)
  await log.append(bytes(1))
  await log.close()
  expect(told.length).toBeGreaterThan(2)
  expect(new Set(told.map(({ message }) => message['path']))).toEqual(new Set([log.path]))
})

it('rolls and truncations are told, with what the log holds then', async () => {
  const log = await WriteAheadLog.open(directory, { fileSystem: disk, maxSegmentSize: 1 })
  for (let count = 0; count < 4; count++) await log.append(bytes(1))
  expect(toldOn('roll').map(({ firstOffset }) => firstOffset)).toEqual([2, 3, 4])
  await log.truncateBefore(3)
  await log.truncateAfter(3)
  expect(toldOn('truncate')).toEqual([
    { path: directory, side: 'front', reason: 'call', firstOffset: 3, lastOffset: 4, removedSegments: 2 },
    { path: directory, side: 'back', reason: 'call', firstOffset: 3, lastOffset: 3, removedSegments: 1 },
  ])
})

it('every opening is told, with what recovery found', async () => {
  const log = await WriteAheadLog.open(directory, { fileSystem: disk })
  await log.append(bytes(1))
  await WriteAheadLog.open(directory, { fileSystem: disk.afterCrash('none') })
  expect(toldOn('recover')).toMatchObject([
    { path: directory, format: 2, firstOffset: 1, lastOffset: 0, clean: true, tornBytes: 0 },
    { path: directory, format: 2, firstOffset: 1, lastOffset: 1, clean: false, tornBytes: 0 },
  ])
})

it('a failure is told once, with its error', async () => {
  const log = await WriteAheadLog.open(directory, { fileSystem: disk })
  disk.fail({ kind: 'dataSync', code: 'EIO' })
  await log.append(bytes(1)).catch(() => {})
  await log.append(bytes(1)).catch(() => {})
  expect(toldOn('fail')).toEqual([{ path: directory, error: log.failure }])
})
