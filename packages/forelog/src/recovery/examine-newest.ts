/**
 * Walks the newest segment of a log of format 2 to find where it ends, and gathers what the decision table asks about that
 * place. Changes nothing.
 */
import type { Steps } from '../steps.js'
import { type Close, closeBytes, controlPrefixBytes, fromHex, kinds, readControlFrame, saltAt, saltBytes, type SegmentHeader, segmentHeaderBytes } from '../format/control-record.js'
import { findFlippedBit } from '../format/flipped-bit.js'
import { type ChainPosition, claimedBytes, type GroupFailure } from '../format/group.js'
import { numbersPerGroup } from '../format/kernel.js'
import { durableOffsetOf, voucherAt } from '../format/vouchers.js'
import type { FileWindow } from '../segments/file-window.js'
import { GroupWalker } from '../segments/group-walker.js'
import { lastNonZero } from '../segments/segment-cursor.js'
import type { FailingGroup } from './decide.js'
import { hasZeroSector, sectorReachBytes, sectorWasWritten } from './sectors.js'

/** Somewhere between two groups. */
export interface Place {
  readonly position: number
  /** What the group there must fit. */
  readonly expected: ChainPosition
}

/** What the records up to a place say. */
export interface Walked extends Place {
  readonly lowWaterMark: number
  /** The close record that ends right there. */
  readonly close: Close | undefined
  /** The end of the last group that is proven durable; undefined: none is. */
  readonly proven: Place | undefined
  readonly entries: number
}

export interface NewestSegment {
  /** Up to T. */
  readonly end: Walked
  /** What stands at T; undefined: only zeros, or nothing. */
  readonly failing: FailingGroup | undefined
  /** Bytes from T to the end of the failing group, as far as the file has it, or to the last byte that is not zero. */
  readonly tailBytes: number
  /** Bytes that were read to find out. */
  readonly bytesExamined: number
}

/** The search for one flipped bit holds the group in memory: one that claims to be larger is not searched. */
const mendableBytes = 128 * 1024 * 1024
/** No control record is shorter: header, length, and what stands in all kinds up to `previous`. */
const leastControlBytes = saltAt + saltBytes + 4

export function* examineNewest(window: FileWindow, header: SegmentHeader, expected: ChainPosition): Steps<NewestSegment> {
  const start: Walked = {
    position: segmentHeaderBytes,
    expected,
    lowWaterMark: header.lowWaterMark,
    close: undefined,
    proven: undefined,
    entries: 0,
  }
  // A clean shutdown cuts the file behind its close record. One that ends with something else is verified at once, all of it: what
  // is passed over below would mostly have to be read a second time.
  const straight = (yield* endsLikeClose(window)) ? undefined : yield* walk(window, start, true)
  if (straight !== undefined && (yield* lastNonZero(window, straight.end.position)) < straight.end.position) {
    return { end: straight.end, failing: undefined, tailBytes: 0, bytesExamined: window.fileBytes }
  }
  // From commit to commit, without a look at the bodies: what stands in front of a close record was synced before that was written,
  // and is verified by whoever reads it.
  const hopped = yield* walk(window, start, false)
  const hopClosed = hopped.end.close !== undefined && (yield* lastNonZero(window, hopped.end.position)) < hopped.end.position
  if (hopClosed) return { end: hopped.end, failing: undefined, tailBytes: 0, bytesExamined: hopped.end.position }

  // Behind the last close record every byte counts.
  const isBehindClose = straight !== undefined && (hopped.lastClosed?.position ?? 0) <= straight.end.position
  const { end, failure } = isBehindClose ? straight : yield* walk(window, hopped.lastClosed ?? start, true)
  const last = yield* lastNonZero(window, end.position)
  if (last < end.position) return { end, failing: undefined, tailBytes: 0, bytesExamined: window.fileBytes }
  const beginning = yield* beginningOf(window, end.position)
  // What the group claims of the file belongs to it, zeros included; what is only filled ahead behind it does not.
  const tailBytes = Math.max(last + 1 - end.position, Math.min(window.left(end.position), claimedBytes(beginning) ?? controlPrefixBytes))
  return { end, failing: yield* examineFailure(window, end, tailBytes, failure), tailBytes, bytesExamined: window.fileBytes }
}

/** Whether the last bytes of the file look like a close record: a payload may, too, so that proves nothing. */
function* endsLikeClose(window: FileWindow): Steps<boolean> {
  const at = window.fileBytes - closeBytes
  if (at < segmentHeaderBytes || (yield* window.load(at, closeBytes)) < closeBytes) return false
  const result = readControlFrame(window.bytes, window.indexOf(at), closeBytes, closeBytes)
  return result.found === 'frame' && result.frame.kind === kinds.close
}

/** The first bytes at a place, as many as tell what a group claims to be. */
function* beginningOf(window: FileWindow, position: number): Steps<Uint8Array> {
  const loaded = yield* window.load(position, segmentHeaderBytes)
  return window.bytes.subarray(window.indexOf(position), window.indexOf(position) + loaded)
}

interface WalkEnd {
  readonly end: Walked
  /** The same behind the last close record that was passed. */
  readonly lastClosed: Walked | undefined
  readonly failure: GroupFailure | undefined
}

