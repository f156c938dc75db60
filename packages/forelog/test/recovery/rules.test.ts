// The rules of writing of docs/FORMAT.md, seen in the calls that a disk gets: one part for each rule.

import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type OpenOptions, WriteAheadLog } from '../../src/index.js'
import { type DiskCall, type SimulatedDisk, SimulatedDisk as Disk } from '../../src/testing/index.js'
import { textEntries, textEntry } from '../proofs/text-entries.js'
import { cutTo, SegmentBuilder } from '../support/reference-writer.js'
import { contentsOf, directory, diskWith, diskWithFirst, entriesOf, firstSegment, openOn, unsynced } from './disk-with.js'

const syncModes = ['always', 'interval', 'manual'] as const
const firstPath = join(directory, '0000000001-0000000000000001.wal')
const secondName = /0000000002-\d+\.wal$/
const closeBytes = 45
const headerBytes = 85

function emptyDisk(options: object = {}): SimulatedDisk {
  return new Disk({ seed: 1, directories: [directory], journal: true, ...options })
}

/** What is asked of the disk that changes anything: kind, name of the file, bytes of a write. */
function changesIn(calls: readonly DiskCall[]): string[] {
  return calls
    .filter(({ kind, access }) => !['read', 'size', 'list', 'lock', 'release', 'close', 'makeDirectory'].includes(kind) && (kind !== 'open' || access === 'create'))
    .map(({ kind, path, to, bytes }) => {
      const name = (file: string): string => (file === directory ? '.' : file.slice(directory.length + 1))
      // An open file goes by the name that it was opened with, though it has its own by now.
      if (['write', 'truncate', 'sync', 'dataSync'].includes(kind)) return [kind, name(path).replace('.wal.tmp', '.wal'), ...(bytes === undefined ? [] : [bytes])].join(' ')
      return [kind, name(path), ...(to === undefined ? [] : ['→', name(to)]), ...(bytes === undefined ? [] : [bytes])].join(' ')
    })
}

/** The changes that `act` makes. */
async function changesOf(disk: SimulatedDisk, act: () => Promise<unknown>): Promise<string[]> {
  const before = disk.journal.length
  await act()
  return changesIn(disk.journal.slice(before))
}

describe('rule 1: what is acknowledged as durable is on stable storage, with all that stands in front of it', () => {
  it('keeps each of many concurrent appends that had resolved, in whichever order a power cut loses the rest', async () => {
    const disk = emptyDisk()
    const log = await openOn(disk, { maxSegmentSize: 4000 })
    let checked = 0
    const appends = Array.from({ length: 60 }, async (_, index) => {
      if (index % 3 === 0) await Promise.resolve()
      const offset = await log.append(entriesOf(30 * (index % 7))[0]!)
      const after = await openOn(disk.afterCrash('none'))
      expect(after.lastOffset).toBeGreaterThanOrEqual(offset)
      expect([...after.entriesSync({ to: offset })].map((entry) => entry.offset)).toEqual(Array.from({ length: offset }, (_, at) => at + 1))
      checked++
    })
    await Promise.all(appends)
    expect(checked).toBe(60)
    await log.close()
  })

  it('counts as durable only what had been written when the sync was called', async () => {
    const disk = emptyDisk({ latencyMs: { dataSync: 10, write: 1 } })
    const log = await openOn(disk, { sync: 'manual' })
    await log.append(Uint8Array.of(1))
    const syncing = log.sync()
    await log.append(Uint8Array.of(2))
    const durable = await syncing
    expect(log.durableOffset).toBe(durable)
    const after = await openOn(disk.afterCrash('none'))
    expect(after.lastOffset).toBeGreaterThanOrEqual(durable)
    await log.close()
  })
})

