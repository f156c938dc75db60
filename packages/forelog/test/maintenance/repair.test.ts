import { basename, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { planRepair, repair, type RepairPlan, verify, WalError, WriteAheadLog } from '../../src/index.js'
import type { SimulatedDisk } from '../../src/testing/index.js'
import { type Damage, everyFlip, everyMixUp, everyZeroedSector, segmentsOf } from '../proofs/every-bit.js'
import { buildCutFormat2, diskWith, directory, type Files, filesOn, goldenFormat1, openRaw, type SampleLog, writeFormat2 } from '../proofs/sample-logs.js'
import { exampleEntries } from '../support/waltest.js'

const sample = await writeFormat2()
const other = await writeFormat2(3)
const cut = buildCutFormat2()
const samples = [sample.clean, sample.unclean, cut]
const each = Number(process.env['FORELOG_EACH'] ?? 41)

function* some<T>(all: Iterable<T>, every: number): Generator<T> {
  let index = 0
  for (const one of all) if (index++ % every === 0) yield one
}

/** The entries of a log, opened and read. */
async function entriesOf(log: SampleLog, disk: SimulatedDisk): Promise<Map<number, string>> {
  const opened = await log.open(disk, 'truncate')
  const found = new Map<number, string>()
  for await (const batch of opened.entries()) for (const { offset, text } of batch) found.set(offset, text)
  return found
}

function wantedOf({ appended, firstOffset, lastOffset }: SampleLog): [number, string][] {
  return [...appended].filter(([offset]) => offset >= firstOffset && offset <= lastOffset)
}

/** Every copy in quarantine. */
function quarantined(disk: SimulatedDisk): Map<string, Uint8Array> {
  const folder = join(directory, 'quarantine')
  const names = disk.listSync(directory).includes('quarantine') ? disk.listSync(folder) : []
  return new Map(names.map((name) => [name, disk.contents(join(folder, name))]))
}

/** Files that a plan doesn't name are as they were. */
function expectOthersUntouched(plan: RepairPlan, before: Files, disk: SimulatedDisk, what: string): void {
  const named = new Set(plan.actions.flatMap((action) => ('newPath' in action ? [basename(action.newPath)] : [basename(action.path)])))
  const now = filesOn(disk)
  for (const [name, bytes] of before) if (!named.has(name)) expect(now.get(name), `${what}: ${name}`).toEqual(bytes)
}

const sectors = (log: SampleLog): Damage[] => [...some(everyZeroedSector(log), each)]

describe('repair', () => {
  it.each(samples)('mends every flipped bit that verify names, and loses nothing: $name', async (log) => {
    let mended = 0
    let looked = 0
    for (const { what, files } of some(everyFlip(log), each * 3)) {
      looked++
      const disk = diskWith(files)
      const plan = await planRepair(directory, { fileSystem: disk })
      expect(filesOn(disk)).toEqual(new Map(files))
      if (plan.report.outcome !== 'damaged') continue
      expect(plan.state, `${what}: ${JSON.stringify(plan.report.faults)}`).toBe('ready')
      expect(plan.actions.map(({ kind }) => kind)).toEqual(['mend-bit'])
      const { report } = await repair(directory, { fileSystem: disk, plan })
      expect(report.outcome, what).toBe('sound')
      const now = filesOn(disk)
      for (const [name, bytes] of log.files) expect(now.get(name), what).toEqual(bytes)
      expect([...(await entriesOf(log, disk))], what).toEqual(wantedOf(log))
      mended++
    }
    console.log(`${log.name}: ${looked} bits flipped, ${mended} called damage, each mended`)
    expect(mended).toBeGreaterThan(looked / 3)
  })

  it.each(samples.flatMap((log) => [['front', log] as const, ['back', log] as const]))('keeps the %s of a log whose sectors are gone, as the plan said: $name', async (keep, log) => {
    let repaired = 0
    for (const { what, files } of sectors(log)) {
      const disk = diskWith(files)
      const plan = await planRepair(directory, { fileSystem: disk, keep })
      if (plan.state !== 'ready' || plan.choices.length === 0) continue
      const chosen = plan.choices.find((choice) => choice.keep === keep)
      const { report, quarantined: copies } = await repair(directory, { fileSystem: disk, plan })
      expect(report.faults, `${what}: ${JSON.stringify(plan.actions)}`).toEqual([])
      expect([report.firstOffset, report.lastOffset], what).toEqual([chosen?.firstOffset, chosen?.lastOffset])
      expectOthersUntouched(plan, files, disk, what)
      // What was taken out is there still, byte for byte.
      for (const action of plan.actions) {
        if (action.kind === 'begin-at' || !('bytes' in action) || action.bytes === 0) continue
        const from = 'position' in action ? action.position : 0
        const gone = (files.get(basename(action.path)) as Uint8Array).subarray(from, from + action.bytes)
        const copy = copies.find((path) => basename(path).startsWith(`${basename(action.path)}-${from}-`))
        expect(disk.contents(copy as string), what).toEqual(gone)
      }
      const entries = await entriesOf(log, disk)
      expect([...entries.keys()], what).toEqual(Array.from({ length: (chosen?.lastOffset ?? 0) - (chosen?.firstOffset ?? 0) + 1 }, (_, index) => (chosen?.firstOffset ?? 0) + index))
      for (const [offset, text] of entries) expect(text, `${what}: entry ${offset}`).toBe(log.appended.get(offset))
      repaired++
    }
    console.log(`${log.name}: the ${keep} was kept of ${repaired} logs`)
    expect(repaired).toBeGreaterThan(0)
  })

  it('goes on after a repair: appends get the offsets behind what was kept, and all of it is there', async () => {
    const [name] = segmentsOf(sample.clean.files).slice(1)
    const bytes = (sample.clean.files.get(name as string) as Uint8Array).slice().fill(0xee, 200, 240)
    for (const keep of ['front', 'back'] as const) {
      const disk = diskWith(new Map(sample.clean.files).set(name as string, bytes))
      const { report } = await repair(directory, { fileSystem: disk, keep })
      const log = await WriteAheadLog.open(directory, { fileSystem: disk, maxSegmentSize: 300 })
      for (let index = 1; index <= 5; index++) expect(await log.append(Buffer.alloc(100, index))).toBe(report.lastOffset + index)
      await log.close()
      expect(await verify(directory, { fileSystem: disk })).toMatchObject({ outcome: 'sound', clean: true, firstOffset: report.firstOffset, lastOffset: report.lastOffset + 5 })
    }
  })

  it('does what it can about files that are missing, of another log, or mixed up, and says what it can not do', async () => {
    const states = new Map<string, number>()
    for (const { kind, what, files } of some(everyMixUp(sample.clean, other.clean), 3)) {
      const disk = diskWith(files)
      const plan = await planRepair(directory, { fileSystem: disk })
      states.set(plan.state, (states.get(plan.state) ?? 0) + 1)
      for (const keep of plan.state === 'decide' ? plan.choices.map((choice) => choice.keep) : plan.state === 'ready' ? [undefined] : []) {
        const one = diskWith(files)
        const { report, plan: done } = await repair(directory, { fileSystem: one, ...(keep === undefined ? {} : { keep }) })
        expect(report.faults, `${kind}, ${what}, ${String(keep)}: ${JSON.stringify(done.actions)}`).toEqual([])
        for (const [offset, text] of await entriesOf(sample.clean, one)) {
          const known = [sample.clean, other.clean].some(({ appended }) => appended.get(offset) === text)
          expect(known, `${kind}, ${what}: entry ${offset}`).toBe(true)
        }
      }
      if (plan.state === 'impossible') {
        expect(plan.reasons.join(''), `${kind}, ${what}`).not.toBe('')
        await expect(repair(directory, { fileSystem: disk })).rejects.toMatchObject({ code: 'ERR_WAL_CORRUPT' })
        expect(filesOn(disk), `${kind}, ${what}`).toEqual(new Map(files))
      }
    }
    console.log(`mixed up: ${[...states].map(([state, count]) => `${count} ${state}`).join(', ')}`)
    expect([...states.keys()]).toEqual(expect.arrayContaining(['ready', 'decide', 'impossible']))
  })

  it('cuts a torn tail where opening would, with a copy first', async () => {
    const name = segmentsOf(sample.unclean.files).at(-1) as string
    const filled = sample.unclean.files.get(name) as Uint8Array
    const whole = filled.slice(0, filled.findLastIndex((byte) => byte !== 0) + 1)
    let repaired = 0
    for (let missing = 1; missing < 150; missing += 7) {
      const torn = whole.slice(0, whole.length - missing)
      const files = new Map(sample.unclean.files).set(name, torn)
      const disk = diskWith(files)
      const plan = await planRepair(directory, { fileSystem: disk })
      if (plan.report.end?.action !== 'cut') continue
      expect(plan).toMatchObject({ state: 'ready', actions: [{ kind: 'cut' }] })
      const { report } = await repair(directory, { fileSystem: disk, plan })
      expect(report.outcome).toBe('sound')
      const opened = await openRaw(diskWith(files), 'truncate')
      expect(report.lastOffset).toBe(opened.lastOffset)
      expect(plan.report.end.tornBytes).toBe(opened.recovery.tornBytes)
      expect([...quarantined(disk).values()]).toEqual([torn.slice(plan.report.end.position)])
      repaired++
    }
    expect(repaired).toBeGreaterThan(5)
  })

  it('does nothing to a log that is whole', async () => {
    for (const log of samples) {
      const disk = diskWith(log.files)
      const { plan } = await repair(directory, { fileSystem: disk })
      expect(plan).toMatchObject({ state: 'nothing', actions: [] })
      expect(filesOn(disk)).toEqual(new Map(log.files))
    }
  })

  it('refuses while somebody writes the log, and changes nothing without a decision', async () => {
    const name = segmentsOf(sample.clean.files)[1] as string
    const bytes = (sample.clean.files.get(name) as Uint8Array).slice().fill(0xee, 200, 240)
    const disk = diskWith(new Map(sample.clean.files).set(name, bytes))
    await expect(repair(directory, { fileSystem: disk })).rejects.toMatchObject({ code: 'ERR_WAL_CORRUPT', option: 'keep' })
    expect(filesOn(disk).get(name)).toEqual(bytes)

    const written = diskWith(sample.clean.files)
    const log = await WriteAheadLog.open(directory, { fileSystem: written })
    await expect(repair(directory, { fileSystem: written })).rejects.toMatchObject({ code: 'ERR_WAL_LOCKED' })
    await log.close()
  })

  it('refuses a plan that is not what it would do any more', async () => {
    const name = segmentsOf(sample.clean.files)[1] as string
    const once = (sample.clean.files.get(name) as Uint8Array).slice()
    once[201] = (once[201] as number) ^ 4
    const plan = await planRepair(directory, { fileSystem: diskWith(new Map(sample.clean.files).set(name, once)) })
    const disk = diskWith(sample.clean.files)
    await expect(repair(directory, { fileSystem: disk, plan })).rejects.toMatchObject({ code: 'ERR_WAL_OPTION', option: 'plan' })
    expect(filesOn(disk)).toEqual(new Map(sample.clean.files))
  })

  it('survives a crash at any of its calls: what it was to keep is kept, and a new repair ends where this one would have', async () => {
    const [, name, , other] = segmentsOf(sample.clean.files) as [string, string, string, string]
    const damaged = (segment: string, from: number, to: number): Uint8Array => (sample.clean.files.get(segment) as Uint8Array).slice().fill(0xee, from, to)
    // A decision is needed for the one, and the other is proven.
    const files = new Map(sample.clean.files).set(name, damaged(name, 200, 240)).set(other, damaged(other, 0, 85))
    let crashes = 0
    for (const keep of ['front', 'back'] as const) {
      const whole = diskWith(files)
      const kept = await repair(directory, { fileSystem: whole, keep })
      expect(kept.plan.actions.some(({ kind }) => kind === 'rebuild-header')).toBe(keep === 'back')
      for (let call = 1; ; call++) {
        const disk = diskWith(files)
        let calls = 0
        let after: SimulatedDisk | undefined
        disk.onCall = (_, moment) => {
          if (moment !== 'before' || ++calls !== call) return
          after = disk.crash()
        }
        const done = await repair(directory, { fileSystem: disk, keep }).then(
          () => true,
          () => false,
        )
        if (done || after === undefined) break
        crashes++
        const plan = await planRepair(directory, { fileSystem: after, keep })
        if (plan.actions.length > 0) await repair(directory, { fileSystem: after, keep })
        const entries = await entriesOf(sample.clean, after)
        for (let offset = kept.report.firstOffset; offset <= kept.report.lastOffset; offset++) {
          expect(entries.get(offset), `${keep}, crash before call ${call}: entry ${offset}`).toBe(sample.clean.appended.get(offset))
        }
      }
    }
    console.log(`${crashes} crashes of a repair, each repaired`)
    expect(crashes).toBeGreaterThan(40)
  })

  it('changes nothing when there is no room for the copies', async () => {
    const name = segmentsOf(sample.clean.files)[1] as string
    const bytes = (sample.clean.files.get(name) as Uint8Array).slice().fill(0xee, 200, 240)
    const files = new Map(sample.clean.files).set(name, bytes)
    const disk = diskWith(files)
    disk.fail({ kind: 'write', code: 'ENOSPC' })
    await expect(repair(directory, { fileSystem: disk, keep: 'front' })).rejects.toMatchObject({ code: 'ERR_WAL_NO_SPACE' })
    expect(filesOn(disk)).toEqual(files)
    expect(quarantined(disk).size).toBe(0)
  })

  it('mends and cuts logs of format 1', async () => {
    const log = goldenFormat1('twelve-segments')
    const names = segmentsOf(log.files)
    const flipped = (log.files.get(names[3] as string) as Uint8Array).slice()
    flipped[12] = (flipped[12] as number) ^ 0x10
    const disk = diskWith(new Map(log.files).set(names[3] as string, flipped))
    const { report } = await repair(directory, { fileSystem: disk, entries: exampleEntries })
    expect(report.outcome).toBe('sound')
    expect(filesOn(disk).get(names[3] as string)).toEqual(log.files.get(names[3] as string))

    const broken = (log.files.get(names[5] as string) as Uint8Array).slice().fill(0xee, 0, 30)
    for (const keep of ['front', 'back'] as const) {
      const damaged = diskWith(new Map(log.files).set(names[5] as string, broken))
      const { report: after } = await repair(directory, { fileSystem: damaged, entries: exampleEntries, keep })
      expect(after.outcome, keep).toBe('sound')
      const entries = await entriesOf(log, damaged)
      expect(entries.size).toBeGreaterThan(0)
      for (const [offset, text] of entries) expect(text).toBe(log.appended.get(offset))
    }
  })

  it('refuses wrong options by name', async () => {
    await expect(repair(directory, { keep: 'middle' as never, fileSystem: diskWith(sample.clean.files) })).rejects.toThrow(WalError)
    await expect(planRepair(directory, { plan: 1 } as never)).rejects.toMatchObject({ code: 'ERR_WAL_OPTION', option: 'plan' })
  })
})
