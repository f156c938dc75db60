/**
 * Reads single entries: `get`.
 *
 * A trip through the thread pool costs more than reading some KiB that the system has in memory. So where the index says that little
 * is to be read, it is read on this thread, and timed: after one read that took long, which then came from the disk, the next ones
 * go to the pool. The event loop is held up by one read of the disk at the most, every so many.
 */
import { performance } from 'node:perf_hooks'
import { runBlocking, runPooled, type Steps } from '../steps.js'
import { EntryReader, type ReadableLog, type StoredEntry } from './entry-reader.js'

/** Bytes that may have to be read to find an entry on this thread. */
const inlineBytes = 256 * 1024
/** A read that took longer came from the disk. */
const longMs = 0.5
/** Reads in the pool after one that took long. */
const pooledReads = 64
const pooledMemoryBytes = 32 * 1024
export class PointReads<E> {
  readonly #log: ReadableLog
  /** Reads on this thread share it: they can't overlap. */
  #memory: Uint8Array | undefined
  #pooledLeft = 0

  constructor(log: ReadableLog) {
    this.#log = log
  }

  /** The entry with an offset, which is in the log. */
  read(offset: number): Promise<StoredEntry<E>> {
    if (!this.#isNear(offset)) return runPooled(this.#steps(offset, undefined))
    if (this.#pooledLeft > 0) {
      this.#pooledLeft--
      return runPooled(this.#steps(offset, new Uint8Array(pooledMemoryBytes)))
    }
    this.#memory ??= new Uint8Array(inlineBytes)
    const begin = performance.now()
    try {
      return Promise.resolve(runBlocking(this.#steps(offset, this.#memory)))
    } catch (error) {
      return Promise.reject(error)
    } finally {
      if (performance.now() - begin > longMs) this.#pooledLeft = pooledReads
    }
  }

  *#steps(offset: number, memory: Uint8Array | undefined): Steps<StoredEntry<E>> {
    const { cutCount } = this.#log.segments
    const reader = new EntryReader<E>(this.#log, { from: offset, to: offset, copy: true, cutCount, ...(memory === undefined ? {} : { memory }) })
    const batch = yield* reader.nextBatch()
    return batch?.[0] as StoredEntry<E>
  }

  #isNear(offset: number): boolean {
    const { segments } = this.#log
    const segment = segments.live[segments.indexOf(offset)]
    return segment !== undefined && segment.index.distanceAt(offset, segment.bytes) <= inlineBytes
  }
}