describe('rule 2: a close record vouches for what was synced before it was written', () => {
  it.each(syncModes)('and is synced itself, with sync: %s', async (sync) => {
    const disk = emptyDisk()
    const log = await openOn(disk, { sync })
    await log.append(entriesOf(10)[0]!)
    const changes = await changesOf(disk, () => log.close())
    const close = changes.findIndex((change) => change.endsWith(` ${closeBytes}`))
    expect(changes.slice(close)).toEqual([`write ${firstPath.slice(directory.length + 1)} ${closeBytes}`, `truncate ${firstPath.slice(directory.length + 1)}`, `sync ${firstPath.slice(directory.length + 1)}`])
    // Under 'always' all was synced by then; the others sync here.
    if (sync !== 'always') expect(changes.slice(0, close)).toEqual([`dataSync ${firstPath.slice(directory.length + 1)}`])
  })

  it('is written again in place by whoever goes on behind it, with its first write', async () => {
    const closed = new SegmentBuilder(firstSegment).commit(entriesOf(3)).close(true)
    const disk = diskWith(closed)
    const log = await openOn(disk)
    const before = disk.journal.length
    await log.append(entriesOf(10)[0]!)
    const [write] = disk.journal.slice(before).filter(({ kind }) => kind === 'write')
    expect(write).toMatchObject({ path: firstPath, position: closed.length - closeBytes })
    expect(disk.contents(firstPath).subarray(0, closed.length)).toEqual(closed.bytes())
    await log.close()
  })

  it('is kept, though its own sync failed, once the next life has acknowledged anything', async () => {
    for (const syncFailure of ['ext4', 'once', 'btrfs', 'retryable'] as const) {
      const disk = emptyDisk({ syncFailure })
      const log = await openOn(disk)
      await log.append(entriesOf(10)[0]!)
      disk.fail({ kind: 'sync', code: 'EIO' })
      await expect(log.close()).rejects.toMatchObject({ code: 'ERR_WAL_FAILED' })
      const next = await openOn(disk)
      await next.append(entriesOf(20)[0]!)
      const after = await openOn(disk.afterCrash('none'))
      expect(contentsOf(after), syncFailure).toEqual([...entriesOf(10), ...entriesOf(20)])
    }
  })

  it('is written again and synced before another segment is created', async () => {
    const closed = new SegmentBuilder(firstSegment).commit(entriesOf(300)).close(true)
    const disk = diskWith(closed)
    const log = await openOn(disk, { maxSegmentSize: 200 })
    const changes = await changesOf(disk, () => log.append(entriesOf(10)[0]!))
    const creation = changes.findIndex((change) => change.startsWith('remove'))
    const name = closed.name()
    // The close of the shutdown, synced; then the one that says full, cut to length, synced; then the next segment.
    expect(changes.slice(0, creation)).toEqual([`write ${name} ${closeBytes}`, `dataSync ${name}`, `write ${name} ${closeBytes}`, `truncate ${name}`, `sync ${name}`])
    await log.close()
  })

  it('is written again and synced before another segment is created, also where the life before died behind a full segment', async () => {
    const full = new SegmentBuilder(firstSegment).commit(entriesOf(300)).close(false)
    const disk = diskWith(full)
    const log = await openOn(disk)
    const changes = await changesOf(disk, () => log.append(entriesOf(10)[0]!))
    const name = full.name()
    const creation = changes.findIndex((change) => change.startsWith('remove'))
    expect(creation).toBeGreaterThan(0)
    expect(changes.slice(0, creation)).toEqual([`write ${name} ${closeBytes}`, `dataSync ${name}`])
    expect(disk.contents(firstPath)).toEqual(full.bytes())
    await log.close()
  })
})

describe('rule 3: a roll', () => {
  it.each(syncModes)('syncs, closes, cuts to length, syncs, and only then creates the next segment, with sync: %s', async (sync) => {
    const disk = emptyDisk()
    const log = await openOn(disk, { sync, maxSegmentSize: 300 })
    await log.append(entriesOf(400)[0]!)
    const changes = await changesOf(disk, () => log.append(entriesOf(10)[0]!))
    const first = firstPath.slice(directory.length + 1)
    const second = '0000000002-0000000000000002.wal'
    const roll = [
      ...(sync === 'always' ? [] : [`dataSync ${first}`]),
      `write ${first} ${closeBytes}`,
      `truncate ${first}`,
      `sync ${first}`,
      `remove ${second}.tmp`,
      `open ${second}.tmp`,
      `write ${second} ${headerBytes}`,
      `dataSync ${second}`,
      `rename ${second}.tmp → ${second}`,
      'syncDirectory .',
    ]
    expect(changes.slice(0, roll.length)).toEqual(roll)
    expect(changes[roll.length]).toMatch(new RegExp(`^write ${second}`))
    await log.close()
  })

  it('is part of a clean shutdown of a segment larger than 4 MiB, so that the next opening has little to walk', async () => {
    const disk = emptyDisk({ journal: false })
    const log = await openOn(disk)
    for (let index = 0; index < 5; index++) await log.append(new Uint8Array(1024 * 1024))
    await log.close()
    const again = await openOn(disk)
    expect(again.recovery).toMatchObject({ clean: true, bytesExamined: headerBytes + closeBytes, entriesExamined: 0 })
    expect(again.lastOffset).toBe(5)
    expect(again.segments()).toHaveLength(2)
    await again.close()
  })

  it('that finds no room for the new segment at shutdown leaves the shutdown clean without it', async () => {
    const disk = emptyDisk({ journal: false })
    const log = await openOn(disk)
    for (let index = 0; index < 5; index++) await log.append(new Uint8Array(1024 * 1024))
    disk.fail({ kind: 'open', path: secondName, code: 'ENOSPC', times: Infinity })
    disk.fail({ kind: 'open', path: '.tmp', code: 'ENOSPC', times: Infinity })
    await log.close()
    disk.heal()
    const again = await openOn(disk, { recovery: 'strict' })
    expect(again.recovery).toMatchObject({ clean: true, tornBytes: 0 })
    expect([again.lastOffset, again.segments().length]).toEqual([5, 1])
    expect(await again.append(Uint8Array.of(1))).toBe(6)
    await again.close()
  })
})

