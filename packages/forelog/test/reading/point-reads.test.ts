import { describe, expect, it } from 'vitest'
import type { OpenFile } from '../../src/files/file-system.js'
import { segmentHeaderBytes } from '../../src/format/control-record.js'
import { SimulatedDisk } from '../../src/testing/index.js'
import { bytesOf, openOn, rejection } from '../support/logs.js'

/** A disk that counts what is read of segments, and how: on the thread that asks, or in the pool. */
class CountingDisk extends SimulatedDisk {
  inline = 0
  pooled = 0
  bytes = 0

  override async open(...args: Parameters<SimulatedDisk['open']>): Promise<OpenFile> {
    return this.#counted(await super.open(...args))
  }

  override openSync(...args: Parameters<SimulatedDisk['openSync']>): OpenFile {
    return this.#counted(super.openSync(...args))
  }

  #counted(file: OpenFile): OpenFile {
    const read = file.read.bind(file)
    const readSync = file.readSync.bind(file)
    return Object.assign(file, {
      read: async (target: Uint8Array, position: number) => {
        this.pooled++
        const bytes = await read(target, position)
        this.bytes += bytes
        return bytes
      },
      readSync: (target: Uint8Array, position: number) => {
        this.inline++
        const bytes = readSync(target, position)
        this.bytes += bytes
        return bytes
      },
    })
  }

  reset(): void {
    this.inline = 0
    this.pooled = 0
    this.bytes = 0
  }
}

const count = 20_000

/** A log of one segment, closed and opened again: nothing of it is known but its end. */
async function reopened(perGroup: number): Promise<{ disk: CountingDisk; log: Awaited<ReturnType<typeof openOn>> }> {
  const disk = new CountingDisk({ seed: 1, directories: ['/data'] })
  const before = await openOn(disk, { sync: 'manual' })
  for (let first = 1; first <= count; first += perGroup) {
    await before.appendBatch(Array.from({ length: perGroup }, (_, index) => ({ type: 1, payload: bytesOf(`entry ${first + index}`) })))
  }
  await before.close()
  const log = await openOn(disk, { sync: 'manual' })
  disk.reset()
  return { disk, log }
}

describe('get', () => {
  it('gives every entry, cold and warm, from small groups and large ones', async () => {
    for (const perGroup of [1, 100, 20_000]) {
      const { log } = await reopened(perGroup)
      for (let index = 0; index < 600; index++) {
        const offset = 1 + ((index * 7919) % count)
        expect(await log.get(offset)).toEqual({ offset, entry: { type: 1, payload: bytesOf(`entry ${offset}`) } })
      }
      await log.close()
    }
  })

  it('walks a segment once, whatever is asked for: later reads begin close by', async () => {
    const { disk, log } = await reopened(10)
    const segmentBytes = log.segments()[0]?.bytes as number
    await log.get(count)
    expect(disk.bytes).toBeGreaterThan(segmentBytes - segmentHeaderBytes - 64 * 1024)
    expect(disk.bytes).toBeLessThan(segmentBytes + 64 * 1024)
    for (let offset = 1; offset <= count; offset += 97) {
      disk.reset()
      await log.get(offset)
      expect(disk.bytes).toBeLessThanOrEqual(96 * 1024)
    }
    await log.close()
  })

  it('reads in the pool while nothing is known of the place, and on the thread that asks once it is', async () => {
    const { disk, log } = await reopened(10)
    await log.get(count)
    expect(disk.inline).toBe(0)
    expect(disk.pooled).toBeGreaterThan(0)
    disk.reset()
    await log.get(count / 2)
    expect(disk.pooled).toBe(0)
    expect(disk.inline).toBeGreaterThan(0)
    await log.close()
  })

  it('gives bytes of the caller’s own, which later reads leave alone', async () => {
    const { log } = await reopened(10)
    await log.get(count)
    const { entry } = await log.get(500)
    for (let offset = 1; offset < 2000; offset += 13) await log.get(offset)
    expect(entry.payload).toEqual(bytesOf('entry 500'))
    await log.close()
  })

  it('may be asked for many at once', async () => {
    const { log } = await reopened(100)
    const offsets = Array.from({ length: 300 }, (_, index) => 1 + ((index * 4177) % count))
    const got = await Promise.all(offsets.map((offset) => log.get(offset)))
    expect(got.map(({ offset }) => offset)).toEqual(offsets)
    await log.close()
  })

  it('rejects, and does not throw, when what is read on this thread is damaged', async () => {
    const { disk, log } = await reopened(10)
    await log.get(count)
    const path = log.segments()[0]?.path as string
    const bytes = disk.contents(path).slice()
    const at = Buffer.from(bytes.buffer).indexOf('entry 501')
    bytes[at] = (bytes[at] as number) ^ 1
    disk.place(path, bytes)
    disk.reset()
    const error = await rejection('ERR_WAL_CORRUPT', log.get(503))
    expect(error.message).toContain('the CRC of entry 501 does not fit its payload')
    expect(disk.pooled).toBe(0)
    await log.close()
  })

  it('reads a block of a large group that was read once, and its lengths, not the group', async () => {
    const { disk, log } = await reopened(count)
    await log.get(1)
    for (let offset = 1; offset <= count; offset += 101) {
      disk.reset()
      expect(await log.get(offset)).toEqual({ offset, entry: { type: 1, payload: bytesOf(`entry ${offset}`) } })
      expect(disk.bytes).toBeLessThanOrEqual(18 * 1024)
      expect(disk.inline + disk.pooled).toBe(2)
    }
    await log.close()
  })

  it.each([
    ['payload', 0, 'the CRC of entry 7777 does not fit its payload'],
    ['CRC', -1, 'the CRC of entry 7777 does not fit its payload'],
    ['type', -5, 'the headers of a group are not those that its commit was written for'],
    ['offset', -6, 'the record of entry 7777 has another offset'],
  ])('notices a bit that was flipped in the %s since the group was read', async (_name, at, why) => {
    const { disk, log } = await reopened(count)
    await log.get(7776)
    expect(await log.get(7777)).toEqual({ offset: 7777, entry: { type: 1, payload: bytesOf('entry 7777') } })
    const path = log.segments()[0]?.path as string
    const bytes = disk.contents(path).slice()
    const payload = Buffer.from(bytes.buffer).indexOf('entry 7777')
    bytes[payload + at] = (bytes[payload + at] as number) ^ 4
    disk.place(path, bytes)
    const error = await rejection('ERR_WAL_CORRUPT', log.get(7777))
    expect(error.message).toContain(why)
    await log.close()
  })

  it('gives no entry of a large group that was truncated, and those that took its offset', async () => {
    const { log } = await reopened(count)
    await log.get(count)
    await log.truncateAfter(15_000)
    await rejection('ERR_WAL_OFFSET_OUT_OF_RANGE', log.get(15_001))
    await log.append({ type: 2, payload: bytesOf('another') })
    expect((await log.get(15_001)).entry).toEqual({ type: 2, payload: bytesOf('another') })
    expect((await log.get(15_000)).entry.payload).toEqual(bytesOf('entry 15000'))
    await log.close()
  })
})
