/**
 * Failures that are played to whoever uses a simulated disk: which calls they hit, and what then happens.
 */

/** Every call that a disk knows; blocking or not, it is the same. */
export const callKinds = [
  'list',
  'makeDirectory',
  'syncDirectory',
  'rename',
  'remove',
  'open',
  'lock',
  'release',
  'read',
  'write',
  'truncate',
  'sync',
  'dataSync',
  'size',
  'close',
] as const

/** One of {@link callKinds}. */
export type CallKind = (typeof callKinds)[number]

/** A call of a disk. */
export interface DiskCall {
  /** The first call of a disk is 1. */
  readonly number: number
  readonly kind: CallKind
  /** Where: the path as the caller gave it; for an open file, the one that it was opened with. */
  readonly path: string
  /** `rename`: the new path. */
  readonly to?: string
  /** Byte position: of reads and writes; the new size: of `truncate`. */
  readonly position?: number
  /** Bytes asked for: of reads and writes. */
  readonly bytes?: number
  /** `open`: for what. */
  readonly access?: 'read' | 'write' | 'create'
  /** A write that goes through to the disk. */
  readonly writeThrough?: boolean
}

/**
 * What is left of the bytes that a failed sync should have made durable:
 *
 * - `'ext4'`, as on ext4 and XFS: they are marked clean. Everybody reads the new bytes until a crash, which may or may
 *   not take them; the next sync succeeds and writes none of them. Written again, they are dirty again. Every handle of
 *   the file that was open hears of the error once, by its next sync or write that goes through.
 * - `'btrfs'`: the old bytes and the old size are back at once; who hears of it is as on ext4.
 * - `'once'`, as on Linux before 4.13: as `'ext4'`, but nobody else hears of it: the next sync by any handle succeeds.
 * - `'retryable'`: nothing happened; the next sync writes them.
 *
 * Source: "Can Applications Recover from fsync Failures?", USENIX ATC 2020. A failed `syncDirectory` makes no name
 * durable and loses none.
 */
export type SyncFailure = 'ext4' | 'btrfs' | 'once' | 'retryable'

/** A failure to play. Without `code` and `bytes` it is an `EIO`. */
export interface Fault {
  /** The calls that it can hit; any when absent. */
  readonly kind?: CallKind | readonly CallKind[]
  /** Only calls whose path contains this, or matches it. */
  readonly path?: string | RegExp
  /** Hits the n-th of those calls from now on, 1 the next. Default: 1. */
  readonly at?: number
  /** How many of those calls it hits, one after the other; `Infinity`: all. Default: 1. */
  readonly times?: number
  /** The error's code: `EIO`, `ENOSPC`, `EMFILE`, `EINTR`, … */
  readonly code?: string
  /** Reads and writes take at most so many bytes: with a `code`, before they fail; without, they report as many (a short read or write). */
  readonly bytes?: number
  /**
   * Syncs, and writes that go through: what is left of the bytes. Default: that of the disk for syncs; a write that goes
   * through fails before it does anything, unless this is given: then its bytes were taken, and its sync failed.
   */
  readonly syncFailure?: SyncFailure
}

/** A fault that waits for its calls. */
export class PendingFault {
  readonly fault: Fault
  #matching = 0
  #hits = 0
  readonly #kinds: ReadonlySet<CallKind> | undefined

  constructor(fault: Fault) {
    this.fault = fault
    const { kind } = fault
    this.#kinds = kind === undefined ? undefined : new Set(typeof kind === 'string' ? [kind] : kind)
  }

  get isOver(): boolean {
    return this.#hits >= (this.fault.times ?? 1)
  }

  /** Whether it hits this call; asked once for each call. */
  hits(call: DiskCall): boolean {
    if (this.isOver || !this.#matches(call)) return false
    this.#matching++
    if (this.#matching < (this.fault.at ?? 1)) return false
    this.#hits++
    return true
  }

  #matches({ kind, path }: DiskCall): boolean {
    if (this.#kinds !== undefined && !this.#kinds.has(kind)) return false
    const { path: wanted } = this.fault
    if (wanted === undefined) return true
    return typeof wanted === 'string' ? path.includes(wanted) : path.search(wanted) >= 0
  }
}

const texts: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EBADF: 'bad file descriptor',
  EEXIST: 'file already exists',
  EINTR: 'interrupted system call',
  EINVAL: 'invalid argument',
  EIO: 'i/o error',
  EISDIR: 'illegal operation on a directory',
  EMFILE: 'too many open files',
  ENOENT: 'no such file or directory',
  ENOSPC: 'no space left on device',
  ENOTDIR: 'not a directory',
  EROFS: 'read-only file system',
  EXDEV: 'cross-device link not permitted',
}

/** An error as node:fs makes them. */
export function systemError(code: string, { kind, path }: Pick<DiskCall, 'kind' | 'path'>): NodeJS.ErrnoException {
  const error: NodeJS.ErrnoException = new Error(`${code}: ${texts[code] ?? 'unknown error'}, ${kind} '${path}' (simulated)`)
  error.code = code
  error.syscall = kind
  error.path = path
  return error
}

/**
 * What every call on a disk gets once it has crashed. The process that made the call is dead as far as the disk goes:
 * nothing that it does afterwards counts.
 *
 * @example
 * ```ts
 * const after = disk.crash('none')
 * await file.write([bytes], 0) // rejects with a SimulatedCrash: `file` belongs to the disk that crashed
 * ```
 */
export class SimulatedCrash extends Error {
  readonly code = 'ERR_SIMULATED_CRASH' as const

  constructor() {
    super('the simulated disk has crashed; go on with the one that its crash() gave')
    this.name = 'SimulatedCrash'
  }
}
