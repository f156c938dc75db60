/**
 * Reading everything that is there.
 */
import { performance } from 'node:perf_hooks'
import { WriteAheadLog } from 'forelog'
import { contenderNamed } from '../contenders/index.js'
import { documentNumber, documents } from './fill.js'

export interface ReplayTask {
  readonly task: 'replay'
  readonly contender: string
  readonly directory: string
  /** Replays before the one that is measured: the first one in a process is compiled while it runs. */
  readonly warmUps: number
}

export interface ReplayResult {
  readonly entries: number
  readonly bytes: number
  readonly ms: number
  readonly cpuMs: number
}

export async function replay({ contender, directory, warmUps }: ReplayTask): Promise<ReplayResult> {
  const store = await contenderNamed(contender).open(directory, { durable: true })
  for (let time = 0; time < warmUps; time++) await store.replay()
  globalThis.gc?.()
  const cpu = process.cpuUsage()
  const startMs = performance.now()
  const { entries, bytes } = await store.replay()
  const ms = performance.now() - startMs
  const { user, system } = process.cpuUsage(cpu)
  await store.close()
  return { entries, bytes, ms, cpuMs: (user + system) / 1000 }
}

/** Through `entries()` and a JSON codec, or the same bytes through `JSON.parse` and nothing else. */
export interface ReplayJsonTask {
  readonly task: 'replay-json'
  readonly directory: string
  readonly entries: number
  readonly by: 'entries' | 'batches' | 'JSON.parse'
  readonly warmUps: number
}

export async function replayJson(task: ReplayJsonTask): Promise<ReplayResult> {
  const pass = task.by === 'JSON.parse' ? parsePass(task.entries) : await logPass(task)
  for (let time = 0; time < task.warmUps; time++) await pass.once()
  globalThis.gc?.()
  const cpu = process.cpuUsage()
  const startMs = performance.now()
  const total = await pass.once()
  const ms = performance.now() - startMs
  const { user, system } = process.cpuUsage(cpu)
  await pass.close()
  if (total !== (task.entries * (task.entries - 1)) / 2) throw new Error(`the sum of the ids is ${total}: not every document was read`)
  return { entries: task.entries, bytes: 0, ms, cpuMs: (user + system) / 1000 }
}

interface Pass {
  /** Parses every document; the sum of their ids. */
  once(): Promise<number>
  close(): Promise<void>
}

function parsePass(count: number): Pass {
  const texts = Array.from({ length: count }, (_, id) => Buffer.from(JSON.stringify(documentNumber(id))))
  return {
    async once() {
      let total = 0
      for (const text of texts) total += (JSON.parse(text.toString('utf8')) as { id: number }).id
      return total
    },
    close: async () => {},
  }
}

async function logPass({ directory, by }: ReplayJsonTask): Promise<Pass> {
  const log = await WriteAheadLog.open(directory, { entries: documents })
  return {
    async once() {
      let total = 0
      if (by === 'entries') for await (const { entry } of log.entries()) total += entry.value.id
      else for await (const batch of log.entries().batches()) for (const { entry } of batch) total += entry.value.id
      return total
    },
    close: () => log.close(),
  }
}
