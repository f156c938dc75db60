// The table of docs/FORMAT.md ("Opening format 2", and the one of format 1), row by row, as the pure functions that it is.

import { describe, expect, it } from 'vitest'
import {
  decideEnd,
  decideEndOfFormat1,
  decideSegments,
  type FailingGroup,
  type FailingRecord,
  type FoundSegment,
  type RecoveryMode,
} from '../../src/recovery/decide.js'

const modes: readonly RecoveryMode[] = ['truncate', 'strict']
const bitOf = (sectorWasWritten: boolean) => ({ position: 700, bit: 3, sectorWasWritten })

describe('where a log of format 2 ends', () => {
  const torn: FailingGroup = { why: 'it does not fit', withinFile: false, hasZeroSector: false }
  const inFile = { ...torn, withinFile: true }

  it.each(modes)('row B: at zeros, or at the end of the file, also with %s', (mode) => {
    expect(decideEnd(undefined, mode)).toEqual({ row: 'B', action: 'resume' })
  })

  it('row C: a group that runs beyond the file, or has a sector that was never written, is cut', () => {
    for (const failing of [torn, { ...torn, hasZeroSector: true }, { ...inFile, hasZeroSector: true }]) {
      expect(decideEnd(failing, 'truncate')).toEqual({ row: 'C', action: 'cut', ambiguous: false })
      expect(decideEnd(failing, 'strict')).toMatchObject({ row: 'C', action: 'refuse', code: 'ERR_WAL_TORN' })
    }
  })

  it.each(modes)('row D: with a voucher it is damage, whatever else is true of it, also with %s', (mode) => {
    for (const withinFile of [true, false]) {
      for (const hasZeroSector of [true, false]) {
        for (const flippedBit of [undefined, bitOf(true), bitOf(false)]) {
          const failing = { ...torn, withinFile, hasZeroSector, voucher: 900, ...(flippedBit === undefined ? {} : { flippedBit }) }
          const decision = decideEnd(failing, mode)
          expect(decision).toMatchObject({ row: 'D', action: 'refuse', code: 'ERR_WAL_CORRUPT' })
          expect(decision).toHaveProperty('why', expect.stringContaining('byte 900') as string)
        }
      }
    }
  })

  it.each(modes)('row D: what is whole and contradicts itself is damage, also with %s', (mode) => {
    expect(decideEnd({ ...inFile, whole: 'contradiction' }, mode)).toMatchObject({ row: 'D', action: 'refuse', code: 'ERR_WAL_CORRUPT' })
  })

  it.each(modes)('row E: one bit that explains it, in a sector that was written, with none missing, is rot and named, also with %s', (mode) => {
    for (const withinFile of [true, false]) {
      expect(decideEnd({ ...torn, withinFile, flippedBit: bitOf(true) }, mode)).toMatchObject({
        row: 'E',
        action: 'refuse',
        code: 'ERR_WAL_CORRUPT',
        bit: { position: 700, bit: 3 },
      })
    }
  })

  it('row E: what can not be decided is cut and called ambiguous, and refused by strict', () => {
    const undecided: FailingGroup[] = [
      inFile, // all of it was written, and no single bit explains it
      { ...inFile, flippedBit: bitOf(false) }, // the sector may never have been written
      { ...inFile, hasZeroSector: true, flippedBit: bitOf(true) }, // another one was not
      { ...torn, hasZeroSector: true, flippedBit: bitOf(false) },
    ]
    for (const failing of undecided) {
      expect(decideEnd(failing, 'truncate')).toEqual({ row: 'E', action: 'cut', ambiguous: true })
      expect(decideEnd(failing, 'strict')).toMatchObject({ row: 'E', action: 'refuse', code: 'ERR_WAL_TORN' })
    }
  })

  it.each(modes)('row K: what a later version of the format wrote is refused, before anything else is asked, also with %s', (mode) => {
    expect(decideEnd({ ...inFile, whole: 'unsupported', voucher: 900, flippedBit: bitOf(true) }, mode)).toMatchObject({ row: 'K', action: 'refuse', code: 'ERR_WAL_FORMAT' })
  })

  it('cuts nothing that is vouched for, and with strict nothing at all, whatever the facts', () => {
    let cases = 0
    for (const whole of [undefined, 'unsupported', 'contradiction'] as const) {
      for (const voucher of [undefined, 900]) {
        for (const flippedBit of [undefined, bitOf(true), bitOf(false)]) {
          for (const withinFile of [true, false]) {
            for (const hasZeroSector of [true, false]) {
              const failing: FailingGroup = {
                why: 'it does not fit',
                withinFile,
                hasZeroSector,
                ...(whole === undefined ? {} : { whole }),
                ...(voucher === undefined ? {} : { voucher }),
                ...(flippedBit === undefined ? {} : { flippedBit }),
              }
              expect(decideEnd(failing, 'strict').action).toBe('refuse')
              const isCut = decideEnd(failing, 'truncate').action === 'cut'
              if (whole !== undefined || voucher !== undefined) expect(isCut).toBe(false)
              else expect(isCut).toBe(flippedBit?.sectorWasWritten !== true || hasZeroSector)
              cases++
            }
          }
        }
      }
    }
    expect(cases).toBe(72)
  })
})

