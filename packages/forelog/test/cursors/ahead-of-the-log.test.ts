/**
 * Cursors beyond the end of their log: what they were committed at was on stable storage once, so the end of the log is missing. Going on would
 * give the offsets again, and the cursors would pass over what has them then.
 */
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { planRepair, repair, verify } from '../../src/index.js'
import type { SimulatedDisk } from '../../src/testing/index.js'
import { WriteAheadLog } from '../../src/write-ahead-log.js'
import { bytesOf, directory, newDisk, openOn, rejection, textOf } from '../support/logs.js'

const maxSegmentSize = 2000
const name = 'shipper'

/** A log of so many entries, with a cursor that is committed at the last one. */
async function logOf(entries: number, options: { readonly closed: boolean; readonly maxSegmentSize?: number; readonly sync?: 'manual' | 'interval' }): Promise<SimulatedDisk> {
  const { closed, ...open } = options
  const disk = newDisk({ journal: false })
  const log = await openOn(disk, open)
  await append(log, entries)
  await log.sync()
  await using cursor = await log.cursor(name)
  await cursor.commit(entries)
  if (!closed) return disk.afterCrash('process')
  await cursor.close()
  await log.close()
  return disk
}

async function append(log: WriteAheadLog, entries: number, text = 'entry'): Promise<void> {
  for (let n = 0; n < entries; n++) await log.append(bytesOf(`${text} ${log.lastOffset + 1}`))
}

function segmentsOn(disk: SimulatedDisk): string[] {
  return disk.listSync(directory).filter((each) => each.endsWith('.wal')).sort()
}

function newestOn(disk: SimulatedDisk): { readonly path: string; readonly bytes: Uint8Array } {
  const path = join(directory, segmentsOn(disk).at(-1) as string)
  return { path, bytes: disk.contents(path) }
}

/** Where a text stands in the newest segment. */
function positionOf(disk: SimulatedDisk, text: string): number {
  return Buffer.from(newestOn(disk).bytes).indexOf(text)
}

function place(disk: SimulatedDisk, path: string, bytes: Uint8Array): void {
  disk.removeSync(path)
  disk.place(path, bytes)
}

function lastByteThatIsNotZero(bytes: Uint8Array): number {
  return bytes.findLastIndex((byte) => byte !== 0)
}

function everything(disk: SimulatedDisk): [string, Uint8Array][] {
  const paths = [...disk.listSync(directory).filter((each) => each.endsWith('.wal')), ...disk.listSync(join(directory, 'cursors')).map((each) => join('cursors', each))]
  return paths.sort().map((path) => [path, disk.contents(join(directory, path))])
}

