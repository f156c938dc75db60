/**
 * The options of `open`: what they are, their defaults, and the one function that checks them all.
 */
import { fileURLToPath } from 'node:url'
import { resolve } from 'node:path'
import type { CommitMode } from './commit/inline-policy.js'
import type { SyncMode } from './commit/sync-policy.js'
import { adapterFor } from './entries/entry-adapter.js'
import type { EntrySource } from './entries/define-entries.js'
import type { EntryAdapter } from './entries/entry.js'
import type { RawSource } from './entries/raw-entries.js'
import { WalError } from './errors.js'
import type { FileSystem } from './files/file-system.js'
import { nodeFileSystem } from './files/node-file-system.js'
import type { Format } from './format/record.js'
import { type Logger, silentLogger } from './logger.js'

/** Options of `WriteAheadLog.open`. */
export interface OpenOptions<S extends EntrySource = RawSource> {
  /** What the log holds: an `EntryRegistry`, or what `defineEntries` returned. Default: raw bytes. */
  entries?: S
  /**
   * When an append is acknowledged. `'always'` (default): once it is on stable storage. `'interval'` and `'manual'`: once the
   * operating system has it; it is synced every `syncInterval`, or by `sync()` and `close()` only.
   */
  sync?: SyncMode
  /**
   * `'always'` only (elsewhere it is checked, and means nothing): milliseconds to wait for more appends before a sync. Default 0: what
   * queued while the last sync ran goes together.
   */
  syncDelay?: number
  /** `'interval'` only (elsewhere it is checked, and means nothing): milliseconds between syncs. Default 100. */
  syncInterval?: number
  /** Bytes from which on a segment is closed and a new one begun; a group is never split. Default 64 MiB. */
  maxSegmentSize?: number
  /** Bytes of a payload that may be appended at the most; what is there can always be read. Default 16 MiB. */
  maxEntrySize?: number
  /** Bytes that may be encoded and not yet written. Default 64 MiB. */
  maxPendingBytes?: number
  /** 2 (default), or 1: the files of the Go library `fgrosse/wal`. A log has one, and opening takes what is there. */
  format?: Format
  /**
   * When entries go away by themselves: by size, by age, when cursors have passed them. Never what a cursor that holds still needs. Default:
   * they stay until `truncateBefore`.
   */
  retention?: RetentionOptions
  /** What is done about a torn tail. `'truncate'` (default) cuts it off and keeps a copy; `'strict'` refuses to open. */
  recovery?: 'truncate' | 'strict'
  /**
   * Where a group is written and synced. `'auto'` (default): on the main thread while the disk is measured to take well under a
   * millisecond, else in the thread pool; with a `fileSystem` of your own, in the pool. `'inline'`: on the main thread whatever it
   * takes. `'background'`: always in the pool.
   */
  commit?: CommitMode
  /** Permission bits of created files, before the umask. Default 0o640. */
  fileMode?: number
  /** Permission bits of created directories, before the umask. Default 0o750. */
  directoryMode?: number
  /** Takes structured logs in pino's call shape. Default: silent. */
  logger?: Logger
  /** The disk, and the lock on it. Default: that of Node.js. */
  fileSystem?: FileSystem
}

/** When entries go away by themselves. What is left out is no limit. */
export interface RetentionOptions {
  /**
   * Bytes that the segments may have together, without what is only filled ahead. From 4096 on. The newest segment stays, so the log
   * may have as much as one segment more, and what cursors hold.
   */
  maxBytes?: number
  /**
   * Milliseconds that an entry is kept at the most, once its segment is full; from 1000 on. By the wall clock, and by whole segments:
   * one goes when the segment behind it was begun so long ago. Format 2 only.
   */
  maxAgeMs?: number
  /** Whether a segment goes when every cursor, also one that does not hold, has committed all of it. Without cursors none does. Format 2 only. */
  passedByCursors?: boolean
}

/** The options, checked and complete. */
export interface ResolvedOptions {
  readonly directory: string
  readonly adapter: EntryAdapter
  readonly sync: SyncMode
  readonly syncDelayMs: number
  readonly syncIntervalMs: number
  readonly maxSegmentBytes: number
  readonly maxEntryBytes: number
  readonly maxPendingBytes: number
  readonly format: Format | undefined
  readonly retention: RetentionOptions | undefined
  readonly recovery: 'truncate' | 'strict'
  readonly commit: CommitMode
  readonly fileMode: number
  readonly directoryMode: number
  readonly logger: Logger
  readonly fileSystem: FileSystem
}

