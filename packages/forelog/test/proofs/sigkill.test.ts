/**
 * SIGKILL at any moment: what was acknowledged is there afterwards, in every sync mode, for what the operating system has
 * survives the process. `FORELOG_KILLS=5000` kills so often, `FORELOG_SEED` chooses what is written.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Compiled, compile } from './real-writer/compile.js'
import { newCounts } from './real-writer/ledger.js'
import { killAgainAndAgain, type KillCounts } from './sigkill/kills.js'

const kills = Number(process.env['FORELOG_KILLS'] ?? 210)
const seed = Number(process.env['FORELOG_SEED'] ?? 1)

let compiled: Compiled
let home: string

beforeAll(() => {
  compiled = compile('real-writer')
  home = mkdtempSync(join(tmpdir(), 'forelog-sigkill-'))
})

afterAll(() => {
  rmSync(home, { recursive: true, force: true })
  compiled.remove()
})

it(`an acknowledged append survives SIGKILL in every sync mode, ${kills} times`, { timeout: 1_800_000 }, async (context) => {
  context.skip(process.platform === 'win32', 'Windows has no SIGKILL')
  const counts: KillCounts = { ...newCounts(), kills: 0, killsInFlight: 0, killsInOpening: 0, killsInRoll: 0 }
  const script = compiled.path('real-writer/writer.ts')
  // Processes side by side, each with logs of its own.
  const lanes = ['always', 'interval', 'manual'] as const
  await Promise.all(lanes.map((sync, lane) => killAgainAndAgain({ home: join(home, sync), script, sync, kills: kills / lanes.length, seed: seed * 10 + lane }, counts)))
  console.log(`kills, seed ${seed}`, counts)

  expect(counts.killsInFlight / counts.kills).toBeGreaterThan(0.4)
  expect(counts.acknowledged / counts.kills).toBeGreaterThan(30)
  for (const met of [counts.killsInRoll, counts.killsInOpening]) expect(met / counts.kills).toBeGreaterThan(0.02)
  for (const met of [counts.rolls, counts.truncations, counts.shutdowns, counts.endedInTruncation]) expect(met).toBeGreaterThan(0)
})