/** The end of a log that is gone: the disk, and the last entry that is left. */
const losses: Readonly<Record<string, () => Promise<{ readonly disk: SimulatedDisk; readonly committed: number; readonly left: number }>>> = {
  async 'a byte of the last entry was changed, after a crash'() {
    const disk = await logOf(20, { closed: false })
    const { path, bytes } = newestOn(disk)
    const at = positionOf(disk, 'entry 20')
    bytes[at] = (bytes[at] as number) ^ 0xff
    place(disk, path, bytes)
    return { disk, committed: 20, left: 19 }
  },
  async 'its file was cut after a clean shutdown'() {
    const disk = await logOf(50, { closed: true })
    const { path } = newestOn(disk)
    place(disk, path, disk.contents(path).subarray(0, positionOf(disk, 'entry 50')))
    return { disk, committed: 50, left: 49 }
  },
  async 'its file was cut after a crash'() {
    const disk = await logOf(50, { closed: false })
    const { path } = newestOn(disk)
    place(disk, path, disk.contents(path).subarray(0, positionOf(disk, 'entry 48')))
    return { disk, committed: 50, left: 47 }
  },
  async 'its file was cut after a crash, between two records'() {
    const disk = await logOf(50, { closed: false })
    const { path } = newestOn(disk)
    const whole = disk.copy()
    // As long as the log was when it had an entry less.
    const before = await logOf(49, { closed: false })
    place(disk, path, whole.contents(path).subarray(0, lastByteThatIsNotZero(newestOn(before).bytes) + 1))
    return { disk, committed: 50, left: 49 }
  },
  async 'all of its only segment was cut'() {
    const disk = await logOf(20, { closed: false })
    const { path } = newestOn(disk)
    place(disk, path, disk.contents(path).subarray(0, positionOf(disk, 'entry 1') - 9))
    return { disk, committed: 20, left: 0 }
  },
  async 'its newest segments are missing'() {
    const disk = await logOf(60, { closed: false, maxSegmentSize: 600 })
    const names = segmentsOn(disk)
    expect(names.length).toBeGreaterThan(3)
    for (const each of names.slice(-2)) disk.removeSync(join(directory, each))
    disk.syncDirectorySync(directory)
    return { disk, committed: 60, left: Number((names.at(-2) as string).slice(11, 27)) - 1 }
  },
  async 'it was restored from a backup, and the cursors were not'() {
    const disk = newDisk({ journal: false })
    const log = await openOn(disk, { maxSegmentSize: 600 })
    await append(log, 50)
    await log.close()
    const backup = new Map(segmentsOn(disk).map((each) => [each, disk.contents(join(directory, each))]))
    const again = await openOn(disk, { maxSegmentSize: 600 })
    await using cursor = await again.cursor(name)
    await append(again, 40)
    await cursor.commit(90)
    await cursor.close()
    await again.close()
    for (const each of segmentsOn(disk)) disk.removeSync(join(directory, each))
    disk.syncDirectorySync(directory)
    for (const [each, bytes] of backup) disk.place(join(directory, each), bytes)
    return { disk, committed: 90, left: 50 }
  },
}

/** What a cursor is given of a log that goes on, and what it is told. */
async function goOn(disk: SimulatedDisk, wanted: { readonly committed: number; readonly left: number }): Promise<void> {
  const { committed, left } = wanted
  const log = await openOn(disk, { maxSegmentSize })
  expect(log.lastOffset).toBe(left)
  expect((await log.cursors()).map(({ offset, cut }) => ({ offset, cut }))).toEqual([{ offset: left, cut: { first: left + 1, last: committed } }])
  await append(log, 3, 'new')
  const reader = await WriteAheadLog.openReader(directory, { fileSystem: disk })
  await using cursor = await reader.cursor(name, { follow: false })
  expect(cursor.cut).toEqual({ first: left + 1, last: committed })
  await reader.get(left + 2)
  const given: string[] = []
  for await (const { offset, entry } of cursor) {
    given.push(textOf(entry.payload))
    await cursor.commit(offset)
  }
  expect(given.slice(0, 2)).toEqual([`new ${left + 1}`, `new ${left + 2}`])
  expect(cursor.cut).toBeUndefined()
  await reader.close()
  await log.close()
}

