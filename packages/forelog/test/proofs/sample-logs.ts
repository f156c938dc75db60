/**
 * Small logs that the proofs damage: their files, and what they hold.
 */
import { Buffer } from 'node:buffer'
import { join } from 'node:path'
import { type RawEntry, type StoredEntry, WriteAheadLog } from '../../src/index.js'
import { SimulatedDisk } from '../../src/testing/index.js'
import { type ExampleEntry1, type ExampleEntry2, exampleEntries } from '../support/waltest.js'
import { golden } from '../support/golden.js'
import { readDirectory2 } from '../support/reference-reader.js'
import { filesOf, SegmentBuilder } from '../support/reference-writer.js'
import { textEntries, textEntry } from './text-entries.js'

export const directory = '/data/log'

export type Files = ReadonlyMap<string, Uint8Array>

/** What the proofs ask of a log, of whatever entries: these as text. */
export interface OpenedLog {
  readonly firstOffset: number
  readonly lastOffset: number
  readonly recovery: WriteAheadLog['recovery']
  get(offset: number): Promise<{ readonly offset: number; readonly text: string }>
  entries(): AsyncIterable<readonly { readonly offset: number; readonly text: string }[]>
}

export interface SampleLog {
  readonly name: string
  readonly files: Files
  readonly firstOffset: number
  readonly lastOffset: number
  readonly clean: boolean
  /** All that was ever appended, as text, by offset; those that were truncated, too. */
  readonly appended: ReadonlyMap<number, string>
  /** The same as it was before the newest segment cut off the end of the one in front of it. */
  readonly beforeCut?: ReadonlyMap<number, string>
  open(disk: SimulatedDisk, recovery: 'truncate' | 'strict'): Promise<OpenedLog>
}

/** The files of the log's directory that are there now, but for the lock. */
export function filesOn(disk: SimulatedDisk): Map<string, Uint8Array> {
  return new Map(disk.listSync(directory).filter((name) => name !== 'quarantine').map((name) => [name, disk.contents(join(directory, name))]))
}

export function diskWith(files: Files): SimulatedDisk {
  const disk = new SimulatedDisk({ seed: 1, directories: [directory] })
  for (const [name, bytes] of files) disk.place(join(directory, name), bytes)
  return disk
}

export function textOf({ type, payload }: RawEntry): string {
  return `${type}:${Buffer.from(payload).toString('latin1')}`
}

export async function openRaw(disk: SimulatedDisk, recovery: 'truncate' | 'strict'): Promise<OpenedLog> {
  return asTexts(await WriteAheadLog.open(directory, { fileSystem: disk, recovery }), textOf)
}

export async function openExamples(disk: SimulatedDisk, recovery: 'truncate' | 'strict'): Promise<OpenedLog> {
  return asTexts(await WriteAheadLog.open(directory, { fileSystem: disk, recovery, entries: exampleEntries }), textOfExample)
}

export function textOfExample(entry: ExampleEntry1 | ExampleEntry2): string {
  return JSON.stringify(entry)
}

function asTexts<E>(log: WriteAheadLog<never, E>, show: (entry: E) => string): OpenedLog {
  const shown = ({ offset, entry }: StoredEntry<E>): { offset: number; text: string } => ({ offset, text: show(entry) })
  return {
    firstOffset: log.firstOffset,
    lastOffset: log.lastOffset,
    recovery: log.recovery,
    get: async (offset) => shown(await log.get(offset)),
    async *entries() {
      for await (const batch of log.entries().batches()) yield batch.map(shown)
    },
  }
}

// ── Format 2

/** Writes down what is appended. */
class Writer {
  readonly disk = new SimulatedDisk({ seed: 1, directories: ['/data'] })
  readonly appended = new Map<number, string>()
  readonly #salt: number
  #log: WriteAheadLog | undefined

  constructor(salt: number) {
    this.#salt = salt
  }

  get log(): WriteAheadLog {
    return this.#log as WriteAheadLog
  }

  async open(maxSegmentSize: number): Promise<void> {
    this.#log = await WriteAheadLog.open(directory, { fileSystem: this.disk, maxSegmentSize })
  }

