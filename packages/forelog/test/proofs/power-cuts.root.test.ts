/**
 * Power cuts on real file systems: what was told to be durable before the power went is there when it is back.
 *
 * `FORELOG_CUTS=1000` cuts so often on ext4 and XFS, a quarter of it on Btrfs; `FORELOG_SEED` chooses what is written and when it is
 * cut, as far as the clock allows.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type CutCounts, cutPower } from './power-cut/cuts.js'
import { type FileSystemName, makeVolume, type Volume, whyNot } from './power-cut/volumes.js'
import { type Compiled, compile } from './real-writer/compile.js'
import { WriterSpawner } from './real-writer/writer-process.js'

const cuts = Number(process.env['FORELOG_CUTS'] ?? 100)
const seed = Number(process.env['FORELOG_SEED'] ?? 1)
const mustRun = Boolean(process.env['CI']) && process.getuid?.() === 0

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
  { name: 'ext4', wanted: cuts },
  { name: 'xfs', wanted: cuts },
  { name: 'btrfs', wanted: Math.max(20, Math.ceil(cuts / 4)) },
] as const)('what was told to be durable before a power cut on $name is there afterwards, $wanted times', { timeout: 1_800_000 }, async ({ name, wanted }, context) => {
  const reason = whyNot(name)
  if (reason !== undefined && mustRun) throw new Error(reason)
  context.skip(reason !== undefined, reason)
  const began = performance.now()
  const counts = await cutPower(volumeOf(name), writers, wanted, seed)
  console.log(`power cuts on ${name}, ${((performance.now() - began) / 1000).toFixed(1)} s, seed ${seed}`, counts)
  expectFloors(counts, name)
})

function volumeOf(name: FileSystemName): Volume {
  const volume = makeVolume(home, name)
  volumes.push(volume)
  return volume
}

/** Cuts that meet none of this prove nothing. */
function expectFloors(counts: CutCounts, name: FileSystemName): void {
  expect(counts.durable / counts.cuts).toBeGreaterThan(10)
  for (const met of [counts.endedInFlight, counts.unclean]) expect(met / counts.cuts).toBeGreaterThan(0.5)
  for (const met of [counts.rolls, counts.truncations, counts.shutdowns]) expect(met).toBeGreaterThan(0)
  if (counts.cuts >= 100) {
    for (const met of [counts.endedInRoll, counts.endedInTruncation, counts.endedInOpening, counts.endedClosed]) expect(met).toBeGreaterThan(0)
  }
  // The control: the same cuts lose what was acknowledged and not synced.
  expect(counts.endsWithUnsynced).toBeGreaterThan(counts.cuts / 4)
  expect(counts.endsLosingUnsynced / counts.endsWithUnsynced, `unsynced entries lost on ${name}`).toBeGreaterThan(0.1)
}
