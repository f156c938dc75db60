/**
 * An outbox that a cursor ships: the application appends, the shipper posts each entry to an HTTP endpoint, in order, and commits what
 * was taken. A crash, or an endpoint that fails now and then, makes a message come again, never go missing; its offset is the id to know it by.
 */
import { setTimeout as wait } from 'node:timers/promises'
import { type Cursor, defineEntries, type EntryOf, json, type LogOf, WriteAheadLog } from 'forelog'

export const entries = defineEntries({ message: { type: 1, codec: json<{ to: string; text: string }>() } })

export type Message = EntryOf<typeof entries>

export interface Shipping {
  readonly url: string
  /** Ends it, also between two attempts. */
  readonly signal: AbortSignal
  /** Told of a message that the endpoint will never take: it would hold up all that are behind it. */
  readonly onRefused: (offset: number, message: Message) => Promise<void> | void
  /** Milliseconds before the second attempt; doubles up to half a minute. Default 200. */
  readonly pauseMs?: number
}

// #region ship
/** Posts each message until it is taken; then, and only then, goes on. */
export async function ship(cursor: Cursor<Message>, { url, signal, onRefused, pauseMs = 200 }: Shipping): Promise<void> {
  for await (const { offset, entry } of cursor) {
    let outcome = await post(url, offset, entry, signal)
    for (let attempt = 1; outcome === 'again'; attempt++) {
      if (!(await pause(pauseMs, attempt, signal))) return // not committed: it comes first the next time
      outcome = await post(url, offset, entry, signal)
    }
    if (outcome === 'refused') await onRefused(offset, entry)
    await cursor.commit(offset)
  }
}
// #endregion

// #region post
/** Again: no connection, no answer in time, or one that says so. The answer to what was taken may be lost, too, so there is a key to know a repeat by. */
async function post(url: string, offset: number, { value }: Message, signal: AbortSignal): Promise<'taken' | 'refused' | 'again'> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': String(offset) },
      body: JSON.stringify(value),
      signal: AbortSignal.any([signal, AbortSignal.timeout(10_000)]),
    })
    await response.body?.cancel()
    if (response.ok) return 'taken'
    const comesAgain = response.status >= 500 || response.status === 408 || response.status === 429
    return comesAgain ? 'again' : 'refused'
  } catch {
    return 'again'
  }
}

/** Longer each time, and never quite the same for all shippers of an endpoint that comes back. False: it was told to end. */
async function pause(firstMs: number, attempt: number, signal: AbortSignal): Promise<boolean> {
  const ms = Math.min(firstMs * 2 ** (attempt - 1), 30_000) * (0.5 + Math.random() / 2)
  return wait(ms, true, { signal }).catch(() => false)
}
// #endregion

/** In the process that writes the log. */
export async function shipFrom(log: LogOf<typeof entries>, shipping: Shipping): Promise<void> {
  const { signal } = shipping
  // #region cursor
  const cursor = await log.cursor('shipper', { signal })
  // #endregion
  await ship(cursor, shipping)
  await cursor.close()
}

/** In another one. */
export async function shipBeside(directory: string, shipping: Shipping): Promise<void> {
  const { signal } = shipping
  // #region reader
  const reader = await WriteAheadLog.openReader(directory, { entries })
  const cursor = await reader.cursor('shipper', { signal })
  // #endregion
  await ship(cursor, shipping)
  await reader.close()
}

/** How far everybody is, and an end to one that is not wanted any more. */
export async function retire(log: LogOf<typeof entries>, report: (line: string) => void): Promise<void> {
  // #region retire
  for (const { name, offset, lag, hold } of await log.cursors()) report(`${name}: ${offset}, ${lag} behind, ${hold ? 'holds' : 'does not hold'}`)
  await log.deleteCursor('shipper')
  // #endregion
}
