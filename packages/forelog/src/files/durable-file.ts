import { dirname, join, resolve } from 'node:path'
import { descriptorsRemedy, isNoSpace, isOutOfDescriptors, reasonOf, systemCode, WalError, type WalErrorCode } from '../errors.js'
import type { FileSystem, OpenFile, OpenFileOptions } from './file-system.js'
import { runPooled, step, type Steps } from '../steps.js'

/**
 * What the log does with files, on any {@link FileSystem}: whole reads and writes out of short ones, files that appear
 * whole or not at all, and the system's errors turned into WalErrors that say what failed, where, and what to do.
 */

// POSIX leaves open what a write of 0 bytes means when there was something to write. It isn't an error by itself; but
// a file that goes on taking nothing would be written to for ever.
const maxWritesOfNothing = 8

/** An open file whose calls are whole, and whose errors are WalErrors. */
export class DurableFile {
  /** Where the file is; for messages and errors. */
  readonly path: string
  readonly #file: OpenFile
  readonly #access: OpenFileOptions['access']
  readonly #writeThrough: boolean
  /** Reads that nobody waits for; most files have none. */
  #reads: Set<Promise<unknown>> | undefined
  #closed = false

  /** Takes over `file`, which was opened with these options, and is closed through this from now on. */
  constructor(file: OpenFile, path: string, { access, writeThrough = false }: OpenFileOptions = { access: 'write' }) {
    this.#file = file
    this.path = path
    this.#access = access
    this.#writeThrough = writeThrough
  }

  /**
   * Opens a file. Errors: `ERR_WAL_READ_FAILED` for reading; else `ERR_WAL_NO_SPACE` or `ERR_WAL_WRITE_FAILED`. The
   * `cause` has the system's code, `ENOENT` for example.
   */
  static *open(fileSystem: FileSystem, path: string, options: OpenFileOptions): Steps<DurableFile> {
    try {
      const file = yield* step(
        () => fileSystem.openSync(path, options),
        () => fileSystem.open(path, options),
      )
      return new DurableFile(file, path, options)
    } catch (error) {
      if (options.access === 'read') throw failure('ERR_WAL_READ_FAILED', `Can't open ${path} for reading`, path, error)
      const what = options.access === 'create' ? `Can't create ${path}` : `Can't open ${path} for writing`
      throw failure(codeOfWrite(error), what, path, error)
    }
  }

  /**
   * Reads into `target` from byte `position` on, as much as fits and the file has; returns the bytes: fewer than
   * `target` holds only at the end of the file. Errors: `ERR_WAL_READ_FAILED`.
   */
  *read(target: Uint8Array, position: number): Steps<number> {
    let filled = 0
    while (filled < target.byteLength) {
      const rest = filled === 0 ? target : target.subarray(filled)
      const at = position + filled
      let bytes: number
      try {
        bytes = yield* step(
          () => this.#file.readSync(rest, at),
          () => this.#file.read(rest, at),
        )
        checkCount(bytes, rest.byteLength)
      } catch (error) {
        throw failure('ERR_WAL_READ_FAILED', `Can't read ${this.path} at byte ${at}`, this.path, error, at)
      }
      if (bytes === 0) break
      filled += bytes
    }
    return filled
  }

