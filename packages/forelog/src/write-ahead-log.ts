/**
 * The log that callers hold: it puts the parts together, and knows neither bytes nor places in files.
 *
 *     open    ──► recovery ──► where the log ends                              (recovery/)
 *     append  ──► entry encoder ──► commit queue ──► segment writer ──► disk   (segments/, commit/, files/)
 *     entries ──► entry reader ──► segment cursors ──► disk                    (reading/, segments/, files/)
 */
import { setMaxListeners } from 'node:events'
import { join } from 'node:path'
import type { Writable } from 'node:stream'
import { CommitQueue } from './commit/commit-queue.js'
import { beyondEnd, placeCursors, readCursors } from './cursors/cursor-proof.js'
import { CursorShelf } from './cursors/cursor-shelf.js'
import type { CursorNeeds } from './cursors/known-cursors.js'
import type { AppendableOf, EntryOf, EntrySource } from './entries/define-entries.js'
import type { RawEntry } from './entries/entry.js'
import type { RawSource } from './entries/raw-entries.js'
import { channels, type FailMessage, type RecoverMessage, type RollMessage, type TruncateMessage } from './diagnostics.js'
import { isNoSpace, reasonOf, WalError } from './errors.js'
import type { FileLock } from './files/file-system.js'
import { ProcessorWait } from './files/processor-wait.js'
import type { GroupBuilder } from './format/group-builder.js'
import { showAs } from './inspect.js'
import { OpenedReader, type ReaderOptions } from './log-reader.js'
import { type OpenOptions, type ResolvedOptions, resolveOptions, resolveRetention, type RetentionOptions, unfitForFormat1 } from './options.js'
import type { Cursor, CursorInfo, CursorOptions } from './reading/cursor.js'
import { outOfRange, type StoredEntry } from './reading/entry-reader.js'
import { checkReadOptions, entryIterable, type EntryStream, entryStream, type ReadOptions } from './reading/entry-stream.js'
import { followLog, type FollowOptions } from './reading/follow.js'
import type { LogReader } from './reading/log-reader.js'
import { PointReads } from './reading/point-reads.js'
import { SharedTail } from './reading/shared-tail.js'
import { shownLog } from './reading/shown-log.js'
import type { GrowingLog } from './reading/tail-reader.js'
import { openLog } from './recovery/open-log.js'
import type { RecoveredLog, RecoveryReport, RecoveryRequest } from './recovery/recovered-log.js'
import { EntryEncoder } from './segments/entry-encoder.js'
import { lockName } from './segments/segment-name.js'
import { type Segment, type SegmentInfo, SegmentSet } from './segments/segment-set.js'
import { SegmentWriter } from './segments/segment-writer.js'
import { entryWritable, type WritableOptions } from './streams/entry-writable.js'
import { truncateBack, truncateFront } from './segments/truncation.js'
import type { RetentionResult } from './retention/plan-retention.js'
import { RetentionKeeper, waitForMakersMs } from './retention/retention-keeper.js'
import type { LogStats } from './stats.js'
import { runPooled } from './steps.js'

/** The offsets of a batch: it has all from `first` to `last`. An empty one has `first === last + 1`. */
export interface AppendedBatch {
  readonly first: number
  readonly last: number
}

/** `'failed'`: a write or a sync failed, and what is on disk is not known: open again. */
export type LogState = 'open' | 'closing' | 'closed' | 'failed'

/**
 * A write-ahead log: appends are on stable storage before they resolve, and come back in order after any crash.
 *
 * One process at a time has a log open for writing. All methods may be called concurrently; what is called first comes first
 * in the log.
 *
 * @example
 * ```ts
 * const log = await WriteAheadLog.open('./data/orders', { entries })
 * const offset = await log.append(entries.put({ key: 'a', value: 1 }))
 * for await (const { offset, entry } of log.entries()) apply(entry)
 * await log.close()
 * ```
 */
