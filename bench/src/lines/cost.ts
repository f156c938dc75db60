/**
 * Line 9: memory, and what an append costs in a log of many segments; and the chart of cost against size.
 */
import { median, medianRatio } from '../numbers.js'
import { inScratch, inTurn, ours, type RunContext } from '../run-context.js'
import { run, runTask } from '../run-worker.js'

const mebibyte = 1024 * 1024

export async function measureCost(context: RunContext): Promise<void> {
  if (!context.wants(9)) return
  await context.part('line 9, memory', () => memory(context))
  await context.part('line 9, many segments', () => manySegments(context))
  if (context.mode !== 'quick') await context.part('cost against size', () => againstSize(context))
}

async function memory(context: RunContext): Promise<void> {
  const bytes = (context.mode === 'quick' ? 128 : 1024) * mebibyte
  const rounds = context.mode === 'quick' ? 1 : Math.min(3, context.rounds)
  context.progress(`memory of ${bytes / mebibyte} MiB`)
  const kinds = ['append', 'replay by batches', 'replay by entries'] as const
  const above: Record<string, number[]> = Object.fromEntries(kinds.map((doing) => [doing, []]))
  for (let round = 0; round < rounds; round++) {
    await inScratch(context, async (directory) => {
      const empty = await emptyProcessBytes()
      for (const doing of kinds) {
        const { peakBytes } = await runTask({ task: 'memory', doing, directory: `${directory}/log`, bytes })
        above[doing]?.push((peakBytes - empty) / mebibyte)
      }
    })
  }
  for (const doing of kinds) {
    const samples = { [ours]: above[doing] ?? [] }
    const value = Math.max(...(above[doing] ?? []))
    context.report({ line: 9, name: `memory above an empty process: ${doing}, ${bytes / mebibyte} MiB`, unit: 'MiB', samples, goals: [{ text: 'MiB at the most', value, atMost: 64 }] })
  }
}

/** The most memory that a process of Node.js has which does nothing. */
async function emptyProcessBytes(): Promise<number> {
  const { stdout } = await run([process.execPath, '--eval', 'console.log(process.resourceUsage().maxRSS)'])
  return Number(stdout) * 1024
}

interface Cost {
  readonly openMs: number
  readonly latencyMs: number
  readonly cpuUs: number
  readonly memoryMiB: number
}

/** What it costs to open the log in a directory, and then to append with 100 writers. */
async function costOf(context: RunContext, contender: string, directory: string): Promise<Cost> {
  const { ms } = await runTask({ task: 'open', contender, directory })
  const { warmUpMs, measureMs } = context
  const shape = { durable: true, writers: 100, batch: 1, payloadBytes: 128, warmUpMs, measureMs } as const
  const appended = await runTask({ task: 'append', contender, directory, latencies: true, ...shape })
  return {
    openMs: ms,
    latencyMs: appended.latencyMs?.p50 ?? Number.NaN,
    cpuUs: (appended.cpuMs * 1000) / appended.entries,
    memoryMiB: appended.peakBytes / mebibyte,
  }
}

async function manySegments(context: RunContext): Promise<void> {
  const counts = context.mode === 'quick' ? [1, 1000] : [1, 1000, 10_000]
  await inScratch(context, async (directory) => {
    for (const count of counts) {
      context.progress(`making a log of ${count} segments`)
      // A segment that reached its size is closed before the next group is written: here, each group makes one.
      await runTask({ task: 'fill', contender: ours, directory: `${directory}/${count}`, entries: count * 4, payloadBytes: 1024, batch: 4, segmentBytes: count === 1 ? 64 * mebibyte : 4096, end: 'closed' })
    }
    context.progress('appending to logs of many segments')
    const costs = await inTurn(context, context.rounds, Object.fromEntries(counts.map((count) => [String(count), () => costOf(context, ours, `${directory}/${count}`)])))
    const [few, many] = [costs['1'] ?? [], costs[String(counts.at(-1))] ?? []]
    const samples = Object.fromEntries(counts.map((count) => [`${count} segments`, (costs[String(count)] ?? []).map(({ cpuUs }) => cpuUs)]))
    const ratio = (value: (cost: Cost) => number): number => medianRatio(many.map(value), few.map(value))
    context.report({
      line: 9,
      name: 'processor time of an append, 100 writers, in a log of many segments',
      unit: 'µs/append',
      samples: { [ours]: many.map(({ cpuUs }) => cpuUs), ...samples },
      goals: [{ text: `times that in one segment (${counts.at(-1)})`, value: ratio(({ cpuUs }) => cpuUs), atMost: 1.15 }],
    })
    costChart(context, 'Cost against the number of segments', { name: 'segments', format: 'count' }, { [ours]: counts.map((count) => [count, costs[String(count)] ?? []]) })
  })
}

