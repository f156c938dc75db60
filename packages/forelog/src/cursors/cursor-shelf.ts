/**
 * All cursors of a log: opening, listing and deleting them, and what the slowest one that holds still needs.
 */
import { join } from 'node:path'
import { isOutOfDescriptors, nameHolder, WalError } from '../errors.js'
import type { FileLock } from '../files/file-system.js'
import { checkNames, wrong } from '../options.js'
import type { Cursor, CursorInfo, CursorOptions } from '../reading/cursor.js'
import { outOfRange } from '../reading/entry-reader.js'
import { runPooled } from '../steps.js'
import { CursorDirectory } from './cursor-directory.js'
import { checkCursorName, commitCursor, createCursor, readSlots, restateCursor, settleFile, type StoredCursor } from './cursor-file.js'
import { CursorGate, freeLock } from './cursor-gate.js'
import type { CursorHost } from './cursor-host.js'
import { type CursorNeeds, KnownCursors } from './known-cursors.js'
import { LogCursor } from './log-cursor.js'
import { standingOf } from './standing.js'

const optionNames = { hold: true, from: true, follow: true, copy: true, signal: true } as const satisfies Record<keyof CursorOptions, true>

/** Of openings, and deletions, that run at once: while it runs, each has more files open than an open cursor keeps. */
const turns = 32

export class CursorShelf<out E> {
  readonly #host: CursorHost<E>
  readonly #directory: CursorDirectory
  readonly #open = new Map<string, LogCursor<E>>()
  readonly #gate: CursorGate
  readonly #known: KnownCursors
  #running = 0
  readonly #waiting: (() => void)[] = []

