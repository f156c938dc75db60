/**
 * Making a log of a given size to read, or to open.
 */
import { mkdirSync } from 'node:fs'
import { defineEntries, json, WriteAheadLog } from 'forelog'
import { contenderNamed } from '../contenders/index.js'
import { distinctPayloads } from './append.js'

export interface FillTask {
  readonly task: 'fill'
  readonly contender: string
  readonly directory: string
  readonly entries: number
  readonly payloadBytes: number
  readonly batch: number
  readonly segmentBytes?: number
  /** What the log is left as: closed; or by a process that is killed, in which everything was acknowledged as durable. */
  readonly end: 'closed' | 'killed'
}

export async function fill(task: FillTask): Promise<{ entries: number }> {
  mkdirSync(task.directory, { recursive: true })
  const store = await contenderNamed(task.contender).open(task.directory, { ...task, durable: task.end === 'killed' })
  const payloads = distinctPayloads(task.batch, task.payloadBytes)
  for (let left = task.entries; left > 0; left -= task.batch) {
    await store.appendBatch(left >= task.batch ? payloads : payloads.slice(0, left))
  }
  if (task.end === 'killed') process.kill(process.pid, 'SIGKILL')
  await store.close()
  return { entries: task.entries }
}

/** A log of JSON documents, for forelog alone. */
export interface FillJsonTask {
  readonly task: 'fill-json'
  readonly directory: string
  readonly entries: number
}

export const documents = defineEntries({ order: { type: 1, codec: json<Document>() } })

export interface Document {
  id: number
  customer: string
  items: { article: string; count: number; cents: number }[]
  placedAt: string
  paid: boolean
}

/** Some 160 bytes of JSON, each one different. */
export function documentNumber(id: number): Document {
  return {
    id,
    customer: `customer-${id % 9973}`,
    items: [{ article: `article-${id % 313}`, count: (id % 7) + 1, cents: (id * 37) % 100_000 }],
    placedAt: new Date(1_700_000_000_000 + id * 1000).toISOString(),
    paid: id % 3 === 0,
  }
}

export async function fillJson({ directory, entries: count }: FillJsonTask): Promise<{ entries: number }> {
  await using log = await WriteAheadLog.open(directory, { entries: documents, sync: 'manual' })
  const perBatch = 1000
  for (let id = 0; id < count; id += perBatch) {
    await log.appendBatch(Array.from({ length: Math.min(perBatch, count - id) }, (_, index) => documents.order(documentNumber(id + index))))
  }
  return { entries: count }
}
