/**
 * The live segments of a log, oldest first: which file holds an offset, and where in it to begin to look.
 */
import { remedyOf, systemCode, WalError } from '../errors.js'
import { type DurableFile as File, DurableFile } from '../files/durable-file.js'
import type { FileSystem } from '../files/file-system.js'
import type { Steps } from '../steps.js'
import type { Format } from '../format/record.js'
import { BriefReads } from './brief-reads.js'
import { IndexBudget, lastOf, SegmentIndex } from './segment-index.js'
import { pathIn, segmentName } from './segment-name.js'

export interface Segment {
  readonly id: number
  readonly path: string
  /** Offset of its first entry, or of the one that would be its first. */
  readonly firstOffset: number
  /** Bytes of records: what is only filled ahead does not count. The writer of the newest one counts on. */
  bytes: number
  /** When its file was made, in ms since 1970 by the clock of then: all in the segments before it is older. Format 1 doesn't say. */
  readonly createdMs: number | undefined
  readonly index: SegmentIndex
}

/** What callers see of a segment. */
export interface SegmentInfo {
  readonly id: number
  readonly path: string
  readonly firstOffset: number
  /** `firstOffset - 1` when it holds no entry. */
  readonly lastOffset: number
  /** Bytes of records, without what is only filled ahead. */
  readonly bytes: number
  readonly state: 'active' | 'closed'
  /** When it was begun, in milliseconds since 1970, by the clock of then. Not in format 1, whose files don't say. */
  readonly createdMs?: number
}

export function makeSegment(directory: string, format: Format, id: number, firstOffset: number, bytes: number, createdMs?: number): Segment {
  return { id, path: pathIn(directory, segmentName(format, id, firstOffset)), firstOffset, bytes, createdMs, index: new SegmentIndex() }
}

/** Files of closed segments that stay open for the next read. */
const idleFilesAtMost = 8

interface OpenSegment {
  readonly file: File
  users: number
}

export class SegmentSet {
  readonly directory: string
  readonly format: Format
  readonly fileSystem: FileSystem
  /** How quick it is to read the files. */
  readonly brief: BriefReads = new BriefReads()
  /** As hexadecimal digits; none in format 1. Cursors tell by it that they belong to this log. */
  logId = ''
  #live: Segment[]
  readonly #indexes = new IndexBudget()
  /** Cuts behind, the oldest first, each lower than those after it: what of them matters to who read before. */
  readonly #cuts: { readonly number: number; readonly offset: number }[] = []
  #cutCount = 0
  readonly #dead = new Set<Segment>()
  readonly #open = new Map<Segment, OpenSegment>()
  #closed = false

  constructor(fileSystem: FileSystem, directory: string, format: Format, live: readonly Segment[]) {
    this.fileSystem = fileSystem
    this.directory = directory
    this.format = format
    this.#live = [...live]
  }

  get live(): readonly Segment[] {
    return this.#live
  }

  get newest(): Segment {
    return this.#live.at(-1) as Segment
  }

  add(segment: Segment): void {
    // What was written through to here is noted in the index, too.
    const written = this.#live.at(-1)
    if (written !== undefined) this.#indexes.used(written.index)
    this.#live.push(segment)
  }

