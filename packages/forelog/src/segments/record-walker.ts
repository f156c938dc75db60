/**
 * Walks a segment of format 1 record by record, as the entry types frame them.
 */
import type { Steps } from '../steps.js'
import { crc32 } from '../format/checksum.js'
import { type FramedRecord, frameRecord, type FramingOf } from '../format/framed-record.js'
import { lowHalf, recordHeaderBytes } from '../format/record.js'
import type { FileWindow } from './file-window.js'

export type RecordResult =
  | { readonly found: 'record'; readonly record: FramedRecord; readonly position: number }
  /** The file ends here, between two records. */
  | { readonly found: 'end' }
  | { readonly found: 'nothing'; readonly why: string; /** The record, where it is framed and only does not fit. */ readonly record?: FramedRecord }

export class RecordWalker {
  readonly window: FileWindow
  readonly #framingOf: FramingOf
  #position: number
  #nextOffset: number | undefined

  /** @param nextOffset the offset that the next record must have; undefined: whatever the first one has */
  constructor(window: FileWindow, position: number, nextOffset: number | undefined, framingOf: FramingOf) {
    this.window = window
    this.#position = position
    this.#nextOffset = nextOffset
    this.#framingOf = framingOf
  }

  get position(): number {
    return this.#position
  }

  get nextOffset(): number | undefined {
    return this.#nextOffset
  }

  /** The next record, checked, and stepped over when it is whole and the next one. */
  *next(): Steps<RecordResult> {
    for (;;) {
      const result = this.step()
      if (result.found !== 'more') return result
      if ((yield* this.window.load(this.#position, result.bytes)) < result.bytes) return { found: 'nothing', why: 'the file became shorter while it was read' }
    }
  }

  /** The same, of what is loaded; `more`: so many bytes from `position` on must be. */
  step(): RecordResult | { readonly found: 'more'; readonly bytes: number } {
    const { window } = this
    const position = this.#position
    const left = window.left(position)
    if (left === 0) return { found: 'end' }
    const at = window.indexOf(position)
    const result = frameRecord(window.bytes, at, window.available(position), left, this.#framingOf)
    if (result.found !== 'record') return result
    const { record } = result
    if (this.#nextOffset !== undefined && record.lowOffset !== lowHalf(this.#nextOffset)) {
      return { found: 'nothing', why: `a record has the offset ${record.lowOffset} where ${this.#nextOffset} is next`, record }
    }
    if (record.lowOffset === 0) return { found: 'nothing', why: 'a record has the offset 0, and the first one is 1', record }
    const payload = at + recordHeaderBytes
    if (crc32(window.bytes, payload, payload + record.length) !== record.crc) {
      return { found: 'nothing', why: `the CRC of entry ${record.lowOffset} does not fit its payload`, record }
    }
    this.#position = position + recordHeaderBytes + record.length
    this.#nextOffset = record.lowOffset + 1
    return { found: 'record', record, position }
  }
}
