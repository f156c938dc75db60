// The table of opening of docs/FORMAT.md, played on disks: one part for each row.

import { Buffer } from 'node:buffer'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { crc32 } from '../support/reference-reader.js'
import { concat, cutTo, entryRecord, filesOf, flipBit, kinds, SegmentBuilder, skippable, u64, zeroSector } from '../support/reference-writer.js'
import { SimulatedCrash, type SimulatedDisk } from '../../src/testing/index.js'
import type { SegmentInfo } from '../../src/segments/segment-set.js'
import { WriteAheadLog } from '../../src/write-ahead-log.js'
import { ExampleEntry2, exampleEntries } from '../support/waltest.js'
import { contentsOf, directory, diskWith, diskWithFirst, entriesOf, filesOn, firstSegment, openOn, refusalOn, unsynced } from './disk-with.js'

const modes = ['truncate', 'strict'] as const
const pathOf = (segment: SegmentBuilder): string => join(directory, segment.name())

/** That the log goes on behind its end, and is whole when it is opened again. */
async function goesOn(disk: SimulatedDisk, lastOffset: number): Promise<void> {
  const log = await openOn(disk)
  expect(log.lastOffset).toBe(lastOffset)
  expect(await log.append(Uint8Array.of(42))).toBe(lastOffset + 1)
  await log.close()
  const again = await openOn(disk, { recovery: 'strict' })
  expect(again.recovery).toMatchObject({ clean: true, tornBytes: 0 })
  expect((await again.get(lastOffset + 1)).entry.payload).toEqual(Uint8Array.of(42))
  await again.close()
}

describe('row A: no segment', () => {
  it.each(modes)('is a new log; temporary files are removed, those of others stay; recovery: %s', async (recovery) => {
    const disk = diskWith(new Map([
      ['0000000001-0000000000000001.wal.tmp', Uint8Array.of(1, 2, 3)],
      ['notes.txt', Uint8Array.of(4)],
    ]))
    const log = await openOn(disk, { recovery })
    expect(log.recovery).toEqual({ clean: true, tornBytes: 0, ambiguous: false, quarantined: [], entriesExamined: 0, bytesExamined: 0 })
    expect([log.firstOffset, log.lastOffset]).toEqual([1, 0])
    expect(Object.keys(filesOn(disk))).toEqual(['0000000001-0000000000000001.wal', 'notes.txt'])
    await log.close()
  })
})

describe('row B: only zeros, or nothing, at T', () => {
  it.each(modes)('is the end of the log, and nothing is known to be lost; recovery: %s', async (recovery) => {
    for (const zeros of [0, 1, 8, 9, 13, 511, 512, 70_000]) {
      const disk = diskWith(unsynced().group(3, 4).group(5).zeros(zeros))
      const log = await openOn(disk, { recovery })
      expect(log.recovery).toMatchObject({ clean: false, tornBytes: 0, ambiguous: false, quarantined: [], entriesExamined: 3 })
      expect(contentsOf(log)).toEqual([...entriesOf(3, 4), ...entriesOf(5)])
      await log.close()
      await goesOn(disk, 3)
    }
  })

  it('is clean behind the close of a clean shutdown, zeros or not, and not behind that of a full segment', async () => {
    for (const zeros of [0, 600]) {
      const clean = await openOn(diskWith(unsynced().group(3).close(true).zeros(zeros)))
      expect(clean.recovery.clean).toBe(true)
      const full = await openOn(diskWith(unsynced().group(3).close(false).zeros(zeros)))
      expect(full.recovery).toMatchObject({ clean: false, tornBytes: 0 })
    }
  })
})

