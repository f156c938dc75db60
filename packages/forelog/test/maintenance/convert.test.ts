import { describe, expect, it } from 'vitest'
import { convert, EntryRegistry, verify, WriteAheadLog } from '../../src/index.js'
import type { SimulatedDisk } from '../../src/testing/index.js'
import { directory, diskWith, filesOn, goldenFormat1, textOfExample, writeFormat2 } from '../proofs/sample-logs.js'
import { ExampleEntry1, exampleEntries } from '../support/waltest.js'

const target = '/data/converted'
const entries = exampleEntries

async function textsIn(path: string, fileSystem: SimulatedDisk): Promise<[number, string][]> {
  const log = await WriteAheadLog.open(path, { fileSystem, entries })
  const found: [number, string][] = []
  for await (const { offset, entry } of log.entries()) found.push([offset, textOfExample(entry)])
  await log.close()
  return found
}

describe('convert', () => {
  it.each(['one-segment', 'twelve-segments', 'reopened', 'zeros-0064'])('takes the Go library’s %s to format 2 and back, entry by entry, byte by byte', async (name) => {
    const log = goldenFormat1(name)
    const disk = diskWith(log.files)
    const result = await convert(directory, target, { fileSystem: disk, entries, maxSegmentSize: 700 })
    expect(result).toMatchObject({ format: 2, firstOffset: log.firstOffset, lastOffset: log.lastOffset, entries: log.appended.size })
    expect(filesOn(disk)).toEqual(log.files)
    expect(await verify(target, { fileSystem: disk })).toMatchObject({ outcome: 'sound', clean: true, format: 2, entries: log.appended.size })
    expect(await textsIn(target, disk)).toEqual([...log.appended])

    await convert(target, '/data/back', { fileSystem: disk, entries })
    const before = [...log.files.entries()].sort(([a], [b]) => parseInt(a) - parseInt(b)).map(([, bytes]) => bytes)
    const records = Buffer.concat(before)
    const back = Buffer.from(disk.contents('/data/back/1.wal'))
    // Records are the same in both formats; zeros behind the last one are none.
    expect(back).toEqual(records.subarray(0, back.length))
    expect(records.subarray(back.length).every((byte) => byte === 0)).toBe(true)
  })

  it('keeps the offsets of a log that was truncated in front, both ways', async () => {
    const disk = diskWith(new Map())
    const log = await WriteAheadLog.open(directory, { fileSystem: disk, entries })
    for (let id = 1; id <= 9; id++) await log.append(new ExampleEntry1(id, [id]))
    await log.truncateBefore(6)
    await log.close()
    expect(await convert(directory, target, { fileSystem: disk, entries })).toMatchObject({ format: 1, firstOffset: 6, lastOffset: 9 })
    expect((await textsIn(target, disk)).map(([offset]) => offset)).toEqual([6, 7, 8, 9])
    expect(await convert(target, '/data/again', { fileSystem: disk, entries })).toMatchObject({ format: 2, firstOffset: 6, lastOffset: 9 })
    const again = await WriteAheadLog.open('/data/again', { fileSystem: disk, entries })
    expect(again.firstOffset).toBe(6)
    expect(await again.append(new ExampleEntry1(10, []))).toBe(10)
    await again.close()
    expect(await verify('/data/again', { fileSystem: disk })).toMatchObject({ outcome: 'sound', firstOffset: 6, lastOffset: 10 })
  })

  it('refuses a directory that is not empty, a damaged log, a torn one, and a format that the log has already', async () => {
    const log = goldenFormat1('one-segment')
    const disk = diskWith(log.files)
    await expect(convert(directory, directory, { fileSystem: disk, entries })).rejects.toMatchObject({ code: 'ERR_WAL_OPTION', option: 'to' })
    await expect(convert(directory, target, { fileSystem: disk, entries, format: 1 })).rejects.toMatchObject({ code: 'ERR_WAL_OPTION', option: 'format' })
    await expect(convert('/data/none', target, { fileSystem: disk, entries })).rejects.toMatchObject({ code: 'ERR_WAL_READ_FAILED' })
    await expect(convert(directory, target, { fileSystem: diskWith(goldenFormat1('flip-payload').files), entries })).rejects.toMatchObject({ code: 'ERR_WAL_CORRUPT' })
    await expect(convert(directory, target, { fileSystem: diskWith(goldenFormat1('torn-10').files), entries })).rejects.toMatchObject({ code: 'ERR_WAL_TORN' })
  })

  it('refuses entries that can not tell where their payloads end, and payloads that they end elsewhere', async () => {
    const { clean } = await writeFormat2()
    await expect(convert(directory, target, { fileSystem: diskWith(clean.files) })).rejects.toMatchObject({ code: 'ERR_WAL_OPTION', option: 'entries' })
    class Short {
      readonly type = 0
      encodePayload(): Uint8Array {
        return new Uint8Array(0)
      }
      readPayload(reader: { read(length: number): Uint8Array }): Uint8Array {
        return reader.read(1)
      }
      decodePayload(): void {}
    }
    const short = new EntryRegistry(() => new Short())
    await expect(convert(directory, target, { fileSystem: diskWith(clean.files), entries: short })).rejects.toMatchObject({ code: 'ERR_WAL_FORMAT' })
  })

  it('refuses while somebody writes the log, and ends when it is aborted', async () => {
    const disk = diskWith(new Map())
    const log = await WriteAheadLog.open(directory, { fileSystem: disk, entries })
    await log.append(new ExampleEntry1(1, []))
    await expect(convert(directory, target, { fileSystem: disk, entries })).rejects.toMatchObject({ code: 'ERR_WAL_LOCKED' })
    await log.close()
    await expect(convert(directory, target, { fileSystem: disk, entries, signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ERR_WAL_ABORTED' })
  })
})
