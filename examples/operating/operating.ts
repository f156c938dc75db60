/**
 * What a service does with its log besides appending: watching it, backing it up, coming back from a backup.
 */
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, open, readdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { type LogStats, type RecoveryReport, salvage, type SegmentInfo, verify, WriteAheadLog } from 'forelog'

// #region backup
/** Copies a log while it is in use, with its cursors. The copy has all that was acknowledged before the call, and opens like any log. */
export async function backUp(log: { readonly path: string; segments(): readonly SegmentInfo[] }, to: string): Promise<void> {
  await mkdir(join(to, 'cursors'), { recursive: true })
  // The cursors first: what they were committed at is in the segments that are listed afterwards. None there: none was ever made.
  for (const name of await readdir(join(log.path, 'cursors')).catch(() => [])) {
    if (name.endsWith('.cursor')) await copy(join(log.path, 'cursors', name), join(to, 'cursors', name))
  }
  // No further than what was written when the call came: behind that, an append may be half done.
  for (const { path, bytes } of log.segments()) await copy(path, join(to, basename(path)), bytes)
  await sync(join(to, 'cursors'))
  await sync(to)
  await sync(dirname(to))
}

async function copy(from: string, to: string, bytes = Infinity): Promise<void> {
  await pipeline(createReadStream(from, { end: bytes - 1 }), createWriteStream(to))
  await sync(to)
}

async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
// #endregion

// #region metrics
/** The figures to watch, in the text format of Prometheus. */
export function metrics({ appends, pendingBytes, syncMs, refused, segments }: LogStats): string {
  return [
    `log_appends_total ${appends}`,
    `log_pending_bytes ${pendingBytes}`,
    `log_segments ${segments}`,
    `log_refused_total{reason="no space"} ${refused.noSpace}`,
    `log_refused_total{reason="backpressure"} ${refused.backpressure}`,
    `log_sync_seconds_sum ${syncMs.sum / 1000}`,
    `log_sync_seconds_count ${syncMs.count}`,
    '',
  ].join('\n')
}
// #endregion

// #region recovery
/** What a start has to say about the log it found; undefined: nothing that a person has to know. */
export function worthKnowing({ clean, tornBytes, ambiguous, quarantined }: RecoveryReport): string | undefined {
  if (clean) return undefined
  if (ambiguous) return `${tornBytes} bytes were cut off, and they may have been an acknowledged entry that rotted: look into ${quarantined.join(', ')}`
  if (tornBytes > 0) return `the last process died in a write: ${tornBytes} bytes were cut off that nothing shows to have been acknowledged, see ${quarantined.join(', ')}`
  return 'the last process died, and nothing was lost'
}
// #endregion

// #region verify
/** Reads every byte of a log, and says what is wrong where. Changes nothing, and works beside the process that has it open. */
export async function check(directory: string): Promise<string[]> {
  const { outcome, faults, lastOffset } = await verify(directory)
  if (outcome === 'sound') return [`sound, up to entry ${lastOffset}`]
  return [outcome, ...faults.map(({ path, position, why, meaning }) => `${path} at byte ${position}: ${why}. ${meaning}`)]
}
// #endregion

// #region salvage
/** Copies everything that can still be read of a damaged log to a new one, and tells what could not. Offsets are given anew. */
export async function rescue(damaged: string, to: string): Promise<string[]> {
  const lost: string[] = []
  await using log = await WriteAheadLog.open(to)
  for await (const { type, payload } of salvage(damaged, { onFault: ({ meaning }) => lost.push(meaning) })) {
    await log.append({ type, payload })
  }
  return lost
}
// #endregion
