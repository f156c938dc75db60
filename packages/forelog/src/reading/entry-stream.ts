/**
 * What callers iterate: `entries`, `.batches()` and `entriesSync`.
 */
import { plainObjects } from '../entries/plain-objects.js'
import { WalError } from '../errors.js'
import { checkNames, wrong } from '../options.js'
import { runBlocking, runPooled } from '../steps.js'
import { EntryReader, outOfRange, type ReadableLog, type ReadRange, type StoredEntry } from './entry-reader.js'

/** What to read, and how. */
export interface ReadOptions {
  /** First offset, inclusive. Default: the first entry of the log. `lastOffset + 1` is allowed and gives nothing. */
  from?: number
  /** Last offset, inclusive. Default, and at most: the last entry at the moment of the call. */
  to?: number
  /**
   * Whether the bytes of entries are the caller's own (default). `false` gives views, which is faster: they are valid until the
   * next step, or the next batch.
   */
  copy?: boolean
  /** Ends reading with `ERR_WAL_ABORTED`. */
  signal?: AbortSignal
}

/** The entries of a range, in order. Can be iterated more than once, each time from the beginning. */
export interface EntryStream<E> extends AsyncIterable<StoredEntry<E>> {
  /** The same in arrays, as they come from the disk: faster, because a promise for each entry costs more than most entries. */
  batches(): AsyncIterable<readonly StoredEntry<E>[]>
}

const namesOf: Readonly<Record<'entries' | 'entriesSync' | 'follow', Readonly<Record<string, true>>>> = {
  entries: { from: true, to: true, copy: true, signal: true } satisfies Record<keyof ReadOptions, true>,
  entriesSync: { from: true, to: true, copy: true },
  follow: { from: true, copy: true, signal: true },
}

/** Refuses what is no option, or no value of one, at the call; an offset that the log doesn't have is told at the first step. */
export function checkReadOptions(what: 'entries' | 'entriesSync' | 'follow', options: ReadOptions): void {
  checkNames(what, options, namesOf[what])
  const { from, to, copy, signal } = options
  for (const [option, offset] of [['from', from] as const, ['to', to] as const]) {
    if (offset !== undefined && (typeof offset !== 'number' || !(Number.isInteger(offset) || Math.abs(offset) === Infinity))) {
      throw wrong(option, offset, 'an offset')
    }
  }
  if (copy !== undefined && typeof copy !== 'boolean') throw wrong('copy', copy, 'true or false')
  if (signal !== undefined && typeof (signal as Partial<AbortSignal> | null)?.aborted !== 'boolean') throw wrong('signal', signal, 'an AbortSignal')
}

/** @param look of a log that another process writes: asked when reading begins, and the end is that which it finds */
export function entryStream<E>(log: ReadableLog, options: ReadOptions, look?: () => Promise<void>): EntryStream<E> {
  // The end is that of the moment of the call; what is wrong with the range is told at the first step.
  const atCall = endOf(log)
  const { signal } = options
  const reader = (end: End): EntryReader<E> => new EntryReader<E>(log, rangeOf(log, options, end))
  const begin: Begin<E> = look === undefined ? () => reader(atCall) : () => look().then(() => reader(endOf(log)))
  return {
    [Symbol.asyncIterator]: () => new EntryIterator(log, begin, signal),
    batches: () => ({ [Symbol.asyncIterator]: () => batchesOf(begin, signal) }),
  }
}

/** @param look as in `entryStream` */
export function entryIterable<E>(log: ReadableLog, options: Pick<ReadOptions, 'from' | 'to' | 'copy'>, look?: () => void): Iterable<StoredEntry<E>> {
  const atCall = endOf(log)
  return {
    *[Symbol.iterator]() {
      look?.()
      const reader = new EntryReader<E>(log, rangeOf(log, options, look === undefined ? atCall : endOf(log)))
      while (runBlocking(reader.load())) {
        for (let batch = reader.takeLoaded(); batch.length > 0; batch = reader.takeLoaded()) {
          for (const entry of batch) {
            reader.assertKept(entry.offset)
            yield entry
            log.assertReadable()
          }
        }
      }
    },
  }
}

/** Where a log ended, and how often it had been cut behind by then. */
interface End {
  readonly lastOffset: number
  readonly cutCount: number
}

function endOf({ lastOffset, segments }: ReadableLog): End {
  return { lastOffset, cutCount: segments.cutCount }
}

