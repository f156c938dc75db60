/**
 * Keeps a log within its limits, beside those who append: when to look, what becomes of a run, and what is told of it.
 *
 * A run takes its place in the order of the commits, like `truncateBefore`, but is nobody's promise: `appendSync` works meanwhile. There
 * it reads the cursors, decides (plan-retention.ts), and makes the low-water mark durable. The files are removed afterwards, beside the
 * writer: what has become unwanted durably is no part of the log any more. A new truncation waits for that.
 *
 * When: at opening, before anything is shown, behind each roll, behind commits of cursors, when a segment comes of age, and again after a while when something
 * was held back or failed.
 */
import type { Execute } from '../commit/commit-queue.js'
import type { CursorNeeds } from '../cursors/known-cursors.js'
import { isNoSpace, WalError } from '../errors.js'
import type { Logger } from '../logger.js'
import type { RetentionOptions } from '../options.js'
import type { Segment, SegmentSet } from '../segments/segment-set.js'
import type { SegmentWriter } from '../segments/segment-writer.js'
import { freeFront, removeDead, truncateFront } from '../segments/truncation.js'
import type { RetentionStats } from '../stats.js'
import { runPooled } from '../steps.js'
import { bytesOf, countBeyondLimits, planRetention, type RetentionPlan, type RetentionResult } from './plan-retention.js'

export interface RetentionHost {
  readonly segments: SegmentSet
  readonly writer: SegmentWriter
  /** The log's directory. */
  readonly path: string
  readonly logger: Logger
  /** Runs something in its place in the order of the commits; with `asked` for a caller. */
  operate(asked: boolean, run: (execute: Execute) => Promise<void>): Promise<void>
  whileTruncating<T>(waitMs: number, run: (needs: CursorNeeds) => Promise<T>): Promise<T>
  /** Told when the log begins later than before. */
  onDropped(segments: number): void
  /** Told of what the log can't go on from. */
  onFailure(error: WalError): void
}

/** How long a run that was asked for waits for a cursor that another process is making. */
export const waitForMakersMs = 1000
/** Between two runs for the sake of commits. */
const betweenCommitsMs = 1000
/** When something was held back, or failed, and nothing else tells that it is time. */
const againMs = 10_000
/** The wall clock may be set meanwhile, so no longer than that is waited for it. */
const atMostMs = 3_600_000
const atLeastMs = 1000

export class RetentionKeeper {
  readonly #host: RetentionHost
  readonly #limits: RetentionOptions | undefined
  #timer: NodeJS.Timeout | undefined
  /** When it fires, in ms of `performance.now()`. */
  #timerAtMs = Infinity
  #ranAtMs = -Infinity
  /** A run that nobody asked for is under way, or waits for its turn; and whether there is a reason for another one behind it. */
  #isBusy = false
  #isDueAgain = false
  #stopped = false
  /** Runs under way, with the removing behind them. */
  readonly #running = new Set<Promise<unknown>>()
  #stats: RetentionStats = { runs: 0, segmentsDropped: 0, bytesDropped: 0, heldBackBytes: 0, heldBy: undefined, lastRunMs: 0, failures: 0 }

  constructor(host: RetentionHost, limits: RetentionOptions | undefined) {
    this.#host = host
    this.#limits = limits
  }

  get stats(): RetentionStats {
    return { ...this.#stats }
  }

  /**
   * The run of an opening: resolves when it is decided and durable what goes, and before the files are removed. So what is shown then stays,
   * for whoever reads all of it before anything else.
   */
  begin(): Promise<void> {
    const limits = this.#limits
    if (limits === undefined) return Promise.resolve()
    return new Promise((resolve) => void this.#runUnasked(limits, resolve))
  }

  /** Runs soon, without anybody who waits for it. */
  runSoon(): void {
    if (this.#limits === undefined || this.#stopped) return
    // While one removes files, no other may wait for it where appends would wait behind.
    if (this.#isBusy) this.#isDueAgain = true
    else void this.#runUnasked(this.#limits)
  }

  async #runUnasked(limits: RetentionOptions, onDecided?: () => void): Promise<void> {
    this.#isBusy = true
    // What went wrong was told to the logger.
    await this.#run(limits, false, onDecided).catch(() => {})
    this.#isBusy = false
    if (!this.#isDueAgain) return
    this.#isDueAgain = false
    this.runSoon()
  }

  /** A cursor has committed an offset. */
  noteCommit(offset: number): void {
    const second = this.#host.segments.live[1]
    const isAwaited = this.#limits?.passedByCursors === true || this.#stats.heldBy !== undefined
    // The oldest segment is not done with, for this cursor alone.
    if (!isAwaited || second === undefined || offset < second.firstOffset - 1) return
    this.#runIn(Math.max(0, this.#ranAtMs + betweenCommitsMs - performance.now()))
  }

  /** Runs now, and tells what it did. */
  apply(limits: RetentionOptions = this.#limits ?? {}): Promise<RetentionResult> {
    return this.#run(limits, true)
  }

  /** Nothing begins any more. */
  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  /** Resolves when nothing is under way. */
  async whenIdle(): Promise<void> {
    await Promise.allSettled(this.#running)
  }

  async #run(limits: RetentionOptions, asked: boolean, onDecided?: () => void): Promise<RetentionResult> {
    const running = this.#attempt(limits, asked, onDecided)
    this.#running.add(running)
    try {
      return await running
    } finally {
      this.#running.delete(running)
    }
  }

  async #attempt(limits: RetentionOptions, asked: boolean, onDecided: () => void = () => {}): Promise<RetentionResult> {
    let removing: Promise<void> = Promise.resolve()
    const { segments, writer } = this.#host
    let result: RetentionResult = { segments: 0, bytes: 0, firstOffset: writer.firstOffset, heldBackBytes: 0, heldBy: undefined }
    try {
      await this.#host.operate(asked, async (execute) => {
        if (this.#stopped && !asked) return
        // Here, and not when it was called for: what was appended meanwhile counts.
        const { live, dead } = segments
        const asksCursors = limits.passedByCursors === true && live.length > 1
        // What could not be removed the last time is to be tried again, too.
        if (!asksCursors && dead.length === 0 && countBeyondLimits(live, limits, Date.now()) === 0) {
          result = { ...result, firstOffset: writer.firstOffset }
          return this.#note(result)
        }
        await new Promise<void>((resolve, reject) => {
          removing = this.#host.whileTruncating(asked ? waitForMakersMs : 0, async (needs) => {
            result = await this.#drop(limits, needs, execute)
            // From here on those who append go on.
            resolve()
            await this.#removeDead()
          })
          removing.catch(reject)
        })
      })
      onDecided()
      await removing
      this.#plan()
      return result
    } catch (error) {
      onDecided()
      this.#failed(error)
      throw error
    }
  }

