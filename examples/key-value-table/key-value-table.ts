/**
 * A table in memory that survives crashes: each change is in the log before it is in the table, and from time to time the table is
 * saved whole, so that the log does not grow for ever.
 */
import { open, readFile, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { defineEntries, json, type LogOf, type OpenOptions, utf8, WriteAheadLog } from 'forelog'

const entries = defineEntries({
  put: { type: 1, codec: json<{ key: string; value: unknown }>() },
  del: { type: 2, codec: utf8 },
})

interface Snapshot {
  /** Offset of the newest entry that is in it; 0: none. */
  readonly checkpoint: number
  readonly rows: readonly (readonly [key: string, value: unknown])[]
}

export class KeyValueTable implements AsyncDisposable {
  readonly #log: LogOf<typeof entries>
  readonly #snapshotPath: string
  readonly #rows: Map<string, unknown>
  /** Newest entry that is in the table. */
  #applied: number
  /** Newest entry that is in the snapshot on disk. */
  #checkpoint: number

  private constructor(log: LogOf<typeof entries>, snapshotPath: string, { checkpoint, rows }: Snapshot) {
    this.#log = log
    this.#snapshotPath = snapshotPath
    this.#rows = new Map(rows)
    this.#applied = checkpoint
    this.#checkpoint = checkpoint
  }

  // #region open
  static async open(directory: string, options: Pick<OpenOptions, 'fileSystem'> = {}): Promise<KeyValueTable> {
    const log = await WriteAheadLog.open(join(directory, 'log'), { ...options, entries })
    try {
      const snapshotPath = join(directory, 'snapshot.json')
      const table = new KeyValueTable(log, snapshotPath, await readSnapshot(snapshotPath))
      // What the snapshot holds is not applied again, whether or not the log still has it.
      for await (const { offset, entry } of log.entries({ from: table.#checkpoint + 1 })) {
        if (entry.name === 'put') table.#rows.set(entry.value.key, entry.value.value)
        else table.#rows.delete(entry.value)
        table.#applied = offset
      }
      return table
    } catch (error) {
      await log.close() // or the next attempt of this process finds the log locked
      throw error
    }
  }
  // #endregion

  get size(): number {
    return this.#rows.size
  }

  get(key: string): unknown {
    return this.#rows.get(key)
  }

  /** All keys and values. */
  rows(): IterableIterator<[string, unknown]> {
    return this.#rows.entries()
  }

  // Appends resolve in the order of their calls, so the table changes in that order, too.

  async put(key: string, value: unknown): Promise<void> {
    const offset = await this.#log.append(entries.put({ key, value }))
    this.#rows.set(key, value)
    this.#applied = offset
  }

  async delete(key: string): Promise<void> {
    const offset = await this.#log.append(entries.del(key))
    this.#rows.delete(key)
    this.#applied = offset
  }

  // #region snapshot
  /** Saves the table, then frees what the log holds of it. A crash between the two costs nothing: see `open`. */
  async snapshot(): Promise<void> {
    await this.saveSnapshot()
    await this.#log.truncateBefore(this.#checkpoint + 1)
  }

  /** Atomic and durable: written beside the old one, synced, renamed over it, and the name synced. */
  async saveSnapshot(): Promise<void> {
    const snapshot: Snapshot = { checkpoint: this.#applied, rows: [...this.#rows] }
    const temporary = `${this.#snapshotPath}.tmp`
    const file = await open(temporary, 'w')
    try {
      await file.writeFile(JSON.stringify(snapshot))
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, this.#snapshotPath)
    await syncDirectory(dirname(this.#snapshotPath))
    this.#checkpoint = snapshot.checkpoint
  }
  // #endregion

  /** Offsets that the log still holds. */
  get logged(): { readonly first: number; readonly last: number } {
    return { first: this.#log.firstOffset, last: this.#log.lastOffset }
  }

  close(): Promise<void> {
    return this.#log.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

async function readSnapshot(path: string): Promise<Snapshot> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Snapshot
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { checkpoint: 0, rows: [] }
    throw error
  }
}

async function syncDirectory(path: string): Promise<void> {
  // Windows opens no directories, and needs no such sync.
  if (process.platform === 'win32') return
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
