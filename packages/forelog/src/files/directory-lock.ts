import { chmodSync, close, constants, existsSync, open } from 'node:fs'
import { open as openHandle, readFile, stat, unlink, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import { descriptorsRemedy, isNoSpace, isOutOfDescriptors, type LockHolder, nameHolder, reasonOf, systemCode, WalError } from '../errors.js'
import type { FileLock, LockState } from './file-system.js'

/*
 * The one writer of a log is the one who holds a kernel lock on `<directory>/lock`. The kernel frees it when its holder
 * dies, however that happens, so nobody ever has to judge whether a lock is stale, and no process id is compared.
 *
 *   lock        always empty; only ever locked. Never unlinked: who had it open before the unlink and who makes it
 *               anew would lock two different files, and both would go on.
 *   lock.json   who holds it, for the message of whoever is refused. Says nothing about whether it is held. It is a
 *               file of its own because SQLite (below) takes `lock` for a database, and an empty file is one; and
 *               because Windows lets nobody read what another has locked.
 *
 * Three ways to take it; the first that this machine has is used. All lock the same file, and each refuses a second
 * holder in the same process, in a worker thread, and in any other process of the machine, whatever its container.
 *
 *   1. The binary of fs-native-extensions, loaded by its path: an open file description lock on Linux (F_OFD_SETLK,
 *      fcntl_locking(2)), flock(2) on macOS, LockFileEx on Windows. Such a lock belongs to the descriptor. On Alpine the
 *      one for glibc needs nothing of libc that musl hasn't.
 *   2. The package itself, which looks for a binary in more places, and takes 10 ms of processor time for that where the
 *      path takes 2: half of what opening a log after a clean close costs.
 *   3. node:sqlite (in Node from 22.13 on; in Bun and Deno, where the binary of 1 and 2 would end the process: it
 *      calls functions of libuv that those two don't have): an exclusive transaction on the empty file; nothing is
 *      ever written. On Unix SQLite takes POSIX locks, which conflict with those of 1 and 2 (they cover the whole
 *      file, SQLite's lie at 2^30) and which SQLite itself keeps apart within a process. They have one weakness: a
 *      process that opens and closes the file by another way drops them (https://sqlite.org/howtocorrupt.html, 2.2).
 *      So `lock` is never opened with node:fs where this way is used, and an application that copies a log's
 *      directory from within the process must leave that file out.
 */

/** Takes the lock of a file, or returns undefined when anybody holds it. What it returns frees it. */
export type LockMethod = (path: string, mode: number) => Promise<(() => Promise<void>) | undefined>

/** The ways to take a lock, best first; each throws when this machine hasn't got it. */
export const lockMethods: { prebuilt: () => LockMethod; addon: () => LockMethod; sqlite: () => LockMethod } = {
  prebuilt() {
    refuseWithoutLibuv()
    const path = `fs-native-extensions/prebuilds/${process.platform}-${process.arch}/fs-native-extensions.node`
    const binding = load(path) as { tryLock: (fd: number, offset: number, length: number, exclusive: boolean) => void }
    return lockDescriptor((fd) => {
      try {
        binding.tryLock(fd, 0, 0, true) // from 0, without end: the whole file
        return true
      } catch (error) {
        if (systemCode(error) === 'EAGAIN') return false
        throw error
      }
    })
  },

  addon() {
    refuseWithoutLibuv()
    const { tryLock } = load('fs-native-extensions') as { tryLock: (fd: number) => boolean }
    return lockDescriptor(tryLock)
  },

  sqlite() {
    const { DatabaseSync } = load('node:sqlite') as { DatabaseSync: new (path: string) => Database }
    return lockDatabase(DatabaseSync)
  },
}

/**
 * Takes the lock of `path`, or refuses at once.
 *
 * @param mode permission bits of the files that it makes
 * @param noteAfterMs says who holds it only once that has been so for so long: two thirds of what a lock costs that is soon free again
 * @throws WalError `ERR_WAL_LOCKED` with the `holder`, as far as it is known, when anybody has it, this process
 *   included; `ERR_WAL_OPTION` with option `fileSystem` where no such lock can be had; `ERR_WAL_NO_SPACE` or
 *   `ERR_WAL_WRITE_FAILED` when the file can't be made or opened.
 */
export async function lockFile(path: string, mode: number, method: LockMethod = findMethod(path), noteAfterMs = 0): Promise<FileLock> {
  const free = await method(path, mode)
  if (free === undefined) throw lockedError(path, await readHolder(path))
  let noted: Promise<void> | undefined
  const note = (): void => {
    noted = writeHolder(path, mode)
  }
  const timer = noteAfterMs === 0 ? undefined : setTimeout(note, noteAfterMs).unref()
  if (timer === undefined) note()
  await noted
  let released: Promise<void> | undefined
  const release = async (): Promise<void> => {
    clearTimeout(timer)
    if (noted !== undefined) {
      await noted
      // While the lock is still held: afterwards it would be the next holder's.
      await unlink(holderPath(path)).catch(() => undefined)
    }
    await free()
  }
  return { release: () => (released ??= release()) }
}

// A missing symbol is no exception: the loader ends the process. So it has to be known before.
function refuseWithoutLibuv(): void {
  const { bun, deno } = process.versions
  if (bun !== undefined || deno !== undefined) throw new Error(`the native lock needs libuv, which ${bun === undefined ? 'Deno' : 'Bun'} has not`)
}

/**
 * Tells whether somebody holds the lock of `path`, and who that says to be; makes no file, and takes nothing.
 *
 * On Linux the kernel lists its locks in /proc/locks, those of other containers included. Elsewhere, and where the list names
 * the file under another device (overlayfs, Btrfs), a shared lock is tried for the length of one call: who opens the log
 * in just that moment is refused, which the list spares it.
 */
export async function examineLock(path: string): Promise<LockState> {
  let inode: { readonly ino: bigint; readonly dev: bigint }
  try {
    inode = await stat(path, { bigint: true })
  } catch (error) {
    return { held: systemCode(error) === 'ENOENT' ? false : undefined, holder: {} }
  }
  const holder = await readHolder(path)
  const listed = await lookUpLock(inode)
  return { held: listed === 'perhaps' ? await tryShared(path) : listed, holder }
}

async function lookUpLock({ ino, dev }: { readonly ino: bigint; readonly dev: bigint }): Promise<boolean | 'perhaps'> {
  if (process.platform !== 'linux') return 'perhaps'
  let locks: string
  try {
    locks = await readFile('/proc/locks', 'utf8')
  } catch {
    return 'perhaps'
  }
  // `1: OFDLCK ADVISORY  WRITE -1 08:01:1234 0 EOF` (proc_locks(5)): device numbers in hexadecimal, inode in decimal.
  const places = locks.split('\n').flatMap((line) => /\b([\da-f]+):([\da-f]+):(\d+) /.exec(line)?.slice(1) ?? []).join(' ')
  const device = `${hexadecimal((dev >> 8n) & 0xfffn)} ${hexadecimal((dev & 0xffn) | ((dev >> 12n) & 0xfff00n))}`
  if (` ${places} `.includes(` ${device} ${ino} `)) return true
  return locks.includes(`:${ino} `) ? 'perhaps' : false
}

function hexadecimal(number: bigint): string {
  return number.toString(16).padStart(2, '0')
}

/** Whether a shared lock is refused; undefined where that can't be tried. Never where SQLite locks: closing the file would free its lock. */
async function tryShared(path: string): Promise<boolean | undefined> {
  let tryLock: (fd: number, options: { readonly shared: boolean }) => boolean
  try {
    refuseWithoutLibuv()
    ;({ tryLock } = load('fs-native-extensions') as { tryLock: typeof tryLock })
  } catch {
    return undefined
  }
  let fd: number
  try {
    fd = await openDescriptor(path, constants.O_RDONLY)
  } catch {
    return undefined
  }
  try {
    return !tryLock(fd, { shared: true })
  } catch {
    return undefined
  } finally {
    await closeDescriptor(fd).catch(() => undefined)
  }
}

// Here and not at the top: importing the library must work where the binary can't be loaded.
function load(specifier: string): unknown {
  return createRequire(import.meta.url)(specifier)
}

function findMethod(path: string): LockMethod {
  const errors: unknown[] = []
  for (const method of [lockMethods.prebuilt, lockMethods.addon, lockMethods.sqlite]) {
    try {
      return method()
    } catch (error) {
      errors.push(error)
    }
  }
  const reasons = errors.map((error) => reasonOf(error).split('\n', 1)[0]).join('; ')
  throw new WalError(
    'ERR_WAL_OPTION',
    `No lock can be taken for ${path}: neither the native lock nor node:sqlite can be loaded on ` +
      `${process.platform}-${process.arch}, Node ${process.versions.node} (${reasons}). Without a lock two writers ` +
      'would destroy the log. If this program is bundled, leave forelog out of the bundle (as external), and install it ' +
      'beside. Otherwise use Node 22.13 or newer, or a platform that fs-native-extensions has a build for, or ' +
      'give a `fileSystem` with a `lock` of its own.',
    { option: 'fileSystem', path, cause: new AggregateError(errors) },
  )
}

const openDescriptor = promisify(open)
const closeDescriptor = promisify(close)

/** Locks by a call on an open descriptor, which says whether it got the lock, or throws. */
export function lockDescriptor(tryLock: (fd: number) => boolean): LockMethod {
  return async (path, mode) => {
    let fd: number
    try {
      // Not truncated: the file may be somebody's who holds it. A bare descriptor: a FileHandle that is collected
      // would close it, and free the lock.
      fd = await openDescriptor(path, constants.O_RDWR | constants.O_CREAT, mode)
    } catch (error) {
      throw openError(path, error)
    }
    let taken = false
    try {
      taken = tryLock(fd)
    } catch (error) {
      throw unavailableError(path, error)
    } finally {
      if (!taken) await closeDescriptor(fd).catch(() => undefined)
    }
    return taken ? () => closeDescriptor(fd) : undefined
  }
}

interface Database {
  exec(sql: string): void
  close(): void
}

// SQLite's result codes (https://sqlite.org/rescode.html); the low byte is the primary one. Node and Bun have them in
// `errcode`, Deno has only their text, at the beginning of the message.
const sqliteBusy = 5
const sqliteReadOnly = 8
const sqliteFull = 13
const sqliteCantOpen = 14
const sqliteTexts = new Map([
  ['database is locked', sqliteBusy],
  ['attempt to write a readonly database', sqliteReadOnly],
  ['database or disk is full', sqliteFull],
  ['unable to open database file', sqliteCantOpen],
])

function sqliteCode(error: unknown): number {
  const { errcode } = error as { errcode?: unknown }
  if (typeof errcode === 'number') return errcode & 0xff
  const reason = reasonOf(error)
  for (const [text, code] of sqliteTexts) if (reason.startsWith(text)) return code
  return 0
}

// A database that is collected is closed, and its lock gone: a lock must not end because nobody looks at it.
const heldDatabases = new Set<Database>()

function lockDatabase(DatabaseSync: new (path: string) => Database): LockMethod {
  return async (path, mode) => {
    const isNew = !existsSync(path)
    let database: Database | undefined
    try {
      database = new DatabaseSync(resolve(path))
      // The journal in memory: there is nothing to roll back, and no further file shall appear.
      database.exec('PRAGMA busy_timeout = 0; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
    } catch (error) {
      database?.close()
      const code = sqliteCode(error)
      if (code === sqliteBusy) return undefined
      if (code === sqliteCantOpen || code === sqliteReadOnly || code === sqliteFull) throw openError(path, error)
      throw unavailableError(path, error)
    }
    const held = database
    heldDatabases.add(held)
    if (isNew) setMode(path, mode)
    return async () => {
      heldDatabases.delete(held)
      held.close()
    }
  }
}

// SQLite made the file with bits of its own. By name, for chmod(2) opens nothing. Held is held, whatever it says.
function setMode(path: string, mode: number): void {
  try {
    chmodSync(path, mode)
  } catch {
    // somebody else made it in the same moment, so it is theirs
  }
}

function holderPath(path: string): string {
  return `${path}.json`
}

// For people's eyes only, so a full disk or a file of another user must not keep the log from opening.
async function writeHolder(path: string, mode: number): Promise<void> {
  const holder: LockHolder = { pid: process.pid, hostname: hostname(), since: new Date().toISOString() }
  await writeFile(holderPath(path), `${JSON.stringify(holder)}\n`, { mode }).catch(() => undefined)
}

const maxHolderBytes = 4096

/** Who says to hold the lock; what can't be made sense of is left out. */
async function readHolder(path: string): Promise<LockHolder> {
  try {
    const file = await openHandle(holderPath(path), 'r')
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(maxHolderBytes), 0, maxHolderBytes, 0)
      return holderFrom(JSON.parse(buffer.toString('utf8', 0, bytesRead)))
    } finally {
      await file.close()
    }
  } catch {
    return {}
  }
}

