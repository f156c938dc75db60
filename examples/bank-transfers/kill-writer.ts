/**
 * One life of a writer: it is started, and killed at a random moment after its first acknowledgement.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'
import { fileURLToPath } from 'node:url'
import type { Ledger } from './ledger.js'
import type { Life, Told } from './told.js'
import { Violation } from './violation.js'

const writer = fileURLToPath(new URL('writer.ts', import.meta.url))
const patienceMs = 30_000

/** Resolves when the writer is dead and all that it told is in the ledger. */
export async function killWriter(life: Life, delayMs: number, ledger: Ledger): Promise<void> {
  // The options that this process was started with bring the TypeScript loader along.
  const child = spawn(process.execPath, [...process.execArgv, writer, JSON.stringify(life)], { stdio: ['ignore', 'inherit', 'inherit', 'pipe'] })
  const ended = once(child, 'close') as Promise<[code: number | null, signal: NodeJS.Signals | null]>
  let killed = false
  let violation: Violation | undefined
  const kill = (): void => {
    killed = true
    child.kill('SIGKILL')
  }
  // A writer that waits for ever for its first acknowledgement is a violation, too.
  let timer = setTimeout(() => {
    violation = new Violation(`a writer had nothing acknowledged within ${patienceMs / 1000} seconds`)
    kill()
  }, patienceMs)

  const pipe = child.stdio[3] as Readable
  const lines = new LineSplitter((line) => {
    if (violation !== undefined) return
    const told = JSON.parse(line) as Told
    try {
      ledger.take(told)
    } catch (error) {
      violation = error as Violation
      kill()
      return
    }
    if ('acknowledged' in told && !killed) {
      clearTimeout(timer)
      killed = true
      timer = setTimeout(kill, delayMs)
    }
  })
  // What was told before the kill counts, so the pipe is read to its end.
  pipe.on('data', (chunk: Buffer) => lines.take(chunk))

  const [code, signal] = await ended
  clearTimeout(timer)
  if (violation !== undefined) throw violation
  if (signal !== 'SIGKILL') throw new Violation(`a writer ended by itself, with ${signal ?? `exit code ${code}`}: see its message above`)
  ledger.killed(readdirSync(life.directory).some((name) => name.endsWith('.wal.tmp')))
}

/** Hands out whole lines; what the kill cut off at the end is none, and was not told. */
class LineSplitter {
  readonly #onLine: (line: string) => void
  readonly #decoder = new StringDecoder('utf8')
  #rest = ''

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine
  }

  take(chunk: Buffer): void {
    const lines = (this.#rest + this.#decoder.write(chunk)).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) this.#onLine(line)
  }
}
