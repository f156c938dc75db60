/**
 * Encodes entries into the body of the next group: payloads go straight into the buffer that is written from.
 *
 * Offsets and checksums are filled in when the group is written, all at once: that is several times as fast as one by one, and it
 * does not matter to anybody before (bench/micro/group.ts).
 */
import { recordKernel } from './kernel.js'
import { recordHeaderBytes } from './record.js'

const firstBufferBytes = 16 * 1024
/** Room that an entry is offered at least, so that small ones are encoded in one go. */
const leastRoomBytes = 1024
const firstLengths = 64
/** Up to this size a loop copies faster than a call does. */
const loopedCopyBytes = 32

export class GroupBuilder {
  #firstOffset: number
  /** Format 1: where in its segment it will stand. */
  readonly startsAt: number
  /** Payload bytes of each record, in the first `#count` places. */
  #lengths = new Uint32Array(firstLengths)
  #count = 0
  /** Body bytes from which on nothing more is added, so that a group stays of a size that can be held in memory. */
  readonly #limitBytes: number
  #buffer: Uint8Array
  #bytes = 0
  /** CRC of the headers; undefined: they are not filled in. */
  #headersCrc: number | undefined
  #markedBytes = 0
  #markedCount = 0

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
    return this.#count
  }

  /** Payload bytes of each record. */
  get lengths(): Uint32Array {
    return this.#lengths.subarray(0, this.#count)
  }

  /** Whether what comes next belongs into another group. */
  get full(): boolean {
    return this.#bytes >= this.#limitBytes
  }

  get headersCrc(): number {
    return this.#seal()
  }

  get nextOffset(): number {
    return this.#firstOffset + this.#count
  }

  get body(): Uint8Array {
    this.#seal()
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
    const at = this.#bytes + recordHeaderBytes
    const { length } = payload
    const end = at + length
    // What it is a part of is asked last: the engine makes an ArrayBuffer for a small array of bytes that is asked for its own.
    if (payload.byteOffset !== this.#buffer.byteOffset + at || payload.buffer !== this.#buffer.buffer) {
      if (end > this.#buffer.length) this.#grow(end)
      if (length > loopedCopyBytes) this.#buffer.set(payload, at)
      else for (let index = 0; index < length; index++) this.#buffer[at + index] = payload[index] as number
    }
    this.#buffer[this.#bytes + 4] = type
    if (this.#count === this.#lengths.length) this.#growLengths()
    this.#lengths[this.#count++] = length
    this.#bytes = end
    this.#headersCrc = undefined
  }

  /** Gives the records that are there other offsets: the log was cut behind while they waited. */
  moveTo(firstOffset: number): void {
    this.#firstOffset = firstOffset
    this.#headersCrc = undefined
  }

  /** Remembers where the builder stands. */
  mark(): void {
    this.#markedBytes = this.#bytes
    this.#markedCount = this.#count
  }

  /** Takes back what was added since `mark`: a batch that failed halfway. */
  rewind(): void {
    this.#bytes = this.#markedBytes
    this.#count = this.#markedCount
    this.#headersCrc = undefined
  }

  /** Fills in the headers, if that is not done; the CRC of them. */
  #seal(): number {
    this.#headersCrc ??= recordKernel().seal(this.#buffer, 0, this.#lengths, this.#count, this.#firstOffset)
    return this.#headersCrc
  }

  #growLengths(): void {
    const grown = new Uint32Array(this.#lengths.length * 2)
    grown.set(this.#lengths)
    this.#lengths = grown
  }

  #grow(bytes: number): void {
    const grown = new Uint8Array(Math.max(bytes, this.#buffer.length * 2))
    grown.set(this.#buffer.subarray(0, this.#bytes))
    this.#buffer = grown
  }
}

