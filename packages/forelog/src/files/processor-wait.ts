/**
 * How long threads waited for a processor because others had all of them: Linux counts it, other systems don't tell. What a commit took for
 * that reason says nothing of the disk, and in the thread pool it takes more of it: two threads wait there instead of one.
 */
import { readdirSync, readFileSync } from 'node:fs'

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

  /** Of all threads of the process together; some 10 µs for each of them. */
  static ofProcess(): ProcessorWait {
    return new ProcessorWait(() => readdirSync(tasks).reduce((sum, task) => sum + waitedMs(`${tasks}/${task}/schedstat`), 0))
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
    } catch {
      this.#totalMs = undefined
    }
  }
}

function waitedMs(path: string): number {
  return Number(readFileSync(path, 'latin1').split(' ')[1]) / 1e6
}
