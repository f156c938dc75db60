/**
 * What callers follow: durable entries, each once and in order, and then those that come.
 */
import { runPooled } from '../steps.js'
import { recordHeaderBytes } from '../format/record.js'
import { outOfRange, type StoredEntry, withPlace } from './entry-reader.js'
import type { ReadOptions } from './entry-stream.js'
import type { SharedTail } from './shared-tail.js'
import { type GrowingLog, TailReader, type TailRun } from './tail-reader.js'

/** What to follow, and how: see {@link ReadOptions}. */
export type FollowOptions = Pick<ReadOptions, 'from' | 'copy' | 'signal'>

/** Of a log that another process writes: it is looked at until `end`. */
export interface Watch {
  /** A follower waits, until what this returns is called: what it waits for can come though this process has nothing else to do. */
  wait(): () => void
  end(): void
}

/** Entries that are decoded at once; a follower that is not asked for more holds no more. */
const entriesPerBatch = 256
/** Bytes that a follower reads for itself, when it is behind. */
const ownReadBytes = 64 * 1024

export function followLog<E>(log: GrowingLog, tail: SharedTail, options: FollowOptions, begin?: () => Promise<Watch>): AsyncIterable<StoredEntry<E>> {
  return { [Symbol.asyncIterator]: () => new Follower<E>(log, tail, options, begin) }
}

class Follower<E> implements AsyncIterableIterator<StoredEntry<E>> {
  readonly #log: GrowingLog
  readonly #tail: SharedTail
  readonly #options: FollowOptions
  readonly #begin: (() => Promise<Watch>) | undefined
  readonly #entries: AsyncGenerator<StoredEntry<E>, undefined>
  #stopped = false
  #stopWaiting: (() => void) | undefined
  #next = 0
  #knownCuts = 0
  /** Reads for this follower alone, while it is behind what is shared. */
  #own: TailReader | undefined
  /** Where the last batch began. */
  #reached: { readonly run: TailRun; readonly offset: number; readonly at: number } | undefined

