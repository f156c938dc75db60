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
import { Effort, report, seed, timeout } from './effort.js'
import { type Compiled, compile } from './real-writer/compile.js'
import { WriterSpawner } from './real-writer/writer-process.js'

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
  { name: 'ext4', wanted: 100 },
  { name: 'xfs', wanted: 100 },
  { name: 'btrfs', wanted: 25 },
] as const)('what was told to be durable before a power cut on $name is there afterwards, $wanted times at the least', { timeout }, async ({ name, wanted }, context) => {
  const reason = whyNot(name)
  if (reason !== undefined && mustRun) throw new Error(reason)
  context.skip(reason !== undefined, reason)
  const began = performance.now()
  const effort = new Effort(wanted, 1 / 3)
  let cuts = 0
  for (let round = 0; effort.goesOn(cuts); round++) {
    const counts = await cutPower(volumeOf(name), writers, wanted, seed + round)
    cuts += counts.cuts
    const seconds = Number(((performance.now() - began) / 1000).toFixed(1))
    report({ line: 6, name: `power cuts on ${name}`, tried: counts.cuts, unit: `cuts, seed ${seed + round}`, madeOf: { ...counts, seconds } })
    expectFloors(counts, name)
  }
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