function rangeOf(log: ReadableLog, options: Pick<ReadOptions, 'from' | 'to' | 'copy'>, { lastOffset, cutCount }: End): ReadRange {
  log.assertReadable()
  // What was truncated since the call is not there any more, all of it perhaps.
  const from = options.from ?? Math.min(log.firstOffset, lastOffset + 1)
  const to = Math.min(options.to ?? lastOffset, lastOffset)
  if (options.from !== undefined && (from < log.firstOffset || from > lastOffset + 1)) throw outOfRange(log, from)
  return { from, to, copy: options.copy ?? true, cutCount }
}

type Begin<E> = () => EntryReader<E> | Promise<EntryReader<E>>

async function* batchesOf<E>(begin: Begin<E>, signal: AbortSignal | undefined): AsyncGenerator<readonly StoredEntry<E>[]> {
  assertNotAborted(signal)
  const reader = await begin()
  for (;;) {
    const batch = await runPooled(reader.nextBatch())
    assertNotAborted(signal)
    if (batch === undefined) return
    yield batch
  }
}

const PlainResult = plainObjects<IteratorYieldResult<unknown>, [unknown]>(function (value) {
  this.done = false
  this.value = value
}) as new <T>(value: T) => IteratorYieldResult<T>

/**
 * Hands out entry by entry. Written out, and no async generator: that takes three turns of the microtask queue for each entry, and
 * this takes one (bench/micro/iteration.ts).
 */
class EntryIterator<E> implements AsyncIterableIterator<StoredEntry<E>, undefined> {
  readonly #log: ReadableLog
  readonly #begin: Begin<E>
  readonly #signal: AbortSignal | undefined
  #reader: EntryReader<E> | undefined
  #batch: readonly StoredEntry<E>[] = []
  #index = 0
  #ended = false
  /** The step that is under way: a next one waits for it, as with a generator. */
  #step: Promise<IteratorResult<StoredEntry<E>, undefined>> | undefined

  constructor(log: ReadableLog, begin: Begin<E>, signal: AbortSignal | undefined) {
    this.#log = log
    this.#begin = begin
    this.#signal = signal
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<StoredEntry<E>, undefined>> {
    if (this.#step === undefined) {
      let value: StoredEntry<E> | undefined
      try {
        value = this.#take()
      } catch (error) {
        return Promise.reject(error)
      }
      if (value !== undefined) {
        const result = new PlainResult(value)
        // It is false already. Behind a member that was written V8 knows what the object is, and looks for no `then` in it (bench/micro/iteration.ts).
        result.done = false
        return Promise.resolve(result)
      }
    }
    return this.#after(() => this.#load())
  }

  return(): Promise<IteratorReturnResult<undefined>> {
    return this.#after(async () => this.#end()) as Promise<IteratorReturnResult<undefined>>
  }

  /** Runs a step when the one before it has settled. */
  #after(run: () => Promise<IteratorResult<StoredEntry<E>, undefined>>): Promise<IteratorResult<StoredEntry<E>, undefined>> {
    const step = this.#step === undefined ? run() : this.#step.then(run, run)
    this.#step = step
    const settled = (): void => {
      if (this.#step === step) this.#step = undefined
    }
    step.then(settled, settled)
    return step
  }

  async #load(): Promise<IteratorResult<StoredEntry<E>, undefined>> {
    while (!this.#ended) {
      const value = this.#take()
      if (value !== undefined) return { done: false, value }
      try {
        assertNotAborted(this.#signal)
        this.#reader ??= await this.#begin()
        const isThere = await runPooled(this.#reader.load())
        assertNotAborted(this.#signal)
        if (!isThere) break
      } catch (error) {
        this.#end()
        throw error
      }
    }
    return this.#end()
  }

  /** The next entry, where it is in memory. */
  #take(): StoredEntry<E> | undefined {
    const reader = this.#reader
    if (reader === undefined) return undefined
    try {
      assertNotAborted(this.#signal)
      this.#log.assertReadable()
      if (this.#index === this.#batch.length) {
        this.#batch = reader.takeLoaded()
        this.#index = 0
      }
      const entry = this.#batch[this.#index]
      if (entry === undefined) return undefined
      // It was decoded ahead: the log may have been truncated meanwhile.
      reader.assertKept(entry.offset)
      this.#index++
      return entry
    } catch (error) {
      this.#end()
      throw error
    }
  }

  #end(): IteratorReturnResult<undefined> {
    this.#ended = true
    this.#batch = []
    this.#index = 0
    this.#reader = undefined
    return { done: true, value: undefined }
  }
}

function assertNotAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted !== true) return
  throw new WalError('ERR_WAL_ABORTED', 'reading was aborted by its signal', { cause: signal.reason })
}
