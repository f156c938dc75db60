import { writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type FileSystem, nodeFileSystem, planRepair, repair, verify, WriteAheadLog } from '../../src/index.js'
import { segmentName } from '../../src/segments/segment-name.js'
import type { SimulatedDisk } from '../../src/testing/index.js'
import { segmentsOf } from '../proofs/every-bit.js'
import { diskWith, directory, type Files, filesOn, writeFormat2 } from '../proofs/sample-logs.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const sample = (await writeFormat2()).clean
const other = (await writeFormat2(3)).clean
const names = segmentsOf(sample.files)
const entries = sample.lastOffset - sample.firstOffset + 1

const bytesOf = (files: Files, name: string): Uint8Array => files.get(name) as Uint8Array
const withFile = (name: string, bytes: Uint8Array): Files => new Map([...sample.files, [name, bytes]])
const without = (name: string): Files => new Map([...sample.files].filter(([each]) => each !== name))
const firstOffsetOf = (name: string | undefined): number => Number(name?.slice(11, 27))

/** The newest of all names. */
const newestName = segmentName(2, 99, 2)

describe('a file that does not belong there', () => {
  it('is what is called a stranger when it is newer than all segments of the log, and setting it aside is all that a repair does', async () => {
    const disk = diskWith(withFile(newestName, bytesOf(other.files, segmentsOf(other.files)[1] as string)))
    const plan = await planRepair(directory, { fileSystem: disk })
    expect(plan.report.faults.map(({ kind, path }) => [kind, path])).toEqual([['stray', join(directory, newestName)]])
    expect(plan.report).toMatchObject({ entries, firstOffset: sample.firstOffset, lastOffset: sample.lastOffset, entriesBehindFirstFault: 0 })
    expect(plan.actions.map(({ kind, path }) => [kind, path])).toEqual([['set-aside', join(directory, newestName)]])
    const { report } = await repair(directory, { fileSystem: disk, plan })
    expect(report).toMatchObject({ outcome: 'sound', clean: true, entries })
  })

  it('is called the copy that it is when it is a segment of the log under another name, and nothing is lost', async () => {
    const original = names[1] as string
    const disk = diskWith(withFile(newestName, bytesOf(sample.files, original)))
    const plan = await planRepair(directory, { fileSystem: disk })
    expect(plan.report.faults).toMatchObject([{ kind: 'stray', path: join(directory, newestName), why: expect.stringContaining(`it is a copy of ${original}`) as unknown }])
    const { report } = await repair(directory, { fileSystem: disk, plan })
    expect(report).toMatchObject({ outcome: 'sound', entries })
    expect([...filesOn(disk).keys()].filter((name) => name.endsWith('.wal')).sort()).toEqual(names)
  })

  it('has its size in the plan, though it is no segment', async () => {
    const disk = diskWith(withFile('notes.wal', Buffer.from('notes')))
    const { actions } = await planRepair(directory, { fileSystem: disk })
    expect(actions).toEqual([{ kind: 'set-aside', path: join(directory, 'notes.wal'), bytes: 5 }])
  })
})

describe('segments under wrong names', () => {
  const exchanged = (a: string, b: string): Files => new Map(sample.files).set(a, bytesOf(sample.files, b)).set(b, bytesOf(sample.files, a))
  const circle = (): Files => new Map(names.map((name, index) => [name, bytesOf(sample.files, names[(index + 1) % names.length] as string)]))
  const renamed = (from: string, to: string): Files => new Map(without(from)).set(to, bytesOf(sample.files, from))
  const mixed: [string, Files][] = [
    ...names.flatMap((a) => names.filter((b) => b > a).map((b): [string, Files] => [`${a} and ${b} exchanged`, exchanged(a, b)])),
    ['all in a circle', circle()],
    ...names.flatMap((name): [string, Files][] => [
      [`${name} as a file of no segment`, renamed(name, 'old copy.wal')],
      [`${name} as a newer one`, renamed(name, newestName)],
    ]),
  ]

  it.each(mixed)('get their names back, and nothing is lost: %s', async (_, files) => {
    const disk = diskWith(files)
    const plan = await planRepair(directory, { fileSystem: disk })
    expect(filesOn(disk)).toEqual(new Map(files))
    expect(plan).toMatchObject({ state: 'ready', choices: [], loses: { readableEntries: 0, bytes: 0 } })
    expect(new Set(plan.actions.map(({ kind }) => kind))).toEqual(new Set(['rename']))
    const { report, quarantined } = await repair(directory, { fileSystem: disk, plan })
    expect(report).toMatchObject({ outcome: 'sound', clean: true, entries })
    expect(quarantined).toEqual([])
    for (const [name, bytes] of sample.files) expect(filesOn(disk).get(name), name).toEqual(bytes)
  })

  it.each([['exchanged', exchanged(names[1] as string, names[2] as string)], ['in a circle', circle()]])('survive a crash at any call of that: the log refuses to open, or is whole, and a new repair ends it (%s)', async (_, files) => {
    let [crashes, refused] = [0, 0]
    for (let call = 1; ; call++) {
      const disk = diskWith(files)
      let calls = 0
      let after: SimulatedDisk | undefined
      disk.onCall = (_call, moment) => {
        if (moment === 'before' && ++calls === call) after = disk.crash()
      }
      await repair(directory, { fileSystem: disk }).catch(() => undefined)
      if (after === undefined) break
      crashes++
      const opened = await WriteAheadLog.open(directory, { fileSystem: diskWith(filesOn(after)) }).catch((error: unknown) => error)
      if (opened instanceof WriteAheadLog) {
        expect([opened.firstOffset, opened.lastOffset]).toEqual([sample.firstOffset, sample.lastOffset])
        await opened.close()
      } else refused++
      const { report } = await repair(directory, { fileSystem: after })
      expect(report, `crash before call ${call}`).toMatchObject({ outcome: 'sound', entries })
      for (const [name, bytes] of sample.files) expect(filesOn(after).get(name), name).toEqual(bytes)
    }
    expect(crashes).toBeGreaterThan(20)
    expect(refused).toBeGreaterThan(10)
  })

  it('get their names back first where more is damaged, and what the choices lose is told of the log with those names', async () => {
    const [, second, third, fourth] = names as [string, string, string, string]
    const broken = Buffer.from(bytesOf(sample.files, fourth)).fill(0xee, 120, 180)
    const files = new Map(exchanged(second, third)).set(fourth, broken)
    const plan = await planRepair(directory, { fileSystem: diskWith(files), keep: 'front' })
    const unmixed = await planRepair(directory, { fileSystem: diskWith(withFile(fourth, broken)), keep: 'front' })
    expect(plan.actions.slice(0, 3).map(({ kind }) => kind)).toEqual(['rename', 'rename', 'rename'])
    expect(plan.actions.slice(3)).toEqual(unmixed.actions)
    expect(plan.choices.map(({ loses }) => loses)).toEqual(unmixed.choices.map(({ loses }) => loses))
    const disk = diskWith(files)
    const { report } = await repair(directory, { fileSystem: disk, plan })
    expect(report).toMatchObject({ outcome: 'sound', faultCount: 0, lastOffset: plan.choices[0]?.lastOffset })
  })

  it('keep them where two files say to be the same segment, because which is right can not be told', async () => {
    const [, second] = names as [string, string]
    const files = new Map(renamed(second, 'a.wal')).set('b.wal', bytesOf(sample.files, second))
    const { actions, choices } = await planRepair(directory, { fileSystem: diskWith(files) })
    expect([...actions, ...choices.flatMap((choice) => choice.actions)].filter(({ kind }) => kind === 'rename')).toEqual([])
  })
})

