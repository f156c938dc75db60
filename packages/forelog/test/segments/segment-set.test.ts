import { beforeEach, describe, expect, it } from 'vitest'
import { runBlocking, runPooled } from '../../src/steps.js'
import { makeSegment, type Segment, SegmentSet } from '../../src/segments/segment-set.js'
import { FakeFileSystem } from '../files/fake-file-system.js'
import { refusal } from '../entries/refusal.js'

let fileSystem: FakeFileSystem

beforeEach(() => {
  fileSystem = new FakeFileSystem()
})

/** Segments that begin at these offsets, with files. */
function setOf(firstOffsets: readonly number[]): { set: SegmentSet; segments: Segment[] } {
  const segments = firstOffsets.map((firstOffset, index) => makeSegment('/log', 2, index + 1, firstOffset, 10))
  for (const { path } of segments) fileSystem.files.set(path, new Uint8Array(10))
  return { set: new SegmentSet(fileSystem, '/log', 2, segments), segments }
}

describe('which segment holds an offset', () => {
  it('the newest one that begins at or below it', () => {
    const { set } = setOf([1, 5, 6, 20])
    const expected = new Map([[1, 0], [4, 0], [5, 1], [6, 2], [19, 2], [20, 3], [1_000, 3]])
    for (const [offset, index] of expected) expect(set.indexOf(offset), String(offset)).toBe(index)
  })

  it('the later one of two that begin at the same offset, for the earlier one is empty', () => {
    expect(setOf([1, 5, 5]).set.indexOf(5)).toBe(2)
  })

  it('the first one, where all begin behind it', () => {
    expect(setOf([10, 20]).set.indexOf(3)).toBe(0)
  })

  it('in a set of thousands, every one of them', () => {
    const { set } = setOf(Array.from({ length: 3_000 }, (_, index) => 1 + index * 3))
    for (let offset = 1; offset <= 9_000; offset++) expect(set.indexOf(offset)).toBe(Math.floor((offset - 1) / 3))
  })
})

describe('what callers see', () => {
  it('each segment ends where the next begins, the newest at the last offset', () => {
    const { set } = setOf([1, 5, 9])
    expect(set.infos(1, 12)).toMatchObject([
      { id: 1, firstOffset: 1, lastOffset: 4, bytes: 10, state: 'closed' },
      { id: 2, firstOffset: 5, lastOffset: 8, state: 'closed' },
      { id: 3, firstOffset: 9, lastOffset: 12, state: 'active' },
    ])
  })

  it('entries that are no longer wanted are counted out', () => {
    const { set } = setOf([1, 5])
    expect(set.infos(3, 7)).toMatchObject([{ firstOffset: 3, lastOffset: 4 }, { firstOffset: 5, lastOffset: 7 }])
    expect(set.infos(8, 7)).toMatchObject([{ firstOffset: 5, lastOffset: 4 }, { firstOffset: 8, lastOffset: 7 }])
  })

  it('does not change when segments come and go', () => {
    const { set } = setOf([1, 5])
    const before = set.infos(1, 7)
    set.add(makeSegment('/log', 2, 3, 8, 0))
    set.dropOldest(1)
    expect(before).toHaveLength(2)
    expect(set.infos(1, 7).map(({ id }) => id)).toEqual([2, 3])
  })
})

describe('files for reading', () => {
  it('are shared by readers, and stay open for the next one', () => {
    const { set, segments } = setOf([1])
    const segment = segments[0] as Segment
    const first = runBlocking(set.acquire(segment))
    expect(runBlocking(set.acquire(segment))).toBe(first)
    runBlocking(set.release(segment))
    runBlocking(set.release(segment))
    expect(runBlocking(set.acquire(segment))).toBe(first)
    expect(fileSystem.openFiles).toBe(1)
  })

  it('that two readers open at once are one file in the end', async () => {
    const { set, segments } = setOf([1])
    const segment = segments[0] as Segment
    const [one, other] = await Promise.all([runPooled(set.acquire(segment)), runPooled(set.acquire(segment))])
    expect(one).toBe(other)
    expect(fileSystem.openFiles).toBe(1)
    runBlocking(set.release(segment))
    runBlocking(set.release(segment))
    runBlocking(set.close())
    expect(fileSystem.openFiles).toBe(0)
  })

  it('do not pile up, however many segments are read', () => {
    const { set, segments } = setOf(Array.from({ length: 100 }, (_, index) => index + 1))
    for (const segment of segments) {
      runBlocking(set.acquire(segment))
      runBlocking(set.release(segment))
      expect(fileSystem.openFiles).toBeLessThanOrEqual(8)
    }
  })

  it('in use stay open when their segment is dropped, until the last reader gives it back', () => {
    const { set, segments } = setOf([1, 5])
    const segment = segments[0] as Segment
    const file = runBlocking(set.acquire(segment))
    set.dropOldest(1)
    runBlocking(set.closeUnused())
    expect(runBlocking(file.size())).toBe(10)
    runBlocking(set.release(segment))
    expect(fileSystem.openFiles).toBe(0)
  })

  it('in use when the set is closed are closed by the last reader', () => {
    const { set, segments } = setOf([1])
    const segment = segments[0] as Segment
    runBlocking(set.acquire(segment))
    runBlocking(set.close())
    expect(fileSystem.openFiles).toBe(1)
    runBlocking(set.release(segment))
    expect(fileSystem.openFiles).toBe(0)
  })

  it('are all closed, also when one can not be', () => {
    const { set, segments } = setOf([1, 5, 9])
    for (const segment of segments) {
      runBlocking(set.acquire(segment))
      runBlocking(set.release(segment))
    }
    fileSystem.fail('close', 'EIO')
    runBlocking(set.close())
    expect(fileSystem.openFiles).toBe(0)
  })

  it('that are gone are ERR_WAL_SEGMENT_MISSING, with the path; one that can not be opened for another reason is not', () => {
    const { set, segments } = setOf([7])
    const segment = segments[0] as Segment
    fileSystem.files.delete(segment.path)
    const error = refusal('ERR_WAL_SEGMENT_MISSING', () => runBlocking(set.acquire(segment)))
    expect(error).toMatchObject({ path: segment.path, segmentId: 1, offset: 7 })
    fileSystem.fail('open', 'EMFILE')
    refusal('ERR_WAL_READ_FAILED', () => runBlocking(set.acquire(segment)))
  })
})
