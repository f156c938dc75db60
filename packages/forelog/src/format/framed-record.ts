/**
 * Records of format 1, where only the entry type knows where a payload ends: its own `readPayload` finds out.
 */
import { readU32, recordHeaderBytes } from './record.js'

/** Reads one payload of a type, to find its end. What it returns does not matter, only how far it reads. */
export type Framing = (reader: { read(length: number): Uint8Array }) => unknown

/** The step that frames payloads of a type; undefined: the type is unknown. */
export type FramingOf = (type: number) => Framing | undefined

export interface FramedRecord {
  readonly lowOffset: number
  readonly type: number
  readonly crc: number
  /** Bytes of the payload. */
  readonly length: number
}

export type FramedResult =
  | { readonly found: 'record'; readonly record: FramedRecord }
  /** So many bytes, from the record's first one on, must be there to go on; the file has them. */
  | { readonly found: 'more'; readonly bytes: number }
  | { readonly found: 'nothing'; readonly why: string }

/** Thrown through an entry's `readPayload` when it asks for what is not there; no error of anybody's. */
const notThere = new Error('the bytes are not there yet: let this pass, readPayload is called again')

/** The record at `at`, framed, its CRC not yet checked. `available` bytes are in `bytes` from there on, `left` the file has. */
export function frameRecord(bytes: Uint8Array, at: number, available: number, left: number, framingOf: FramingOf): FramedResult {
  if (left < recordHeaderBytes) return { found: 'nothing', why: "the file ends within a record's header" }
  if (available < recordHeaderBytes) return { found: 'more', bytes: recordHeaderBytes }
  const type = bytes[at + 4] as number
  const framing = framingOf(type)
  if (framing === undefined) return { found: 'nothing', why: `entry type ${type} is not known` }

  const payload = at + recordHeaderBytes
  let length = 0
  let missing = 0
  let impossible: string | undefined
  const reader = {
    read(wanted: number): Uint8Array {
      if (!Number.isInteger(wanted) || wanted < 0) {
        impossible ??= `readPayload of entry type ${type} asked for ${String(wanted)} bytes`
        throw notThere
      }
      if (recordHeaderBytes + length + wanted > available) {
        missing = Math.max(missing, recordHeaderBytes + length + wanted)
        throw notThere
      }
      length += wanted
      return bytes.subarray(payload + length - wanted, payload + length)
    },
  }
  try {
    framing(reader)
  } catch (error) {
    // Told by the flags and not by what was thrown: an entry that catches or wraps it is told apart all the same.
    if (missing === 0 && impossible === undefined) {
      return { found: 'nothing', why: `readPayload of entry type ${type} failed: ${error instanceof Error ? error.message : String(error)}` }
    }
  }
  if (impossible !== undefined) return { found: 'nothing', why: impossible }
  if (missing > left) return { found: 'nothing', why: 'a record runs beyond the end of the file' }
  if (missing > 0) return { found: 'more', bytes: missing }
  return {
    found: 'record',
    record: { lowOffset: readU32(bytes, at), type, crc: readU32(bytes, at + 5), length },
  }
}
