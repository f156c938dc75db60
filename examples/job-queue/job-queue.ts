/**
 * A queue of jobs that survives crashes. Whoever enqueued knows that the job will be run, at least once: until it succeeds, or has failed
 * so often that it is put with the dead letters. What the queue knows is made of its log at the start.
 */
import { EventEmitter, once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { defineEntries, type EntryOf, type FileSystem, json, type LogOf, nodeFileSystem, WriteAheadLog } from 'forelog'

export interface Job {
  /** The offset that it was enqueued at. For the handler, too: a job may come again, and is known by it. */
  readonly id: number
  readonly data: unknown
  /** How often it was started; the one that is under way counts. */
  readonly attempts: number
  /** Not to be started before: milliseconds since 1970. */
  readonly notBefore: number
}

export interface DeadLetter {
  readonly id: number
  readonly data: unknown
  readonly attempts: number
  readonly error: string
}

export interface QueueOptions {
  /** Default 5. */
  readonly maxAttempts?: number
  /** How long to wait after the n-th failure. Default: 1 s, 2 s, 4 s, … a minute. */
  readonly backoffMs?: (attempts: number) => number
  readonly now?: () => number
  readonly fileSystem?: FileSystem
}

// #region entries
const entries = defineEntries({
  enqueued: { type: 1, codec: json<{ data: unknown }>() },
  started: { type: 2, codec: json<{ id: number }>() },
  postponed: { type: 3, codec: json<Job>() }, // the whole job again: nothing in front of it is needed any more
  done: { type: 4, codec: json<{ id: number }>() },
})

const deadEntries = defineEntries({ died: { type: 1, codec: json<DeadLetter>() } })
// #endregion

// #region queue
export class JobQueue implements AsyncDisposable {
  readonly #log: LogOf<typeof entries>
  /** A log of its own: a letter that lies here for months keeps nothing of the other. */
  readonly #deadLetters: LogOf<typeof deadEntries>
  readonly #options: Required<Omit<QueueOptions, 'fileSystem'>>
  /** What is not done, in the order of `place`: the newest entry that has all of the job. */
  readonly #jobs = new Map<number, Job & { readonly place: number }>()
  /** Under way. In memory alone: after a crash nobody has them, and they are given again. */
  readonly #taken = new Set<number>()
  readonly #events = new EventEmitter()
  /** Newest entry that `#jobs` knows of; the log may be ahead. */
  #applied: number

  private constructor(log: LogOf<typeof entries>, deadLetters: LogOf<typeof deadEntries>, options: QueueOptions) {
    this.#log = log
    this.#deadLetters = deadLetters
    this.#options = { maxAttempts: 5, backoffMs: (attempts) => Math.min(1000 * 2 ** (attempts - 1), 60_000), now: Date.now, ...options }
    this.#applied = log.firstOffset - 1
  }

  static async open(directory: string, options: QueueOptions = {}): Promise<JobQueue> {
    const { fileSystem = nodeFileSystem } = options
    const log = await WriteAheadLog.open(join(directory, 'jobs'), { entries, fileSystem })
    let deadLetters: LogOf<typeof deadEntries> | undefined
    try {
      deadLetters = await WriteAheadLog.open(join(directory, 'dead'), { entries: deadEntries, fileSystem })
      const queue = new JobQueue(log, deadLetters, options)
      for (const { offset, entry } of log.entriesSync()) queue.#apply(offset, entry)
      return queue
    } catch (error) {
      await Promise.all([log.close(), deadLetters?.close()]) // or the next attempt of this process finds them locked
      throw error
    }
  }

  /** Its id, when the job can't be lost any more. */
  async enqueue(data: unknown): Promise<number> {
    const id = await this.#record(entries.enqueued({ data }))
    this.#events.emit('job')
    return id
  }

  /** The oldest job that is due; undefined: none is. It belongs to the caller until `done` or `fail`. */
  async take(): Promise<Job | undefined> {
    for (const { id, attempts, notBefore } of this.#jobs.values()) {
      if (this.#taken.has(id) || notBefore > this.#options.now()) continue
      this.#taken.add(id)
      if (attempts >= this.#options.maxAttempts) {
        await this.fail(id, 'the process died in the last attempt')
        continue
      }
      // In the log before it runs: a job that kills its process runs out of attempts like any other.
      await this.#record(entries.started({ id }))
      return this.#jobs.get(id)
    }
    return undefined
  }

  async done(id: number): Promise<void> {
    await this.#record(entries.done({ id }))
    this.#taken.delete(id)
  }

  async fail(id: number, error: string): Promise<void> {
    const job = this.#jobs.get(id)
    if (job === undefined || !this.#taken.has(id)) throw new Error(`job ${id} is not under way`)
    const { data, attempts } = job
    if (attempts < this.#options.maxAttempts) {
      await this.#record(entries.postponed({ id, data, attempts, notBefore: this.#options.now() + this.#options.backoffMs(attempts) }))
      this.#taken.delete(id)
      return
    }
    // There first, then away from here: a crash between the two leaves it in both, and it dies once more. The other way round it were lost.
    await this.#deadLetters.append(deadEntries.died({ id, data, attempts, error }))
    await this.done(id)
  }

  /** Frees what the log holds of jobs that are done. */
  async compact(): Promise<void> {
    const [oldest] = this.#jobs.values()
    // Not `log.lastOffset`: that may be a job whose `enqueue` has yet to hear of it.
    await this.#log.truncateBefore(oldest?.place ?? this.#applied + 1)
  }
  // #endregion

  /** The jobs that were given up, each once. */
  deadLetters(): DeadLetter[] {
    return [...new Map([...this.#deadLetters.entriesSync()].map(({ entry }) => [entry.value.id, entry.value])).values()]
  }

  /** What is not done, with what is under way. */
  get size(): number {
    return this.#jobs.size
  }

  /** Entries in the log. */
  get logged(): number {
    return this.#log.lastOffset - this.#log.firstOffset + 1
  }

  /** When a job may be due: one was enqueued, one has waited long enough, or `signal` aborts. */
  async whenDue(signal: AbortSignal): Promise<void> {
    const now = this.#options.now()
    let due = now + 60_000
    for (const { id, notBefore } of this.#jobs.values()) if (!this.#taken.has(id)) due = Math.min(due, notBefore)
    const over = new AbortController()
    const either = AbortSignal.any([signal, over.signal])
    const waits = [once(this.#events, 'job', { signal: either }), wait(Math.max(due - now, 0), undefined, { signal: either })]
    await Promise.race(waits).catch(() => {}) // aborted
    over.abort()
  }

  async close(): Promise<void> {
    await this.#log.close()
    await this.#deadLetters.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  // #region apply
  async #record(entry: EntryOf<typeof entries>): Promise<number> {
    const offset = await this.#log.append(entry)
    this.#apply(offset, entry)
    return offset
  }

  /** The same for what was appended just now and for what was read at the start, so that both come to the same. */
  #apply(offset: number, { name, value }: EntryOf<typeof entries>): void {
    this.#applied = offset
    switch (name) {
      case 'enqueued':
        this.#jobs.set(offset, { id: offset, data: value.data, attempts: 0, notBefore: 0, place: offset })
        break
      case 'started': {
        const job = this.#jobs.get(value.id) // none: it is done, and the log in front was freed
        if (job !== undefined) this.#jobs.set(job.id, { ...job, attempts: job.attempts + 1 })
        break
      }
      case 'postponed':
        this.#jobs.delete(value.id) // to the end
        this.#jobs.set(value.id, { ...value, place: offset })
        break
      case 'done':
        this.#jobs.delete(value.id)
    }
  }
  // #endregion
}

// #region work
/** Runs jobs, so many at a time, until `signal` aborts; those that are under way are then finished. */
export async function work(queue: JobQueue, handler: (job: Job) => Promise<void>, { signal, concurrency = 4 }: { signal: AbortSignal; concurrency?: number }): Promise<void> {
  let finished = 0
  const worker = async (): Promise<void> => {
    while (!signal.aborted) {
      const job = await queue.take()
      if (job === undefined) {
        await queue.whenDue(signal)
        continue
      }
      const error = await handler(job).then(
        () => undefined,
        (reason: unknown) => String(reason),
      )
      await (error === undefined ? queue.done(job.id) : queue.fail(job.id, error))
      if (++finished % 1000 === 0) await queue.compact()
    }
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
}
// #endregion
