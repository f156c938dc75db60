/**
 * Line 5 of docs/RELIABILITY.md, SIGKILL at any moment: what was acknowledged is there afterwards, in every sync mode, for what the
 * operating system has survives the process. The seed chooses what is written, not when the kill comes.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, it } from 'vitest'
import { Effort, expectFloors, report, roundOf, seed, timeout } from './effort.js'
import { type Compiled, compile } from './real-writer/compile.js'
import { newCounts } from './real-writer/ledger.js'
import { killAgainAndAgain, type KillCounts } from './sigkill/kills.js'

/** Kills of the short form, and of each set of logs. */
const wanted = 210

/** Of each kill; a third of what is met, or less. */
const floors = {
  acknowledged: 50,
  killsInFlight: 0.4,
  killsInRoll: 0.05,
  killsInOpening: 0.05,
  killsInTruncation: 0.05,
  killsInCommit: 0,
  endedInTruncation: 0.02,
  endedInTruncationBehind: 0.03,
  foundTruncatedBehind: 0,
  rolls: 1,
  truncations: 0.3,
  truncationsBehind: 0.3,
  commits: 0.5,
  shutdowns: 0.05,
} as const

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

it('an acknowledged append survives SIGKILL in every sync mode, two hundred times at the least', { timeout }, async (context) => {
  context.skip(process.platform === 'win32', 'Windows has no SIGKILL')
  const counts: KillCounts = { ...newCounts(), kills: 0, killsInFlight: 0, killsInOpening: 0, killsInRoll: 0, killsInTruncation: 0, killsInCommit: 0 }
  const script = compiled.path('real-writer/writer.ts')
  // Processes side by side, each with logs of its own.
  const lanes = ['always', 'interval', 'manual'] as const
  const effort = new Effort(wanted)
  for (let round = 0; effort.goesOn(counts.kills); round++) {
    const kills = Math.ceil(roundOf(wanted, round) / lanes.length)
    try {
      await Promise.all(
        lanes.map((sync, lane) => killAgainAndAgain({ home: join(home, `${sync}-${round}`), script, sync, kills, seed: (seed + round) * 10 + lane }, counts)),
      )
    } catch (error) {
      throw new Error(`again, as far as the clock allows: npm run prove -- --only kills --seed ${seed + round}\n${String((error as Error).message)}`, { cause: error })
    }
  }
  report({ line: 5, name: 'kills', tried: counts.kills, unit: `kills, seed ${seed}`, madeOf: counts })
  if (effort.hasEnough(counts.kills)) expectFloors(counts, counts.kills, floors)
})
