/**
 * Line 8 of docs/RELIABILITY.md, acknowledged means synced: where each sync of a real process takes 150 ms, nothing that says to be on stable storage is
 * acknowledged sooner; and what does not say so is, which shows that it is the sync that is waited for.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { report } from './effort.js'
import { type Compiled, compile } from './real-writer/compile.js'
import { reportsOf, runTraced, whyNoStrace, type TracedRun } from './traced/traced-writer.js'

const mustRun = Boolean(process.env['CI']) && process.getuid?.() === 0
const delayMs = 150

let compiled: Compiled
let home: string

beforeAll(() => {
  compiled = compile('real-writer', 'traced')
})

afterAll(() => compiled.remove())

beforeEach((context) => {
  const reason = whyNoStrace()
  if (reason !== undefined && mustRun) throw new Error(reason)
  context.skip(reason !== undefined, reason)
  home = mkdtempSync(join(tmpdir(), 'forelog-delay-'))
})

afterEach(() => rmSync(home, { recursive: true, force: true }))

/** Claims, and how long each took that was made of it. */
async function timesOf(run: Pick<TracedRun, 'doing' | 'sync'>, delayed: readonly string[]): Promise<Map<string, number[]>> {
  const directory = join(home, 'log')
  rmSync(directory, { recursive: true, force: true })
  const script = compiled.path('traced/scripted-writer.ts')
  const expressions = [`trace=${[...delayed, 'openat'].join(',')}`, `inject=${delayed.join(',')}:delay_enter=${delayMs * 1000}`]
  const { reports, trace } = await runTraced({ ...run, script, directory, strace: { expressions, trace: join(home, 'trace') } })
  const times = new Map<string, number[]>()
  for (const { claim, ms } of reportsOf(reports, 'timed')) times.set(claim, [...(times.get(claim) ?? []), ms])
  // A file that is written through syncs in its writes: they are what has to be waited for.
  const writesThrough = /openat\([^)]*\.wal[^)]*O_D?SYNC/.test(trace)
  return writesThrough && !delayed.includes('pwritev') ? await timesOf(run, ['fdatasync', 'fsync', 'pwrite64', 'pwritev']) : times
}

const allSay = ['append', 'appendBatch', 'appendSync', 'append during a sync', 'append that rolls', 'sync', 'truncateBefore', 'truncateAfter', 'close', 'close with an append under way']

it.for([
  { doing: 'claims', sync: 'always', says: allSay },
  // A sync delay only puts it off.
  { doing: 'claims-delayed', sync: 'always', says: allSay },
  { doing: 'claims', sync: 'interval', says: ['append that rolls', 'sync', 'truncateBefore', 'truncateAfter', 'close', 'close with an append under way'] },
  { doing: 'claims', sync: 'manual', says: ['append that rolls', 'sync', 'truncateBefore', 'truncateAfter', 'close', 'close with an append under way'] },
] as const)('in mode $sync ($doing) nothing that says to be on stable storage is acknowledged before a sync has ended', { timeout: 120_000 }, async ({ doing, sync, says }) => {
  const times = await timesOf({ doing, sync }, ['fdatasync', 'fsync'])
  const rounded = [...times].map(([claim, ms]) => `${claim}: ${ms.map(Math.round).join(' ')}`)
  console.log(`with ${delayMs} ms for each sync, mode ${sync}${doing === 'claims' ? '' : ', syncDelay 5'}, in ms`, rounded)
  expect([...times.keys()].sort()).toEqual([...allSay].sort())
  for (const [claim, ms] of times) {
    if ((says as readonly string[]).includes(claim)) expect(Math.min(...ms), claim).toBeGreaterThanOrEqual(delayMs)
    else expect(Math.min(...ms), claim).toBeLessThan(delayMs)
  }
  report({ line: 8, name: `${doing}, ${sync}`, tried: [...times.values()].flat().length, unit: `claims, with ${delayMs} ms for each sync`, madeOf: Object.fromEntries(times) })
})

it('a cursor is made, and a commit of it told to be done, only when that is on stable storage', { timeout: 120_000 }, async () => {
  const times = await timesOf({ doing: 'claims-cursor', sync: 'manual' }, ['fdatasync', 'fsync', 'pwrite64', 'pwritev'])
  console.log(`with ${delayMs} ms for each sync and write, in ms`, times)
  expect([...times].map(([claim, { length }]) => [claim, length])).toEqual([['cursor', 1], ['commit', 3]])
  for (const [claim, ms] of times) expect(Math.min(...ms), claim).toBeGreaterThanOrEqual(delayMs)
  report({ line: 8, name: 'claims of a cursor', tried: [...times.values()].flat().length, unit: `claims, with ${delayMs} ms for each sync and write`, madeOf: Object.fromEntries(times) })
})
