import { WriteAheadLog } from 'forelog'
import { mkdtempSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type Command, integer } from '../command.js'
import { exitCodes } from '../exit-codes.js'
import { type Column, tableText } from '../report-text.js'
import { measureFloor, quantile } from '../sync-floor.js'
import type { Colors } from '../terminal.js'
import { countText, durationText } from '../text.js'

const writerCounts = [1, 16, 256] as const

interface Run {
  readonly writers: number
  readonly entriesPerSecond: number
  readonly entriesPerSync: number
  readonly latencyUs: { readonly p50: number; readonly p90: number; readonly p99: number; readonly max: number }
  readonly histogram: readonly { readonly fromUs: number; readonly toUs: number; readonly entries: number }[]
}

export const bench: Command = {
  name: 'bench',
  args: ['DIR'],
  summary: 'Measure durable appends where a log would be: the device’s floor, 1, 16 and 256 writers, latencies.',
  description: 'Each append waits until it is on stable storage. Everything happens in a directory of its own in DIR, which is removed. Compare figures of one run with each other, not with those of another day.',
  options: {
    seconds: { type: 'string', value: 'N', help: 'How long each of the four is measured. Default 2.' },
    size: { type: 'string', value: 'BYTES', help: 'Payload of an entry. Default 128.' },
  },
  examples: [['forelog bench ./data', 'what this disk gives']],
  async run({ terminal, positionals, values, json, signal }) {
    const seconds = integer(values, 'seconds', 1) ?? 2
    const size = integer(values, 'size', 1) ?? 128
    const folder = mkdtempSync(join(resolve(positionals[0] as string), '.forelog-bench-'))
    const { colors } = terminal
    try {
      const { samplesUs } = measureFloor(join(folder, 'floor'), size, seconds * 1000, 1_000_000)
      const floor = samplesUs.length / (samplesUs.reduce((sum, each) => sum + each, 0) / 1e6)
      if (!json) {
        await terminal.prose(`${colors.bold(folder)}   ${size} bytes, ${seconds} s each, Node.js ${process.versions.node}`)
        await terminal.prose(`  ${colors.dim('device floor')}  ${countText(Math.round(floor))} durable writes/s, one after the other, ${durationText(quantile(samplesUs, 0.5) / 1000)} in the middle`)
        await terminal.flush()
      }
      const runs: Run[] = []
      for (const writers of writerCounts) {
        if (signal.aborted) return exitCodes.interrupted
        runs.push(await measure(join(folder, String(writers)), writers, size, seconds, signal))
      }
      if (json) await terminal.line(JSON.stringify({ size, seconds, floorPerSecond: floor, runs }))
      else await terminal.write(show(runs, floor, terminal.width, colors))
      return exitCodes.fine
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  },
}

async function measure(directory: string, writers: number, size: number, seconds: number, signal: AbortSignal): Promise<Run> {
  const log = await WriteAheadLog.open(directory)
  const payload = new Uint8Array(size).fill(0x61)
  const latenciesUs: number[] = []
  try {
    const startMs = performance.now()
    const endMs = startMs + seconds * 1000
    await Promise.all(
      Array.from({ length: writers }, async () => {
        while (performance.now() < endMs && !signal.aborted) {
          const begunMs = performance.now()
          await log.append(payload)
          latenciesUs.push((performance.now() - begunMs) * 1000)
        }
      }),
    )
    const elapsedSeconds = (performance.now() - startMs) / 1000
    const { groups } = log.stats()
    const [p50, p90, p99, max] = [0.5, 0.9, 0.99, 1].map((part) => quantile(latenciesUs, part)) as [number, number, number, number]
    return { writers, entriesPerSecond: latenciesUs.length / elapsedSeconds, entriesPerSync: latenciesUs.length / Math.max(1, groups), latencyUs: { p50, p90, p99, max }, histogram: histogramOf(latenciesUs) }
  } finally {
    await log.close()
  }
}

/** Buckets that double, from those that hold the fastest to those that hold the slowest. */
function histogramOf(samplesUs: readonly number[]): Run['histogram'] {
  const counts = new Map<number, number>()
  for (const sample of samplesUs) {
    const bucket = Math.max(0, Math.floor(Math.log2(Math.max(1, sample))))
    counts.set(bucket, (counts.get(bucket) ?? 0) + 1)
  }
  const buckets = [...counts.keys()]
  const first = Math.min(...buckets)
  return Array.from({ length: Math.max(...buckets) - first + 1 }, (_, index) => ({ fromUs: 2 ** (first + index), toUs: 2 ** (first + index + 1), entries: counts.get(first + index) ?? 0 }))
}

function show(runs: readonly Run[], floor: number, width: number, colors: Colors): string {
  const time = (us: number): string => durationText(us / 1000)
  const column = (head: string, cell: (run: Run) => string, drop?: number): Column => ({ head, align: 'right', cells: runs.map(cell), ...(drop === undefined ? {} : { drop }) })
  const table = tableText(
    [
      column('writers', ({ writers }) => String(writers)),
      column('appends/s', ({ entriesPerSecond }) => countText(Math.round(entriesPerSecond))),
      column('of the floor', ({ entriesPerSecond }) => `× ${(entriesPerSecond / floor).toFixed(2)}`, 2),
      column('per sync', ({ entriesPerSync }) => entriesPerSync.toFixed(1), 3),
      column('p50', ({ latencyUs }) => time(latencyUs.p50)),
      column('p90', ({ latencyUs }) => time(latencyUs.p90), 1),
      column('p99', ({ latencyUs }) => time(latencyUs.p99)),
      column('max', ({ latencyUs }) => time(latencyUs.max)),
    ],
    width,
    colors,
  )
  const most = Math.max(8, Math.min(40, width - 40))
  const histograms = runs.map(({ writers, histogram }) => {
    const highest = Math.max(...histogram.map(({ entries }) => entries))
    const lines = histogram.map(({ fromUs, toUs, entries }) => {
      const cells = (entries / highest) * most
      const bar = entries === 0 ? '' : cells < 1 ? '▏' : '█'.repeat(Math.round(cells))
      return `    ${colors.dim(`${time(fromUs).padStart(8)} to ${time(toUs).padStart(8)}`)}  ${colors.cyan(bar.padEnd(most))} ${countText(entries)}`
    })
    return `\n  ${colors.bold(`latency, ${writers === 1 ? '1 writer' : `${writers} writers`}`)}\n${lines.join('\n')}\n`
  })
  return `\n${table}\n${histograms.join('')}`
}
