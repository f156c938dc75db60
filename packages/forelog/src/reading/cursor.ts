import type { StoredEntry } from './entry-reader.js'

/** Options of `cursor`. */
export interface CursorOptions {
  /**
   * Whether the log keeps what this cursor still needs: `truncateBefore` stops in front of the entry behind the committed one, also
   * while nobody has the cursor open. Default: as the cursor is; true when it is made.
   */
  hold?: boolean
  /** Where a cursor that is not there yet begins. Default: the first entry of the log. One that is there stays where it is. */
  from?: number
  /** Whether iterating waits for more at the end of the log. Default true. */
  follow?: boolean
  /** As in `ReadOptions`. */
  copy?: boolean
  /** Ends iterating. */
  signal?: AbortSignal
}

/** Offsets from `first` to `last`, both inclusive. */
export interface OffsetRange {
  readonly first: number
  readonly last: number
}

/** Where a cursor stands. */
export interface CursorInfo {
  readonly name: string
  /** Newest offset that is committed; everything up to it is done. */
  readonly offset: number
  /** Durable entries behind it. */
  readonly lag: number
  readonly hold: boolean
  /** What it had committed and `truncateAfter` took away since; other entries may have these offsets by now. Until the next commit. */
  readonly cut: OffsetRange | undefined
  /** What was truncated in front before it came to it; only of a cursor that does not hold. */
  readonly lost: OffsetRange | undefined
}

/**
 * A named position in a log that survives crashes. Iterating begins behind what is committed, so an entry comes at least once, and
 * again when whoever handled it died before the commit.
 *
 * @example
 * ```ts
 * const cursor = await log.cursor('shipper')
 * for await (const { offset, entry } of cursor) {
 *   await ship(offset, entry)
 *   await cursor.commit(offset)
 * }
 * ```
 */
export interface Cursor<out E> extends CursorInfo, AsyncIterable<StoredEntry<E>>, AsyncDisposable {
  /**
   * Says, durably, that everything up to `offset` is done. Lower than what is committed: changes nothing. Several that wait share a write.
   *
   * Rejects with `ERR_WAL_OFFSET_OUT_OF_RANGE` beyond the durable entries, and where the entry was cut off since it was handed out;
   * `ERR_WAL_CLOSED`, `ERR_WAL_NO_SPACE`, `ERR_WAL_WRITE_FAILED`, `ERR_WAL_SYNC_FAILED`: then it may be committed or not, nothing
   * that was committed before is lost, and it can be tried again.
   */
  commit(offset: number): Promise<void>
  /** Goes on at the first entry that is there: commits what was lost as if it were done, and tells what that was. */
  skipLost(): Promise<OffsetRange | undefined>
  /** Ends iterating, waits for commits under way, and frees the name. Again: the same promise. */
  close(): Promise<void>
}
