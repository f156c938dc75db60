/**
 * Types to pass a log around by: as a whole, or as what can only be read.
 */
import type { AppendableOf, EntryOf, EntrySource } from './entries/define-entries.js'
import type { StoredEntry } from './reading/entry-reader.js'
import type { EntryStream, ReadOptions } from './reading/entry-stream.js'
import type { FollowOptions } from './reading/follow.js'
import type { SegmentInfo } from './segments/segment-set.js'
import type { WriteAheadLog } from './write-ahead-log.js'

/** The reading half of a log; every {@link WriteAheadLog} is one. */
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
  segments(): readonly SegmentInfo[]
  close(): Promise<void>
}

/** Types a log by its entries: `LogOf<typeof entries>`. */
export type LogOf<S extends EntrySource> = WriteAheadLog<AppendableOf<S>, EntryOf<S>>
