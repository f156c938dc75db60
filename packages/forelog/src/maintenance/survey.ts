/**
 * Walks a segment from one end to the other, and past whatever is damaged on the way: what tools need that look at a log, and
 * what the log itself never does.
 *
 * The walk is pulled: whoever surveys takes one finding after the other, so nothing piles up, whatever the size of the file.
 */
import type { ControlContent } from '../format/control-record.js'
import type { Lengths } from '../format/kernel.js'
import type { FileWindow } from '../segments/file-window.js'
import type { Steps } from '../steps.js'

/** Entries that stand one behind the other, found and checked. */
export interface FoundEntries {
  readonly kind: 'entries'
  readonly position: number
  readonly bytes: number
  /** Of the control record in front, within `bytes`. */
  readonly controlBytes: number
  readonly firstOffset: number
  /** Payload bytes of each record. */
  readonly lengths: Lengths
  /** Holds the records, the first one's header at `at`, until the next finding. */
  readonly source: Uint8Array
  readonly at: number
}

export interface FoundControl {
  readonly kind: 'control'
  readonly position: number
  readonly bytes: number
  readonly content: ControlContent
  /** CRC field of the record: what the next one names. */
  readonly crc: number
}

export interface FoundZeros {
  readonly kind: 'zeros'
  readonly position: number
  readonly bytes: number
}

export interface FoundDamage {
  readonly kind: 'damage'
  readonly position: number
  readonly bytes: number
  /** The first entry that may be among what can't be read, and the first one that can be again; undefined: none can. */
  readonly firstOffset: number
  readonly nextOffset: number | undefined
  readonly why: string
  /** The one bit whose change makes it whole. */
  readonly bit?: { readonly position: number; readonly bit: number }
  /** Whole, but of a later version of the format. */
  readonly unsupported: boolean
  /** The control record in front is whole, so that whoever does not want these entries passes them over unharmed. */
  readonly passable: boolean
  /** What is missing is the end of the file: nothing but this is wrong with what is there. */
  readonly beyondFile: boolean
}

export type Finding = FoundEntries | FoundControl | FoundZeros | FoundDamage | { readonly kind: 'end' }

export interface SegmentSurvey {
  next(): Steps<Finding>
  /** Offset of the next entry, as far as the walk knows. */
  readonly nextOffset: number
  readonly position: number
}

/** Places in a segment that are searched for one flipped bit, at the most; more than a few are no single bits. */
export const searchesAtMost = 64
/** What is held in memory to find a bit, or the next whole record of format 1. */
export const searchedBytes: number = 32 * 1024 * 1024

/** The position of the first byte that is not zero; undefined: there is none. */
export function* firstNonZero(window: FileWindow, from: number): Steps<number | undefined> {
  for (let position = from; window.left(position) > 0; ) {
    const loaded = yield* window.load(position, 1)
    if (loaded === 0) return undefined
    const at = window.indexOf(position)
    for (let index = at; index < at + loaded; index++) if (window.bytes[index] !== 0) return position + index - at
    position += loaded
  }
  return undefined
}
