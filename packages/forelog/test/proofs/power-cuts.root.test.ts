/**
 * Line 6 of docs/RELIABILITY.md, power cuts on real file systems: what was told to be durable before the power went is there when it
 * is back. The seed chooses what is written and when it is cut, as far as the clock allows.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type CutCounts, cutPower } from './power-cut/cuts.js'
import { type FileSystemName, makeVolume, type Volume, whyNot } from './power-cut/volumes.js'
import { Effort, expectFloors, report, roundOf, seed, timeout } from './effort.js'
import { type Compiled, compile } from './real-writer/compile.js'
import { newCounts } from './real-writer/ledger.js'
import { WriterSpawner } from './real-writer/writer-process.js'

const mustRun = Boolean(process.env['CI']) && process.getuid?.() === 0

/** Of each cut; a third of what is met, or less. The last is the control: the same cuts lose what was acknowledged and not synced. */
const floors = { durable: 10, endedInFlight: 0.5, unclean: 0.5, rolls: 0.3, truncations: 0.1, truncationsBehind: 0.3, commits: 0.3, shutdowns: 0.03, endsWithUnsynced: 0.25 } as const

/** What a hundred cuts meet. */
const floorsOfMany = { endedInRoll: 0, endedInTruncation: 0, endedInTruncationBehind: 0.1, foundTruncatedBehind: 0, endedInCommit: 0, endedInOpening: 0, endedClosed: 0 } as const

let compiled: Compiled
let writers: WriterSpawner
let home: string
const volumes: Volume[] = []

beforeAll(() => {
  compiled = compile('real-writer')
  writers = new WriterSpawner(compiled.path('real-writer/writer.ts'))
  home = mkdtempSync(join(tmpdir(), 'forelog-power-'))
})

afterAll(async () => {
  await writers.stop()
  for (const volume of volumes) volume.dispose()
  rmSync(home, { recursive: true, force: true })
  compiled.remove()
})

it.for([
  { name: 'ext4', wanted: 100 },
  { name: 'xfs', wanted: 100 },
  { name: 'btrfs', wanted: 25 },
] as const)('what was told to be durable before a power cut on $name is there afterwards, $wanted times at the least', { timeout }, async ({ name, wanted }, context) => {
  const reason = whyNot(name)
  if (reason !== undefined && mustRun) throw new Error(reason)
  context.skip(reason !== undefined, reason)
  const began = performance.now()
  const effort = new Effort(wanted, 1 / 3)
  const counts: CutCounts = { ...newCounts(), cuts: 0, cutsOfOneLog: 0 }
  for (let round = 0; effort.goesOn(counts.cuts); round++) {
    try {
      await cutPower(volumeOf(name), writers, roundOf(wanted, round), seed + round, counts)
    } catch (error) {
      throw new Error(`again, as far as the clock allows: npm run prove -- --only 'power cuts' --seed ${seed + round}\n${String((error as Error).message)}`, { cause: error })
    }
  }
  const seconds = Number(((performance.now() - began) / 1000).toFixed(1))
  report({ line: 6, name: `power cuts on ${name}`, tried: counts.cuts, unit: `cuts, seed ${seed}`, madeOf: { ...counts, seconds } })
  if (!effort.hasEnough(counts.cuts)) return
  expectFloors(counts, counts.cuts, { ...floors, ...(wanted >= 100 ? floorsOfMany : {}) })
  expect(counts.endsLosingUnsynced / counts.endsWithUnsynced, `unsynced entries lost on ${name}`).toBeGreaterThan(0.1)
})

function volumeOf(name: FileSystemName): Volume {
  const volume = makeVolume(home, name)
  volumes.push(volume)
  return volume
}
