/**
 * The survey of a segment of format 2. Behind damage it goes on at the next control record of the segment that is whole in
 * itself: the salt tells where to look, and the record says which offset is next.
 */
import { claimedBytes, type ChainPosition, type GroupFailure, readGroup } from '../format/group.js'
import { type ControlContent, type ControlFrame, controlPrefixBytes, fromHex, readControlContent, readControlFrame, saltAt } from '../format/control-record.js'
import { findFlippedBit } from '../format/flipped-bit.js'
import { controlType, offsetFromLowHalf, readU32, recordHeaderBytes } from '../format/record.js'
import { nextWithSalt } from '../recovery/examine-newest.js'
import type { FileWindow } from '../segments/file-window.js'
import { GroupWalker, type WalkResult } from '../segments/group-walker.js'
import { lastNonZero } from '../segments/segment-cursor.js'
import type { Steps } from '../steps.js'
import { type Finding, firstNonZero, type FoundDamage, searchedBytes, searchesAtMost, type SegmentSurvey } from './survey.js'

/** A control record that claims more is not loaded to find out that its length is damaged. */
const controlRecordAtMost = 128 * 1024 * 1024

export class GroupSurvey implements SegmentSurvey {
  readonly #window: FileWindow
  #walker: GroupWalker
  #searches = 0
  #ended = false

  constructor(window: FileWindow, position: number, expected: ChainPosition) {
    this.#window = window
    this.#walker = new GroupWalker(window, position, expected)
  }

  get position(): number {
    return this.#walker.position
  }

  get nextOffset(): number {
    return this.#walker.expected.nextOffset
  }

  /** What the next record must fit. */
  get expected(): ChainPosition {
    return this.#walker.expected
  }

