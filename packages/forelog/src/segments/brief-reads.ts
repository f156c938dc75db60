/**
 * Reads the pieces of a log's files where that takes least.
 *
 * A trip through the thread pool costs 25 to 50 µs of processor time, and waits for the processor where others use it, too; a piece of 256 KiB that the system
 * has in memory is read in as much. So pieces are read on this thread, and timed. Where they come from the disk the next ones go to the pool
 * (`PoolDetour`), where the window reads ahead.
 *
 * What is read on this thread gives the event loop no turn, so it is given one every millisecond.
 */
import { performance } from 'node:perf_hooks'
import type { DurableFile } from '../files/durable-file.js'
import { PoolDetour, runBlocking, step, type Steps } from '../steps.js'

/** What is larger is read beside the work on what is in front of it: that saves more than the trip, and the caches of this thread are left alone. */
const mostInlineBytes = 512 * 1024
/** A read that took longer came from the disk, or waited for the processor. */
const longMs = 0.5
/** For so long this thread works on without a turn of the event loop. */
const turnMs = 1

export class BriefReads {
  readonly #clock: () => number
  readonly #detour = new PoolDetour()
  #turnedMs = -Infinity

  /** @param clock in milliseconds */
  constructor(clock: () => number = () => performance.now()) {
    this.#clock = clock
  }

  /** Whether a read of so many bytes would be made on this thread; if not, it is worth to be begun ahead. */
  isBrief(bytes: number): boolean {
    return this.#detour.left === 0 && bytes <= mostInlineBytes
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
    this.#detour.passed(1)
    return file.beginRead(target, position)
  }

  async #inline(file: DurableFile, target: Uint8Array, position: number): Promise<number> {
    if (this.#clock() - this.#turnedMs > turnMs) {
      await new Promise<void>((resolve) => setImmediate(resolve))
      this.#turnedMs = this.#clock()
    }
    const beganMs = this.#clock()
    const bytes = runBlocking(file.read(target, position))
    this.#detour.note(this.#clock() - beganMs > longMs)
    return bytes
  }
}
