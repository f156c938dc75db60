/**
 * Group commit: what callers append while a write and its sync are under way forms the next group, which then shares one
 * write and one sync. No timer is needed for that, and none is waited for unless the policy has a delay.
 *
 * This file decides when something is written, synced and acknowledged, and in which order; it knows neither the format
 * nor files. What a group is, and what writing means, its target knows.
 */
import { type AppendMessage, channels, type SyncMessage } from '../diagnostics.js'
import { isNoSpace, WalError, withLog } from '../errors.js'
import { byteBounds, countBounds, HistogramCounter, msBounds } from '../stats.js'
import { runBlocking, runPooled, type Steps } from '../steps.js'
import { type CommitMode, InlinePolicy, type ProcessorWaits } from './inline-policy.js'
import { type SyncPolicy, syncsAfterMs, syncsEachGroup } from './sync-policy.js'
import { Waiters } from './waiters.js'

/** What is committed: entries, encoded one behind the other. */
export interface CommitGroup {
  readonly firstOffset: number
  readonly nextOffset: number
  readonly count: number
  readonly bytes: number
  /** Whether what comes next belongs into another group. */
  readonly full: boolean
  /** Remembers where the group stands. */
  mark(): void
  /** Takes back what was added since `mark`. */
  rewind(): void
  /** Gives its entries other offsets. */
  moveTo(firstOffset: number): void
}

/** Where groups go. Each procedure is run alone, in the order of the calls. */
export interface CommitTarget<G extends CommitGroup> {
  /** Offset of the entry behind the last one that was written. */
  readonly nextOffset: number
  /** Last entry on stable storage. */
  readonly durableOffset: number
  readonly hasUnsynced: boolean
  /** Whether `markDurable` has something to say. */
  readonly hasUnvouched: boolean
  /** @param before the group in front of the new one, when that is not written yet */
  newGroup(firstOffset: number, before: G | undefined): G
  /**
   * Hands the group to the operating system, whole, and with `durably` puts it, and all in front of it, on stable storage;
   * `ERR_WAL_NO_SPACE` means that nothing of it is left.
   */
  write(group: G, durably: boolean): Steps<void>
  /** Whether `write` of this group is one quick call on a fast device: no larger than what a thread may be blocked for. */
  isQuick(group: G, durably: boolean): boolean
  /** What is to be done ahead of later groups, behind this one; undefined: nothing. */
  prepare(): Steps<void> | undefined
  /** Puts all that was written before the call on stable storage. */
  sync(): Steps<void>
  /** Tells readers what is durable; without a sync, and quick enough to block. */
  markDurable(): Steps<void>
  /** Is told when a group is written, so that it may use its buffer again. */
  recycle(group: G): void
}

export interface CommitOptions<G extends CommitGroup> {
  readonly policy: SyncPolicy
  readonly mode: CommitMode
  /** What to tell a busy processor from a slow disk by. */
  readonly waits?: ProcessorWaits
  /** Adds one entry to a group; what it throws is that entry's alone. */
  readonly encode: (group: G, entry: unknown) => void
  readonly maxPendingBytes: number
  /** The log's directory, for what is published. */
  readonly path: string
  /** Told once, with the error that ended the log. */
  readonly onFailure: (error: WalError) => void
  /** Told when something was acknowledged, or synced. */
  readonly onProgress?: () => void
}

/** A group and those who wait for it; without a group, a sync. */
interface Ticket<G> {
  group: G | undefined
  readonly waiters: Waiters
  readonly syncWaiters: { readonly resolve: (offset: number) => void; readonly reject: (error: WalError) => void }[]
  readonly sinceMs: number
  /** A sync that nobody waits for: the interval's. */
  syncs: boolean
}

interface Operation {
  readonly run: () => Promise<void>
  readonly reject: (error: WalError) => void
  /** Whether no caller waits for it. */
  readonly unasked: boolean
}

/** Runs a procedure on the target. */
export type Execute = <T>(steps: Steps<T>) => Promise<T>

/** How long a log is idle before it says what is durable. */
const idleMs = 5

export class CommitQueue<G extends CommitGroup> {
  readonly #target: CommitTarget<G>
  readonly #options: CommitOptions<G>
  readonly #pace: InlinePolicy
  readonly #queue: (Ticket<G> | Operation)[] = []
  /** The ticket that appends still join: the last one of the queue, or none. */
  #open: Ticket<G> | undefined
  #running = false
  #encoding = false
  /** Offset of the next entry to be encoded. */
  #nextOffset: number
  #lastOffset: number
  /** Promises of callers that have not settled. */
  #unsettled = 0
  #pendingBytes = 0
  /** Those who wait for the loop to end. */
  #idleWaiters: (() => void)[] = []
  /** The newest group that was encoded and is not written yet. */
  #newestGroup: G | undefined
  /** An append was refused for lack of room: so is every one behind it, until half is written. */
  #refusing = false
  #failure: WalError | undefined
  #intervalTimer: NodeJS.Timeout | undefined
  #idleTimer: NodeJS.Timeout | undefined
  #activeAtMs = 0
  #hurry: (() => void) | undefined

