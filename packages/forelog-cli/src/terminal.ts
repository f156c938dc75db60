/**
 * Where output goes, and what that place can show.
 */
import { once } from 'node:events'
import type { WriteStream } from 'node:tty'
import colors from 'picocolors'
import { folded } from './text.js'

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

/** Commands in lines of their own, and what each is for: beside it, or below where that would be too wide. */
export function commandLines(rows: readonly (readonly [command: string, what: string])[], width: number, indent: string, colors: Colors): string[] {
  const commandWidth = Math.max(...rows.map(([command]) => command.length))
  const isBeside = rows.every(([, what]) => indent.length + commandWidth + 3 + what.length <= width)
  return rows.flatMap(([command, what]) => (isBeside ? [`${indent}${command.padEnd(commandWidth)}   ${colors.dim(what)}`] : [indent + command, `${indent}    ${colors.dim(what)}`]))
}

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

  /** Adds sentences for people: a terminal shows them in lines that end between words, a file has each in one. */
  readonly prose = (text: string): Promise<void> => this.line(process.stdout.isTTY === true ? folded(text, this.width) : text)

  /** Adds commands to be pasted, which are never folded, and what each is for, beside it where that fits. */
  async commands(rows: readonly (readonly [command: string, what: string])[]): Promise<void> {
    await this.write(commandLines(rows, this.width, '    ', this.colors).join('\n') + '\n')
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
    const { isTTY, columns } = process.stderr as Partial<WriteStream>
    process.stderr.write(`${isTTY === true && columns !== undefined ? folded(text, columns) : text}\n`)
  }
}
