/**
 * The source of a log that was opened without `entries`: types and payloads, as they are stored.
 */
import { types } from 'node:util'
import { WalError } from '../errors.js'
import { kindOf, ownBytes, plainView } from './codecs.js'
import type { DefinedSource } from './define-entries.js'
import type { EntryAdapter, RawEntry } from './entry.js'
import { PlainRawEntry } from './plain-objects.js'

/** What a log without `entries` has: `append` takes a {@link RawEntry}, or bytes alone (type 0); reading gives a {@link RawEntry}. */
export interface RawSource extends DefinedSource<RawEntry | Uint8Array, RawEntry> {}

/** Raw entries, as the log sees them. */
export const rawAdapter: EntryAdapter = {
  typeOf(entry) {
    if (types.isUint8Array(entry)) return 0
    if (typeof entry !== 'object' || entry === null) throw notRaw(`not ${kindOf(entry)}`)
    const { type, payload } = entry as Partial<RawEntry>
    if (!types.isUint8Array(payload)) throw notRaw(`and this payload is ${kindOf(payload)}`)
    if (type === 255) throw new WalError('ERR_WAL_ENTRY_TYPE_RESERVED', 'the log needs entry type 255 for itself: take one from 0 to 254', { type })
    if (typeof type !== 'number' || !Number.isInteger(type) || type < 0 || type > 254) {
      throw notRaw(`whose type is an integer from 0 to 254, and this type is ${kindOf(type)}`)
    }
    return type
  },

  payloadOf,
  encode: payloadOf,

  decode(type, payload, copy): RawEntry {
    return new PlainRawEntry(type, copy ? ownBytes(payload) : plainView(payload))
  },

  decodeAmong(type, payloads, copy): RawEntry {
    return new PlainRawEntry(type, copy ? payloads.ownBytes : payloads.bytes)
  },

  framing: () => undefined,

  unfitForFormat1: 'a log of format 1 needs entries that know where their payloads end: open it with an EntryRegistry of classes that have readPayload',
}

function payloadOf(entry: unknown): Uint8Array {
  const payload: unknown = types.isUint8Array(entry) ? entry : (entry as RawEntry).payload
  if (!types.isUint8Array(payload)) throw notRaw(`and this payload is ${kindOf(payload)}`)
  return payload
}

function notRaw(but: string): WalError {
  const message = `a log that was opened without entries takes a Uint8Array or { type, payload: Uint8Array }, ${but}`
  return new WalError('ERR_WAL_ENCODE', message)
}
