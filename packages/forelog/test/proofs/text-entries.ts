/** Entries of any bytes for format 1, whose records say nothing of their length: two types of the same shape. */
import { type Entry, EntryRegistry, type PayloadReader } from '../../src/index.js'

class TextEntry implements Entry {
  readonly type: number
  payload: Uint8Array

  constructor(type: number, payload: Uint8Array = new Uint8Array(0)) {
    this.type = type
    this.payload = payload
  }

  encodePayload(): Uint8Array {
    return Buffer.concat([Uint8Array.of(this.payload.length >> 8, this.payload.length & 0xff), this.payload])
  }

  readPayload(reader: PayloadReader): Uint8Array {
    const [high = 0, low = 0] = reader.read(2)
    return reader.read(high * 256 + low)
  }

  decodePayload(encoded: Uint8Array): void {
    this.payload = encoded.slice(2)
  }
}

export type { TextEntry }

/** @param type 0 or 1 */
export function textEntry(payload: Uint8Array | string, type = 0): TextEntry {
  return new TextEntry(type, typeof payload === 'string' ? Buffer.from(payload, 'latin1') : payload)
}

export const textEntries: EntryRegistry<[TextEntry, TextEntry]> = new EntryRegistry(
  () => new TextEntry(0),
  () => new TextEntry(1),
)
