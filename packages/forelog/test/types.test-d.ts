/**
 * What the types of a log promise: everything follows from its entries. Compiled with the tests, never run. What entries promise by
 * themselves: entries/types.test-d.ts.
 */
import {
  type AnyLog,
  bytes,
  type ChannelMessages,
  type Codec,
  defineEntries,
  type Entry,
  type EntryOf,
  EntryRegistry,
  type errorCodes,
  json,
  type LogOf,
  type LogReader,
  type LogState,
  type PayloadReader,
  type RawEntry,
  SegmentReader,
  type StoredEntry,
  utf8,
  validated,
  WalError,
  type WalErrorCode,
  WriteAheadLog,
} from 'forelog'
import { z } from 'zod'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const is = <_T extends true>(): void => {}

const entries = defineEntries({
  put: { type: 1, codec: json<{ key: string; value: unknown }>() },
  del: { type: 2, codec: utf8 },
})
type E = EntryOf<typeof entries>

export async function ofDefinedEntries(): Promise<void> {
  await using log = await WriteAheadLog.open('./data', { entries })
  is<Equal<typeof log, LogOf<typeof entries>>>()
  const offset = await log.append(entries.put({ key: 'a', value: 1 }))
  is<Equal<typeof offset, number>>()
  const batch = await log.appendBatch([entries.put({ key: 'a', value: 1 }), entries.del('b')])
  const batchOffsets: [number, number] = [batch.first, batch.last]
  await log.appendBatch(new Set([entries.del('b')]))
  const blocking: number = log.appendSync(entries.del('b'))
  const durable: number = await log.sync()

  for await (const { offset, entry } of log.entries({ from: 1, to: 5, copy: false, signal: AbortSignal.timeout(1) })) {
    offset.toFixed()
    switch (entry.name) {
      case 'put':
        is<Equal<typeof entry.type, 1>>()
        is<Equal<typeof entry.value, { key: string; value: unknown }>>()
        break
      case 'del':
        is<Equal<typeof entry.value, string>>()
        break
      default:
        is<Equal<typeof entry, never>>()
    }
  }
  for await (const batch of log.entries().batches()) for (const { entry } of batch) if (entry.name === 'del') entry.value.toUpperCase()
  for (const { entry } of log.entriesSync({ from: 1 })) if (entry.type === 2) entry.value.toUpperCase()
  const got: StoredEntry<E> = await log.get(1)
  if (got.entry.name === 'put') got.entry.value.key.toUpperCase()
  await log.truncateBefore(offset + blocking + durable + batchOffsets[0])

  is<Equal<typeof log.state, LogState>>()
  is<Equal<LogState, 'open' | 'closing' | 'closed' | 'failed'>>()
  is<Equal<typeof log.failure, WalError | undefined>>()
  const facts: [boolean, number, boolean, readonly string[], number, number] = [
    log.recovery.clean,
    log.recovery.tornBytes,
    log.recovery.ambiguous,
    log.recovery.quarantined,
    log.recovery.entriesExamined,
    log.recovery.bytesExamined,
  ]
  for (const { id, path, firstOffset, lastOffset, bytes, state } of log.segments()) {
    const known: 'active' | 'closed' = state
    path.padEnd(known.length + id + firstOffset + lastOffset + bytes + facts.length)
  }
  is<Equal<ReturnType<typeof log.close>, Promise<void>>>()

  // @ts-expect-error raw bytes in a log of entries
  await log.append(new Uint8Array(1))
  // @ts-expect-error an entry of others
  await log.append(defineEntries({ other: { type: 9, codec: utf8 } }).other('x'))
  // @ts-expect-error one bad entry in a batch
  await log.appendBatch([entries.del('x'), new Uint8Array(1)])
  // @ts-expect-error unknown option of reading
  log.entries({ form: 1 })
  // @ts-expect-error a blocking read can't be aborted
  log.entriesSync({ signal: AbortSignal.timeout(1) })
  // @ts-expect-error an offset is a number
  await log.get('1')
  // @ts-expect-error offsets are read only
  log.lastOffset = 5
  // @ts-expect-error a log is opened, not constructed
  new WriteAheadLog()
}

export async function optionsOfOpen(): Promise<void> {
  await WriteAheadLog.open(new URL('file:///data'), { sync: 'interval', syncInterval: 5, commit: 'background', recovery: 'strict', format: 2 })
  const options = { entries, sync: 'always' } as const
  const log = await WriteAheadLog.open('x', options)
  await log.append(entries.del('q'))
  // @ts-expect-error unknown option
  await WriteAheadLog.open('x', { entries, synch: 'always' })
  // @ts-expect-error wrong value
  await WriteAheadLog.open('x', { sync: 'sometimes' })
  // @ts-expect-error wrong format
  await WriteAheadLog.open('x', { format: 3 })
  // @ts-expect-error no source of entries
  await WriteAheadLog.open('x', { entries: { put: entries.put } })
  // @ts-expect-error no logger
  await WriteAheadLog.open('x', { logger: console.log })
  await WriteAheadLog.open('x', { logger: console })
}

/** A log handed round: as a whole, and as what can be read of it. */
export class Store {
  readonly #log: LogOf<typeof entries>

  constructor(log: LogOf<typeof entries>) {
    this.#log = log
  }

  put(key: string): Promise<number> {
    return this.#log.append(entries.put({ key, value: 1 }))
  }

  get reader(): LogReader<E> {
    return this.#log
  }
}

export async function count<T>(reader: LogReader<T>): Promise<number> {
  let entries = 0
  for await (const _ of reader.entries()) entries++
  return entries
}

