/** The rules of writing of docs/FORMAT.md, seen from outside: the calls that reach the disk, and what an independent reader finds on it. */
import { basename } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { DiskCall, SimulatedDisk } from '../../src/testing/index.js'
import { type WriteAheadLog } from '../../src/write-ahead-log.js'
import { bytesOf, directory, isSync, newDisk, openOn, rejection, syncsSince, textsOf } from '../support/logs.js'
import { readDirectory2, readSegment2, type ReferenceSegment } from '../support/reference-reader.js'

const segmentNames = (disk: SimulatedDisk): string[] => disk.listSync(directory).filter((name) => name.endsWith('.wal')).sort()

function segmentOf(disk: SimulatedDisk, name: string): ReferenceSegment {
  return readSegment2(disk.contents(`${directory}/${name}`))
}

const kindsOf = (segment: ReferenceSegment): string[] => segment.records.map(({ kind }) => kind)

/**
 * All calls on files of the log and on its directory, in order: `write 0000000001-….wal`. The disk calls a file by the name that it was
 * opened with, which is a temporary one in a segment that the log made.
 */
const callsOf = (calls: readonly DiskCall[]): string[] =>
  calls
    .filter(({ kind }) => !['read', 'size', 'list', 'open', 'close', 'remove'].includes(kind))
    .map(({ kind, path, to }) => `${kind} ${basename(to ?? path, '.tmp')}`)

describe('a roll', () => {
  it.each(['always', 'manual'] as const)('ends the old segment, durably, before the new one appears (sync: %s)', async (sync) => {
    const disk = newDisk()
    const log = await openOn(disk, { maxSegmentSize: 300, sync })
    await log.append(new Uint8Array(400))
    const [old] = segmentNames(disk) as [string]
    const before = disk.journal.length
    await log.append(bytesOf('x'))
    const calls = callsOf(disk.journal.slice(before))
    const name = segmentNames(disk)[1] as string
    const appears = calls.indexOf(`rename ${name}`)
    const lastOfOld = calls.findLastIndex((call) => call.endsWith(` ${old}`))
    expect(appears).toBeGreaterThan(lastOfOld)
    // The close record is written behind a sync, the file cut behind it, and both synced by the last call of all.
    expect(calls[lastOfOld]).toBe(`sync ${old}`)
    const closeWritten = calls.findLastIndex((call) => call === `write ${old}`)
    expect(calls.indexOf(`truncate ${old}`)).toBeGreaterThan(closeWritten)
    // The new one has its header, synced, before it has its name, and its name is durable before an entry is written to it.
    const kinds = (of: readonly string[]): string[] => of.filter((call) => call.endsWith(` ${name}`)).map((call) => call.split(' ')[0] as string)
    expect(kinds(calls.slice(0, appears))).toEqual(['write', 'dataSync'])
    expect(calls[appears + 1]).toBe(`syncDirectory ${basename(directory)}`)
    expect(kinds(calls.slice(appears + 2))[0]).toBe('write')
  })

  it('closes the old segment with a record that says full, and chains the new one to it', async () => {
    const disk = newDisk()
    const log = await openOn(disk, { maxSegmentSize: 300 })
    for (let index = 0; index < 12; index++) await log.append(bytesOf(`entry ${index}`))
    await log.truncateBefore(2)
    const names = segmentNames(disk)
    expect(names.length).toBeGreaterThan(2)
    const segments = names.map((name) => segmentOf(disk, name))
    for (const [index, segment] of segments.entries()) {
      const next = segments[index + 1]
      if (next === undefined) break
      expect(segment.closed).toBe('full')
      expect(segment.stop.why).toBe('end')
      expect(next.header?.previous).toBe(segment.lastCrc)
      expect(next.header?.previousId).toBe(segment.header?.segmentId)
      expect(next.header?.logId).toBe(segment.header?.logId)
      expect(next.header?.firstOffset).toBe(segment.nextOffset)
    }
    expect(new Set(segments.map(({ header }) => header?.salt)).size).toBe(segments.length)
  })

  it('puts nothing in place of a file that has the name already', async () => {
    const disk = newDisk()
    const log = await openOn(disk, { maxSegmentSize: 110 })
    await log.append(bytesOf('a'))
    const taken = `${directory}/0000000002-0000000000000002.wal`
    disk.place(taken, bytesOf('somebody’s'))
    await rejection('ERR_WAL_WRITE_FAILED', log.append(bytesOf('b')))
    expect(log.state).toBe('failed')
    expect(disk.contents(taken)).toEqual(bytesOf('somebody’s'))
  })
})

