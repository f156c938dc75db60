/**
 * What looking at a log gives: plain data, which `JSON.stringify` takes as it is.
 */
import type { LockState } from '../files/file-system.js'
import type { Format } from '../format/record.js'

/**
 * `'entries'` and `'control'` are whole records. `'zeros'`: filled ahead. `'damage'`: can't be read, and should be.
 * `'torn'`: what opening would cut off. `'dead'`: no longer part of the log. `'unread'`: not looked at.
 */
export type RangeKind = 'entries' | 'control' | 'zeros' | 'damage' | 'torn' | 'dead' | 'unread'

/** Bytes of a segment file, from `from` up to, and without, `to`. */
export interface SegmentRange {
  readonly kind: RangeKind
  readonly from: number
  readonly to: number
}

/** One segment file. */
export interface SegmentReport {
  readonly name: string
  readonly path: string
  readonly id: number
  /** Size of the file. */
  readonly bytes: number
  /** Of its first entry, or of the one that would be its first. */
  readonly firstOffset: number
  /** `firstOffset - 1` when it holds no entry that is part of the log. */
  readonly lastOffset: number
  /** Entries that were found whole and are part of the log. */
  readonly entries: number
  /** `'active'`: the newest. `'dead'`: nothing refers to it, opening removes it. `'stray'`: opening refuses because of it. */
  readonly state: 'active' | 'closed' | 'dead' | 'stray'
  /** When it was begun, ISO 8601; unknown in format 1. */
  readonly created?: string
  /** All of the file, in order. Where there would be more than `maxRanges`, neighbours are joined, and called what most of their bytes are. */
  readonly ranges: readonly SegmentRange[]
}

/** The entries of one type that are part of the log. */
export interface TypeReport {
  readonly type: number
  readonly entries: number
  /** Payload bytes, of all, of the smallest and of the largest. */
  readonly bytes: number
  readonly smallest: number
  readonly largest: number
}

/**
 * `'record'`: records that can't be read. `'header'`: a segment's first record. `'end'`: a segment ends too soon, without a close record,
 * or, the newest one, below what cursors were committed at.
 * `'chain'`: a segment doesn't continue the one before. `'missing'`: a segment, or entries between two, are missing.
 * `'stray'`: a file that belongs to no log, or to another one. `'unreadable'`: the system can't read the file. `'unsupported'`:
 * of a later version of the format.
 */
export type FaultKind = 'record' | 'header' | 'end' | 'chain' | 'missing' | 'stray' | 'unreadable' | 'unsupported'

/** Something that is not as it must be. */
export interface Fault {
  readonly kind: FaultKind
  readonly path: string
  readonly segmentId?: number
  /** The first byte that can't be read, and how many. */
  readonly position: number
  readonly bytes: number
  /** The entries that it concerns, as far as they are known. */
  readonly firstOffset?: number
  readonly lastOffset?: number
  /** What is wrong there. */
  readonly why: string
  /** What that means for the data. */
  readonly meaning: string
  /** The one bit whose change makes it whole: `repair` can mend it, and nothing is lost. */
  readonly bit?: { readonly position: number; readonly bit: number }
  /** A segment header as it was, in hexadecimal digits, where the records around it prove it: `repair` can write it again, and nothing is lost. */
  readonly header?: string
}

/** Where the log ends, and what opening it would do there. */
export interface EndReport {
  readonly path: string
  readonly position: number
  /** Of the table of opening in docs/FORMAT.md. */
  readonly row: string
  /** `'wait'`: the tail fails, but a writer is at work: it is being written, and no damage. */
  readonly action: 'resume' | 'cut' | 'refuse' | 'wait'
  /** Bytes that would be cut off. */
  readonly tornBytes: number
  /** What would be cut off can't be told from damage to entries that nothing proves acknowledged. */
  readonly ambiguous: boolean
  /** Whole entries among what would be cut off: nothing proves that they were acknowledged. */
  readonly wholeEntriesBehind: number
  /** The newest segment was closed because it was full, and none follows: its writer died right then, or a newer segment is missing. */
  readonly full?: true
  readonly why?: string
}

/**
 * `'none'`: no log is there. `'sound'`: every byte that was looked at is as it must be. `'torn'`: so it is, in front of a tail that a crash
 * leaves half written: opening cuts it off. `'undecided'`: the same, but the tail may be damage instead, or a newer segment be missing (`full` in
 * {@link EndReport}). `'damaged'`: opening or reading
 * fails. `'unsupported'`: of a later version of the format. `'unread'`: format 1, without the entries to read it.
 */
export type Outcome = 'none' | 'sound' | 'torn' | 'undecided' | 'damaged' | 'unsupported' | 'unread'

/** What `verify` found. */
export interface VerifyReport {
  readonly directory: string
  readonly outcome: Outcome
  readonly format?: Format
  /** Hexadecimal digits; format 2 has one. */
  readonly logId?: string
  /** The first and the last entry that are part of the log, as opening it would have them. */
  readonly firstOffset: number
  readonly lastOffset: number
  /** Entries that were found whole between those two. */
  readonly entries: number
  /** Size of all segment files. */
  readonly bytes: number
  /** Whether it ends with a clean shutdown. Format 1 can't tell: there it means that nothing would be cut. */
  readonly clean: boolean
  readonly segments: readonly SegmentReport[]
  readonly types: readonly TypeReport[]
  /** In the order of the log, the first one first; at most `maxFaults`. */
  readonly faults: readonly Fault[]
  /** How many there are in all. */
  readonly faultCount: number
  /** Entries that can be read behind the first fault. */
  readonly entriesBehindFirstFault: number
  readonly end?: EndReport
  /** Who has it open for writing. */
  readonly writer: LockState
  /** Segments that were being created when their writer died: opening removes them. */
  readonly temporaries: readonly string[]
  /** Copies of what was cut off earlier, in `quarantine/`. */
  readonly quarantined: readonly { readonly name: string; readonly bytes: number }[]
}

/** How far a long walk is. */
export interface Progress {
  /** Bytes that were looked at, of how many. */
  readonly bytes: number
  readonly totalBytes: number
  /** The file that is read. */
  readonly path: string
}
