/**
 * The reading half of a log that another process may be writing: no lock, no change, only what the log proves durable.
 */
import { basename } from 'node:path'
import { CursorShelf } from './cursors/cursor-shelf.js'
import type { EntryOf, EntrySource } from './entries/define-entries.js'
import { adapterFor } from './entries/entry-adapter.js'
import type { RawSource } from './entries/raw-entries.js'
import { systemCode, WalError } from './errors.js'
import type { DirectoryWatch, FileSystem } from './files/file-system.js'
import { nodeFileSystem } from './files/node-file-system.js'
import { showAs } from './inspect.js'
import { checkNames, defaultDirectoryMode, defaultFileMode, resolveDirectory } from './options.js'
import type { Cursor, CursorInfo, CursorOptions } from './reading/cursor.js'
import { EntryReader, outOfRange, type StoredEntry } from './reading/entry-reader.js'
import { checkReadOptions, entryIterable, type EntryStream, entryStream, type ReadOptions } from './reading/entry-stream.js'
import { followLog, type FollowOptions, type Watch } from './reading/follow.js'
import type { LogReader } from './reading/log-reader.js'
import { SharedTail } from './reading/shared-tail.js'
import { shownLog } from './reading/shown-log.js'
import type { GrowingLog } from './reading/tail-reader.js'
import { LogObserver } from './recovery/observe.js'
import type { SegmentInfo } from './segments/segment-set.js'
import { pause, runBlocking, runPooled, step, type Steps } from './steps.js'

/** Options of `WriteAheadLog.openReader`. */
export interface ReaderOptions<S extends EntrySource = RawSource> {
  /** What the log holds: an `EntryRegistry`, or what `defineEntries` returned. Default: raw bytes. */
  entries?: S
  /** The disk. Default: that of Node.js. */
  fileSystem?: FileSystem
}

const optionNames = { entries: true, fileSystem: true } as const satisfies Record<keyof ReaderOptions, true>

/** Behind notifications of the file system, which may be lost; and where there are none. */
const pollBehindWatchMs = 1000
const pollMs = 25
/** What comes within so long is looked at together. */
const betweenLooksMs = 2
/**
 * Linux tells of a write when it has returned, and one with O_DSYNC returns when it is synced: what it proves of the entries in front of it
 * stands there for the length of a sync by then. So while entries wait for their proof there is a look every so often without being told.
 * The first of these waits are shorter; after so long, their writer is gone or has nothing to say, and notifications and the poll are enough.
 */
const awaitingProofMs = 10
const awaitedAtMostMs = 1000
/** How often a read that fails is tried again, with a look in between, before it is believed. */
const attemptsAtMost = 5
const betweenAttemptsMs = 20
/** So long nobody asks again, for a read in batches, whether something was truncated meanwhile. */
const freshMs = 2

export class OpenedReader<out E> implements LogReader<E> {
  readonly #directory: string
  readonly #fileSystem: FileSystem
  readonly #observer: LogObserver
  readonly #readable: GrowingLog
  readonly #tail: SharedTail
  readonly #cursors: CursorShelf<E>
  #closed = false
  #looking: Promise<void> | undefined
  #lookedAtMs = 0
  #followers = 0
  /** Those of them that wait for the other process. */
  #waiting = 0
  #watch: DirectoryWatch | undefined
  #timer: NodeJS.Timeout | undefined
  /** Something has happened since the last look began. */
  #stirred = false
  #settling = false
  /** Why the last look of those that followers wait for failed. */
  #trouble: Error | undefined

