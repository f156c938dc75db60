/**
 * Reads the pieces of a log's files where that takes least.
 *
 * A trip through the thread pool costs 25 to 50 µs of processor time, and waits for the processor where others use it, too; a piece of 256 KiB that the system
 * has in memory is read in as much. So pieces are read on this thread, and timed. Two reads close to each other that took long came
 * from the disk, and send the next ones to the pool, where the window reads ahead; as many as that time, and twice as many each time
 * that it is found so again. A single one that took long was as likely kept from the processor by another process.
 *
 * What is read on this thread gives the event loop no turn, so it is given one every millisecond.
 */
import { performance } from 'node:perf_hooks'
import type { DurableFile } from '../files/durable-file.js'
import { runBlocking, step, type Steps } from '../steps.js'

/** What is larger is read beside the work on what is in front of it: that saves more than the trip, and the caches of this thread are left alone. */
const mostInlineBytes = 512 * 1024
/** A read that took longer came from the disk, or waited for the processor. */
const longMs = 0.5
/** Two that close to each other waited for the disk. */
const nearby = 32
/** Reads in the pool after those, at first and at the most. */
const firstDetour = 64
const longestDetour = 4096
/** For so long this thread works on without a turn of the event loop. */
const turnMs = 1

export class BriefReads {
  readonly #clock: () => number
  /** Reads that are still to go to the pool. */
  #pooledLeft = 0
  #detour = firstDetour
  /** Reads on this thread since the last one that took long. */
  #sinceLong = Infinity
  #turnedMs = -Infinity

  /** @param clock in milliseconds */
  constructor(clock: () => number = () => performance.now()) {
    this.#clock = clock
  }

  /** Whether a read of so many bytes would be made on this thread; if not, it is worth to be begun ahead. */
  isBrief(bytes: number): boolean {
    return this.#pooledLeft === 0 && bytes <= mostInlineBytes
  }

  /** As the file's own `read`. */
  read(file: DurableFile, target: Uint8Array, position: number): Steps<number> {
    return step(
      () => runBlocking(file.read(target, position)),
      () => (this.isBrief(target.length) ? this.#inline(file, target, position) : this.begin(file, target, position)),
    )
  }

  /** Begins a read in the pool: see `DurableFile.beginRead`. */
  begin(file: DurableFile, target: Uint8Array, position: number): Promise<number> {
    if (this.#pooledLeft > 0) this.#pooledLeft--
    return file.beginRead(target, position)
  }

  async #inline(file: DurableFile, target: Uint8Array, position: number): Promise<number> {
    if (this.#clock() - this.#turnedMs > turnMs) {
      await new Promise<void>((resolve) => setImmediate(resolve))
      this.#turnedMs = this.#clock()
    }
    const beganMs = this.#clock()
    const bytes = runBlocking(file.read(target, position))
    this.#note(this.#clock() - beganMs > longMs)
    return bytes
  }

  #note(isLong: boolean): void {
    if (!isLong) {
      if (++this.#sinceLong === longestDetour) this.#detour = firstDetour
      return
    }
    if (this.#sinceLong <= nearby) {
      this.#pooledLeft = this.#detour
      this.#detour = Math.min(longestDetour, this.#detour * 2)
    }
    this.#sinceLong = 0
  }
}
