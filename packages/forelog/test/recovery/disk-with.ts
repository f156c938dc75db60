import { Buffer } from 'node:buffer'
import { join } from 'node:path'
import { expect } from 'vitest'
import { type OpenOptions, type RawEntry, type WalError, WriteAheadLog } from '../../src/index.js'
import { SimulatedDisk, type SimulatedDiskOptions } from '../../src/testing/index.js'
import { SegmentBuilder, type SegmentFields } from '../support/reference-writer.js'

export const directory = '/data/log'

export const firstSegment: SegmentFields = {
  logId: '000102030405060708090a0b0c0d0e0f',
  segmentId: 1,
  previousId: 0,
  firstOffset: 1,
  lowWaterMark: 1,
  createdMs: 1_700_000_000_000,
  salt: 0x5a17_c0de_0123_4567n,
  previous: 0,
}

/** Entries of these sizes, without a zero byte in them. */
export function entriesOf(...sizes: number[]): RawEntry[] {
  return sizes.map((size, index) => ({ type: (size + index) % 200, payload: Uint8Array.from({ length: size }, (_, at) => 1 + ((at * 7 + size + index) % 255)) }))
}

/** A segment whose commits vouch for nothing: what a log writes whose syncs never returned. */
export class UnsyncedSegment extends SegmentBuilder {
  group(...sizes: number[]): this {
    return this.commit(entriesOf(...sizes), { durableOffset: 0 })
  }
}

export function unsynced(changes: Partial<SegmentFields> = {}): UnsyncedSegment {
  return new UnsyncedSegment({ ...firstSegment, ...changes })
}

export function diskWith(files: ReadonlyMap<string, Uint8Array> | SegmentBuilder, options: SimulatedDiskOptions = {}): SimulatedDisk {
  const disk = new SimulatedDisk({ seed: 1, directories: [directory], journal: true, ...options })
  const all = files instanceof SegmentBuilder ? new Map([[files.name(), files.bytes()]]) : files
  for (const [name, bytes] of all) disk.place(join(directory, name), bytes)
  return disk
}

/** One segment, the first of its log, with these bytes. */
export function diskWithFirst(bytes: Uint8Array, options: SimulatedDiskOptions = {}): SimulatedDisk {
  return diskWith(new Map([[new SegmentBuilder(firstSegment).name(), bytes]]), options)
}

export function openOn(disk: SimulatedDisk, options: OpenOptions = {}): Promise<WriteAheadLog> {
  return WriteAheadLog.open(directory, { fileSystem: disk, ...options })
}

/** All files of the log's directory but the lock, as hexadecimal digits. */
export function filesOn(disk: SimulatedDisk): Record<string, string> {
  const names = disk.listSync(directory).filter((name) => name !== 'quarantine').sort()
  return Object.fromEntries(names.map((name) => [name, Buffer.from(disk.contents(join(directory, name))).toString('hex')]))
}

/** Why a log can't be opened. That nothing was changed on disk is asserted. */
export async function refusalOn(disk: SimulatedDisk, options: OpenOptions = {}): Promise<WalError> {
  const before = filesOn(disk)
  const error = await openOn(disk, options).then(
    (log) => {
      throw new Error(`it was opened: ${JSON.stringify(log.recovery)}`)
    },
    (reason: unknown) => reason as WalError,
  )
  expect(filesOn(disk)).toEqual(before)
  return error
}

/** What the log holds. */
export function contentsOf(log: WriteAheadLog): RawEntry[] {
  return [...log.entriesSync()].map(({ entry }) => entry)
}
