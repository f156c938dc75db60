/**
 * `salvage`: the entries of a log, whatever its state. Changes nothing and takes no lock.
 */
import type { EntrySource } from '../entries/define-entries.js'
import type { RawSource } from '../entries/raw-entries.js'
import { WalError } from '../errors.js'
import type { FileSystem } from '../files/file-system.js'
import { recordHeaderBytes } from '../format/record.js'
import { checkNames } from '../options.js'
import { runPooled, type Steps } from '../steps.js'
import { type LogFinding, LogWalk } from './log-walk.js'
import { missingText, outlineLog } from './outline.js'
import type { Fault } from './report.js'
import type { FoundEntries } from './survey.js'
import { lookAt, throwIfAborted } from './verify.js'

/** Options of {@link salvage}. */
export interface SalvageOptions<S extends EntrySource = RawSource> {
  /** What the log holds. Only format 1 needs it, to find where payloads end; payloads are handed out as they are stored. */
  entries?: S
  /** First and last offset that are wanted. Default: all of the log. */
  from?: number
  to?: number
  /** Whether payloads are the caller's own (default). `false` gives views, which is faster: they are valid until the next step. */
  copy?: boolean
  /** Told of each place that is passed over, in its place in the order. Without it, the first one ends the iteration with `ERR_WAL_CORRUPT`. */
  onFault?: (fault: Fault) => void
  signal?: AbortSignal
  fileSystem?: FileSystem
}

/** An entry as it is stored. */
export interface SalvagedEntry {
  readonly offset: number
  readonly type: number
  /** The caller's own, unless `copy` is false. */
  readonly payload: Uint8Array
  /** Where its record begins. */
  readonly path: string
  readonly position: number
}

const optionNames = { entries: true, from: true, to: true, copy: true, onFault: true, signal: true, fileSystem: true } as const

/**
 * Every entry that can be read, in order, whether the log is whole, torn or damaged, and without its entry types (format 2). What can't be
 * read is told to `onFault` and passed over. A group that is damaged in part is passed over whole: it was applied whole or not at all. What
 * opening would cut off at the end is not handed out.
 *
 * For tools and emergencies: the log itself never skips damage. Beside a writer it hands out the whole records that it finds; they need not be
 * on stable storage yet. Rejects with `ERR_WAL_CORRUPT` (without `onFault`), `ERR_WAL_OPTION`, `ERR_WAL_ABORTED`, `ERR_WAL_READ_FAILED`.
 *
 * @example
 * ```ts
 * for await (const { offset, type, payload } of salvage('./data/orders', { onFault: (fault) => console.error(fault.meaning) })) keep(offset, type, payload)
 * ```
 */
export async function* salvage<S extends EntrySource = RawSource>(directory: string | URL, options: SalvageOptions<S> = {}): AsyncGenerator<SalvagedEntry, void, undefined> {
  checkNames('salvage', options, optionNames)
  const { from = 0, to = Number.MAX_SAFE_INTEGER, copy = true, onFault, signal } = options
  for (const [option, value] of Object.entries({ from, to })) {
    if (!Number.isSafeInteger(value) || value < 0) throw new WalError('ERR_WAL_OPTION', `option ${option} is ${String(value)}, and must be an offset`, { option })
  }
  if (typeof copy !== 'boolean') throw new WalError('ERR_WAL_OPTION', `option copy is ${String(copy)}, and must be true or false`, { option: 'copy' })
  const { request, adapter, writer } = await lookAt(directory, options)
  const outline = await runPooled(outlineLog(request, adapter, writer.held))
  if (outline === undefined) return
  if (outline.format === 1 && adapter.unfitForFormat1 !== undefined) throw new WalError('ERR_WAL_OPTION', `option entries does not fit a log of format 1: ${adapter.unfitForFormat1}`, { option: 'entries', path: request.directory })
  const tell = (fault: Fault): void => {
    if (onFault === undefined) throw errorOf(fault)
    onFault(fault)
  }
  // Which entries are missing in front of a segment is known when the walk comes there.
  const missing = new Map(outline.faults.filter(({ kind }) => kind === 'missing').map((fault) => [fault.path, fault]))
  for (const fault of outline.faults) if (fault.kind !== 'missing') tell(fault)
  const first = Math.max(from, outline.firstOffset)
  const walk = new LogWalk(request, adapter, outline, writer.held === true, first)
  let path = ''
  let last: number | undefined
  try {
    for (;;) {
      throwIfAborted(signal)
      const finding = await runPooled(nextOfNote(walk))
      if (finding.kind === 'end') return
      if (finding.kind === 'segment') {
        path = finding.segment.path
        const fault = missing.get(path)
        if (fault !== undefined && finding.segment.firstOffset <= to) tell(narrowed(fault, last, finding.segment.firstOffset))
      } else if (finding.kind === 'fault') tell(finding.fault)
      else if (finding.kind === 'entries') {
        if (finding.firstOffset > to) return
        last = finding.firstOffset + finding.lengths.length - 1
        // Its own loop, no yield*: that makes a promise more for each entry.
        for (const entry of entriesOf(finding, first, to, copy, path)) yield entry
      }
    }
  } finally {
    await runPooled(walk.close())
  }
}

/** By the last entry in front of them, if there is one. */
function narrowed(fault: Fault, last: number | undefined, next: number): Fault {
  return last === undefined || last >= next - 1 ? fault : { ...fault, firstOffset: last + 1, lastOffset: next - 1, meaning: missingText(last + 1, next - 1) }
}

/** The next finding that is not passed over. */
function* nextOfNote(walk: LogWalk): Steps<LogFinding> {
  for (;;) {
    const finding = yield* walk.next()
    if (finding.kind !== 'control' && finding.kind !== 'zeros') return finding
  }
}

function* entriesOf(found: FoundEntries, from: number, to: number, copy: boolean, path: string): Generator<SalvagedEntry> {
  const { firstOffset, lengths, source, at, position, controlBytes } = found
  let header = at
  for (let index = 0; index < lengths.length; index++) {
    const length = lengths[index] as number
    const start = header + recordHeaderBytes
    const end = start + length
    const offset = firstOffset + index
    if (offset > to) return
    if (offset >= from) {
      yield { offset, type: source[header + 4] as number, payload: copy ? source.slice(start, end) : source.subarray(start, end), path, position: position + controlBytes + header - at }
    }
    header = end
  }
}

function errorOf(fault: Fault): WalError {
  const { path, position, segmentId, firstOffset } = fault
  const code = fault.kind === 'unsupported' ? 'ERR_WAL_FORMAT' : fault.kind === 'unreadable' ? 'ERR_WAL_READ_FAILED' : 'ERR_WAL_CORRUPT'
  return new WalError(code, `${path} at byte ${position}: ${fault.why}. ${fault.meaning}`, {
    path,
    position,
    ...(segmentId === undefined ? {} : { segmentId }),
    ...(firstOffset === undefined ? {} : { offset: firstOffset }),
  })
}
