/**
 * What an application stores: its own entry classes (this file), entries made from codecs (define-entries), or raw
 * bytes (raw-entries). The log sees all three through one adapter and knows nothing of the rest.
 */

import type { PayloadWindow } from './payload-window.js'

/** Hands out the payload of one entry, piece by piece, while the end of it is being found. */
export interface PayloadReader {
  /**
   * The next `length` bytes, valid until the next read. Where they are not there yet it throws, and `readPayload` is
   * called again from the start: keep no state, catch nothing.
   */
  read(length: number): Uint8Array
}

/**
 * An entry of one's own: its type, and how its payload is made, found and understood, as separate steps. The interface
 * of the Go library `fgrosse/wal`.
 */
export interface Entry {
  /** 0…254; 255 too in a log of format 1. It is stored, so it stays what it was. */
  readonly type: number
  /**
   * Encodes into `buffer` and returns the part that was used, or returns a larger array of its own. `buffer` holds
   * rubbish at first, and is not the entry's any more once this returns.
   */
  encodePayload(buffer: Uint8Array): Uint8Array
  /** Reads exactly the payload, to find where it ends, without decoding it. Only format 1 needs it. */
  readPayload?(reader: PayloadReader): Uint8Array
  /** Takes the entry's value from a whole payload, which may be kept unless the caller asked for views. */
  decodePayload(payload: Uint8Array): void
}

/** An entry of a log that was opened without `entries`. */
export interface RawEntry {
  readonly type: number
  readonly payload: Uint8Array
}

/** How the log sees the entries of any source. Internal. */
export interface EntryAdapter {
  /** The type of something that was given to `append`; throws a WalError where it is no entry of this source. */
  typeOf(entry: unknown): number
  /** The payload of an entry that has it already, as it is: no room is needed then. */
  payloadOf?(entry: unknown): Uint8Array
  /**
   * The payload of an entry that `typeOf` took: a part of `room` that begins where `room` begins, a part of what
   * `more(bytes)` gave (asked for at least `bytes`; `room` is gone then), or an array of the entry's own.
   */
  encode(entry: unknown, room: Uint8Array, more: (bytes: number) => Uint8Array): Uint8Array
  /**
   * An entry from its stored type and payload. `payload` is a view that will be used again: with `copy` whatever can
   * outlive this call is copied first. Throws ERR_WAL_ENTRY_TYPE_UNKNOWN, or ERR_WAL_DECODE with the cause.
   */
  decode(type: number, payload: Uint8Array, copy: boolean): unknown
  /** The same, of a payload that lies among others: no view is made that nobody needs. */
  decodeAmong(type: number, payloads: PayloadWindow, copy: boolean): unknown
  /** Whether decoding copies no bytes, with `copy` neither: what it makes lies in the heap. */
  readonly copiesNothing?: boolean
  /** The step that finds the end of a payload of this type (format 1); undefined: the type is unknown, or can't. */
  framing(type: number): ((reader: PayloadReader) => Uint8Array) | undefined
  /** Why a log of format 1 can't be opened with this source, or undefined when it can. */
  readonly unfitForFormat1: string | undefined
}
