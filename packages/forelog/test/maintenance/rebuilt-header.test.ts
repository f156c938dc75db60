import { basename, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { crc32 } from '../../src/format/checksum.js'
import { ControlChain, readSegmentHeader, type SegmentHeader, segmentHeaderBytes } from '../../src/format/control-record.js'
import { planRepair, repair, verify, WriteAheadLog } from '../../src/index.js'
import { type HeaderEvidence, type Origin, rebuildHeader } from '../../src/maintenance/rebuilt-header.js'
import { Random } from '../../src/testing/index.js'
import { segmentsOf } from '../proofs/every-bit.js'
import { diskWith, directory, type Files, filesOn, payloadOf } from '../proofs/sample-logs.js'
import { collect, failCalls, healCalls, isPlainWrite, rejection } from '../support/logs.js'

const hourMs = 3_600_000
const salt = '1122334455667788'
const logId = '00112233445566778899aabbccddeeff'
const createdMs = 1_700_000_000_000

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: createdMs })
})

afterEach(() => {
  vi.useRealTimers()
})

/** Rolls, shutdowns, and truncations both ways, an hour at the most apart. */
async function someLog(seed: number): Promise<Files> {
  const random = new Random(seed)
  const disk = diskWith(new Map())
  let log = await WriteAheadLog.open(directory, { fileSystem: disk, maxSegmentSize: 400 })
  for (let turn = 0; turn < 25; turn++) {
    vi.setSystemTime(Date.now() + random.below(hourMs))
    const what = random.below(10)
    if (what < 7) await log.appendBatch(Array.from({ length: 1 + random.below(3) }, (_, index) => payloadOf(log.lastOffset + index + 1, random.below(150), seed)))
    else if (what === 7) await log.truncateBefore(log.firstOffset + random.below(Math.max(1, Math.min(4, log.lastOffset - log.firstOffset))))
    else if (what === 8) await log.truncateAfter(Math.max(log.firstOffset - 1, log.lastOffset - random.below(5)))
    else {
      await log.close()
      log = await WriteAheadLog.open(directory, { fileSystem: disk, maxSegmentSize: 400 })
    }
  }
  await log.close()
  return new Map([...filesOn(disk)].filter(([name]) => name.endsWith('.wal')))
}

/** What becomes of a header. */
const damages: readonly { readonly what: string; readonly isGone: boolean; damage(bytes: Uint8Array, random: Random): void }[] = [
  { what: 'zeros', isGone: true, damage: (bytes) => bytes.fill(0, 0, segmentHeaderBytes) },
  { what: 'rubbish', isGone: true, damage: (bytes, random) => bytes.set(Uint8Array.from({ length: segmentHeaderBytes }, () => random.below(256))) },
  { what: 'rubbish in the frame', isGone: false, damage: (bytes) => bytes.fill(0xee, 0, 16) },
  { what: 'rubbish in the ids', isGone: false, damage: (bytes) => bytes.fill(0xee, 20, 60) },
  { what: 'rubbish at the end', isGone: false, damage: (bytes) => bytes.fill(0xee, 60, segmentHeaderBytes) },
]

function headerIn(bytes: Uint8Array): SegmentHeader {
  const read = readSegmentHeader(bytes, bytes.length)
  if (read.found !== 'header') throw new Error(read.why)
  return read.header
}

