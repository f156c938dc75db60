/**
 * Encodes what callers append into the group that is written next, and refuses what a log can't hold.
 */
import type { EntryAdapter } from '../entries/entry.js'
import { WalError } from '../errors.js'
import { frameRecord } from '../format/framed-record.js'
import type { GroupBuilder } from '../format/group-builder.js'
import { controlType, type Format, lastOffsetOfFormat1, lastOffsetOfFormat2, recordHeaderBytes } from '../format/record.js'

/** A commit counts its body in 32 bits, and a reader holds it in memory. */
const largestGroupBytes = 1024 * 1024 * 1024

export class EntryEncoder {
  readonly #adapter: EntryAdapter
  readonly #format: Format
  readonly #maxEntryBytes: number

  constructor(adapter: EntryAdapter, format: Format, maxEntryBytes: number) {
    this.#adapter = adapter
    this.#format = format
    this.#maxEntryBytes = maxEntryBytes
  }

  /** Adds an entry to a group, copied: the caller may change it as soon as this returns. */
  add(group: GroupBuilder, entry: unknown): void {
    const type = this.#adapter.typeOf(entry)
    if (type === controlType && this.#format === 2) {
      throw new WalError('ERR_WAL_ENTRY_TYPE_RESERVED', `entry type ${type} is that of the log's own records: use one of 0 to 254`, { type })
    }
    const lastOffset = this.#format === 1 ? lastOffsetOfFormat1 : lastOffsetOfFormat2
    if (group.nextOffset > lastOffset) {
      throw new WalError('ERR_WAL_OFFSET_EXHAUSTED', `the last offset of format ${this.#format}, ${lastOffset}, is used: go on in a new log`, { offset: lastOffset })
    }
    const payload = this.#adapter.payloadOf?.(entry) ?? this.#encode(group, type, entry)
    this.#assertSize(payload.length, type)
    if (this.#format === 1) this.#assertFramed(payload, type)
    if (group.bytes + payload.length > largestGroupBytes) {
      throw new WalError('ERR_WAL_ENTRY_TOO_LARGE', `a batch may have ${largestGroupBytes} bytes at the most: divide it`, { bytes: group.bytes + payload.length })
    }
    group.add(type, payload)
  }

  #encode(group: GroupBuilder, type: number, entry: unknown): Uint8Array {
    return this.#adapter.encode(entry, group.room(), (bytes) => {
      this.#assertSize(bytes, type)
      return group.room(bytes)
    })
  }

  #assertSize(bytes: number, type: number): void {
    if (bytes <= this.#maxEntryBytes) return
    throw new WalError('ERR_WAL_ENTRY_TOO_LARGE', `an entry of type ${type} has ${bytes} bytes, and maxEntrySize is ${this.#maxEntryBytes}`, { bytes, type })
  }

  /** In format 1 an entry whose `readPayload` does not end where its payload does would make all behind it unreadable. */
  #assertFramed(payload: Uint8Array, type: number): void {
    const record = new Uint8Array(recordHeaderBytes + payload.length)
    record[4] = type
    record.set(payload, recordHeaderBytes)
    const framed = frameRecord(record, 0, record.length, record.length, (known) => this.#adapter.framing(known))
    if (framed.found === 'record' && framed.record.length === payload.length) return
    const found = framed.found === 'record' ? `ends it after ${framed.record.length} bytes` : 'finds no end in it'
    throw new WalError(
      'ERR_WAL_ENCODE',
      `encodePayload of entry type ${type} gave ${payload.length} bytes, and its readPayload ${found}: return the part that was used, and read all of it`,
      { type, bytes: payload.length },
    )
  }
}