describe('row C: a group that fails, and no voucher', () => {
  it('is cut, kept, and reported, wherever the file ends within it', async () => {
    const segment = unsynced().group(3, 4).group(5)
    const end = segment.length
    const whole = segment.group(20, 0, 30).bytes()
    for (let length = end + 1; length < whole.length; length++) {
      const tail = whole.subarray(end, length)
      if (tail.every((byte) => byte === 0)) continue // row B
      const disk = diskWithFirst(cutTo(whole, length))
      const error = await refusalOn(disk, { recovery: 'strict' })
      expect(error).toMatchObject({ code: 'ERR_WAL_TORN', path: pathOf(segment), position: end, offset: 4 })
      const log = await openOn(disk)
      const path = join(directory, 'quarantine', `${segment.name()}-${end}-${crc32(tail).toString(16).padStart(8, '0')}.torn`)
      expect(log.recovery, `${length} bytes`).toMatchObject({ clean: false, tornBytes: tail.length, quarantined: [path], entriesExamined: 3 })
      expect(disk.contents(path)).toEqual(tail)
      expect(disk.contents(pathOf(segment)).length).toBe(end)
      expect(contentsOf(log)).toEqual([...entriesOf(3, 4), ...entriesOf(5)])
      await log.close()
    }
  })

  it('is torn without a doubt where a sector of it was never written', async () => {
    const segment = unsynced().group(3)
    const end = segment.length
    const whole = segment.group(3000).bytes()
    for (let sector = 1; sector * 512 < whole.length; sector++) {
      const disk = diskWithFirst(zeroSector(whole, sector))
      const log = await openOn(disk)
      expect(log.recovery).toMatchObject({ tornBytes: whole.length - end, ambiguous: false })
      await log.close()
      await goesOn(disk, 1)
    }
  })

  it('takes later groups with it that are whole, and that nobody vouches for', async () => {
    const segment = unsynced().group(3)
    const end = segment.length
    segment.group(700)
    const middle = segment.length
    const whole = segment.group(4).group(5).bytes()
    const disk = diskWithFirst(zeroSector(whole, 1))
    expect(512).toBeLessThan(middle)
    const log = await openOn(disk)
    expect(log.recovery).toMatchObject({ tornBytes: whole.length - end, ambiguous: false })
    expect(log.lastOffset).toBe(1)
    await log.close()
  })

  it('is refused where there is no room for the copy, and nothing is changed', async () => {
    const segment = unsynced().group(3)
    const torn = cutTo(segment.group(5000).bytes(), segment.length - 100)
    for (const recovery of modes) {
      const disk = diskWithFirst(torn, { capacityBytes: Math.ceil(torn.length / 512) * 512 + 1024 })
      const error = await refusalOn(disk, { recovery })
      expect(error.code).toBe(recovery === 'strict' ? 'ERR_WAL_TORN' : 'ERR_WAL_NO_SPACE')
      if (recovery === 'strict') continue
      expect(error).toMatchObject({ path: join(directory, 'quarantine') })
      expect(disk.listSync(join(directory, 'quarantine'))).toEqual([])
      // With room, the same opening goes on.
      disk.capacityBytes = undefined
      const log = await openOn(disk)
      expect(log.recovery.quarantined).toHaveLength(1)
      await log.close()
    }
  })
})

describe('row D: a group that fails, and a voucher behind it', () => {
  const damaged = (behind: (segment: ReturnType<typeof unsynced>) => unknown) => {
    const segment = unsynced().group(3, 4)
    const at = segment.length
    segment.group(1400)
    behind(segment)
    return { segment, at, bytes: segment.bytes() }
  }
  const vouchers: [string, (segment: ReturnType<typeof unsynced>) => unknown][] = [
    ['a commit', (segment) => segment.commit(entriesOf(1))],
    ['a durable mark', (segment) => segment.durable()],
    ['the close of a clean shutdown', (segment) => segment.close(true).group(5)],
    ['the close of a full segment', (segment) => segment.close(false).group(5)],
    ['a commit behind one that vouches for nothing', (segment) => segment.group(2).commit(entriesOf(1))],
  ]

  it.each(vouchers)('is damage to acknowledged data with %s: refused, and nothing is changed', async (name, behind) => {
    const { segment, at, bytes } = damaged(behind)
    const damages = [flipBit(bytes, at + 6, 2), flipBit(flipBit(bytes, at + 20, 0), at + 30, 1)]
    // In front of a close record the bodies are skipped: damage there is row F.
    if (!name.includes('close')) damages.push(flipBit(flipBit(bytes, at + 70, 0), at + 90, 1), zeroSector(bytes, 1))
    for (const damage of damages) {
      for (const recovery of modes) {
        const error = await refusalOn(diskWithFirst(damage), { recovery })
        expect(error).toMatchObject({ code: 'ERR_WAL_CORRUPT', path: pathOf(segment), position: at, offset: 3, segmentId: 1 })
        expect(error.message).toContain('proves that it was on stable storage')
      }
    }
  })

  it('is none that is told by an image of a voucher within a payload whose commit is whole', async () => {
    // The image vouches for the very group that it stands in.
    const segment = unsynced().group(3)
    const image = unsynced({ firstOffset: 9 })
    const header = image.length
    const record = image.durable(8).bytes().subarray(header)
    const end = segment.length
    segment.commit([{ type: 1, payload: concat(record, new Uint8Array(1500).fill(7)) }], { durableOffset: 0 })
    const log = await openOn(diskWithFirst(zeroSector(segment.bytes(), 2)))
    expect(log.recovery).toMatchObject({ tornBytes: segment.length - end, ambiguous: false })
  })

  it('is assumed where the commit is torn, too, and a payload holds such an image: a refusal, which is the safe side', async () => {
    const image = unsynced({ firstOffset: 9 })
    const header = image.length
    const record = image.durable(8).bytes().subarray(header)
    const segment = unsynced().group(300)
    const commitAt = segment.length
    segment.commit([{ type: 1, payload: concat(new Uint8Array(300).fill(7), record) }], { durableOffset: 0 })
    const torn = segment.bytes().fill(0, commitAt, 512)
    torn[commitAt] = 1
    expect((await refusalOn(diskWithFirst(torn))).code).toBe('ERR_WAL_CORRUPT')
  })

  it.each<[string, (segment: ReturnType<typeof unsynced>) => unknown]>([
    ['a commit with another first offset', (segment) => segment.commit(entriesOf(4), { firstOffset: 9, durableOffset: 0 })],
    ['a close of another last offset', (segment) => segment.close(true, { lastOffset: 9, durableOffset: 9 })],
    ['a commit whose lengths do not add up', (segment) => segment.commit(entriesOf(4), { bodyBytes: 14, durableOffset: 0 })],
    ['a second segment header', (segment) => segment.control(kinds.header, concat(new Uint8Array(16), u64(1), u64(0), u64(3), u64(1), u64(0)))],
  ])('is damage, too, when what stands at T is whole and contradicts itself or its place: %s', async (_, build) => {
    const segment = unsynced().group(3, 4)
    const at = segment.length
    build(segment)
    for (const recovery of modes) expect(await refusalOn(diskWith(segment), { recovery })).toMatchObject({ code: 'ERR_WAL_CORRUPT', position: at })
  })
})

