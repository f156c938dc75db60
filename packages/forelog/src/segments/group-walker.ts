/**
 * Walks a segment of format 2 group by group, from any place where the chain is known.
 */
import type { Steps } from '../steps.js'
import { BodyCheck } from '../format/body-check.js'
import type { Commit } from '../format/control-record.js'
import { isSmallCommit, type ChainPosition, type Group, type GroupFailure, readGroup } from '../format/group.js'
import { recordKernel, type Stride, strideBytesMost } from '../format/kernel.js'
import { recordHeaderBytes } from '../format/record.js'
import type { FileWindow } from './file-window.js'

export type WalkResult =
  | { readonly found: 'group'; readonly group: Group; readonly position: number }
  /** The file ends here, between two records. */
  | { readonly found: 'end' }
  | GroupFailure

/** Bytes that are looked at for a stride at first, and where the last one found less than half of them. */
const strideBytesLeast = 4 * 1024
/** Behind a group of so many bytes that was passed over unread, the next one is expected to be as large: its commit is read alone. */
const passedOverBytes = 64 * 1024
const commitReadBytes = 8 * 1024
/** A larger group that is only to be verified is not loaded whole: what is read into the same memory again and again stays in the processor's. */
const loadedWholeBytes = 512 * 1024

export class GroupWalker {
  readonly window: FileWindow
  #position: number
  #expected: ChainPosition
  #strideBytes = strideBytesLeast
  #passedOver = false

  constructor(window: FileWindow, position: number, expected: ChainPosition) {
    this.window = window
    this.#position = position
    this.#expected = expected
  }

  /** Where the next group begins: behind all that was walked. */
  get position(): number {
    return this.#position
  }

  /** What the next group must fit. */
  get expected(): ChainPosition {
    return this.#expected
  }

  /** The next group, which is stepped over when it is whole. Without `verifyBody` its records are not looked at. */
  *next(verifyBody: boolean | ((group: Group) => boolean)): Steps<WalkResult> {
    for (;;) {
      const result = this.step(verifyBody)
      if (result.found !== 'more') return result
      if ((yield* this.window.load(this.#position, result.bytes, this.#passedOver ? commitReadBytes : undefined)) < result.bytes) return { found: 'nothing', why: 'the file became shorter while it was read' }
    }
  }

  /** The same, of what is loaded; `more`: so many bytes from `position` on must be. */
  step(verifyBody: boolean | ((group: Group) => boolean)): WalkResult | { readonly found: 'more'; readonly bytes: number } {
    const { window } = this
    const position = this.#position
    const left = window.left(position)
    if (left === 0) return { found: 'end' }
    const result = readGroup(window.bytes, window.indexOf(position), window.available(position), left, this.#expected, verifyBody)
    if (result.found !== 'group') return result
    this.#position = position + result.group.bytes
    this.#expected = result.group.next
    this.#passedOver = verifyBody === false && result.group.bytes >= passedOverBytes
    return { found: 'group', group: result.group, position }
  }

  /**
   * As `next(true)`, for who wants nothing of the group but to know that it is whole.
   *
   * @param wholeBytes larger ones are verified in pieces
   */
  *verified(wholeBytes: number = loadedWholeBytes): Steps<WalkResult> {
    const before = this.#expected
    const result = yield* this.next((group) => group.bytes <= wholeBytes)
    if (result.found !== 'group' || result.group.content.kind !== 'commit' || result.group.bytes <= wholeBytes) return result
    if (yield* this.#holds(result.group, result.group.content, result.position)) return result
    // Read as a whole it is told what is wrong.
    this.#position = result.position
    this.#expected = before
    return yield* this.next(true)
  }

  *#holds(group: Group, commit: Commit, position: number): Steps<boolean> {
    const { window } = this
    const check = new BodyCheck(commit)
    const end = position + group.bytes
    for (let from = position + group.frame.bytes; from < end; ) {
      const loaded = yield* window.load(from, Math.min(recordHeaderBytes, end - from))
      const at = window.indexOf(from)
      const taken = check.take(window.bytes, at, at + Math.min(loaded, end - from))
      if (taken === undefined || taken === 0) return false
      from += taken
    }
    return check.holds
  }

  /**
   * Steps over several small groups at once, of what is loaded; undefined: the next one is none of those, and `step` says what it is. The
   * records of those that reach beyond `from` are verified, and no group is taken that begins behind `last`.
   */
  stride(from: number, last: number): Stride | undefined {
    const { window } = this
    const position = this.#position
    const at = window.indexOf(position)
    const available = Math.min(window.available(position), this.#strideBytes)
    // Asked first: making the kernel takes a tenth of what opening a log costs that was closed.
    if (!isSmallCommit(window.bytes, at, available)) return undefined
    const kernel = recordKernel()
    if (kernel.walk === undefined) return undefined
    const { nextOffset, salt, previous } = this.#expected
    const stride = kernel.walk(window.bytes, at, available, { nextOffset, salt, previous, from, last })
    if (stride === undefined) return undefined
    this.#strideBytes = stride.bytes > available / 2 ? Math.min(this.#strideBytes * 2, strideBytesMost) : strideBytesLeast
    this.#position = position + stride.bytes
    this.#expected = { nextOffset: stride.nextOffset, salt, previous: stride.previous }
    return stride
  }
}
