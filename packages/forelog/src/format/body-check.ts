/**
 * Verifies the body of a group in pieces, as a file is read from front to back: nobody has to hold all of a large one to know that it is whole.
 * What it finds whole is what `readGroup` finds whole. Where it finds something else it says nothing of it.
 */
import { crc32 } from './checksum.js'
import type { Commit } from './control-record.js'
import { recordKernel } from './kernel.js'
import { controlType, lowHalf, readU32, recordHeaderBytes } from './record.js'

export class BodyCheck {
  readonly #commit: Commit
  /** The record that comes next, and the CRC of the headers in front of it. */
  #index = 0
  #headersCrc = 0
  /** Of a payload that is there in part: the bytes that are still to come, the CRC of those that were there, and what it has to be. */
  #payloadLeft = 0
  #payloadCrc = 0
  #wantedCrc = 0

  constructor(commit: Commit) {
    this.#commit = commit
  }

  /** The body ends here, and every byte of it holds. */
  get holds(): boolean {
    const { lengths, headersCrc } = this.#commit
    return this.#payloadLeft === 0 && this.#index === lengths.length && this.#headersCrc === headersCrc
  }

  /**
   * Goes over the next bytes of the body, which stand in `bytes` from `at` to `end`: how many it took. It leaves less than a record's header, which
   * has to be there again, whole, in front of what follows. Undefined: they are not what they must be.
   */
  take(bytes: Uint8Array, at: number, end: number): number | undefined {
    let position = at
    while (position < end) {
      const taken = this.#payloadLeft > 0 ? this.#goOn(bytes, position, end) : (this.#takeWhole(bytes, position, end) ?? this.#begin(bytes, position, end))
      if (taken === undefined) return undefined
      if (taken === 0) break
      position += taken
    }
    return position - at
  }

  /** All records that are there whole; undefined: the next one is not, or one of them does not hold. */
  #takeWhole(bytes: Uint8Array, at: number, end: number): number | undefined {
    const { lengths, firstOffset } = this.#commit
    let behind = this.#index
    let position = at
    while (behind < lengths.length) {
      const next = position + recordHeaderBytes + (lengths[behind] as number)
      if (next > end) break
      position = next
      behind++
    }
    const count = behind - this.#index
    if (count === 0) return undefined
    const run = Array.isArray(lengths) ? lengths.slice(this.#index, behind) : (lengths as Uint32Array).subarray(this.#index, behind)
    const verified = recordKernel().verify(bytes, at, run, count, firstOffset + this.#index, this.#headersCrc)
    if (verified === undefined) return undefined
    this.#headersCrc = verified.headersCrc
    this.#index = behind
    return position - at
  }

  /** A record that is there in part: its header, once that is whole. */
  #begin(bytes: Uint8Array, at: number, end: number): number | undefined {
    const { lengths, firstOffset } = this.#commit
    if (this.#index === lengths.length) return undefined
    const payload = at + recordHeaderBytes
    if (payload > end) return 0
    const length = lengths[this.#index] as number
    // It is whole, and does not hold.
    if (payload + length <= end) return undefined
    if (readU32(bytes, at) !== lowHalf(firstOffset + this.#index) || bytes[at + 4] === controlType) return undefined
    this.#headersCrc = crc32(bytes, at, payload, this.#headersCrc)
    this.#wantedCrc = readU32(bytes, at + 5)
    this.#payloadCrc = 0
    this.#payloadLeft = length
    this.#index++
    return recordHeaderBytes
  }

  #goOn(bytes: Uint8Array, at: number, end: number): number | undefined {
    const taken = Math.min(this.#payloadLeft, end - at)
    this.#payloadCrc = crc32(bytes, at, at + taken, this.#payloadCrc)
    this.#payloadLeft -= taken
    return this.#payloadLeft === 0 && this.#payloadCrc !== this.#wantedCrc ? undefined : taken
  }
}