describe('row E: a last group that nothing vouches for', () => {
  /** Flips each bit of the last group in turn; how many are refused with that bit named. */
  async function flipEach(bytes: Uint8Array, from: number): Promise<{ flips: number; named: number; ambiguous: number; other: string[] }> {
    const counts = { flips: 0, named: 0, ambiguous: 0, other: [] as string[] }
    for (let position = from; position < bytes.length; position++) {
      for (let bit = 0; bit < 8; bit++) {
        counts.flips++
        try {
          const log = await openOn(diskWithFirst(flipBit(bytes, position, bit)))
          if (log.recovery.ambiguous && log.recovery.quarantined.length === 1) counts.ambiguous++
          else counts.other.push(`bit ${bit} of byte ${position}: ${JSON.stringify(log.recovery)}`)
        } catch (error) {
          const { code, position: at, bit: named, path } = error as { code: string; position: number; bit: number; path: string }
          if (code === 'ERR_WAL_CORRUPT' && at === position && named === bit && path.startsWith(directory)) counts.named++
          else counts.other.push(`bit ${bit} of byte ${position}: ${code} at bit ${named} of byte ${at}`)
        }
      }
    }
    return counts
  }

  it('is rot when one flipped bit explains it: every bit of a commit and its entries is tried, and named', { timeout: 120_000 }, async () => {
    const segment = unsynced().group(3, 4)
    const from = segment.length
    const bytes = segment.group(40, 0, 700, 1).bytes()
    const counts = await flipEach(bytes, from)
    console.log(`of ${counts.flips} flipped bits in a last group of ${bytes.length - from} bytes, ${counts.named} are refused as rot with the bit named, ${counts.ambiguous} cut as ambiguous`)
    expect(counts.other).toEqual([])
    expect(counts.named).toBe(counts.flips)
    expect(counts.flips).toBe(8 * (bytes.length - from))
  })

  it.each<[string, (segment: ReturnType<typeof unsynced>) => unknown]>([
    ['close record', (segment) => segment.close(true)],
    ['low-water mark', (segment) => segment.lowWater(1)],
    ['durable mark', (segment) => segment.durable(0)],
  ])('is rot in each single bit of a last %s, too', async (_, build) => {
    const segment = unsynced().group(3, 4)
    const from = segment.length
    build(segment)
    const counts = await flipEach(segment.bytes(), from)
    expect(counts).toEqual({ flips: 8 * (segment.length - from), named: counts.flips, ambiguous: 0, other: [] })
  })

  it('is called ambiguous when all of it was written and no single bit explains it', async () => {
    const segment = unsynced().group(3, 4)
    const at = segment.length
    const bytes = segment.group(700).bytes()
    const disk = diskWithFirst(flipBit(flipBit(bytes, at + 200, 1), at + 300, 2))
    expect(await refusalOn(disk, { recovery: 'strict' })).toMatchObject({ code: 'ERR_WAL_TORN', position: at })
    const log = await openOn(disk)
    expect(log.recovery).toMatchObject({ tornBytes: bytes.length - at, ambiguous: true })
    expect(log.recovery.quarantined).toHaveLength(1)
    await log.close()
    await goesOn(disk, 2)
  })

  it('is called ambiguous when the one bit stands alone in its sector: that may never have been written', async () => {
    // All of the payload's last sector is zero but for one bit, and that one is lost.
    const segment = unsynced().group(3)
    const at = segment.length
    const payload = new Uint8Array(512 * 4)
    const position = 512 * 3
    payload.fill(9, 0, position - at - 200)
    const commitBytes = 9 + 20 + 28 + 2
    const inPayload = position + 7 - (at + commitBytes + 9)
    payload[inPayload] = 0x10
    const bytes = segment.commit([{ type: 1, payload }], { durableOffset: 0 }).bytes()
    expect(bytes[position + 7]).toBe(0x10)
    const log = await openOn(diskWithFirst(flipBit(bytes, position + 7, 4)))
    expect(log.recovery).toMatchObject({ tornBytes: bytes.length - at, ambiguous: true })
  })
})