/** Before the umask. */
export const defaultFileMode = 0o640
export const defaultDirectoryMode = 0o750

const mebibyte = 1024 * 1024
/** A group's length fields have 32 bits, and one entry is held in memory whole. */
const largestEntryBytes = 1024 * mebibyte

const fileSystemMethods = [
  ...(['list', 'listSync', 'makeDirectory', 'makeDirectorySync', 'syncDirectory', 'syncDirectorySync'] as const),
  ...(['rename', 'renameSync', 'remove', 'removeSync', 'open', 'openSync', 'lock'] as const),
] satisfies readonly (keyof FileSystem)[]

const known = {
  entries: true,
  sync: true,
  syncDelay: true,
  syncInterval: true,
  maxSegmentSize: true,
  maxEntrySize: true,
  maxPendingBytes: true,
  format: true,
  retention: true,
  recovery: true,
  commit: true,
  fileMode: true,
  directoryMode: true,
  logger: true,
  fileSystem: true,
} as const satisfies Record<keyof OpenOptions, true>

/** Checks what was given to `open`; `ERR_WAL_OPTION` names what is wrong with it, and what is allowed. */
export function resolveOptions(directory: string | URL, options: OpenOptions<EntrySource> = {}): ResolvedOptions {
  checkNames('open', options, known)
  const sync = oneOf('sync', options.sync, ['always', 'interval', 'manual'])
  const syncDelayMs = numberIn('syncDelay', options.syncDelay, 0, 0, 60_000)
  return {
    directory: resolveDirectory(directory),
    adapter: adapterFor(options.entries),
    sync,
    syncDelayMs: sync === 'always' ? syncDelayMs : 0,
    syncIntervalMs: numberIn('syncInterval', options.syncInterval, 100, 1, 3_600_000),
    maxSegmentBytes: integerIn('maxSegmentSize', options.maxSegmentSize, 64 * mebibyte, 1, Number.MAX_SAFE_INTEGER),
    maxEntryBytes: integerIn('maxEntrySize', options.maxEntrySize, 16 * mebibyte, 1, largestEntryBytes),
    maxPendingBytes: integerIn('maxPendingBytes', options.maxPendingBytes, 64 * mebibyte, 1, Number.MAX_SAFE_INTEGER),
    format: options.format === undefined ? undefined : oneOf('format', options.format, [2, 1]),
    retention: options.retention === undefined ? undefined : resolveRetention('option retention', options.retention),
    recovery: oneOf('recovery', options.recovery, ['truncate', 'strict']),
    commit: commitMode(options),
    fileMode: integerIn('fileMode', options.fileMode, defaultFileMode, 0, 0o777),
    directoryMode: integerIn('directoryMode', options.directoryMode, defaultDirectoryMode, 0, 0o777),
    logger: withMethods('logger', options.logger, silentLogger, ['debug', 'info', 'warn', 'error']),
    fileSystem: withMethods('fileSystem', options.fileSystem, nodeFileSystem, fileSystemMethods),
  }
}

const knownOfRetention = { maxBytes: true, maxAgeMs: true, passedByCursors: true } as const satisfies Record<keyof RetentionOptions, true>

/** Checks limits; what is left out stays out. */
export function resolveRetention(what: string, limits: RetentionOptions): RetentionOptions {
  checkNames(what, limits, knownOfRetention)
  const { maxBytes, maxAgeMs, passedByCursors } = limits
  if (passedByCursors !== undefined && typeof passedByCursors !== 'boolean') throw wrong('retention.passedByCursors', passedByCursors, 'true or false')
  return {
    ...(maxBytes !== undefined && { maxBytes: integerIn('retention.maxBytes', maxBytes, 0, 4096, Number.MAX_SAFE_INTEGER) }),
    ...(maxAgeMs !== undefined && { maxAgeMs: integerIn('retention.maxAgeMs', maxAgeMs, 0, 1000, Number.MAX_SAFE_INTEGER) }),
    ...(passedByCursors !== undefined && { passedByCursors }),
  }
}

/** What of them a log of format 1 can't do. */
export function unfitForFormat1({ maxAgeMs, passedByCursors }: RetentionOptions): WalError | undefined {
  const unfit = (option: string, why: string): WalError =>
    new WalError('ERR_WAL_OPTION', `option ${option} does not fit a log of format 1: ${why}; maxBytes does`, { option })
  if (maxAgeMs !== undefined) return unfit('retention.maxAgeMs', "its files don't say when they were begun")
  return passedByCursors === true ? unfit('retention.passedByCursors', 'it has no cursors') : undefined
}

