/**
 * Time that passes by turns of the event loop, one millisecond each, instead of by the clock: timers then come at the same places
 * whenever a program is run again, on a slow machine and on a fast one.
 */
export async function inVirtualTime<T>(run: () => Promise<T>): Promise<T> {
  const { setTimeout: realSetTimeout, clearTimeout: realClearTimeout } = globalThis
  const time = new VirtualTime()
  globalThis.setTimeout = ((wake: () => void, delayMs: number) => time.set(wake, delayMs)) as unknown as typeof setTimeout
  globalThis.clearTimeout = ((timer: VirtualTimer | undefined) => time.clear(timer)) as unknown as typeof clearTimeout
  performance.now = () => time.nowMs
  try {
    return await run()
  } finally {
    time.stop()
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

class VirtualTime {
  nowMs = 1
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
