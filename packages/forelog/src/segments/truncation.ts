/**
 * Takes entries away. At the front: a low-water mark first, then the files that nothing below it needs. Behind: a new segment that
 * says where the log ends, then the files that are dead by that. Format 1 can only cut files, and remove them.
 */
import { isNoSpace, reasonOf, WalError } from '../errors.js'
import { DurableFile, removeFile, syncDirectory } from '../files/durable-file.js'
import type { FramingOf } from '../format/framed-record.js'
import type { Steps } from '../steps.js'
import { FileWindow } from './file-window.js'
import { RecordWalker } from './record-walker.js'
import { damage } from './segment-cursor.js'
import type { Segment, SegmentSet } from './segment-set.js'
import type { SegmentWriter } from './segment-writer.js'

/** Makes `offset` the first one that is wanted, durably, and removes what that frees. */
export function* truncateFront(segments: SegmentSet, writer: SegmentWriter, offset: number): Steps<void> {
  if (segments.format === 2) {
    return yield* removeDead(segments, yield* freeFront(segments, writer, offset))
  }
  const count = countBelow(segments, writer, offset)
  // What stays is all that says which offset is next: it must be there for good before anything goes.
  if (count > 0) yield* writer.sync()
  yield* removeOneByOne(segments, count)
}

/** Format 2: makes `offset` the first one that is wanted, durably; the segments that are dead then, whose files are still there. */
export function* freeFront(segments: SegmentSet, writer: SegmentWriter, offset: number): Steps<readonly Segment[]> {
  const freed = segments.live.slice(0, countBelow(segments, writer, offset))
  try {
    yield* writer.writeLowWaterMark(offset)
    segments.dropOldest(freed.length)
  } catch (error) {
    if (!isNoSpace(error) || freed.length === 0) throw error
    // A full disk has no room for the mark. What goes away anyway makes it: the names stay, so that whoever dies here leaves a
    // log that begins behind the last emptied segment.
    yield* emptyOldest(segments, freed)
    yield* writer.writeLowWaterMark(offset)
  }
  // The mark is durable: from here on nothing refers to these, and the next opening removes what this one can't.
  segments.leaveDead(freed)
  return freed
}

/**
 * Removes the files of dead segments, in any order. Has nothing to do with the writer, which may go on meanwhile. One that can't be removed stays
 * dead, so that whoever empties segments later begins with it. That is told behind a sync of the names that are gone: none of those may come back, with
 * its bytes, in front of one that was emptied.
 */
export function* removeDead(segments: SegmentSet, dead: readonly Segment[]): Steps<void> {
  if (dead.length === 0) return
  let failure: Error | undefined
  for (const segment of dead) {
    try {
      yield* removeFile(segments.fileSystem, segment.path)
      segments.forgetDead(segment)
    } catch (error) {
      // A lack of space is the least that can be wrong.
      if (failure === undefined || isNoSpace(failure)) failure = error as Error
    }
  }
  yield* syncDirectory(segments.fileSystem, segments.directory)
  yield* segments.closeUnused()
  if (failure !== undefined) throw failure
}

/** How many segments hold nothing that is wanted from `offset` on. The newest never goes. */
function countBelow(segments: SegmentSet, writer: SegmentWriter, offset: number): number {
  const count = segments.indexOf(offset)
  if (segments.format === 2) return count
  // Format 1 has no other memory of its offsets than its entries: the newest segment that holds one stays.
  const lastOffset = writer.nextOffset - 1
  const newestWithEntries = segments.live.findLastIndex((segment, index) => segments.lastOffsetOf(index, lastOffset) >= segment.firstOffset)
  return Math.max(0, Math.min(count, newestWithEntries))
}

/** Format 1 is read by consecutive names, so no name may outlive a newer one: each removal is durable before the next. */
function* removeOneByOne(segments: SegmentSet, count: number): Steps<void> {
  for (let removed = 0; removed < count; removed++) {
    const [oldest] = segments.dropOldest(1) as readonly [Segment]
    try {
      yield* removeFile(segments.fileSystem, oldest.path)
    } catch (error) {
      // It is still there, and no newer one may go before it: the next opening would find a gap.
      segments.returnOldest(oldest)
      throw error
    }
    yield* syncDirectory(segments.fileSystem, segments.directory)
  }
  yield* segments.closeUnused()
}