  /** Of a log that another process writes: what is live now. */
  replace(live: readonly Segment[]): void {
    const kept = new Set(live)
    for (const segment of this.#live) if (!kept.has(segment)) this.#indexes.forget(segment.index)
    this.#live = [...live]
  }

  /** The segment that holds an offset: the newest one that begins at or below it. */
  indexOf(offset: number): number {
    return Math.max(0, lastOf(this.#live.length, (index) => (this.#live[index] as Segment).firstOffset <= offset))
  }

  /** Where a segment stands among the live ones; -1: it is none of them. */
  placeOf(segment: Segment): number {
    // Segments without an entry begin where the next one does.
    let index = this.indexOf(segment.firstOffset)
    while (index > 0 && this.#live[index] !== segment && this.#live[index]?.firstOffset === segment.firstOffset) index--
    return this.#live[index] === segment ? index : -1
  }

  /** The last offset of a segment: the next one begins behind it. */
  lastOffsetOf(index: number, lastOffset: number): number {
    const next = this.#live[index + 1]
    return next === undefined ? lastOffset : next.firstOffset - 1
  }

  /** Takes out the first `count` segments; the caller removes their files. */
  dropOldest(count: number): readonly Segment[] {
    const dropped = this.#live.splice(0, count)
    for (const { index } of dropped) this.#indexes.forget(index)
    return dropped
  }

  /** Puts back what was taken out last, and could not be removed. */
  returnOldest(segment: Segment): void {
    this.#live.unshift(segment)
  }

  /** How many times the log was cut behind: for `lowestCutSince`. */
  get cutCount(): number {
    return this.#cutCount
  }

  /**
   * Ends the log at `offset`: takes out all segments but the first `kept`, which the caller removes, and adds the new one, if the cut
   * made one. Whoever stands behind the cut is told by `lowestCutSince`.
   */
  cutAfter(offset: number, kept: number, opened: Segment | undefined): readonly Segment[] {
    const dead = this.#live.splice(kept)
    for (const { index } of dead) this.#indexes.forget(index)
    if (opened !== undefined) this.#live.push(opened)
    this.noteCut(offset)
    return dead
  }

  /** Segments that are no part of the log any more, and whose files could not be removed: the next opening does that. */
  get dead(): readonly Segment[] {
    return [...this.#dead]
  }

  leaveDead(dead: readonly Segment[]): void {
    for (const segment of dead) this.#dead.add(segment)
  }

  /** Its file is removed. */
  forgetDead(removed: Segment): void {
    this.#dead.delete(removed)
  }

  /** Remembers that entries behind `offset` were taken away: what has their offsets from now on is something else. */
  noteCut(offset: number): void {
    while ((this.#cuts.at(-1)?.offset ?? -1) >= offset) this.#cuts.pop()
    this.#cuts.push({ number: ++this.#cutCount, offset })
  }

  /** The lowest offset that the log was cut after since there were `count` cuts; `Infinity`: it was not. */
  lowestCutSince(count: number): number {
    if (count === this.#cutCount) return Infinity
    return this.#cuts.find(({ number }) => number > count)?.offset ?? Infinity
  }

  /** What callers see; entries below `firstOffset` are counted out. */
  infos(firstOffset: number, lastOffset: number): SegmentInfo[] {
    return this.#live.map((segment, index) => {
      const last = this.lastOffsetOf(index, lastOffset)
      return {
        id: segment.id,
        path: segment.path,
        firstOffset: Math.min(Math.max(segment.firstOffset, firstOffset), last + 1),
        lastOffset: last,
        bytes: segment.bytes,
        state: segment === this.newest ? 'active' : 'closed',
        ...(segment.createdMs !== undefined && { createdMs: segment.createdMs }),
      }
    })
  }

  /** A segment's file, for reading; to be given back with `release`. */
  *acquire(segment: Segment): Steps<File> {
    const held = this.#open.get(segment)
    if (held !== undefined) {
      held.users++
      return held.file
    }
    const file = yield* this.#openFile(segment)
    // Another reader may have opened it in the meantime: one of the two is enough.
    const rival = this.#open.get(segment)
    if (rival !== undefined) {
      rival.users++
      yield* file.close()
      return rival.file
    }
    this.#open.set(segment, { file, users: 1 })
    return file
  }

  *#openFile(segment: Segment): Steps<File> {
    try {
      return yield* DurableFile.open(this.fileSystem, segment.path, { access: 'read' })
    } catch (error) {
      if (systemCode((error as WalError).cause) !== 'ENOENT') throw error
      throw new WalError(
        'ERR_WAL_SEGMENT_MISSING',
        `${segment.path}, which holds entries from ${segment.firstOffset} on, is gone${remedyOf('ERR_WAL_SEGMENT_MISSING')}`,
        { path: segment.path, segmentId: segment.id, offset: segment.firstOffset, cause: error },
      )
    }
  }

  *release(segment: Segment): Steps<void> {
    const held = this.#open.get(segment)
    if (held === undefined) return
    this.#indexes.used(segment.index)
    held.users--
    yield* this.#closeIdle(this.#closed ? 0 : idleFilesAtMost)
  }

  /** Closes files of segments that are gone. */
  *closeUnused(): Steps<void> {
    yield* this.#closeIdle(idleFilesAtMost)
  }

  /** Closes what nobody reads, now and from now on. */
  *close(): Steps<void> {
    this.#closed = true
    yield* this.#closeIdle(0)
  }

  *#closeIdle(atMost: number): Steps<void> {
    // Asked after each read, and nearly always there is nothing to do.
    let idleCount = 0
    let isAnyGone = false
    for (const [segment, { users }] of this.#open) {
      if (users > 0) continue
      idleCount++
      if (this.placeOf(segment) < 0) isAnyGone = true
    }
    if (idleCount <= atMost && !isAnyGone) return
    const idle = [...this.#open].filter(([, held]) => held.users === 0)
    const oldest = idle.slice(0, Math.max(0, idle.length - atMost))
    const gone = idle.filter(([segment]) => this.placeOf(segment) < 0)
    for (const [segment, held] of new Set([...oldest, ...gone])) {
      this.#open.delete(segment)
      try {
        yield* held.file.close()
      } catch {
        // It was only read: what its close says changes nothing, and the others are to be closed as well.
      }
    }
  }
}
