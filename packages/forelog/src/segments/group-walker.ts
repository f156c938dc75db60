/**
 * Walks a segment of format 2 group by group, from any place where the chain is known.
 */
import type { Steps } from '../steps.js'
import { type ChainPosition, type Group, type GroupFailure, readGroup } from '../format/group.js'
import type { FileWindow } from './file-window.js'

export type WalkResult =
  | { readonly found: 'group'; readonly group: Group; readonly position: number }
  /** The file ends here, between two records. */
  | { readonly found: 'end' }
  | GroupFailure

export class GroupWalker {
  readonly window: FileWindow
  #position: number
  #expected: ChainPosition

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
      if ((yield* this.window.load(this.#position, result.bytes)) < result.bytes) return { found: 'nothing', why: 'the file became shorter while it was read' }
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
    return { found: 'group', group: result.group, position }
  }
}