describe('row F: damage elsewhere', () => {
  const log3 = () => {
    const first = new SegmentBuilder(firstSegment).commit(entriesOf(10, 20))
    const inFirst = first.length
    first.commit(entriesOf(30)).close(false)
    const second = first.next().commit(entriesOf(40)).close(false)
    const third = second.next().commit(entriesOf(50)).close(true)
    return { first, second, third, inFirst, files: filesOf(first, second, third) }
  }

  it('in a segment that is not the newest is refused when it is read, with all in front of it given', async () => {
    const { first, inFirst, files } = log3()
    const damaged = new Map(files).set(first.name(), flipBit(files.get(first.name()) as Uint8Array, inFirst + 70, 0))
    const log = await openOn(diskWith(damaged))
    expect(log.lastOffset).toBe(5)
    const read: number[] = []
    await expect((async () => {
      for await (const { offset } of log.entries()) read.push(offset)
    })()).rejects.toMatchObject({ code: 'ERR_WAL_CORRUPT', path: pathOf(first), position: inFirst, offset: 3 })
    expect(read).toEqual([1, 2])
    expect((await log.get(5)).offset).toBe(5)
    await log.close()
  })

  it('is told where a segment begins behind the end of the one before it: what stood between them is missing', async () => {
    const first = new SegmentBuilder(firstSegment).commit(entriesOf(10, 20)).close(false)
    const second = first.next({ firstOffset: 5 }).commit(entriesOf(40)).close(true)
    const log = await openOn(diskWith(filesOf(first, second)))
    expect(log.lastOffset).toBe(5)
    const read: number[] = []
    await expect((async () => {
      for await (const { offset } of log.entries()) read.push(offset)
    })()).rejects.toMatchObject({ code: 'ERR_WAL_SEGMENT_MISSING', path: pathOf(second), offset: 3 })
    expect(read).toEqual([1, 2])
  })

  it('is told where a file was put in the place of another one while the log is open', async () => {
    const { first, second, files } = log3()
    const disk = diskWith(files)
    const log = await openOn(disk)
    disk.place(pathOf(second), first.bytes())
    await expect(log.get(4)).rejects.toMatchObject({ code: 'ERR_WAL_CORRUPT', path: pathOf(second), position: 0 })
    expect((await log.get(5)).offset).toBe(5)
  })

  it('in format 1 is told where the last records of a segment are gone, though each of its records is whole', async () => {
    const disk = diskWith(new Map())
    const log = await WriteAheadLog.open(directory, { fileSystem: disk, format: 1, entries: exampleEntries, maxSegmentSize: 80 })
    while (log.segments().length < 3) await log.append(new ExampleEntry2(true, 'name'))
    const [first, second] = log.segments() as [SegmentInfo, SegmentInfo]
    expect(first.lastOffset).toBeGreaterThan(2)
    await log.close()
    disk.place(first.path, disk.contents(first.path).subarray(0, (2 * first.bytes) / first.lastOffset))
    const again = await WriteAheadLog.open(directory, { fileSystem: disk, entries: exampleEntries })
    const read: number[] = []
    await expect((async () => {
      for await (const { offset } of again.entries()) read.push(offset)
    })()).rejects.toMatchObject({ code: 'ERR_WAL_SEGMENT_MISSING', path: second.path, offset: 3 })
    expect(read).toEqual([1, 2])
  })

  it('is no damage where zeros stand behind a close record', async () => {
    const { first, files } = log3()
    const log = await openOn(diskWith(new Map(files).set(first.name(), concat(files.get(first.name()) as Uint8Array, new Uint8Array(900)))))
    expect([...log.entriesSync()].map(({ offset }) => offset)).toEqual([1, 2, 3, 4, 5])
    await log.close()
  })

  it('in a segment that ends without its close, or is followed by one of another chain, is refused when it is read', async () => {
    const { first, second, third, files } = log3()
    const short = files.get(first.name()) as Uint8Array
    const cut = await openOn(diskWith(new Map(files).set(first.name(), cutTo(short, short.length - 45))))
    expect(() => [...cut.entriesSync()]).toThrow(expect.objectContaining({ code: 'ERR_WAL_CORRUPT', path: pathOf(first) }) as Error)
    const other = first.next({ previous: 12345 }).commit(entriesOf(40)).close(false)
    const chained = filesOf(first, other, other.next().commit(entriesOf(50)).close(true))
    const log = await openOn(diskWith(chained))
    expect(() => [...log.entriesSync()]).toThrow(expect.objectContaining({ code: 'ERR_WAL_CORRUPT', path: pathOf(second) }) as Error)
    expect(third.name()).toBe('0000000003-0000000000000005.wal')
  })

  const behindClose: [string, (segment: SegmentBuilder) => SegmentBuilder, { readonly clean: boolean; readonly torn: boolean; readonly lastOffset: number }][] = [
    ['nothing', (segment) => segment, { clean: true, torn: false, lastOffset: 3 }],
    ['zeros', (segment) => segment.zeros(900), { clean: true, torn: false, lastOffset: 3 }],
    ['a later life', (segment) => segment.commit(entriesOf(7)).zeros(900), { clean: false, torn: false, lastOffset: 4 }],
    ['a later life with a torn end', (segment) => segment.commit(entriesOf(7)).raw(Uint8Array.of(1, 2, 3)), { clean: false, torn: true, lastOffset: 4 }],
  ]

  it.each(behindClose)('in front of a close record, where opening skips the bodies, is refused when it is read, with %s behind the record', async (_name, behind, found) => {
    const segment = new SegmentBuilder(firstSegment)
    const at = segment.length
    const bytes = behind(segment.commit(entriesOf(100)).commit(entriesOf(5, 6)).close(true)).bytes()
    const log = await openOn(diskWithFirst(flipBit(bytes, at + 100, 0)))
    expect(log.recovery.clean).toBe(found.clean)
    expect(log.recovery.tornBytes > 0).toBe(found.torn)
    expect(log.lastOffset).toBe(found.lastOffset)
    expect(() => [...log.entriesSync()]).toThrow(expect.objectContaining({ code: 'ERR_WAL_CORRUPT', position: at, offset: 1 }) as Error)
    expect((await log.get(2)).offset).toBe(2)
    await log.close()
  })
})

