/**
 * What a log tells whoever listens, through `node:diagnostics_channel`. Where nobody does, it costs a look at a flag.
 *
 *     forelog:append     a group was acknowledged       AppendMessage
 *     forelog:sync       a sync came back               SyncMessage
 *     forelog:roll       a new segment was begun        RollMessage
 *     forelog:recover    a log was opened               RecoverMessage
 *     forelog:truncate   entries were taken away        TruncateMessage
 *     forelog:fail       a log has failed               FailMessage
 *
 * Messages are published synchronously: a subscriber that takes long holds the log up.
 */
import { type Channel, channel } from 'node:diagnostics_channel'
import type { WalError } from './errors.js'

/** On `forelog:append`: the appends of one group, which shared a write, were acknowledged. */
export interface AppendMessage {
  /** The log's directory. */
  readonly path: string
  /** Offsets of the group. */
  readonly first: number
  readonly last: number
  /** Payloads and record headers. */
  readonly bytes: number
  /** Whether they are on stable storage: always under `sync: 'always'`. */
  readonly durable: boolean
  /** From taking the group to its acknowledgement, in milliseconds. */
  readonly durationMs: number
}

/** On `forelog:sync`. */
export interface SyncMessage {
  readonly path: string
  /** All up to it is on stable storage. */
  readonly durableOffset: number
  /** Milliseconds; with the write, where one call did both. */
  readonly durationMs: number
}

/** On `forelog:roll`. */
export interface RollMessage {
  readonly path: string
  /** Files. */
  readonly closed: string
  readonly opened: string
  /** Offset that the new segment begins with. */
  readonly firstOffset: number
}

/** On `forelog:recover`: every opening, also the one of a log that was closed in good order. */
export interface RecoverMessage {
  readonly path: string
  readonly format: 1 | 2
  readonly firstOffset: number
  readonly lastOffset: number
  /** As in `log.recovery`. */
  readonly clean: boolean
  readonly tornBytes: number
  readonly ambiguous: boolean
  readonly quarantined: readonly string[]
  readonly durationMs: number
}

/** On `forelog:truncate`. */
export interface TruncateMessage {
  readonly path: string
  /** Where entries were taken away. */
  readonly side: 'front' | 'back'
  /** By a call of `truncateBefore` or `truncateAfter`, or by the limits of `retention`. */
  readonly reason: 'call' | 'retention'
  /** What the log holds now. */
  readonly firstOffset: number
  readonly lastOffset: number
  /** Segment files that were removed. */
  readonly removedSegments: number
}

/** On `forelog:fail`: a write or a sync failed, and the log takes nothing any more. */
export interface FailMessage {
  readonly path: string
  readonly error: WalError
}

/** What is told on which channel: `ChannelMessages['forelog:sync']`. */
export interface ChannelMessages {
  readonly 'forelog:append': AppendMessage
  readonly 'forelog:sync': SyncMessage
  readonly 'forelog:roll': RollMessage
  readonly 'forelog:recover': RecoverMessage
  readonly 'forelog:truncate': TruncateMessage
  readonly 'forelog:fail': FailMessage
}

export const channels: Readonly<Record<'append' | 'sync' | 'roll' | 'recover' | 'truncate' | 'fail', Channel>> = {
  append: channel('forelog:append'),
  sync: channel('forelog:sync'),
  roll: channel('forelog:roll'),
  recover: channel('forelog:recover'),
  truncate: channel('forelog:truncate'),
  fail: channel('forelog:fail'),
}
