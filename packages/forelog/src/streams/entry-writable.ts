/**
 * A log as the end of a pipeline: a Writable whose callback means that the entries are on stable storage.
 */
import { Writable } from 'node:stream'
import { WalError } from '../errors.js'
import { checkNames } from '../options.js'

/** What a writable does to a log. */
export interface WritableTarget<I> {
  /** Appends; throws at once where the entry is refused, so that nothing behind it is appended. */
  appendOrThrow(entry: I): Promise<number>
  /** Puts all that was appended before on stable storage. */
  sync(): Promise<number>
  /** Whether an append that has resolved is on stable storage. */
  readonly syncsEachAppend: boolean
}

/** Options of `log.writable`. */
export interface WritableOptions {
  /** Entries that the stream takes before `write` gives false. Default 256: what queues while a sync runs shares the next one. */
  highWaterMark?: number
  /** Ends the stream with an `AbortError`. */
  signal?: AbortSignal
}

const names = { highWaterMark: true, signal: true } as const satisfies Record<keyof WritableOptions, true>
const defaultHighWaterMark = 256

export function entryWritable<I>(log: WritableTarget<I>, options: WritableOptions): Writable {
  checkNames('writable', options, names)
  const { highWaterMark = defaultHighWaterMark, signal } = options
  if (!Number.isSafeInteger(highWaterMark) || highWaterMark < 1) {
    throw new WalError('ERR_WAL_OPTION', `option highWaterMark is ${String(highWaterMark)}, and must be an integer from 1 on`, { option: 'highWaterMark' })
  }
  const put = (entries: readonly I[], done: (error?: Error | null) => void): void => {
    putDurably(log, entries).then(() => done(), done)
  }
  return new Writable({
    objectMode: true,
    highWaterMark,
    ...(signal === undefined ? {} : { signal }),
    write: (entry: I, _encoding, done) => put([entry], done),
    writev: (chunks, done) => put(chunks.map(({ chunk }) => chunk as I), done),
  })
}

/** Appends entries in order; back when all of them are on stable storage. The first one that is refused ends it. */
async function putDurably<I>(log: WritableTarget<I>, entries: readonly I[]): Promise<void> {
  let appends: Promise<number>[] = []
  for (const entry of entries) {
    try {
      appends.push(log.appendOrThrow(entry))
    } catch (error) {
      await settle(appends)
      if (!isLackOfRoom(error)) throw error
      await appendWithRoom(log, entry)
      appends = []
    }
  }
  await settle(appends)
  if (!log.syncsEachAppend) await log.sync()
}

/** A stream waits for room, whoever took it: it is told only of what is wrong with its entries or the log. */
async function appendWithRoom<I>(log: WritableTarget<I>, entry: I): Promise<number> {
  for (;;) {
    await log.sync()
    try {
      return await log.appendOrThrow(entry)
    } catch (error) {
      if (!isLackOfRoom(error)) throw error
    }
  }
}

function isLackOfRoom(error: unknown): boolean {
  return error instanceof WalError && error.code === 'ERR_WAL_BACKPRESSURE'
}

/** Waits for all, so that none is left behind unheard; throws what the first one of them threw. */
async function settle(appends: readonly Promise<number>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(appends)) {
    if (outcome.status === 'rejected') throw outcome.reason
  }
}
