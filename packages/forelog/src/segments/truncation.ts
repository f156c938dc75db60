/**
 * Takes entries away at the front of a log: a low-water mark first, then the files that nothing below it needs.
 */
import { isNoSpace } from '../errors.js'
import { DurableFile, removeFile, syncDirectory } from '../files/durable-file.js'
import type { Steps } from '../steps.js'
import type { Segment, SegmentSet } from './segment-set.js'
import type { SegmentWriter } from './segment-writer.js'

/** Makes `offset` the first one that is wanted, durably; how many segments that freed. */
export function* truncateFront(segments: SegmentSet, writer: SegmentWriter, offset: number): Steps<number> {
  const count = countBelow(segments, writer, offset)
  if (segments.format === 1) return yield* removeOneByOne(segments, count)
  let removed: readonly Segment[] = []
  try {
    yield* writer.writeLowWaterMark(offset)
  } catch (error) {
    if (!isNoSpace(error) || count === 0) throw error
    // A full disk has no room for the mark. What goes away anyway makes it: the names stay, so that whoever dies here leaves a
    // log that begins behind the last emptied segment.
    yield* emptyOldest(segments, count)
    removed = segments.dropOldest(count)
    yield* writer.writeLowWaterMark(offset)
  }
  // The mark is durable: from here on nothing refers to these, and the next opening removes what this one can't.
  if (removed.length === 0) removed = segments.dropOldest(count)
  for (const { path } of removed) yield* removeFile(segments.fileSystem, path)
  if (removed.length > 0) yield* syncDirectory(segments.fileSystem, segments.directory)
  yield* segments.closeUnused()
  return removed.length
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
function* removeOneByOne(segments: SegmentSet, count: number): Steps<number> {
  for (let removed = 0; removed < count; removed++) {
    const [oldest] = segments.dropOldest(1) as readonly [Segment]
    yield* removeFile(segments.fileSystem, oldest.path)
    yield* syncDirectory(segments.fileSystem, segments.directory)
  }
  yield* segments.closeUnused()
  return count
}

function* emptyOldest(segments: SegmentSet, count: number): Steps<void> {
  for (const { path } of segments.live.slice(0, count)) {
    const file = yield* DurableFile.open(segments.fileSystem, path, { access: 'write' })
    try {
      yield* file.truncate(0)
      yield* file.sync()
    } finally {
      yield* file.close()
    }
  }
}