  *next(): Steps<Finding> {
    const window = this.#window
    const { position } = this.#walker
    if (this.#ended || window.left(position) === 0) return { kind: 'end' }
    const result = yield* this.#read()
    if (result.found === 'end') return { kind: 'end' }
    if (result.found !== 'group') {
      if ((yield* firstNonZero(window, position)) !== undefined) return yield* this.#damage(result)
      this.#ended = true
      return { kind: 'zeros', position, bytes: window.left(position) }
    }
    const { content, frame, bytes } = result.group
    if (content.kind !== 'commit') return { kind: 'control', position, bytes, content, crc: frame.crc }
    return {
      kind: 'entries',
      position,
      bytes,
      controlBytes: frame.bytes,
      firstOffset: content.firstOffset,
      lengths: content.lengths,
      source: window.bytes,
      at: window.indexOf(position + frame.bytes),
    }
  }

  *#read(): Steps<WalkResult> {
    const { position } = this.#walker
    if ((yield* this.#window.load(position, controlPrefixBytes)) >= controlPrefixBytes) {
      const at = this.#window.indexOf(position)
      const length = readU32(this.#window.bytes, at + recordHeaderBytes)
      if (this.#window.bytes[at + 4] === controlType && length > controlRecordAtMost) return { found: 'nothing', why: `a control record claims to have ${length} bytes` }
    }
    return yield* this.#walker.next(true)
  }

  *#damage(failure: GroupFailure): Steps<FoundDamage> {
    const window = this.#window
    const { position, expected } = this.#walker
    const damage = { kind: 'damage', position, firstOffset: expected.nextOffset, why: failure.why, unsupported: failure.found === 'unsupported', passable: failure.commit !== undefined, beyondFile: false } as const
    const { commit } = failure

    const mended = failure.found === 'nothing' ? yield* this.#searchBit(commit?.bytes) : undefined
    if (mended !== undefined) {
      this.#walker = new GroupWalker(window, position + mended.bytes, mended.next)
      return { ...damage, bytes: mended.bytes, nextOffset: mended.next.nextOffset, bit: { position: position + mended.byte, bit: mended.bit } }
    }
    if (commit !== undefined && commit.bytes <= window.left(position)) {
      this.#walker = new GroupWalker(window, position + commit.bytes, commit.next)
      return { ...damage, bytes: commit.bytes, nextOffset: commit.next.nextOffset }
    }
    const found = yield* findControlRecord(window, position + 1, expected)
    if (found !== undefined) {
      this.#walker = new GroupWalker(window, found.position, found.expected)
      return { ...damage, bytes: found.position - position, nextOffset: found.expected.nextOffset }
    }
    const last = yield* lastNonZero(window, position)
    yield* window.load(position, controlPrefixBytes)
    const claimed = claimedBytes(window.bytes.subarray(window.indexOf(position), window.indexOf(position) + window.available(position))) ?? 0
    const bytes = Math.max(last + 1 - position, Math.min(window.left(position), claimed))
    // Nothing but zeros is left.
    this.#walker = new GroupWalker(window, position + bytes, expected)
    return { ...damage, bytes, nextOffset: undefined, beyondFile: claimed > window.left(position) }
  }

  *#searchBit(groupBytes: number | undefined): Steps<{ byte: number; bit: number; bytes: number; next: ChainPosition } | undefined> {
    const window = this.#window
    const { position, expected } = this.#walker
    const wanted = Math.min(window.left(position), groupBytes ?? searchedBytes)
    if (this.#searches >= searchesAtMost || wanted > searchedBytes) return undefined
    this.#searches++
    const loaded = Math.min(wanted, yield* window.load(position, wanted))
    const at = window.indexOf(position)
    const tail = window.bytes.subarray(at, at + loaded)
    const place = findFlippedBit(tail, expected)
    if (place === undefined) return undefined
    const flip = (): void => {
      tail[place.byte] = (tail[place.byte] as number) ^ (1 << place.bit)
    }
    flip()
    const result = readGroup(tail, 0, loaded, loaded, expected, true)
    flip()
    return result.found === 'group' ? { byte: place.byte, bit: place.bit, bytes: result.group.bytes, next: result.group.next } : undefined
  }
}

/** The next control record with this salt that is whole in itself, and what a record in its place must fit. */
export function* findControlRecord(
  window: FileWindow,
  from: number,
  before: ChainPosition,
): Steps<{ readonly position: number; readonly expected: ChainPosition } | undefined> {
  const salt = fromHex(before.salt)
  for (let record = yield* nextWithSalt(window, from, salt); record !== undefined; record = yield* nextWithSalt(window, record + saltAt + 1, salt)) {
    const expected = record >= from ? yield* positionOf(window, record, before) : undefined
    if (expected !== undefined) return { position: record, expected }
  }
  return undefined
}

function* positionOf(window: FileWindow, record: number, before: ChainPosition): Steps<ChainPosition | undefined> {
  for (;;) {
    const at = window.indexOf(record)
    const framed = readControlFrame(window.bytes, at, window.available(record), window.left(record))
    if (framed.found === 'more') {
      if (framed.bytes > controlRecordAtMost || (yield* window.load(record, framed.bytes)) < framed.bytes) return undefined
      continue
    }
    if (framed.found !== 'frame' || framed.frame.salt !== before.salt) return undefined
    const read = readControlContent(window.bytes, at, framed.frame)
    if (read.found !== 'content') return undefined
    const nextOffset = nextOffsetOf(read.content, framed.frame, before.nextOffset)
    if (nextOffset === undefined || nextOffset < before.nextOffset) return undefined
    return { nextOffset, salt: before.salt, previous: framed.frame.previous }
  }
}

/** The offset that was next when a control record was written. */
function nextOffsetOf(content: ControlContent, frame: ControlFrame, floor: number): number | undefined {
  switch (content.kind) {
    case 'commit':
      return content.firstOffset
    case 'close':
      return content.lastOffset + 1
    case 'segmentHeader':
      return undefined
    default:
      return offsetFromLowHalf(frame.lowOffset, floor)
  }
}
