/**
 * A bar for long work: on stderr, only where a person looks, and only once it takes a while.
 */
import { SingleBar } from 'cli-progress'
import type { Progress } from 'forelog'
import type { Terminal } from './terminal.js'
import { bytesText, durationText } from './text.js'

/** Work that is over sooner needs no bar. */
const patienceMs = 400

export class ProgressBar {
  readonly #enabled: boolean
  readonly #startMs = performance.now()
  readonly #bar: SingleBar
  #shown = false

  constructor(terminal: Terminal, label: string) {
    this.#enabled = process.stderr.isTTY === true && process.env['TERM'] !== 'dumb'
    const { cyan, dim } = terminal.errorColors
    this.#bar = new SingleBar({
      stream: process.stderr,
      clearOnComplete: true,
      hideCursor: true,
      barCompleteChar: '█',
      barIncompleteChar: '░',
      barsize: 30,
      fps: 10,
      format: `${label} ${cyan('{bar}')} {percentage}% ${dim('{done} of {all}, {rate}/s, {left} left')}`,
    })
  }

  readonly update = ({ bytes, totalBytes }: Progress): void => {
    const elapsedMs = performance.now() - this.#startMs
    if (!this.#enabled || elapsedMs < patienceMs || totalBytes === 0) return
    const perMs = bytes / elapsedMs
    const payload = {
      done: bytesText(bytes),
      all: bytesText(totalBytes),
      rate: bytesText(perMs * 1000),
      left: perMs > 0 ? durationText((totalBytes - bytes) / perMs) : '…',
    }
    if (!this.#shown) this.#bar.start(totalBytes, bytes, payload)
    this.#shown = true
    this.#bar.update(bytes, payload)
  }

  stop(): void {
    if (this.#shown) this.#bar.stop()
  }

  get elapsedMs(): number {
    return performance.now() - this.#startMs
  }
}
