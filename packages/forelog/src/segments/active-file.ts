/**
 * The file of the newest segment, as it is written: it is filled with zeros ahead of the writes, and what lies within the filled
 * part can be written and synced in one call.
 *
 *     ├─── records ───┤├──── zeros, synced ────┤├── zeros ──┤
 *     0            position                 filled      fillEnd
 *
 * A write to a descriptor with O_DSYNC is back once its bytes are on stable storage. Where they lie in a part of the file that is
 * there already, nothing of the file's size or extents has to be journaled with them: it is the cheapest honest sync there is.
 */
import { isNoSpace } from '../errors.js'
import { DurableFile } from '../files/durable-file.js'
import type { FileSystem } from '../files/file-system.js'
import { runPooled, step, type Steps } from '../steps.js'

const zeros = new Uint8Array(64 * 1024)
/** Pieces of the fill: small at first, so that a log of three entries stays small. */
const firstFillBytes = zeros.length
const largestFillBytes = 512 * 1024
/** So many more groups should fit into what is filled, at least: the sync of the zeros takes as long as some of them. */
const groupsAhead = 3

export class ActiveFile {
  readonly #fileSystem: FileSystem
  readonly file: DurableFile
  /** The same file, opened to write through; undefined: not opened yet, or it can't be. */
  #through: DurableFile | undefined
  /** The same file once more, for the zeros: an error of their sync is told to this descriptor, and to the others as well. */
  #filler: DurableFile | undefined
  /** Up to here the file is there, and on stable storage. */
  #filled: number
  /** Up to here zeros were written. */
  #fillEnd: number
  #fillBytes: number
  /** The sync of the newest piece, while it is under way. */
  #filling: Promise<void> | undefined
  /** Filling, or opening to write through, failed: on without. */
  #plain = false
  /** Syncs that are under way; `appendSync` may roll while one of them is in the thread pool. */
  #syncs = 0
  #onSynced: (() => void)[] = []
  #closing: Promise<void> | undefined

  /**
   * @param filled bytes that the file has on stable storage, zeros included
   * @param fillBytes size of the first piece of the fill: that of the segment before
   */
  constructor(fileSystem: FileSystem, file: DurableFile, filled: number, fillBytes: number = firstFillBytes) {
    this.#fileSystem = fileSystem
    this.file = file
    this.#filled = filled
    this.#fillEnd = filled
    this.#fillBytes = fillBytes
  }

  /** Size of the next piece of the fill. */
  get fillBytes(): number {
    return this.#fillBytes
  }

  get path(): string {
    return this.file.path
  }

  /** Whether what ends at `to` can be written through. */
  isFilled(to: number): boolean {
    return this.#through !== undefined && to <= this.#filled
  }

  /** Writes; on stable storage after the next `dataSync`. */
  write(pieces: readonly Uint8Array[], position: number): Steps<void> {
    return this.file.write(pieces, position)
  }

  /** Writes what `isFilled` said yes to: on stable storage once it is back. Any lack of space is a failed sync (rule 7). */
  writeThrough(pieces: readonly Uint8Array[], position: number): Steps<void> {
    return (this.#through as DurableFile).write(pieces, position)
  }

  *dataSync(): Steps<void> {
    this.#syncs++
    try {
      yield* this.file.dataSync()
    } finally {
      this.#syncs--
      if (this.#syncs === 0) for (const resolve of this.#onSynced.splice(0)) resolve()
    }
  }

  /** Cuts the file off behind its records, zeros and all, and syncs that. */
  *cut(bytes: number): Steps<void> {
    // A sync of zeros that is still under way may end later: what it covered is gone.
    this.#filled = Math.min(this.#filled, bytes)
    this.#fillEnd = this.#filled
    yield* this.file.truncate(bytes)
    yield* this.file.sync()
  }

  /** Whether writes of groups like the last one, of so many bytes, are soon to come to the end of what is filled. */
  wantsFill(position: number, limit: number, groupBytes: number): boolean {
    if (this.#plain || this.#filling !== undefined) return false
    const from = Math.max(position, this.#fillEnd)
    return from < limit && from - position < Math.max(this.#fillBytes / 2, groupsAhead * groupBytes)
  }

  /** Whether a part is filled that can't be written through yet. */
  wantsOpening(position: number): boolean {
    return !this.#plain && this.#through === undefined && this.#filled > position
  }

  *openThrough(): Steps<void> {
    try {
      this.#through = yield* DurableFile.open(this.#fileSystem, this.path, { access: 'write', writeThrough: true })
    } catch {
      this.#plain = true
    }
  }

  /**
   * Fills the next piece up to `limit` at the most. Called where groups are written, between two of them: so no zeros go where a
   * group was handed out. Their sync goes on in the thread pool while others are written; only its end makes the piece usable.
   */
  *fill(position: number, limit: number): Steps<void> {
    const from = Math.max(position, this.#fillEnd)
    const to = Math.min(limit, from + this.#fillBytes)
    this.#fillBytes = Math.min(this.#fillBytes * 2, largestFillBytes)
    try {
      this.#filler ??= yield* DurableFile.open(this.#fileSystem, this.path, { access: 'write' })
      yield* this.#filler.write(zerosOf(to - from), from)
    } catch (error) {
      this.#plain = true
      // The space is wanted for entries. What can't be cut off here is zeros, which opening cuts off.
      if (isNoSpace(error)) yield* this.file.truncate(Math.max(position, this.#filled))
      return
    }
    this.#fillEnd = to
    const filler = this.#filler
    this.#filling = runPooled(filler.dataSync())
      .then(
        () => {
          if (this.#fillEnd === to) this.#filled = to
        },
        // The other descriptors are told of it by their own next sync, which ends the log: here it only means no more zeros.
        () => {
          this.#plain = true
        },
      )
      .finally(() => {
        this.#filling = undefined
      })
  }

  /** Closes all descriptors; one with a sync under way once that is back: its number must not go to another file before. */
  *close(): Steps<void> {
    const { filler, filling } = { filler: this.#filler, filling: this.#filling }
    this.#plain = true
    if (filler !== undefined) {
      const closeFiller = (): Promise<void> => runPooled(filler.close()).catch(() => {})
      yield* step<void>(
        () => void (filling ?? Promise.resolve()).then(closeFiller),
        () => (filling ?? Promise.resolve()).then(closeFiller),
      )
    }
    const through = this.#through
    this.#through = undefined
    try {
      if (through !== undefined) yield* through.close()
    } finally {
      if (this.#syncs === 0) yield* this.file.close()
      else this.#closing = this.#synced().then(() => runPooled(this.file.close()).catch(() => {}))
    }
  }

  #synced(): Promise<void> {
    return this.#syncs === 0 ? Promise.resolve() : new Promise((resolve) => this.#onSynced.push(resolve))
  }

  /** Resolves when nothing of the file is under way in the thread pool. */
  async whenIdle(): Promise<void> {
    await this.#filling
    await this.#synced()
    await this.#closing
  }
}

export function zerosOf(bytes: number): Uint8Array[] {
  const pieces: Uint8Array[] = []
  for (let left = bytes; left > 0; left -= zeros.length) pieces.push(left < zeros.length ? zeros.subarray(0, left) : zeros)
  return pieces
}
