/**
 * A bar for long work: on stderr, only where a person looks, and only once it takes a while.
 */
import { SingleBar } from 'cli-progress'
import type { Progress, SalvagedEntry } from 'forelog'
import { readdirSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { WriteStream } from 'node:tty'
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
      barsize: barCells(label),
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

/** What stands beside the bar is worth more than the bar. */
function barCells(label: string): number {
  const beside = label.length + ' 100%  1023.9 MiB of 1023.9 MiB, 1023.9 MiB/s, 59 min 59 s left'.length
  return Math.max(5, Math.min(30, ((process.stderr as Partial<WriteStream>).columns ?? 100) - beside - 1))
}

/** A bar for going through the entries of a log; none where the entries themselves appear on the terminal. */
export class ReadingProgress {
  readonly #bar: ProgressBar
  readonly #before = new Map<string, number>()
  readonly #totalBytes: number
  readonly #enabled = process.stdout.isTTY !== true && process.stderr.isTTY === true
  #entries = 0

  constructor(terminal: Terminal, label: string, directory: string) {
    this.#bar = new ProgressBar(terminal, label)
    let bytes = 0
    if (this.#enabled) {
      for (const name of readdirSync(directory).filter((each) => each.endsWith('.wal')).sort(byNumber)) {
        const path = join(resolve(directory), name)
        this.#before.set(path, bytes)
        // A writer may remove it meanwhile.
        bytes += statSync(path, { throwIfNoEntry: false })?.size ?? 0
      }
    }
    this.#totalBytes = bytes
  }

  readonly update = ({ path, position }: SalvagedEntry): void => {
    if (!this.#enabled || (this.#entries++ & 0xff) !== 0) return
    this.#bar.update({ bytes: (this.#before.get(path) ?? 0) + position, totalBytes: this.#totalBytes, path })
  }

  stop(): void {
    this.#bar.stop()
  }
}

function byNumber(a: string, b: string): number {
  return Number.parseInt(a, 10) - Number.parseInt(b, 10)
}