function holderFrom(value: unknown): LockHolder {
  const { pid, hostname: host, since } = (value ?? {}) as Record<string, unknown>
  return {
    ...(typeof pid === 'number' && Number.isSafeInteger(pid) && pid > 0 && { pid }),
    ...(typeof host === 'string' && /^[\w.-]{1,255}$/.test(host) && { hostname: host }),
    ...(typeof since === 'string' && /^[\d:TZ.+-]{10,40}$/.test(since) && { since }),
  }
}

function lockedError(path: string, holder: LockHolder): WalError {
  const { since } = holder
  const who = `${nameHolder(holder)} holds its lock${since === undefined ? '' : ` since ${since}`}`
  return new WalError(
    'ERR_WAL_LOCKED',
    `The log is in use: ${who} (${path}). A log has one writer at a time: close it there, or end that process; the ` +
      'lock ends with it. Deleting the lock file frees nothing and lets two writers destroy the log.',
    { path, holder },
  )
}

function unavailableError(path: string, cause: unknown): WalError {
  return new WalError(
    'ERR_WAL_OPTION',
    `No lock can be taken on ${path}: ${reasonOf(cause)}. Without a lock two writers would destroy the log. Put it on ` +
      'a local file system that has locks, or give a `fileSystem` with a `lock` of its own.',
    { option: 'fileSystem', path, cause },
  )
}

function openError(path: string, cause: unknown): WalError {
  const remedy = isNoSpace(cause)
    ? 'Free space on its file system, then open the log again.'
    : isOutOfDescriptors(cause)
      ? descriptorsRemedy
      : 'This process must be able to write in that directory, and to that file.'
  const code = isNoSpace(cause) ? 'ERR_WAL_NO_SPACE' : 'ERR_WAL_WRITE_FAILED'
  return new WalError(code, `Can't open the lock file ${path}: ${reasonOf(cause)}. ${remedy}`, { path, cause })
}
