/**
 * An outbox: what has to be told to somebody else is in the log before it is told, and is told again until that is in the log, too.
 * The other side gets each message at least once, with an id to know it by.
 */
import { defineEntries, json, type LogOf, WriteAheadLog } from 'forelog'

const entries = defineEntries({
  queued: { type: 1, codec: json<{ message: string }>() },
  sent: { type: 2, codec: json<{ offset: number }>() }, // of the queued entry
})

export type Send = (id: number, message: string) => Promise<void>

// #region outbox
export class Outbox implements AsyncDisposable {
  readonly #log: LogOf<typeof entries>
  readonly #waiting = new Map<number, string>()

  private constructor(log: LogOf<typeof entries>) {
    this.#log = log
  }

  static async open(directory: string): Promise<Outbox> {
    const outbox = new Outbox(await WriteAheadLog.open(directory, { entries }))
    try {
      for (const { offset, entry } of outbox.#log.entriesSync()) {
        if (entry.name === 'queued') outbox.#waiting.set(offset, entry.value.message)
        else outbox.#waiting.delete(entry.value.offset)
      }
      return outbox
    } catch (error) {
      await outbox.#log.close() // or the next attempt of this process finds the log locked
      throw error
    }
  }

  /** Resolves when the message can't be lost any more. */
  async queue(message: string): Promise<void> {
    this.#waiting.set(await this.#log.append(entries.queued({ message })), message)
  }

  /** Sends what waits, in order. A crash between sending and the note of it sends once more, with the same id. */
  async flush(send: Send): Promise<void> {
    let newest = 0
    for (const [offset, message] of this.#waiting) {
      await send(offset, message)
      newest = await this.#log.append(entries.sent({ offset }))
      this.#waiting.delete(offset)
    }
    // All below the oldest that waits is done with; if none does, all up to the newest note. Not up to `lastOffset`: that may already
    // be a message whose `queue` has yet to hear of it.
    const [oldest = newest + 1] = this.#waiting.keys()
    await this.#log.truncateBefore(oldest)
  }
  // #endregion

  get waiting(): number {
    return this.#waiting.size
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#log.close()
  }
}
