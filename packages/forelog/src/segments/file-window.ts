/**
 * A piece of a file in memory that moves along with whoever reads: what was read once is not read again, and the memory
 * is that of the largest pieces asked for.
 *
 * Where a file is read in one direction, in the thread pool (brief-reads.ts says when it is), the piece behind the loaded one is read while that is worked on:
 *
 *                 ┌────────────┬──────────────┐
 *     buffer      │            │ loaded       │               worked on
 *                 └────────────┴──────────────┘
 *                              ┌────────────┬──────────────┐
 *     buffer ahead             │ room       │ being read   │  what is left of the loaded piece is moved into the room
 *                              └────────────┴──────────────┘
 */
import type { DurableFile } from '../files/durable-file.js'
import { step, type Steps } from '../steps.js'
import type { BriefReads } from './brief-reads.js'

export const defaultChunkBytes: number = 256 * 1024
/** Where groups are larger than a chunk, chunks grow up to this. What is larger still is not read ahead. */
const largestChunkBytes = 4 * 1024 * 1024
/** By so much: twice a group would be memory for nothing. */
const chunkStepBytes = 256 * 1024

/** What a window reads into. Whoever hands it on to another one looks at nothing any more that the first one had loaded. */
export type WindowMemory = readonly (Uint8Array | undefined)[]

interface Ahead {
  readonly position: number
  readonly buffer: Uint8Array
  /** Where in the buffer it is read to. */
  readonly at: number
  readonly read: Promise<number>
}

export class FileWindow {
  /** The same file may be opened anew between two loads. */
  file: DurableFile
  /** The file counts as ending here: what a writer adds behind is not looked at. */
  readonly fileBytes: number
  #chunkBytes: number
  #buffer: Uint8Array
  /** Where in the buffer the loaded piece begins. */
  #at = 0
  #start = 0
  #bytes = 0
  /** The buffer that was worked on before, for the next piece ahead. */
  #spare: Uint8Array | undefined
  #ahead: Ahead | undefined

  readonly #readsAhead: boolean
  readonly #brief: BriefReads | undefined

  /**
   * @param memory what pieces are loaded into, while that is large enough
   * @param readsAhead whether the next piece is read while one is worked on; not for who soon leaves off
   * @param brief where it is known by it that reads are quick, they are made on this thread, and none ahead
   */
  constructor(file: DurableFile, fileBytes: number, chunkBytes: number = defaultChunkBytes, memory: WindowMemory = [], readsAhead = true, brief?: BriefReads) {
    this.#readsAhead = readsAhead
    this.#brief = brief
    this.file = file
    this.fileBytes = fileBytes
    this.#chunkBytes = chunkBytes
    const [buffer = new Uint8Array(0), spare] = memory
    this.#buffer = buffer
    this.#spare = spare
  }

  /** Holds the loaded bytes. It is another one, or has other bytes, after a later `load`. */
  get bytes(): Uint8Array {
    return this.#buffer
  }

  /** For the next window, when nobody reads through this one any more. What is being read into is not among it. */
  get memory(): WindowMemory {
    return [this.#buffer, this.#spare]
  }

  /** Index in `bytes` of a position of the file that is loaded. */
  indexOf(position: number): number {
    return position - this.#start + this.#at
  }

  /** How many bytes from a position on are loaded. */
  available(position: number): number {
    return position < this.#start ? 0 : Math.max(0, this.#start + this.#bytes - position)
  }

  /** How many bytes the file has from a position on. */
  left(position: number): number {
    return Math.max(0, this.fileBytes - position)
  }

  /**
   * Loads at least `bytes` from `position` on, or all that the file has; how many there are then.
   *
   * @param most how much is read where something has to be, if that is enough: for who will go on far behind
   */
  *load(position: number, bytes: number, most: number = Infinity): Steps<number> {
    const wanted = Math.min(bytes, this.left(position))
    if (this.available(position) >= wanted) return this.available(position)
    if (wanted > this.#chunkBytes) this.#chunkBytes = Math.max(this.#chunkBytes, Math.min(largestChunkBytes, Math.ceil(wanted / chunkStepBytes) * chunkStepBytes))
    const goesOn = this.#bytes > 0 && position >= this.#start && position <= this.#start + this.#bytes
    const ahead = this.#ahead
    this.#ahead = undefined
    if (ahead !== undefined && goesOn && this.available(position) <= ahead.at) yield* this.#moveTo(ahead, position)
    if (this.available(position) < wanted) yield* this.#read(position, wanted, Math.min(most, this.#chunkBytes))
    if (this.#readsAhead && goesOn && wanted <= this.#chunkBytes && most > this.#chunkBytes && this.#brief?.isBrief(this.#chunkBytes) !== true) {
      yield* step(
        () => undefined,
        async () => this.#readAhead(),
      )
    }
    return this.available(position)
  }

  *#read(position: number, wanted: number, chunkBytes: number): Steps<void> {
    const kept = this.available(position)
    const bytes = Math.min(Math.max(wanted, kept + chunkBytes), this.left(position))
    const target = this.#roomFor(bytes, position, kept)
    this.#start = position
    this.#at = 0
    this.#bytes = kept
    const room = target.subarray(kept, bytes)
    this.#bytes += yield* this.#brief === undefined ? this.file.read(room, position + kept) : this.#brief.read(this.file, room, position + kept)
  }

  /** A buffer of at least `bytes`, with what is loaded from `position` on moved to its beginning. */
  #roomFor(bytes: number, position: number, kept: number): Uint8Array {
    const from = kept > 0 ? this.indexOf(position) : 0
    if (bytes <= this.#buffer.length) {
      this.#buffer.copyWithin(0, from, from + kept)
      return this.#buffer
    }
    const larger = new Uint8Array(bytes)
    larger.set(this.#buffer.subarray(from, from + kept))
    this.#buffer = larger
    return larger
  }

  /** Begins to read the piece behind the loaded one, where the file has one. */
  #readAhead(): void {
    const position = this.#start + this.#bytes
    const bytes = Math.min(this.#chunkBytes, this.left(position))
    if (bytes === 0) return
    const at = this.#chunkBytes
    const buffer = this.#spare !== undefined && this.#spare.length >= at + bytes ? this.#spare : new Uint8Array(at + bytes)
    this.#spare = undefined
    const room = buffer.subarray(at, at + bytes)
    const read = this.#brief === undefined ? this.file.beginRead(room, position) : this.#brief.begin(this.file, room, position)
    // What goes wrong is told to whoever comes for it, and to nobody where nobody comes.
    read.catch(() => {})
    this.#ahead = { position, buffer, at, read }
  }

  /** Takes over the piece that was read ahead, with what is loaded from `position` on in front of it. */
  *#moveTo(ahead: Ahead, position: number): Steps<void> {
    const bytes = yield* step<number | undefined>(
      () => undefined,
      () => ahead.read,
    )
    if (bytes === undefined) return
    const kept = this.available(position)
    const from = this.indexOf(position)
    ahead.buffer.set(this.#buffer.subarray(from, from + kept), ahead.at - kept)
    this.#spare = this.#buffer
    this.#buffer = ahead.buffer
    this.#at = ahead.at - kept
    this.#start = position
    this.#bytes = kept + bytes
  }
}