  /**
   * Begins to read in the thread pool, as `read` does, for whoever will come for it. `target` is not to be touched until it
   * settles, and the file is closed behind it, not under it.
   */
  beginRead(target: Uint8Array, position: number): Promise<number> {
    const reads = (this.#reads ??= new Set())
    const read = runPooled(this.read(target, position))
    const settled = read
      .catch(() => undefined)
      .then(() => {
        reads.delete(settled)
      })
    reads.add(settled)
    return read
  }

  /**
   * Writes all of the pieces, one behind the other, from byte `position` on.
   *
   * Errors, with the `position` where it stopped (what stands there now is not known): `ERR_WAL_NO_SPACE` when there is
   * no room and the file is not opened to write through; with write-through that is `ERR_WAL_SYNC_FAILED`, for it may
   * have been the sync half of the call that found no room; else `ERR_WAL_WRITE_FAILED`.
   */
  *write(pieces: readonly Uint8Array[], position: number): Steps<void> {
    let rest = pieces
    let restBytes = 0
    for (const piece of pieces) restBytes += piece.byteLength
    let at = position
    let writesOfNothing = 0
    while (restBytes > 0) {
      const now = rest
      const from = at
      let bytes: number
      try {
        bytes = yield* step(
          () => this.#file.writeSync(now, from),
          () => this.#file.write(now, from),
        )
        checkCount(bytes, restBytes)
        writesOfNothing = bytes === 0 ? writesOfNothing + 1 : 0
        if (writesOfNothing === maxWritesOfNothing) throw new Error(`the file took no byte in ${maxWritesOfNothing} writes`)
      } catch (error) {
        const code = this.#writeThrough && isNoSpace(error) ? 'ERR_WAL_SYNC_FAILED' : codeOfWrite(error)
        throw failure(code, `Can't write ${restBytes} bytes to ${this.path} at byte ${from}`, this.path, error, from)
      }
      if (bytes === restBytes) return
      at += bytes
      restBytes -= bytes
      rest = behind(rest, bytes)
    }
  }

  /** Everything of the file onto stable storage. Any error, a full disk included, is `ERR_WAL_SYNC_FAILED`. */
  *sync(): Steps<void> {
    try {
      yield* step(
        () => this.#file.syncSync(),
        () => this.#file.sync(),
      )
    } catch (error) {
      throw failure('ERR_WAL_SYNC_FAILED', `Can't sync ${this.path}`, this.path, error)
    }
  }

  /** The bytes and the size onto stable storage. Any error, a full disk included, is `ERR_WAL_SYNC_FAILED`. */
  *dataSync(): Steps<void> {
    try {
      yield* step(
        () => this.#file.dataSyncSync(),
        () => this.#file.dataSync(),
      )
    } catch (error) {
      throw failure('ERR_WAL_SYNC_FAILED', `Can't sync ${this.path}`, this.path, error)
    }
  }

  /** Cuts to `bytes`, or lengthens with zeros. Errors: `ERR_WAL_NO_SPACE`, `ERR_WAL_WRITE_FAILED`. */
  *truncate(bytes: number): Steps<void> {
    try {
      yield* step(
        () => this.#file.truncateSync(bytes),
        () => this.#file.truncate(bytes),
      )
    } catch (error) {
      throw failure(codeOfWrite(error), `Can't set the size of ${this.path} to ${bytes} bytes`, this.path, error, bytes)
    }
  }

  /** Size in bytes. Errors: `ERR_WAL_READ_FAILED`. */
  *size(): Steps<number> {
    try {
      return yield* step(
        () => this.#file.sizeSync(),
        () => this.#file.size(),
      )
    } catch (error) {
      throw failure('ERR_WAL_READ_FAILED', `Can't get the size of ${this.path}`, this.path, error)
    }
  }

  /**
   * Closes the file; again: nothing, after a failure too (close(2): the descriptor is gone either way). Syncs nothing.
   * Errors: `ERR_WAL_WRITE_FAILED`, of a file that was opened for reading `ERR_WAL_READ_FAILED`.
   */
  *close(): Steps<void> {
    if (this.#closed) return
    this.#closed = true
    // A descriptor that is closed may be given to another file, while a read waits in the pool to use it.
    const reads = [...(this.#reads ?? [])]
    const closeBehindReads = (): Promise<void> => Promise.all(reads).then(() => this.#file.close())
    const reading = reads.length > 0
    try {
      yield* step(
        () => (reading ? void closeBehindReads().catch(() => {}) : this.#file.closeSync()),
        () => (reading ? closeBehindReads() : this.#file.close()),
      )
    } catch (error) {
      throw failure(this.#access === 'read' ? 'ERR_WAL_READ_FAILED' : 'ERR_WAL_WRITE_FAILED', `Can't close ${this.path}`, this.path, error)
    }
  }
}

/**
 * Makes the file `name` with these bytes so that a crash leaves all of it or nothing under that name: written and
 * synced under `temporaryName`, put in place, the directory synced. Returns it, open for reading and writing.
 *
 * To be called by the holder of the log's lock alone: that nothing has the name yet is checked, and only the lock keeps
 * the answer true until the rename, which would replace it (rename(2)).
 *
 * Errors: those of {@link DurableFile}; the temporary file is then removed, if that can be done. `ERR_WAL_SYNC_FAILED`
 * when the directory can't be synced: the file is then in place, but a crash may take its name back.
 *
 * @param syncNames syncs the directory, for those who share that with others; it has to begin when it is called, or later
 */
export function* createDurably(
  fileSystem: FileSystem,
  directory: string,
  name: string,
  temporaryName: string,
  pieces: readonly Uint8Array[],
  mode: number,
  syncNames?: () => Steps<void>,
): Steps<DurableFile> {
  const prepared = yield* PreparedFile.make(fileSystem, directory, temporaryName, pieces, mode)
  return yield* prepared.putInPlace(name, syncNames)
}

/** A file under a temporary name, its bytes on stable storage: what a file is before it is there. */
export class PreparedFile {
  readonly bytes: number
  readonly #fileSystem: FileSystem
  readonly #directory: string
  readonly #temporaryPath: string
  readonly #file: OpenFile
  /** The same file, under its temporary name. */
  readonly #temporary: DurableFile

  private constructor(fileSystem: FileSystem, directory: string, temporaryPath: string, file: OpenFile, bytes: number) {
    this.bytes = bytes
    this.#fileSystem = fileSystem
    this.#directory = directory
    this.#temporaryPath = temporaryPath
    this.#file = file
    this.#temporary = new DurableFile(file, temporaryPath)
  }

  /** Makes it with these bytes, and syncs them. What fails leaves no file, if that can be done. */
  static *make(fileSystem: FileSystem, directory: string, temporaryName: string, pieces: readonly Uint8Array[], mode: number): Steps<PreparedFile> {
    const temporaryPath = join(directory, temporaryName)
    yield* removeFile(fileSystem, temporaryPath) // of a life that ended between the two names
    const bytes = pieces.reduce((sum, piece) => sum + piece.byteLength, 0)
    const prepared = new PreparedFile(fileSystem, directory, temporaryPath, yield* openNew(fileSystem, temporaryPath, mode), bytes)
    yield* prepared.#orDiscard(prepared.#write(pieces))
    return prepared
  }

  /** Writes over its beginning, and syncs that. */
  begin(pieces: readonly Uint8Array[]): Steps<void> {
    return this.#orDiscard(this.#write(pieces))
  }

  /**
   * Gives it its name, durably, and hands it over. To be called by the holder of the log's lock alone: that nothing has the name
   * yet is checked, and only the lock keeps the answer true until the rename, which would replace it (rename(2)).
   */
  *putInPlace(name: string, syncNames?: () => Steps<void>): Steps<DurableFile> {
    const path = join(this.#directory, name)
    yield* this.#orDiscard(this.#rename(path))
    const created = new DurableFile(this.#file, path)
    try {
      if (syncNames !== undefined) yield* syncNames()
      else {
        yield* syncDirectory(this.#fileSystem, this.#directory)
      }
    } catch (error) {
      yield* quietly(created.close())
      throw error
    }
    return created
  }

  /** Closes and removes it; says nothing of an error: opening removes what is left. */
  *discard(): Steps<void> {
    yield* quietly(this.#temporary.close())
    yield* quietly(removeFile(this.#fileSystem, this.#temporaryPath))
  }

  *#write(pieces: readonly Uint8Array[]): Steps<void> {
    yield* this.#temporary.write(pieces, 0)
    yield* this.#temporary.dataSync()
  }

  *#rename(path: string): Steps<void> {
    yield* checkFree(this.#fileSystem, path)
    yield* rename(this.#fileSystem, this.#temporaryPath, path)
  }

  *#orDiscard(steps: Steps<void>): Steps<void> {
    try {
      yield* steps
    } catch (error) {
      yield* this.discard()
      throw error
    }
  }
}

/** The names in a directory. Errors: `ERR_WAL_READ_FAILED`. */
export function* listDirectory(fileSystem: FileSystem, directory: string): Steps<string[]> {
  try {
    return yield* step(
      () => fileSystem.listSync(directory),
      () => fileSystem.list(directory),
    )
  } catch (error) {
    throw failure('ERR_WAL_READ_FAILED', `Can't list the directory ${directory}`, directory, error)
  }
}

/** Makes the names in a directory durable. Any error is `ERR_WAL_SYNC_FAILED`. */
export function* syncDirectory(fileSystem: FileSystem, directory: string): Steps<void> {
  try {
    yield* step(
      () => fileSystem.syncDirectorySync(directory),
      () => fileSystem.syncDirectory(directory),
    )
  } catch (error) {
    throw failure('ERR_WAL_SYNC_FAILED', `Can't sync the directory ${directory}`, directory, error)
  }
}

// What a directory says that this process may not open, that can't be written, or that lies on a file system without
// such a sync. An error of the disk is not among them.
const cannotBeSynced = new Set(['EACCES', 'EPERM', 'EROFS', 'EINVAL', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP'])

/**
 * Makes a directory's names durable, and its own name, and those of the directories above it, up to the root: a log in
 * a directory that is lost is lost. A level above that this process can't open is passed over; an error of a sync
 * itself (`EIO`, `ENOSPC`, …), and any in the directory, is `ERR_WAL_SYNC_FAILED`.
 */
export function* syncDirectoryAndAbove(fileSystem: FileSystem, directory: string): Steps<void> {
  yield* syncDirectory(fileSystem, directory)
  let below = resolve(directory)
  for (let level = dirname(below); level !== below; level = dirname(below)) {
    try {
      yield* syncDirectory(fileSystem, level)
    } catch (error) {
      if (!cannotBeSynced.has(systemCode((error as WalError).cause) ?? '')) throw error
    }
    below = level
  }
}

/** Drops a file's name; one that is gone already is no error. Errors: `ERR_WAL_NO_SPACE`, `ERR_WAL_WRITE_FAILED`. */
export function* removeFile(fileSystem: FileSystem, path: string): Steps<void> {
  try {
    yield* step(
      () => fileSystem.removeSync(path),
      () => fileSystem.remove(path),
    )
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return
    throw failure(codeOfWrite(error), `Can't remove ${path}`, path, error)
  }
}

function* openNew(fileSystem: FileSystem, path: string, mode: number): Steps<OpenFile> {
  try {
    return yield* step(
      () => fileSystem.openSync(path, { access: 'create', mode }),
      () => fileSystem.open(path, { access: 'create', mode }),
    )
  } catch (error) {
    throw failure(codeOfWrite(error), `Can't create ${path}`, path, error)
  }
}

/** Asked of the name alone: a directory of ten thousand segments is not listed for each new one. */
function* checkFree(fileSystem: FileSystem, path: string): Steps<void> {
  let rival: OpenFile
  try {
    rival = yield* step(
      () => fileSystem.openSync(path, { access: 'read' }),
      () => fileSystem.open(path, { access: 'read' }),
    )
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return
    throw failure(codeOfWrite(error), `Can't create ${path}`, path, error)
  }
  yield* quietly(new DurableFile(rival, path).close())
  throw new WalError(
    'ERR_WAL_WRITE_FAILED',
    `Can't create ${path}: a file of that name is there already, and is left as it is. Nothing but the log may make ` +
      'files in its directory; open the log again.',
    { path },
  )
}

function* rename(fileSystem: FileSystem, from: string, to: string): Steps<void> {
  try {
    yield* step(
      () => fileSystem.renameSync(from, to),
      () => fileSystem.rename(from, to),
    )
  } catch (error) {
    throw failure(codeOfWrite(error), `Can't rename ${from} to ${to}`, to, error)
  }
}

/** For tidying up behind an error, which must not be hidden by a second one. */
function* quietly(steps: Steps<void>): Steps<void> {
  try {
    yield* steps
  } catch {
    // the first error is the one to tell
  }
}

/** The pieces without their first `bytes`. */
function behind(pieces: readonly Uint8Array[], bytes: number): readonly Uint8Array[] {
  let index = 0
  let skip = bytes
  for (let piece = pieces[0]; piece !== undefined && skip >= piece.byteLength; piece = pieces[index]) {
    skip -= piece.byteLength
    index++
  }
  const rest = pieces.slice(index)
  if (skip > 0 && rest[0] !== undefined) rest[0] = rest[0].subarray(skip)
  return rest
}

/** A file system that miscounts would have us skip bytes, or write some twice. */
function checkCount(bytes: number, most: number): void {
  if (!Number.isInteger(bytes) || bytes < 0 || bytes > most) {
    throw new Error(`the file system reports ${bytes} bytes where 0 to ${most} are possible`)
  }
}

function codeOfWrite(error: unknown): 'ERR_WAL_NO_SPACE' | 'ERR_WAL_WRITE_FAILED' {
  return isNoSpace(error) ? 'ERR_WAL_NO_SPACE' : 'ERR_WAL_WRITE_FAILED'
}

const remedies = {
  ERR_WAL_NO_SPACE: 'Free space on that file system, or raise the quota, and try again.',
  ERR_WAL_WRITE_FAILED: 'Find the cause (permissions, mount, limits, the kernel log for the disk), then open the log again.',
  ERR_WAL_SYNC_FAILED:
    'What it should have covered may be lost, and a second sync would prove nothing: check the disk and its free ' +
    'space, then open the log again, which settles what is durable.',
  ERR_WAL_READ_FAILED: 'Find the cause (permissions, limits, the kernel log for the disk), then open the log again.',
} as const satisfies Partial<Record<WalErrorCode, string>>

function failure(
  code: keyof typeof remedies,
  what: string,
  path: string,
  cause: unknown,
  position?: number,
): WalError {
  const facts = position === undefined ? { path, cause } : { path, position, cause }
  return new WalError(code, `${what}: ${reasonOf(cause)}. ${isOutOfDescriptors(cause) ? descriptorsRemedy : remedies[code]}`, facts)
}
