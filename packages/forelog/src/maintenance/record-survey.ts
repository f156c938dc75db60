/**
 * The survey of a segment of format 1. Behind damage it goes on at the next record that is whole and whose offset lies ahead; nothing
 * marks where one begins, so each byte is tried.
 */
import type { FramingOf } from '../format/framed-record.js'
import { readU32, recordHeaderBytes } from '../format/record.js'
import { findFlippedBit, wholeRecord } from '../recovery/recover-format1.js'
import type { FileWindow } from '../segments/file-window.js'
import { RecordWalker } from '../segments/record-walker.js'
import { lastNonZero } from '../segments/segment-cursor.js'
import type { Steps } from '../steps.js'
import { type Finding, firstNonZero, type FoundDamage, searchedBytes, searchesAtMost, type SegmentSurvey } from './survey.js'

const recordsPerFinding = 4096

export class RecordSurvey implements SegmentSurvey {
  readonly #window: FileWindow
  readonly #framingOf: FramingOf
  #walker: RecordWalker
  #searches = 0
  #ended = false

  constructor(window: FileWindow, position: number, nextOffset: number, framingOf: FramingOf) {
    this.#window = window
    this.#framingOf = framingOf
    this.#walker = new RecordWalker(window, position, nextOffset, framingOf)
  }

  get position(): number {
    return this.#walker.position
  }

  get nextOffset(): number {
    return this.#walker.nextOffset as number
  }

  *next(): Steps<Finding> {
    const window = this.#window
    const walker = this.#walker
    const { position } = walker
    const firstOffset = this.nextOffset
    const lengths: number[] = []
    while (!this.#ended) {
      const result = walker.step()
      if (result.found === 'record') {
        lengths.push(result.record.length)
        if (lengths.length < recordsPerFinding) continue
      }
      // Before anything is loaded, which moves the window on, what was found is handed out.
      if (lengths.length > 0) {
        return { kind: 'entries', position, bytes: walker.position - position, controlBytes: 0, firstOffset, lengths, source: window.bytes, at: window.indexOf(position) }
      }
      if (result.found === 'end') break
      if (result.found === 'more') {
        if ((yield* window.load(position, result.bytes)) >= result.bytes) continue
        return yield* this.#damage('the file became shorter while it was read')
      }
      if ((yield* firstNonZero(window, position)) === undefined) {
        this.#ended = true
        return { kind: 'zeros', position, bytes: window.left(position) }
      }
      return yield* this.#damage(result.found === 'nothing' ? result.why : '')
    }
    return { kind: 'end' }
  }

  *#damage(why: string): Steps<FoundDamage> {
    const window = this.#window
    const { position } = this.#walker
    const firstOffset = this.nextOffset
    const damage = { kind: 'damage', position, firstOffset, why, unsupported: false, passable: false, beyondFile: why.includes('end of the file') || why.includes('file ends') } as const
    const wanted = Math.min(window.left(position), searchedBytes)
    const loaded = Math.min(wanted, yield* window.load(position, wanted))
    const at = window.indexOf(position)
    const tail = window.bytes.subarray(at, at + loaded)
    const mended = this.#searches++ < searchesAtMost ? findFlippedBit(tail, firstOffset, this.#framingOf) : undefined
    if (mended !== undefined) {
      this.#goOn(position + mended.recordBytes, firstOffset + 1)
      return { ...damage, bytes: mended.recordBytes, nextOffset: firstOffset + 1, bit: { position: position + mended.byte, bit: mended.bit } }
    }
    for (let index = 1; index <= tail.length - recordHeaderBytes; index++) {
      const low = readU32(tail, index)
      // An offset ahead that can lie in these bytes: each record in between takes a header at the least.
      if (low < firstOffset || low > firstOffset + tail.length / recordHeaderBytes || wholeRecord(tail, index, low, this.#framingOf) === undefined) continue
      this.#goOn(position + index, low)
      return { ...damage, bytes: index, nextOffset: low }
    }
    const last = yield* lastNonZero(window, position)
    this.#goOn(last + 1, firstOffset)
    return { ...damage, bytes: last + 1 - position, nextOffset: undefined }
  }

  #goOn(position: number, nextOffset: number): void {
    this.#walker = new RecordWalker(this.#window, position, nextOffset, this.#framingOf)
  }
}