describe('commits', () => {
  it('stand in front of the entries that were appended together, and say what was durable before', async () => {
    const disk = newDisk()
    const log = await openOn(disk)
    await log.append(bytesOf('a'))
    await Promise.all([log.append(bytesOf('b')), log.append(bytesOf('c'))])
    await log.appendBatch(['d', 'e', 'f'].map(bytesOf))
    const commits = segmentOf(disk, segmentNames(disk)[0] as string).records.filter((record) => record.kind === 'commit')
    expect(commits.map(({ firstOffset, count, durableOffset }) => [firstOffset, count, durableOffset])).toEqual([
      [1, 1, 0],
      [2, 2, 1],
      [4, 3, 3],
    ])
  })

  it('claim nothing as durable that was not synced', async () => {
    const disk = newDisk()
    const log = await openOn(disk, { sync: 'manual' })
    for (let index = 0; index < 3; index++) await log.append(bytesOf('x'))
    await log.sync()
    await log.append(bytesOf('y'))
    const commits = segmentOf(disk, segmentNames(disk)[0] as string).records.filter((record) => record.kind === 'commit')
    expect(commits.map(({ durableOffset }) => durableOffset)).toEqual([0, 0, 0, 3])
  })
})

describe('a durable mark', () => {
  async function waitForMark(disk: SimulatedDisk, count: number): Promise<void> {
    await expect.poll(() => kindsOf(segmentOf(disk, segmentNames(disk)[0] as string)).filter((kind) => kind === 'durable')).toHaveLength(count)
  }

  it('is written once for each idle spell, without a sync of its own', async () => {
    const disk = newDisk()
    const log = await openOn(disk)
    await log.append(bytesOf('a'))
    const before = disk.journal.length
    await waitForMark(disk, 1)
    expect(syncsSince(disk, before)).toBe(0)
    await log.append(bytesOf('b'))
    await waitForMark(disk, 2)
    const segment = segmentOf(disk, segmentNames(disk)[0] as string)
    expect(segment.proven).toBe(2)
    expect(segment.stop.why === 'end' || segment.stop.why === 'zeros').toBe(true)
  })

  it('is left out where there is no room for it: the log goes on', async () => {
    const disk = newDisk()
    const log = await openOn(disk)
    await log.append(bytesOf('a'))
    disk.fail({ kind: 'write', code: 'ENOSPC', times: 1 })
    await expect.poll(() => disk.faultsTold).toBe(1)
    expect(log.state).toBe('open')
    expect(await log.append(bytesOf('b'))).toBe(2)
    expect(await textsOf(await openOn(disk.afterCrash('none')))).toEqual(['1 a', '2 b'])
  })

  it('comes never where nothing is durable that was not known to be', async () => {
    const disk = newDisk()
    const log = await openOn(disk, { sync: 'manual' })
    await log.append(bytesOf('a'))
    await log.append(bytesOf('b'))
    // A log beside it gets one: so much time has passed.
    const beside = newDisk()
    const other = await openOn(beside)
    await other.append(bytesOf('a'))
    await waitForMark(beside, 1)
    expect(kindsOf(segmentOf(disk, segmentNames(disk)[0] as string))).not.toContain('durable')
  })
})

