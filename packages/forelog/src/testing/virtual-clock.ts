/**
 * A clock that shows what the simulation says. Waiting costs no time: once the event loop has nothing else to do, the
 * clock jumps to the next one who waits. Who waits shorter goes first, whatever the machine is doing.
 */
export class VirtualClock {
  #nowMs = 0
  #scheduled = false
  // Sorted by time, then by order of arrival.
  readonly #waiting: { readonly atMs: number; readonly wake: () => void }[] = []

  /** Milliseconds since the clock was made. */
  get nowMs(): number {
    return this.#nowMs
  }

  /** Calls `wake` when that many milliseconds have passed on this clock. */
  wait(delayMs: number, wake: () => void): void {
    const atMs = this.#nowMs + delayMs
    let index = this.#waiting.length
    while (index > 0 && (this.#waiting[index - 1]?.atMs ?? 0) > atMs) index--
    this.#waiting.splice(index, 0, { atMs, wake })
    this.#schedule()
  }

  #schedule(): void {
    if (this.#scheduled || this.#waiting.length === 0) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      const next = this.#waiting.shift()
      if (next === undefined) return
      this.#nowMs = next.atMs
      next.wake()
      this.#schedule()
    })
  }
}
