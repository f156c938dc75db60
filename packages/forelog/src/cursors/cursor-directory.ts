/**
 * The directory `cursors/` of a log: what stands in it, how its names become durable, and what tells the writer that others changed it.
 *
 * `cursors/made` is that: bytes that are others each time a process which doesn't write the log makes a cursor, or has one hold. It is
 * written under the lock of the gate (cursor-gate.ts), before that is done, and read under it. Never synced, for what the writer knows
 * ends with its process.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { isNoSpace, reasonOf, WalError } from '../errors.js'
import { DurableFile, removeFile, syncDirectory } from '../files/durable-file.js'
import type { FileSystem } from '../files/file-system.js'
import { brieflyTogether, runPooled, step, type Steps, together } from '../steps.js'
import { cursorPath, type CursorSlots, cursorsName, listCursors, openThere, readCursor, readFrom, readSlots, settleCursor, type StoredCursor } from './cursor-file.js'

const markName = 'made'
const markBytes = 16

export interface CursorFiles {
  readonly fileSystem: FileSystem
  /** The log's. */
  readonly directory: string
  readonly fileMode: number
  readonly directoryMode: number
}

export class CursorDirectory {
  readonly path: string
  readonly #files: CursorFiles
  /** It is there, and its name durable, or will be. */
  #made: Promise<void> | undefined
  #syncing: Promise<void> | undefined
  /** The sync behind that one. */
  #syncingNext: Promise<void> | undefined

  constructor(files: CursorFiles) {
    this.#files = files
    this.path = join(files.directory, cursorsName)
  }

  /** Makes it, durably; once, for what was made stays. `ERR_WAL_SYNC_FAILED`: that of the log's directory. */
  make(): Promise<void> {
    this.#made ??= this.#make().catch((error: unknown) => {
      this.#made = undefined
      throw error
    })
    return this.#made
  }

  async #make(): Promise<void> {
    const { fileSystem, directory, directoryMode } = this.#files
    try {
      await fileSystem.makeDirectory(this.path, directoryMode)
    } catch (error) {
      const code = isNoSpace(error) ? 'ERR_WAL_NO_SPACE' : 'ERR_WAL_WRITE_FAILED'
      throw new WalError(code, `the directory ${this.path} can't be made: ${reasonOf(error)}`, { path: this.path, cause: error })
    }
    // What an earlier life made may not have come to its syncs.
    await runPooled(syncDirectory(fileSystem, directory))
  }

  pathOf(name: string): string {
    return cursorPath(this.path, name)
  }

  /** Names of cursors, sorted; undefined: there never was one. */
  names(): Promise<string[] | undefined> {
    return runPooled(listCursors(this.#files.fileSystem, this.path))
  }

  /** Whether there is one of that name, one that can't be read as well. */
  has(name: string): Promise<boolean> {
    return runPooled(this.#has(name))
  }

  *#has(name: string): Steps<boolean> {
    const file = yield* openThere(this.#files.fileSystem, this.pathOf(name), 'read')
    if (file !== undefined) yield* file.close()
    return file !== undefined
  }

  /** What is committed by each of these; undefined: there is no such cursor. */
  read(names: readonly string[]): Promise<(StoredCursor | undefined)[]> {
    return runPooled(brieflyTogether(names, (name) => readCursor(this.#files.fileSystem, this.pathOf(name))))
  }

  /** The same, with what is certain of it. */
  readSlots(names: readonly string[]): Promise<(CursorSlots | undefined)[]> {
    return runPooled(brieflyTogether(names, (name) => readSlots(this.#files.fileSystem, this.pathOf(name))))
  }

  /** The same, on stable storage. */
  settle(names: readonly string[]): Promise<(StoredCursor | undefined)[]> {
    return runPooled(together(names, (name) => settleCursor(this.#files.fileSystem, this.pathOf(name))))
  }

  async remove(name: string): Promise<void> {
    await runPooled(removeFile(this.#files.fileSystem, this.pathOf(name)))
    await runPooled(this.syncNames())
  }

  /** Makes all names durable that there are. Who asks while a sync runs shares the next one: that one begins behind what they did. */
  *syncNames(): Steps<void> {
    yield* step(
      () => this.#files.fileSystem.syncDirectorySync(this.path),
      () => this.#sharedSync(),
    )
  }

  #sharedSync(): Promise<void> {
    if (this.#syncing === undefined) return this.#sync()
    this.#syncingNext ??= this.#syncing
      .catch(() => {})
      .then(() => {
        this.#syncingNext = undefined
        return this.#sync()
      })
    return this.#syncingNext
  }

  #sync(): Promise<void> {
    const syncing = runPooled(syncDirectory(this.#files.fileSystem, this.path)).finally(() => {
      if (this.#syncing === syncing) this.#syncing = undefined
    })
    this.#syncing = syncing
    return syncing
  }

  /** See the head of this file. Its directory has to be there. */
  async changeMark(): Promise<void> {
    await runPooled(this.#writeMark())
  }

  *#writeMark(): Steps<void> {
    const { fileSystem, fileMode } = this.#files
    const path = join(this.path, markName)
    const file = (yield* openThere(fileSystem, path, 'write')) ?? (yield* DurableFile.open(fileSystem, path, { access: 'create', mode: fileMode }))
    try {
      yield* file.write([randomBytes(markBytes)], 0)
    } finally {
      yield* file.close()
    }
  }

  /** Empty where nobody has changed it yet. */
  async mark(): Promise<string> {
    return runPooled(this.#readMark())
  }

  *#readMark(): Steps<string> {
    const mark = yield* readFrom(this.#files.fileSystem, join(this.path, markName), 'read', function* (file) {
      const bytes = Buffer.alloc(markBytes)
      const length = yield* file.read(bytes, 0)
      return bytes.toString('hex', 0, length)
    })
    return mark ?? ''
  }
}