  constructor(host: CursorHost<E>) {
    this.#host = host
    this.#directory = new CursorDirectory(host.files)
    this.#gate = new CursorGate(host.files, host.isReader, () => this.#directory.changeMark())
    this.#known = new KnownCursors({
      directory: this.#directory,
      get logId() {
        return host.log.segments.logId
      },
      standing: (stored) => standingOf(stored, host.log.segments.live, host.log.firstOffset).offset,
      open: (name) => this.#open.get(name)?.stored,
    })
  }

  async open(name: string, options: CursorOptions): Promise<Cursor<E>> {
    checkCursorName(name)
    checkOptions(options)
    return this.#inTurn(() => this.#openNow(name, options))
  }

  async #inTurn<T>(run: () => Promise<T>): Promise<T> {
    if (this.#running < turns) this.#running++
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      return await run()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#running--
      else next()
    }
  }

  async #openNow(name: string, options: CursorOptions): Promise<Cursor<E>> {
    await this.#assertUsable()
    await this.#makeDirectory()
    const lock = await this.#lock(name)
    try {
      const stored = await this.#openLocked(name, options)
      this.#host.log.assertReadable()
      this.#known.note(name, stored)
      const cursor: LogCursor<E> = new LogCursor(this.#host, name, this.#directory.pathOf(name), stored, options, {
        onCommit: (committed) => {
          this.#known.note(name, committed)
          this.#host.onCommit?.(committed.offset)
        },
        release: async () => {
          await freeLock(lock)
          // Somebody may have opened it by now.
          if (this.#open.get(name) === cursor) this.#open.delete(name)
        },
      })
      this.#open.set(name, cursor)
      if (this.#host.log.ended) await cursor.close()
      return cursor
    } catch (error) {
      await freeLock(lock)
      throw error
    }
  }

  async #openLocked(name: string, options: CursorOptions): Promise<StoredCursor> {
    const { fileSystem, fileMode } = this.#host.files
    const path = this.#directory.pathOf(name)
    const slots = await runPooled(readSlots(fileSystem, path))
    if (slots === undefined) {
      return this.#gate.make(async () => {
        this.#known.forget(name)
        await this.#host.look()
        const made = this.#begin(options)
        await this.#proveBeginning(made)
        await runPooled(createCursor(fileSystem, this.#directory.path, name, made, fileMode, () => this.#directory.syncNames()))
        return made
      })
    }
    const found = slots.newest
    if (found.logId !== this.#host.log.segments.logId) {
      throw new WalError('ERR_WAL_CORRUPT', `${path} is a cursor of another log: delete it, or put the log back that it belongs to`, { path })
    }
    // What an earlier life made may not have come to its sync.
    await runPooled(this.#directory.syncNames())
    await runPooled(restateCursor(fileSystem, path, slots))
    if (options.hold === undefined || options.hold === found.hold) return found
    const changed = { ...found, hold: options.hold, sequence: found.sequence + 1 }
    await this.#gate.make(() => {
      this.#known.forget(name)
      return runPooled(commitCursor(fileSystem, path, changed))
    })
    await this.#host.look()
    return changed
  }

  #begin({ from, hold }: CursorOptions): StoredCursor {
    const { log } = this.#host
    const { segments, durableOffset } = log
    const { begins } = this.#host
    const first = from ?? begins
    if (!Number.isSafeInteger(first) || first < begins || (first > begins && first > durableOffset + 1)) throw outOfRange(log, first)
    const segmentId = segments.live[segments.indexOf(first - 1)]?.id ?? 0
    return { hold: hold ?? true, logId: segments.logId, sequence: 0, offset: first - 1, segmentId }
  }

  /**
   * A cursor proves that its offset was on stable storage. A mark that another process died in, before its sync, says where the log begins while
   * nothing proves that yet of what is in front: that is in the segment of the mark, or was synced when one before it was closed.
   */
  async #proveBeginning({ offset }: StoredCursor): Promise<void> {
    const { segments, durableOffset } = this.#host.log
    if (offset > durableOffset) await runPooled(settleFile(this.#host.files.fileSystem, segments.newest.path))
  }

  /** Those of this log, in the order of their names. */
  async list(): Promise<CursorInfo[]> {
    await this.#assertUsable()
    const names = (await this.#directory.names()) ?? []
    const closed = names.filter((name) => this.#open.get(name)?.stored === undefined)
    const read = await this.#directory.read(closed)
    const inFiles = new Map(closed.map((name, index) => [name, read[index]]))
    const { segments, firstOffset, durableOffset } = this.#host.log
    const infos: CursorInfo[] = []
    for (const name of names) {
      const stored = this.#open.get(name)?.stored ?? inFiles.get(name)
      if (stored?.logId !== segments.logId) continue
      const { offset, cut, lost } = standingOf(stored, segments.live, firstOffset)
      infos.push({ name, offset, lag: Math.max(0, durableOffset - offset), hold: stored.hold, cut, lost })
    }
    return infos
  }

  async delete(name: string): Promise<boolean> {
    checkCursorName(name)
    return this.#inTurn(() => this.#deleteNow(name))
  }

  async #deleteNow(name: string): Promise<boolean> {
    this.#host.log.assertReadable()
    if (!(await this.#directory.has(name))) return false
    const lock = await this.#lock(name)
    try {
      await this.#directory.remove(name)
      this.#known.drop(name)
    } finally {
      await freeLock(lock)
    }
    this.#host.onCommit?.(Infinity)
    return true
  }

  /**
   * Truncates in front, alone: no cursor is made, and none begins to hold, until it is over. One that another process is making, and that
   * is not made in `waitMs`, counts as one that holds everything.
   */
  whileTruncating<T>(waitMs: number, run: (needs: CursorNeeds) => Promise<T>): Promise<T> {
    // Format 1 has no cursors.
    if (this.#host.log.segments.format === 1) return run({ holder: undefined, slowest: undefined })
    return this.#gate.truncate(waitMs, async (maker) => {
      const place = maker === undefined ? undefined : { name: maker, offset: this.#host.begins - 1 }
      return run(place === undefined ? await this.#known.needs() : { holder: place, slowest: place })
    })
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open.values()].map((cursor) => cursor.close().catch(() => {})))
  }

  async #assertUsable(): Promise<void> {
    this.#host.log.assertReadable()
    await this.#host.look()
    const { segments } = this.#host.log
    const { directory } = this.#host.files
    if (segments.live.length === 0) throw new WalError('ERR_WAL_SEGMENT_MISSING', `there is no log in ${directory} yet: cursors can be made once its writer has opened it`, { path: directory })
    if (segments.format === 1) {
      throw new WalError('ERR_WAL_FORMAT', `the log in ${directory} is of format 1, which has no cursors, for nothing in it tells what was cut off: store the offset yourself`, { path: directory })
    }
  }

  async #makeDirectory(): Promise<void> {
    try {
      await this.#directory.make()
    } catch (error) {
      // The names of the log's segments stand there, too. One that could not be opened was not synced: then nothing has failed.
      const { code, cause } = error as WalError
      if (code === 'ERR_WAL_SYNC_FAILED' && !isOutOfDescriptors(cause)) this.#host.onFailure?.(error as WalError)
      throw error
    }
  }

  async #lock(name: string): Promise<FileLock> {
    const { fileSystem, fileMode } = this.#host.files
    const path = join(this.#directory.path, `${name}.lock`)
    try {
      return await fileSystem.lock(path, fileMode)
    } catch (error) {
      if (!(error instanceof WalError) || error.code !== 'ERR_WAL_LOCKED') throw error
      const { holder } = error
      throw new WalError('ERR_WAL_LOCKED', `the cursor '${name}' is in use: ${nameHolder(holder)} has it open, and one at a time may. Close it there, or end that process`, {
        path,
        // No cause: what the lock's own error advises is for logs.
        ...(holder !== undefined && { holder }),
      })
    }
  }
}

function checkOptions(options: CursorOptions): void {
  checkNames('cursor', options, optionNames)
  const { hold, from, follow, copy, signal } = options
  for (const [option, value] of Object.entries({ hold, follow, copy })) {
    if (value !== undefined && typeof value !== 'boolean') throw wrong(option, value, 'true or false')
  }
  if (from !== undefined && !Number.isSafeInteger(from)) throw wrong('from', from, 'an offset')
  if (signal !== undefined && typeof (signal as Partial<AbortSignal> | null)?.aborted !== 'boolean') throw wrong('signal', signal, 'an AbortSignal')
}
