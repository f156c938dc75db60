/**
 * Walks a segment of format 2 group by group, from any place where the chain is known.
 */
import type { Steps } from '../steps.js'
import { isSmallCommit, type ChainPosition, type Group, type GroupFailure, readGroup } from '../format/group.js'
import { recordKernel, type Stride, strideBytesMost } from '../format/kernel.js'
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
   * Steps over several small groups at once, of what is loaded; undefined: the next one is none of those, and `step` says what it is. The
   * records of those that reach beyond `from` are verified, and no group is taken that begins behind `last`.
   */
  stride(from: number, last: number): Stride | undefined {
    const kernel = recordKernel()
    const { window } = this
    const position = this.#position
    const at = window.indexOf(position)
    const available = Math.min(window.available(position), this.#strideBytes)
    if (kernel.walk === undefined || !isSmallCommit(window.bytes, at, available)) return undefined
    const { nextOffset, salt, previous } = this.#expected
    const stride = kernel.walk(window.bytes, at, available, { nextOffset, salt, previous, from, last })
    if (stride === undefined) return undefined
    this.#strideBytes = stride.bytes > available / 2 ? Math.min(this.#strideBytes * 2, strideBytesMost) : strideBytesLeast
    this.#position = position + stride.bytes
    this.#expected = { nextOffset: stride.nextOffset, salt, previous: stride.previous }
    return stride
  }
}