  static {
    showAs(OpenedReader, 'LogReader', (reader: OpenedReader<unknown>) => {
      const { firstOffset, lastOffset } = reader
      return { path: reader.#directory, state: reader.#closed ? 'closed' : 'open', firstOffset, lastOffset }
    })
  }

  private constructor(directory: string, fileSystem: FileSystem, observer: LogObserver, adapter: GrowingLog['adapter']) {
    this.#directory = directory
    this.#fileSystem = fileSystem
    this.#observer = observer
    this.#readable = shownLog(this, {
      adapter,
      segments: () => observer.segments,
      ended: () => this.#closed,
      assertReadable: () => {
        this.#assertOpen()
        if (this.#trouble !== undefined) throw this.#trouble
      },
      refresh: (always) => this.#refresh(always),
      retry: (attempt) => this.#retry(attempt),
    })
    this.#tail = new SharedTail(this.#readable)
    this.#cursors = new CursorShelf<E>({
      log: this.#readable,
      files: { fileSystem, directory, fileMode: defaultFileMode, directoryMode: defaultDirectoryMode },
      follow: (options) => this.follow(options),
      entries: (options) => this.entries(options),
      look: () => this.#look(),
      isReader: true,
      get begins() {
        return observer.begins
      },
    })
  }

  static async open<S extends EntrySource>(directory: string | URL, options: ReaderOptions<S>): Promise<OpenedReader<EntryOf<S>>> {
    checkNames('openReader', options, optionNames)
    const path = resolveDirectory(directory)
    const adapter = adapterFor(options.entries)
    const fileSystem = options.fileSystem ?? nodeFileSystem
    const observer = new LogObserver({ directory: path, fileSystem }, adapter)
    await runPooled(observer.look()).catch((error: unknown) => Promise.reject(notThereYet(error, path)))
    return new OpenedReader<EntryOf<S>>(path, fileSystem, observer, adapter)
  }

  get firstOffset(): number {
    return this.#observer.firstOffset
  }

  get lastOffset(): number {
    return this.#observer.lastOffset
  }

  get durableOffset(): number {
    return this.#observer.lastOffset
  }

  async get(offset: number): Promise<StoredEntry<E>> {
    this.#assertOpen()
    await this.#look()
    if (!Number.isSafeInteger(offset) || offset < this.firstOffset || offset > this.lastOffset) throw outOfRange(this.#readable, offset)
    const batch = await runPooled(new EntryReader<E>(this.#readable, { from: offset, to: offset, copy: true, cutCount: this.#readable.segments.cutCount }).nextBatch())
    return batch?.[0] as StoredEntry<E>
  }

  entries(options: ReadOptions = {}): EntryStream<E> {
    checkReadOptions('entries', options)
    return entryStream<E>(this.#readable, options, () => this.#look())
  }

  entriesSync(options: Pick<ReadOptions, 'from' | 'to' | 'copy'> = {}): Iterable<StoredEntry<E>> {
    checkReadOptions('entriesSync', options)
    return entryIterable<E>(this.#readable, options, () => this.#lookNow())
  }

  follow(options: FollowOptions = {}): AsyncIterable<StoredEntry<E>> {
    checkReadOptions('follow', options)
    return followLog<E>(this.#readable, this.#tail, options, () => this.#beginFollowing())
  }

  /** See `WriteAheadLog.cursor`. It is the one thing of which a reader writes anything: its files in `cursors/`. */
  cursor(name: string, options: CursorOptions = {}): Promise<Cursor<E>> {
    return this.#cursors.open(name, options)
  }

  cursors(): Promise<CursorInfo[]> {
    return this.#cursors.list()
  }

  deleteCursor(name: string): Promise<boolean> {
    return this.#cursors.delete(name)
  }

  segments(): readonly SegmentInfo[] {
    return this.#observer.segments.infos(this.firstOffset, this.lastOffset)
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#stopWatching()
    this.#tail.wake()
    await this.#cursors.close()
    await runPooled(this.#observer.segments.close())
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #assertOpen(): void {
    if (this.#closed) throw new WalError('ERR_WAL_CLOSED', `the reader of the log in ${this.#directory} is closed. Open another one, or close it later: when nobody reads any more`, { path: this.#directory })
  }

  // ── Looks

  /** A look that begins now, or, if one is under way, behind that one: it shows all that there is at this moment. */
  async #look(): Promise<void> {
    const before = this.#looking
    if (before !== undefined) {
      await before.catch(() => {})
      if (this.#looking !== undefined && this.#looking !== before) return this.#looking
    }
    const looking = runPooled(this.#observer.look())
      .then(() => this.#looked())
      .finally(() => {
        if (this.#looking === looking) this.#looking = undefined
      })
    this.#looking = looking
    return looking
  }

  #lookNow(): void {
    this.#assertOpen()
    runBlocking(this.#observer.look())
    this.#looked()
  }

  #looked(): void {
    this.#lookedAtMs = performance.now()
    this.#trouble = undefined
    this.#tail.wake()
  }

  *#refresh(always: boolean): Steps<void> {
    if (!always && performance.now() - this.#lookedAtMs < freshMs) return
    yield* this.#observer.lookForCuts()
    this.#lookedAtMs = performance.now()
  }

  /** What can't be read may be being written, or have been removed: false when that was asked often enough. */
  *#retry(attempt: number): Steps<boolean> {
    if (attempt >= attemptsAtMost) return false
    yield* pause(betweenAttemptsMs)
    yield* step(
      () => this.#lookNow(),
      () => this.#look(),
    )
    return true
  }

  // ── Following

  async #beginFollowing(): Promise<Watch> {
    this.#followers++
    if (this.#followers === 1) this.#startWatching()
    try {
      await this.#look()
    } catch (error) {
      this.#endFollowing()
      throw error
    }
    return { wait: () => this.#wait(), end: () => this.#endFollowing() }
  }

  /** The writer is another process as a rule: who waits for it is not done, and ends by an abort, or by closing this. */
  #wait(): () => void {
    if (++this.#waiting === 1) this.#timer?.ref()
    return () => {
      if (--this.#waiting === 0) this.#timer?.unref()
    }
  }

  #endFollowing(): void {
    if (--this.#followers === 0) this.#stopWatching()
  }

  #startWatching(): void {
    const stir = (): void => void this.#stir()
    // Nobody is told when notifications end, for lack of them or because the directory was moved: so there is always the poll.
    this.#watch = this.#fileSystem.watch?.(this.#directory, (name) => {
      if (name === undefined || basename(name).endsWith('.wal')) stir()
    })
    this.#timer = setInterval(stir, this.#watch === undefined ? pollMs : pollBehindWatchMs)
    if (this.#waiting === 0) this.#timer.unref()
  }

  #stopWatching(): void {
    this.#watch?.close()
    this.#watch = undefined
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  /** One look after the other while things happen; a moment is waited in between, in which more of them come together. */
  async #stir(): Promise<void> {
    this.#stirred = true
    if (this.#settling) return
    this.#settling = true
    let stirredAtMs = 0
    for (let isDue = true; isDue && this.#followers > 0 && !this.#closed; ) {
      if (this.#stirred) stirredAtMs = performance.now()
      this.#stirred = false
      try {
        await this.#look()
      } catch (error) {
        this.#trouble = error as Error
        this.#tail.wake()
      }
      const quietMs = performance.now() - stirredAtMs
      const waitMs = Math.min(Math.max(quietMs, betweenLooksMs), awaitingProofMs)
      await new Promise<void>((resolve) => setTimeout(resolve, waitMs).unref())
      isDue = this.#stirred || (quietMs < awaitedAtMostMs && this.#observer.awaitsProof)
    }
    this.#settling = false
  }
}

/** What to say where nobody has made the log's directory yet: readers are often started before the writer. */
function notThereYet(error: unknown, path: string): unknown {
  if (!(error instanceof WalError) || error.path !== path || systemCode(error.cause) !== 'ENOENT') return error
  const message = `there is no log in ${path} yet, for there is no such directory: its writer makes it. Open the reader when the writer has opened the log, or try again until then`
  return new WalError(error.code, message, { path, cause: error.cause })
}
