/**
 * All cursors of a log: opening, listing and deleting them, and what the slowest one that holds still needs.
 */
import { join } from 'node:path'
import { isNoSpace, reasonOf, systemCode, WalError } from '../errors.js'
import { listDirectory, removeFile, syncDirectory } from '../files/durable-file.js'
import type { FileLock } from '../files/file-system.js'
import { checkNames, wrong } from '../options.js'
import type { Cursor, CursorInfo, CursorOptions } from '../reading/cursor.js'
import { outOfRange } from '../reading/entry-reader.js'
import { runPooled } from '../steps.js'
import { CursorGate, freeLock } from './cursor-gate.js'
import {
  checkCursorName,
  commitCursor,
  createCursor,
  type CursorSlots,
  cursorPath,
  cursorsName,
  cursorSuffix,
  readCursor,
  readSlots,
  settleCursor,
  type StoredCursor,
  writeCursor,
} from './cursor-file.js'
import type { CursorHost } from './cursor-host.js'
import { LogCursor } from './log-cursor.js'
import { standingOf } from './standing.js'

const optionNames = { hold: true, from: true, follow: true, copy: true, signal: true } as const satisfies Record<keyof CursorOptions, true>
/** Files that are read at once. */
const readsAtOnce = 32

/** How far a cursor is, or whoever is as good as one. */
export interface CursorPlace {
  readonly name: string
  /** All up to it is done. */
  readonly offset: number
}

/** What cursors, of all processes, open or not, need of the log. */
export interface CursorNeeds {
  /** The one that holds back most; undefined: none holds. */
  readonly holder: CursorPlace | undefined
  /** The slowest of all; undefined: there is none. */
  readonly slowest: CursorPlace | undefined
}

export class CursorShelf<out E> {
  readonly #host: CursorHost<E>
  readonly #directory: string
  readonly #open = new Set<LogCursor<E>>()
  readonly #gate: CursorGate

  constructor(host: CursorHost<E>) {
    this.#host = host
    this.#gate = new CursorGate(host.files, host.isReader)
    this.#directory = join(host.files.directory, cursorsName)
  }