describe('rule 4: a segment appears whole, or not at all', () => {
  it('has its header synced before it has its name, and its name before anything is written behind that', async () => {
    const disk = emptyDisk()
    const log = await openOn(disk)
    const first = firstPath.slice(directory.length + 1)
    expect(changesIn(disk.journal)).toEqual([
      'syncDirectory .',
      'syncDirectory ',
      'syncDirectory ',
      `remove ${first}.tmp`,
      `open ${first}.tmp`,
      `write ${first} ${headerBytes}`,
      `dataSync ${first}`,
      `rename ${first}.tmp → ${first}`,
      'syncDirectory .',
    ])
    // The directory, and those above it, up to the root.
    expect(disk.journal.filter(({ kind }) => kind === 'syncDirectory').map(({ path }) => path)).toEqual([directory, '/data', '/', directory])
    await log.close()
  })

  it('replaces nothing that has its name', async () => {
    const disk = emptyDisk()
    const log = await openOn(disk, { maxSegmentSize: 300 })
    await log.append(entriesOf(400)[0]!)
    const rival = join(directory, '0000000002-0000000000000002.wal')
    disk.place(rival, Uint8Array.of(1, 2, 3))
    await expect(log.append(entriesOf(10)[0]!)).rejects.toMatchObject({ code: 'ERR_WAL_WRITE_FAILED' })
    expect(disk.contents(rival)).toEqual(Uint8Array.of(1, 2, 3))
    await log.close().catch(() => {})
  })
})

describe('rule 5: every opening syncs the directory', () => {
  it('whatever it found: a clean log, an unclean one, a torn one', async () => {
    const torn = unsynced().group(3).group(40)
    for (const disk of [diskWith(unsynced().group(3).close(true)), diskWith(unsynced().group(3)), diskWithFirst(cutTo(torn.bytes(), torn.length - 1))]) {
      await openOn(disk)
      expect(disk.journal.some(({ kind, path }) => kind === 'syncDirectory' && path === directory)).toBe(true)
    }
  })

  it('so a segment whose name a dead writer had not synced is kept with the first entry that is acknowledged in it', async () => {
    const disk = emptyDisk()
    const log = await openOn(disk, { maxSegmentSize: 300 })
    await log.append(entriesOf(400)[0]!)
    // The name of the second segment is there, but its sync fails: this life is over.
    disk.fail({ kind: 'syncDirectory', code: 'EIO' })
    await expect(log.append(entriesOf(10)[0]!)).rejects.toMatchObject({ code: 'ERR_WAL_SYNC_FAILED' })
    await log.close().catch(() => {})
    const next = await openOn(disk)
    expect(next.segments()).toHaveLength(2)
    await next.append(entriesOf(20)[0]!)
    const after = await openOn(disk.afterCrash('none'))
    expect(contentsOf(after)).toEqual([...entriesOf(400), ...entriesOf(20)])
  })

  it('and removes dead segments only behind that: what makes them dead may not be durable before', async () => {
    const disk = emptyDisk()
    const log = await openOn(disk, { maxSegmentSize: 300 })
    for (const size of [400, 400, 10]) await log.append(entriesOf(size)[0]!)
    disk.fail({ kind: 'remove', code: 'EIO' })
    await log.truncateBefore(3).catch(() => {})
    await log.close().catch(() => {})
    const before = disk.journal.length
    const again = await openOn(disk)
    expect(again.firstOffset).toBe(3)
    const calls = disk.journal.slice(before)
    const removed = calls.findIndex(({ kind, path }) => kind === 'remove' && path.endsWith('.wal'))
    expect(removed).toBeGreaterThan(calls.findIndex(({ kind, path }) => kind === 'syncDirectory' && path === directory))
    expect(calls.slice(removed).some(({ kind }) => kind === 'dataSync' || kind === 'sync')).toBe(false)
    expect(calls.slice(0, removed).some(({ kind, path }) => kind === 'syncDirectory' && path === directory)).toBe(true)
  })
})

