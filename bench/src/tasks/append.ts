/**
 * Appending: some writers, each of which waits for its append before it makes the next one.
 */
import { accessSync, mkdirSync } from 'node:fs'
import { type IntervalHistogram, monitorEventLoopDelay, performance } from 'node:perf_hooks'
import type { Store } from '../contender.js'
import { contenderNamed } from '../contenders/index.js'
import { percentiles, type Percentiles } from '../numbers.js'

export interface AppendTask {
  readonly task: 'append'
  readonly contender: string
  readonly directory: string
  readonly durable: boolean
  readonly writers: number
  /** Entries that each writer appends at once; 1: by `append`, more: by `appendBatch`. */
  readonly batch: number
  readonly payloadBytes: number
  readonly warmUpMs: number
  readonly measureMs: number
  /** Ends after so many entries, whatever the time. */
  readonly entries?: number
  /** Also measure what each append takes; it costs a little itself. */
  readonly latencies?: boolean
  /** Also measure how late timers are. */
  readonly loopDelay?: boolean
  /** Marks the beginning and the end of what is measured by calls that strace sees. */
  readonly marks?: boolean
  readonly segmentBytes?: number
}

export interface AppendResult {
  readonly entries: number
  readonly ms: number
  readonly cpuMs: number
  /** The most memory that the process ever had. */
  readonly peakBytes: number
  readonly latencyMs?: Percentiles
  readonly loopDelayMs?: Percentiles
}

/** Paths that don't exist: asking for them is what strace sees. */
export const marks = { begin: '/forelog-bench-begins', end: '/forelog-bench-ends' } as const

export async function append(task: AppendTask): Promise<AppendResult> {
  mkdirSync(task.directory, { recursive: true })
  const store = await contenderNamed(task.contender).open(task.directory, task)
  const limit = task.entries ?? Infinity
  if (task.warmUpMs > 0) await write(store, task, task.warmUpMs, limit)
  globalThis.gc?.()

  const loop = task.loopDelay === true ? monitorEventLoopDelay({ resolution: 1 }) : undefined
  if (task.marks === true) mark(marks.begin)
  loop?.enable()
  const cpu = process.cpuUsage()
  const latencies: number[] | undefined = task.latencies === true ? [] : undefined
  const { entries, ms } = await write(store, task, task.measureMs, limit, latencies)
  const { user, system } = process.cpuUsage(cpu)
  loop?.disable()
  if (task.marks === true) mark(marks.end)
  await store.close()
  return {
    entries,
    ms,
    cpuMs: (user + system) / 1000,
    peakBytes: process.resourceUsage().maxRSS * 1024,
    ...(latencies === undefined ? {} : { latencyMs: percentiles(latencies) }),
    ...(loop === undefined ? {} : { loopDelayMs: delaysOf(loop) }),
  }
}

/** As Node.js counts them: with the millisecond between two looks in them. */
function delaysOf(loop: IntervalHistogram): Percentiles {
  const at = (percent: number): number => loop.percentile(percent) / 1e6
  return { p50: at(50), p90: at(90), p99: at(99), p999: at(99.9), max: loop.max / 1e6 }
}

/** The clock is asked at every so-manieth append only: with many writers it would cost as much as the appends. */
const appendsBetweenLooks = 64

async function write(
  store: Store,
  { writers, batch, payloadBytes }: AppendTask,
  durationMs: number,
  limit: number,
  latencies?: number[],
): Promise<{ entries: number; ms: number }> {
  const payloads = distinctPayloads(batch, payloadBytes)
  const [payload] = payloads as [Uint8Array]
  const appendOnce = batch === 1 ? () => store.append(payload) : () => store.appendBatch(payloads)
  const startMs = performance.now()
  const endMs = startMs + durationMs
  let appends = 0
  let begun = 0
  let over = false

  async function writer(): Promise<void> {
    while (!over && begun < limit) {
      begun += batch
      const beganMs = latencies === undefined ? 0 : performance.now()
      await appendOnce()
      const look = ++appends % appendsBetweenLooks === 0 || writers === 1
      if (latencies === undefined && !look) continue
      const nowMs = performance.now()
      latencies?.push(nowMs - beganMs)
      if (nowMs >= endMs) over = true
    }
  }

  await Promise.all(Array.from({ length: writers }, writer))
  return { entries: appends * batch, ms: performance.now() - startMs }
}

/** Bytes that don't compress, the same in every run. */
export function distinctPayloads(count: number, bytes: number): Uint8Array[] {
  let state = 0x2545f491
  return Array.from({ length: count }, () => {
    const payload = new Uint8Array(bytes)
    for (let index = 0; index < bytes; index++) {
      state ^= state << 13
      state ^= state >>> 17
      state ^= state << 5
      payload[index] = state
    }
    return payload
  })
}

function mark(path: string): void {
  try {
    accessSync(path)
  } catch {
    // It is not there; that it was asked for is the mark.
  }
}