  constructor(log: GrowingLog, tail: SharedTail, options: FollowOptions, begin: (() => Promise<Watch>) | undefined) {
    this.#log = log
    this.#tail = tail
    this.#options = options
    this.#begin = begin
    this.#entries = this.#follow()
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<StoredEntry<E>, undefined>> {
    return this.#entries.next()
  }

  /** Ends a `next` that waits, too. */
  return(): Promise<IteratorResult<StoredEntry<E>, undefined>> {
    this.#stopped = true
    this.#stopWaiting?.()
    return this.#entries.return(undefined)
  }

  async *#follow(): AsyncGenerator<StoredEntry<E>, undefined> {
    const forget = onAbort(this.#options.signal, () => this.#stopWaiting?.())
    const leave = this.#tail.join()
    let watch: Watch | undefined
    try {
      if (this.#hasEnded()) return
      watch = await this.#begin?.()
      this.#standAt(this.#options.from ?? this.#log.firstOffset)
      for (let attempt = 1; !this.#hasEnded(); ) {
        this.#assertStanding()
        if (this.#next > this.#log.durableOffset) {
          const waited = watch?.wait()
          await this.#tail.wait((stop) => (this.#stopWaiting = stop))
          this.#stopWaiting = undefined
          waited?.()
          continue
        }
        let run: TailRun | undefined
        try {
          run = await this.#run()
        } catch (error) {
          if (this.#hasEnded()) return
          this.#assertStanding()
          if (this.#log.retry === undefined || !(await runPooled(this.#log.retry(attempt++)))) throw error
          continue
        }
        attempt = 1
        if (run === undefined) continue
        for (let batch = this.#decode(run), holds = true; holds && batch.length > 0; batch = holds ? this.#decode(run) : []) {
          for (const entry of batch) {
            if (this.#hasEnded()) return
            holds = this.#assertStanding()
            if (!holds) break
            this.#next = entry.offset + 1
            yield entry
          }
        }
      }
    } finally {
      forget()
      leave()
      watch?.end()
    }
  }

  /** Whether it ends now; throws when the log has failed. */
  #hasEnded(): boolean {
    if (this.#stopped || this.#options.signal?.aborted === true || this.#log.ended) return true
    this.#log.assertReadable()
    return false
  }

  #standAt(offset: number): void {
    const { firstOffset, lastOffset, segments } = this.#log
    if (!Number.isSafeInteger(offset) || offset < firstOffset || offset > lastOffset + 1) throw outOfRange(this.#log, offset)
    this.#next = offset
    this.#knownCuts = segments.cutCount
  }

  /**
   * Throws where what is next, or what was handed out last, was taken away, also when something else has its offset by now. False
   * where the log was cut behind that: what was read ahead may be gone.
   */
  #assertStanding(): boolean {
    const { segments, firstOffset } = this.#log
    if (this.#next < firstOffset) throw outOfRange(this.#log, this.#next, 'was truncated before it was followed so far')
    if (segments.cutCount === this.#knownCuts) return true
    const cut = segments.lowestCutSince(this.#knownCuts)
    this.#knownCuts = segments.cutCount
    if (this.#next - 1 > cut) throw outOfRange(this.#log, this.#next, `can't follow entry ${this.#next - 1}, which was cut off`)
    return false
  }

  async #run(): Promise<TailRun | undefined> {
    const shared = await this.#tail.runWith(this.#next)
    if (shared !== 'behind') {
      this.#own = undefined
      return shared
    }
    if (this.#own?.next !== this.#next) this.#own = new TailReader(this.#log, this.#next, this.#tail.spare)
    return runPooled(this.#own.read(ownReadBytes))
  }

  /** The next entries of a run, in memory of their own: what is shared is shared with others. */
  #decode(run: TailRun): StoredEntry<E>[] {
    const copy = this.#options.copy ?? true
    const batch: StoredEntry<E>[] = []
    const { lengths, firstOffset, segment } = run
    const first = this.#next - firstOffset
    const from = this.#positionIn(run)
    const sizes = lengths.slice(first, first + entriesPerBatch).map((length) => recordHeaderBytes + length)
    const bytes = copy ? run.bytes : run.bytes.slice(from, from + sizes.reduce((sum, size) => sum + size, 0))
    let at = copy ? from : 0
    for (const [index, size] of sizes.entries()) {
      const offset = this.#next + index
      try {
        batch.push({ offset, entry: this.#log.adapter.decode(bytes[at + 4] as number, bytes.subarray(at + recordHeaderBytes, at + size), copy) as E })
      } catch (error) {
        // First those in front of it are handed out.
        if (batch.length === 0) throw withPlace(error, offset, bytes[at + 4] as number, segment)
        break
      }
      at += size
    }
    return batch
  }

  /** Where the record of `#next` begins. A run is gone through in order, so it is not far from where the last batch began. */
  #positionIn(run: TailRun): number {
    const { offset, at } = this.#reached?.run === run ? this.#reached : { offset: run.firstOffset, at: 0 }
    let position = at
    for (let each = offset; each < this.#next; each++) position += recordHeaderBytes + (run.lengths[each - run.firstOffset] as number)
    this.#reached = { run, offset: this.#next, at: position }
    return position
  }
}

const aborting = new WeakMap<AbortSignal, Set<() => void>>()

/** Has `stop` called when a signal aborts; returns what takes that back. One listener serves all: Node.js warns of more than ten. */
function onAbort(signal: AbortSignal | undefined, stop: () => void): () => void {
  if (signal === undefined) return () => {}
  let stops = aborting.get(signal)
  if (stops === undefined) {
    const all = new Set<() => void>()
    signal.addEventListener('abort', () => all.forEach((each) => each()), { once: true })
    aborting.set(signal, all)
    stops = all
  }
  const known = stops
  known.add(stop)
  return () => known.delete(stop)
}