describe('row G: segments that do not follow from each other', () => {
  const first = new SegmentBuilder(firstSegment).commit(entriesOf(10, 20)).close(false)
  const second = first.next().commit(entriesOf(40)).close(false)
  const third = second.next().commit(entriesOf(50)).close(true)
  const files = filesOf(first, second, third)
  const without = (...gone: SegmentBuilder[]): Map<string, Uint8Array> => new Map([...files].filter(([name]) => !gone.some((segment) => segment.name() === name)))

  it('are refused: one missing, in the middle or in front', async () => {
    expect(await refusalOn(diskWith(without(second)))).toMatchObject({ code: 'ERR_WAL_SEGMENT_MISSING', path: pathOf(third) })
    expect(await refusalOn(diskWith(without(first)))).toMatchObject({ code: 'ERR_WAL_SEGMENT_MISSING', path: pathOf(second) })
  })

  it('are refused: of another log, under another name, an id twice', async () => {
    const foreign = new SegmentBuilder({ ...firstSegment, logId: 'f'.repeat(32) }).commit(entriesOf(1, 2)).close(false)
    expect(await refusalOn(diskWith(new Map(files).set(first.name(), foreign.bytes())))).toMatchObject({ code: 'ERR_WAL_CORRUPT', path: pathOf(first) })
    expect(await refusalOn(diskWith(without(second).set(second.name(), first.bytes())))).toMatchObject({ code: 'ERR_WAL_CORRUPT', path: pathOf(second) })
    const twice = '0000000002-0000000000000009.wal'
    expect(await refusalOn(diskWith(new Map(files).set(twice, second.bytes())))).toMatchObject({ code: 'ERR_WAL_CORRUPT' })
  })

  it('are refused: a foreign file that is named like a segment, and segments of both formats', async () => {
    for (const name of ['backup.wal', '0.wal', '01.wal', '1-1.wal', '0000000009-0000000000000000.wal']) {
      expect(await refusalOn(diskWith(new Map(files).set(name, Uint8Array.of(1)))), name).toMatchObject({ code: 'ERR_WAL_CORRUPT', path: join(directory, name) })
    }
    expect(await refusalOn(diskWith(new Map(files).set('4.wal', entryRecord(1, 0, new Uint8Array(6)))))).toMatchObject({ code: 'ERR_WAL_CORRUPT' })
    // The other way round, where a log of format 1 would take the newer file for a torn tail.
    const disk = diskWith(new Map([['1.wal', entryRecord(1, 1, Uint8Array.of(0, 0))], [second.name(), second.bytes()]]))
    const error = await refusalOn(disk, { entries: exampleEntries } as never)
    expect(error).toMatchObject({ code: 'ERR_WAL_CORRUPT', path: pathOf(second) })
    expect(error.message).toContain('both formats')
  })

  it('are refused in format 1 as well: one missing in the middle', async () => {
    const disk = diskWith(new Map())
    const log = await WriteAheadLog.open(directory, { fileSystem: disk, format: 1, entries: exampleEntries, maxSegmentSize: 1 })
    for (const name of ['a', 'b', 'c', 'd']) await log.append(new ExampleEntry2(true, name))
    await log.close()
    for (const gone of ['2.wal', '3.wal']) {
      const without = disk.copy()
      without.removeSync(join(directory, gone))
      expect(await refusalOn(without, { entries: exampleEntries } as never), gone).toMatchObject({ code: 'ERR_WAL_SEGMENT_MISSING', segmentId: Number.parseInt(gone, 10) })
    }
  })

  it('are no fault below the low-water mark: what is dead there is removed, unless nobody can say what it was', async () => {
    const marked = new SegmentBuilder(firstSegment).commit(entriesOf(10, 20)).close(false)
    const newest = marked.next().commit(entriesOf(40)).lowWater(3).close(true)
    const disk = diskWith(filesOf(marked, newest))
    const log = await openOn(disk)
    expect([log.firstOffset, log.lastOffset]).toEqual([3, 3])
    expect(Object.keys(filesOn(disk))).toEqual([newest.name()])
    await log.close()
    const broken = filesOf(marked, newest).set(marked.name(), flipBit(marked.bytes(), 20, 1))
    expect(await refusalOn(diskWith(broken))).toMatchObject({ code: 'ERR_WAL_CORRUPT', path: pathOf(marked) })
  })

  it('begin behind those that a truncation on a full disk emptied', async () => {
    const disk = diskWith(new Map(files).set(first.name(), new Uint8Array(0)))
    const log = await openOn(disk)
    expect([log.firstOffset, log.lastOffset]).toEqual([3, 4])
    expect(filesOn(disk)[first.name()]).toBe('')
    await log.truncateBefore(4)
    await log.close()
    const again = await openOn(disk)
    expect(again.firstOffset).toBe(4)
    expect(Object.keys(filesOn(disk))).toEqual([third.name()])
    await again.close()
  })

  it('end where a newer one cuts: entries behind the cut are dead, and so are segments in between', async () => {
    const cutting = third.next({ previousId: 1, firstOffset: 2, cut: true, previous: first.lastCrc }).commit(entriesOf(7)).close(true)
    const disk = diskWith(filesOf(first, second, third, cutting))
    const log = await openOn(disk)
    expect(contentsOf(log)).toEqual([...entriesOf(10), ...entriesOf(7)])
    expect(Object.keys(filesOn(disk))).toEqual([first.name(), cutting.name()])
    await log.close()
  })
})

