/**
 * Lines 6 and 7: reading everything.
 */
import { median, medianRatio } from '../numbers.js'
import type { Goal } from '../results.js'
import { inScratch, inTurn, mapSamples, ours, type RunContext } from '../run-context.js'
import { runTask } from '../run-worker.js'

export async function measureReplaying(context: RunContext): Promise<void> {
  if (context.wants(6)) await rawReplay(context)
  if (context.wants(7)) await context.part('line 7', () => jsonReplay(context))
}

const sizes: readonly { readonly payloadBytes: number; readonly entries: number; readonly goal?: (entriesPerS: number) => Goal }[] = [
  { payloadBytes: 14, entries: 4_000_000, goal: (value) => ({ text: 'entries/s', value, atLeast: 8e6 }) },
  { payloadBytes: 64, entries: 2_000_000 },
  { payloadBytes: 256, entries: 1_000_000, goal: (value) => ({ text: 'entries/s', value, atLeast: 4e6 }) },
  { payloadBytes: 1024, entries: 250_000 },
  { payloadBytes: 4096, entries: 100_000, goal: (value) => ({ text: 'GB/s', value: (value * 4096) / 1e9, atLeast: 1.5 }) },
]

async function rawReplay(context: RunContext): Promise<void> {
  const quick = context.mode === 'quick'
  const points = new Map<number, Record<string, number[]>>()
  for (const { payloadBytes, entries: usualEntries, goal } of sizes) {
    if (quick && goal === undefined) continue
    await context.part(`line 6, ${payloadBytes}-byte entries`, async () => {
      context.progress(`replay of ${payloadBytes}-byte entries`)
      const ourEntries = quick ? usualEntries / 4 : usualEntries
      const rates = await inScratch(context, async (directory) => {
        const runs: Record<string, () => Promise<number>> = {}
        for (const { name } of context.contenders) {
          // Rates don't depend on the number, and some take long to fill.
          const entries = name === ours || name === 'node:fs' ? ourEntries : ourEntries / (quick ? 10 : 4)
          const store = `${directory}/${name.replace(':', '-')}`
          await runTask({ task: 'fill', contender: name, directory: store, entries, payloadBytes, batch: 1000, end: 'closed' })
          runs[name] = async () => {
            const result = await runTask({ task: 'replay', contender: name, directory: store, warmUps: 1 })
            if (result.entries !== entries || result.bytes !== entries * payloadBytes) throw new Error(`${name} replayed ${result.entries} of ${entries} entries`)
            return result.entries / (result.ms / 1000)
          }
        }
        return inTurn(context, context.rounds, runs)
      })
      points.set(payloadBytes, rates)
      if (goal !== undefined) {
        context.report({ line: 6, name: `replay of ${payloadBytes}-byte entries, raw views in batches`, unit: 'entries/s', samples: rates, goals: [goal(median(rates[ours] ?? []))] })
      }
    })
  }
  context.chart({
    title: 'Replay by entry size',
    x: { name: 'payload', scale: 'log', base: 4, from: 4, format: 'bytes' },
    y: { name: 'entries/s', scale: 'log', format: 'count' },
    series: context.contenders.map(({ name }) => ({ name, points: [...points].map(([bytes, rates]) => [bytes, median(rates[name] ?? [])] as const) })),
    note: 'From the page cache; the second replay of a process. forelog verifies every checksum; none of the peers verifies any here.',
  })
}

async function jsonReplay(context: RunContext): Promise<void> {
  context.progress('replay of JSON documents')
  const entries = context.mode === 'quick' ? 100_000 : 500_000
  const samples = await inScratch(context, async (directory) => {
    await runTask({ task: 'fill-json', directory, entries })
    const by = (by: 'entries' | 'batches' | 'JSON.parse') => () => runTask({ task: 'replay-json', directory, entries, by, warmUps: 1 })
    const results = await inTurn(context, context.rounds, { [ours]: by('entries'), 'forelog, batches()': by('batches'), 'JSON.parse alone': by('JSON.parse') })
    return mapSamples(results, ({ entries, ms }) => entries / (ms / 1000))
  })
  const value = medianRatio(samples[ours] ?? [], samples['JSON.parse alone'] ?? [])
  context.report({ line: 7, name: 'replay through entries() with the JSON codec', unit: 'documents/s', samples, goals: [{ text: 'of JSON.parse alone', value, atLeast: 0.8 }] })
}