export class WriteAheadLog<in I = RawEntry | Uint8Array, out O = RawEntry> implements AsyncDisposable {
  readonly #options: ResolvedOptions
  readonly #lock: FileLock
  readonly #segments: SegmentSet
  readonly #writer: SegmentWriter
  readonly #encoder: EntryEncoder
  readonly #queue: CommitQueue<GroupBuilder>
  readonly #readable: GrowingLog
  readonly #tail: SharedTail
  readonly #cursors: CursorShelf<O>
  readonly #retention: RetentionKeeper
  readonly #pointReads: PointReads<O>
  readonly #recovery: RecoveryReport
  #state: LogState = 'open'
  #failure: WalError | undefined
  /** Made for the first one who asks. */
  #failing: AbortController | undefined
  #closing: Promise<void> | undefined
  /** The cursor in front of which the last truncation stopped. */
  #heldBy: string | undefined
  #rolls = 0
  #removedSegments = 0

  static {
    showAs(WriteAheadLog, 'WriteAheadLog', ({ path, state, failure, firstOffset, lastOffset, durableOffset }: WriteAheadLog) => {
      return { path, state, firstOffset, lastOffset, durableOffset, ...(failure !== undefined && { failure: failure.code }) }
    })
  }

  private constructor(options: ResolvedOptions, lock: FileLock, recovered: RecoveredLog) {
    if ((recovered as RecoveredLog | undefined) === undefined) {
      throw new WalError('ERR_WAL_OPTION', 'a log is not made by new: open it with await WriteAheadLog.open(directory, options)')
    }
    const { format, live, end, report } = recovered
    this.#options = options
    this.#lock = lock
    this.#recovery = report
    this.#segments = new SegmentSet(options.fileSystem, options.directory, format, live)
    this.#writer = new SegmentWriter(this.#segments, end, {
      maxSegmentBytes: options.maxSegmentBytes,
      fileMode: options.fileMode,
      onRoll: (closed, opened) => {
        this.#rolls++
        if (channels.roll.hasSubscribers) {
          const message: RollMessage = { path: options.directory, closed: closed.path, opened: opened.path, firstOffset: opened.firstOffset }
          channels.roll.publish(message)
        }
        options.logger.debug({ closed: closed.path, opened: opened.path, firstOffset: opened.firstOffset }, 'began a new segment')
        this.#retention.runSoon()
      },
      onCut: () => this.#queue.moveBack(),
    })
    this.#encoder = new EntryEncoder(options.adapter, format, options.maxEntryBytes)
    this.#queue = new CommitQueue(this.#writer, {
      policy: { mode: options.sync, delayMs: options.syncDelayMs, intervalMs: options.syncIntervalMs },
      mode: options.commit,
      waits: { ofThread: ProcessorWait.ofThread(), ofProcess: ProcessorWait.ofProcess() },
      encode: (group, entry) => this.#encoder.add(group, entry),
      maxPendingBytes: options.maxPendingBytes,
      path: options.directory,
      onFailure: (failure) => this.#fail(failure),
      onProgress: () => this.#tail.wake(),
    })
    const writer = this.#writer
    const queue = this.#queue
    this.#readable = shownLog(this, {
      adapter: options.adapter,
      segments: () => this.#segments,
      ended: () => this.#failure === undefined && this.#closing !== undefined,
      assertReadable: () => {
        const refusal = this.#refusal('closed')
        if (refusal !== undefined) throw refusal
      },
    })
    this.#tail = new SharedTail(this.#readable)
    this.#cursors = new CursorShelf<O>({
      log: this.#readable,
      files: options,
      follow: (followed) => this.follow(followed),
      entries: (read) => this.entries(read),
      look: () => Promise.resolve(),
      isReader: false,
      get begins() {
        return writer.firstOffset
      },
      onCommit: (offset) => this.#retention.noteCommit(offset),
      onFailure: (failure) => queue.fail(failure),
    })
    this.#retention = new RetentionKeeper(
      {
        segments: this.#segments,
        writer,
        path: options.directory,
        logger: options.logger,
        operate: (asked, run) => (asked ? queue.operate(() => run(runPooled)) : queue.operateUnasked(run)),
        whileTruncating: (waitMs, run) => this.#cursors.whileTruncating(waitMs, run),
        onDropped: (segments) => {
          this.#tail.wake()
          this.#tellTruncation('front', 'retention', segments)
        },
        onFailure: (failure) => queue.fail(failure),
      },
      options.retention,
    )
    this.#pointReads = new PointReads(this.#readable)
  }

  /**
   * Opens the log in a directory, which is made if need be: takes its lock, finds where it ends, cuts off what a crash left
   * half written, and is ready to append.
   *
   * Rejects with a {@link WalError}: `ERR_WAL_OPTION`, `ERR_WAL_LOCKED`, `ERR_WAL_CORRUPT`, `ERR_WAL_SEGMENT_MISSING`,
   * `ERR_WAL_FORMAT`, `ERR_WAL_TORN` (under `recovery: 'strict'`), `ERR_WAL_NO_SPACE`, or that of a failed call to the system.
   * Nothing is changed on disk then, and nothing is held.
   */
  static async open<S extends EntrySource = RawSource>(
    directory: string | URL,
    options?: OpenOptions<S>,
  ): Promise<WriteAheadLog<AppendableOf<S>, EntryOf<S>>> {
    const resolved = resolveOptions(directory, options as OpenOptions<EntrySource> | undefined)
    const { fileSystem, logger } = resolved
    const beganMs = performance.now()
    await makeDirectory(resolved)
    const lock = await fileSystem.lock(join(resolved.directory, lockName), resolved.fileMode)
    let recovered: RecoveredLog
    try {
      const request: RecoveryRequest = {
        ...resolved,
        mode: resolved.recovery,
        unfitForFormat1: unfitForFormat1(resolved.retention ?? {}),
        *beyondEnd(found, lastOffset) {
          return beyondEnd(placeCursors(yield* readCursors(fileSystem, resolved.directory, logger), found), lastOffset)?.why
        },
      }
      recovered = await runPooled(openLog(request))
    } catch (error) {
      await free(lock, resolved)
      logger.error({ path: resolved.directory, err: error }, 'the log could not be opened')
      throw error
    }
    const log = new WriteAheadLog<AppendableOf<S>, EntryOf<S>>(resolved, lock, recovered)
    const { report } = recovered
    const facts = { path: resolved.directory, format: recovered.format, firstOffset: log.firstOffset, lastOffset: log.lastOffset, ...report }
    if (channels.recover.hasSubscribers) {
      const { clean, tornBytes, ambiguous, quarantined } = report
      const { path, format, firstOffset, lastOffset } = facts
      const message: RecoverMessage = { path, format, firstOffset, lastOffset, clean, tornBytes, ambiguous, quarantined, durationMs: performance.now() - beganMs }
      channels.recover.publish(message)
    }
    if (report.tornBytes > 0) logger.warn(facts, 'opened a log and cut off its torn tail')
    else logger.info(facts, 'opened a log')
    await log.#retention.begin()
    if (log.#failure !== undefined) {
      const failure = log.#failure
      await log.close().catch(() => {})
      throw failure
    }
    return log
  }

  /**
   * Opens the log in a directory for reading alone, beside a writer in another process or without one. Takes no lock, changes nothing,
   * and shows only what the log proves to be on stable storage: an entry is shown once a later record vouches for it, some
   * milliseconds after its sync at the latest. Format 1 proves nothing: there the whole records that are found are shown.
   *
   * `firstOffset`, `lastOffset` and `durableOffset` are those of the last look at the files; `get`, `entries` and `entriesSync` look
   * first, and `follow` looks whenever the file system tells of a change. What fails is read again before it is called damage.
   *
   * Rejects with `ERR_WAL_OPTION`, `ERR_WAL_READ_FAILED` (no such directory, for example), `ERR_WAL_CORRUPT`, `ERR_WAL_SEGMENT_MISSING`,
   * `ERR_WAL_FORMAT`.
   *
   * @example
   * ```ts
   * const reader = await WriteAheadLog.openReader('./data/orders', { entries })
   * for await (const { offset, entry } of reader.follow({ from: shipped + 1 })) await ship(offset, entry)
   * ```
   */
  static async openReader<S extends EntrySource = RawSource>(directory: string | URL, options: ReaderOptions<S> = {}): Promise<LogReader<EntryOf<S>>> {
    return OpenedReader.open(directory, options)
  }

  /** The log's directory, absolute: `path` in the messages of the channels. */
  get path(): string {
    return this.#options.directory
  }

  /** First entry that is wanted; 1 in a new log. One more than `lastOffset` when the log is empty. */
  get firstOffset(): number {
    return this.#writer.firstOffset
  }

  /** Newest entry that was acknowledged. */
  get lastOffset(): number {
    return this.#queue.lastOffset
  }

  /** Newest entry on stable storage. */
  get durableOffset(): number {
    return this.#queue.durableOffset
  }

  get state(): LogState {
    return this.#state
  }

  /** What made the log fail. */
  get failure(): WalError | undefined {
    return this.#failure
  }

  /**
   * Aborts when the log fails, with the failure as its reason: for a service that is to stop taking requests then, or to end. Closing the log does not
   * abort it.
   *
   * @example
   * ```ts
   * log.failureSignal.addEventListener('abort', () => void server.close())
   * ```
   */
  get failureSignal(): AbortSignal {
    if (this.#failing === undefined) {
      this.#failing = new AbortController()
      // Many may listen, and Node.js warns of more than ten.
      setMaxListeners(0, this.#failing.signal)
      if (this.#failure !== undefined) this.#failing.abort(this.#failure)
    }
    return this.#failing.signal
  }

  /** What opening found and did. */
  get recovery(): RecoveryReport {
    return this.#recovery
  }

  /**
   * Appends an entry; its offset, once it is acknowledged under the option `sync`. It is encoded before this returns, and
   * may be changed then.
   *
   * Rejects with `ERR_WAL_ENCODE`, `ERR_WAL_ENTRY_TOO_LARGE`, `ERR_WAL_ENTRY_TYPE_UNKNOWN`, `ERR_WAL_BACKPRESSURE`,
   * `ERR_WAL_OFFSET_EXHAUSTED` (this entry alone was refused), `ERR_WAL_NO_SPACE` (this one and all that waited; the log goes on),
   * `ERR_WAL_WRITE_FAILED`, `ERR_WAL_SYNC_FAILED` (the log has failed), `ERR_WAL_FAILED`, `ERR_WAL_CLOSED`.
   */
  append(entry: I): Promise<number> {
    const refusal = this.#refusal('closing')
    if (refusal !== undefined) return Promise.reject(refusal)
    return this.#queue.append(entry)
  }

  /**
   * Appends several entries that are there after a crash all together or not at all (in format 1: in order, but perhaps
   * in part). One that can't be encoded rejects all of them; an empty batch changes nothing. Errors as those of `append`.
   */
  appendBatch(entries: Iterable<I>): Promise<AppendedBatch> {
    const refusal = this.#refusal('closing')
    if (refusal !== undefined) return Promise.reject(refusal)
    if (typeof (entries as Partial<Iterable<I>> | null | undefined)?.[Symbol.iterator] !== 'function') {
      return Promise.reject(new WalError('ERR_WAL_OPTION', 'appendBatch takes an iterable of entries, an array for example'))
    }
    return this.#queue.appendBatch(entries)
  }

  /**
   * Appends an entry and blocks until it is acknowledged; for scripts. Throws what `append` rejects with, and `ERR_WAL_BUSY`
   * while a promise of this log has not settled.
   */
  appendSync(entry: I): number {
    const refusal = this.#refusal('closing')
    if (refusal !== undefined) throw refusal
    return this.#queue.appendBlocking(entry)
  }

  /** Puts everything that was appended before the call on stable storage; the durable offset. */
  sync(): Promise<number> {
    const refusal = this.#refusal('closing')
    if (refusal !== undefined) return Promise.reject(refusal)
    return this.#queue.sync()
  }

  /** The entry with an offset. Rejects with `ERR_WAL_OFFSET_OUT_OF_RANGE` outside `firstOffset…lastOffset`. */
  async get(offset: number): Promise<StoredEntry<O>> {
    this.#readable.assertReadable()
    if (!Number.isSafeInteger(offset) || offset < this.firstOffset || offset > this.lastOffset) throw outOfRange(this.#readable, offset)
    return this.#pointReads.read(offset)
  }

  /** Entries in order, to the `lastOffset` of the moment of the call. Each step may throw `ERR_WAL_CORRUPT`, and as the options say. */
  entries(options: ReadOptions = {}): EntryStream<O> {
    checkReadOptions('entries', options)
    return entryStream<O>(this.#readable, options)
  }

  /** The same, blocking: for start-up. */
  entriesSync(options: Pick<ReadOptions, 'from' | 'to' | 'copy'> = {}): Iterable<StoredEntry<O>> {
    checkReadOptions('entriesSync', options)
    return entryIterable<O>(this.#readable, options)
  }

  /**
   * Durable entries in order, from `from` on (default: the first), each once; then waits for more. Woken by what makes entries durable,
   * without polling; a slow consumer holds no more than a batch, and many followers share the reading.
   *
   * Ends at `close()`, and when its signal is aborted. Each step may throw `ERR_WAL_OFFSET_OUT_OF_RANGE`, when an entry that is next,
   * or was handed out last, was truncated (or `from` is below `firstOffset` or above `lastOffset + 1`), `ERR_WAL_FAILED`,
   * `ERR_WAL_CORRUPT`.
   *
   * @example
   * ```ts
   * for await (const { offset, entry } of log.follow({ from: shipped + 1, signal })) await ship(offset, entry)
   * ```
   */
  follow(options: FollowOptions = {}): AsyncIterable<StoredEntry<O>> {
    checkReadOptions('follow', options)
    return followLog<O>(this.#readable, this.#tail, options)
  }

  /**
   * Says that entries below `offset` are no longer wanted, durably, and frees the segments that hold nothing else. Afterwards
   * `firstOffset` is `offset`, unless it was higher (format 1 frees whole segments, and keeps the newest one with an entry).
   *
   * Give it what you have applied, not `lastOffset`: an entry counts there before the code that waits for its `append` has had its turn.
   *
   * Stops in front of what a cursor that holds still needs, whichever process it belongs to, and whether or not it is open. It resolves then,
   * too: `firstOffset` says how far it came, and the logger is told which cursor it was.
   *
   * Rejects with `ERR_WAL_OFFSET_OUT_OF_RANGE` above `lastOffset + 1`, and where a cursor can't be read, or what it says can't be synced:
   * then it is not known what it needs, and nothing was changed. Works on a full disk.
   */
  truncateBefore(offset: number): Promise<void> {
    const refusal = this.#refusal('closing')
    if (refusal !== undefined) return Promise.reject(refusal)
    return this.#queue.operate(() => this.#truncateBefore(offset))
  }

  async #truncateBefore(offset: number): Promise<void> {
    if (!Number.isSafeInteger(offset) || offset < 0 || offset > this.lastOffset + 1) throw outOfRange(this.#readable, offset)
    if (offset <= this.firstOffset) return
    await this.#cursors.whileTruncating(waitForMakersMs, (needs) => this.#truncateFront(this.#unheld(offset, needs)))
  }

  /** As far as no cursor holds. */
  #unheld(offset: number, { holder }: CursorNeeds): number {
    if (holder === undefined || holder.offset + 1 >= offset) {
      this.#heldBy = undefined
      return offset
    }
    const facts = { path: this.#options.directory, wanted: offset, cursor: holder.name, committed: holder.offset }
    // The call resolves, so this is all that says so: once for each cursor, for whoever truncates now and then is held now and then.
    const level = holder.name === this.#heldBy ? 'info' : 'warn'
    this.#heldBy = holder.name
    this.#options.logger[level](facts, 'a cursor holds entries that were to be truncated')
    return holder.offset + 1
  }

  async #truncateFront(offset: number): Promise<void> {
    if (offset <= this.firstOffset) return
    const before = [...this.#segments.live]
    try {
      await runPooled(truncateFront(this.#segments, this.#writer, offset))
    } catch (error) {
      // A full disk may end it behind what had to be emptied to make room, which is gone all the same.
      if (this.#segments.live[0] !== before[0]) this.#tellTruncatedFront(before)
      if (error instanceof WalError && !isNoSpace(error)) this.#queue.fail(error)
      throw error
    }
    this.#tellTruncatedFront(before)
  }

  /** @param before the live segments that there were; the newest of them still is one */
  #tellTruncatedFront(before: readonly Segment[]): void {
    const removedSegments = before.indexOf(this.#segments.live[0] as Segment)
    this.#tail.wake()
    this.#tellTruncation('front', 'call', removedSegments)
    this.#options.logger.info({ path: this.#options.directory, firstOffset: this.firstOffset, removedSegments }, 'truncated the log in front')
  }

  /**
   * Drops now what is beyond the limits of the option `retention`, or beyond those that are given here, and tells what that was; in its place
   * in the order of the calls. Whole segments go, never the newest, and never what a cursor that holds still needs.
   *
   * Without limits it drops nothing. Rejects with `ERR_WAL_OPTION` (unknown limits, wrong values, and in format 1 all but `maxBytes`), and as
   * `truncateBefore`; where files could not be removed, they are no part of the log any more, and removing them is tried again.
   *
   * @example
   * ```ts
   * const { segments, bytes, heldBy } = await log.applyRetention({ maxBytes: 1024 ** 3 })
   * ```
   */
  async applyRetention(limits?: RetentionOptions): Promise<RetentionResult> {
    const refusal = this.#refusal('closing')
    if (refusal !== undefined) throw refusal
    if (limits === undefined) return this.#retention.apply()
    const resolved = resolveRetention('applyRetention', limits)
    const unfit = this.#segments.format === 1 ? unfitForFormat1(resolved) : undefined
    if (unfit !== undefined) throw unfit
    return this.#retention.apply(resolved)
  }

  /**
   * Removes the entries behind `offset`, durably: `lastOffset` is `offset` then, and the next append takes the offset behind it. What
   * is called later comes behind the cut, also when it is not awaited. Readers that stand on what goes away get
   * `ERR_WAL_OFFSET_OUT_OF_RANGE` at their next step.
   *
   * `firstOffset - 1` empties the log; in format 1 only one whose `firstOffset` is 1, because the files would lose count. Frees whole
   * segments; format 2 rewrites nothing, and what is dead inside a segment goes away with it. Rejects with
   * `ERR_WAL_OFFSET_OUT_OF_RANGE` below `firstOffset - 1` and above `lastOffset`, and with `ERR_WAL_NO_SPACE`: then nothing was removed.
   */
  truncateAfter(offset: number): Promise<void> {
    const refusal = this.#refusal('closing')
    if (refusal !== undefined) return Promise.reject(refusal)
    return this.#queue.operate(() => this.#truncateAfter(offset))
  }

  async #truncateAfter(offset: number): Promise<void> {
    const { firstOffset, lastOffset } = this
    if (!Number.isSafeInteger(offset) || offset < firstOffset - 1 || offset > lastOffset) throw outOfRange(this.#readable, offset)
    if (offset === lastOffset) return
    // Without an entry only a first file named 1.wal says which offset is next.
    if (offset < firstOffset && this.#segments.format === 1 && (firstOffset > 1 || this.#segments.live[0]?.id !== 1)) {
      throw outOfRange(this.#readable, offset, "can't be the last one, for in format 1 a log that was truncated in front keeps its last entry")
    }
    const { adapter, directory, logger } = this.#options
    let result: { removed: number; left?: WalError }
    try {
      result = await runPooled(truncateBack(this.#segments, this.#writer, offset, (type) => adapter.framing(type)))
    } catch (error) {
      // Where reading failed, nothing was changed.
      if (error instanceof WalError && (error.code === 'ERR_WAL_WRITE_FAILED' || error.code === 'ERR_WAL_SYNC_FAILED')) this.#queue.fail(error)
      throw error
    }
    const { removed, left } = result
    this.#tail.wake()
    this.#tellTruncation('back', 'call', removed)
    const facts = { path: directory, lastOffset: this.lastOffset, removedEntries: lastOffset - offset, removedSegments: removed }
    if (left === undefined) logger.info(facts, 'truncated the log behind')
    else logger.warn({ ...facts, err: left }, 'truncated the log behind; segments that hold nothing any more are left to the next opening')
  }

  #tellTruncation(side: TruncateMessage['side'], reason: TruncateMessage['reason'], removedSegments: number): void {
    this.#removedSegments += removedSegments
    if (!channels.truncate.hasSubscribers) return
    const { firstOffset, lastOffset } = this
    const message: TruncateMessage = { path: this.#options.directory, side, reason, firstOffset, lastOffset, removedSegments }
    channels.truncate.publish(message)
  }

  /**
   * The end of a pipeline: a Writable in object mode, whose callback means that the entry is on stable storage, whatever the option
   * `sync`. What queues in it while a sync runs shares the next one. It waits for room, and never sees `ERR_WAL_BACKPRESSURE`; any
   * other refusal ends it with that error, and nothing behind the refused entry is appended. Ending it does not close the log.
   *
   * @example
   * ```ts
   * await pipeline(source, log.writable())
   * ```
   */
  writable(options: WritableOptions = {}): Writable {
    const refusal = this.#refusal('closing')
    if (refusal !== undefined) throw refusal
    const target = {
      appendOrThrow: (entry: I) => {
        const refused = this.#refusal('closing')
        if (refused !== undefined) throw refused
        return this.#queue.appendOrThrow(entry)
      },
      sync: () => this.sync(),
      syncsEachAppend: this.#options.sync === 'always',
    }
    return entryWritable<I>(target, options)
  }

  /**
   * Opens the cursor of that name, or makes it: a position in the log that survives crashes, held by one at a time, in whatever
   * process. Its file stands in `cursors/` beside the segments. Names have up to 100 of a-z, 0-9, `_`, `-`, `.`.
   *
   * Rejects with `ERR_WAL_LOCKED` (somebody has it open), `ERR_WAL_OFFSET_OUT_OF_RANGE` (`from`), `ERR_WAL_OPTION`, `ERR_WAL_CORRUPT` (its
   * file can't be read, or belongs to another log), `ERR_WAL_FORMAT` (format 1 has no cursors), and as calls to the system fail.
   *
   * @example
   * ```ts
   * const cursor = await log.cursor('shipper')
   * for await (const { offset, entry } of cursor) {
   *   await ship(offset, entry)
   *   await cursor.commit(offset)
   * }
   * ```
   */
  cursor(name: string, options: CursorOptions = {}): Promise<Cursor<O>> {
    return this.#cursors.open(name, options)
  }

  /**
   * All cursors of this log, in the order of their names, open or not. `ERR_WAL_CLOSED` once it is closed: where they stand is told by its segments,
   * too. For a log that nobody has open, ask a reader.
   */
  cursors(): Promise<CursorInfo[]> {
    return this.#cursors.list()
  }

  /** Deletes a cursor, durably; false: there was none. `ERR_WAL_LOCKED` while somebody has it open. */
  deleteCursor(name: string): Promise<boolean> {
    return this.#cursors.delete(name)
  }

  /** The segments, oldest first. */
  segments(): readonly SegmentInfo[] {
    return this.#segments.infos(this.firstOffset, this.lastOffset)
  }

  /** Counters and distributions since the log was opened. */
  stats(): LogStats {
    return {
      ...this.#queue.stats(),
      rolls: this.#rolls,
      segments: this.#segments.live.length,
      removedSegments: this.#removedSegments,
      retention: this.#retention.stats,
      recoveries: this.#recovery.clean ? 0 : 1,
      tornBytes: this.#recovery.tornBytes,
    }
  }

  /**
   * Takes no new appends, finishes what was accepted, syncs it, says in the log that all is well, and frees the lock. Again: the same
   * promise. After a failure it frees everything, then rejects with `ERR_WAL_FAILED`.
   */
  close(): Promise<void> {
    if (this.#closing === undefined) {
      this.#closing = this.#close()
      this.#tail.wake()
    }
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    const { logger, directory } = this.#options
    this.#retention.stop()
    if (this.#state === 'open') {
      this.#state = 'closing'
      // In its place in the order of the calls: behind all that was accepted.
      await this.#queue.operate(() => this.#endLife()).catch((error: unknown) => this.#queue.fail(error as WalError))
    }
    this.#queue.stop()
    await this.#cursors.close()
    // Rule 8: while a call may still write to the files, nobody else may have the log.
    await this.#queue.whenIdle()
    await this.#retention.whenIdle()
    if (this.#failure !== undefined) await runPooled(this.#writer.release()).catch(() => {})
    await this.#writer.whenIdle()
    await runPooled(this.#segments.close())
    await free(this.#lock, this.#options)
    if (this.#failure !== undefined) throw this.#refusal('closed') as WalError
    this.#state = 'closed'
    logger.info({ path: directory, lastOffset: this.lastOffset }, 'closed the log')
  }

  async #endLife(): Promise<void> {
    if (await runPooled(this.#writer.close())) return
    this.#options.logger.warn({ path: this.#options.directory }, 'closed the log without a close record, for lack of space: nothing is lost')
  }

  #fail(failure: WalError): void {
    this.#failure = failure
    this.#state = 'failed'
    this.#retention.stop()
    this.#tail.wake()
    if (channels.fail.hasSubscribers) {
      const message: FailMessage = { path: this.#options.directory, error: failure }
      channels.fail.publish(message)
    }
    this.#options.logger.error({ path: this.#options.directory, err: failure }, 'the log has failed: close it and open it again')
    this.#failing?.abort(failure)
  }

  /** Why nothing can be done with the log, or undefined. Reading goes on while it closes, appending does not. */
  #refusal(from: 'closing' | 'closed'): WalError | undefined {
    if (this.#failure !== undefined) {
      return new WalError('ERR_WAL_FAILED', `the log in ${this.#options.directory} has failed: ${reasonOf(this.#failure)}. Close it and open it again`, {
        path: this.#options.directory,
        cause: this.#failure,
      })
    }
    if (this.#state !== 'closed' && (from === 'closed' ? this.#closing === undefined : this.#state === 'open')) return undefined
    return new WalError('ERR_WAL_CLOSED', `the log in ${this.#options.directory} is closed. Open it again, or close it later: when nobody appends or reads any more`, { path: this.#options.directory })
  }
}

/** All that the lock protected is done. Where freeing it fails it may be held on, which the next one to open will be told. */
async function free(lock: FileLock, { directory, logger }: ResolvedOptions): Promise<void> {
  await lock.release().catch((error: unknown) => logger.warn({ path: directory, err: error }, 'the lock could not be freed'))
}

async function makeDirectory({ fileSystem, directory, directoryMode }: ResolvedOptions): Promise<void> {
  try {
    await fileSystem.makeDirectory(directory, directoryMode)
  } catch (error) {
    const code = isNoSpace(error) ? 'ERR_WAL_NO_SPACE' : 'ERR_WAL_WRITE_FAILED'
    throw new WalError(code, `the directory ${directory} can't be made: ${reasonOf(error)}`, { path: directory, cause: error })
  }
}
