/**
 * Lines 1 to 5: appends a second.
 */
import { countSyncs } from '../count-syncs.js'
import { median, medianRatio, type Percentiles } from '../numbers.js'
import type { Goal } from '../results.js'
import { inScratch, inTurn, mapSamples, ours, type RunContext } from '../run-context.js'
import { runTask } from '../run-worker.js'
import type { AppendResult, AppendTask } from '../tasks/append.js'

const payloadBytes = 128

type Shape = Pick<AppendTask, 'durable' | 'writers' | 'batch' | 'payloadBytes'>

export async function measureAppending(context: RunContext): Promise<void> {
  await byWriters(context)
  if (context.wants(4)) await context.part('line 4', () => batches(context))
  if (context.wants(5)) await context.part('line 5', () => unsynced(context))
}

async function byWriters(context: RunContext): Promise<void> {
  const wanted = [
    { line: 1, writers: 1 },
    { line: 2, writers: 100 },
    { line: 3, writers: 1000 },
  ].filter(({ line }) => context.wants(line))
  if (wanted.length === 0) return
  const points = new Map<number, Record<string, number[]>>()
  for (const { line, writers } of wanted) {
    const shape = { durable: true, writers, batch: 1, payloadBytes }
    await context.part(`line ${line}`, async () => {
      const { rates, cpuUs } = await sideBySide(context, shape, floorRuns(context, writers))
      points.set(writers, rates)
      context.report({ line, name: nameOf(writers), unit: 'appends/s', samples: rates, goals: goalsByWriters(line, rates) })
      if (line === 3) context.report({ line, name: `${nameOf(writers)}: processor time of the process`, unit: 'µs/append', samples: cpuUs, goals: [] })
    })
    await context.part(`line ${line}, syncs per entry`, () => syncs(context, line, shape))
  }
  if (wanted.length < 3) return
  await context.part('appends by writers', async () => {
    points.set(10, (await sideBySide(context, { durable: true, writers: 10, batch: 1, payloadBytes })).rates)
    throughputChart(context, points)
  })
  await context.part('latencies', () => latencies(context))
}

const nameOf = (writers: number): string => (writers === 1 ? 'one writer that awaits each append' : `${writers} writers`)

function goalsByWriters(line: number, rates: Readonly<Record<string, number[]>>): Goal[] {
  if (line === 1) return [ratioGoal('of the floor', rates, 'floor', 0.85), ...aheadOfAll(rates)].filter((goal) => goal !== undefined)
  return [ratioGoal('times LMDB', rates, 'lmdb', line === 2 ? 4 : 3), ...aheadOfAll(rates)].filter((goal) => goal !== undefined)
}

function ratioGoal(text: string, rates: Readonly<Record<string, number[]>>, of: string, atLeast: number): Goal | undefined {
  const [mine, theirs] = [rates[ours], rates[of]]
  return mine === undefined || theirs === undefined ? undefined : { text, value: medianRatio(mine, theirs), atLeast }
}

/** Our figure divided by that of the best peer. */
function aheadOfAll(rates: Readonly<Record<string, number[]>>): Goal[] {
  const mine = rates[ours]
  const peers = Object.entries(rates).filter(([name]) => name !== ours && !name.startsWith('floor'))
  const best = peers.sort(([, a], [, b]) => median(b) - median(a))[0]
  return mine === undefined || best === undefined ? [] : [{ text: `times the best peer (${best[0]})`, value: medianRatio(mine, best[1]), atLeast: 1 }]
}

async function batches(context: RunContext): Promise<void> {
  const batch = 100
  const { rates } = await sideBySide(context, { durable: true, writers: 1, batch, payloadBytes }, { [`floor x ${batch}`]: floorRun(context, payloadBytes, batch) })
  const goals = [ratioGoal(`of the floor x ${batch}`, rates, `floor x ${batch}`, 0.6), ...aheadOfAll(rates)].filter((goal) => goal !== undefined)
  context.report({ line: 4, name: `batches of ${batch}, one caller`, unit: 'entries/s', samples: rates, goals })
  await syncs(context, 4, { durable: true, writers: 1, batch, payloadBytes })
}

async function unsynced(context: RunContext): Promise<void> {
  const { rates } = await sideBySide(context, { durable: false, writers: 1, batch: 1000, payloadBytes: 14 })
  const goals = [{ text: 'entries/s', value: median(rates[ours] ?? []), atLeast: 3e6 }]
  context.report({ line: 5, name: "sync: 'manual', batches of 1000 of 14 bytes (nobody syncs)", unit: 'entries/s', samples: rates, goals })
}