describe('row H: a newest segment without a whole header', () => {
  it('is refused: each flipped bit of it, each length that cuts it, and an empty one', async () => {
    const first = new SegmentBuilder(firstSegment).commit(entriesOf(10, 20)).close(false)
    const second = first.next()
    let refused = 0
    const refuses = async (bytes: Uint8Array): Promise<void> => {
      expect(await refusalOn(diskWith(filesOf(first).set(second.name(), bytes)))).toMatchObject({ code: 'ERR_WAL_CORRUPT', path: pathOf(second) })
      refused++
    }
    for (let position = 0; position < second.length; position++) for (let bit = 0; bit < 8; bit++) await refuses(flipBit(second.bytes(), position, bit))
    for (let length = 0; length < second.length; length++) await refuses(cutTo(second.bytes(), length))
    expect(refused).toBe(9 * 85)
  })
})

describe('row I: a log that did not end with a close record', () => {
  it('has every byte that nothing proves durable written again and synced before it is shown', async () => {
    const segment = unsynced().group(3, 4).group(50)
    const proven = segment.length
    segment.commit(entriesOf(60)).durable(3)
    segment.group(9).lowWater(1).group(2)
    const disk = diskWith(segment)
    const log = await openOn(disk)
    // The last to say so calls entry 3 durable, so all behind the end of its group is written again.
    const writes = disk.journal.filter(({ kind, path }) => kind === 'write' && path === pathOf(segment))
    expect(writes.map(({ position }) => position)[0]).toBe(proven)
    expect(writes.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0)).toBe(segment.length - proven)
    const lastWrite = disk.journal.findLastIndex(({ kind }) => kind === 'write')
    expect(disk.journal.slice(lastWrite).some(({ kind }) => kind === 'sync' || kind === 'dataSync')).toBe(true)
    expect(disk.contents(pathOf(segment))).toEqual(segment.bytes())
    expect(log.lastOffset).toBe(6)
    await log.close()
  })

  it('has the header written again, too, when nothing is proven; and nothing at all behind a close', async () => {
    const segment = unsynced().group(3, 4)
    const disk = diskWith(segment)
    await openOn(disk)
    expect(disk.journal.filter(({ kind }) => kind === 'write').map(({ position, bytes }) => [position, bytes])).toEqual([[0, 85], [85, segment.length - 85]])
    const closed = diskWith(unsynced().group(3, 4).close(true))
    await openOn(closed)
    expect(closed.journal.filter(({ kind }) => kind === 'write')).toEqual([])
  })

  it('shows nothing, after a sync that failed, that a power cut could still take away', async () => {
    for (const syncFailure of ['ext4', 'once', 'btrfs', 'retryable'] as const) {
      const disk = diskWith(new SegmentBuilder(firstSegment).commit(entriesOf(5)).close(true), { syncFailure })
      const log = await openOn(disk)
      disk.fail({ kind: 'dataSync', code: 'EIO' })
      await expect(log.append(Uint8Array.of(7))).rejects.toMatchObject({ code: 'ERR_WAL_SYNC_FAILED' })
      await log.close().catch(() => {})
      // Another process opens it: the page cache may show what the disk never got.
      const next = await openOn(disk)
      const shown = contentsOf(next)
      const after = await openOn(disk.afterCrash('none'))
      expect(contentsOf(after), syncFailure).toEqual(shown)
    }
  })
})

