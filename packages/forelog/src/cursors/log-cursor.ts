/**
 * A cursor that somebody has open: the one holder of its name.
 */
import { WalError } from '../errors.js'
import { showAs } from '../inspect.js'
import type { Cursor, CursorOptions, OffsetRange } from '../reading/cursor.js'
import { outOfRange, type StoredEntry } from '../reading/entry-reader.js'
import { runPooled } from '../steps.js'
import { commitCursor, type StoredCursor } from './cursor-file.js'
import type { CursorHost } from './cursor-host.js'
import { type Standing, standingOf } from './standing.js'

/** What a cursor tells of itself. */
export interface CursorHolding {
  /** Something was committed. */
  onCommit(stored: StoredCursor): void
  /** Its last commit is over. */
  release(): Promise<void>
}

export class LogCursor<out E> implements Cursor<E> {
  readonly name: string
  readonly #host: CursorHost<E>
  readonly #path: string
  readonly #holding: CursorHolding
  readonly #options: CursorOptions
  readonly #ending = new AbortController()
  /** As it is durable. */
  #stored: StoredCursor
  #standing: Standing
  /** Cuts of the log when what was handed out last was known to be there. */
  #seenCuts: number
  /** The furthest commit that waits. */
  #wanted: { readonly offset: number; readonly segmentId: number } | undefined
  #writing: Promise<void> = Promise.resolve()
  #closing: Promise<void> | undefined

  static {
    showAs(LogCursor, 'Cursor', (cursor: LogCursor<unknown>) => {
      const { name, offset, lag, hold, cut, lost } = cursor
      const state = cursor.#closing === undefined ? 'open' : 'closed'
      return { name, state, offset, lag, hold, ...(cut !== undefined && { cut }), ...(lost !== undefined && { lost }) }
    })
  }

  constructor(host: CursorHost<E>, name: string, path: string, stored: StoredCursor, options: CursorOptions, holding: CursorHolding) {
    this.#host = host
    this.name = name
    this.#path = path
    this.#holding = holding
    this.#stored = stored
    this.#options = options
    this.#standing = standingOf(stored, host.log.segments.live, host.log.firstOffset)
    this.#seenCuts = host.log.segments.cutCount
  }

  /** What is on stable storage, whatever its file shows while a commit is under way, or after one has failed; while nobody else can change that. */
  get stored(): StoredCursor | undefined {
    return this.#closing === undefined ? this.#stored : undefined
  }

  get offset(): number {
    return this.#look().offset
  }

  get lag(): number {
    return Math.max(0, this.#host.log.durableOffset - this.offset)
  }

  get hold(): boolean {
    return this.#stored.hold
  }

  get cut(): OffsetRange | undefined {
    return this.#look().cut
  }

  get lost(): OffsetRange | undefined {
    return this.#look().lost
  }

  [Symbol.asyncIterator](): AsyncGenerator<StoredEntry<E>, undefined> {
    return this.#iterate()
  }

  async *#iterate(): AsyncGenerator<StoredEntry<E>, undefined> {
    this.#assertOpen()
    await this.#host.look()
    this.#seenCuts = this.#host.log.segments.cutCount
    const { offset, lost } = this.#look()
    if (lost !== undefined) throw this.#lostError(lost)
    const from = offset + 1
    for await (const stored of this.#source(from)) {
      if (stored.offset < from) this.#passOver(stored.offset)
      else {
        this.#see(stored.offset)
        yield stored
      }
    }
  }

  #source(from: number): AsyncIterable<StoredEntry<E>> {
    const { copy, signal, follow } = this.#options
    const { lastOffset, durableOffset } = this.#host.log
    const options = {
      // A reader in another process may not have the proof yet that what was committed is there.
      from: Math.min(from, lastOffset + 1),
      signal: signal === undefined ? this.#ending.signal : AbortSignal.any([this.#ending.signal, signal]),
      ...(copy !== undefined && { copy }),
    }
    if (follow === false) return this.#host.entries({ ...options, to: durableOffset })
    return this.#host.follow(options)
  }

  /** An entry that is committed: unless it only has the offset of one that was. */
  #passOver(offset: number): void {
    const { cut } = this.#look()
    if (cut !== undefined && offset >= cut.first) throw outOfRange(this.#host.log, offset, 'was committed, cut off, and given again')
  }

  #see(offset: number): void {
    const { segments } = this.#host.log
    if (segments.lowestCutSince(this.#seenCuts) < offset) throw outOfRange(this.#host.log, offset, 'was cut off')
    this.#seenCuts = segments.cutCount
  }

  commit(offset: number): Promise<void> {
    try {
      this.#assertOpen()
      const { log } = this.#host
      if (!Number.isSafeInteger(offset) || offset < 0) throw outOfRange(log, offset)
      if (this.#isCommitted(offset)) return Promise.resolve()
      if (offset > log.durableOffset) throw outOfRange(log, offset, "can't be committed, for it is not on stable storage")
      if (log.segments.lowestCutSince(this.#seenCuts) < offset) throw outOfRange(log, offset, 'was cut off since it was handed out')
      return this.#commit(offset)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #isCommitted(offset: number): boolean {
    const { offset: committed, cut } = this.#look()
    return offset < committed || (offset === committed && cut === undefined)
  }

  async skipLost(): Promise<OffsetRange | undefined> {
    this.#assertOpen()
    await this.#host.look()
    const { lost } = this.#look()
    if (lost !== undefined) await this.#commit(lost.last)
    return lost
  }

  #commit(offset: number): Promise<void> {
    const { segments } = this.#host.log
    const wanted = { offset, segmentId: segments.live[segments.indexOf(offset)]?.id ?? 0 }
    if (this.#wanted === undefined || this.#wanted.offset < offset) this.#wanted = wanted
    const before = this.#writing
    const writing = before.catch(() => {}).then(() => this.#write(wanted))
    this.#writing = writing
    // Who waits behind it goes on, and whoever asked is told.
    writing.catch(() => {})
    return writing
  }

  /** Writes the furthest of what waits, unless a write before took this one along. */
  async #write(own: { readonly offset: number; readonly segmentId: number }): Promise<void> {
    const taken = this.#wanted
    if (taken === undefined && this.#isCommitted(own.offset)) return
    this.#wanted = undefined
    const { offset, segmentId } = taken ?? own
    // The same sequence again after a failure: the other slot is the one that is known to be good.
    const stored = { ...this.#stored, sequence: this.#stored.sequence + 1, offset, segmentId }
    await runPooled(commitCursor(this.#host.files.fileSystem, this.#path, stored))
    this.#stored = stored
    this.#holding.onCommit(stored)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    this.#ending.abort()
    // Whoever asked for a commit is told how it went; here it only has to be over.
    await this.#writing.catch(() => {})
    await this.#holding.release()
  }

  #look(): Standing {
    const { segments, firstOffset } = this.#host.log
    if (segments.live.length > 0) this.#standing = standingOf(this.#stored, segments.live, firstOffset)
    return this.#standing
  }

  #lostError({ first, last }: OffsetRange): WalError {
    return outOfRange(
      this.#host.log,
      first,
      `is next for the cursor '${this.name}', which does not hold, and entries ${first} to ${last} were truncated: skipLost() goes on behind them`,
    )
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw new WalError('ERR_WAL_CLOSED', `the cursor '${this.name}' is closed. Open it again, or close it later: it is closed with the log or the reader that it came from, too`, { path: this.#path })
  }
}
