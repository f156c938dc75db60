/** Reading over segments: what is verified on the way, and what is said where it does not hold. */
import { describe, expect, it } from 'vitest'
import { json } from '../../src/entries/codecs.js'
import { defineEntries } from '../../src/entries/define-entries.js'
import type { SegmentInfo } from '../../src/segments/segment-set.js'
import type { SimulatedDisk } from '../../src/testing/index.js'
import { WriteAheadLog } from '../../src/write-ahead-log.js'
import { bytesOf, collect, directory, failCalls, healCalls, newDisk, openOn, rejection, textOf, textsOf } from '../support/logs.js'

/** A closed log with entries 1 to 12 in many segments. */
async function closedLog(): Promise<{ disk: SimulatedDisk; segments: readonly SegmentInfo[] }> {
  const disk = newDisk()
  const log = await openOn(disk, { maxSegmentSize: 300 })
  for (let index = 1; index <= 12; index++) await log.append(bytesOf(`entry ${index}`))
  const segments = log.segments()
  await log.close()
  return { disk, segments }
}

function change(disk: SimulatedDisk, path: string, edit: (bytes: Buffer) => Uint8Array): void {
  disk.place(path, edit(Buffer.from(disk.contents(path))))
}

describe('damage in a segment that is not the newest', () => {
  it.for<[string, (bytes: Buffer) => Uint8Array]>([
    [
      'a flipped bit in a payload',
      (bytes) => {
        const at = bytes.indexOf('entry')
        bytes[at] = (bytes[at] as number) ^ 1
        return bytes
      },
    ],
    [
      'a flipped bit in an entry’s type',
      (bytes) => {
        const at = bytes.indexOf('entry') - 5
        bytes[at] = (bytes[at] as number) ^ 1
        return bytes
      },
    ],
    ['an end that is cut off', (bytes) => bytes.subarray(0, bytes.length - 20)],
    ['an end that is cut off up to a group', (bytes) => bytes.subarray(0, bytes.lastIndexOf('entry') - 60)],
    ['zeros in its middle', (bytes) => bytes.fill(0, 120, 160)],
  ])('is refused when it is read: %s. What lies in front of it and behind it can be read', async ([, edit]) => {
    const { disk, segments } = await closedLog()
    const damaged = segments[2] as SegmentInfo
    change(disk, damaged.path, edit)
    const log = await openOn(disk)
    expect([log.firstOffset, log.lastOffset]).toEqual([1, 12])
    expect(await textsOf(log, { to: damaged.firstOffset - 1 })).toHaveLength(damaged.firstOffset - 1)
    expect(await textsOf(log, { from: damaged.lastOffset + 1 })).toHaveLength(12 - damaged.lastOffset)
    for (const read of [() => textsOf(log), async () => collect(log.entriesSync()), () => collect(log.entries().batches())]) {
      const error = await rejection('ERR_WAL_CORRUPT', read())
      expect(error.path).toBe(damaged.path)
      expect(error.position).toBeGreaterThanOrEqual(0)
      expect(error.message).toContain(damaged.path)
    }
    expect(log.state).toBe('open')
  })

  it('hands out every entry in front of it before it is told', async () => {
    const { disk, segments } = await closedLog()
    const damaged = segments[3] as SegmentInfo
    change(disk, damaged.path, (bytes) => bytes.fill(0xff, bytes.indexOf('entry'), bytes.indexOf('entry') + 5))
    const log = await openOn(disk)
    const seen: number[] = []
    await rejection(
      'ERR_WAL_CORRUPT',
      (async () => {
        for await (const { offset } of log.entries()) seen.push(offset)
      })(),
    )
    expect(seen).toEqual(Array.from({ length: damaged.firstOffset - 1 }, (_, index) => index + 1))
  })
})

describe('a segment that is gone', () => {
  it('while the log is open is ERR_WAL_SEGMENT_MISSING for those who read it, and no failure of the log', async () => {
    const { disk, segments } = await closedLog()
    const log = await openOn(disk)
    const gone = segments[1] as SegmentInfo
    disk.removeSync(gone.path)
    const error = await rejection('ERR_WAL_SEGMENT_MISSING', textsOf(log))
    expect(error).toMatchObject({ path: gone.path, segmentId: gone.id })
    await rejection('ERR_WAL_SEGMENT_MISSING', log.get(gone.firstOffset))
    expect(await log.append(bytesOf('x'))).toBe(13)
    expect(textOf((await log.get(13)).entry.payload)).toBe('x')
  })
})

