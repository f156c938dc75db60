/**
 * How long threads waited for a processor because others had all of them: Linux counts it, other systems don't tell. What a commit took for
 * that reason says nothing of the disk, and in the thread pool it takes more of it: two threads wait there instead of one.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemCode } from '../errors.js'

/** Nanoseconds on a processor, nanoseconds waiting for one, turns: https://docs.kernel.org/scheduler/sched-stats.html, last section. */
const thread = '/proc/thread-self/schedstat'
const tasks = '/proc/self/task'

export class ProcessorWait {
  readonly #read: () => number
  /** Up to the last look; undefined: nobody counts it. */
  #totalMs: number | undefined = 0

  private constructor(read: () => number) {
    this.#read = read
  }

  /** Of the thread that asks; some 10 µs for each answer. */
  static ofThread(): ProcessorWait {
    return new ProcessorWait(() => waitedMs(thread))
  }

  /**
   * Of all threads of the process together; some 10 µs for each of them.
   *
   * @param threads where each of them has a directory
   */
  static ofProcess(threads: string = tasks): ProcessorWait {
    return new ProcessorWait(() => {
      const waits = readdirSync(threads).flatMap((thread) => waitedMsUnlessEnded(join(threads, thread, 'schedstat')))
      // The thread that asks has not ended.
      return waits.length === 0 ? NaN : waits.reduce((sum, ms) => sum + ms)
    })
  }

  /** Milliseconds since the last call, or since the thread began; 0 where nobody counts them. */
  take(): number {
    const before = this.#totalMs
    // Asked in vain once, it is not asked again.
    if (before !== undefined) this.#look()
    // What a thread waited that has ended meanwhile is gone.
    return before === undefined || this.#totalMs === undefined ? 0 : Math.max(0, this.#totalMs - before)
  }

  #look(): void {
    try {
      const ms = this.#read()
      this.#totalMs = Number.isFinite(ms) ? ms : undefined
    } catch (error) {
      // Anything else, no descriptor left for example, says nothing of the next time.
      if (systemCode(error) === 'ENOENT') this.#totalMs = undefined
    }
  }
}

function waitedMs(path: string): number {
  return Number(readFileSync(path, 'latin1').split(' ')[1]) / 1e6
}

/** None of a thread that has ended since it was listed. */
function waitedMsUnlessEnded(path: string): [ms: number] | [] {
  try {
    return [waitedMs(path)]
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ESRCH') return []
    throw error
  }
}
