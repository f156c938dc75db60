/**
 * Line 8: opening a log, after a clean close at several sizes, and after its writer was killed.
 */
import { closeSync, cpSync, fsyncSync, openSync, readdirSync, rmSync } from 'node:fs'
import { median } from '../numbers.js'
import type { Goal } from '../results.js'
import { inScratch, inTurn, mapSamples, ours, type RunContext } from '../run-context.js'
import { runTask, runTaskThatIsKilled } from '../run-worker.js'

const megabyte = 1e6

export async function measureOpening(context: RunContext): Promise<void> {
  if (!context.wants(8)) return
  await context.part('line 8, after a clean close', () => clean(context))
  await context.part('line 8, after SIGKILL', () => unclean(context))
}

async function clean(context: RunContext): Promise<void> {
  const payloadBytes = 4096
  const sizes = [10, ...(context.mode === 'quick' ? [] : [1000]), ...(context.mode === 'full' ? [10_000] : [])]
  await inScratch(context, async (directory) => {
    const runs: Record<string, () => Promise<number>> = {}
    for (const size of sizes) {
      context.progress(`making a log of ${size} MB`)
      const store = `${directory}/${size}`
      await runTask({ task: 'fill', contender: ours, directory: store, entries: Math.round((size * megabyte) / payloadBytes), payloadBytes, batch: 250, end: 'closed' })
      runs[`forelog, ${size} MB`] = async () => {
        const { ms, clean } = await runTask({ task: 'open', contender: ours, directory: store })
        if (clean !== true) throw new Error('a log that was closed was not found closed')
        return ms
      }
    }
    context.progress('opening after a clean close')
    const samples = await inTurn(context, Math.max(context.rounds, 5), runs)
    const columns = Object.values(samples)
    const [smallest, largest] = [columns[0] ?? [], columns.at(-1) ?? []]
    const goals = [
      { text: 'ms at the largest', value: median(largest), atMost: 20 },
      // Of medians: the sizes are opened one after the other, and each takes a few milliseconds only.
      ...(columns.length > 1 ? [{ text: 'times that of 10 MB', value: median(largest) / median(smallest), atMost: 1.5 }] : []),
    ]
    context.report({ line: 8, name: 'open after a clean close', unit: 'ms', samples: { [ours]: largest, ...samples }, goals })
  })
}

const killedSizes: readonly { readonly payloadBytes: number; readonly entries: number; readonly goal: (entriesPerS: number) => Goal }[] = [
  { payloadBytes: 14, entries: 2_500_000, goal: (value) => ({ text: 'entries/s', value, atLeast: 8e6 }) },
  { payloadBytes: 256, entries: 240_000, goal: (value) => ({ text: 'entries/s', value, atLeast: 4e6 }) },
  { payloadBytes: 4096, entries: 16_000, goal: (value) => ({ text: 'GB/s', value: (value * 4096) / 1e9, atLeast: 1.5 }) },
]

/** One segment that is nearly full: the rate is that of line 6, but for the start, the lock and the syncs of an opening. */
async function unclean(context: RunContext): Promise<void> {
  for (const { payloadBytes, entries: usualEntries, goal } of killedSizes) {
    if (context.mode === 'quick' && payloadBytes !== 256) continue
    context.progress(`opening after the writer was killed, entries of ${payloadBytes} bytes`)
    const entries = context.mode === 'quick' ? usualEntries / 2 : usualEntries
    await inScratch(context, async (directory) => {
      const killed = `${directory}/killed`
      await runTaskThatIsKilled({ task: 'fill', contender: ours, directory: killed, entries, payloadBytes, batch: 1000, end: 'killed' })
      const results = await inTurn(context, context.rounds, {
        [ours]: async () => {
          // Opening mends it, so each round opens a copy.
          const copy = `${directory}/copy`
          copyDurably(killed, copy)
          const result = await runTask({ task: 'open', contender: ours, directory: copy })
          rmSync(copy, { recursive: true })
          if (result.clean === true || (result.entriesExamined ?? 0) < entries) throw new Error('the log of a killed writer was not examined')
          return result
        },
      })
      const name = `open after SIGKILL, ${Math.round((entries * payloadBytes) / megabyte)} MB in the last segment, entries of ${payloadBytes} bytes`
      const rate = mapSamples(results, ({ entriesExamined = 0, ms }) => entriesExamined / (ms / 1000))
      context.report({ line: 8, name, unit: 'entries/s', samples: rate, goals: [goal(median(rate[ours] ?? []))] })
      context.report({ line: 8, name, unit: 'ms', samples: mapSamples(results, ({ ms }) => ms), goals: [] })
      context.report({ line: 8, name: `${name}: processor time`, unit: 'ms', samples: mapSamples(results, ({ cpuMs }) => cpuMs), goals: [] })
    })
  }
}

/** What a killed writer had acknowledged was synced: a copy that is not yet would have the opening, which syncs the file, wait for that. */
function copyDurably(from: string, to: string): void {
  cpSync(from, to, { recursive: true })
  for (const name of readdirSync(to)) {
    const file = openSync(`${to}/${name}`, 'r+')
    fsyncSync(file)
    closeSync(file)
  }
}
