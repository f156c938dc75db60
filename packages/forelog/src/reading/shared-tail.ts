/**
 * What many followers of one log share: the newest records are read once, and each decodes its own entries from them. A follower that
 * falls behind what is kept reads for itself until it has caught up.
 */
import { runPooled } from '../steps.js'
import { type GrowingLog, SpareMemory, TailReader, type TailRun } from './tail-reader.js'

/**
 * Bytes of records that are kept for those who come after the first: more where many follow. What is kept for long is old by the collector's measure
 * when it is let go of, and tens of MiB of it may gather before that looks at what is old.
 */
const keptBytes = 1024 * 1024
const keptForManyBytes = 4 * 1024 * 1024
const manyFollowers = 16
const readBytes = 256 * 1024

export class SharedTail {
  readonly #log: GrowingLog
  /** Also of those who read for themselves. */
  readonly spare: SpareMemory = new SpareMemory()
  readonly #waiting = new Set<() => void>()
  /** Contiguous, the oldest first. */
  readonly #runs: TailRun[] = []
  #bytes = 0
  #followers = 0
  #knownCuts = 0
  #reader: TailReader | undefined
  #reading: Promise<void> | undefined

  constructor(log: GrowingLog) {
    this.#log = log
  }

  /** Somebody follows, until what is returned is called. */
  join(): () => void {
    this.#followers++
    return () => {
      this.#followers--
    }
  }

  /** Something has happened to the log: whoever waits looks again. */
  wake(): void {
    if (this.#waiting.size === 0) return
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const wake of waiting) wake()
  }

  /** Resolves at the next `wake`; `hold` is given what ends the wait before that. */
  wait(hold: (stop: () => void) => void): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#waiting.delete(done)
        resolve()
      }
      this.#waiting.add(done)
      hold(done)
    })
  }

  /** The records that an offset is among; `'behind'`: they are not kept any more; undefined: look whether it is still there, and ask again. */
  async runWith(offset: number): Promise<TailRun | 'behind' | undefined> {
    if (this.#log.segments.cutCount !== this.#knownCuts) this.#forget()
    const kept = this.#find(offset)
    if (kept !== undefined) return kept
    const first = this.#runs[0]
    if (first !== undefined && offset < first.firstOffset) return 'behind'
    this.#reading ??= this.#read(offset).finally(() => {
      this.#reading = undefined
    })
    await this.#reading
    if (this.#log.segments.cutCount !== this.#knownCuts) return undefined
    return this.#find(offset)
  }

  async #read(offset: number): Promise<void> {
    if (this.#reader?.next !== offset) {
      this.#forget()
      this.#reader = new TailReader(this.#log, offset, this.spare)
    }
    const cuts = this.#log.segments.cutCount
    let run: TailRun | undefined
    try {
      run = await runPooled(this.#reader.read(readBytes))
    } catch (error) {
      this.#forget()
      throw error
    }
    if (run === undefined || this.#log.segments.cutCount !== cuts) return this.#forget()
    this.#runs.push(run)
    this.#bytes += run.bytes.length
    const most = this.#followers < manyFollowers ? keptBytes : keptForManyBytes
    while (this.#bytes > most && this.#runs.length > 1) this.#bytes -= (this.#runs.shift() as TailRun).bytes.length
  }

  #forget(): void {
    this.#knownCuts = this.#log.segments.cutCount
    this.#runs.length = 0
    this.#bytes = 0
    this.#reader = undefined
  }

  #find(offset: number): TailRun | undefined {
    const last = this.#runs.at(-1)
    // Most stand at the end.
    if (last === undefined || offset >= last.nextOffset || offset < (this.#runs[0] as TailRun).firstOffset) return undefined
    if (offset >= last.firstOffset) return last
    let low = 0
    let high = this.#runs.length - 1
    while (low < high) {
      const middle = (low + high) >>> 1
      if (offset >= (this.#runs[middle] as TailRun).nextOffset) low = middle + 1
      else high = middle
    }
    return this.#runs[low]
  }
}
