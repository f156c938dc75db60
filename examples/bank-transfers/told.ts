/**
 * What a writer tells through its pipe: one line of JSON for each thing that happened, handed to the system before the writer
 * goes on, so that no kill can take it back.
 */
import type { Entry, RawEntry } from 'forelog'

export type Told =
  /** The log is open, and all of it was replayed. */
  | { readonly opened: Opened }
  /** The entries of one call of `append` or `appendBatch`, told before the call. */
  | { readonly appending: readonly string[] }
  /** The oldest call that is not acknowledged yet was, and these are its offsets. */
  | { readonly acknowledged: readonly [first: number, last: number] }

export interface Opened {
  readonly firstOffset: number
  readonly lastOffset: number
  readonly tornBytes: number
  /** The newest segment holds no entry: whoever died began it. */
  readonly emptySegment: boolean
  readonly entriesReplayed: number
  /** Sum of all accounts. */
  readonly sum: number
}

/** What a writer is asked to do. */
export interface Life {
  readonly directory: string
  readonly seed: number
  readonly maxSegmentBytes: number
}

const scratch = new Uint8Array(1024)

/** The type and the payload bytes of an entry as text, the same for whoever appended and for whoever reads. */
export function textOfEntry(entry: Entry): string {
  return textOfRaw({ type: entry.type, payload: entry.encodePayload(scratch) })
}

export function textOfRaw({ type, payload }: RawEntry): string {
  return `${type}:${Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('base64')}`
}