describe('row J: a crash during opening', () => {
  it('leaves a log that opens to the same state, whichever call it comes at, and whatever of it reached the disk', { timeout: 120_000 }, async () => {
    const first = new SegmentBuilder(firstSegment).commit(entriesOf(10, 20)).close(false)
    const newest = first.next().commit(entriesOf(40)).lowWater(3).commit(entriesOf(800, 3), { durableOffset: 3 })
    const end = newest.length
    newest.commit(entriesOf(1200), { durableOffset: 3 })
    const torn = zeroSector(newest.bytes(), Math.ceil(end / 512) + 1)
    const start = diskWith(filesOf(first).set(newest.name(), torn).set('0000000003-0000000000000009.wal.tmp', Uint8Array.of(1)), { journal: false })
    const reference = await openOn(start.copy())
    const expected = { first: reference.firstOffset, last: reference.lastOffset, entries: contentsOf(reference) }
    expect(expected).toMatchObject({ first: 3, last: 5 })

    let outcomes = 0
    for (let call = 1; ; call++) {
      const disk = start.copy()
      let after: SimulatedDisk[] = []
      let left = call
      disk.onCall = (_, moment) => {
        if (moment !== 'after' || --left !== 0) return
        after = [disk.afterCrash('process'), ...disk.outcomes({ limit: 4096 })]
        disk.crash('none')
      }
      const ended = await openOn(disk).then(
        () => true,
        (error: unknown) => {
          expect(error instanceof SimulatedCrash || (error as { cause?: unknown }).cause instanceof SimulatedCrash).toBe(true)
          return false
        },
      )
      if (ended) {
        expect(call).toBeGreaterThan(20)
        break
      }
      for (const crashed of after) {
        const log = await openOn(crashed)
        expect({ first: log.firstOffset, last: log.lastOffset, entries: contentsOf(log) }, `call ${call}`).toEqual(expected)
        // Where the cut reached the disk in part, what was left of the tail is kept beside the whole of it.
        const kept = crashed.listSync(join(directory, 'quarantine')).filter((name) => name.endsWith('.torn'))
        const copies = kept.map((name) => Buffer.from(crashed.contents(join(directory, 'quarantine', name))).toString('hex'))
        expect(copies).toContain(Buffer.from(torn.subarray(end)).toString('hex'))
        outcomes++
      }
    }
    console.log(`${outcomes} outcomes of crashes during one opening, all opened to the same state`)
    expect(outcomes).toBeGreaterThan(40)
  })
})

