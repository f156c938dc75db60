/**
 * Between those who make cursors and those who truncate in front: a cursor that begins at an entry, or begins to hold, must not be
 * overlooked by a truncation that takes that entry away.
 *
 * Making is done together with other making, a truncation alone; who comes later waits. So either the truncation sees the cursor and
 * stops in front of what it needs, or the cursor sees where the log begins now. Truncations are the writer's. A reader, which is in
 * another process as a rule, makes cursors under a lock of the kernel, which ends with it, and the writer takes that for a truncation.
 */
import { join } from 'node:path'
import { isNoSpace, nameHolder, reasonOf, WalError } from '../errors.js'
import type { FileLock, FileSystem } from '../files/file-system.js'

export const gateName = 'cursors.lock'

const betweenTriesMs = 5
/** How long making a cursor waits for a truncation in another process. */
const makingWaitsMs = 10_000

export interface GateFiles {
  readonly fileSystem: FileSystem
  /** The log's. */
  readonly directory: string
  readonly fileMode: number
}

export class CursorGate {
  readonly #files: GateFiles
  /** Whether truncations are those of another process. */
  readonly #isReader: boolean
  readonly #tellWriter: () => Promise<void>
  readonly #making = new Set<Promise<unknown>>()
  #makers = 0
  #makersLock: Promise<FileLock | undefined> | undefined
  /** The newest truncation; undefined: none is under way. */
  #truncating: Promise<void> | undefined

  /** `tellWriter`: of a reader, has the writer look for itself what there is, and is called under the lock. */
  constructor(files: GateFiles, isReader: boolean, tellWriter: () => Promise<void>) {
    this.#files = files
    this.#isReader = isReader
    this.#tellWriter = tellWriter
  }

  /** Makes a cursor, or has one hold, while nobody truncates. */
  async make<T>(run: () => Promise<T>): Promise<T> {
    while (this.#truncating !== undefined) await this.#truncating
    const making = this.#isReader ? this.#underLock(run) : run()
    this.#making.add(making)
    try {
      return await making
    } finally {
      this.#making.delete(making)
    }
  }

  /**
   * Truncates while nobody makes a cursor. `maker`: who does so in another process, and has not come to an end in `waitMs`.
   */
  truncate<T>(waitMs: number, run: (maker: string | undefined) => Promise<T>): Promise<T> {
    const running = this.#alone(this.#truncating, waitMs, run)
    const over = running.then(
      () => {},
      () => {},
    )
    this.#truncating = over
    void over.then(() => {
      if (this.#truncating === over) this.#truncating = undefined
    })
    return running
  }

  async #alone<T>(before: Promise<void> | undefined, waitMs: number, run: (maker: string | undefined) => Promise<T>): Promise<T> {
    await before
    await Promise.allSettled(this.#making)
    const lock = await this.#lock(waitMs).catch((error: unknown) => {
      if (error instanceof WalError && error.code === 'ERR_WAL_LOCKED') return error
      throw this.#notKnown(error)
    })
    if (lock instanceof WalError) return await run(`a cursor that ${nameHolder(lock.holder)} is making`)
    try {
      return await run(undefined)
    } finally {
      if (lock !== undefined) await freeLock(lock)
    }
  }

  #tooLong(error: unknown): unknown {
    if (!(error instanceof WalError) || error.code !== 'ERR_WAL_LOCKED') return error
    const path = join(this.#files.directory, gateName)
    const seconds = makingWaitsMs / 1000
    const why = `a cursor can't be made while the log is truncated, and ${nameHolder(error.holder)} has held ${path} for ${seconds} s: try again, or find out why it does not come to an end`
    return new WalError('ERR_WAL_LOCKED', why, { path, ...(error.holder !== undefined && { holder: error.holder }), cause: error })
  }

  /** Nothing was changed, and the log goes on. */
  #notKnown(error: unknown): WalError {
    const path = join(this.#files.directory, gateName)
    const why = `whether somebody is making a cursor can't be told, so nothing was truncated: ${reasonOf(error)}. Find the cause (permissions of ${path}, open files, the disk), and try again`
    return new WalError('ERR_WAL_READ_FAILED', why, { path, cause: error })
  }

  /** Those of one process share the lock. */
  async #underLock<T>(run: () => Promise<T>): Promise<T> {
    this.#makers++
    const taking = (this.#makersLock ??= this.#lock(makingWaitsMs).catch((error: unknown) => Promise.reject(this.#tooLong(error))))
    try {
      await taking
      // Before it is made: who dies in between has the writer look once too often.
      await this.#tellWriter()
      return await run()
    } finally {
      if (--this.#makers === 0) {
        this.#makersLock = undefined
        await taking.then(
          (lock) => lock && freeLock(lock),
          () => {},
        )
      }
    }
  }

  /** Undefined: there is no room for its file, and so nobody has room to make a cursor either. */
  async #lock(waitMs: number): Promise<FileLock | undefined> {
    const { fileSystem, directory, fileMode } = this.#files
    const untilMs = performance.now() + waitMs
    for (;;) {
      try {
        return await fileSystem.lock(join(directory, gateName), fileMode, true)
      } catch (error) {
        if (isNoSpace(error)) return undefined
        const isHeld = error instanceof WalError && error.code === 'ERR_WAL_LOCKED'
        if (!isHeld || performance.now() >= untilMs) throw error
      }
      await new Promise<void>((resolve) => setTimeout(resolve, betweenTriesMs))
    }
  }
}

/**
 * What it protected is done, or has failed for a reason that is not to be lost by this. Where freeing fails it may be held on: the next one
 * to take it is told by whom.
 */
export async function freeLock(lock: FileLock): Promise<void> {
  await lock.release().catch(() => {})
}
