/**
 * The names in a log's directory: which file is what, told by its name alone.
 *
 *     0000000002-0000000000000004.wal   format 2: segment id (10 digits), first offset (16 digits)
 *     12.wal                            format 1: segment id, decimal, no padding
 *     ….wal.tmp                         a segment that was being created when its writer died
 *     lock  quarantine/                 the lock, and what recovery cut off
 *     cursors/  cursors.lock            cursors, and who may make one or truncate in front of them
 *
 * Anything else named `*.wal` is foreign and refused; all other names are somebody else's and left alone.
 */
import { sep } from 'node:path'
import type { Format } from '../format/record.js'

export interface SegmentName {
  readonly format: Format
  readonly id: number
  /** Format 1 names don't have it. */
  readonly firstOffset?: number
  readonly name: string
}

export interface DirectoryNames {
  /** In the order of their ids, as numbers. */
  readonly segments: readonly SegmentName[]
  readonly temporaries: readonly string[]
  readonly foreign: readonly string[]
}

export const lockName = 'lock'
export const quarantineName = 'quarantine'
export const temporarySuffix = '.tmp'
const segmentSuffix = '.wal'

const format2Name = /^(\d{10})-(\d{16})\.wal$/
const format1Name = /^([1-9]\d{0,14})\.wal$/

/** The largest segment id whose name still has ten digits. */
export const lastSegmentId = 9_999_999_999

export function segmentName(format: Format, id: number, firstOffset: number): string {
  if (format === 1) return `${id}${segmentSuffix}`
  return `${String(id).padStart(10, '0')}-${String(firstOffset).padStart(16, '0')}${segmentSuffix}`
}

/** The path of a name in a directory that is absolute and normal. `join` would normalize both anew: of 10,000 segments, for a quarter of an opening. */
export function pathIn(directory: string, name: string): string {
  return directory.endsWith(sep) ? directory + name : directory + sep + name
}

/** Numbers that the digits of a name can't mean make it a foreign one. */
export function parseSegmentName(name: string): SegmentName | undefined {
  const second = format2Name.exec(name)
  if (second !== null) {
    const id = Number(second[1])
    const firstOffset = Number(second[2])
    return id > 0 && firstOffset > 0 && Number.isSafeInteger(firstOffset) ? { format: 2, id, firstOffset, name } : undefined
  }
  const first = format1Name.exec(name)
  return first === null ? undefined : { format: 1, id: Number(first[1]), name }
}

export function sortNames(names: readonly string[]): DirectoryNames {
  const segments: SegmentName[] = []
  const temporaries: string[] = []
  const foreign: string[] = []
  for (const name of names) {
    const segment = parseSegmentName(name)
    if (segment !== undefined) segments.push(segment)
    else if (name.endsWith(segmentSuffix)) foreign.push(name)
    else if (name.endsWith(temporarySuffix) && parseSegmentName(name.slice(0, -temporarySuffix.length)) !== undefined) temporaries.push(name)
  }
  // Numerically: as text, 10.wal stands before 2.wal.
  segments.sort((a, b) => a.id - b.id)
  return { segments, temporaries, foreign }
}
