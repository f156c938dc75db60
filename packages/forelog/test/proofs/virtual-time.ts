/**
 * Time that passes by turns of the event loop, one millisecond each, instead of by the clock: timers then come at the same places
 * whenever a program is run again, on a slow machine and on a fast one. The wall clock stands still until it is told to go on.
 */
export async function inVirtualTime<T>(run: (time: VirtualTime) => Promise<T>): Promise<T> {
  const { setTimeout: realSetTimeout, clearTimeout: realClearTimeout } = globalThis
  const realNow = Date.now
  const time = new VirtualTime()
  globalThis.setTimeout = ((wake: () => void, delayMs: number) => time.set(wake, delayMs)) as unknown as typeof setTimeout
  globalThis.clearTimeout = ((timer: VirtualTimer | undefined) => time.clear(timer)) as unknown as typeof clearTimeout
  performance.now = () => time.nowMs
  Date.now = () => time.wallMs
  try {
    return await run(time)
  } finally {
    time.stop()
    Date.now = realNow
    globalThis.setTimeout = realSetTimeout
    globalThis.clearTimeout = realClearTimeout
    delete (performance as { now?: unknown }).now
  }
}

interface VirtualTimer {
  readonly atMs: number
  readonly wake: () => void
  ref(): VirtualTimer
  unref(): VirtualTimer
}

export class VirtualTime {
  nowMs = 1
  /** Some day. Whoever sets the clock changes this alone. */
  wallMs = 1_800_000_000_000
  #timers: VirtualTimer[] = []
  #ticking = false

  set(wake: () => void, delayMs: number): VirtualTimer {
    const timer: VirtualTimer = { atMs: this.nowMs + Math.max(1, delayMs), wake, ref: () => timer, unref: () => timer }
    this.#timers.push(timer)
    this.#tick()
    return timer
  }

  clear(timer: VirtualTimer | undefined): void {
    this.#timers = this.#timers.filter((other) => other !== timer)
  }

  stop(): void {
    this.#timers = []
  }

  /** So much passes at once, by both clocks; timers that are due by then wake in the next turn. */
  pass(ms: number): void {
    this.nowMs += ms
    this.wallMs += ms
  }

  #tick(): void {
    if (this.#ticking || this.#timers.length === 0) return
    this.#ticking = true
    setImmediate(() => {
      this.#ticking = false
      this.nowMs++
      const due = this.#timers.filter(({ atMs }) => atMs <= this.nowMs)
      this.#timers = this.#timers.filter(({ atMs }) => atMs > this.nowMs)
      for (const { wake } of due) wake()
      this.#tick()
    })
  }
}