  /** Decides, makes it durable, and tells of it. */
  async #drop(limits: RetentionOptions, needs: CursorNeeds, execute: Execute): Promise<RetentionResult> {
    const { segments, writer } = this.#host
    const before = [...segments.live]
    for (;;) {
      const { live } = segments
      const plan = planRetention(live, limits, Date.now(), needs)
      const offset = live[plan.count]?.firstOffset ?? 0
      const isDone = plan.count === 0 || offset <= writer.firstOffset
      try {
        if (!isDone && segments.format === 1) await execute(truncateFront(segments, writer, offset))
        else if (!isDone) await execute(freeFront(segments, writer, offset))
      } catch (error) {
        // What went by then is no part of the log any more, whatever becomes of the run.
        const dropped = this.#droppedSince(before, plan)
        if (dropped.segments > 0) this.#note(dropped)
        if (error instanceof WalError && !isNoSpace(error)) this.#host.onFailure(error)
        throw error
      }
      // Behind a full segment the mark begins a new one, which counts, too.
      if (!isDone && segments.format === 2) continue
      const dropped = this.#droppedSince(before, plan)
      this.#note(dropped)
      return dropped
    }
  }

  #droppedSince(before: readonly Segment[], { heldBackBytes, heldBy }: RetentionPlan): RetentionResult {
    const { segments, writer } = this.#host
    const kept = new Set(segments.live)
    const gone = before.filter((segment) => !kept.has(segment))
    return { segments: gone.length, bytes: bytesOf(gone), firstOffset: writer.firstOffset, heldBackBytes, heldBy }
  }

  /** What can't be removed is no part of the log, and harms nobody: the next run tries again, and so does the next opening. */
  async #removeDead(): Promise<void> {
    const { segments } = this.#host
    try {
      await runPooled(removeDead(segments, segments.dead))
    } catch (error) {
      if (error instanceof WalError && error.code === 'ERR_WAL_SYNC_FAILED') this.#host.onFailure(error)
      throw error
    }
  }

  #note(result: RetentionResult): void {
    const { logger, path } = this.#host
    const { segments, bytes, firstOffset, heldBackBytes, heldBy } = result
    const before = this.#stats
    this.#ranAtMs = performance.now()
    this.#stats = {
      ...before,
      runs: before.runs + 1,
      segmentsDropped: before.segmentsDropped + segments,
      bytesDropped: before.bytesDropped + bytes,
      heldBackBytes,
      heldBy,
      lastRunMs: Date.now(),
    }
    if (segments > 0) {
      this.#host.onDropped(segments)
      logger.info({ path, segments, bytes, firstOffset }, 'retention dropped segments')
    }
    // Once for each that comes to hold, not at every run.
    if (heldBy !== undefined && heldBy !== before.heldBy) {
      logger.warn({ path, cursor: heldBy, heldBackBytes, firstOffset }, `retention is held back by ${heldBy}: ${heldBackBytes} bytes are beyond the limits`)
    }
  }

  #failed(error: unknown): void {
    const { logger, path } = this.#host
    // Closed, or failed already: nobody is to be told again.
    if (this.#stopped) return
    this.#ranAtMs = performance.now()
    this.#stats = { ...this.#stats, failures: this.#stats.failures + 1 }
    logger.error({ path, err: error }, 'retention failed, and is tried again')
    this.#runIn(againMs)
  }

  /** When to look again. */
  #plan(): void {
    const limits = this.#limits
    if (limits === undefined || this.#stopped) return
    const { live } = this.#host.segments
    if (this.#stats.heldBy !== undefined || (limits.passedByCursors === true && live.length > 1)) this.#runIn(againMs)
    const nextMs = live[1]?.createdMs
    if (limits.maxAgeMs === undefined || nextMs === undefined) return
    this.#runIn(Math.min(Math.max(nextMs + limits.maxAgeMs + 1 - Date.now(), atLeastMs), atMostMs))
  }

  /** One timer, for the nearest of all reasons; it keeps no process alive. */
  #runIn(delayMs: number): void {
    const atMs = performance.now() + delayMs
    if (this.#limits === undefined || this.#stopped || atMs >= this.#timerAtMs) return
    clearTimeout(this.#timer)
    this.#timerAtMs = atMs
    this.#timer = setTimeout(() => {
      this.#timerAtMs = Infinity
      this.runSoon()
    }, delayMs)
    this.#timer.unref()
  }
}
