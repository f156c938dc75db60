/**
 * Line 9 of docs/RELIABILITY.md: bytes that nobody wrote, given to all that reads a log. Nothing may come of them but entries that were
 * appended, or an error of the log's own; in bounded time, and in memory that the files bound.
 */
import { join } from 'node:path'
import { readSegmentHeader } from '../../src/format/control-record.js'
import { frameRecord } from '../../src/format/framed-record.js'
import { readGroup } from '../../src/format/group.js'
import { voucherAt } from '../../src/format/vouchers.js'
import { salvage, SegmentReader, verify, WalError } from '../../src/index.js'
import { deriveSeed, Random, type SimulatedDisk } from '../../src/testing/index.js'
import { crc32 } from '../support/reference-reader.js'
import { concat, u32 } from '../support/reference-writer.js'
import { segmentsOf } from './every-bit.js'
import { buildCutFormat2, diskWith, directory, type Files, goldenFormat1, type openRaw, type SampleLog, writeFormat1, writeFormat2 } from './sample-logs.js'
import { exampleEntries } from '../support/waltest.js'
import { textEntries } from './text-entries.js'

export const inputKinds = ['random bytes', 'mutated', 'forged'] as const
export type InputKind = (typeof inputKinds)[number]

export interface FuzzTally {
  inputs: number
  readonly byKind: Record<InputKind, number>
  /** What came of opening. */
  opened: number
  refused: number
  refusedWhenRead: number
  /** Pieces that were given to what reads single records and groups. */
  pieces: number
  /** Entries that were read, by whatever reader. */
  entries: number
  longestMs: number
  /** Heap and buffers, the most that an input was seen to add. */
  mostBytes: number
}

export function newFuzzTally(): FuzzTally {
  return { inputs: 0, byKind: { 'random bytes': 0, mutated: 0, forged: 0 }, opened: 0, refused: 0, refusedWhenRead: 0, pieces: 0, entries: 0, longestMs: 0, mostBytes: 0 }
}

/** An input takes some milliseconds; what takes so long hangs, or has become quadratic. */
const limitMs = 5_000
/** The inputs are some kilobytes large. */
const limitBytes = 256 * 1024 * 1024

interface Sample {
  readonly log: SampleLog
  readonly entries: typeof textEntries | typeof exampleEntries | undefined
}

export class Fuzzer {
  readonly #samples: readonly Sample[]

  private constructor(samples: readonly Sample[]) {
    this.#samples = samples
  }

  static async make(): Promise<Fuzzer> {
    const { clean, unclean } = await writeFormat2()
    return new Fuzzer([
      { log: clean, entries: undefined },
      { log: unclean, entries: undefined },
      { log: buildCutFormat2(), entries: undefined },
      { log: await writeFormat1(), entries: textEntries },
      { log: goldenFormat1('one-segment'), entries: exampleEntries },
    ])
  }

