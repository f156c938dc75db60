/**
 * Every error of the library: one class, told apart by `code`.
 */
import { hostname } from 'node:os'

/** Every code that a {@link WalError} can have. */
export const errorCodes = [
  'ERR_WAL_OPTION',
  'ERR_WAL_CLOSED',
  'ERR_WAL_BUSY',
  'ERR_WAL_ABORTED',
  'ERR_WAL_LOCKED',
  'ERR_WAL_CORRUPT',
  'ERR_WAL_SEGMENT_MISSING',
  'ERR_WAL_TORN',
  'ERR_WAL_FORMAT',
  'ERR_WAL_WRITE_FAILED',
  'ERR_WAL_READ_FAILED',
  'ERR_WAL_NO_SPACE',
  'ERR_WAL_SYNC_FAILED',
  'ERR_WAL_FAILED',
  'ERR_WAL_BACKPRESSURE',
  'ERR_WAL_ENTRY_TOO_LARGE',
  'ERR_WAL_ENTRY_TYPE_UNKNOWN',
  'ERR_WAL_ENTRY_TYPE_DUPLICATE',
  'ERR_WAL_ENTRY_TYPE_RESERVED',
  'ERR_WAL_ENCODE',
  'ERR_WAL_DECODE',
  'ERR_WAL_OFFSET_OUT_OF_RANGE',
  'ERR_WAL_OFFSET_EXHAUSTED',
] as const

/** One of {@link errorCodes}. */
export type WalErrorCode = (typeof errorCodes)[number]

/** Who holds the lock of a log, as far as it is known. */
export interface LockHolder {
  /** Process id, as the holder sees it: in another pid namespace it means another process. */
  readonly pid?: number
  readonly hostname?: string
  /** When the holder took the lock, ISO 8601. */
  readonly since?: string
}

/** The facts of an error, as fields: each is there when it is known and means something. */
export interface WalErrorFacts {
  /** The file or directory that the error is about. */
  readonly path?: string
  /** Byte position in that file, from 0. */
  readonly position?: number
  /** The bit of that byte, 0 the lowest, where one flipped bit explains the damage. */
  readonly bit?: number
  /** Offset of the entry that the error is about. */
  readonly offset?: number
  readonly segmentId?: number
  /** Entry type. */
  readonly type?: number
  /** The option that was refused. */
  readonly option?: string
  /** Bytes: of an entry that is too large, of a torn tail, of what is pending. */
  readonly bytes?: number
  readonly holder?: LockHolder
}

// Registered, so that two copies of the package in one process know each other's errors.
const brand = Symbol.for('forelog.WalError')

/**
 * Every failure of the library. Tell them apart by `code`; the message says what happened, where, and what to do.
 *
 * @example
 * ```ts
 * try {
 *   await log.append(entry)
 * } catch (error) {
 *   if (error instanceof WalError && error.code === 'ERR_WAL_NO_SPACE') await log.truncateBefore(checkpoint + 1)
 *   else throw error
 * }
 * ```
 */
export class WalError extends Error implements WalErrorFacts {
  readonly code: WalErrorCode
  declare readonly path?: string
  declare readonly position?: number
  declare readonly bit?: number
  declare readonly offset?: number
  declare readonly segmentId?: number
  declare readonly type?: number
  declare readonly option?: string
  declare readonly bytes?: number
  declare readonly holder?: LockHolder

  constructor(code: WalErrorCode, message: string, facts: WalErrorFacts & { readonly cause?: unknown } = {}) {
    const { cause, ...fields } = facts
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    this.name = code === 'ERR_WAL_ABORTED' ? 'AbortError' : 'WalError'
    Object.assign(this, fields)
    Object.defineProperty(this, brand, { value: true })
  }

  /** True for errors of another copy of the package, too. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && (value as Record<symbol, unknown>)[brand] === true
  }
}

/** What to do where opening or reading refuses a log, as sentences behind the others of the message; nothing where those say it. */
export function remedyOf(code: WalErrorCode): string {
  if (code === 'ERR_WAL_CORRUPT') {
    return (
      '. Copy the directory first. `npx forelog-cli verify` says what is damaged and what can still be read, and `npx forelog-cli repair` mends ' +
      'what can be mended: a flipped bit without loss, for the rest it says what would be lost. Otherwise restore from a backup or a replica'
    )
  }
  if (code === 'ERR_WAL_SEGMENT_MISSING') {
    return '. Put the file back where it was, or restore it from a backup or a replica; `npx forelog-cli verify` says what is missing, and what there is without it'
  }
  return ''
}

/** An error about something that was to be appended, with the log that refused it; any other as it is. */
export function withLog(error: unknown, path: string): unknown {
  if (!(error instanceof WalError) || error.path !== undefined || !refusalsOfEntries.has(error.code)) return error
  const { code, message, type, bytes, cause } = error
  return new WalError(code, `${message} (log ${path})`, { path, ...(type !== undefined && { type }), ...(bytes !== undefined && { bytes }), cause })
}

const refusalsOfEntries: ReadonlySet<WalErrorCode> = new Set(['ERR_WAL_ENCODE', 'ERR_WAL_ENTRY_TOO_LARGE', 'ERR_WAL_ENTRY_TYPE_UNKNOWN'])

/** What an error of the system says of itself: `ENOSPC`, `EIO`, … or undefined. */
export function systemCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code
  return typeof code === 'string' ? code : undefined
}

/** Whether an error says that there is no room: the disk is full, or a quota is used up. */
export function isNoSpace(error: unknown): boolean {
  const code = systemCode(error)
  return code === 'ENOSPC' || code === 'EDQUOT' || code === 'ERR_WAL_NO_SPACE'
}

/** Whether an error says that the process, or the machine, has as many files open as it may. */
export function isOutOfDescriptors(error: unknown): boolean {
  const code = systemCode(error)
  return code === 'EMFILE' || code === 'ENFILE'
}

export const descriptorsRemedy = 'No more files can be open at once: close what nobody needs, open cursors for example, or raise the limit (ulimit -n, LimitNOFILE of systemd).'

/** Who holds a lock, in words: `process 7`, `process 7, this one, on db1`. */
export function nameHolder({ pid, hostname: host }: LockHolder = {}): string {
  if (pid === undefined) return 'somebody (who, is not known)'
  const isThisOne = pid === process.pid && (host === undefined || host === hostname())
  return `process ${pid}${isThisOne ? ', this one,' : ''}${host === undefined ? '' : ` on ${host}`}`
}

/** The text of any thrown value, for a message. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
