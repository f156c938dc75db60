/**
 * What callers iterate: `entries`, `.batches()` and `entriesSync`.
 */
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

const names = { from: true, to: true, copy: true, signal: true } as const satisfies Record<keyof ReadOptions, true>
const { signal: _signal, ...blockingNames } = names

/** Refuses what is no option, or no value of one, at the call; an offset that the log doesn't have is told at the first step. */
export function checkReadOptions(what: 'entries' | 'entriesSync', options: ReadOptions): void {
  checkNames(what, options, what === 'entries' ? names : blockingNames)
  const { from, to, copy, signal } = options
  for (const [option, offset] of [['from', from] as const, ['to', to] as const]) {
    if (offset !== undefined && (typeof offset !== 'number' || !(Number.isInteger(offset) || Math.abs(offset) === Infinity))) {
      throw wrong(option, offset, 'an offset')
    }
  }
  if (copy !== undefined && typeof copy !== 'boolean') throw wrong('copy', copy, 'true or false')
  if (signal !== undefined && typeof (signal as Partial<AbortSignal> | null)?.aborted !== 'boolean') throw wrong('signal', signal, 'an AbortSignal')
}

export function entryStream<E>(log: ReadableLog, options: ReadOptions): EntryStream<E> {
  // The end is that of the moment of the call; what is wrong with the range is told at the first step.
  const lastOffset = log.lastOffset
  const { signal } = options
  const begin = (): EntryReader<E> => new EntryReader<E>(log, rangeOf(log, options, lastOffset))
  return {
    [Symbol.asyncIterator]: () => entriesOf(log, begin, signal),
    batches: () => ({ [Symbol.asyncIterator]: () => batchesOf(begin, signal) }),
  }
}

export function entryIterable<E>(log: ReadableLog, options: Pick<ReadOptions, 'from' | 'to' | 'copy'>): Iterable<StoredEntry<E>> {
  const lastOffset = log.lastOffset
  return {
    *[Symbol.iterator]() {
      const reader = new EntryReader<E>(log, rangeOf(log, options, lastOffset))
      for (let batch = runBlocking(reader.nextBatch()); batch !== undefined; batch = runBlocking(reader.nextBatch())) {
        for (const entry of batch) {
          reader.assertKept(entry.offset)
          yield entry
          log.assertReadable()
        }
      }
    },
  }
}

function rangeOf(log: ReadableLog, options: Pick<ReadOptions, 'from' | 'to' | 'copy'>, lastOffset: number): ReadRange {
  log.assertReadable()
  // What was truncated since the call is not there any more, all of it perhaps.
  const from = options.from ?? Math.min(log.firstOffset, lastOffset + 1)
  const to = Math.min(options.to ?? lastOffset, lastOffset)
  if (options.from !== undefined && (from < log.firstOffset || from > lastOffset + 1)) throw outOfRange(log, from)
  return { from, to, copy: options.copy ?? true }
}

async function* batchesOf<E>(begin: () => EntryReader<E>, signal: AbortSignal | undefined): AsyncGenerator<readonly StoredEntry<E>[]> {
  assertNotAborted(signal)
  const reader = begin()
  for (;;) {
    const batch = await runPooled(reader.nextBatch())
    assertNotAborted(signal)
    if (batch === undefined) return
    yield batch
  }
}

async function* entriesOf<E>(log: ReadableLog, begin: () => EntryReader<E>, signal: AbortSignal | undefined): AsyncGenerator<StoredEntry<E>> {
  assertNotAborted(signal)
  const reader = begin()
  for (;;) {
    const batch = await runPooled(reader.nextBatch())
    assertNotAborted(signal)
    if (batch === undefined) return
    for (const entry of batch) {
      // A batch was read ahead of its entries: the log may have been truncated meanwhile.
      reader.assertKept(entry.offset)
      yield entry
      assertNotAborted(signal)
      log.assertReadable()
    }
  }
}

function assertNotAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted !== true) return
  throw new WalError('ERR_WAL_ABORTED', 'reading was aborted by its signal', { cause: signal.reason })
}
