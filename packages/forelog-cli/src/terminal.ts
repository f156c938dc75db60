/**
 * Where output goes, and what that place can show.
 */
import { once } from 'node:events'
import type { WriteStream } from 'node:tty'
import colors from 'picocolors'

export type Colors = ReturnType<typeof colors.createColors>

/** Whether to colour: `NO_COLOR` (https://no-color.org) and the option win over all, `FORCE_COLOR` over what the stream is. */
export function wantsColor(stream: NodeJS.WriteStream, option: boolean | undefined): boolean {
  if (option !== undefined) return option
  const { NO_COLOR, FORCE_COLOR, TERM } = process.env
  if (NO_COLOR !== undefined && NO_COLOR !== '') return false
  if (FORCE_COLOR !== undefined && FORCE_COLOR !== '' && FORCE_COLOR !== '0') return true
  return stream.isTTY === true && TERM !== 'dumb'
}

/** Thrown where the reader of our output is gone: no error, but nothing is left to do. */
export class ReaderGone extends Error {}

const flushBytes = 64 * 1024

export class Terminal {
  readonly colors: Colors
  readonly errorColors: Colors
  #pending = ''
  #gone = false

  constructor(color: boolean | undefined) {
    this.colors = colors.createColors(wantsColor(process.stdout, color))
    this.errorColors = colors.createColors(wantsColor(process.stderr, color))
    // `| head` closes its end once it has enough (EPIPE): so do we, and quietly.
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
      this.#gone = true
    })
    process.stderr.on('error', () => {})
  }

  get width(): number {
    return Math.max(40, Math.min((process.stdout as Partial<WriteStream>).columns ?? 100, 200))
  }

  /** Adds to the output; what was added appears with `flush`, or once there is enough of it. */
  async write(text: string): Promise<void> {
    this.#pending += text
    if (this.#pending.length >= flushBytes) await this.flush()
  }

  readonly line = (text = ''): Promise<void> => this.write(`${text}\n`)

  /** Waits where the reader is slower than we are. */
  async flush(): Promise<void> {
    const text = this.#pending
    this.#pending = ''
    if (this.#gone) throw new ReaderGone()
    if (text === '' || process.stdout.write(text)) return
    const gone = new AbortController()
    await Promise.race([once(process.stdout, 'drain', { signal: gone.signal }), once(process.stdout, 'close', { signal: gone.signal })]).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error
      this.#gone = true
    })
    gone.abort()
    if (this.#gone) throw new ReaderGone()
  }

  /** A line for people, which is no part of the output. */
  note(text: string): void {
    process.stderr.write(`${text}\n`)
  }
}