describe('a read that fails', () => {
  it('is told with the system’s reason, and is no failure of the log: the next read may succeed', async () => {
    const { disk } = await closedLog()
    const log = await openOn(disk)
    failCalls(disk, ({ kind }) => kind === 'read', 'EIO')
    const error = await rejection('ERR_WAL_READ_FAILED', textsOf(log))
    expect(error.cause).toMatchObject({ code: 'EIO' })
    healCalls(disk)
    expect(log.state).toBe('open')
    expect(await textsOf(log)).toHaveLength(12)
  })

  it('for lack of descriptors is told, too', async () => {
    const { disk } = await closedLog()
    const log = await openOn(disk)
    failCalls(disk, ({ kind, access }) => kind === 'open' && access === 'read', 'EMFILE', 1)
    await rejection('ERR_WAL_READ_FAILED', textsOf(log))
    expect(await textsOf(log)).toHaveLength(12)
  })
})

describe('sizes', () => {
  it('from nothing to several MiB come back as they were, in groups of any size', async () => {
    const disk = newDisk({ journal: false })
    const log = await openOn(disk, { maxSegmentSize: 1024 * 1024 })
    const sizes = [0, 1, 127, 128, 511, 512, 513, 65_536, 3 * 1024 * 1024, 0, 262_144, 1, 262_135]
    const payloads = sizes.map((size, index) => new Uint8Array(size).fill(index + 1))
    for (const payload of payloads) await log.append(payload)
    await log.appendBatch(payloads)
    for (let life = 0; life < 2; life++) {
      const reader = life === 0 ? log : await openOn(disk)
      const read = await collect(reader.entries())
      expect(read.map(({ entry }) => entry.payload.length)).toEqual([...sizes, ...sizes])
      for (const [index, { entry }] of read.entries()) {
        const byte = (index % sizes.length) + 1
        expect(entry.payload.every((value) => value === byte)).toBe(true)
      }
      expect((await reader.get(9)).entry.payload).toHaveLength(3 * 1024 * 1024)
      await reader.close()
    }
  })

  it('a batch of .batches() is bounded, however many entries a group has', async () => {
    const log = await openOn(newDisk())
    await log.appendBatch(Array.from({ length: 5_000 }, (_, index) => bytesOf(String(index))))
    const batches = await collect(log.entries().batches())
    for (const batch of batches) {
      expect(batch.length).toBeGreaterThan(0)
      expect(batch.length).toBeLessThanOrEqual(1_024)
    }
    expect(batches.flat().map(({ offset }) => offset)).toEqual(Array.from({ length: 5_000 }, (_, index) => index + 1))
  })

  it('every offset of a large group can be begun at, and asked for', async () => {
    const log = await openOn(newDisk())
    await log.appendBatch(Array.from({ length: 700 }, (_, index) => bytesOf(`entry ${index + 1}`)))
    for (const offset of [1, 2, 511, 512, 513, 699, 700]) {
      expect(textOf((await log.get(offset)).entry.payload)).toBe(`entry ${offset}`)
      expect((await textsOf(log, { from: offset }))[0]).toBe(`${offset} entry ${offset}`)
    }
  })
})

describe('what can not be decoded', () => {
  it('says which entry of which segment it is, and can be read past', async () => {
    const disk = newDisk()
    const raw = await openOn(disk)
    await raw.append({ type: 1, payload: bytesOf('{"a":1}') })
    await raw.append({ type: 1, payload: bytesOf('no json') })
    await raw.append({ type: 9, payload: bytesOf('?') })
    await raw.append({ type: 1, payload: bytesOf('{"a":4}') })
    await raw.close()
    const entries = defineEntries({ put: { type: 1, codec: json<{ a: number }>() } })
    const log = await WriteAheadLog.open(directory, { fileSystem: disk, entries })
    expect(await rejection('ERR_WAL_DECODE', log.get(2))).toMatchObject({ offset: 2, type: 1, segmentId: 1, path: log.segments()[0]?.path })
    expect(await rejection('ERR_WAL_ENTRY_TYPE_UNKNOWN', log.get(3))).toMatchObject({ offset: 3, type: 9 })
    expect((await log.get(4)).entry.value).toEqual({ a: 4 })
    await rejection('ERR_WAL_DECODE', collect(log.entries()))
    expect(log.state).toBe('open')
  })
})

describe('while appends go on', () => {
  it('many readers each see a prefix of the log, in order, without a hole', async () => {
    const disk = newDisk({ journal: false })
    const log = await openOn(disk, { maxSegmentSize: 2_000 })
    let writing = true
    const readers = Array.from({ length: 4 }, async () => {
      let rounds = 0
      while (writing) {
        const last = log.lastOffset
        let next = 1
        for await (const { offset, entry } of log.entries()) {
          expect(offset).toBe(next)
          expect(textOf(entry.payload)).toBe(`entry ${offset}`)
          next++
        }
        expect(next - 1).toBe(last)
        rounds++
        await new Promise((resolve) => setImmediate(resolve))
      }
      return rounds
    })
    for (let index = 1; index <= 300; index++) {
      await log.append(bytesOf(`entry ${index}`))
      if (index % 10 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    writing = false
    for (const rounds of await Promise.all(readers)) expect(rounds).toBeGreaterThan(1)
  })
})
