/** Starts writers, one ahead: while one writes, the next is loading. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { type LifePlan, parseTold, type Told } from './plan.js'

/** A writer that is up, and waits for what it is to do. */
export class WriterProcess {
  /** Rejects when it is gone. */
  readonly ended: Promise<never>
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>
  readonly #drained: Promise<unknown>
  readonly #ready: Promise<unknown>
  #onTold: (told: Told) => void = () => {}
  #crash = ''

  constructor(script: string) {
    const child = spawn(process.execPath, [script], { stdio: ['pipe', 'pipe', 'pipe'] })
    this.#child = child
    this.#exited = once(child, 'exit')
    child.stdin.on('error', () => {}) // of a writer that was killed
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.#crash += text))
    const lines = createInterface({ input: child.stdout })
    this.#drained = once(lines, 'close')
    this.ended = Promise.all([this.#exited, this.#drained]).then(() => Promise.reject(new Error(`a writer ended by itself: ${this.#crash}`)))
    this.ended.catch(() => {})
    this.#ready = Promise.race([once(lines, 'line'), this.ended])
    this.#ready.catch(() => {})
    lines.on('line', (line) => this.#onTold(parseTold(line)))
  }

  async start(plans: readonly LifePlan[], onTold: (told: Told) => void): Promise<void> {
    await this.#ready
    this.#onTold = onTold
    this.#child.stdin?.write(`${JSON.stringify(plans)}\n`)
  }

  /** SIGKILL; resolves when it is gone and all that it told is in. Rejects when it had ended by itself. */
  async kill(): Promise<void> {
    const wasAlive = this.#child.exitCode === null && this.#child.signalCode === null
    this.#child.kill('SIGKILL')
    await Promise.all([this.#exited, this.#drained])
    if (!wasAlive || this.#crash !== '') throw new Error(`a writer ended by itself: ${this.#crash}`)
  }
}

export class WriterSpawner {
  readonly #script: string
  #next: WriterProcess

  constructor(script: string) {
    this.#script = script
    this.#next = new WriterProcess(script)
  }

  take(): WriterProcess {
    const taken = this.#next
    this.#next = new WriterProcess(this.#script)
    return taken
  }

  async stop(): Promise<void> {
    await this.#next.kill().catch(() => {})
  }
}
