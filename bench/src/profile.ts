/**
 * Where the processor time of a line goes: its task under `node --cpu-prof`, and the functions that took most of it by themselves.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { run, runTask } from './run-worker.js'
import type { Task } from './worker.js'

/** As much of a profile as is used: https://chromedevtools.github.io/devtools-protocol/tot/Profiler/#type-Profile. */
interface Profile {
  readonly nodes: readonly { readonly id: number; readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number } }[]
  readonly samples: readonly number[]
  /** Microseconds in front of each sample. */
  readonly timeDeltas: readonly number[]
}

const filled = { contender: 'forelog', entries: 1_000_000, payloadBytes: 256 } as const

const tasks: Readonly<Record<number, (directory: string) => Task>> = {
  3: (directory) => ({ task: 'append', contender: 'forelog', directory, durable: true, writers: 1000, batch: 1, payloadBytes: 128, warmUpMs: 1500, measureMs: 3000 }),
  5: (directory) => ({ task: 'append', contender: 'forelog', directory, durable: false, writers: 1, batch: 1000, payloadBytes: 14, warmUpMs: 1500, measureMs: 3000 }),
  6: (directory) => ({ task: 'replay', contender: filled.contender, directory, warmUps: 12 }),
}

/** A table of the functions at the top of the profile of a line, with their shares of the time in which the thread was not idle. */
export async function profileLine(line: number, directory: string): Promise<string> {
  const task = tasks[line]
  if (task === undefined) throw new Error(`--profile takes one of the lines ${Object.keys(tasks).join(', ')}, not ${line}`)
  const log = join(directory, 'log')
  if (line === 6) await runTask({ task: 'fill', ...filled, directory: log, batch: 1000, end: 'closed' })
  const profiles = join(directory, 'profiles')
  const worker = fileURLToPath(new URL('./worker.js', import.meta.url))
  const { problem } = await run([process.execPath, '--expose-gc', '--cpu-prof', '--cpu-prof-dir', profiles, worker, JSON.stringify(task(log))])
  if (problem !== undefined) throw new Error(`the profiled process failed: ${problem}`)
  const [name] = readdirSync(profiles)
  return tableOf(JSON.parse(readFileSync(join(profiles, name as string), 'utf8')) as Profile)
}

const rows = 12

/** The first third is left out: in it the process starts, and code is compiled. */
function tableOf({ nodes, samples, timeDeltas }: Profile): string {
  const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]))
  const totalUs = timeDeltas.reduce((sum, delta) => sum + delta, 0)
  const selfUs = new Map<string, number>()
  let passedUs = 0
  samples.forEach((id, index) => {
    const delta = timeDeltas[index] as number
    passedUs += delta
    const name = names.get(id) as string
    if (passedUs > totalUs / 3 && name !== '(idle)') selfUs.set(name, (selfUs.get(name) ?? 0) + delta)
  })
  const busyUs = [...selfUs.values()].reduce((sum, us) => sum + us, 0)
  const top = [...selfUs].sort(([, a], [, b]) => b - a).slice(0, rows)
  return ['| function | of the busy time |', '|---|---|', ...top.map(([name, us]) => `| ${name} | ${((100 * us) / busyUs).toFixed(1)} % |`)].join('\n')
}

function nameOf({ functionName, url, lineNumber }: Profile['nodes'][number]['callFrame']): string {
  const name = functionName === '' ? 'a function without a name' : functionName
  if (url === '') return name
  if (url.startsWith('wasm:')) return 'the kernel (WebAssembly)'
  return `\`${name}\`, ${url.startsWith('node:') ? url : url.split('/').slice(-2).join('/')}:${lineNumber + 1}`
}
