/**
 * A file system on which what is made belongs to whom its neighbours belong: for who repairs a log as another user, root most often, than the one
 * that goes on with it.
 */
import { changedFileSystem } from './changed-file-system.js'
import type { FileSystem, OpenFile, OpenFileOptions } from './file-system.js'
import { runBlocking, runPooled, step, type Steps } from '../steps.js'

export interface Neighbours {
  /** A segment: as which files are made. */
  readonly file: string
  readonly directory: string
  /** Whether permission bits are theirs, too, and not those that are asked for. */
  readonly fileModes: boolean
  readonly directoryModes: boolean
}

/** `fileSystem` itself where it knows no owners. */
export function likeNeighbours(fileSystem: FileSystem, { file, directory, fileModes, directoryModes }: Neighbours): FileSystem {
  if (fileSystem.makeAlike === undefined || fileSystem.makeAlikeSync === undefined) return fileSystem
  const alike = (path: string, other: string, withMode: boolean): Steps<void> =>
    step(
      () => fileSystem.makeAlikeSync?.(path, other, withMode),
      async () => await fileSystem.makeAlike?.(path, other, withMode),
    )
  function* open(path: string, options: OpenFileOptions): Steps<OpenFile> {
    const opened = yield* step(
      () => fileSystem.openSync(path, options),
      () => fileSystem.open(path, options),
    )
    if (options.access !== 'create') return opened
    try {
      yield* alike(path, file, fileModes)
    } catch (error) {
      yield* step(
        () => opened.closeSync(),
        () => opened.close(),
      )
      throw error
    }
    return opened
  }
  function* makeDirectory(path: string, mode: number): Steps<void> {
    const isThere = yield* exists(fileSystem, path)
    yield* step(
      () => fileSystem.makeDirectorySync(path, mode),
      () => fileSystem.makeDirectory(path, mode),
    )
    if (!isThere) yield* alike(path, directory, directoryModes)
  }
  return changedFileSystem(fileSystem, {
    open: (path, options) => runPooled(open(path, options)),
    openSync: (path, options) => runBlocking(open(path, options)),
    makeDirectory: (path, mode) => runPooled(makeDirectory(path, mode)),
    makeDirectorySync: (path, mode) => runBlocking(makeDirectory(path, mode)),
  })
}

function* exists(fileSystem: FileSystem, directory: string): Steps<boolean> {
  try {
    yield* step(
      () => fileSystem.listSync(directory),
      () => fileSystem.list(directory),
    )
    return true
  } catch {
    return false
  }
}
