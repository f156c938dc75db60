/**
 * Line 8: opening a log, after a clean close at several sizes, and after its writer was killed.
 */
import { cpSync, rmSync } from 'node:fs'
import { median } from '../numbers.js'
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

/** One segment that is nearly full, of entries of 256 bytes: the rate is that of line 6. */
async function unclean(context: RunContext): Promise<void> {
  context.progress('opening after the writer was killed')
  const payloadBytes = 256
  const entries = context.mode === 'quick' ? 100_000 : 200_000
  await inScratch(context, async (directory) => {
    const killed = `${directory}/killed`
    await runTaskThatIsKilled({ task: 'fill', contender: ours, directory: killed, entries, payloadBytes, batch: 1000, end: 'killed' })
    const results = await inTurn(context, context.rounds, {
      [ours]: async () => {
        // Opening mends it, so each round opens a copy.
        const copy = `${directory}/copy`
        cpSync(killed, copy, { recursive: true })
        const result = await runTask({ task: 'open', contender: ours, directory: copy })
        rmSync(copy, { recursive: true })
        if (result.clean === true || (result.entriesExamined ?? 0) < entries) throw new Error('the log of a killed writer was not examined')
        return result
      },
    })
    const rate = mapSamples(results, ({ entriesExamined = 0, ms }) => entriesExamined / (ms / 1000))
    const goals = [{ text: 'entries/s', value: median(rate[ours] ?? []), atLeast: 4e6 }]
    context.report({ line: 8, name: `open after SIGKILL: entries examined, ${payloadBytes} bytes each`, unit: 'entries/s', samples: rate, goals })
    context.report({ line: 8, name: `open after SIGKILL, ${Math.round((entries * payloadBytes) / megabyte)} MB in the last segment`, unit: 'ms', samples: mapSamples(results, ({ ms }) => ms), goals: [] })
  })
}
