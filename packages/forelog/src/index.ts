/// <reference types="node" preserve="true" />
/**
 * forelog: a write-ahead log for Node.js. Entries are on stable storage before `append` resolves, and come back in order
 * after any crash.
 *
 * @packageDocumentation
 * @module forelog
 */
export type { CommitMode } from './commit/inline-policy.js'
export type { SyncMode } from './commit/sync-policy.js'
export { bytes, type Codec, json, type SchemaInput, type SchemaOutput, type StandardSchema, type StandardSchemaIssue, utf8, validated } from './entries/codecs.js'
export {
  type AppendableOf,
  type DefinedEntries,
  type DefinedEntry,
  type DefinedSource,
  type Definition,
  defineEntries,
  type EntryFactory,
  type EntryOf,
  type EntrySource,
} from './entries/define-entries.js'
export type { Entry, PayloadReader, RawEntry } from './entries/entry.js'
export { type EntryConstructor, EntryRegistry } from './entries/entry-registry.js'
export type { RawSource } from './entries/raw-entries.js'
export type { AppendMessage, ChannelMessages, FailMessage, RecoverMessage, RollMessage, SyncMessage, TruncateMessage } from './diagnostics.js'
export { errorCodes, type LockHolder, WalError, type WalErrorCode, type WalErrorFacts } from './errors.js'
export type { DirectoryWatch, FileLock, FileSystem, LockState, OpenFile, OpenFileOptions } from './files/file-system.js'
export { nodeFileSystem } from './files/node-file-system.js'
export type { Format } from './format/record.js'
export type { Logger } from './logger.js'
export type { ReaderOptions } from './log-reader.js'
export type { AnyLog, LogOf, LogReader } from './log-types.js'
export { convert, type ConvertOptions, type ConvertResult } from './maintenance/convert.js'
export { planRepair, type PlanRepairOptions, repair, type RepairOptions, type RepairResult } from './maintenance/repair.js'
export type { Keep, Loss, RepairAction, RepairChoice, RepairPlan } from './maintenance/repair-plan.js'
export type {
  EndReport,
  Fault,
  FaultKind,
  Outcome,
  Progress,
  RangeKind,
  SegmentRange,
  SegmentReport,
  TypeReport,
  VerifyReport,
} from './maintenance/report.js'
export { salvage, type SalvagedEntry, type SalvageOptions } from './maintenance/salvage.js'
export { verify, type VerifyOptions } from './maintenance/verify.js'
export type { OpenOptions, RetentionOptions } from './options.js'
export type { Cursor, CursorInfo, CursorOptions, OffsetRange } from './reading/cursor.js'
export type { StoredEntry } from './reading/entry-reader.js'
export type { EntryStream, ReadOptions } from './reading/entry-stream.js'
export type { FollowOptions } from './reading/follow.js'
export type { RecoveryReport } from './recovery/recovered-log.js'
export type { RetentionResult } from './retention/plan-retention.js'
export { SegmentReader } from './segments/segment-reader.js'
export type { SegmentInfo } from './segments/segment-set.js'
export type { WritableOptions } from './streams/entry-writable.js'
export type { Histogram, LogStats, RetentionStats } from './stats.js'
export { type AppendedBatch, type LogState, WriteAheadLog } from './write-ahead-log.js'
