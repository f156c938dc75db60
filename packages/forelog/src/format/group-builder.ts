/**
 * Encodes entries into the body of the next group: payloads go straight into the buffer that is written from.
 */
import { crc32 } from './checksum.js'
import { lowHalf, recordHeaderBytes, writeRecordHeader, writeU32 } from './record.js'

const firstBufferBytes = 16 * 1024
/** Room that an entry is offered at least, so that small ones are encoded in one go. */
const leastRoomBytes = 1024

export class GroupBuilder {
  #firstOffset: number
  /** Format 1: where in its segment it will stand. */
  readonly startsAt: number
  readonly lengths: number[] = []
  /** Body bytes from which on nothing more is added, so that a group stays of a size that can be held in memory. */
  readonly #limitBytes: number
  #buffer: Uint8Array
  #bytes = 0
  #headersCrc = 0
  #markedBytes = 0
  #markedCount = 0
  #markedCrc = 0

  constructor(firstOffset: number, limitBytes: number, startsAt = 0, buffer?: Uint8Array) {
    this.#firstOffset = firstOffset
    this.startsAt = startsAt
    this.#limitBytes = limitBytes
    this.#buffer = buffer ?? new Uint8Array(firstBufferBytes)
  }

  get firstOffset(): number {
    return this.#firstOffset
  }

  /** Bytes of the body so far. */
  get bytes(): number {
    return this.#bytes
  }

  get count(): number {
    return this.lengths.length
  }

  /** Whether what comes next belongs into another group. */
  get full(): boolean {
    return this.#bytes >= this.#limitBytes
  }

  get headersCrc(): number {
    return this.#headersCrc
  }

  get nextOffset(): number {
    return this.#firstOffset + this.lengths.length
  }

  get body(): Uint8Array {
    return this.#buffer.subarray(0, this.#bytes)
  }

  /** Takes the builder's buffer away, to be used for a later group: this one is written. */
  releaseBuffer(): Uint8Array {
    const buffer = this.#buffer
    this.#buffer = new Uint8Array(0)
    this.#bytes = 0
    return buffer
  }

  /** Where the next payload goes; at least `bytes` of room, all that there is without growing. */
  room(bytes: number = leastRoomBytes): Uint8Array {
    const at = this.#bytes + recordHeaderBytes
    if (at + bytes > this.#buffer.length) this.#grow(at + bytes)
    return this.#buffer.subarray(at)
  }

  /**
   * Adds a record. `payload` may be the beginning of what `room` gave last: then it is there already. Anything else is
   * copied, so that its owner may change it as soon as this returns.
   */
  add(type: number, payload: Uint8Array): void {
    const header = this.#bytes
    const at = header + recordHeaderBytes
    const end = at + payload.length
    if (payload.buffer !== this.#buffer.buffer || payload.byteOffset !== this.#buffer.byteOffset + at) {
      if (end > this.#buffer.length) this.#grow(end)
      this.#buffer.set(payload, at)
    }
    writeRecordHeader(this.#buffer, header, this.nextOffset, type, crc32(this.#buffer, at, end))
    this.#headersCrc = crc32(this.#buffer, header, at, this.#headersCrc)
    this.lengths.push(payload.length)
    this.#bytes = end
  }

  /** Gives the records that are there other offsets: the log was cut behind while they waited. */
  moveTo(firstOffset: number): void {
    this.#firstOffset = firstOffset
    this.#headersCrc = 0
    let at = 0
    for (const [index, length] of this.lengths.entries()) {
      writeU32(this.#buffer, at, lowHalf(firstOffset + index))
      this.#headersCrc = crc32(this.#buffer, at, at + recordHeaderBytes, this.#headersCrc)
      at += recordHeaderBytes + length
    }
  }

  /** Remembers where the builder stands. */
  mark(): void {
    this.#markedBytes = this.#bytes
    this.#markedCount = this.lengths.length
    this.#markedCrc = this.#headersCrc
  }

  /** Takes back what was added since `mark`: a batch that failed halfway. */
  rewind(): void {
    this.#bytes = this.#markedBytes
    this.lengths.length = this.#markedCount
    this.#headersCrc = this.#markedCrc
  }

  #grow(bytes: number): void {
    const grown = new Uint8Array(Math.max(bytes, this.#buffer.length * 2))
    grown.set(this.#buffer.subarray(0, this.#bytes))
    this.#buffer = grown
  }
}

