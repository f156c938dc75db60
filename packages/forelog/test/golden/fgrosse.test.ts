// The logs that the Go library wrote, each opened as the README beside them says.

import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { EntryRegistry, SegmentReader, type WalError, WriteAheadLog } from '../../src/index.js'
import { SimulatedDisk } from '../../src/testing/index.js'
import { inDirectory } from '../support/directory.js'
import { copyGolden, frameExampleEntries, golden, type GoldenEntry, goldenNames, upstreamName } from '../support/golden.js'
import { readDirectory1 } from '../support/reference-reader.js'
import { entryRecord, flipBit } from '../support/reference-writer.js'
import { ExampleEntry1, ExampleEntry2, exampleEntries } from '../support/waltest.js'

type Log = WriteAheadLog<ExampleEntry1 | ExampleEntry2, ExampleEntry1 | ExampleEntry2>

const open = (directory: string, options: object = {}): Promise<Log> => WriteAheadLog.open(directory, { entries: exampleEntries, format: 1, ...options })

const names = goldenNames()
const named = (start: string): string[] => names.filter((name) => name.startsWith(start))

const asEntry = (entry: GoldenEntry): ExampleEntry1 | ExampleEntry2 =>
  entry.kind === 'ExampleEntry1' ? new ExampleEntry1(entry.id, entry.point) : new ExampleEntry2(entry.test, entry.name)

const expectedOf = (name: string): { offset: number; entry: ExampleEntry1 | ExampleEntry2 }[] =>
  golden(name).expected.entries.map((entry) => ({ offset: entry.offset, entry: asEntry(entry) }))

async function readAll(log: Log): Promise<{ offset: number; entry: ExampleEntry1 | ExampleEntry2 }[]> {
  const read = []
  for await (const entry of log.entries()) read.push(entry)
  return read
}

/** Every segment of a directory and its bytes: what must not change when an opening is refused. */
function snapshot(directory: string): Map<string, string> {
  const files = readdirSync(directory).filter((name) => name !== 'lock' && name !== 'lock.json')
  return new Map(files.map((name) => [name, readFileSync(join(directory, name)).toString('hex')]))
}

async function refusalOf(directory: string, options: object = {}): Promise<WalError> {
  const before = snapshot(directory)
  const error = await open(directory, options).then(
    () => {
      throw new Error('it was opened')
    },
    (reason: unknown) => reason as WalError,
  )
  expect(snapshot(directory)).toEqual(before)
  return error
}

const sha256 = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex')

/** What our own files are read as by a second reader, of the layout alone. */
function readByLayout(directory: string): { offsets: number[]; problems: unknown } {
  const files = new Map(readdirSync(directory).filter((name) => name.endsWith('.wal')).map((name) => [name, Uint8Array.from(readFileSync(join(directory, name)))]))
  const log = readDirectory1(files, frameExampleEntries)
  return { offsets: log.entries.map(({ offset }) => offset), problems: log.problems }
}

const whole = names.filter((name) => ['one-segment', 'reopened', 'twelve-segments', 'torn-21-clean', 'empty', 'empty-segment', 'twelve-empty-tail', upstreamName].includes(name))