const filledBatch = 1000
const filledPayload = 1024

async function againstSize(context: RunContext): Promise<void> {
  const megabytes = [10, 1000, ...(context.mode === 'full' ? [10_000] : [])]
  const costs: Record<string, [number, Cost[]][]> = {}
  await inScratch(context, async (directory) => {
    const runs: Record<string, () => Promise<Cost>> = {}
    for (const { name } of context.contenders) {
      for (const size of megabytes) {
        // A peer's 10 GB take minutes to make, and the file without a library has nothing to open.
        if (name !== ours && (size > 1000 || name === 'node:fs')) continue
        context.progress(`making ${size} MB with ${name}`)
        const store = `${directory}/${name}-${size}`
        const entries = Math.round((size * 1e6) / filledPayload)
        await runTask({ task: 'fill', contender: name, directory: store, entries, payloadBytes: filledPayload, batch: filledBatch, end: 'closed' })
        runs[`${name} ${size}`] = () => costOf(context, name, store)
      }
    }
    context.progress('cost against size')
    for (const [key, samples] of Object.entries(await inTurn(context, Math.min(3, context.rounds), runs))) {
      const [name, size] = key.split(' ') as [string, string]
      ;(costs[name] ??= []).push([Number(size) * 1e6, samples])
    }
  })
  costChart(context, 'Cost against the size of the log', { name: 'bytes in the log', format: 'bytes' }, { [ours]: costs[ours] ?? [] })
  compareChart(context, 'Time to open, after a clean close', 'openMs', costs)
  compareChart(context, 'Latency of an append, 100 writers', 'latencyMs', costs)
}

function compareChart(context: RunContext, title: string, key: keyof Cost, costs: Readonly<Record<string, readonly (readonly [number, readonly Cost[]])[]>>): void {
  context.chart({
    title,
    x: { name: 'bytes in the log', scale: 'log', format: 'bytes' },
    y: { name: 'ms', scale: 'log' },
    series: Object.entries(costs).map(([name, points]) => ({ name, points: points.map(([size, samples]) => [size, median(samples.map((cost) => cost[key]))] as const) })),
    note: 'Medians; each in a process of its own',
  })
}

const aspects = [
  ['open', 'openMs'],
  ['latency', 'latencyMs'],
  ['processor time', 'cpuUs'],
  ['memory', 'memoryMiB'],
] as const

/** Each aspect as a multiple of what it is at the smallest: what does not depend on the size is a flat line at 1. */
function costChart(context: RunContext, title: string, x: { name: string; format: 'count' | 'bytes' }, costs: Readonly<Record<string, readonly (readonly [number, readonly Cost[]])[]>>): void {
  const series = Object.entries(costs).flatMap(([name, points]) =>
    aspects.map(([aspect, key]) => {
      const values = points.map(([size, samples]) => [size, median(samples.map((cost) => cost[key]))] as const)
      const first = values[0]?.[1] ?? Number.NaN
      return { name: `${name}: ${aspect}`, points: values.map(([size, value]) => [size, value / first] as const) }
    }),
  )
  const actual = Object.entries(costs).map(([name, points]) => {
    const [, samples = []] = points[0] ?? []
    const of = (key: keyof Cost): string => median(samples.map((cost) => cost[key])).toPrecision(2)
    return `${name} ${of('openMs')} ms to open, ${of('latencyMs')} ms latency, ${of('cpuUs')} µs of processor time, ${of('memoryMiB')} MiB`
  })
  context.chart({
    title,
    x: { ...x, scale: 'log' },
    y: { name: 'times the cost at the smallest', scale: 'log', base: 2, from: 0.25, to: Math.max(4, ...series.flatMap(({ points }) => points.map(([, value]) => value))) },
    series,
    note: `100 writers of 128-byte payloads. At the smallest: ${actual.join('; ')}.`,
  })
}