describe('a header of rubbish', () => {
  it('is written again byte for byte where the records around it prove what it was, and never as anything else', async () => {
    const random = new Random(1)
    const counts = new Map(damages.map(({ what }) => [what, { rebuilt: 0, tried: 0 }]))
    let cuts = 0
    for (let seed = 1; seed <= 30; seed++) {
      const files = await someLog(seed)
      const names = segmentsOf(files)
      const whole = await verify(directory, { fileSystem: diskWith(files) })
      for (const [index, name] of names.entries()) {
        const bytes = files.get(name) as Uint8Array
        const header = headerIn(bytes)
        for (const { what, isGone, damage } of damages) {
          const count = counts.get(what) as { rebuilt: number; tried: number }
          const damaged = bytes.slice()
          damage(damaged, random)
          const disk = diskWith(new Map(files).set(name, damaged))
          const plan = await planRepair(directory, { fileSystem: disk })
          const where = `seed ${seed}, ${name}, ${what}: ${JSON.stringify(plan.report.faults)}`
          const [fault] = plan.report.faults
          count.tried++
          if (fault?.header === undefined) {
            // A truncation in front has taken what it follows, or nothing behind it says what it was.
            const follows = index > 0 && bytes.length > segmentHeaderBytes
            expect(plan.state, where).not.toBe('ready')
            // Of a mark that stood in what a segment cut off only its header may have known.
            expect(isGone && follows && !header.cut, where).toBe(false)
            continue
          }
          count.rebuilt++
          const digits = Buffer.from(bytes.subarray(0, segmentHeaderBytes)).toString('hex')
          if (header.cut) cuts++
          expect(fault.header, where).toBe(digits)
          expect(plan.actions, where).toEqual([{ kind: 'rebuild-header', path: join(directory, name), header: digits }])
          expect(plan.loses.bytes).toBe(0)
          const { report, quarantined } = await repair(directory, { fileSystem: disk, plan })
          expect(report, where).toMatchObject({ outcome: whole.outcome, firstOffset: whole.firstOffset, lastOffset: whole.lastOffset, entries: whole.entries })
          expect(disk.contents(join(directory, name)), where).toEqual(bytes)
          // What stood there is kept.
          expect(quarantined.map((path) => basename(path).slice(0, name.length)), where).toEqual([name])
          expect(disk.contents(quarantined[0] as string)).toEqual(damaged.subarray(0, 512))
          const opened = await WriteAheadLog.open(directory, { fileSystem: disk })
          expect(await collect(opened.entries()), where).toHaveLength(whole.entries)
          await opened.close()
        }
      }
    }
    for (const [what, { rebuilt, tried }] of counts) console.log(`${what}: ${rebuilt} of ${tried} headers rebuilt`)
    console.log(`of cuts: ${cuts}`)
    for (const { rebuilt, tried } of counts.values()) expect(rebuilt).toBeGreaterThan(tried / 2)
    expect(cuts).toBeGreaterThan(10)
  }, 60_000)

  it.each([1, 24 * 30])('is nothing else either where a full disk had emptied what was in front, and %d hours passed', async (hours) => {
    let rebuilt = 0
    for (let seed = 0; seed < 10; seed++) {
      vi.setSystemTime(createdMs + seed * 12_345_677)
      const disk = diskWith(new Map())
      const options = { fileSystem: disk, sync: 'manual', maxSegmentSize: 300 } as const
      const fill = async (log: WriteAheadLog, segments: number): Promise<void> => {
        while (log.segments().length < segments) await log.append(payloadOf(log.lastOffset + 1, 20, seed))
      }
      const emptied = await WriteAheadLog.open(directory, options)
      await fill(emptied, 6)
      // No room for the mark, not even then.
      failCalls(disk, isPlainWrite, 'ENOSPC')
      await rejection('ERR_WAL_NO_SPACE', emptied.truncateBefore(emptied.segments()[3]?.firstOffset as number))
      healCalls(disk)
      await emptied.close()
      const log = await WriteAheadLog.open(directory, options)
      vi.setSystemTime(Date.now() + hours * hourMs + seed * 7919)
      await fill(log, log.segments().length + 2)
      vi.setSystemTime(Date.now() + hourMs)
      await log.close()
      const files = new Map([...filesOn(disk)].filter(([name]) => name.endsWith('.wal')))
      for (const [name, bytes] of files) {
        if (bytes.length < segmentHeaderBytes) continue
        const damaged = bytes.slice().fill(0, 0, segmentHeaderBytes)
        const { report } = await planRepair(directory, { fileSystem: diskWith(new Map(files).set(name, damaged)) })
        const header = report.faults.find((fault) => fault.header !== undefined)?.header
        if (header === undefined) continue
        rebuilt++
        expect(header, `seed ${seed}, ${name}`).toBe(Buffer.from(bytes.subarray(0, segmentHeaderBytes)).toString('hex'))
      }
    }
    expect(rebuilt).toBeGreaterThan(10)
  })

  it('hides nothing of the log: where it begins by a mark in that segment, and what is torn behind', async () => {
    const disk = diskWith(new Map())
    const log = await WriteAheadLog.open(directory, { fileSystem: disk, maxSegmentSize: 400 })
    while (log.segments().length < 5) await log.append(payloadOf(log.lastOffset + 1, 100))
    await log.truncateBefore(log.segments()[2]?.firstOffset as number)
    const { firstOffset, lastOffset } = log
    await log.append(payloadOf(lastOffset + 1, 100))
    const files = filesOn(disk)
    const newest = segmentsOf(files).at(-1) as string
    const torn = (files.get(newest) as Uint8Array).slice(0, log.segments().at(-1)?.bytes).fill(0, (log.segments().at(-1)?.bytes ?? 0) - 20)
    for (const damage of [(bytes: Uint8Array) => bytes.fill(0xee, 0, segmentHeaderBytes), (bytes: Uint8Array) => bytes.fill((bytes[50] as number) ^ 4, 50, 51)]) {
      const damaged = diskWith(new Map(files).set(newest, damage(torn.slice())))
      const plan = await planRepair(directory, { fileSystem: damaged })
      expect(plan.report.faults).toMatchObject([{ kind: 'header' }])
      expect(plan.report).toMatchObject({ outcome: 'damaged', firstOffset, lastOffset })
      expect(plan.actions).toMatchObject([{ path: join(directory, newest) }, { kind: 'cut' }])
      const { report } = await repair(directory, { fileSystem: damaged, plan })
      expect(report).toMatchObject({ outcome: 'sound', firstOffset, lastOffset })
    }
    await log.close()
  })

  it('is not mended in a file that nothing refers to: opening refuses it, and it is set aside', async () => {
    const disk = diskWith(new Map())
    const log = await WriteAheadLog.open(directory, { fileSystem: disk, maxSegmentSize: 400 })
    while (log.segments().length < 4) await log.append(payloadOf(log.lastOffset + 1, 100))
    const before = filesOn(disk)
    await log.truncateBefore(log.segments()[2]?.firstOffset as number)
    await log.close()
    const [dead] = segmentsOf(before)
    const files = new Map([...before, ...filesOn(disk)]).set(dead as string, (before.get(dead as string) as Uint8Array).slice().fill(0xee, 20, 24))
    const damaged = diskWith(files)
    await rejection('ERR_WAL_CORRUPT', WriteAheadLog.open(directory, { fileSystem: damaged }))
    const plan = await planRepair(directory, { fileSystem: damaged })
    expect(plan.report.faults).toMatchObject([{ kind: 'stray' }])
    expect(plan.actions).toEqual([{ kind: 'set-aside', path: join(directory, dead as string), bytes: before.get(dead as string)?.length }])
    await repair(directory, { fileSystem: damaged, plan })
    await (await WriteAheadLog.open(directory, { fileSystem: damaged })).close()
  })
})