describe('row K: what a later version of the format wrote', () => {
  it.each<[string, (segment: SegmentBuilder) => unknown, RegExp]>([
    ['a record of another version', (segment) => segment.durable(0, { version: 3 }), /version 3.*version 2/],
    ['a kind that may not be skipped', (segment) => segment.control(6, u64(1)), /kind 6.*version 2/],
    ['an unknown flag', (segment) => segment.commit(entriesOf(3), { flags: 4 }), /flags are 0x4.*version 2/],
  ])('is refused: %s', async (_, build, message) => {
    const segment = unsynced().group(3)
    const at = segment.length
    build(segment)
    segment.group(4)
    for (const recovery of modes) {
      const error = await refusalOn(diskWith(segment), { recovery })
      expect(error).toMatchObject({ code: 'ERR_WAL_FORMAT', path: pathOf(segment), position: at })
      expect(error.message).toMatch(message)
    }
  })

  it('is refused in the header of the newest segment, and behind a group that fails', async () => {
    const later = new SegmentBuilder(firstSegment, { version: 3 })
    expect(await refusalOn(diskWith(later))).toMatchObject({ code: 'ERR_WAL_FORMAT', position: 0 })
    const segment = unsynced().group(3)
    const at = segment.length
    const bytes = segment.group(5).durable(2, { version: 3 }).bytes()
    expect(await refusalOn(diskWithFirst(flipBit(bytes, at + 60, 0)))).toMatchObject({ code: 'ERR_WAL_FORMAT' })
  })

  it('is passed over where it says that it may be, and the chain goes through it', async () => {
    const log = await openOn(diskWith(unsynced().group(3).control(6, u64(1), { flags: skippable }).group(4).close(true)))
    expect(contentsOf(log)).toEqual([...entriesOf(3), ...entriesOf(4)])
    expect(log.recovery.clean).toBe(true)
  })

  it('is a torn tail where its CRC, its salt or its chain does not hold: bytes of another file', async () => {
    for (const overrides of [{ salt: 1n }, { previous: 1 }]) {
      const segment = unsynced().group(3)
      segment.durable(0, { version: 3, ...overrides })
      const log = await openOn(diskWith(segment))
      expect(log.recovery).toMatchObject({ tornBytes: 37, ambiguous: true })
    }
  })
})

describe('row L: an error from reading', () => {
  it('refuses with it, at whichever read it comes, and is never taken for the end', async () => {
    const first = new SegmentBuilder(firstSegment).commit(entriesOf(10, 20)).close(false)
    const second = first.next().commit(entriesOf(40)).commit(entriesOf(300_000), { durableOffset: 0 })
    const files = filesOf(first, second)
    const counting = diskWith(files)
    await openOn(counting)
    const reads = counting.journal.filter(({ kind }) => kind === 'read').length
    expect(reads).toBeGreaterThan(4)
    for (let at = 1; at <= reads; at++) {
      const disk = diskWith(files)
      disk.fail({ kind: 'read', at, code: 'EIO' })
      expect(await refusalOn(disk), `read ${at}`).toMatchObject({ code: 'ERR_WAL_READ_FAILED' })
      expect(contentsOf(await openOn(disk))).toHaveLength(4)
    }
    for (const kind of ['list', 'size'] as const) {
      const disk = diskWith(files)
      disk.fail({ kind, code: 'EIO' })
      await expect(openOn(disk)).rejects.toMatchObject({ code: 'ERR_WAL_READ_FAILED' })
    }
  })
})

describe('the report of recovery', () => {
  it('names what was looked at, and keeps names of copies apart by what they hold', async () => {
    const segment = unsynced().group(3)
    const at = segment.length
    const whole = segment.group(40).bytes()
    const disk = diskWithFirst(cutTo(whole, whole.length - 1))
    const log = await openOn(disk)
    expect(log.recovery).toMatchObject({ entriesExamined: 1, bytesExamined: whole.length - 1, tornBytes: whole.length - 1 - at })
    await log.close()
    // The same place, torn again with other bytes: a second copy, not the first one replaced.
    disk.place(pathOf(segment), cutTo(whole, whole.length - 2))
    await (await openOn(disk)).close()
    disk.place(pathOf(segment), cutTo(whole, whole.length - 2))
    await (await openOn(disk)).close()
    const kept = disk.listSync(join(directory, 'quarantine'))
    expect(kept).toHaveLength(2)
    for (const name of kept) {
      const [, , crc] = /^(.*)-(\d+)-([0-9a-f]{8})\.torn$/.exec(name)?.slice(1) as [string, string, string]
      expect(crc32(disk.contents(join(directory, 'quarantine', name)))).toBe(Buffer.from(crc, 'hex').readUInt32BE(0))
    }
  })
})
