/**
 * Line 10: how late the event loop is while 1000 writers append, on slower disks too; and appends around a roll.
 */
import { median } from '../numbers.js'
import { inScratch, inTurn, mapSamples, ours, type RunContext } from '../run-context.js'
import { runTask } from '../run-worker.js'
import type { Slowness, SlowSyncs } from '../slow-syncs.js'

const disks: readonly Slowness[] = [
  { name: 'syncs of 5 ms', syncUs: 5000 },
  { name: 'syncs of 0.5 ms', syncUs: 500 },
  { name: 'one sync in a hundred takes 50 ms', syncUs: 0, every: 100, rareUs: 50_000 },
]

export async function measureEventLoop(context: RunContext): Promise<void> {
  if (!context.wants(10)) return
  await slowDisks(context)
  await context.part('line 10, around rolls', () => aroundRolls(context))
}

async function slowDisks(context: RunContext): Promise<void> {
  const { slowSyncs } = context
  if (slowSyncs === undefined) return context.skip('line 10, slower disks: there is neither a C compiler (cc) nor strace on Linux to play them with')
  for (const disk of disks) {
    for (const writers of disk.syncUs === 5000 ? [1000] : [1, 1000]) {
      const who = writers === 1 ? 'one writer' : `${writers} writers`
      await context.part(`line 10, ${disk.name}, ${who}`, () => slowDisk(context, slowSyncs, disk, writers, who))
    }
  }
}

async function slowDisk(context: RunContext, slowSyncs: SlowSyncs, disk: Slowness, writers: number, who: string): Promise<void> {
  context.progress(`event loop: ${disk.name}, ${who}`)
  const rounds = context.mode === 'quick' ? 1 : context.rounds
  const measureMs = Math.max(context.measureMs, 1000)
  const shape = { task: 'append', durable: true, writers, batch: 1, payloadBytes: 128, warmUpMs: 0, measureMs, loopDelay: true } as const
  // Who blocks while it syncs lets no timer run, and so has no delay that could be counted.
  const waiting = context.contenders.filter(({ name }) => name !== 'node:fs' && name !== 'better-sqlite3')
  const compared = context.mode === 'quick' ? waiting.slice(0, 2) : waiting
  const runs = Object.fromEntries(
    compared.map(({ name }) => [name, () => inScratch(context, (directory) => runTask({ ...shape, contender: name, directory }, slowSyncs.by(disk)))]),
  )
  const results = await inTurn(context, rounds, runs)
  const delays = mapSamples(results, ({ loopDelayMs }) => loopDelayMs?.p99 ?? Number.NaN)
  context.report({
    line: 10,
    name: `p99 of the event loop's delay: ${disk.name}, ${who}`,
    unit: 'ms',
    samples: delays,
    goals: [{ text: 'ms', value: median(delays[ours] ?? []), atMost: 5 }],
  })
  context.report({ line: 10, name: `appends: ${disk.name}, ${who}`, unit: 'appends/s', samples: mapSamples(results, ({ entries, ms }) => entries / (ms / 1000)), goals: [] })
}

async function aroundRolls(context: RunContext): Promise<void> {
  context.progress('appends around a roll')
  const around = 50
  const task = { task: 'roll', payloadBytes: 4096, segmentBytes: 8 * 1024 * 1024, rolls: context.mode === 'quick' ? 2 : 10, around } as const
  const result = await inScratch(context, (directory) => runTask({ ...task, directory }))
  context.report({
    line: 10,
    name: `an append of 4 KiB that begins a new segment (${result.rolls} rolls); elsewhere the median is ${result.elsewhereMs.p50.toPrecision(2)} ms, p99 ${result.elsewhereMs.p99.toPrecision(2)} ms`,
    unit: 'ms',
    samples: { [ours]: [result.rollMs.p50] },
    goals: [],
  })
  context.chart({
    title: 'Latency around a roll',
    x: { name: 'appends from the one that begins a new segment', scale: 'linear' },
    y: { name: 'ms', scale: 'log' },
    series: [
      { name: 'median of the rolls', points: result.aroundMs.map((ms, index) => [index - around, ms] as const) },
      { name: 'median elsewhere', points: [-around, around].map((x) => [x, result.elsewhereMs.p50] as const) },
      { name: 'p99 elsewhere', points: [-around, around].map((x) => [x, result.elsewhereMs.p99] as const) },
    ],
    note: `One writer, 4 KiB payloads, segments of 8 MiB, ${result.rolls} rolls`,
  })
}