  async open(name: string, options: CursorOptions): Promise<Cursor<E>> {
    checkCursorName(name)
    checkOptions(options)
    await this.#assertUsable()
    await this.#makeDirectory()
    const lock = await this.#lock(name)
    try {
      const stored = await this.#openLocked(name, options)
      this.#host.log.assertReadable()
      const cursor: LogCursor<E> = new LogCursor(this.#host, name, cursorPath(this.#directory, name), lock, stored, options, () => this.#open.delete(cursor))
      this.#open.add(cursor)
      if (this.#host.log.ended) await cursor.close()
      return cursor
    } catch (error) {
      await freeLock(lock)
      throw error
    }
  }

  async #openLocked(name: string, options: CursorOptions): Promise<StoredCursor> {
    const { fileSystem, directory, fileMode } = this.#host.files
    const path = cursorPath(this.#directory, name)
    // What an earlier life made may not have come to its syncs.
    await runPooled(syncDirectory(fileSystem, directory))
    const found = await runPooled(readCursor(fileSystem, path))
    if (found === undefined) {
      return this.#gate.make(async () => {
        await this.#host.look()
        const made = this.#begin(options)
        await runPooled(createCursor(fileSystem, this.#directory, name, made, fileMode))
        return made
      })
    }
    if (found.logId !== this.#host.log.segments.logId) {
      throw new WalError('ERR_WAL_CORRUPT', `${path} is a cursor of another log: delete it, or put the log back that it belongs to`, { path })
    }
    await runPooled(syncDirectory(fileSystem, this.#directory))
    // The same bytes in the same place: what was seen there may never have been synced, and must not go back any more.
    await runPooled(writeCursor(fileSystem, path, found))
    if (options.hold === undefined || options.hold === found.hold) return found
    const changed = { ...found, hold: options.hold, sequence: found.sequence + 1 }
    await this.#gate.make(() => runPooled(commitCursor(fileSystem, path, changed)))
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

  async list(): Promise<CursorInfo[]> {
    await this.#assertUsable()
    const { segments, firstOffset, durableOffset } = this.#host.log
    return (await this.#readAll((await this.#names()) ?? [])).map(({ name, newest }) => {
      const { offset, cut, lost } = standingOf(newest, segments.live, firstOffset)
      return { name, offset, lag: Math.max(0, durableOffset - offset), hold: newest.hold, cut, lost }
    })
  }

  async delete(name: string): Promise<boolean> {
    checkCursorName(name)
    this.#host.log.assertReadable()
    const { fileSystem } = this.#host.files
    if ((await this.#names())?.includes(name) !== true) return false
    const lock = await this.#lock(name)
    try {
      await runPooled(removeFile(fileSystem, cursorPath(this.#directory, name)))
      await runPooled(syncDirectory(fileSystem, this.#directory))
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
      return run(place === undefined ? await this.#needs() : { holder: place, slowest: place })
    })
  }

  /**
   * What a crash can't take back: what goes away because of it is gone for good. Cursors that are open here know what they have made durable.
   * Of the others the slot before the newest counts, or, where that would hold back more, the newest once it is synced.
   */
  async #needs(): Promise<CursorNeeds> {
    const { fileSystem } = this.#host.files
    const names = await this.#names()
    const own = new Map([...this.#open].map(({ name, stored }) => [name, stored]))
    const claims = [...own].map(([name, stored]) => this.#claimOf(name, stored))
    const others = await this.#readAll((names ?? []).filter((name) => !own.has(name)))
    const seen = needsOf([...claims, ...others.map(({ name, newest }) => this.#claimOf(name, newest))])
    const doubtful: string[] = []
    for (const { name, newest, certain } of others) {
      const least = certain && lesserOf(this.#claimOf(name, newest), this.#claimOf(name, certain))
      if (least !== undefined && !holdsBackMore(least, seen)) claims.push(least)
      else doubtful.push(name)
    }
    const settled = await inParts(doubtful, (name) => runPooled(settleCursor(fileSystem, cursorPath(this.#directory, name))))
    for (const [index, stored] of settled.entries()) if (stored !== undefined) claims.push(this.#claimOf(doubtful[index] as string, stored))
    // Cursors that are not there any more: their deletion may be under way in another process, or have been.
    if (names !== undefined) await runPooled(syncDirectory(fileSystem, this.#directory))
    return needsOf(claims)
  }

  #claimOf(name: string, stored: StoredCursor): Claim {
    const { segments, firstOffset } = this.#host.log
    return { name, offset: standingOf(stored, segments.live, firstOffset).offset, hold: stored.hold }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open].map((cursor) => cursor.close().catch(() => {})))
  }

  /** Those of this log. */
  async #readAll(names: readonly string[]): Promise<({ readonly name: string } & CursorSlots)[]> {
    const read = await inParts(names, (name) => runPooled(readSlots(this.#host.files.fileSystem, cursorPath(this.#directory, name))))
    const { logId } = this.#host.log.segments
    return read.flatMap((slots, index) => (slots?.newest.logId === logId ? [{ name: names[index] as string, ...slots }] : []))
  }

  /** In their order; undefined: there never was a cursor. */
  async #names(): Promise<string[] | undefined> {
    try {
      const names = await runPooled(listDirectory(this.#host.files.fileSystem, this.#directory))
      return names.filter((name) => name.endsWith(cursorSuffix)).map((name) => name.slice(0, -cursorSuffix.length)).sort()
    } catch (error) {
      if (systemCode((error as WalError).cause) === 'ENOENT') return undefined
      throw error
    }
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
    const { fileSystem, directoryMode } = this.#host.files
    try {
      await fileSystem.makeDirectory(this.#directory, directoryMode)
    } catch (error) {
      const code = isNoSpace(error) ? 'ERR_WAL_NO_SPACE' : 'ERR_WAL_WRITE_FAILED'
      throw new WalError(code, `the directory ${this.#directory} can't be made: ${reasonOf(error)}`, { path: this.#directory, cause: error })
    }
  }

  async #lock(name: string): Promise<FileLock> {
    const { fileSystem, fileMode } = this.#host.files
    const path = join(this.#directory, `${name}.lock`)
    try {
      return await fileSystem.lock(path, fileMode)
    } catch (error) {
      if (!(error instanceof WalError) || error.code !== 'ERR_WAL_LOCKED') throw error
      const { holder } = error
      const who = holder?.pid === undefined ? 'somebody' : `process ${holder.pid}${holder.hostname === undefined ? '' : ` on ${holder.hostname}`}`
      throw new WalError('ERR_WAL_LOCKED', `the cursor '${name}' is in use: ${who} has it open, and one at a time may. Close it there, or end that process`, {
        path,
        // No cause: what the lock's own error advises is for logs.
        ...(holder !== undefined && { holder }),
      })
    }
  }
}

interface Claim extends CursorPlace {
  readonly hold: boolean
}

function needsOf(claims: readonly Claim[]): CursorNeeds {
  let holder: CursorPlace | undefined
  let slowest: CursorPlace | undefined
  for (const { name, offset, hold } of claims) {
    if (slowest === undefined || offset < slowest.offset) slowest = { name, offset }
    if (hold && (holder === undefined || offset < holder.offset)) holder = { name, offset }
  }
  return { holder, slowest }
}

/** Whichever of the two a crash leaves. */
function lesserOf(a: Claim, b: Claim): Claim {
  return { name: a.name, offset: Math.min(a.offset, b.offset), hold: a.hold || b.hold }
}

function holdsBackMore({ offset, hold }: Claim, { holder, slowest }: CursorNeeds): boolean {
  return offset < (slowest?.offset ?? Infinity) || (hold && offset < (holder?.offset ?? Infinity))
}

async function inParts<T, R>(all: readonly T[], run: (each: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  for (let at = 0; at < all.length; at += readsAtOnce) results.push(...(await Promise.all(all.slice(at, at + readsAtOnce).map(run))))
  return results
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