describe('rebuildHeader', () => {
  const origin: Origin = { previousSegmentId: 6, previous: 0xabcdef01, lowWaterMark: 3, createdMs, cut: false }
  const headerWith = (changes: { createdMs?: number; lowWaterMark?: number; cut?: boolean } = {}): Uint8Array =>
    new ControlChain(Buffer.from(salt, 'hex'), origin.previous).segmentHeader({ logId, segmentId: 7, previousSegmentId: 6, firstOffset: 41, lowWaterMark: 3, createdMs: createdMs + hourMs, cut: false, ...changes })
  const evidenceOf = (header: Uint8Array, changes: Partial<HeaderEvidence> = {}): HeaderEvidence => ({
    damaged: new Uint8Array(segmentHeaderBytes),
    next: { salt, previous: crc32(header, 9) },
    segmentId: 7,
    firstOffset: 41,
    logId,
    origins: [origin],
    createdUpTo: createdMs + 2 * hourMs,
    ...changes,
  })

  it('finds the moment of its creation by its CRC, between those of its neighbours', () => {
    for (const after of [0, 1, 255, 256, 65_536, hourMs, 2 * hourMs]) {
      const header = headerWith({ createdMs: createdMs + after })
      expect(rebuildHeader(evidenceOf(header))).toEqual(header)
    }
    // Over a boundary of its two halves, too.
    const boundary = Math.ceil(createdMs / 2 ** 32) * 2 ** 32
    for (const moment of [boundary - 1, boundary, boundary + 1]) {
      const header = headerWith({ createdMs: moment })
      expect(rebuildHeader(evidenceOf(header, { origins: [{ ...origin, createdMs: boundary - hourMs }], createdUpTo: boundary + hourMs }))).toEqual(header)
    }
  })

  it('believes none where the moment is outside of that, or more than one would do', () => {
    const header = headerWith()
    expect(rebuildHeader(evidenceOf(header, { createdUpTo: createdMs + hourMs - 1 }))).toBeUndefined()
    expect(rebuildHeader(evidenceOf(header, { origins: [{ ...origin, createdMs: createdMs + hourMs + 1 }] }))).toBeUndefined()
    expect(rebuildHeader(evidenceOf(header, { createdUpTo: createdMs + 2 ** 32 }))).toBeUndefined()
    expect(rebuildHeader(evidenceOf(header, { origins: [{ ...origin, createdMs: undefined }] }))).toBeUndefined()
    // Of the 50 days that have the same upper half, just one moment makes the CRC, whatever the other fields are.
    const from = Math.floor(createdMs / 2 ** 32) * 2 ** 32
    const segment = { ...origin, createdMs: from }
    expect(rebuildHeader(evidenceOf(header, { origins: [segment], createdUpTo: from + 2 ** 32 - 1 }))).toEqual(header)
    expect(rebuildHeader(evidenceOf(header, { origins: [segment, { ...segment, cut: true }], createdUpTo: from + 2 ** 32 - 1 }))).toBeUndefined()
  })

  it('takes what nobody tells from what is still there, where the CRC agrees, however long ago that was', () => {
    const header = headerWith({ lowWaterMark: 9, cut: true })
    const nobody = { logId: undefined, origins: [], createdUpTo: 0 }
    const damaged = header.slice().fill(0xee, 0, 10).fill(0xee, 17, 25).fill(0xee, 45, 53)
    expect(rebuildHeader(evidenceOf(header, { ...nobody, damaged }))).toEqual(header)
    for (let byte = 25; byte < segmentHeaderBytes; byte++) {
      const isTold = (byte >= 45 && byte < 53) || (byte >= 61 && byte < 69)
      const other = damaged.slice()
      other[byte] = (other[byte] as number) ^ 0x18
      expect(rebuildHeader(evidenceOf(header, { ...nobody, damaged: other })) !== undefined, `byte ${byte}`).toBe(isTold)
    }
  })

  it('is none that contradicts itself, though its CRC holds', () => {
    const header = headerWith()
    const impossible = new ControlChain(Buffer.from(salt, 'hex'), 1).segmentHeader({ logId, segmentId: 7, previousSegmentId: 8, firstOffset: 41, lowWaterMark: 3, createdMs, cut: false })
    expect(rebuildHeader(evidenceOf(impossible, { damaged: impossible, origins: [] }))).toBeUndefined()
    expect(rebuildHeader(evidenceOf(header, { damaged: header, origins: [] }))).toEqual(header)
  })
})
