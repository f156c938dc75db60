/**
 * Opening a log that is there.
 */
import { performance } from 'node:perf_hooks'
import { WriteAheadLog } from 'forelog'
import { contenderNamed } from '../contenders/index.js'

export interface OpenTask {
  readonly task: 'open'
  readonly contender: string
  readonly directory: string
}

export interface OpenResult {
  readonly ms: number
  readonly cpuMs: number
  readonly entriesExamined?: number
  readonly bytesExamined?: number
  readonly clean?: boolean
}

export async function open({ contender, directory }: OpenTask): Promise<OpenResult> {
  const cpu = process.cpuUsage()
  const startMs = performance.now()
  if (contender !== 'forelog') {
    const store = await contenderNamed(contender).open(directory, { durable: true })
    const took = since(startMs, cpu)
    await store.close()
    return took
  }
  const log = await WriteAheadLog.open(directory)
  const took = since(startMs, cpu)
  const { clean, entriesExamined, bytesExamined } = log.recovery
  await log.close()
  return { ...took, clean, entriesExamined, bytesExamined }
}

function since(startMs: number, cpu: NodeJS.CpuUsage): { ms: number; cpuMs: number } {
  const { user, system } = process.cpuUsage(cpu)
  return { ms: performance.now() - startMs, cpuMs: (user + system) / 1000 }
}