/** Empties the oldest live segments. Each is the log's no more before it is touched, and again where it can't be emptied: who reads is never shown an empty one. */
function* emptyOldest(segments: SegmentSet, oldest: readonly Segment[]): Steps<void> {
  // Oldest first, the dead ones that could not be removed among them: an empty file behind one that is not is taken for damage.
  const dead = new Set(segments.dead.filter(({ id }) => id < (oldest.at(-1)?.id ?? 0)))
  for (const segment of [...oldest, ...dead].sort((a, b) => a.id - b.id)) {
    if (!dead.has(segment)) segments.dropOldest(1)
    try {
      yield* empty(segments, segment)
    } catch (error) {
      if (!dead.has(segment)) segments.returnOldest(segment)
      throw error
    }
  }
}

function* empty({ fileSystem }: SegmentSet, { path }: Segment): Steps<void> {
  const file = yield* DurableFile.open(fileSystem, path, { access: 'write' })
  try {
    yield* file.truncate(0)
    yield* file.sync()
  } finally {
    yield* file.close()
  }
}

/** Removes the entries behind `offset`, durably; how many segments that freed, and why some of them are still there, if so. */
export function* truncateBack(segments: SegmentSet, writer: SegmentWriter, offset: number, framingOf: FramingOf): Steps<{ removed: number; left?: WalError }> {
  if (segments.format === 1) return { removed: yield* cutFiles(segments, writer, offset, framingOf) }
  const dead = yield* writer.cutByNewSegment(offset)
  // The log ends at the cut, whatever happens now: what is not removed here, the next opening removes.
  segments.leaveDead(dead)
  try {
    yield* removeDead(segments, dead)
  } catch (error) {
    if (!(error instanceof WalError) || !isNoSpace(error)) throw error
    return { removed: 0, left: error }
  } finally {
    yield* writer.tidyUp()
  }
  return { removed: dead.length }
}

/** Format 1: newest first, each removal durable before the next, so that a crash leaves an end between the old one and the cut. */
function* cutFiles(segments: SegmentSet, writer: SegmentWriter, offset: number, framingOf: FramingOf): Steps<number> {
  const index = offset === 0 ? 0 : segments.indexOf(offset)
  const holder = segments.live[index] as Segment
  const position = offset === 0 ? 0 : yield* endOfEntry(segments, holder, offset, framingOf)
  // In the file that is written to, the writer's own descriptor is used; any other file must be opened before the first removal.
  const reopened = holder === segments.newest ? undefined : yield* DurableFile.open(segments.fileSystem, holder.path, { access: 'write' })
  const file = reopened ?? writer.file
  const removed = writer.forgetAfter(offset, index + 1)
  try {
    for (const { path } of [...removed].reverse()) {
      yield* removeFile(segments.fileSystem, path)
      yield* syncDirectory(segments.fileSystem, segments.directory)
    }
    yield* file.truncate(position)
    yield* file.sync()
  } catch (error) {
    if (reopened !== undefined) yield* reopened.close()
    // Part of it may be done, so even a lack of space is no failure to go on from.
    if (!isNoSpace(error)) throw error
    throw new WalError('ERR_WAL_WRITE_FAILED', `the log in ${segments.directory} could be cut in part only: ${reasonOf(error)}. Close the log and open it again`, {
      path: segments.directory,
      offset,
      cause: error,
    })
  }
  writer.resumeAt(position, reopened)
  yield* writer.tidyUp()
  return removed.length
}

/** Format 1: where an entry ends in its file. */
function* endOfEntry(segments: SegmentSet, segment: Segment, offset: number, framingOf: FramingOf): Steps<number> {
  const place = segment.index.placeFor(offset)
  const file = yield* segments.acquire(segment)
  try {
    const walker = new RecordWalker(new FileWindow(file, segment.bytes), place?.position ?? 0, place?.offset ?? segment.firstOffset, framingOf)
    while ((walker.nextOffset as number) <= offset) {
      const result = yield* walker.next()
      if (result.found === 'record') continue
      throw damage(segment, walker.position, walker.nextOffset, result.found === 'end' ? 'it ends before an entry that the log holds' : result.why)
    }
    return walker.position
  } finally {
    yield* segments.release(segment)
  }
}