describe.each(Object.entries(losses))('where %s, and a cursor was committed behind that', (_what, lose) => {
  it.each(['truncate', 'strict'] as const)('opening refuses under %s, says which cursor proves what, and changes nothing', async (recovery) => {
    const { disk, committed, left } = await lose()
    const before = everything(disk)
    const error = await rejection('ERR_WAL_CORRUPT', openOn(disk, { recovery, maxSegmentSize }))
    expect(error.message).toContain(`cursor '${name}' is ${committed - left === 1 ? '1 entry' : `${committed - left} entries`} beyond the end`)
    expect(error.message).toContain(`committed at entry ${committed}`)
    expect(error.message).toContain(left === 0 ? 'the log is empty' : `the log ends at entry ${left}`)
    expect(error.message).toContain('forelog repair --keep front')
    expect(error.offset).toBe(left + 1)
    expect(everything(disk)).toEqual(before)
  })

  it.each(['everything', 'structure'] as const)('verify calls that damage (%s)', async (scope) => {
    const { disk, committed, left } = await lose()
    const report = await verify(directory, { fileSystem: disk, scope })
    expect(report).toMatchObject({ outcome: 'damaged', lastOffset: left, end: { action: 'refuse', row: 'M' } })
    expect(report.faults[0]?.why).toContain(`beyond the end: it was committed at entry ${committed}`)
    expect(report.faults[0]?.firstOffset).toBe(left + 1)
  })

  it('repair takes no decision by itself, pulls the cursor back where it is told to, and nothing new is passed over', async () => {
    const { disk, committed, left } = await lose()
    const before = everything(disk)
    const plan = await planRepair(directory, { fileSystem: disk })
    expect(plan.state).toBe('decide')
    expect(plan.choices.map(({ keep, lastOffset }) => [keep, lastOffset])).toEqual([['front', left]])
    await rejection('ERR_WAL_CORRUPT', repair(directory, { fileSystem: disk }))
    expect(everything(disk)).toEqual(before)
    const result = await repair(directory, { fileSystem: disk, keep: 'front' })
    expect(result.plan.loses).toMatchObject({ firstOffset: left + 1, lastOffset: committed })
    expect(result.plan.actions.at(-1)).toMatchObject({ kind: 'pull-back', offset: left, cursors: 1, furthest: { name, committed } })
    expect(result.report).toMatchObject({ outcome: 'sound', clean: true, lastOffset: left })
    await goOn(disk, { committed, left })
  })

  it('a crash at any call of the repair leaves a refusal, or a cursor that is pulled back', async () => {
    const { disk, committed, left } = await lose()
    const crashes: SimulatedDisk[] = []
    disk.onCall = (_call, moment) => {
      if (moment !== 'after') return
      crashes.push(disk.afterCrash(crashes.length % 2 === 0 ? 'none' : { mode: 'torn', seed: crashes.length }))
    }
    await repair(directory, { fileSystem: disk, keep: 'front' })
    disk.onCall = undefined
    let refused = 0
    for (const each of crashes) {
      const opened = await openOn(each, { maxSegmentSize }).catch((error: unknown) => error)
      if (opened instanceof WriteAheadLog) {
        await opened.close()
        await goOn(each, { committed, left })
        continue
      }
      refused++
      expect(opened).toMatchObject({ code: 'ERR_WAL_CORRUPT' })
      const { report } = await repair(directory, { fileSystem: each, keep: 'front' })
      expect(report.outcome).toBe('sound')
      await goOn(each, { committed, left })
    }
    expect(refused).toBeGreaterThan(0)
    expect(refused).toBeLessThan(crashes.length)
  })
})

it('a cursor that a reader makes where a mark says that the log begins, before that mark is on stable storage, is never beyond the end', async () => {
  const disk = newDisk({ journal: false })
  const log = await openOn(disk, { sync: 'manual' })
  await append(log, 10)
  const killed: SimulatedDisk[] = []
  disk.onCall = ({ kind, path }, moment) => {
    if (moment === 'before' && kind === 'dataSync' && path.includes('.wal')) killed.push(disk.afterCrash('process'))
  }
  await log.truncateBefore(11)
  const [seen] = killed as [SimulatedDisk]
  // What nobody has synced is lost by a power cut, so this proves something.
  expect((await openOn(seen.afterCrash('none'))).lastOffset).toBe(0)
  const reader = await WriteAheadLog.openReader(directory, { fileSystem: seen })
  expect([reader.lastOffset, (await reader.cursor(name)).offset]).toEqual([0, 10])
  const after = await openOn(seen.afterCrash('none'))
  expect([after.lastOffset, (await after.cursors()).map(({ offset }) => offset)]).toEqual([10, [10]])
})

it.each(['manual', 'interval'] as const)('a commit of what is not synced yet is refused under %s, beside the writer as well', async (sync) => {
  const disk = newDisk({ journal: false })
  const log = await openOn(disk, { sync, ...(sync === 'interval' && { syncInterval: 3_600_000 }) })
  await append(log, 5)
  await log.sync()
  await append(log, 5)
  const reader = await WriteAheadLog.openReader(directory, { fileSystem: disk })
  for (const each of [log, reader]) {
    await using cursor = await each.cursor(name)
    await rejection('ERR_WAL_OFFSET_OUT_OF_RANGE', cursor.commit(10))
    await rejection('ERR_WAL_OFFSET_OUT_OF_RANGE', cursor.commit(6))
  }
  const after = await openOn(disk.afterCrash('none'))
  expect(after.lastOffset).toBe(5)
  await log.close()
})
