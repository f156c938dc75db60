import { writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type FileSystem, nodeFileSystem, planRepair, repair, verify, WriteAheadLog } from '../../src/index.js'
import { segmentName } from '../../src/segments/segment-name.js'
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

describe('a segment under a wrong name', () => {
  it('is not given up: the plan says what it was called', async () => {
    const newest = names.at(-1) as string
    const files = new Map(without(newest)).set(newestName, bytesOf(sample.files, newest))
    const plan = await planRepair(directory, { fileSystem: diskWith(files), keep: 'front' })
    expect(plan).toMatchObject({ state: 'impossible', actions: [] })
    expect(plan.reasons.join()).toContain(`Name it ${newest} again`)
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
