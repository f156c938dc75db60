/**
 * Those who read: followers and cursors, in the writer's process and beside it. Each one checks that what it is shown has no gap, comes once,
 * and is whole; and each one goes on where it stood when the log is opened again, or was cut in front of it or behind it.
 */
import { type Cursor, type LogReader, type RawEntry, type CursorOptions, WalError } from 'forelog'
import { checkPayload } from './payloads.js'

/** A log, or a reader of one, that is closed and opened again from time to time. */
export interface Place {
  /** The one that is open, as soon as there is one; undefined: it is over. */
  current(): Promise<LogReader<RawEntry> & { cursor(name: string, options?: CursorOptions): Promise<Cursor<RawEntry>> } | undefined>
}

export interface Counters {
  shown: number
  /** Truncated in front of them, or behind. */
  lost: number
  committed: number
  began: number
}

export const noCounters = (): Counters => ({ shown: 0, lost: 0, committed: 0, began: 0 })

export interface FollowerHabits {
  /** Milliseconds to wait behind each thousand entries. */
  readonly pauseMs?: number
  /** Entries after which it leaves and comes back. */
  readonly stay?: number
  /** Lives as long as the process: what a follower hangs on it has to go with the follower. */
  readonly signal?: AbortSignal
}

export async function keepFollowing(place: Place, counters: Counters, { pauseMs = 0, stay = Infinity, signal }: FollowerHabits = {}): Promise<void> {
  let next: number | undefined
  for (let log = await place.current(); log !== undefined; log = await place.current()) {
    counters.began++
    const from: number = next ?? log.firstOffset
    const left = { entries: stay }
    try {
      next = from
      for await (const { offset, entry } of log.follow({ from, ...(signal !== undefined && { signal }) })) {
        if (offset !== next) throw new Error(`a follower was shown ${offset} where ${next} was next`)
        checkPayload(entry.payload, offset)
        next = offset + 1
        counters.shown++
        if (pauseMs > 0 && offset % 1000 === 0) await pause(pauseMs)
        if (--left.entries === 0) break
      }
    } catch (error) {
      if (!isPassing(error)) throw error
      if (error.code === 'ERR_WAL_OFFSET_OUT_OF_RANGE') {
        counters.lost++
        next = undefined
      }
    }
    await pause(10)
  }
}

export async function keepCommitting(place: Place, counters: Counters, name: string, hold: boolean, every: number): Promise<void> {
  for (let log = await place.current(); log !== undefined; log = await place.current()) {
    try {
      await using cursor = await log.cursor(name, { hold })
      counters.began++
      if ((await cursor.skipLost()) !== undefined) counters.lost++
      let next = cursor.offset + 1
      for await (const { offset, entry } of cursor) {
        if (offset !== next) throw new Error(`the cursor ${name} was shown ${offset} where ${next} was next`)
        next = offset + 1
        checkPayload(entry.payload, offset)
        counters.shown++
        if (offset % every !== 0) continue
        await cursor.commit(offset)
        counters.committed++
      }
    } catch (error) {
      if (!isPassing(error)) throw error
      if (error.code === 'ERR_WAL_OFFSET_OUT_OF_RANGE') counters.lost++
    }
    await pause(10)
  }
}

/** What closing and truncating are documented to do to those who read. */
export function isPassing(error: unknown): error is WalError {
  return error instanceof WalError && (error.code === 'ERR_WAL_OFFSET_OUT_OF_RANGE' || error.code === 'ERR_WAL_CLOSED')
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