describe('rule 6: nothing is written in front of what is torn', () => {
  it('before the copy of the tail is durable, and the tail cut, and that synced', async () => {
    const segment = unsynced().group(3)
    const end = segment.length
    const torn = cutTo(segment.group(900).bytes(), segment.length - 5)
    const disk = diskWithFirst(torn)
    const changes = await changesOf(disk, () => openOn(disk))
    const name = segment.name()
    const [copy] = disk.listSync(join(directory, 'quarantine'))
    const path = `quarantine/${copy}`
    expect(changes).toEqual([
      `remove ${path}`,
      `remove ${path}.tmp`,
      `open ${path}.tmp`,
      `write ${path}.tmp ${torn.length - end}`,
      `dataSync ${path}.tmp`,
      `rename ${path}.tmp → ${path}`,
      'syncDirectory quarantine',
      'syncDirectory .',
      `truncate ${name}`,
      `sync ${name}`,
      `write ${name} ${headerBytes}`,
      `write ${name} ${end - headerBytes}`,
      `sync ${name}`,
      'syncDirectory .',
    ])
  })

  it('after a full disk either: what a write left is cut, and that is synced, before the next one', async () => {
    const disk = emptyDisk()
    const log = await openOn(disk)
    await log.append(entriesOf(10)[0]!)
    const { bytes } = log.segments()[0]!
    disk.fail({ kind: 'write', bytes: 100, code: 'ENOSPC' })
    const changes = await changesOf(disk, async () => {
      await expect(log.append(entriesOf(900)[0]!)).rejects.toMatchObject({ code: 'ERR_WAL_NO_SPACE' })
      await log.append(entriesOf(20)[0]!)
    })
    const name = firstPath.slice(directory.length + 1)
    const undone = changes.indexOf(`truncate ${name}`)
    expect(changes[undone - 1]).toMatch(/^write /)
    expect(changes[undone + 1]).toBe(`sync ${name}`)
    expect(disk.journal.find(({ kind }) => kind === 'truncate')?.position).toBe(bytes)
    expect(contentsOf(log)).toEqual([...entriesOf(10), ...entriesOf(20)])
    await log.close()
    expect(contentsOf(await openOn(disk, { recovery: 'strict' }))).toEqual([...entriesOf(10), ...entriesOf(20)])
  })
})

describe('rule 7: a full disk can be undone when a write tells of it, and never when a sync does', () => {
  it.each<[string, string, OpenOptions]>([
    ['ENOSPC', 'dataSync', {}],
    ['EDQUOT', 'dataSync', {}],
    ['ENOSPC', 'sync', { maxSegmentSize: 100 }],
  ])('%s from %s makes the log fail', async (code, kind, options) => {
    const disk = emptyDisk()
    const log = await openOn(disk, options)
    await log.append(entriesOf(50)[0]!)
    disk.fail({ kind: kind as 'sync', code })
    await expect(log.append(entriesOf(10)[0]!)).rejects.toMatchObject({ code: 'ERR_WAL_SYNC_FAILED' })
    expect(log.state).toBe('failed')
    const synced = disk.journal.filter((call) => call.kind === 'dataSync' || call.kind === 'sync').length
    await expect(log.append(entriesOf(10)[0]!)).rejects.toMatchObject({ code: 'ERR_WAL_FAILED' })
    await expect(log.close()).rejects.toMatchObject({ code: 'ERR_WAL_FAILED' })
    // Nothing is synced a second time.
    expect(disk.journal.filter((call) => call.kind === 'dataSync' || call.kind === 'sync')).toHaveLength(synced)
    const again = await openOn(disk)
    expect((await again.get(1)).entry).toEqual(entriesOf(50)[0])
  })

  it('ENOSPC from a write leaves the log open, with a prefix of the calls, and the offset is given again', async () => {
    const disk = emptyDisk()
    const log = await openOn(disk)
    await log.append(entriesOf(10)[0]!)
    disk.fail({ kind: 'write', code: 'ENOSPC' })
    await expect(log.append(entriesOf(11)[0]!)).rejects.toMatchObject({ code: 'ERR_WAL_NO_SPACE' })
    expect(log.state).toBe('open')
    expect(await log.append(entriesOf(12)[0]!)).toBe(2)
    await log.close()
    expect(contentsOf(await openOn(disk))).toEqual([...entriesOf(10), ...entriesOf(12)])
  })
})