function* walk(window: FileWindow, from: Walked, verifyBodies: boolean): Steps<WalkEnd> {
  const walker = new GroupWalker(window, from.position, from.expected)
  let { lowWaterMark, close, proven, entries } = from
  let lastClosed: Walked | undefined
  /** Ends of groups that nothing has proven durable yet. */
  let unproven: Place[] = []
  /** What is durable, by a record that was passed, up to an offset. */
  const prove = (durableOffset: number): void => {
    const stillUnproven = unproven.findIndex(({ expected }) => expected.nextOffset > durableOffset + 1)
    const count = stillUnproven < 0 ? unproven.length : stillUnproven
    proven = unproven[count - 1] ?? proven
    if (count > 0) unproven = unproven.slice(count)
  }
  for (;;) {
    const { position, expected } = walker
    const stride = walker.stride(verifyBodies ? 0 : Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)
    if (stride !== undefined) {
      const { groups } = stride
      let { nextOffset } = expected
      for (let at = 0; at < groups.length; at += numbersPerGroup) {
        prove((groups[at + 3] as number) * 2 ** 32 + (groups[at + 4] as number))
        nextOffset += groups[at + 2] as number
        const isLast = at + numbersPerGroup === groups.length
        unproven.push({
          position: isLast ? walker.position : position + (groups[at + numbersPerGroup] as number),
          expected: isLast ? walker.expected : { nextOffset, salt: expected.salt, previous: groups[at + numbersPerGroup + 1] as number },
        })
      }
      entries += nextOffset - expected.nextOffset
      close = undefined
      continue
    }
    const result = verifyBodies ? yield* walker.verified() : yield* walker.next(false)
    if (result.found !== 'group') {
      const end = { position: walker.position, expected: walker.expected, lowWaterMark, close, proven, entries }
      return { end, lastClosed, failure: result.found === 'end' ? undefined : result }
    }
    const { content, next } = result.group
    if (content.kind === 'lowWaterMark') lowWaterMark = Math.max(lowWaterMark, content.firstWanted)
    close = content.kind === 'close' ? content : undefined
    const durableOffset = durableOffsetOf(content)
    if (durableOffset !== undefined) prove(durableOffset)
    if (content.kind === 'commit') {
      unproven.push({ position: walker.position, expected: next })
      entries += content.lengths.length
    }
    if (close !== undefined) lastClosed = { position: walker.position, expected: walker.expected, lowWaterMark, close, proven, entries }
  }
}

function* examineFailure(window: FileWindow, end: Walked, tailBytes: number, failure: GroupFailure | undefined): Steps<FailingGroup> {
  const at = end.position
  // A walk that came to the end of the file has nothing behind it, so there is a failure where there is a tail.
  const why = failure?.why ?? 'it ends within a record'
  if (failure !== undefined && failure.found !== 'nothing') return { why, whole: failure.found, withinFile: true, hasZeroSector: false }

  const commit = failure?.commit
  const searchFrom = at + (commit?.bytes ?? 1)
  const voucher = yield* findVoucher(window, searchFrom, end.expected)
  if (voucher?.unsupported === true) {
    return { why: `${why}, and a record of a later version of the format stands behind it, at byte ${voucher.position}`, whole: 'unsupported', withinFile: true, hasZeroSector: false }
  }
  const left = window.left(at)
  // To the end of the last sector of the group: what stands behind it there tells whether that sector was written.
  const wanted = Math.min(left, commit === undefined ? mendableBytes : commit.bytes + sectorReachBytes, mendableBytes)
  const loaded = Math.min(wanted, yield* window.load(at, wanted))
  const tail = window.bytes.subarray(window.indexOf(at), window.indexOf(at) + loaded)
  const mended = findFlippedBit(tail, end.expected)
  // Where not even its length can be read, it ends within the file only if the least one would.
  const groupBytes = mended?.groupBytes ?? commit?.bytes ?? claimedBytes(tail) ?? Math.max(tailBytes, leastControlBytes)
  return {
    why,
    ...(voucher === undefined ? {} : { voucher: voucher.position }),
    ...(mended === undefined
      ? {}
      : { flippedBit: { position: at + mended.byte, bit: mended.bit, sectorWasWritten: sectorWasWritten(tail, at, mended) } }),
    withinFile: groupBytes <= left,
    hasZeroSector: hasZeroSector(tail, at, Math.min(groupBytes, tail.length)),
  }
}

interface FoundVoucher {
  readonly position: number
  /** Of a later version of the format: what it vouches for can't be told. */
  readonly unsupported: boolean
}

/** Where the next record with a salt would begin, whose salt stands at or behind a place; undefined: there is none. */
export function* nextWithSalt(window: FileWindow, from: number, salt: Uint8Array): Steps<number | undefined> {
  for (let position = from; window.left(position) >= salt.length; ) {
    const loaded = yield* window.load(position, salt.length)
    if (loaded < salt.length) return undefined
    const at = window.indexOf(position)
    const found = Buffer.from(window.bytes.buffer, window.bytes.byteOffset + at, loaded).indexOf(salt)
    if (found >= 0) return position + found - saltAt
    // A salt may begin in the last bytes and go on behind them.
    position += Math.max(1, loaded - salt.length + 1)
  }
  return undefined
}

/** The first voucher at or behind a place. */
export function* findVoucher(window: FileWindow, from: number, expected: ChainPosition): Steps<FoundVoucher | undefined> {
  const salt = fromHex(expected.salt)
  for (let record = yield* nextWithSalt(window, from, salt); record !== undefined; record = yield* nextWithSalt(window, record + saltAt + 1, salt)) {
    const verdict = record >= from ? yield* readVoucher(window, record, expected) : 'none'
    if (verdict !== 'none') return { position: record, unsupported: verdict === 'unsupported' }
  }
  return undefined
}

function* readVoucher(window: FileWindow, record: number, expected: ChainPosition): Steps<'voucher' | 'unsupported' | 'none'> {
  for (;;) {
    const result = voucherAt(window.bytes, window.indexOf(record), window.available(record), window.left(record), expected.salt, expected.nextOffset)
    if (result.found !== 'more') return result.found
    if ((yield* window.load(record, result.bytes)) < result.bytes) return 'none'
  }
}
