import fs from 'node:fs'
import { dirname } from 'node:path'
import { systemCode } from '../errors.js'
import { runBlocking, runPooled, step, type Steps } from '../steps.js'
import { examineLock, lockFile } from './directory-lock.js'
import type { DirectoryWatch, FileLock, FileSystem, LockState, OpenFile, OpenFileOptions } from './file-system.js'

/**
 * The file system of the machine, on the plain descriptors of node:fs.
 *
 * Descriptors, not FileHandles: a FileHandle is closed by the garbage collector when the last reference goes, with a
 * warning, and costs more per call.
 *
 * What libuv (src/unix/fs.c), which makes the calls, does on its own:
 *
 * - every open has O_CLOEXEC, so a child process inherits neither files nor the lock;
 * - all calls but read and close are repeated after EINTR; read is repeated here; a close that was interrupted counts as
 *   done, as it should (close(2): the descriptor is gone, a second close could hit another file);
 * - on macOS, where fsync(2) leaves the bytes in the drive's cache, fsync and fdatasync are both
 *   `fcntl(F_FULLFSYNC)`; where a file system refuses that, F_BARRIERFSYNC, then plain fsync.
 *
 * On Windows a directory can't be opened for a sync and there is no call to make a name durable: `syncDirectory` does
 * nothing there, and how soon names are durable is the file system's own affair.
 */
export const nodeFileSystem: FileSystem = {
  list: (directory) => new Promise((resolve, reject) => fs.readdir(directory, settle(resolve, reject))),
  listSync: (directory) => fs.readdirSync(directory),

  makeDirectory: (directory, mode) => runPooled(makeDirectory(directory, mode)),
  makeDirectorySync: (directory, mode) => runBlocking(makeDirectory(directory, mode)),

  syncDirectory,
  syncDirectorySync,

  rename: (from, to) => new Promise((resolve, reject) => fs.rename(from, to, settleVoid(resolve, reject))),
  renameSync: (from, to) => fs.renameSync(from, to),

  remove: (path) => new Promise((resolve, reject) => fs.unlink(path, settleVoid(resolve, reject))),
  removeSync: (path) => fs.unlinkSync(path),

  open: async (path, options) => new NodeFile(await open(path, flagsOf(options), options.mode), needsSyncAfterWrite(options)),
  openSync: (path, options) =>
    new NodeFile(fs.openSync(path, flagsOf(options), options.mode), needsSyncAfterWrite(options)),

  lock: (path, mode, brief): Promise<FileLock> => lockFile(path, mode, undefined, brief === true ? briefLockMs : 0),
  examineLock: (path): Promise<LockState> => examineLock(path),

  makeAlike: (path, other, withMode) => runPooled(makeAlike(path, other, withMode)),
  makeAlikeSync: (path, other, withMode) => runBlocking(makeAlike(path, other, withMode)),

  watch,
}

/**
 * One by one, from the first that is missing. Not by `recursive` of node:fs: where a directory can't be made although the one above it is
 * there (in /proc, for example), that tries again for ever.
 */
function* makeDirectory(directory: string, mode: number): Steps<void> {
  // As a rule it is there, and an error to say so takes several times as long.
  if (yield* isDirectory(directory)) return
  const error = yield* tryToMake(directory, mode)
  if (error === undefined) return
  const above = dirname(directory)
  if (systemCode(error) !== 'ENOENT' || above === directory) throw error
  yield* makeDirectory(above, mode)
  const again = yield* tryToMake(directory, mode)
  if (again !== undefined) throw again
}

/** Why there is no such directory afterwards; undefined: there is. */
function* tryToMake(directory: string, mode: number): Steps<Error | undefined> {
  try {
    yield* step(
      () => fs.mkdirSync(directory, { mode }),
      () => fs.promises.mkdir(directory, { mode }),
    )
    return undefined
  } catch (error) {
    // EEXIST as a rule; but a disk that is read-only, or a root, may say something else of what is there.
    return (yield* isDirectory(directory)) ? undefined : (error as Error)
  }
}

function* isDirectory(path: string): Steps<boolean> {
  try {
    const stats = yield* step(
      () => fs.statSync(path),
      () => fs.promises.stat(path),
    )
    return stats.isDirectory()
  } catch {
    return false
  }
}

