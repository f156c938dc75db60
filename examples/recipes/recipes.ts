/**
 * The short pieces of code in the README that are no example of their own.
 */
import { channel } from 'node:diagnostics_channel'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout } from 'node:timers/promises'
import { type AppendMessage, defineEntries, type EntryOf, json, utf8, WalError, WriteAheadLog, type LogOf, type LogReader, type RawEntry } from 'forelog'
import pino from 'pino'

const entries = defineEntries({
  put: { type: 1, codec: json<{ key: string; amount: number }>() },
  del: { type: 2, codec: utf8 },
})

export { entries as stockEntries }
export type StockLog = LogOf<typeof entries>
export type StockReader = LogReader<EntryOf<typeof entries>>

export async function rawLog(directory: string): Promise<RawEntry[]> {
  const read: RawEntry[] = []
  // #region raw
  await using log = await WriteAheadLog.open(directory)
  await log.append(new Uint8Array([1, 2, 3])) // type 0
  await log.append({ type: 7, payload: Buffer.from('hello') })
  for await (const { entry } of log.entries()) read.push(entry) // { type, payload }
  // #endregion
  return read
}

export async function reading(log: StockLog, checkpoint: number): Promise<string[]> {
  const applied: string[] = []
  const apply = (entry: { readonly name: string }): unknown => applied.push(entry.name)
  // #region reading
  // From where you were, in order.
  for await (const { entry } of log.entries({ from: checkpoint + 1 })) apply(entry)

  // The same in arrays: much faster, because a promise for each entry costs more than most entries.
  for await (const batch of log.entries({ from: checkpoint + 1 }).batches()) {
    for (const { entry } of batch) apply(entry)
  }

  // Blocking, for start-up.
  for (const { entry } of log.entriesSync({ from: checkpoint + 1 })) apply(entry)

  // One of them.
  const { entry } = await log.get(log.lastOffset)
  // #endregion
  apply(entry)
  return applied
}

export async function appendOrMakeRoom(log: StockLog, key: string, checkpoint: number): Promise<number> {
  // #region errors
  try {
    return await log.append(entries.put({ key, amount: 1 }))
  } catch (error) {
    if (error instanceof WalError && error.code === 'ERR_WAL_NO_SPACE') {
      await log.truncateBefore(checkpoint + 1) // works on a full disk, too
      return log.append(entries.put({ key, amount: 1 }))
    }
    throw error // the message says what happened, where, and what to do; error.path, error.offset, … say it again as fields
  }
  // #endregion
}

export async function ship(log: StockLog, shipped: number, send: (offset: number, name: string) => Promise<void>, signal: AbortSignal): Promise<void> {
  // #region follow
  // What is durable, each entry once and in order, from where the other side is; then what comes.
  for await (const { offset, entry } of log.follow({ from: shipped + 1, signal })) await send(offset, entry.name)
  // #endregion
}

export async function beside(directory: string, shipped: number, send: (offset: number, name: string) => Promise<void>): Promise<void> {
  // #region reader
  // In another process than the writer: takes no lock, changes nothing, and shows what is durable.
  const reader = await WriteAheadLog.openReader(directory, { entries })
  try {
    for await (const { offset, entry } of reader.entries({ from: shipped + 1 })) await send(offset, entry.name)
  } finally {
    await reader.close()
  }
  // #endregion
}

// #region when-there
/** Opens a reader as soon as there is a log: whoever ships it is often started before whoever writes it. */
export async function openReaderWhenThere(directory: string, signal: AbortSignal, pauseMs = 500): Promise<StockReader> {
  for (;;) {
    const reader = await WriteAheadLog.openReader(directory, { entries }).catch(noDirectory)
    if (reader !== undefined && reader.segments().length > 0) return reader
    await reader?.close()
    await setTimeout(pauseMs, undefined, { signal })
  }
}

function noDirectory(error: unknown): undefined {
  if (error instanceof WalError && (error.cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') return
  throw error
}
// #endregion

export async function piped(log: StockLog, deliveries: Iterable<{ key: string; amount: number }>): Promise<void> {
  // #region writable
  // The end of a pipeline: when it resolves, every entry is on stable storage. Full queues slow the source down.
  await pipeline(Readable.from(Array.from(deliveries, (delivery) => entries.put(delivery))), log.writable())
  // #endregion
}

export function watchGroups(seen: (entries: number, durationMs: number) => void): () => void {
  // #region channels
  const groups = channel('forelog:append')
  const onGroup = (message: unknown): void => {
    const { first, last, durationMs } = message as AppendMessage
    seen(last - first + 1, durationMs)
  }
  groups.subscribe(onGroup)
  // #endregion
  return () => void groups.unsubscribe(onGroup)
}

export async function manyAppends(log: StockLog, deliveries: Iterable<{ key: string; amount: number }>): Promise<void> {
  // #region window
  // Not one after the other: appends that wait together share a write and a sync. Not all at once either, for memory has an end.
  const waiting = new Set<Promise<unknown>>()
  for (const delivery of deliveries) {
    const append = log.append(entries.put(delivery)).finally(() => waiting.delete(append))
    waiting.add(append)
    if (waiting.size === 1000) await Promise.race(waiting)
  }
  await Promise.all(waiting)
  // #endregion
}

export async function blocking(directory: string): Promise<void> {
  // #region blocking
  const log = await WriteAheadLog.open(directory, { entries })
  for (const { offset, entry } of log.entriesSync()) console.log(offset, entry.name)
  log.appendSync(entries.del('apples')) // returns when it is on stable storage
  // #endregion
  await log.close()
}

export async function manualSync(directory: string, measurements: Iterable<{ key: string; amount: number }>): Promise<number> {
  // #region manual
  await using log = await WriteAheadLog.open(directory, { entries, sync: 'manual' })
  for (const measurement of measurements) await log.append(entries.put(measurement)) // the operating system has it
  const durable = await log.sync() // all of it is on stable storage
  // #endregion
  return durable
}

export async function withLogger(directory: string): Promise<void> {
  // #region logger
  const log = await WriteAheadLog.open(directory, { entries, logger: pino({ name: 'stock' }) })
  // #endregion
  await log.close()
}

// #region reader-type
/** Anything that reads takes a `LogReader`; every log is one. */
async function count<E>(reader: LogReader<E>): Promise<number> {
  let entries = 0
  for await (const batch of reader.entries({ copy: false }).batches()) entries += batch.length
  return entries
}
// #endregion

export { count }
