/**
 * Reads single entries: `get`.
 *
 * A trip through the thread pool costs more than reading some KiB that the system has in memory. So where the index says that little
 * is to be read, it is read on this thread, and timed: after one read that took long, which then came from the disk, the next ones
 * go to the pool. The event loop is held up by one read of the disk at the most, every so many.
 *
 * Of a large group that was verified as a whole once, a block is enough (format/group-block.ts). Where that is not what it was, the
 * way from the group's beginning tells what is wrong, or finds it mended.
 */
import { performance } from 'node:perf_hooks'
import { PayloadWindow } from '../entries/payload-window.js'
import { findInBlock, type GroupBlock } from '../format/group-block.js'
import type { WindowMemory } from '../segments/file-window.js'
import type { Segment } from '../segments/segment-set.js'
import { runBlocking, runPooled, type Steps } from '../steps.js'
import { EntryReader, type ReadableLog, type StoredEntry, withPlace } from './entry-reader.js'

/** Bytes that may have to be read to find an entry on this thread. */
const inlineBytes = 256 * 1024
/** A read that took longer came from the disk. */
const longMs = 0.5
/** Reads in the pool after one that took long. */
const pooledReads = 64
/** Bytes of a read where nothing is known of the place. */
const coldChunkBytes = 256 * 1024

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
    const { segments } = this.#log
    const segment = segments.live[segments.indexOf(offset)] as Segment
    // Of a log that another process writes, it is asked after each read whether the segment is still live: that way knows how.
    const block = this.#log.refresh === undefined ? segment.index.blockFor(offset) : undefined
    const distance = block === undefined ? segment.index.distanceAt(offset, segment.bytes) : block.bytes + block.lengthsBytes
    if (distance > inlineBytes) return runPooled(this.#steps(offset, segment, block, { chunkBytes: coldChunkBytes }))
    const chunkBytes = Math.max(1024, distance)
    if (this.#pooledLeft > 0) {
      this.#pooledLeft--
      return runPooled(this.#steps(offset, segment, block, { chunkBytes }))
    }
    this.#memory ??= new Uint8Array(inlineBytes)
    const begin = performance.now()
    try {
      return Promise.resolve(runBlocking(this.#steps(offset, segment, block, { chunkBytes, memory: [this.#memory] })))
    } catch (error) {
      return Promise.reject(error)
    } finally {
      if (performance.now() - begin > longMs) this.#pooledLeft = pooledReads
    }
  }

  *#steps(offset: number, segment: Segment, block: GroupBlock | undefined, single: { readonly chunkBytes: number; readonly memory?: WindowMemory }): Steps<StoredEntry<E>> {
    const { cutCount } = this.#log.segments
    const found = block === undefined ? undefined : yield* this.#fromBlock(offset, segment, block, single.memory?.[0])
    if (found !== undefined) return found
    const reader = new EntryReader<E>(this.#log, { from: offset, to: offset, copy: true, cutCount, single })
    const batch = yield* reader.nextBatch()
    return batch?.[0] as StoredEntry<E>
  }

  /** Undefined where the block is not what it was, or may be gone. */
  *#fromBlock(offset: number, segment: Segment, block: GroupBlock, memory: Uint8Array | undefined): Steps<StoredEntry<E> | undefined> {
    const { segments, adapter } = this.#log
    const { cutCount } = segments
    const room = memory ?? new Uint8Array(block.bytes + block.lengthsBytes)
    const bytes = room.subarray(0, block.bytes)
    const lengths = room.subarray(block.bytes, block.bytes + block.lengthsBytes)
    try {
      const file = yield* segments.acquire(segment)
      try {
        if ((yield* file.read(bytes, block.position)) < bytes.length || (yield* file.read(lengths, block.lengthsPosition)) < lengths.length) return undefined
      } finally {
        yield* segments.release(segment)
      }
    } catch {
      return undefined
    }
    this.#log.assertReadable()
    if (segments.cutCount !== cutCount || offset < this.#log.firstOffset || segments.placeOf(segment) < 0) return undefined
    const found = findInBlock(block, bytes, lengths, offset)
    if (found === undefined) return undefined
    const payload = new PayloadWindow()
    payload.lookAt(bytes)
    payload.moveTo(found.from, found.to)
    try {
      return { offset, entry: adapter.decodeAmong(found.type, payload, true) as E }
    } catch (error) {
      throw withPlace(error, offset, found.type, segment)
    }
  }
}