  /** Makes the input of a seed, and gives it to every reader; throws what is wrong with what they made of it. */
  async try(seed: number, tally: FuzzTally): Promise<void> {
    const random = new Random(deriveSeed(seed, 9))
    const sample = random.pick(this.#samples)
    const kind = inputKinds[random.below(sample.log.name.startsWith('format 2') ? 3 : 2)] as InputKind
    const files = inputOf(kind, sample.log, random)
    const began = performance.now()
    const memory = memoryUsed()
    try {
      await readAll(sample, kind, files, random, tally)
      readPieces(files, random, tally)
    } catch (error) {
      throw new Error(`input ${seed}, ${kind}, of ${sample.log.name}: ${String((error as Error).stack)}\n${dumped(files)}`, { cause: error })
    }
    const ms = performance.now() - began
    const bytes = memoryUsed() - memory
    tally.inputs++
    tally.byKind[kind]++
    tally.longestMs = Math.max(tally.longestMs, Math.ceil(ms))
    tally.mostBytes = Math.max(tally.mostBytes, bytes)
    if (ms > limitMs) throw new Error(`input ${seed}, ${kind}, of ${sample.log.name} took ${ms} ms\n${dumped(files)}`)
    if (bytes > limitBytes) throw new Error(`input ${seed}, ${kind}, of ${sample.log.name} took ${bytes} bytes of memory\n${dumped(files)}`)
  }
}

function memoryUsed(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

// ── Inputs

function inputOf(kind: InputKind, { files }: SampleLog, random: Random): Files {
  const changed = new Map(files)
  const names = segmentsOf(files)
  const count = random.chance(0.8) ? 1 : 2
  for (let file = 0; file < count; file++) {
    const name = random.pick(names)
    // Of what is whole: a forged segment can't be forged again.
    const bytes = files.get(name) as Uint8Array
    changed.set(name, kind === 'random bytes' ? randomBytes(bytes, random) : kind === 'mutated' ? mutated(bytes, changed, random) : forged(bytes, random))
  }
  return changed
}

/** Rubbish, in place of all of it, or behind a beginning that is right. */
function randomBytes(bytes: Uint8Array, random: Random): Uint8Array {
  const kept = random.chance(0.5) ? random.below(bytes.length + 1) : 0
  const rubbish = random.bytes(random.below(random.chance(0.02) ? 6_000 : 700))
  // Long runs of one byte, and bytes that look like types and small lengths.
  if (random.chance(0.3)) rubbish.fill(random.pick([0, 1, 0xff]), random.below(rubbish.length + 1))
  if (random.chance(0.3)) for (let index = 0; index < rubbish.length; index++) if (random.chance(0.7)) rubbish[index] = random.pick([0, 0, 0, 1, 2, 0xff])
  return concat(bytes.subarray(0, kept), rubbish)
}

const extremes = [0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]

/** Several small changes: bits, bytes, numbers, pieces that are copied, moved, zeroed, taken out or put in. */
function mutated(original: Uint8Array, files: Files, random: Random): Uint8Array {
  let bytes: Uint8Array = original.slice()
  for (let change = 1 + random.below(4); change > 0; change--) {
    const at = random.below(bytes.length + 1)
    const length = random.below(random.chance(0.5) ? 12 : 600)
    switch (random.below(8)) {
      case 0:
        if (at < bytes.length) bytes[at] = (bytes[at] as number) ^ (1 << random.below(8))
        break
      case 1:
        if (at < bytes.length) bytes[at] = random.next()
        break
      case 2:
        bytes.set(u32(random.pick(extremes)).subarray(0, Math.max(0, bytes.length - at)), at)
        break
      case 3:
        bytes.fill(0, at, at + length)
        break
      case 4:
        bytes = concat(bytes.subarray(0, at), bytes.subarray(at + length))
        break
      case 5:
        bytes = concat(bytes.subarray(0, at), random.bytes(length), bytes.subarray(at))
        break
      case 6: {
        // A piece of this segment or another one.
        const from = random.pick([...files.values()])
        const start = random.below(from.length + 1)
        const piece = from.subarray(start, start + length)
        bytes = random.chance(0.5) ? concat(bytes.subarray(0, at), piece, bytes.subarray(at)) : concat(bytes.subarray(0, at), piece, bytes.subarray(at + piece.length))
        break
      }
      default:
        bytes = bytes.slice(0, at)
    }
  }
  return bytes
}

/** A control record of format 2 that says something else, with a CRC that fits, and a chain that goes on behind it. */
function forged(original: Uint8Array, random: Random): Uint8Array {
  const bytes = original.slice()
  const view = new DataView(bytes.buffer)
  const records = controlRecordsOf(bytes)
  const target = random.below(records.length)
  for (const [index, { at, payloadBytes }] of records.entries()) {
    if (index < target) continue
    const payload = at + 9
    if (index === target) {
      for (let change = 1 + random.below(3); change > 0; change--) {
        const where = payload + random.below(payloadBytes)
        if (random.chance(0.5)) bytes[where] = random.chance(0.5) ? random.next() : random.pick([0, 1, 0x7f, 0x80, 0xff])
        else if (where + 4 <= payload + payloadBytes) view.setUint32(where, random.pick(extremes))
      }
      if (random.chance(0.2)) view.setUint32(at, random.pick(extremes))
    } else {
      view.setUint32(payload + 16, view.getUint32((records[index - 1] as { at: number }).at + 5))
    }
    view.setUint32(at + 5, crc32(bytes.subarray(payload, payload + payloadBytes)))
  }
  return bytes
}

/** The control records of a segment that is whole: 9 bytes of header, then length, kind, version, flags, salt and `previous`. */
function controlRecordsOf(bytes: Uint8Array): { readonly at: number; readonly payloadBytes: number }[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const records: { at: number; payloadBytes: number }[] = []
  for (let at = 0; at + 13 <= bytes.length && bytes[at + 4] === 0xff; ) {
    const payloadBytes = 4 + view.getUint32(at + 9)
    records.push({ at, payloadBytes })
    const bodyBytes = bytes[at + 13] === 2 ? view.getUint32(at + 9 + 32) : 0
    at += 9 + payloadBytes + bodyBytes
  }
  return records
}

// ── Readers

const piecesPerInput = 60

/** The functions that find records in bytes: they look at any place of any bytes, and find something or nothing there. */
function readPieces(files: Files, random: Random, tally: FuzzTally): void {
  const all = [...files.values()]
  for (let piece = 0; piece < piecesPerInput; piece++) {
    const bytes = random.pick(all)
    const at = random.below(bytes.length + 1)
    const available = random.below(bytes.length - at + 1)
    const left = available + (random.chance(0.5) ? 0 : random.below(1 << 20))
    const expected = { nextOffset: random.pick([1, 2, 7, 2 ** 32, 2 ** 40]), salt: '0123456789abcdef', previous: random.next() }
    if (at + 20 <= bytes.length && random.chance(0.5)) expected.salt = Buffer.from(bytes.subarray(at + 12, at + 20)).toString('hex').padEnd(16, '0')
    const results: { readonly found: string }[] = [
      readGroup(bytes, at, available, left, expected, random.chance(0.5)),
      readSegmentHeader(bytes.subarray(at, at + available), left),
      voucherAt(bytes, at, available, left, expected.salt, expected.nextOffset),
      frameRecord(bytes, at, available, left, (type) => (type < 2 ? (reader) => reader.read((reader.read(2)[1] ?? 0) * 3) : undefined)),
    ]
    for (const { found } of results) if (typeof found !== 'string') throw new Error('a parser found neither something nor nothing')
    tally.pieces += results.length
  }
}

async function readAll({ log, entries }: Sample, kind: InputKind, files: Files, random: Random, tally: FuzzTally): Promise<void> {
  const disk = diskWith(files)
  // Whoever makes the CRCs right can put words into the log's mouth: then only time, memory and errors are looked at.
  const isForged = kind === 'forged'
  const formatKnows = log.name.startsWith('format 2') && !isForged
  await quietly(async () => readSegments(disk, files, entries, formatKnows ? log : undefined, tally))
  await quietly(() => verify(directory, { fileSystem: disk, ...(entries === undefined ? {} : { entries }) }))
  await quietly(async () => {
    for await (const _entry of salvage(directory, { fileSystem: disk, ...(entries === undefined ? {} : { entries }) })) tally.entries++
  })
  let opened: Awaited<ReturnType<typeof openRaw>>
  try {
    opened = await log.open(disk, random.chance(0.5) ? 'truncate' : 'strict')
    tally.opened++
  } catch (error) {
    tally.refused++
    return expectOurs(error)
  }
  try {
    let next = opened.firstOffset
    for await (const batch of opened.entries()) {
      if (batch.length === 0) throw new Error('an empty batch')
      for (const { offset, text } of batch) {
        if (offset !== next++) throw new Error(`entry ${offset} stands where ${next - 1} is next`)
        if (formatKnows && log.appended.get(offset) !== text && log.beforeCut?.get(offset) !== text) throw new Error(`entry ${offset} is ${text}, which was never appended`)
        tally.entries++
      }
    }
    if (next !== opened.lastOffset + 1) throw new Error(`the entries end at ${next - 1}, and lastOffset is ${opened.lastOffset}`)
  } catch (error) {
    tally.refusedWhenRead++
    expectOurs(error)
  }
}

async function readSegments(disk: SimulatedDisk, files: Files, entries: Sample['entries'], log: SampleLog | undefined, tally: FuzzTally): Promise<void> {
  for (const name of files.keys()) {
    await quietly(async () => {
      await using reader = await SegmentReader.open(join(directory, name), { fileSystem: disk, ...(entries === undefined ? {} : { entries }) })
      while (await reader.readNext()) {
        tally.entries++
        const { offset } = reader
        await quietly(async () => {
          const decoded = reader.decode() as { readonly type: number; readonly payload: Uint8Array }
          if (log === undefined) return
          const text = `${decoded.type}:${Buffer.from(decoded.payload).toString('latin1')}`
          if (log.appended.get(offset) !== text && log.beforeCut?.get(offset) !== text) throw new Error(`SegmentReader: entry ${offset} is ${text}, which was never appended`)
        })
      }
    })
  }
}

/** Errors of the log's own are what is to come of such bytes. */
async function quietly(run: () => Promise<unknown>): Promise<void> {
  try {
    await run()
  } catch (error) {
    expectOurs(error)
  }
}

function expectOurs(error: unknown): void {
  if (!(error instanceof WalError) || !error.code.startsWith('ERR_WAL_')) throw error
}

function dumped(files: Files): string {
  return [...files].map(([name, bytes]) => `  ${name}: ${Buffer.from(bytes).toString('hex')}`).join('\n')
}
