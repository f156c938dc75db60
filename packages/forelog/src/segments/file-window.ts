/**
 * A piece of a file in memory that moves along with whoever reads: what was read once is not read again, and the memory
 * is that of the largest piece asked for.
 */
import type { DurableFile } from '../files/durable-file.js'
import type { Steps } from '../steps.js'

export const defaultChunkBytes: number = 256 * 1024

export class FileWindow {
  /** The same file may be opened anew between two loads. */
  file: DurableFile
  /** The file counts as ending here: what a writer adds behind is not looked at. */
  readonly fileBytes: number
  readonly #chunkBytes: number
  #buffer: Uint8Array
  #start = 0
  #bytes = 0

  constructor(file: DurableFile, fileBytes: number, chunkBytes: number = defaultChunkBytes) {
    this.file = file
    this.fileBytes = fileBytes
    this.#chunkBytes = chunkBytes
    this.#buffer = new Uint8Array(0)
  }

  /** Holds the loaded bytes; a later `load` uses it again. */
  get bytes(): Uint8Array {
    return this.#buffer
  }

  /** Index in `bytes` of a position of the file that is loaded. */
  indexOf(position: number): number {
    return position - this.#start
  }

  /** How many bytes from a position on are loaded. */
  available(position: number): number {
    return position < this.#start ? 0 : Math.max(0, this.#start + this.#bytes - position)
  }

  /** How many bytes the file has from a position on. */
  left(position: number): number {
    return Math.max(0, this.fileBytes - position)
  }

  /** Loads at least `bytes` from `position` on, or all that the file has; how many there are then. */
  *load(position: number, bytes: number): Steps<number> {
    const wanted = Math.min(bytes, this.left(position))
    if (this.available(position) >= wanted) return this.available(position)
    const kept = this.available(position)
    const target = this.#roomFor(Math.min(Math.max(wanted, this.#chunkBytes), this.left(position)), position, kept)
    this.#start = position
    this.#bytes = kept
    this.#bytes += yield* this.file.read(target.subarray(kept, Math.min(target.length, this.left(position))), position + kept)
    return this.#bytes
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
}
