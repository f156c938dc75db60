/**
 * Starts the process of a task, and takes its result.
 */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { ResultOf, Task } from './worker.js'

const worker = fileURLToPath(new URL('./worker.js', import.meta.url))

/** When processes are ended that still run then: what is measured in a given time may meet a disk, or a machine, that is in no hurry. */
let deadlineMs = Infinity

/** In milliseconds from now on. */
export function endAllWithin(ms: number): void {
  deadlineMs = performance.now() + ms
}

/** Whether that time has come. */
export function isPastDeadline(): boolean {
  return performance.now() >= deadlineMs
}

export interface HowToRun {
  /** A command in front of node, strace for example. */
  readonly through?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

export async function runTask<T extends Task>(task: T, { through = [], env = {} }: HowToRun = {}): Promise<ResultOf[T['task']]> {
  const { stdout, problem } = await run([...through, process.execPath, '--expose-gc', worker, JSON.stringify(task)], env)
  if (problem !== undefined) throw new Error(`${task.task} of ${'contender' in task ? task.contender : 'forelog'} failed: ${problem}`)
  return JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as ResultOf[T['task']]
}

/** Runs a task that ends in its own death. */
export async function runTaskThatIsKilled(task: Task): Promise<void> {
  const { signal, problem } = await run([process.execPath, '--expose-gc', worker, JSON.stringify(task)], {})
  if (signal !== 'SIGKILL') throw new Error(`${task.task} was to be killed, but ended: ${problem ?? 'in good health'}`)
}

interface Ended {
  readonly stdout: string
  readonly signal: NodeJS.Signals | null
  readonly problem?: string
}

export function run(command: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  const [program, ...args] = command as [string, ...string[]]
  return new Promise((resolve, reject) => {
    const timeout = deadlineMs === Infinity ? undefined : Math.max(1, Math.ceil(deadlineMs - performance.now()))
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env }, timeout, killSignal: 'SIGKILL' })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    child.on('error', reject)
    child.on('close', (code, signal) => {
      resolve({ stdout, signal, ...(code === 0 ? {} : { problem: `${signal ?? `exit ${code}`}: ${stderr.trim()}` }) })
    })
  })
}