  #appends = 0
  #appendedBytes = 0
  readonly #refused = { backpressure: 0, noSpace: 0, encode: 0 }
  readonly #entriesPerGroup = new HistogramCounter(countBounds)
  readonly #bytesPerGroup = new HistogramCounter(byteBounds)
  readonly #syncMs = new HistogramCounter(msBounds)

  constructor(target: CommitTarget<G>, options: CommitOptions<G>) {
    this.#target = target
    this.#options = options
    this.#pace = new InlinePolicy(options.mode, options.waits)
    this.#nextOffset = target.nextOffset
    this.#lastOffset = target.nextOffset - 1
  }

  /** Newest entry that was acknowledged. */
  get lastOffset(): number {
    return this.#lastOffset
  }

  get durableOffset(): number {
    return Math.min(this.#target.durableOffset, this.#lastOffset)
  }

  /** Adds an entry to the open group, and waits until that is committed; its offset. */
  append(entry: unknown): Promise<number> {
    try {
      return this.appendOrThrow(entry)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** The same; what is refused throws at once. */
  appendOrThrow(entry: unknown): Promise<number> {
    const ticket = this.#encode(entry, false)
    return this.#wait(ticket, ticket.waiters.addEntry(this.#nextOffset - 1))
  }

  /** The same for several entries, which stay in one group. */
  appendBatch(entries: Iterable<unknown>): Promise<{ readonly first: number; readonly last: number }> {
    const first = this.#nextOffset
    let ticket: Ticket<G>
    try {
      ticket = this.#encode(entries, true)
    } catch (error) {
      return Promise.reject(error)
    }
    return this.#wait(ticket, ticket.waiters.addBatch(first, this.#nextOffset - 1))
  }

  /** Adds and commits on this thread; the offset. */
  appendBlocking(entry: unknown): number {
    if (this.#unsettled > 0) {
      throw new WalError('ERR_WAL_BUSY', 'appendSync was called while a promise of this log has not settled: await that first, or use append')
    }
    const ticket = this.#encode(entry, false)
    const offset = this.#nextOffset - 1
    // Nobody else is to join it, and the loop must not find it: it is committed before anything else can happen.
    this.#close(ticket)
    this.#queue.splice(this.#queue.indexOf(ticket), 1)
    const beganMs = performance.now()
    try {
      runBlocking(this.#commit(ticket))
    } catch (error) {
      this.#refuse(ticket, error)
      throw error
    }
    this.#acknowledge(ticket, performance.now() - beganMs)
    this.#getAheadBlocking()
    this.#rest()
    return offset
  }

  /** Syncs what was appended before the call; the durable offset. */
  sync(): Promise<number> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    const ticket = this.#openTicket()
    this.#unsettled++
    const promise = new Promise<number>((resolve, reject) => ticket.syncWaiters.push({ resolve, reject }))
    this.#hurry?.()
    this.#wake()
    return promise
  }

  /** Runs something alone, behind all that was called before it and in front of all that is called after it. */
  operate<T>(run: () => Promise<T>): Promise<T> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    if (this.#open !== undefined) this.#close(this.#open)
    this.#unsettled++
    return new Promise<T>((resolve, reject) => {
      this.#queue.push({
        // What it throws is the caller's to judge: see `fail`. It has settled before the caller can find out.
        run: () => run().finally(() => this.#unsettled--).then(resolve, reject),
        reject,
        unasked: false,
      })
      this.#hurry?.()
      this.#wake()
    })
  }

  /**
   * Runs something behind what is there now, that no caller has asked for: `appendSync` is not refused for it. It may wait for anything,
   * and touches the target with `execute` alone. That blocks, where nobody waits: else `appendSync` might come in between. Who
   * waits behind it has not settled before it is over, so that `appendSync` is refused anyway, and it goes to the thread pool.
   */
  operateUnasked(run: (execute: Execute) => Promise<void>): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    const execute: Execute = async (steps) => (this.#unsettled > 0 ? await runPooled(steps) : runBlocking(steps))
    return new Promise<void>((resolve, reject) => {
      this.#queue.push({ run: () => run(execute).then(resolve, reject), reject, unasked: true })
      this.#wake()
    })
  }

  /**
   * To be called by an operation that moved the end of the target back: what waits behind it was encoded with offsets behind the
   * old end, and takes those behind the new one.
   */
  moveBack(): void {
    const lastOffset = this.#target.nextOffset - 1
    const by = this.#lastOffset - lastOffset
    for (const work of this.#queue) {
      if ('run' in work) continue
      work.group?.moveTo(work.group.firstOffset - by)
      work.waiters.moveBy(-by)
    }
    this.#nextOffset -= by
    this.#lastOffset = lastOffset
  }

  /** Ends the log: all that is under way and all that waits is rejected. */
  fail(error: WalError): void {
    if (this.#failure !== undefined) return
    this.#failure = error
    this.stop()
    for (const work of this.#queue.splice(0)) {
      if ('run' in work) {
        if (!work.unasked) this.#unsettled--
        work.reject(error)
      } else this.#reject(work, error)
    }
    this.#open = undefined
    this.#newestGroup = undefined
    this.#pendingBytes = 0
    this.#options.onFailure(error)
  }

  /** Resolves when nothing is under way: after a failure too. */
  async whenIdle(): Promise<void> {
    if (this.#running) await new Promise<void>((resolve) => this.#idleWaiters.push(resolve))
  }

  /** Stops the timers: nothing is appended any more. */
  stop(): void {
    clearTimeout(this.#intervalTimer)
    clearTimeout(this.#idleTimer)
    this.#intervalTimer = undefined
    this.#idleTimer = undefined
    this.#hurry?.()
  }

  stats(): {
    appends: number
    appendedBytes: number
    groups: number
    syncs: number
    pendingBytes: number
    pendingEntries: number
    refused: { backpressure: number; noSpace: number; encode: number }
    entriesPerGroup: ReturnType<HistogramCounter['snapshot']>
    bytesPerGroup: ReturnType<HistogramCounter['snapshot']>
    syncMs: ReturnType<HistogramCounter['snapshot']>
  } {
    const entriesPerGroup = this.#entriesPerGroup.snapshot()
    const syncMs = this.#syncMs.snapshot()
    return {
      appends: this.#appends,
      appendedBytes: this.#appendedBytes,
      groups: entriesPerGroup.count,
      syncs: syncMs.count,
      pendingBytes: this.#pendingBytes,
      pendingEntries: this.#nextOffset - this.#target.nextOffset,
      refused: { ...this.#refused },
      entriesPerGroup,
      bytesPerGroup: this.#bytesPerGroup.snapshot(),
      syncMs,
    }
  }

  #wait<T>(ticket: Ticket<G>, promise: Promise<T>): Promise<T> {
    this.#unsettled++
    if (this.#hurry !== undefined && ticket.group?.full === true) this.#hurry()
    if (!this.#running) this.#wake()
    return promise
  }

  /** Encodes one entry, or several, into the open group; what fails leaves no trace in it. */
  #encode(what: unknown, several: boolean): Ticket<G> {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#encoding) throw new WalError('ERR_WAL_BUSY', 'an entry called append while it was being encoded: append it afterwards')
    if (this.#refusing) this.#refuseForLackOfRoom()
    const ticket = this.#openTicket()
    const group = (ticket.group ??= this.#target.newGroup(this.#nextOffset, this.#newestGroup))
    const bytesBefore = group.bytes
    group.mark()
    this.#encoding = true
    try {
      if (several) for (const entry of what as Iterable<unknown>) this.#options.encode(group, entry)
      else this.#options.encode(group, what)
    } catch (error) {
      group.rewind()
      this.#refused.encode++
      throw withLog(error, this.#options.path)
    } finally {
      this.#encoding = false
    }
    const bytes = group.bytes - bytesBefore
    // Alone, one that is larger than the limit is taken: it could never be written otherwise.
    if (this.#pendingBytes > 0 && this.#pendingBytes + bytes > this.#options.maxPendingBytes) {
      group.rewind()
      this.#refusing = true
      this.#refuseForLackOfRoom()
    }
    this.#pendingBytes += bytes
    this.#nextOffset = group.nextOffset
    this.#newestGroup = group
    return ticket
  }

  #refuseForLackOfRoom(): never {
    this.#refused.backpressure++
    throw new WalError(
      'ERR_WAL_BACKPRESSURE',
      `${this.#pendingBytes} bytes wait to be written, and maxPendingBytes is ${this.#options.maxPendingBytes}: wait for an earlier append before the next one (log ${this.#options.path})`,
      { path: this.#options.path, bytes: this.#pendingBytes },
    )
  }

  /** The ticket that may still be joined, or a new one at the end of the queue. */
  #openTicket(): Ticket<G> {
    if (this.#open !== undefined && this.#open.group?.full !== true) return this.#open
    const ticket: Ticket<G> = { group: undefined, waiters: new Waiters(), syncWaiters: [], sinceMs: performance.now(), syncs: false }
    this.#queue.push(ticket)
    this.#open = ticket
    return ticket
  }

  #close(ticket: Ticket<G>): void {
    if (this.#open === ticket) this.#open = undefined
  }

  /** Begins to work off the queue, behind the code that runs now: what that appends goes together. */
  #wake(): void {
    if (this.#running) return
    this.#running = true
    queueMicrotask(() => void this.#workOff())
  }

  /** The commit loop. */
  async #workOff(): Promise<void> {
    for (let work = this.#queue[0]; work !== undefined; work = this.#queue[0]) {
      if ('run' in work) {
        this.#queue.shift()
        await work.run()
        continue
      }
      if (this.#options.policy.delayMs > 0) await this.#waitForMore(work)
      // Between two groups that block, timers and sockets get their turn: a turn of the event loop, not a microtask.
      if (this.#pace.inline) await eventLoopTurn()
      if (this.#queue[0] !== work) continue
      // From here on nothing joins this group: later appends form the next one.
      this.#queue.shift()
      this.#close(work)
      const quick = this.#isQuick(work)
      const inline = quick && this.#pace.inline
      const beganMs = performance.now()
      try {
        if (inline) runBlocking(this.#commit(work))
        else await runPooled(this.#commit(work))
      } catch (error) {
        this.#refuse(work, error)
        continue
      }
      const durationMs = performance.now() - beganMs
      if (quick) this.#pace.observe(durationMs)
      // In the pool it takes turns of the event loop. Until it is done somebody is still waiting, so that no `appendSync` comes in
      // between and has zeros written over its entry; where nobody is, for a sync of the interval alone, nothing is prepared.
      const isAwaited = work.waiters.count + work.syncWaiters.length > 0
      const failure = inline || !isAwaited ? undefined : await this.#getAhead()
      this.#acknowledge(work, durationMs)
      if (failure !== undefined) this.fail(failure)
      else if (inline) this.#getAheadBlocking()
    }
    this.#running = false
    for (const resolve of this.#idleWaiters.splice(0)) resolve()
    this.#rest()
  }

  #isQuick(ticket: Ticket<G>): boolean {
    return ticket.group !== undefined && ticket.group.count > 0 && this.#target.isQuick(ticket.group, this.#syncs(ticket))
  }

  /** Prepares what later groups need; what went wrong is told when those who wait for this one have been told that it is committed. */
  async #getAhead(): Promise<WalError | undefined> {
    const steps = this.#target.prepare()
    if (steps === undefined) return undefined
    try {
      await runPooled(steps)
      return undefined
    } catch (error) {
      return asFailure(error)
    }
  }

  #getAheadBlocking(): void {
    const steps = this.#target.prepare()
    if (steps === undefined) return
    try {
      runBlocking(steps)
    } catch (error) {
      this.fail(asFailure(error))
    }
  }

  #syncs(ticket: Ticket<G>): boolean {
    return syncsEachGroup(this.#options.policy) || ticket.syncs || ticket.syncWaiters.length > 0
  }

  /** One group: one write, one sync. Whoever is acknowledged afterwards is acknowledged for what this has done. */
  *#commit(ticket: Ticket<G>): Steps<void> {
    const { group } = ticket
    const durably = this.#syncs(ticket)
    if (group !== undefined && group.count > 0) {
      const beganMs = performance.now()
      yield* this.#target.write(group, durably)
      if (durably) this.#synced(performance.now() - beganMs)
      this.#written(group)
    } else if (durably && this.#target.hasUnsynced) {
      const beganMs = performance.now()
      yield* this.#target.sync()
      this.#synced(performance.now() - beganMs)
    }
  }

  #synced(durationMs: number): void {
    this.#syncMs.add(durationMs)
    if (!channels.sync.hasSubscribers) return
    const message: SyncMessage = { path: this.#options.path, durableOffset: this.#target.durableOffset, durationMs }
    channels.sync.publish(message)
  }

  #written(group: G): void {
    this.#pendingBytes -= group.bytes
    if (this.#pendingBytes * 2 <= this.#options.maxPendingBytes) this.#refusing = false
    if (this.#newestGroup === group) this.#newestGroup = undefined
    this.#entriesPerGroup.add(group.count)
    this.#bytesPerGroup.add(group.bytes)
    this.#appends += group.count
    this.#appendedBytes += group.bytes
  }

  #acknowledge(ticket: Ticket<G>, durationMs: number): void {
    // Only what `#commit` took to its end comes here: written, and synced where the policy or a caller wants that.
    const { group } = ticket
    if (group !== undefined && group.count > 0) {
      this.#lastOffset = group.nextOffset - 1
      if (channels.append.hasSubscribers) this.#publish(group, durationMs)
    }
    if (group !== undefined) this.#target.recycle(group)
    this.#unsettled -= ticket.waiters.count + ticket.syncWaiters.length
    ticket.waiters.resolveAll()
    for (const { resolve } of ticket.syncWaiters) resolve(this.durableOffset)
    this.#options.onProgress?.()
    this.#activeAtMs = performance.now()
    const afterMs = syncsAfterMs(this.#options.policy)
    if (afterMs !== undefined && this.#target.hasUnsynced) this.#syncLater(afterMs)
  }

  #publish(group: G, durationMs: number): void {
    const { path, policy } = this.#options
    const last = group.nextOffset - 1
    const durable = syncsEachGroup(policy) || this.#target.durableOffset >= last
    const message: AppendMessage = { path, first: group.firstOffset, last, bytes: group.bytes, durable, durationMs }
    channels.append.publish(message)
  }

  /** A ticket could not be committed. */
  #refuse(ticket: Ticket<G>, error: unknown): void {
    if (!(error instanceof WalError) || !isNoSpace(error)) {
      const failure = asFailure(error)
      this.#reject(ticket, failure)
      this.fail(failure)
      return
    }
    // The group was undone on disk. What waits behind it has offsets that follow its own, so all of it goes too, and what is
    // stored stays a prefix of the calls.
    const tickets = this.#queue.filter((work): work is Ticket<G> => !('run' in work))
    const operations = this.#queue.filter((work) => 'run' in work)
    this.#queue.splice(0, this.#queue.length, ...operations)
    this.#open = undefined
    this.#newestGroup = undefined
    this.#pendingBytes = 0
    this.#refusing = false
    this.#nextOffset = this.#target.nextOffset
    for (const refused of [ticket, ...tickets]) {
      this.#refused.noSpace += refused.waiters.count
      this.#reject(refused, error)
    }
  }

  #reject(ticket: Ticket<G>, error: WalError): void {
    this.#unsettled -= ticket.waiters.count + ticket.syncWaiters.length
    ticket.waiters.rejectAll(error)
    for (const { reject } of ticket.syncWaiters) reject(error)
  }

  /** Waits out the delay of the policy, but not for what is full or asked for. The append that waits keeps the process alive. */
  #waitForMore(ticket: Ticket<G>): Promise<void> | undefined {
    const remainingMs = ticket.sinceMs + this.#options.policy.delayMs - performance.now()
    const wanted = ticket.syncWaiters.length > 0 || ticket.syncs || ticket.group?.full === true || this.#queue.length > 1
    if (remainingMs <= 0 || wanted) return undefined
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#hurry?.(), remainingMs)
      this.#hurry = () => {
        clearTimeout(timer)
        this.#hurry = undefined
        resolve()
      }
    })
  }

  /** Unsynced data keeps the process alive until it is synced: the timer is not unref'd. */
  #syncLater(afterMs: number): void {
    this.#intervalTimer ??= setTimeout(() => {
      this.#intervalTimer = undefined
      this.#openTicket().syncs = true
      this.#wake()
    }, afterMs)
  }

  /** Nothing is to do: if that stays so, readers are told what is durable. One timer serves any number of spells. */
  #rest(): void {
    // Synced by somebody else meanwhile: the process need not live on for the interval's end.
    if (this.#intervalTimer !== undefined && !this.#target.hasUnsynced) {
      clearTimeout(this.#intervalTimer)
      this.#intervalTimer = undefined
    }
    if (this.#idleTimer !== undefined || this.#failure !== undefined || !this.#target.hasUnvouched) return
    this.#idleTimer = setTimeout(() => {
      this.#idleTimer = undefined
      if (this.#running || performance.now() - this.#activeAtMs < idleMs) return this.#rest()
      try {
        runBlocking(this.#target.markDurable())
      } catch (error) {
        this.fail(error as WalError)
      }
    }, idleMs)
    // The mark is a courtesy to readers: no process is kept alive for it.
    this.#idleTimer.unref()
  }
}

/** What ended the log, as an error of ours. */
function asFailure(error: unknown): WalError {
  if (error instanceof WalError) return error
  return new WalError('ERR_WAL_WRITE_FAILED', `writing failed: ${String(error)}: close the log and open it again`, { cause: error })
}

function eventLoopTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
