/** The other end of store-process.ts. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface, type Interface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Task } from './store-process.ts'

const storeProcess = fileURLToPath(new URL('./store-process.ts', import.meta.url))

/** How a process ended without an answer. */
export type Unanswered = 'crash' | 'hang'

export class StoreChild {
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>
  readonly #lines: Interface
  readonly #drained: Promise<unknown>

  /** @param script what runs in it */
  constructor(script = storeProcess) {
    // What a library prints before it aborts is nothing that a program can see.
    const child = spawn(process.execPath, [...process.execArgv, script], { stdio: ['ignore', 'pipe', 'ignore', 'ipc'] })
    this.#child = child
    this.#exited = once(child, 'exit')
    this.#lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })
    this.#drained = once(this.#lines, 'close')
  }

  /** Asks for something that ends. */
  async ask<T>(task: Task, limitMs: number): Promise<T | Unanswered> {
    let timer: NodeJS.Timeout | undefined
    const limit = new Promise<'hang'>((resolve) => {
      timer = setTimeout(resolve, limitMs, 'hang')
    })
    const answer = once(this.#child, 'message').then(([message]: { broken?: string }[]) => {
      if (message?.broken !== undefined) throw new Error(`${task.task} of ${task.subject}: ${message.broken}`)
      return message as T
    })
    answer.catch(() => {}) // where the end came first
    const crash = this.#exited.then(() => 'crash' as const)
    this.#child.send(task, () => {}) // to one that is gone: its end says so
    const first = await Promise.race([answer, crash, limit])
    clearTimeout(timer)
    return first
  }

  /** Starts what ends with `kill`, or by its own death. */
  start(task: Task, onLine: (line: string) => void, onExit: () => void): void {
    this.#lines.on('line', onLine)
    void Promise.all([this.#exited, this.#drained]).then(onExit)
    this.#child.send(task, () => {})
  }

  /** The signal that it died of, once it is dead. */
  async signal(): Promise<NodeJS.Signals | null> {
    await this.#exited
    return this.#child.signalCode
  }

  /** Resolves when it is gone, and all that it told is in. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await Promise.all([this.#exited, this.#drained])
  }
}