/** Rates of all contenders, and of what else is given, in turn. */
async function sideBySide(context: RunContext, shape: Shape, others: Record<string, () => Promise<AppendResult>> = {}): Promise<{ rates: Record<string, number[]>; cpuUs: Record<string, number[]> }> {
  context.progress(`appending: ${nameOf(shape.writers)}, batches of ${shape.batch}`)
  const runs = Object.fromEntries(context.contenders.map(({ name }) => [name, () => appendOnce(context, name, shape)]))
  const results = await inTurn(context, context.rounds, { ...others, ...runs })
  const own = Object.fromEntries(Object.entries(results).filter(([name]) => name in runs))
  return {
    rates: mapSamples(results, ({ entries, ms }) => entries / (ms / 1000)),
    cpuUs: mapSamples(own, ({ entries, cpuMs }) => (cpuMs * 1000) / entries),
  }
}

/** One writer alone; many at once could have their payloads in one write at the best. */
function floorRuns(context: RunContext, writers: number): Record<string, () => Promise<AppendResult>> {
  return writers === 1 ? { floor: floorRun(context, payloadBytes, 1) } : { [`floor, ${writers} payloads a write`]: floorRun(context, payloadBytes * writers, writers) }
}

function floorRun({ floor, measureMs }: RunContext, bytes: number, entries: number): () => Promise<AppendResult> {
  return async () => ({ entries: (await floor.measure(bytes, measureMs)) * entries, ms: 1000, cpuMs: 0, peakBytes: 0 })
}

function appendOnce(context: RunContext, contender: string, shape: Shape, more: Partial<AppendTask> = {}): Promise<AppendResult> {
  const { warmUpMs, measureMs } = context
  return inScratch(context, (directory) => runTask({ task: 'append', contender, directory, warmUpMs, measureMs, ...shape, ...more }))
}

/** What acknowledged means: syncs for each entry, as the kernel sees them. */
async function syncs(context: RunContext, line: number, shape: Shape): Promise<void> {
  if (!context.strace) return context.skip(`line ${line}, syncs per entry: strace is not installed`)
  context.progress(`counting syncs: ${nameOf(shape.writers)}`)
  const entries = Math.max(200, 3 * shape.writers) * shape.batch
  const samples: Record<string, number[]> = {}
  for (const { name } of context.mode === 'quick' ? context.contenders.slice(0, 1) : context.contenders) {
    const task: AppendTask = { task: 'append', contender: name, directory: '', warmUpMs: 0, measureMs: 60_000, entries, ...shape }
    const counted = await inScratch(context, (directory) => countSyncs({ ...task, directory: `${directory}/store` }, directory))
    samples[name] = [counted.syncs / counted.entries]
  }
  const perGroup = shape.writers * shape.batch
  const value = (samples[ours]?.[0] ?? Number.NaN) * perGroup
  const text = perGroup === 1 ? 'syncs for each append' : `syncs for each ${perGroup} entries`
  context.report({ line, name: `${nameOf(shape.writers)}${shape.batch > 1 ? `, batches of ${shape.batch}` : ''}: syncs by strace`, unit: 'syncs/entry', samples, goals: [{ text, value, atLeast: 1 }] })
}

function throughputChart(context: RunContext, points: ReadonlyMap<number, Readonly<Record<string, readonly number[]>>>): void {
  const writers = [...points.keys()].sort((a, b) => a - b)
  context.chart({
    title: 'Durable appends by writers',
    x: { name: 'writers, each awaits its append', scale: 'log', format: 'count' },
    y: { name: 'appends/s', scale: 'log', format: 'count' },
    series: context.contenders.map(({ name }) => ({ name, points: writers.map((count) => [count, median(points.get(count)?.[name] ?? [])] as const) })),
    note: `${payloadBytes}-byte payloads; medians of ${context.rounds} rounds`,
  })
}

async function latencies(context: RunContext): Promise<void> {
  for (const writers of context.mode === 'quick' ? [100] : [1, 100]) {
    context.progress(`latencies: ${nameOf(writers)}`)
    const shape = { durable: true, writers, batch: 1, payloadBytes }
    const results = await inTurn(
      context,
      context.mode === 'quick' ? 1 : context.rounds,
      Object.fromEntries(context.contenders.map(({ name }) => [name, async () => (await appendOnce(context, name, shape, { latencies: true })).latencyMs as Percentiles])),
    )
    context.chart({
      title: `Latency of a durable append, ${nameOf(writers)}`,
      x: { name: 'percentile', scale: 'log', format: 'percentile', from: 2 },
      y: { name: 'ms', scale: 'log' },
      series: Object.entries(results).map(([name, samples]) => ({
        name,
        points: (
          [
            [2, 'p50'],
            [10, 'p90'],
            [100, 'p99'],
            [1000, 'p999'],
          ] as const
        ).map(([x, key]) => [x, median(samples.map((sample) => sample[key]))] as const),
      })),
      note: `${payloadBytes}-byte payloads; medians of the rounds' percentiles`,
    })
  }
}

