/**
 * A log that stays within limits by itself, what keeps it from that, and dropping by hand.
 */
import { type LogReader, type LogStats, type RawEntry, type RetentionResult, WriteAheadLog } from 'forelog'

const dayMs = 24 * 60 * 60 * 1000
const gib = 1024 ** 3

// #region open
/** Thirty days of events, or 10 GiB of them: whichever is less. */
export function openEvents(directory: string): Promise<WriteAheadLog> {
  return WriteAheadLog.open(directory, { retention: { maxAgeMs: 30 * dayMs, maxBytes: 10 * gib } })
}
// #endregion

// #region queue
/** A queue: what all who take from it have taken goes by itself. */
export function openQueue(directory: string): Promise<WriteAheadLog> {
  return WriteAheadLog.open(directory, { maxSegmentSize: 8 * 1024 * 1024, retention: { passedByCursors: true } })
}
// #endregion

// #region watch
/** What somebody has to know; undefined: nothing. */
export function worthAnAlarm({ retention }: LogStats): string | undefined {
  const { heldBy, heldBackBytes, failures } = retention
  if (heldBy !== undefined && heldBackBytes > gib) return `${heldBy} holds ${heldBackBytes} bytes that were to go`
  return failures > 0 ? `retention has failed ${failures} times: see the log lines` : undefined
}
// #endregion

// #region by-hand
/** Makes room now, for whatever comes next. */
export async function makeRoom(log: WriteAheadLog, maxBytes: number): Promise<RetentionResult> {
  return log.applyRetention({ maxBytes })
}
// #endregion

// #region keep
/** Nothing goes that is there now, however long `work` takes: a backup, a report. */
export async function keepMeanwhile<T>(log: WriteAheadLog | LogReader<RawEntry>, name: string, work: () => Promise<T>): Promise<T> {
  const cursor = await log.cursor(name)
  try {
    return await work()
  } finally {
    await cursor.close()
    await log.deleteCursor(name)
  }
}
// #endregion