/** A lock that is held for longer is noted as anybody's. */
const briefLockMs = 50

// Only root gives files away, others at the most to a group of theirs; some file systems have no owners.
const cannotBeGiven = new Set(['EPERM', 'EACCES', 'EINVAL', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP'])

function* makeAlike(path: string, other: string, withMode: boolean): Steps<void> {
  const { uid, gid, mode } = yield* step(
    () => fs.statSync(other),
    () => fs.promises.stat(other),
  )
  // Without the right to give it away, the group alone may be allowed.
  if (!(yield* changeOwner(path, uid, gid))) yield* changeOwner(path, -1, gid)
  if (!withMode) return
  yield* step(
    () => fs.chmodSync(path, mode & 0o777),
    () => fs.promises.chmod(path, mode & 0o777),
  )
}

/** Whether it could be done. */
function* changeOwner(path: string, uid: number, gid: number): Steps<boolean> {
  try {
    yield* step(
      () => fs.chownSync(path, uid, gid),
      () => fs.promises.chown(path, uid, gid),
    )
    return true
  } catch (error) {
    if (cannotBeGiven.has(systemCode(error) ?? '')) return false
    throw error
  }
}

/** Undefined where the system has no notifications left to give, or none for this file system. */
function watch(directory: string, onChange: (name: string | undefined) => void): DirectoryWatch | undefined {
  try {
    const watcher = fs.watch(directory, { persistent: false }, (_event, name) => onChange(name ?? undefined))
    // The directory was removed, for example: whoever reads finds that out by reading.
    watcher.on('error', () => watcher.close())
    return { close: () => watcher.close() }
  } catch {
    return undefined
  }
}

// Absent on Windows, whatever the types say.
const { O_DSYNC, O_DIRECTORY } = fs.constants as { O_DSYNC?: number; O_DIRECTORY?: number }

// macOS has O_DSYNC, but such a write stops at the drive's cache, like its fsync(2): it isn't used there.
const writeThroughFlag = process.platform === 'darwin' ? undefined : O_DSYNC

// Never O_APPEND: Linux then ignores the position of a write (pwrite(2), BUGS).
const accessFlags = {
  read: fs.constants.O_RDONLY,
  write: fs.constants.O_RDWR,
  create: fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_EXCL,
} as const

function flagsOf({ access, writeThrough }: OpenFileOptions): number {
  return accessFlags[access] | (writeThrough === true ? (writeThroughFlag ?? 0) : 0)
}

function needsSyncAfterWrite({ writeThrough }: OpenFileOptions): boolean {
  return writeThrough === true && writeThroughFlag === undefined
}

// IOV_MAX of Linux, macOS and the BSDs; what is left over is a short write, and the caller goes on.
const maxPieces = 1024

// node:fs takes lengths as 32-bit integers; Linux itself moves at most 0x7ffff000 bytes in a call (write(2)).
const maxCallBytes = 0x4000_0000

class NodeFile implements OpenFile {
  // -1 once closed: the number may soon belong to another file, and a late write must not go there.
  #fd: number
  readonly #syncAfterWrite: boolean

  constructor(fd: number, syncAfterWrite: boolean) {
    this.#fd = fd
    this.#syncAfterWrite = syncAfterWrite
  }

  read(target: Uint8Array, position: number): Promise<number> {
    const fd = this.#fd
    const length = Math.min(target.byteLength, maxCallBytes)
    return new Promise((resolve, reject) => {
      const attempt = (): void =>
        fs.read(fd, target, 0, length, position, (error, bytes) => {
          if (error === null) resolve(bytes)
          else if (isInterrupted(error)) attempt()
          else reject(error)
        })
      attempt()
    })
  }

  readSync(target: Uint8Array, position: number): number {
    const length = Math.min(target.byteLength, maxCallBytes)
    for (;;) {
      try {
        return fs.readSync(this.#fd, target, 0, length, position)
      } catch (error) {
        if (!isInterrupted(error)) throw error
      }
    }
  }

  write(pieces: readonly Uint8Array[], position: number): Promise<number> {
    const written = this.#write(pieces, position)
    return this.#syncAfterWrite ? written.then((bytes) => this.dataSync().then(() => bytes)) : written
  }

  writeSync(pieces: readonly Uint8Array[], position: number): number {
    const [first] = pieces
    if (first === undefined) return 0
    for (;;) {
      try {
        const bytes =
          pieces.length === 1
            ? fs.writeSync(this.#fd, first, 0, Math.min(first.byteLength, maxCallBytes), position)
            : fs.writevSync(this.#fd, pieces.slice(0, maxPieces), position)
        if (this.#syncAfterWrite) this.dataSyncSync()
        return bytes
      } catch (error) {
        if (!isInterrupted(error)) throw error
      }
    }
  }

  truncate(bytes: number): Promise<void> {
    return new Promise((resolve, reject) => fs.ftruncate(this.#fd, bytes, settleVoid(resolve, reject)))
  }

  truncateSync(bytes: number): void {
    fs.ftruncateSync(this.#fd, bytes)
  }

  sync(): Promise<void> {
    return new Promise((resolve, reject) => fs.fsync(this.#fd, settleVoid(resolve, reject)))
  }

  syncSync(): void {
    fs.fsyncSync(this.#fd)
  }

  dataSync(): Promise<void> {
    return new Promise((resolve, reject) => fs.fdatasync(this.#fd, settleVoid(resolve, reject)))
  }

  dataSyncSync(): void {
    fs.fdatasyncSync(this.#fd)
  }

  size(): Promise<number> {
    return new Promise((resolve, reject) =>
      fs.fstat(this.#fd, (error, stats) => (error === null ? resolve(stats.size) : reject(error))),
    )
  }

  sizeSync(): number {
    return fs.fstatSync(this.#fd).size
  }

  close(): Promise<void> {
    const fd = this.#fd
    this.#fd = -1
    return close(fd)
  }

  closeSync(): void {
    const fd = this.#fd
    this.#fd = -1
    fs.closeSync(fd)
  }

  #write(pieces: readonly Uint8Array[], position: number): Promise<number> {
    const [first] = pieces
    if (first === undefined) return Promise.resolve(0)
    const fd = this.#fd
    return new Promise((resolve, reject) => {
      const done = (error: NodeJS.ErrnoException | null, bytes: number): void => {
        if (error === null) resolve(bytes)
        else if (isInterrupted(error)) attempt()
        else reject(error)
      }
      const attempt = (): void => {
        if (pieces.length === 1) fs.write(fd, first, 0, Math.min(first.byteLength, maxCallBytes), position, done)
        else fs.writev(fd, pieces.slice(0, maxPieces), position, done)
      }
      attempt()
    })
  }
}

async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === 'win32') return
  const fd = await open(directory, fs.constants.O_RDONLY | (O_DIRECTORY ?? 0))
  try {
    await new Promise<void>((resolve, reject) => fs.fsync(fd, settleVoid(resolve, reject)))
  } catch (error) {
    await close(fd).catch(() => undefined) // the failed sync is what the caller must hear of
    throw error
  }
  await close(fd)
}

function syncDirectorySync(directory: string): void {
  if (process.platform === 'win32') return
  const fd = fs.openSync(directory, fs.constants.O_RDONLY | (O_DIRECTORY ?? 0))
  try {
    fs.fsyncSync(fd)
  } catch (error) {
    try {
      fs.closeSync(fd)
    } catch {
      // the failed sync is what the caller must hear of
    }
    throw error
  }
  fs.closeSync(fd)
}

function open(path: string, flags: number, mode?: number): Promise<number> {
  return new Promise((resolve, reject) => fs.open(path, flags, mode, settle(resolve, reject)))
}

function close(fd: number): Promise<void> {
  return new Promise((resolve, reject) => fs.close(fd, settleVoid(resolve, reject)))
}

type Failure = NodeJS.ErrnoException | null | undefined

function settle<T>(resolve: (value: T) => void, reject: (error: unknown) => void): (error: Failure, value: T) => void {
  return (error, value) => (error ? reject(error) : resolve(value))
}

function settleVoid(resolve: () => void, reject: (error: unknown) => void): (error?: Failure) => void {
  return (error) => (error ? reject(error) : resolve())
}

function isInterrupted(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'EINTR'
}
