/**
 * What the cursors of a log prove of it. A commit is taken of entries alone that are known to be on stable storage, so whatever a cursor's
 * file says was there once: the entry it names, and all in front of it. Where the log ends below that, its end is missing.
 */
import { join } from 'node:path'
import { WalError } from '../errors.js'
import type { FileSystem } from '../files/file-system.js'
import type { Logger } from '../logger.js'
import type { Segment } from '../segments/segment-set.js'
import { brieflyTogether, type Steps } from '../steps.js'
import { cursorPath, cursorsName, listCursors, readCursor, type StoredCursor } from './cursor-file.js'
import { standingOf } from './standing.js'

export interface NamedCursor extends StoredCursor {
  readonly name: string
}

/** Where the cursors of a log stand that could be read. */
export interface PlacedCursor {
  readonly name: string
  readonly offset: number
  /** Of the segment that held the entry when it was committed. */
  readonly segmentId: number
}

/** As far as its headers tell. */
export interface CursoredLog {
  readonly logId: string
  /** Oldest first. */
  readonly live: readonly Pick<Segment, 'id' | 'firstOffset'>[]
  readonly firstOffset: number
}

/** All that is committed in a log's directory. What can't be read proves nothing. */
export function* readCursors(fileSystem: FileSystem, logDirectory: string, logger?: Logger): Steps<NamedCursor[]> {
  const directory = join(logDirectory, cursorsName)
  const passedOver = (path: string, error: unknown): void => {
    if (!(error instanceof WalError)) throw error
    logger?.warn({ path, err: error }, 'a cursor can not be read, so it is not known whether the log ends below it')
  }
  let names: string[]
  try {
    names = (yield* listCursors(fileSystem, directory)) ?? []
  } catch (error) {
    passedOver(directory, error)
    return []
  }
  const read = yield* brieflyTogether(names, function* (name): Steps<NamedCursor | undefined> {
    const path = cursorPath(directory, name)
    try {
      const stored = yield* readCursor(fileSystem, path)
      return stored && { ...stored, name }
    } catch (error) {
      passedOver(path, error)
      return undefined
    }
  })
  return read.filter((each) => each !== undefined)
}

/** Where those of this log stand: what a truncation cut off is not missing. */
export function placeCursors(cursors: readonly NamedCursor[], { logId, live, firstOffset }: CursoredLog): PlacedCursor[] {
  return cursors.filter((each) => each.logId === logId).map((each) => ({ name: each.name, offset: standingOf(each, live, firstOffset).offset, segmentId: each.segmentId }))
}

/** What is wrong where cursors stand beyond the last entry; undefined: none does. */
export function beyondEnd(cursors: readonly PlacedCursor[], lastOffset: number): { readonly offset: number; readonly why: string } | undefined {
  let furthest: PlacedCursor | undefined
  let count = 0
  for (const each of cursors) {
    if (each.offset <= lastOffset) continue
    count++
    if (furthest === undefined || each.offset > furthest.offset) furthest = each
  }
  if (furthest === undefined) return undefined
  const { name, offset } = furthest
  const entries = offset - lastOffset === 1 ? '1 entry' : `${offset - lastOffset} entries`
  const others = count === 1 ? '' : count === 2 ? ', as is another one' : `, as are ${count - 1} others`
  const ends = lastOffset === 0 ? 'the log is empty' : `the log ends at entry ${lastOffset}`
  const why = `cursor '${name}' is ${entries} beyond the end${others}: it was committed at entry ${offset}, which proves that this one was on stable storage, and ${ends}`
  return { offset, why }
}
