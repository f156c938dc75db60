import type { WalError } from '../errors.js'
import type { StoredEntry } from '../reading/entry-reader.js'
import type { ReadOptions } from '../reading/entry-stream.js'
import type { FollowOptions } from '../reading/follow.js'
import type { GrowingLog } from '../reading/tail-reader.js'
import type { CursorFiles } from './cursor-directory.js'

/** The log, or the reader of one, that cursors go through. */
export interface CursorHost<out E> {
  readonly log: GrowingLog
  readonly files: CursorFiles
  follow(options: FollowOptions): AsyncIterable<StoredEntry<E>>
  entries(options: ReadOptions): AsyncIterable<StoredEntry<E>>
  /** Of a log that another process writes: finds out how far it is. */
  look(): Promise<void>
  /** Whether another process writes the log, and truncates it. */
  readonly isReader: boolean
  /** Where the log begins by its newest mark; a reader may know that before it has the proof of what stands in front of it. */
  readonly begins: number
  /** Told when the log may need less than before: a cursor has committed an offset, or is gone. */
  onCommit?(offset: number): void
  /** Of the log's writer: told of a failed sync of the log's own directory, from which it can't go on. */
  onFailure?(error: WalError): void
}
