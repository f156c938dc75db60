import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { Worker } from 'node:worker_threads'

/** Somebody who tried to open a log, and is still alive. */
export interface Contender {
  /** `'opened <last offset>'`, or the code of the error. */
  readonly outcome: string
  /** Ends it without a word: SIGKILL, or terminate() of the worker. */
  kill(): Promise<void>
}

/** Runs a command as process 1 of a pid namespace, and kills it with itself. */
export const unshare = ['unshare', '--pid', '--fork', '--kill-child'] as const

export function whyNoNamespace(): string | undefined {
  return spawnSync('unshare', ['--pid', '--fork', 'true']).status === 0 ? undefined : 'no new pid namespace can be made: that needs root'
}

/** Another process tries to open it; `prefix` is a command to run it with, such as `unshare`. */
export async function contend(script: string, directory: string, prefix: readonly string[]): Promise<Contender> {
  const [command = '', ...args] = [...prefix, process.execPath, script, directory]
  // With a prefix the holder is a child of that command: both get a group of their own, and are killed by it.
  const detached = prefix.length > 0
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'], detached })
  const exited = once(child, 'exit')
  const outcome = await Promise.race([
    once(createInterface({ input: child.stdout }), 'line').then(([line]) => String(line)),
    exited.then(([code]) => `exited with ${String(code)}`),
  ])
  return {
    outcome,
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return
      if (detached && child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
      else child.kill('SIGKILL')
      await exited
    },
  }
}

/** A worker thread of this process tries to open it. */
export async function contendInThread(script: string, directory: string): Promise<Contender> {
  const worker = new Worker(script, { argv: [directory], execArgv: [] })
  const [outcome] = await once(worker, 'message')
  return {
    outcome: String(outcome),
    async kill() {
      await worker.terminate()
    },
  }
}