describe('rule 8: a log that failed keeps its lock while a call of it is in flight', () => {
  it('so no other writer comes between', async () => {
    const disk = emptyDisk({ latencyMs: { dataSync: 500 } })
    const log = await openOn(disk, { sync: 'manual' })
    await log.append(entriesOf(10)[0]!)
    const ended: string[] = []
    const begun = new Promise<void>((resolve) => {
      disk.onCall = ({ kind }, moment) => {
        if (moment === 'before' && kind === 'dataSync') resolve()
        if (moment === 'after' && (kind === 'dataSync' || kind === 'release')) ended.push(kind)
      }
    })
    const syncing = log.sync().catch((error: unknown) => error)
    await begun
    disk.fail({ kind: 'write', code: 'EIO' })
    const appending = log.append(entriesOf(11)[0]!).catch((error: unknown) => error)
    const closing = log.close().catch((error: unknown) => error)
    await expect(appending).resolves.toMatchObject({ code: 'ERR_WAL_WRITE_FAILED' })
    await Promise.all([syncing, closing])
    expect(ended.at(-1)).toBe('release')
    expect(ended.filter((kind) => kind === 'dataSync')).toHaveLength(1)
    const next = await openOn(disk)
    expect(contentsOf(next)).toEqual(entriesOf(10))
    await next.close()
  })
})

describe('row I: what is not proven durable is written again before it is shown', () => {
  it('from the end of the last group on that a record proves, where it proves a part of what stands in front of it', async () => {
    const segment = unsynced().group(10)
    const proven = segment.length
    segment.group(20).commit(entriesOf(30), { durableOffset: 1 })
    const disk = diskWith(segment)
    const log = await openOn(disk)
    const writes = disk.journal.filter(({ kind }) => kind === 'write').map(({ path, position, bytes }) => ({ path, position, bytes }))
    expect(writes).toEqual([{ path: firstPath, position: proven, bytes: segment.length - proven }])
    await log.close()
  })

  it('in format 1, where no record proves anything, all of the newest segment', async () => {
    const disk = emptyDisk({ syncFailure: 'ext4' })
    const options = { fileSystem: disk, format: 1, entries: textEntries, sync: 'manual' } as const
    const log = await WriteAheadLog.open(directory, options)
    for (const text of ['one', 'two', 'three']) await log.append(textEntry(text))
    disk.fail({ kind: 'dataSync', code: 'EIO' })
    await expect(log.sync()).rejects.toMatchObject({ code: 'ERR_WAL_SYNC_FAILED' })
    await expect(log.close()).rejects.toMatchObject({ code: 'ERR_WAL_FAILED' })
    const next = await WriteAheadLog.open(directory, options)
    expect(next.lastOffset).toBe(3)
    const after = await WriteAheadLog.open(directory, { ...options, fileSystem: disk.afterCrash('none') })
    expect(after.lastOffset).toBe(3)
  })

  it('all of it, however long it is', async () => {
    // A failed sync leaves pages that are clean, and that the disk never got.
    const disk = emptyDisk({ syncFailure: 'ext4' })
    const log = await openOn(disk, { sync: 'manual' })
    const entries = entriesOf(...Array.from({ length: 30 }, (_, index) => 100_000 + index))
    for (const entry of entries) await log.append(entry)
    disk.fail({ kind: 'dataSync', code: 'EIO' })
    await expect(log.sync()).rejects.toMatchObject({ code: 'ERR_WAL_SYNC_FAILED' })
    await expect(log.close()).rejects.toMatchObject({ code: 'ERR_WAL_FAILED' })
    const payloadsOf = (entriesOfLog: readonly { payload: Uint8Array }[]): Buffer => Buffer.concat(entriesOfLog.map(({ payload }) => payload))
    const next = await openOn(disk)
    expect(next.lastOffset).toBe(30)
    const after = await openOn(disk.afterCrash('none'))
    expect(after.lastOffset).toBe(30)
    expect(payloadsOf(contentsOf(after)).equals(payloadsOf(entries))).toBe(true)
  })
})