describe('a clean shutdown', () => {
  it('ends with a synced close record, and the file with it', async () => {
    const disk = newDisk()
    const log = await openOn(disk)
    await log.append(bytesOf('a'))
    await log.close()
    const after = disk.afterCrash('none')
    const segment = segmentOf(after, segmentNames(after)[0] as string)
    expect(segment.closed).toBe('clean')
    expect(segment.stop.why).toBe('end')
  })

  it('of a log that nothing was written to in this life changes no byte of it', async () => {
    const disk = newDisk()
    const log = await openOn(disk)
    await log.append(bytesOf('a'))
    await log.close()
    const [name] = segmentNames(disk) as [string]
    const before = disk.contents(`${directory}/${name}`)
    for (let life = 0; life < 3; life++) await (await openOn(disk)).close()
    expect(segmentNames(disk)).toEqual([name])
    expect(disk.contents(`${directory}/${name}`)).toEqual(before)
  })

  it('is gone on behind in the next life: the close record stays, written and synced again', async () => {
    const disk = newDisk()
    for (let life = 1; life <= 3; life++) {
      const log = await openOn(disk)
      const before = disk.journal.length
      await log.append(bytesOf(`life ${life}`))
      expect(syncsSince(disk, before)).toBeGreaterThan(0)
      await log.close()
    }
    const [name] = segmentNames(disk) as [string]
    expect(kindsOf(segmentOf(disk, name)).filter((kind) => kind !== 'durable')).toEqual(['header', 'commit', 'close', 'commit', 'close', 'commit', 'close'])
  })

  it('of a segment larger than 4 MiB rolls, so that the next opening has little to walk', async () => {
    const disk = newDisk({ journal: false })
    const log = await openOn(disk)
    for (let index = 0; index < 5; index++) await log.append(new Uint8Array(1024 * 1024))
    await log.close()
    const names = segmentNames(disk)
    expect(names).toHaveLength(2)
    expect(segmentOf(disk, names[1] as string)).toMatchObject({ closed: 'clean', entries: [] })
    const again = await openOn(disk)
    expect(again.recovery).toMatchObject({ clean: true, entriesExamined: 0 })
    expect(again.recovery.bytesExamined).toBeLessThan(1_000)
    expect(await again.append(bytesOf('next'))).toBe(6)
  })
})

describe('the low-water mark', () => {
  it('is written and synced before a segment is removed, and each later header carries it on', async () => {
    const disk = newDisk()
    const log = await openOn(disk, { maxSegmentSize: 300 })
    for (let index = 0; index < 12; index++) await log.append(bytesOf(`entry ${index}`))
    const before = disk.journal.length
    await log.truncateBefore(9)
    const calls = disk.journal.slice(before)
    const removed = calls.findIndex(({ kind }) => kind === 'remove')
    const written = calls.findIndex(({ kind }) => kind === 'write')
    const synced = calls.findIndex(isSync)
    expect(written).toBeGreaterThan(-1)
    expect(synced).toBeGreaterThanOrEqual(written)
    expect(removed).toBeGreaterThan(synced)
    expect(calls.findLastIndex(({ kind }) => kind === 'syncDirectory')).toBeGreaterThan(removed)
    await log.append(new Uint8Array(400))
    await log.append(bytesOf('next'))
    expect(segmentOf(disk, segmentNames(disk).at(-1) as string).header?.lowWaterMark).toBe(9)
  })
})

describe('what an independent reader finds', () => {
  it('after all kinds of work: the entries of the log, and a whole chain', async () => {
    const disk = newDisk()
    let log: WriteAheadLog = await openOn(disk, { maxSegmentSize: 700 })
    for (let life = 0; life < 4; life++) {
      for (let index = 0; index < 5; index++) await log.append({ type: index, payload: bytesOf(`life ${life}, entry ${index}`) })
      await log.appendBatch(Array.from({ length: 4 }, () => bytesOf('batch')))
      log.appendSync(bytesOf('blocking'))
      await Promise.all([log.append(bytesOf('x')), log.truncateBefore(life * 6 + 1), log.append(bytesOf('y'))])
      await log.close()
      log = await openOn(disk, { maxSegmentSize: 700 })
    }
    const files = new Map(segmentNames(disk).map((name) => [name, disk.contents(`${directory}/${name}`)]))
    const read = readDirectory2(files)
    const entries = read.segments.flatMap(({ entries }) => entries).filter(({ offset }) => offset >= log.firstOffset)
    const texts = entries.map(({ offset, payload }) => `${offset} ${Buffer.from(payload).toString()}`)
    expect(texts).toEqual(await textsOf(log))
    expect(read.segments.every(({ mismatches }) => mismatches.length === 0)).toBe(true)
  })
})

describe('options of files', () => {
  it('fileMode is that of every segment', async () => {
    const disk = newDisk()
    const modes: (number | undefined)[] = []
    const { openSync, open } = disk
    disk.open = (path, options) => {
      if (options.access === 'create') modes.push(options.mode)
      return open.call(disk, path, options)
    }
    disk.openSync = (path, options) => {
      if (options.access === 'create') modes.push(options.mode)
      return openSync.call(disk, path, options)
    }
    const log = await openOn(disk, { maxSegmentSize: 110, fileMode: 0o600 })
    await log.append(bytesOf('a'))
    await log.append(bytesOf('b'))
    expect(modes).toEqual([0o600, 0o600])
  })
})
