import { describe, expect, it } from 'vitest'
import { lastSegmentId, parseSegmentName, segmentName, sortNames } from '../../src/segments/segment-name.js'

describe('names of segments', () => {
  it('are written as they are read, in both formats', () => {
    for (const [format, id, firstOffset, name] of [
      [2, 1, 1, '0000000001-0000000000000001.wal'],
      [2, 12, 345, '0000000012-0000000000000345.wal'],
      [2, lastSegmentId, Number.MAX_SAFE_INTEGER, '9999999999-9007199254740991.wal'],
    ] as const) {
      expect(segmentName(format, id, firstOffset)).toBe(name)
      expect(parseSegmentName(name)).toEqual({ format, id, firstOffset, name })
    }
    for (const id of [1, 9, 10, 123_456]) {
      expect(segmentName(1, id, 77)).toBe(`${id}.wal`)
      expect(parseSegmentName(`${id}.wal`)).toEqual({ format: 1, id, name: `${id}.wal` })
    }
  })

  it.for([
    '0.wal',
    '01.wal',
    '-1.wal',
    '1.5.wal',
    '1e3.wal',
    ' 1.wal',
    '1.wal ',
    '1.WAL',
    '.wal',
    'x.wal',
    '9999999999999999.wal',
    '0000000000-0000000000000001.wal',
    '0000000001-0000000000000000.wal',
    '0000000001-9007199254740992.wal',
    '000000001-0000000000000001.wal',
    '0000000001-000000000000001.wal',
    '0000000001-00000000000000001.wal',
    '0000000001_0000000000000001.wal',
    '0000000001-0000000000000001.wal.tmp',
    '٣.wal',
  ])('%j is none', (name) => {
    expect(parseSegmentName(name)).toBeUndefined()
  })
})

describe('the names in a directory', () => {
  it('are sorted by their ids as numbers', () => {
    const { segments } = sortNames(['10.wal', '9.wal', '2.wal', '1.wal', '100.wal'])
    expect(segments.map(({ id }) => id)).toEqual([1, 2, 9, 10, 100])
  })

  it('are segments, temporary files of ours, foreign ones, or nobody’s business', () => {
    const temporary = '0000000002-0000000000000004.wal.tmp'
    const sorted = sortNames(['0000000001-0000000000000001.wal', temporary, '3.wal.tmp', 'backup.wal', '0.wal', 'lock', 'quarantine', 'notes.txt', 'x.wal.tmp', 'a.tmp'])
    expect(sorted.segments.map(({ name }) => name)).toEqual(['0000000001-0000000000000001.wal'])
    expect(sorted.temporaries).toEqual([temporary, '3.wal.tmp'])
    expect(sorted.foreign).toEqual(['backup.wal', '0.wal'])
  })
})