describe('a whole log of the Go library', () => {
  it("is here in all its kinds; the Go project's own sample where it was found", (context) => {
    expect(names.length).toBeGreaterThanOrEqual(43)
    if (!names.includes(upstreamName)) context.skip("the Go project's own sample log is not here: FORELOG_UPSTREAM_TESTDATA may name its folder")
    expect(golden(upstreamName).expected.entries).toHaveLength(1000)
  })

  it.each(whole)('%s gives exactly its entries, changes nothing, and goes on behind them', async (name) => {
    await inDirectory(async (directory) => {
      copyGolden(name, directory)
      const before = snapshot(directory)
      const expected = expectedOf(name)
      const last = expected.at(-1)?.offset ?? 0
      const log = await open(directory)
      expect(await readAll(log)).toEqual(expected)
      expect([...log.entriesSync()]).toEqual(expected)
      expect(log.lastOffset).toBe(last)
      expect(log.recovery).toMatchObject({ tornBytes: 0, ambiguous: false, quarantined: [] })
      for (const [file, bytes] of before) expect(snapshot(directory).get(file)).toBe(bytes)

      expect(await log.append(new ExampleEntry1(99, [1.5]))).toBe(last + 1)
      await log.close()
      // What we add stands right behind what was there, in the newest file, and the layout stays.
      const after = snapshot(directory)
      const changed = [...before].filter(([file, bytes]) => after.get(file) !== bytes)
      expect(changed.length).toBeLessThanOrEqual(1)
      for (const [file, bytes] of changed) expect(after.get(file)?.startsWith(bytes)).toBe(true)
      expect(readByLayout(directory)).toEqual({ offsets: Array.from({ length: last + 1 }, (_, index) => index + 1), problems: [] })

      const again = await open(directory)
      expect(await readAll(again)).toEqual([...expected, { offset: last + 1, entry: new ExampleEntry1(99, [1.5]) }])
      await again.close()
    })
  })

  it.each(whole)('%s is opened by recovery: strict, too', async (name) => {
    await inDirectory(async (directory) => {
      copyGolden(name, directory)
      const log = await open(directory, { recovery: 'strict' })
      expect(log.lastOffset).toBe(expectedOf(name).at(-1)?.offset ?? 0)
      await log.close()
    })
  })

  it('is of format 1 without being told, and can not be had as format 2 or without the entry types', async () => {
    await inDirectory(async (directory) => {
      copyGolden('one-segment', directory)
      expect(await refusalOf(directory, { format: 2 })).toMatchObject({ code: 'ERR_WAL_FORMAT', option: 'format' })
      const before = snapshot(directory)
      await expect(WriteAheadLog.open(directory)).rejects.toMatchObject({ code: 'ERR_WAL_OPTION', option: 'entries' })
      expect(snapshot(directory)).toEqual(before)
      const log = await open(directory, { format: undefined })
      expect(log.lastOffset).toBe(20)
      await log.close()
    })
  })

  it('of twelve segments is read in numeric order, appended to behind 12.wal, and rolls to 13.wal', async () => {
    await inDirectory(async (directory) => {
      copyGolden('twelve-segments', directory)
      const log = await open(directory, { maxSegmentSize: 220 })
      expect(log.segments().map(({ id }) => id)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
      const size = readFileSync(join(directory, '12.wal')).length
      expect(await log.append(new ExampleEntry2(true, 'x'.repeat(300)))).toBe(110)
      expect(readFileSync(join(directory, '12.wal')).length).toBe(size + 9 + 303)
      expect(existsSync(join(directory, '13.wal'))).toBe(false)
      expect(await log.append(new ExampleEntry1(1, []))).toBe(111)
      expect(readFileSync(join(directory, '13.wal')).length).toBe(15)
      await log.close()
      const again = await open(directory, { maxSegmentSize: 220 })
      expect((await readAll(again)).map(({ offset }) => offset)).toEqual(Array.from({ length: 111 }, (_, index) => index + 1))
      expect(await again.append(new ExampleEntry1(2, []))).toBe(112)
      await again.close()
    })
  })

  it('with an empty newest segment goes on from the segment before, never from 1', async () => {
    await inDirectory(async (directory) => {
      copyGolden('twelve-empty-tail', directory)
      const log = await open(directory)
      expect(log.lastOffset).toBe(109)
      expect(await log.append(new ExampleEntry1(1, []))).toBe(110)
      expect(readFileSync(join(directory, '13.wal')).readUInt32BE(0)).toBe(110)
      await log.close()
    })
  })
})

describe('zeros behind a log of the Go library', () => {
  // Of the last record of torn-19 and torn-20 only zeros are left, the high bytes of its offset: nothing tells them from these.
  it.each([...named('zeros-0'), ...named('zeros-4'), 'torn-19', 'torn-20'])('%s are its end and no entries, and are gone before anything is written', async (name) => {
    await inDirectory(async (directory) => {
      copyGolden(name, directory)
      const log = await open(directory, { recovery: 'strict' })
      expect(await readAll(log)).toEqual(expectedOf(name))
      expect(log.recovery).toMatchObject({ tornBytes: 0, ambiguous: false, quarantined: [] })
      const last = golden(name).expected.entries.at(-1) as GoldenEntry
      expect(await log.append(new ExampleEntry1(1, []))).toBe(last.offset + 1)
      await log.close()
      expect(readFileSync(join(directory, '1.wal')).length).toBe(last.pos + last.size + 15)
      expect(existsSync(join(directory, 'quarantine'))).toBe(false)
    })
  })
})

const torn = [...named('torn-').filter((name) => !['torn-19', 'torn-20', 'torn-21-clean'].includes(name)), 'twelve-torn-last', 'zeros-half-last']

describe('a torn log of the Go library', () => {
  it.each(torn)('%s is cut behind its last whole entry, its tail kept and reported as ambiguous', async (name) => {
    await inDirectory(async (directory) => {
      copyGolden(name, directory)
      const { expected, files } = golden(name)
      const segment = expected.damage?.segment as string
      const lastWhole = expected.entries.at(-1) as GoldenEntry
      const end = lastWhole.segment === segment ? lastWhole.pos + lastWhole.size : 0
      const tail = (files.get(segment) as Uint8Array).subarray(end)
      const log = await open(directory)
      expect(await readAll(log)).toEqual(expectedOf(name))
      expect(log.recovery).toMatchObject({ clean: false, tornBytes: tail.length, ambiguous: true, recordsBehindTear: 0 })
      const [kept] = log.recovery.quarantined
      expect(log.recovery.quarantined).toHaveLength(1)
      expect(kept?.startsWith(join(directory, 'quarantine', `${segment}-${end}-`))).toBe(true)
      expect(Uint8Array.from(readFileSync(kept as string))).toEqual(tail)
      expect(await log.append(new ExampleEntry2(true, 'on'))).toBe(lastWhole.offset + 1)
      await log.close()
      const again = await open(directory, { recovery: 'strict' })
      expect(again.recovery).toMatchObject({ tornBytes: 0, quarantined: [] })
      expect(again.lastOffset).toBe(lastWhole.offset + 1)
      await again.close()
    })
  })

  it.each(torn)('%s is refused by recovery: strict, and nothing is changed', async (name) => {
    await inDirectory(async (directory) => {
      copyGolden(name, directory)
      expect(await refusalOf(directory, { recovery: 'strict' })).toMatchObject({ code: 'ERR_WAL_TORN', path: join(directory, golden(name).expected.damage?.segment as string) })
    })
  })
})

/** Flips each bit of the one segment of a log in turn, opens that, and counts what comes of it. */
async function flipEach(name: string, entries: object): Promise<Record<'flips' | 'named' | 'cut' | 'unnoticed' | 'other', number>> {
  const original = golden(name).files.get('1.wal') as Uint8Array
  const counts = { flips: 0, named: 0, cut: 0, unnoticed: 0, other: 0 }
  for (let position = 0; position < original.length; position++) {
    for (let bit = 0; bit < 8; bit++) {
      counts.flips++
      const disk = new SimulatedDisk({ seed: 1 })
      disk.place('/log/1.wal', flipBit(original, position, bit))
      try {
        const log = await open('/log', { fileSystem: disk, entries })
        if (log.recovery.tornBytes > 0) counts.cut++
        else counts.unnoticed++
      } catch (error) {
        const refusal = error as WalError
        if (refusal.code === 'ERR_WAL_CORRUPT' && refusal.position === position && refusal.bit === bit) counts.named++
        else counts.other++
      }
    }
  }
  return counts
}

describe('one flipped bit in a log of the Go library', () => {
  it.each(named('flip-'))('%s is refused with file, byte and bit named, and nothing is changed', async (name) => {
    await inDirectory(async (directory) => {
      copyGolden(name, directory)
      const { segment, fileByte, bit } = golden(name).expected.damage as { segment: string; fileByte: number; bit: number }
      for (const recovery of ['truncate', 'strict']) {
        const error = await refusalOf(directory, { recovery })
        expect(error).toMatchObject({ code: 'ERR_WAL_CORRUPT', path: join(directory, segment), position: fileByte, bit })
        expect(error.message).toContain(`bit ${bit} of byte ${fileByte}`)
      }
    })
  })

  it('is named, whichever bit of the log it is: all are tried', async () => {
    const counts = await flipEach('one-segment', exampleEntries)
    console.log(`of ${counts.flips} flipped bits in a log of format 1, ${counts.named} are refused with the bit named`)
    expect(counts).toEqual({ flips: 8 * 529, named: 8 * 529, cut: 0, unnoticed: 0, other: 0 })
  })

  it('goes unnoticed in the type byte where another known type reads the payload just as well: counted', async () => {
    class AsWell extends ExampleEntry2 {
      override readonly type = 3 as never
    }
    const counts = await flipEach('one-segment', new EntryRegistry(() => new ExampleEntry1(), () => new ExampleEntry2(), () => new AsWell()))
    console.log(`with a second type of the same layout: ${JSON.stringify(counts)}`)
    // Bit 1 of the type of each of the ten entries of type 1, which is 3 then.
    expect(counts).toEqual({ flips: 8 * 529, named: 8 * 529 - 10, cut: 0, unnoticed: 10, other: 0 })
  })
})

describe("what the Go library's own mistakes leave behind", () => {
  it('is refused with the padding named, and nothing is changed', async () => {
    await inDirectory(async (directory) => {
      copyGolden('bug-entry2-padding', directory)
      for (const recovery of ['truncate', 'strict']) {
        const error = await refusalOf(directory, { recovery })
        expect(error).toMatchObject({ code: 'ERR_WAL_CORRUPT', path: join(directory, '1.wal'), position: 15, offset: 2 })
        expect(error.message).toContain('more bytes behind the payload')
      }
    })
  })
})

describe('what is written in format 1', () => {
  it.each([
    ['one-segment', undefined, 1],
    ['twelve-segments', 220, 1],
    ['twelve-segments', 220, 50],
    ['reopened', undefined, 10],
  ] as const)('%s is rebuilt from its own entries byte for byte, with the same roll size (%s), %i at a time', async (name, maxSegmentSize, atOnce) => {
    await inDirectory(async (directory) => {
      const { expected } = golden(name)
      const entries = expected.entries.map(asEntry)
      let log = await open(directory, { maxSegmentSize })
      for (let at = 0; at < entries.length; at += atOnce) {
        await Promise.all(entries.slice(at, at + atOnce).map((entry) => log.append(entry)))
        if (name === 'reopened') {
          await log.close()
          log = await open(directory, { maxSegmentSize })
        }
      }
      await log.close()
      const written = readdirSync(directory).filter((file) => file.endsWith('.wal'))
      expect(written.sort()).toEqual(expected.files.map((file) => file.name).sort())
      for (const file of expected.files) expect(sha256(join(directory, file.name)), file.name).toBe(file.sha256)
    })
  })

  it('ends with an error at the last offset that 32 bits can hold, and never wraps', async () => {
    await inDirectory(async (directory) => {
      const payload = new ExampleEntry1(1, []).encodePayload(new Uint8Array(0))
      writeFileSync(join(directory, '7.wal'), Buffer.concat([entryRecord(0xffff_fffd, 0, payload), entryRecord(0xffff_fffe, 0, payload)]))
      const log = await open(directory)
      expect(await log.append(new ExampleEntry1(2, []))).toBe(0xffff_ffff)
      await expect(log.append(new ExampleEntry1(3, []))).rejects.toMatchObject({ code: 'ERR_WAL_OFFSET_EXHAUSTED' })
      expect(log.state).toBe('open')
      await log.close()
      const again = await open(directory)
      expect([again.firstOffset, again.lastOffset]).toEqual([0xffff_fffd, 0xffff_ffff])
      await expect(again.append(new ExampleEntry1(3, []))).rejects.toMatchObject({ code: 'ERR_WAL_OFFSET_EXHAUSTED' })
      await again.close()
    })
  })
})

describe('SegmentReader, on segments of the Go library', () => {
  it('finds each entry and decodes it when asked, and only then looks at its CRC', async () => {
    await inDirectory(async (directory) => {
      copyGolden('one-segment', directory)
      const reader = await SegmentReader.open(join(directory, '1.wal'), { entries: exampleEntries })
      expect(reader.format).toBe(1)
      for (const { offset, entry } of expectedOf('one-segment')) {
        expect(await reader.readNext()).toBe(true)
        expect([reader.offset, reader.type]).toEqual([offset, entry.type])
        expect(reader.decode()).toEqual(entry)
      }
      expect(await reader.readNext()).toBe(false)
      await reader.close()

      copyGolden('flip-payload', directory)
      const damaged = await SegmentReader.open(join(directory, '1.wal'), { entries: exampleEntries })
      for (let offset = 1; offset <= 10; offset++) expect(await damaged.readNext()).toBe(true)
      expect(() => damaged.decode()).toThrow(expect.objectContaining({ code: 'ERR_WAL_CORRUPT', position: 240, offset: 10 }) as Error)
      expect(await damaged.seekEnd()).toBe(20)
      await damaged.close()
    })
  })

  it('says of a segment that ends within a record that it is torn', async () => {
    await inDirectory(async (directory) => {
      copyGolden('torn-05', directory)
      const reader = await SegmentReader.open(join(directory, '1.wal'), { entries: exampleEntries })
      await expect(reader.seekEnd()).rejects.toMatchObject({ code: 'ERR_WAL_TORN', position: 508 })
      await reader.close()
    })
  })
})
