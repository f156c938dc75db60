import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'

/** Somebody who tried to take a lock, and is still alive. */
export interface Contender {
  /** `'locked'`, or the code of the error. */
  readonly outcome: string
  readonly pid: number | undefined
  /** Ends it without a word: SIGKILL, or terminate() of the worker. */
  kill(): Promise<void>
}

const tsx = new URL('../../../../node_modules/tsx/dist/esm/api/index.mjs', import.meta.url).href
const script = fileURLToPath(new URL('hold-lock.ts', import.meta.url))
const root = fileURLToPath(new URL('../../../../', import.meta.url))

/** Another process tries to take the lock; `prefix` is a command to run it with, such as `unshare`. */
export async function contendInProcess(
  path: string,
  options: { method?: string; prefix?: readonly string[] } = {},
): Promise<Contender> {
  const { method, prefix = [] } = options
  const words = [...prefix, process.execPath, '--import', 'tsx', script, path, ...(method === undefined ? [] : [method])]
  // With a prefix the holder is a child of that command, so both get a group of their own, and are killed by it.
  const detached = prefix.length > 0
  const child = spawn(words[0] ?? '', words.slice(1), { cwd: root, stdio: ['ignore', 'pipe', 'inherit'], detached })
  const exited = once(child, 'exit')
  const lines = createInterface({ input: child.stdout })
  const outcome = await Promise.race([
    once(lines, 'line').then(([line]) => String(line)),
    exited.then(([code]) => `exited with ${String(code)}`),
  ])
  return {
    outcome,
    pid: child.pid,
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return
      if (detached && child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
      else child.kill('SIGKILL')
      await exited
    },
  }
}

/** A worker thread of this process tries to take the lock. */
export async function contendInWorker(path: string, method?: string): Promise<Contender> {
  // `--import tsx` does not reach into worker threads on Node 20, so the thread registers it itself.
  const code = `import(${JSON.stringify(tsx)}).then(({ tsImport }) => tsImport(${JSON.stringify(script)}, 'file:///'))`
  const worker = new Worker(code, { eval: true, argv: method === undefined ? [path] : [path, method], execArgv: [] })
  const [outcome] = await once(worker, 'message')
  return {
    outcome: String(outcome),
    pid: process.pid,
    async kill() {
      await worker.terminate()
    },
  }
}
