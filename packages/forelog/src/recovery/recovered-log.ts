/**
 * What opening a log gives, whatever its format and state: where it begins and ends, and what was found on the way.
 */
import { join } from 'node:path'
import type { EntryAdapter } from '../entries/entry.js'
import { WalError } from '../errors.js'
import { DurableFile, removeFile, syncDirectory } from '../files/durable-file.js'
import type { FileSystem } from '../files/file-system.js'
import type { Format } from '../format/record.js'
import type { Logger } from '../logger.js'
import type { Segment } from '../segments/segment-set.js'
import type { LogEnd } from '../segments/segment-writer.js'
import type { Steps } from '../steps.js'
import type { Decision, RecoveryMode } from './decide.js'
import { quarantine } from './quarantine.js'

/** What `open` found and did. */
export interface RecoveryReport {
  /** Whether the log ended with a clean shutdown; a new log did. Format 1 can't tell: there it means that nothing was cut. */
  readonly clean: boolean
  /** Bytes behind the last whole entry that were cut off; zeros that were filled ahead don't count. */
  readonly tornBytes: number
  /** What was cut can't be told from damage to entries that nothing proves acknowledged: look into `quarantined`. */
  readonly ambiguous: boolean
  /** Paths of the copies of what was cut. */
  readonly quarantined: readonly string[]
  /** Entries, and bytes, that were looked at to find the end. */
  readonly entriesExamined: number
  readonly bytesExamined: number
  /** Format 1: whole records in what was cut, behind the one that could not be read. */
  readonly recordsBehindTear?: number
}

export interface RecoveryRequest {
  readonly fileSystem: FileSystem
  /** Absolute. */
  readonly directory: string
  readonly adapter: EntryAdapter
  /** As asked for; undefined: what is there, or 2. */
  readonly format: Format | undefined
  readonly mode: RecoveryMode
  readonly fileMode: number
  readonly directoryMode: number
  readonly logger: Logger
}

export interface RecoveredLog {
  readonly format: Format
  readonly live: readonly Segment[]
  readonly end: LogEnd
  readonly report: RecoveryReport
}

/** What is to be done to the newest segment before anything is shown or appended. */
export interface Mending {
  /** Name of the newest segment, and where its last whole record ends: T. */
  readonly name: string
  readonly end: number
  readonly fileBytes: number
  /** Bytes behind T that are not only zeros: they go to quarantine. */
  readonly tailBytes: number
  /** From here on up to T all is written again; `end`: nothing is. */
  readonly rewriteFrom: number
  /** Names that nothing refers to. */
  readonly remove: readonly string[]
}

const chunkBytes = 1024 * 1024

/**
 * Carries a decision out; the newest segment, open for writing. Each step leaves a log for which the same decision is made
 * again (row J): the copy changes nothing of the log, writing the same bytes again neither, and the cut is the decision itself.
 */
export function* mend(request: RecoveryRequest, mending: Mending): Steps<{ file: DurableFile; quarantined: string[] }> {
  const { fileSystem, directory } = request
  const { name, end, tailBytes, rewriteFrom } = mending
  const file = yield* DurableFile.open(fileSystem, join(directory, name), { access: 'write' })
  try {
    // Rule 6: the copy first, and durably; then the cut, and that synced; only then may anything be written.
    const quarantined = tailBytes > 0 ? [yield* quarantine(request, file, name, end, tailBytes)] : []
    // Row I: after a sync that failed, the page cache may show what the disk never got, and call it clean. Written again it is
    // dirty, and the sync behind it says what is true.
    yield* rewrite(file, rewriteFrom, end)
    if (mending.fileBytes > end) yield* file.truncate(end)
    if (rewriteFrom < end || mending.fileBytes > end) yield* file.sync()
    for (const dead of mending.remove) yield* removeFile(fileSystem, join(directory, dead))
    // Rule 5: every opening syncs the directory before its first acknowledgement. The life before may have died in front of it.
    yield* syncDirectory(fileSystem, directory)
    return { file, quarantined }
  } catch (error) {
    yield* file.close()
    throw error
  }
}

function* rewrite(file: DurableFile, from: number, to: number): Steps<void> {
  const buffer = new Uint8Array(Math.min(chunkBytes, Math.max(0, to - from)))
  for (let at = from; at < to; at += buffer.length) {
    const piece = buffer.subarray(0, Math.min(buffer.length, to - at))
    yield* file.read(piece, at)
    yield* file.write([piece], at)
  }
}

/** The error of a decision to refuse: nothing was changed on disk. */
export function refusal(decision: Extract<Decision, { action: 'refuse' }>, path: string, segmentId: number, position: number, offset?: number): WalError {
  const place = offset === undefined ? `byte ${position}` : `byte ${position}, entry ${offset}`
  return new WalError(decision.code, `${path} at ${place}: ${decision.why}. Nothing was changed`, {
    path,
    segmentId,
    ...(decision.bit ?? { position }),
    ...(offset === undefined ? {} : { offset }),
  })
}