  /** Entries of these sizes, as one group. */
  async batch(...sizes: number[]): Promise<void> {
    const next = this.log.lastOffset + 1
    const entries = sizes.map((size, index) => ({ type: (next + index) % 5, payload: payloadOf(next + index, size, this.#salt) }))
    for (const [index, entry] of entries.entries()) this.appended.set(next + index, textOf(entry))
    await this.log.appendBatch(entries)
  }

  async singles(...sizes: number[]): Promise<void> {
    for (const size of sizes) await this.batch(size)
  }

  /** Waits for what the log writes by itself once it falls idle: the durable mark. */
  async mark(): Promise<void> {
    // Its timer keeps no process alive.
    const alive = setInterval(() => {}, 1000)
    await new Promise<void>((resolve) => {
      this.disk.onCall = ({ kind }, moment) => {
        if (kind === 'write' && moment === 'after') resolve()
      }
    })
    clearInterval(alive)
    this.disk.onCall = undefined
  }

  sample(name: string, clean: boolean): SampleLog {
    const { firstOffset, lastOffset } = this.log
    return { name, files: filesOn(this.disk), firstOffset, lastOffset, clean, appended: new Map(this.appended), open: openRaw }
  }
}

/** Different in each log, and nothing that could be taken for another entry. */
export function payloadOf(offset: number, size: number, salt = 0): Uint8Array {
  return Uint8Array.from({ length: size }, (_, index) => (offset * 37 + index * (11 + salt) + (index >> 3) * offset + salt) & 0xff)
}

export interface Format2Samples {
  readonly clean: SampleLog
  readonly unclean: SampleLog
}

/**
 * The same log twice, with a clean and an unclean end: several segments, single entries and batches, an empty one, marks, close
 * records in the middle from reopening, a truncation in front.
 */
export async function writeFormat2(salt = 0): Promise<Format2Samples> {
  const writer = new Writer(salt)
  await writer.open(420)
  await writer.singles(20, 0, 61)
  await writer.batch(9, 30, 130)
  await writer.singles(17)
  await writer.batch(80, 80, 3)
  await writer.log.close()
  await writer.open(420)
  await writer.singles(33, 70)
  await writer.batch(1, 2, 3, 150)
  await writer.log.truncateBefore(5)
  await writer.singles(140)
  await writer.mark()
  await writer.singles(12)
  await writer.log.close()
  await writer.open(4000)
  await writer.batch(5, 90, 0)
  await writer.log.close()
  await writer.open(4000)
  await writer.singles(41)
  await writer.log.truncateBefore(6)
  await writer.mark()
  await writer.singles(25)
  await writer.mark()
  await writer.batch(60, 14)
  // Nothing vouches for this one until the log is closed.
  await writer.batch(31, 4, 130)
  const unclean = writer.sample('format 2, unclean', false)
  await writer.log.close()
  return { unclean, clean: writer.sample('format 2, clean', true) }
}

/** A log whose newest entries were cut off behind, and which went on: built by hand, byte by byte. */
export function buildCutFormat2(): SampleLog {
  const appended = new Map<number, string>()
  const entries = (first: number, ...sizes: number[]): { type: number; payload: Uint8Array }[] =>
    sizes.map((size, index) => {
      const entry = { type: (first + index) % 3, payload: payloadOf(first + index, size, 5) }
      appended.set(first + index, textOf(entry))
      return entry
    })
  const first = new SegmentBuilder({
    logId: '00112233445566778899aabbccddeeff',
    segmentId: 1,
    previousId: 0,
    firstOffset: 1,
    lowWaterMark: 1,
    createdMs: 1_700_000_000_000,
    salt: 0x1234_5678_9abc_def0n,
    previous: 0,
  })
  first.commit(entries(1, 10, 20)).commit(entries(3, 40, 5, 6)).close(false)
  const second = first.next()
  // The cut goes through its first group.
  second.commit(entries(6, 30, 12)).commit(entries(8, 9)).close(false)
  const beforeCut = new Map(appended)
  const third = second.cutAfter(6)
  third.commit(entries(7, 50, 2)).durable().commit(entries(9, 70)).close(true)
  const files = filesOf(first, second, third)
  const { firstOffset, lastOffset } = readDirectory2(files)
  return { name: 'format 2, cut', files, firstOffset, lastOffset, clean: true, appended, beforeCut, open: openRaw }
}

// ── Format 1

/** A log of three segments, of two types whose payloads look the same: what tells them apart is a byte that nothing covers. */
export async function writeFormat1(salt = 0): Promise<SampleLog> {
  const disk = new SimulatedDisk({ seed: 1, directories: ['/data'] })
  const log = await WriteAheadLog.open(directory, { fileSystem: disk, format: 1, entries: textEntries, maxSegmentSize: 150 })
  const appended = new Map<number, string>()
  for (const [index, size] of [20, 0, 61, 9, 30, 70, 17, 44, 5, 12, 7].entries()) {
    const entry = textEntry(payloadOf(index + 1, size, salt), index % 2)
    appended.set(await log.append(entry), textOf(entry))
  }
  await log.close()
  const { firstOffset, lastOffset } = log
  const open: SampleLog['open'] = async (on, recovery) => asTexts(await WriteAheadLog.open(directory, { fileSystem: on, recovery, entries: textEntries }), textOf)
  return { name: 'format 1', files: filesOn(disk), firstOffset, lastOffset, clean: true, appended, open }
}

/** A log that the Go library wrote. */
export function goldenFormat1(name: string): SampleLog {
  const { files, expected } = golden(name)
  const appended = new Map<number, string>()
  for (const entry of expected.entries) {
    const text = entry.kind === 'ExampleEntry1' ? { type: 0, id: entry.id, point: entry.point } : { type: 1, test: entry.test, name: entry.name }
    appended.set(entry.offset, JSON.stringify(text))
  }
  const offsets = [...appended.keys()]
  return {
    name: `format 1, ${name}`,
    files,
    firstOffset: Math.min(...offsets),
    lastOffset: Math.max(...offsets),
    clean: true,
    appended,
    open: openExamples,
  }
}