/** A disk that is not the machine's is measured by nobody: the same calls in the same order, whatever the time they take. */
function commitMode(options: OpenOptions<EntrySource>): CommitMode {
  const mode = oneOf('commit', options.commit, ['auto', 'inline', 'background'])
  const isOwnDisk = options.fileSystem !== undefined && options.fileSystem !== nodeFileSystem
  return mode === 'auto' && isOwnDisk ? 'background' : mode
}

/** Refuses what is no object, and names that `allowed` does not have. */
export function checkNames(what: string, options: object, allowed: Readonly<Record<string, true>>): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new WalError('ERR_WAL_OPTION', `the options of ${what} are an object, not ${show(options)}`)
  }
  for (const name of Object.keys(options)) {
    if (Object.hasOwn(allowed, name)) continue
    const names = Object.keys(allowed)
    const meant = likest(name, names)
    const guess = meant === undefined ? '' : `. Did you mean ${meant}?`
    throw new WalError('ERR_WAL_OPTION', `${what} has no option ${name}: there are ${names.join(', ')}${guess}`, { option: name })
  }
}

/** The name that somebody may have meant; undefined: none is like it. */
function likest(given: string, names: readonly string[]): string | undefined {
  const ranked = names.map((name) => ({ name, edits: editsBetween(given.toLowerCase(), name.toLowerCase()) })).sort((a, b) => a.edits - b.edits)
  const [best] = ranked
  return best !== undefined && best.edits <= Math.max(1, Math.floor(given.length / 3)) ? best.name : undefined
}

/** Letters to be put in, taken out or replaced, to make one word of the other (Levenshtein). */
function editsBetween(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (const [index, letter] of [...a].entries()) {
    const next = [index + 1]
    for (let at = 0; at < b.length; at++) {
      const replaced = (row[at] as number) + (letter === b[at] ? 0 : 1)
      next.push(Math.min(replaced, (row[at + 1] as number) + 1, (next[at] as number) + 1))
    }
    row = next
  }
  return row[b.length] as number
}

/** The absolute path of a log's directory. */
export function resolveDirectory(directory: string | URL): string {
  if (directory instanceof URL) {
    if (directory.protocol !== 'file:') throw wrong('directory', directory.href, 'a path, or a URL of the scheme file:')
    return resolve(fileURLToPath(directory))
  }
  if (typeof directory !== 'string' || directory === '' || directory.includes('\0')) throw wrong('directory', directory, 'a path, or a URL of the scheme file:')
  return resolve(directory)
}

function oneOf<const T extends string | number>(option: string, value: T | undefined, allowed: readonly [T, ...T[]]): T {
  if (value === undefined) return allowed[0]
  if (!allowed.includes(value)) throw wrong(option, value, `one of ${allowed.map(show).join(', ')}`)
  return value
}

function numberIn(option: string, value: number | undefined, fallback: number, least: number, most: number): number {
  if (value === undefined) return fallback
  if (typeof value !== 'number' || !(value >= least && value <= most)) throw wrong(option, value, `a number from ${least} to ${most}`)
  return value
}

function integerIn(option: string, value: number | undefined, fallback: number, least: number, most: number): number {
  if (value === undefined) return fallback
  if (!Number.isSafeInteger(value) || value < least || value > most) throw wrong(option, value, `an integer from ${least} to ${most}`)
  return value
}

function withMethods<T extends object>(option: string, value: T | undefined, fallback: T, methods: readonly (keyof T & string)[]): T {
  if (value === undefined) return fallback
  const missing = typeof value === 'object' && value !== null ? methods.find((method) => typeof value[method] !== 'function') : methods[0]
  if (missing !== undefined) throw wrong(option, value, `an object with the methods ${methods.join(', ')}: ${missing} is missing`)
  return value
}

export function wrong(option: string, value: unknown, allowed: string): WalError {
  return new WalError('ERR_WAL_OPTION', `option ${option} is ${show(value)}, and must be ${allowed}`, { option })
}

function show(value: unknown): string {
  if (typeof value === 'string') return `'${value}'`
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'object' && value !== null) return 'an object'
  if (typeof value === 'function') return 'a function'
  return String(value)
}
