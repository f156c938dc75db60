/**
 * Event-sourced counters: the credits of customers. A command is checked against the counter, becomes an event, and the event, once it is durable,
 * moves the counter. From time to time the counters are saved, and the events in them are let go.
 */
import { join } from 'node:path'
import { defineEntries, type EntryOf, type FileSystem, json, type LogOf, nodeFileSystem, WriteAheadLog } from 'forelog'
import { readIfThere, writeAtomically } from './atomic-file.js'

const entries = defineEntries({
  granted: { type: 1, codec: json<{ customer: string; credits: number }>() },
  used: { type: 2, codec: json<{ customer: string; credits: number }>() },
})

interface Snapshot {
  /** Newest event that is in it. */
  readonly checkpoint: number
  readonly counters: readonly (readonly [customer: string, credits: number])[]
}

// #region credits
export class Credits implements AsyncDisposable {
  readonly #log: LogOf<typeof entries>
  readonly #fileSystem: FileSystem
  readonly #snapshotPath: string
  readonly #counters: Map<string, number>
  /** Newest event that is in the counters. */
  #applied: number
  /** The last command of each customer that has one under way. */
  readonly #turns = new Map<string, Promise<unknown>>()
  #saving: Promise<void> | undefined

  private constructor(log: LogOf<typeof entries>, fileSystem: FileSystem, snapshotPath: string, { checkpoint, counters }: Snapshot) {
    this.#log = log
    this.#fileSystem = fileSystem
    this.#snapshotPath = snapshotPath
    this.#counters = new Map(counters)
    this.#applied = checkpoint
  }

  /** From the snapshot, and the events behind it. */
  static async open(directory: string, fileSystem: FileSystem = nodeFileSystem): Promise<Credits> {
    const log = await WriteAheadLog.open(join(directory, 'log'), { entries, fileSystem })
    try {
      const snapshotPath = join(directory, 'snapshot.json')
      const saved = await readIfThere(fileSystem, snapshotPath)
      const snapshot = saved === undefined ? { checkpoint: 0, counters: [] } : (JSON.parse(Buffer.from(saved).toString()) as Snapshot)
      const credits = new Credits(log, fileSystem, snapshotPath, snapshot)
      // The log may still have events that are in the snapshot: a crash can come before they are let go.
      for (const { offset, entry } of log.entriesSync({ from: snapshot.checkpoint + 1 })) credits.#apply(offset, entry)
      return credits
    } catch (error) {
      await log.close() // or the next attempt of this process finds the log locked
      throw error
    }
  }

  of(customer: string): number {
    return this.#counters.get(customer) ?? 0
  }

  grant(customer: string, credits: number): Promise<void> {
    return this.#inTurn(customer, () => this.#record(entries.granted({ customer, credits })))
  }

  /** Whether there were enough. A counter is never below 0, however many ask at once. */
  use(customer: string, credits: number): Promise<boolean> {
    return this.#inTurn(customer, async () => {
      if (this.of(customer) < credits) return false
      await this.#record(entries.used({ customer, credits }))
      return true
    })
  }

  /** Saves the counters, then frees what the log holds of them. */
  snapshot(): Promise<void> {
    this.#saving ??= this.#save().finally(() => (this.#saving = undefined))
    return this.#saving
  }

  async #save(): Promise<void> {
    // Both at the same moment. Events are applied in the order of their offsets, so the counters have all up to this one, and none behind it.
    const snapshot: Snapshot = { checkpoint: this.#applied, counters: [...this.#counters] }
    await writeAtomically(this.#fileSystem, this.#snapshotPath, Buffer.from(JSON.stringify(snapshot)))
    // Only now: before that, these events were the only place that had it.
    await this.#log.truncateBefore(snapshot.checkpoint + 1)
  }

  /**
   * One command at a time for each customer: the second is checked against what the first left. Commands of different customers go on
   * at once, and share a sync.
   */
  #inTurn<T>(customer: string, command: () => Promise<T>): Promise<T> {
    const turn = (this.#turns.get(customer) ?? Promise.resolve()).then(command)
    const over = turn.catch(() => {}).then(() => {
      if (this.#turns.get(customer) === over) this.#turns.delete(customer)
    })
    this.#turns.set(customer, over)
    return turn
  }

  async #record(event: EntryOf<typeof entries>): Promise<void> {
    this.#apply(await this.#log.append(event), event)
  }

  #apply(offset: number, { name, value: { customer, credits } }: EntryOf<typeof entries>): void {
    this.#counters.set(customer, this.of(customer) + (name === 'granted' ? credits : -credits))
    this.#applied = offset
  }
  // #endregion

  /** Events that the log still has. */
  get logged(): number {
    return this.#log.lastOffset - this.#log.firstOffset + 1
  }

  close(): Promise<void> {
    return this.#log.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
