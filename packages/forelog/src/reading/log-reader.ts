import type { Cursor, CursorInfo, CursorOptions } from './cursor.js'
import type { StoredEntry } from './entry-reader.js'
import type { EntryStream, ReadOptions } from './entry-stream.js'
import type { FollowOptions } from './follow.js'
import type { SegmentInfo } from '../segments/segment-set.js'

/** The reading half of a log; every `WriteAheadLog` is one, and `WriteAheadLog.openReader` gives one of a log that another process writes. */
export interface LogReader<out E> extends AsyncDisposable {
  /** First entry that is wanted. */
  readonly firstOffset: number
  /** Newest entry; `firstOffset - 1` in an empty log. */
  readonly lastOffset: number
  /** Newest entry on stable storage. */
  readonly durableOffset: number
  get(offset: number): Promise<StoredEntry<E>>
  entries(options?: ReadOptions): EntryStream<E>
  entriesSync(options?: Pick<ReadOptions, 'from' | 'to' | 'copy'>): Iterable<StoredEntry<E>>
  follow(options?: FollowOptions): AsyncIterable<StoredEntry<E>>
  /** See `WriteAheadLog.cursor`. */
  cursor(name: string, options?: CursorOptions): Promise<Cursor<E>>
  cursors(): Promise<CursorInfo[]>
  deleteCursor(name: string): Promise<boolean>
  segments(): readonly SegmentInfo[]
  close(): Promise<void>
}
