/**
 * The most memory that a process ever had: with an append, with a replay of many bytes.
 */
import { mkdirSync } from 'node:fs'
import { WriteAheadLog } from 'forelog'
import { distinctPayloads } from './append.js'

export interface MemoryTask {
  readonly task: 'memory'
  readonly doing: 'append' | 'replay by entries' | 'replay by batches'
  readonly directory: string
  readonly bytes: number
}

const payloadBytes = 1024
const writers = 100

export async function memory(task: MemoryTask): Promise<{ peakBytes: number }> {
  await work(task)
  return { peakBytes: process.resourceUsage().maxRSS * 1024 }
}

async function work({ doing, directory, bytes }: MemoryTask): Promise<void> {
  mkdirSync(directory, { recursive: true })
  await using log = await WriteAheadLog.open(directory)
  if (doing === 'append') {
    const [payload] = distinctPayloads(1, payloadBytes) as [Uint8Array]
    let left = bytes / payloadBytes
    const writer = async (): Promise<void> => {
      while (left-- > 0) await log.append(payload)
    }
    await Promise.all(Array.from({ length: writers }, writer))
  } else if (doing === 'replay by entries') {
    for await (const { entry } of log.entries()) if (entry.payload.length !== payloadBytes) throw new Error('an entry has another size')
  } else {
    for await (const batch of log.entries().batches()) {
      for (const { entry } of batch) if (entry.payload.length !== payloadBytes) throw new Error('an entry has another size')
    }
  }
}