export async function anyLogIsAReader(log: LogOf<typeof entries>, raw: WriteAheadLog): Promise<void> {
  await count(log)
  await count(raw)
  const reader: LogReader<E> = log
  const wider: LogReader<Entry> = reader
  // @ts-expect-error the reading half has no append
  reader.append(entries.del('x'))
  // @ts-expect-error a log of entries is no raw log
  const notRaw: WriteAheadLog = log
  // @ts-expect-error and a raw log none of entries
  const notTyped: LogOf<typeof entries> = raw
  void [wider, notRaw, notTyped]
}

export async function rawLogs(): Promise<WriteAheadLog> {
  const raw = await WriteAheadLog.open('./raw', { sync: 'manual', syncDelay: 5 })
  await raw.append(new Uint8Array([1]))
  await raw.append(Buffer.from('x'))
  await raw.append({ type: 7, payload: new Uint8Array(2) })
  await raw.appendBatch([new Uint8Array(1), { type: 1, payload: new Uint8Array(1) }])
  for await (const { entry } of raw.entries({ copy: false })) {
    is<Equal<typeof entry, RawEntry>>()
    entry.payload.byteLength.toFixed()
  }
  // @ts-expect-error no payload
  await raw.append({ type: 7 })
  // @ts-expect-error a text is no payload
  await raw.append('text')
  return raw
}

class Put implements Entry {
  readonly type = 1
  key = ''
  encodePayload(buffer: Uint8Array): Uint8Array {
    return buffer.subarray(0, 0)
  }
  readPayload(reader: PayloadReader): Uint8Array {
    return reader.read(4)
  }
  decodePayload(_payload: Uint8Array): void {}
}

class Del implements Entry {
  readonly type = 2
  id = 0
  encodePayload(buffer: Uint8Array): Uint8Array {
    return buffer.subarray(0, 0)
  }
  decodePayload(_payload: Uint8Array): void {}
}

export async function entryClasses(): Promise<void> {
  const registry = new EntryRegistry(() => new Put(), () => new Del())
  const log = await WriteAheadLog.open('./classes', { entries: registry })
  await log.append(new Put())
  for await (const { entry } of log.entries()) {
    is<Equal<typeof entry, Put | Del>>()
    if (entry.type === 1) entry.key.toUpperCase()
    else entry.id.toFixed()
    if (entry instanceof Del) entry.id.toFixed()
  }
  // @ts-expect-error not an entry of this log
  await log.append({ type: 3, encodePayload: (buffer: Uint8Array) => buffer, decodePayload() {} })
  const any: EntryRegistry = registry
  const anyLog = await WriteAheadLog.open('./classes', { entries: any })
  await anyLog.append(new Put())
  is<Equal<Awaited<ReturnType<typeof anyLog.get>>, StoredEntry<Entry>>>()
  const reader = await SegmentReader.open('./1.wal', { entries: registry })
  const decoded: Put | Del = reader.decode()
  if (decoded.type === 2) decoded.id.toFixed()
}

export async function codecs(): Promise<void> {
  const awkward = defineEntries({ create: { type: 0, codec: bytes }, register: { type: 3, codec: utf8 } })
  const log = await WriteAheadLog.open('./x', { entries: awkward })
  await log.append(awkward.create(new Uint8Array(1)))
  // @ts-expect-error a text is no bytes
  await log.append(awkward.create('s'))

  const User = z.object({ id: z.string(), at: z.coerce.date(), age: z.number().default(0) })
  const users = defineEntries({ user: { type: 1, codec: validated(json(), User) } })
  const userLog = await WriteAheadLog.open('./u', { entries: users })
  await userLog.append(users.user({ id: 'a', at: '2026-01-01' }))
  for await (const { entry } of userLog.entries()) {
    entry.value.at.getTime().toFixed()
    entry.value.age.toFixed()
    // @ts-expect-error a date by now
    entry.value.at.toUpperCase()
  }

  class Packr {
    encode(value: any, _encodeOptions?: number): Uint8Array {
      return utf8.encode(String(value))
    }
    decode(messagePack: Uint8Array, _options?: { start?: number }): any {
      return messagePack
    }
  }
  const typed: Codec<{ id: number }> = new Packr()
  const packed = defineEntries({ any: { type: 1, codec: new Packr() }, typed: { type: 2, codec: typed } })
  const packedLog = await WriteAheadLog.open('./p', { entries: packed })
  for await (const { entry } of packedLog.entries()) {
    if (entry.name === 'any') is<Equal<typeof entry.value, any>>()
    else entry.value.id.toFixed()
  }
}

export function errors(error: unknown): WalErrorCode | undefined {
  is<Equal<(typeof errorCodes)[number], WalErrorCode>>()
  if (!(error instanceof WalError)) return undefined
  is<Equal<typeof error.path, string | undefined>>()
  is<Equal<typeof error.offset, number | undefined>>()
  // @ts-expect-error no such code
  if (error.code === 'ERR_WAL_NOPE') return undefined
  return error.code
}

/** Helpers take any log, and any reading half, and can append nothing to them. */
export async function ofAnyLog(): Promise<void> {
  const typed: AnyLog = await WriteAheadLog.open('./data', { entries })
  const raw: AnyLog = await WriteAheadLog.open('./data')
  const readers: LogReader<unknown>[] = [typed, raw, await WriteAheadLog.openReader('./data', { entries })]
  const first: StoredEntry<unknown> = await typed.get(1)
  // @ts-expect-error: which entries it takes is not known
  await raw.append(new Uint8Array(1))
  typed.failureSignal.addEventListener('abort', () => void readers)
  const synced: ChannelMessages['forelog:sync'] = { path: typed.path, durableOffset: 1, durationMs: 1 }
  const code = (message: ChannelMessages['forelog:fail']): WalErrorCode => message.error.code
  void [first, synced, code]
}
