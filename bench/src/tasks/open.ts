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
  readonly entriesExamined?: number
  readonly bytesExamined?: number
  readonly clean?: boolean
}

export async function open({ contender, directory }: OpenTask): Promise<OpenResult> {
  if (contender !== 'forelog') {
    const startMs = performance.now()
    const store = await contenderNamed(contender).open(directory, { durable: true })
    const ms = performance.now() - startMs
    await store.close()
    return { ms }
  }
  const startMs = performance.now()
  const log = await WriteAheadLog.open(directory)
  const ms = performance.now() - startMs
  const { clean, entriesExamined, bytesExamined } = log.recovery
  await log.close()
  return { ms, clean, entriesExamined, bytesExamined }
}
