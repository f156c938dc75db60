import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { Writable as WebWritable } from 'node:stream'
import { beforeEach, describe, expect, it } from 'vitest'
import { defineEntries, utf8, WriteAheadLog } from '../../src/index.js'
import { SimulatedDisk } from '../../src/testing/index.js'

const entries = defineEntries({ line: { type: 1, codec: utf8 } })
const directory = '/data/log'
let disk: SimulatedDisk

beforeEach(() => {
  disk = new SimulatedDisk({ seed: 1, directories: ['/data'] })
})

async function openOn(on: SimulatedDisk, options: object = {}) {
  return WriteAheadLog.open(directory, { entries, fileSystem: on, ...options })
}

async function linesOf(log: Awaited<ReturnType<typeof openOn>>): Promise<string[]> {
  const lines: string[] = []
  for await (const { entry } of log.entries()) lines.push(entry.value)
  return lines
}

const numbered = (count: number): string[] => Array.from({ length: count }, (_, index) => `line ${index + 1}`)

describe('a writable', () => {
  it.each(['always', 'interval', 'manual'] as const)('has every entry on stable storage when the pipeline ends, under sync: %s', async (sync) => {
    const log = await openOn(disk, { sync })
    await pipeline(Readable.from(numbered(1000).map(entries.line)), log.writable())
    expect(log.durableOffset).toBe(1000)
    expect(await linesOf(await openOn(disk.afterCrash('none')))).toEqual(numbered(1000))
  })

  it.each(['always', 'manual'] as const)('calls back when the entry is on stable storage, not before, under sync: %s', async (sync) => {
    const log = await openOn(disk, { sync })
    const writable = log.writable()
    for (let offset = 1; offset <= 5; offset++) {
      const durable = await new Promise<number>((resolve, reject) => {
        writable.write(entries.line('x'), (error) => (error ? reject(error) : resolve(log.durableOffset)))
      })
      expect(durable).toBe(offset)
    }
  })

  it('lets what queues while a sync runs share the next one', async () => {
    const log = await openOn(disk)
    await pipeline(Readable.from(numbered(1000).map(entries.line)), log.writable())
    expect(log.stats().groups).toBeLessThan(100)
  })

  it('holds its source back, so that no more than highWaterMark entries queue', async () => {
    const log = await openOn(disk)
    const writable = log.writable({ highWaterMark: 4 })
    expect([1, 2, 3, 4].map(() => writable.write(entries.line('x')))).toEqual([true, true, true, false])
    await new Promise((resolve) => writable.once('drain', resolve))
    expect(writable.write(entries.line('x'))).toBe(true)
  })

  it('waits for room instead of failing, whoever took it', async () => {
    const log = await openOn(disk, { maxPendingBytes: 100 })
    const others = Promise.all(Array.from({ length: 3 }, () => log.append(entries.line('o'.repeat(20)))))
    await pipeline(Readable.from(numbered(200).map(entries.line)), log.writable())
    await others
    expect(log.stats().refused.backpressure).toBeGreaterThan(0)
    expect((await linesOf(log)).filter((line) => line.startsWith('line'))).toEqual(numbered(200))
  })

  it('ends with the error of an entry that is refused, and nothing behind it is appended', async () => {
    const log = await openOn(disk)
    const given = [...numbered(3).map((line) => entries.line(line)), entries.line(7 as unknown as string), entries.line('behind')]
    await expect(pipeline(Readable.from(given), log.writable())).rejects.toMatchObject({ code: 'ERR_WAL_ENCODE' })
    expect(await linesOf(log)).toEqual(numbered(3))
    expect(log.state).toBe('open')
  })

  it('ends with the failure of the log', async () => {
    const log = await openOn(disk)
    disk.fail({ kind: ['dataSync', 'write'], code: 'EIO', times: Infinity })
    await expect(pipeline(Readable.from(numbered(10).map(entries.line)), log.writable())).rejects.toMatchObject({ name: 'WalError' })
    expect(log.state).toBe('failed')
  })

  it('ends when it is aborted, and the log goes on', async () => {
    const log = await openOn(disk)
    const abort = new AbortController()
    const endless = Readable.from(
      (async function* () {
        for (let line = 1; ; line++) {
          if (line === 50) abort.abort()
          yield entries.line(`line ${line}`)
        }
      })(),
    )
    await expect(pipeline(endless, log.writable({ signal: abort.signal }))).rejects.toMatchObject({ name: 'AbortError' })
    const offset = await log.append(entries.line('on'))
    const lines = await linesOf(log)
    expect(lines).toHaveLength(offset)
    expect(lines.slice(0, -1)).toEqual(numbered(offset - 1))
  })

  it('is the end of a pipeline of web streams, too', async () => {
    const log = await openOn(disk)
    const source = ReadableStream.from(numbered(100).map(entries.line))
    await source.pipeTo(WebWritable.toWeb(log.writable()))
    expect(await linesOf(log)).toEqual(numbered(100))
  })

  it('refuses options that it does not have', async () => {
    const log = await openOn(disk)
    expect(() => log.writable({ highWatermark: 1 } as object)).toThrow(expect.objectContaining({ code: 'ERR_WAL_OPTION' }))
    expect(() => log.writable({ highWaterMark: 0 })).toThrow(expect.objectContaining({ code: 'ERR_WAL_OPTION', option: 'highWaterMark' }))
    await log.close()
    expect(() => log.writable()).toThrow(expect.objectContaining({ code: 'ERR_WAL_CLOSED' }))
  })
})

it('a Readable is made of entries, and follows the pace of what it is piped to', async () => {
  const log = await openOn(disk)
  await log.appendBatch(numbered(100).map(entries.line))
  const copy = await openOn(new SimulatedDisk({ seed: 2, directories: ['/data'] }))
  await pipeline(
    Readable.from(log.entries()),
    async function* (source: AsyncIterable<{ entry: ReturnType<typeof entries.line> }>) {
      for await (const { entry } of source) yield entries.line(entry.value)
    },
    copy.writable({ highWaterMark: 2 }),
  )
  expect(await linesOf(copy)).toEqual(numbered(100))
})