describe('what is missing', () => {
  it('is told by its offsets, and what stands in front of it is not counted as behind', async () => {
    const [, , gone, next] = names
    const report = await verify(directory, { fileSystem: diskWith(without(gone as string)) })
    const [first, last] = [firstOffsetOf(gone), firstOffsetOf(next) - 1]
    expect(report.faults).toMatchObject([{ kind: 'missing', firstOffset: first, lastOffset: last, meaning: first === last ? `Entry ${first} is missing.` : `Entries ${first} to ${last} are missing.` }])
    expect(report.entriesBehindFirstFault).toBe(sample.lastOffset - last)
  })

  it('has nothing behind it when it is the header of the newest segment', async () => {
    const newest = names.at(-1) as string
    const report = await verify(directory, { fileSystem: diskWith(withFile(newest, new Uint8Array(bytesOf(sample.files, newest).length))) })
    expect(report.faults).toMatchObject([{ kind: 'header' }])
    expect(report.entries).toBeGreaterThan(0)
    expect(report.entriesBehindFirstFault).toBe(0)
  })
})

describe('a repair that gives entries up', () => {
  it('keeps copies of segments that nothing refers to, because opening would remove them', async () => {
    // A truncation that died before it removed what it had made dead.
    const disk = diskWith(sample.files)
    const log = await WriteAheadLog.open(directory, { fileSystem: disk })
    await log.truncateBefore(firstOffsetOf(names[2]))
    await log.close()
    const files = new Map([...sample.files, ...filesOn(disk)])
    const first = names[2] as string
    const bytes = Buffer.from(bytesOf(files, first))
    files.set(first, bytes.fill(0xee, bytes.length - 40))

    const damaged = diskWith(files)
    const { plan, quarantined } = await repair(directory, { fileSystem: damaged, keep: 'front' })
    const dead = plan.report.segments.filter(({ state }) => state === 'dead')
    expect(dead.map(({ name }) => name)).toEqual(names.slice(0, 2))
    for (const { name, bytes: size } of dead) {
      const copy = quarantined.find((path) => basename(path).startsWith(name)) as string
      expect(damaged.contents(copy)).toHaveLength(size)
    }
  })
})

describe('a file that the system does not let us read', () => {
  it('is out of reach, once, with its entries and the remedy, and no repair touches it', async () => {
    await using folder = await temporaryDirectory()
    const at = folder.path
    for (const [name, bytes] of sample.files) writeFileSync(join(at, name), bytes)
    const [, , locked, next] = names
    const denied = (): never => {
      throw Object.assign(new Error(`EACCES: permission denied, open '${String(locked)}'`), { code: 'EACCES' })
    }
    const fileSystem: FileSystem = {
      ...nodeFileSystem,
      open: async (path, options) => (path.endsWith(locked as string) ? denied() : await nodeFileSystem.open(path, options)),
      openSync: (path, options) => (path.endsWith(locked as string) ? denied() : nodeFileSystem.openSync(path, options)),
    }
    const plan = await planRepair(at, { fileSystem, keep: 'front' })
    expect(plan.report.faults).toMatchObject([
      { kind: 'unreadable', path: join(at, locked as string), firstOffset: firstOffsetOf(locked), lastOffset: firstOffsetOf(next) - 1, meaning: expect.stringContaining('look at its owner and mode') as unknown },
    ])
    expect(plan.report.faultCount).toBe(1)
    expect(plan).toMatchObject({ state: 'impossible', actions: [] })
  })
})
