/**
 * What opening a log gives, whatever its format and state: where it begins and ends, and what was found on the way.
 */
import { join } from 'node:path'
import type { EntryAdapter } from '../entries/entry.js'
import { remedyOf, WalError } from '../errors.js'
import { DurableFile, removeFile, syncDirectory } from '../files/durable-file.js'
import type { FileSystem } from '../files/file-system.js'
import type { Format } from '../format/record.js'
import type { Logger } from '../logger.js'
import { FileWindow } from '../segments/file-window.js'
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
  /** What can't be done with a log of format 1, where that is asked for. */
  readonly unfitForFormat1?: WalError | undefined
  /** Format 2: entries below are given up, though no mark says so yet: repair is about to write one. */
  readonly wantedFrom?: number
  /** Format 2: what others than the log prove of it, from its headers. Asked before anything is changed. */
  readonly beyondEnd?: (log: HeadersOfLog, lastOffset: number) => Steps<string | undefined>
  readonly fileMode: number
  readonly directoryMode: number
  readonly logger: Logger
}

/** What the names and headers of a log tell. */
export interface HeadersOfLog {
  readonly logId: string
  /** Oldest first. */
  readonly live: readonly { readonly id: number; readonly firstOffset: number }[]
  readonly firstOffset: number
}

/** Where a log is, for whoever only looks at it. */
export type LookRequest = Pick<RecoveryRequest, 'fileSystem' | 'directory'>

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
  /** Writes again what is not proven durable, up to T, verified as it is written; undefined: all of it is proven. */
  readonly rewrite: ((file: DurableFile) => Steps<void>) | undefined
  /** Names that nothing refers to. */
  readonly remove: readonly string[]
}

const chunkBytes = 1024 * 1024
/** As a rule the last group is all that is written again: up to this it is read at once, into memory of its size. */
const atOnceBytes = 4 * chunkBytes

/**
 * Carries a decision out; the newest segment, open for writing. Each step leaves a log for which the same decision is made
 * again (row J): the copy changes nothing of the log, writing the same bytes again neither, and the cut is the decision itself.
 */
export function* mend(request: RecoveryRequest, mending: Mending): Steps<{ file: DurableFile; quarantined: string[] }> {
  const { fileSystem, directory } = request
  const { name, end, tailBytes, rewrite } = mending
  const file = yield* DurableFile.open(fileSystem, join(directory, name), { access: 'write' })
  try {
    // Rule 6: the copy first, and durably; then the cut, and that synced; only then may anything be written.
    const quarantined = tailBytes > 0 ? [yield* quarantine(request, file, name, end, tailBytes)] : []
    if (mending.fileBytes > end) {
      yield* file.truncate(end)
      yield* file.sync()
    }
    // Row I: after a sync that failed, the page cache may show what the disk never got, and call it clean. Written again it is
    // dirty, and the sync behind it says what is true.
    if (rewrite !== undefined) {
      yield* rewrite(file)
      yield* file.sync()
    }
    // Rule 5: every opening syncs the directory before its first acknowledgement. The life before may have died in front of it.
    // What makes a segment dead, a mark or a newer segment, is durable only now, so nothing is removed before.
    yield* syncDirectory(fileSystem, directory)
    for (const dead of mending.remove) yield* removeFile(fileSystem, join(directory, dead))
    if (mending.remove.length > 0) yield* syncDirectory(fileSystem, directory)
    return { file, quarantined }
  } catch (error) {
    yield* file.close()
    throw error
  }
}

/**
 * Writes again what stands from `from` to `to`. `verified` says how many of the loaded bytes are whole groups or records, or how
 * many must be loaded to tell: what was verified is written from the same memory. Read a second time, a page that a failed sync
 * left clean may hold what the disk has, and that would be made durable.
 */
export function* rewriteVerified(
  file: DurableFile,
  from: number,
  to: number,
  verified: (bytes: Uint8Array, left: number) => { readonly whole: number } | { readonly more: number },
): Steps<void> {
  const window = new FileWindow(file, to, to - from <= atOnceBytes ? to - from : chunkBytes)
  let wanted = 1
  for (let position = from; position < to; ) {
    const loaded = yield* window.load(position, wanted)
    const at = window.indexOf(position)
    const result = verified(window.bytes.subarray(at, at + loaded), to - position)
    if ('more' in result && result.more > loaded && loaded >= wanted && loaded < to - position) {
      wanted = result.more
      continue
    }
    if ('more' in result || result.whole === 0) {
      throw new WalError('ERR_WAL_READ_FAILED', `${file.path} at byte ${position} reads differently than a moment ago: check the disk, then open the log again`, {
        path: file.path,
        position,
      })
    }
    yield* file.write([window.bytes.subarray(at, at + result.whole)], position)
    position += result.whole
    wanted = 1
  }
}

/** The error of a decision to refuse: nothing was changed on disk. */
export function refusal(decision: Extract<Decision, { action: 'refuse' }>, path: string, segmentId: number, position: number, offset?: number): WalError {
  const place = offset === undefined ? `byte ${position}` : `byte ${position}, entry ${offset}`
  return new WalError(decision.code, `${path} at ${place}: ${decision.why}. Nothing was changed${remedyOf(decision.code)}`, {
    path,
    segmentId,
    ...(decision.bit ?? { position }),
    ...(offset === undefined ? {} : { offset }),
  })
}

