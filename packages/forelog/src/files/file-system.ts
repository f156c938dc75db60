import type { LockHolder } from '../errors.js'

/**
 * All that the log asks of a disk. It is small so that a disk can be simulated, wrapped and made to fail: whatever goes
 * wrong on a real one can be played through this interface.
 *
 * Every operation comes twice, as in node:fs: blocking (`…Sync`, it throws) and not (it rejects). Errors carry the
 * system's `code` (`ENOSPC`, `EIO`, `ENOENT`, …). What each promises of a crash:
 *
 * - what `write` returned for may be lost, in any part, until `sync` or `dataSync` of the file has succeeded;
 * - names (made by `open` with `'create'`, moved by `rename`, dropped by `remove`) may be lost or kept, in any
 *   combination, until `syncDirectory` of their directory has succeeded;
 * - after a failed sync nothing is known of what it should have covered.
 */
export interface FileSystem {
  /** The names in a directory, in any order. `ENOENT` when it does not exist. */
  list(directory: string): Promise<string[]>
  listSync(directory: string): string[]

  /** Makes a directory and those above it; it is no error when it is there. `mode` counts for those that are made. */
  makeDirectory(directory: string, mode: number): Promise<void>
  makeDirectorySync(directory: string, mode: number): void

  /** Makes the names in a directory durable (fsync of the directory). Where a system has no such call: nothing. */
  syncDirectory(directory: string): Promise<void>
  syncDirectorySync(directory: string): void

  /** Moves a file within its directory; replaces what has the name `to`. */
  rename(from: string, to: string): Promise<void>
  renameSync(from: string, to: string): void

  /** Drops a name (unlink). */
  remove(path: string): Promise<void>
  removeSync(path: string): void

  open(path: string, options: OpenFileOptions): Promise<OpenFile>
  openSync(path: string, options: OpenFileOptions): OpenFile

  /**
   * Takes the one lock of `path`, or refuses at once: with a WalError `ERR_WAL_LOCKED` when anybody holds it, this
   * process included. The lock must end with its holder, however that dies, and must never need a person to free it. With `brief` it
   * is freed after some milliseconds as a rule: who holds it need be known only of one that is held for longer.
   */
  lock(path: string, mode: number, brief?: boolean): Promise<FileLock>

  /**
   * Tells who holds the lock of `path`, without taking it from anybody, and without making the file. Optional: where it is
   * absent, tools that look at a log can't tell whether somebody writes it.
   */
  examineLock?(path: string): Promise<LockState>

  /**
   * Gives what was just made the owner and the group of another file or directory, and its permission bits if `withMode`: as far as this
   * process may, which is no error. Optional: where it is absent, what a repair makes belongs to who runs it.
   */
  makeAlike?(path: string, other: string, withMode: boolean): Promise<void>
  makeAlikeSync?(path: string, other: string, withMode: boolean): void

  /**
   * Says that something in a directory has changed: a name, or the bytes of a file. May say so too often, and may miss it; `name` is
   * that of the file, where it is known. Keeps no process alive. Optional: where it is absent, or gives nothing, readers look again
   * and again.
   */
  watch?(directory: string, onChange: (name: string | undefined) => void): DirectoryWatch | undefined
}

export interface LockState {
  /** Whether somebody holds the lock at this moment; undefined: that can't be told here. */
  readonly held: boolean | undefined
  /** Who holds it, or who held it last and did not get round to saying that it ended. */
  readonly holder: LockHolder
}

export interface OpenFileOptions {
  /** `'read'`; `'write'`: an existing file, for reading and writing; `'create'`: a new one for both, `EEXIST` when there is one. */
  readonly access: 'read' | 'write' | 'create'
  /** Each write is on stable storage, with what is needed to read it back, when it returns (O_DSYNC). */
  readonly writeThrough?: boolean
  /** Permission bits of a created file. */
  readonly mode?: number
}

export interface OpenFile {
  /** Reads into `target` from `position`; how many bytes it got: fewer than asked for is no error, 0 is the end. */
  read(target: Uint8Array, position: number): Promise<number>
  readSync(target: Uint8Array, position: number): number

  /**
   * Writes the pieces one behind the other at `position`; how many bytes it took: fewer than given is no error, the
   * caller goes on. The pieces are not changed before it settles.
   */
  write(pieces: readonly Uint8Array[], position: number): Promise<number>
  writeSync(pieces: readonly Uint8Array[], position: number): number

  /** Cuts to `bytes`, or lengthens with zeros. */
  truncate(bytes: number): Promise<void>
  truncateSync(bytes: number): void

  /** The file's bytes, its size and all else of it onto stable storage (fsync). */
  sync(): Promise<void>
  syncSync(): void

  /** The same, but for what is not needed to read the bytes back, times for example (fdatasync). */
  dataSync(): Promise<void>
  dataSyncSync(): void

  /** Size in bytes. */
  size(): Promise<number>
  sizeSync(): number

  close(): Promise<void>
  closeSync(): void
}

/** Tells of changes until it is closed. */
export interface DirectoryWatch {
  close(): void
}

export interface FileLock {
  /** Frees the lock; again: nothing. */
  release(): Promise<void>
}
