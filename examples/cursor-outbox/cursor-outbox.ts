/**
 * An outbox that a cursor ships: the application appends, the shipper posts each entry to an HTTP endpoint, in order, and commits what
 * was taken. A crash, or an endpoint that fails now and then, makes a message come again, never go missing; its offset is the id to know it by.
 */
import { setTimeout as wait } from 'node:timers/promises'
import { type Cursor, defineEntries, type EntryOf, json, type LogOf, WriteAheadLog } from 'forelog'

export const entries = defineEntries({ message: { type: 1, codec: json<{ to: string; text: string }>() } })

export type Message = EntryOf<typeof entries>

// #region ship
/** Posts until it is taken; then, and only then, goes on. */
export async function ship(cursor: Cursor<Message>, url: string, betweenAttemptsMs = 100): Promise<void> {
  for await (const { offset, entry } of cursor) {
    while (!(await post(url, offset, entry))) await wait(betweenAttemptsMs)
    await cursor.commit(offset)
  }
}

async function post(url: string, offset: number, { value }: Message): Promise<boolean> {
  try {
    const headers = { 'content-type': 'application/json', 'idempotency-key': String(offset) }
    const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(value) })
    return response.ok
  } catch {
    return false
  }
}
// #endregion

/** In the process that writes the log. */
export async function shipFrom(log: LogOf<typeof entries>, url: string, signal: AbortSignal): Promise<void> {
  // #region cursor
  const cursor = await log.cursor('shipper', { signal })
  // #endregion
  await ship(cursor, url, 1)
  await cursor.close()
}

/** In another one. */
export async function shipBeside(directory: string, url: string, signal: AbortSignal): Promise<void> {
  // #region reader
  const reader = await WriteAheadLog.openReader(directory, { entries })
  const cursor = await reader.cursor('shipper', { signal })
  // #endregion
  await ship(cursor, url, 1)
  await reader.close()
}

/** How far everybody is, and an end to one that is not wanted any more. */
export async function retire(log: LogOf<typeof entries>, report: (line: string) => void): Promise<void> {
  // #region retire
  for (const { name, offset, lag, hold } of await log.cursors()) report(`${name}: ${offset}, ${lag} behind, ${hold ? 'holds' : 'does not hold'}`)
  await log.deleteCursor('shipper')
  // #endregion
}