describe('where a log of format 1 ends', () => {
  const torn: FailingRecord = { why: 'it does not fit', hasZeroSector: false, recordsBehind: 2 }

  it.each(modes)('at zeros, or at the end of the file, also with %s', (mode) => {
    expect(decideEndOfFormat1(undefined, mode)).toEqual({ row: 'B', action: 'resume' })
  })

  it.each(modes)('nowhere, if zeros behind the payload make it fit, or other bytes that no flipped bit explains, also with %s', (mode) => {
    for (const failing of [
      { ...torn, padding: { bytes: 99, onlyZeros: true } },
      { ...torn, padding: { bytes: 99, onlyZeros: true }, flippedBit: bitOf(true) },
      { ...torn, padding: { bytes: 99, onlyZeros: false } },
      { ...torn, padding: { bytes: 99, onlyZeros: false }, flippedBit: bitOf(false) },
    ]) {
      const decision = decideEndOfFormat1(failing, mode)
      expect(decision).toMatchObject({ action: 'refuse', code: 'ERR_WAL_CORRUPT', why: expect.stringContaining('99 more bytes') as string })
      expect(decision).not.toHaveProperty('bit')
    }
  })

  it.each(modes)('nowhere, if one flipped bit explains it, also with %s', (mode) => {
    for (const failing of [
      { ...torn, flippedBit: bitOf(true) },
      { ...torn, flippedBit: bitOf(true), padding: { bytes: 2, onlyZeros: false } },
    ]) {
      expect(decideEndOfFormat1(failing, mode)).toMatchObject({ row: 'E', action: 'refuse', code: 'ERR_WAL_CORRUPT', bit: { position: 700, bit: 3 } })
    }
  })

  it('at anything else, which is ambiguous, and refused by strict with the records behind it counted', () => {
    for (const failing of [torn, { ...torn, flippedBit: bitOf(false) }, { ...torn, flippedBit: bitOf(true), hasZeroSector: true }]) {
      expect(decideEndOfFormat1(failing, 'truncate')).toEqual({ row: 'E', action: 'cut', ambiguous: true })
      expect(decideEndOfFormat1(failing, 'strict')).toMatchObject({ action: 'refuse', code: 'ERR_WAL_TORN', why: expect.stringContaining('2 whole records') as string })
    }
  })
})

