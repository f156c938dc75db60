/** What tests of the log as callers see it share: disks that fail when they are told to, and short ways to read and refuse. */
import { expect } from 'vitest'
import { WalError, type WalErrorCode } from '../../src/errors.js'
import type { OpenOptions } from '../../src/options.js'
import { type CallHook, type DiskCall, SimulatedDisk, type SimulatedDiskOptions } from '../../src/testing/index.js'
import { WriteAheadLog } from '../../src/write-ahead-log.js'

export const directory = '/data/log'

/** A disk in memory that keeps a journal of its calls. */
export function newDisk(options: SimulatedDiskOptions = {}): SimulatedDisk {
  return new SimulatedDisk({ seed: 1, directories: ['/data'], journal: true, ...options })
}

/** A raw log on a disk. */
export function openOn(disk: SimulatedDisk, options: Omit<OpenOptions, 'fileSystem'> = {}): Promise<WriteAheadLog> {
  return WriteAheadLog.open(directory, { ...options, fileSystem: disk })
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export function bytesOf(text: string): Uint8Array {
  return encoder.encode(text)
}

export function textOf(payload: Uint8Array): string {
  return decoder.decode(payload)
}

/** `['1 a', '2 b']`. */
export async function textsOf(log: WriteAheadLog, range: { from?: number; to?: number } = {}): Promise<string[]> {
  const texts: string[] = []
  for await (const { offset, entry } of log.entries(range)) texts.push(`${offset} ${textOf(entry.payload)}`)
  return texts
}

export async function collect<T>(source: AsyncIterable<T> | Iterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const each of source) all.push(each)
  return all
}

/** The WalError that a promise rejects with; anything else fails the test. */
export async function rejection(code: WalErrorCode, promise: Promise<unknown>): Promise<WalError> {
  const error: unknown = await promise.then(
    (value) => expect.fail(`resolved with ${String(value)} where ${code} was to come`),
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(WalError)
  expect((error as WalError).code, (error as WalError).stack).toBe(code)
  return error as WalError
}

/** Whether a call puts bytes on stable storage: a sync, or a write to a file that is written through. */
export function isSync({ kind, writeThrough }: DiskCall): boolean {
  return kind === 'dataSync' || kind === 'sync' || (kind === 'write' && writeThrough === true)
}

/** Whether a call writes to a file of the log that is not written through: there a lack of space can be undone. */
export function isPlainWrite({ kind, path, writeThrough }: DiskCall): boolean {
  return kind === 'write' && path.includes('.wal') && writeThrough !== true
}

/** Calls that put bytes on stable storage, since the journal had `from` calls. */
export function syncsSince(disk: SimulatedDisk, from = 0): number {
  return disk.journal.slice(from).filter(isSync).length
}

/** Makes the calls fail that are picked, from now on or `times` times, before they do anything. */
export function failCalls(disk: SimulatedDisk, picked: (call: DiskCall) => boolean, code: string, times = Infinity): { readonly hits: number } {
  const told = { hits: 0 }
  const before: CallHook | undefined = disk.onCall
  disk.onCall = (call, moment) => {
    before?.(call, moment)
    if (moment !== 'before' || told.hits >= times || !picked(call)) return
    told.hits++
    throw Object.assign(new Error(`${code}: made to fail, ${call.kind}`), { code })
  }
  return told
}

/** Takes back what `failCalls` did. */
export function healCalls(disk: SimulatedDisk): void {
  disk.onCall = undefined
}
