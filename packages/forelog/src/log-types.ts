/**
 * Types to pass a log around by: as a whole, or as what can only be read.
 */
import type { AppendableOf, EntryOf, EntrySource } from './entries/define-entries.js'
import type { WriteAheadLog } from './write-ahead-log.js'

/** Types a log by its entries: `LogOf<typeof entries>`. */
export type LogOf<S extends EntrySource> = WriteAheadLog<AppendableOf<S>, EntryOf<S>>

/**
 * Any log, whatever its entries: for what looks at logs and appends nothing, metrics for example. What it reads is `unknown`. Any reading half is
 * `LogReader<unknown>`.
 */
export type AnyLog = WriteAheadLog<never, unknown>

export type { LogReader } from './reading/log-reader.js'