describe('row G: which segments are the log', () => {
  const logId = 'aa'
  const segment = (id: number, firstOffset: number, previousSegmentId: number, changes: object = {}): FoundSegment => ({
    name: `${id}-${firstOffset}`,
    id,
    firstOffset,
    header: { logId, segmentId: id, previousSegmentId, firstOffset, ...changes },
  })
  const empty = (id: number, firstOffset: number): FoundSegment => ({ name: `${id}-${firstOffset}`, id, firstOffset, header: 'empty' })
  const broken = (id: number, firstOffset: number): FoundSegment => ({ name: `${id}-${firstOffset}`, id, firstOffset, header: { broken: 'its CRC does not fit' } })
  const one = segment(1, 1, 0)
  const two = segment(2, 10, 1)
  const three = segment(3, 20, 2)

  it('those that are followed from the newest back to the first', () => {
    expect(decideSegments([one, two, three], 1)).toEqual({ row: 'G', action: 'live', live: ['1-1', '2-10', '3-20'], firstOffset: 1, dead: [] })
  })

  it('back to one that begins at or below the low-water mark: what is older is dead, whether it is there or not', () => {
    expect(decideSegments([one, two, three], 10)).toMatchObject({ live: ['2-10', '3-20'], firstOffset: 10, dead: ['1-1'] })
    expect(decideSegments([two, three], 10)).toMatchObject({ live: ['2-10', '3-20'], firstOffset: 10, dead: [] })
    expect(decideSegments([two, three], 15)).toMatchObject({ live: ['2-10', '3-20'], firstOffset: 15 })
    expect(decideSegments([three], 20)).toMatchObject({ live: ['3-20'], firstOffset: 20 })
  })

  it('is refused if one is missing above the mark', () => {
    expect(decideSegments([one, three], 1)).toMatchObject({ action: 'refuse', code: 'ERR_WAL_SEGMENT_MISSING', name: '3-20' })
    expect(decideSegments([two, three], 9)).toMatchObject({ action: 'refuse', code: 'ERR_WAL_SEGMENT_MISSING', name: '2-10' })
  })

  it('is refused if the oldest names none in front of it and does not begin low enough', () => {
    expect(decideSegments([segment(2, 10, 0)], 5)).toMatchObject({ action: 'refuse', code: 'ERR_WAL_CORRUPT' })
    expect(decideSegments([segment(1, 1, 0)], 0)).toMatchObject({ action: 'live', firstOffset: 1 })
  })

  it('leaves out what a cut left behind: an id in between that nobody names is dead', () => {
    // Segment 4 cuts behind offset 11, which segment 2 holds; 3 held what was cut off.
    expect(decideSegments([one, two, three, segment(4, 12, 2)], 1)).toMatchObject({ live: ['1-1', '2-10', '4-12'], dead: ['3-20'] })
  })

  it('is refused if a header does not say what the name says, or belongs to another log', () => {
    for (const wrong of [segment(2, 10, 1, { segmentId: 7 }), segment(2, 10, 1, { firstOffset: 11 }), segment(2, 10, 1, { logId: 'bb' })]) {
      expect(decideSegments([one, wrong, three], 1)).toMatchObject({ action: 'refuse', code: 'ERR_WAL_CORRUPT', name: '2-10' })
    }
    for (const wrong of [segment(3, 20, 2, { segmentId: 7 }), segment(3, 20, 2, { firstOffset: 21 })]) {
      expect(decideSegments([one, two, wrong], 1)).toMatchObject({ action: 'refuse', code: 'ERR_WAL_CORRUPT', name: '3-20' })
    }
  })

  it('is refused if one that nothing refers to does not say what its name says: renamed to an id in between, the newest is not dead', () => {
    // Segment 3 held what a cut behind offset 11 took off; 5 is the newest, which was given the name of one that is older.
    const renamed = { ...segment(3, 12, 4, { segmentId: 5, firstOffset: 40 }), name: '3-12' }
    expect(decideSegments([one, two, renamed, segment(4, 12, 2)], 1)).toMatchObject({ action: 'refuse', code: 'ERR_WAL_CORRUPT', name: '3-12', why: expect.stringContaining('segment 5') as string })
    const renamedInFront = { ...segment(1, 1, 2, { segmentId: 3, firstOffset: 20 }), name: '1-1' }
    expect(decideSegments([renamedInFront, two], 10)).toMatchObject({ action: 'refuse', code: 'ERR_WAL_CORRUPT', name: '1-1' })
  })

  it('is refused if an id is there twice, if a previous id is not smaller, and if one begins behind the next', () => {
    // No circle: 4 was cut off, and names 2.
    const ahead = [one, two, segment(3, 20, 4), segment(4, 20, 2), segment(5, 30, 3)]
    expect(decideSegments(ahead, 1)).toMatchObject({ action: 'refuse', code: 'ERR_WAL_CORRUPT', name: '3-20', why: expect.stringContaining('segment 4') as string })
    expect(decideSegments([one, two, segment(2, 11, 1), three], 1)).toMatchObject({ action: 'refuse', code: 'ERR_WAL_CORRUPT' })
    expect(decideSegments([one, segment(2, 10, 2), three], 1)).toMatchObject({ action: 'refuse', code: 'ERR_WAL_CORRUPT' })
    expect(decideSegments([one, segment(2, 21, 1), three], 1)).toMatchObject({ action: 'refuse', code: 'ERR_WAL_CORRUPT', name: '2-21' })
  })

  it('is refused if a header that is needed is broken, or one that nothing refers to: what it was is not known', () => {
    expect(decideSegments([one, broken(2, 10), three], 1)).toMatchObject({ action: 'refuse', code: 'ERR_WAL_CORRUPT', name: '2-10' })
    expect(decideSegments([broken(1, 1), two, three], 10)).toMatchObject({ action: 'refuse', code: 'ERR_WAL_CORRUPT', name: '1-1' })
    expect(decideSegments([segment(1, 1, 0, { logId: 'bb' }), two, three], 10)).toMatchObject({ action: 'refuse', code: 'ERR_WAL_CORRUPT', name: '1-1' })
  })

  it('begins behind segments that a truncation on a full disk emptied, which stay until a mark says so', () => {
    expect(decideSegments([empty(1, 1), two, three], 1)).toMatchObject({ live: ['2-10', '3-20'], firstOffset: 10, dead: [] })
    expect(decideSegments([empty(1, 1), empty(2, 10), three], 1)).toMatchObject({ live: ['3-20'], firstOffset: 20, dead: [] })
    expect(decideSegments([empty(1, 1), two, three], 10)).toMatchObject({ live: ['2-10', '3-20'], firstOffset: 10, dead: ['1-1'] })
  })

  it('is refused if one is empty and an older one, which is dead, is not: a truncation empties the oldest first', () => {
    expect(decideSegments([one, empty(2, 10), three], 1)).toMatchObject({ action: 'refuse', code: 'ERR_WAL_CORRUPT', name: '2-10' })
    expect(decideSegments([one, empty(2, 10), three], 20)).toMatchObject({ action: 'refuse', code: 'ERR_WAL_CORRUPT', name: '2-10' })
  })

  it('row H: is refused if the newest has no whole header, or is empty', () => {
    expect(decideSegments([one, broken(2, 10)], 1)).toMatchObject({ row: 'H', action: 'refuse', code: 'ERR_WAL_CORRUPT', name: '2-10' })
    expect(decideSegments([one, empty(2, 10)], 1)).toMatchObject({ row: 'H', action: 'refuse', code: 'ERR_WAL_CORRUPT', name: '2-10' })
  })
})
