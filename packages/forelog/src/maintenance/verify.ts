/**
 * `verify`: every byte of a log, and what is wrong with which. Changes nothing and takes no lock.
 */
import { join } from 'node:path'
import type { EntrySource } from '../entries/define-entries.js'
import type { EntryAdapter } from '../entries/entry.js'
import { adapterFor } from '../entries/entry-adapter.js'
import type { RawSource } from '../entries/raw-entries.js'
import { systemCode, WalError } from '../errors.js'
import { DurableFile, listDirectory } from '../files/durable-file.js'
import type { FileSystem, LockState } from '../files/file-system.js'
import { nodeFileSystem } from '../files/node-file-system.js'
import { recordHeaderBytes } from '../format/record.js'
import { checkNames, resolveDirectory } from '../options.js'
import type { LookRequest } from '../recovery/recovered-log.js'
import { lockName, quarantineName } from '../segments/segment-name.js'
import { runPooled, type Steps } from '../steps.js'
import { faultOfMissingEnd, type LogFinding, LogWalk } from './log-walk.js'
import { missingText, type Outline, type OutlinedEnd, outlineLog, type OutlinedSegment } from './outline.js'
import type { EndReport, Fault, Outcome, Progress, SegmentReport, TypeReport, VerifyReport } from './report.js'
import { SegmentMap } from './segment-map.js'
import type { FoundEntries } from './survey.js'

/** Options of {@link verify}. */
export interface VerifyOptions<S extends EntrySource = RawSource> {
  /** What the log holds. Only format 1 needs it: without, such a log is not read, and the outcome is `'unread'`. */
  entries?: S
  /**
   * `'everything'` (default) reads every byte. `'structure'`: names, headers and the end alone, as opening does: the same time for a log of
   * 10 MB and of 10 GB; ranges are `'unread'`, entries and types are not counted.
   */
  scope?: 'everything' | 'structure'
  /** Faults that are reported at the most; all are counted. Default 100. */
  maxFaults?: number
  /** Ranges of a segment's map at the most. Default 512. */
  maxRanges?: number
  /** Told about once for each MiB. */
  onProgress?: (progress: Progress) => void
  /** Ends it with `ERR_WAL_ABORTED`. */
  signal?: AbortSignal
  fileSystem?: FileSystem
}

const optionNames = { entries: true, scope: true, maxFaults: true, maxRanges: true, onProgress: true, signal: true, fileSystem: true } as const
const progressBytes = 1024 * 1024
const quarantinedAtMost = 1000

/**
 * Reads a log from its first to its last byte and tells what it is: each segment with a map, the entries by type, whether it ended well,
 * what is damaged and what that means, and what opening it would do about its end. Changes nothing, takes no lock, and works beside a writer; the
 * memory it takes does not grow with the log.
 *
 * Damage is a result and no error: it rejects with `ERR_WAL_OPTION`, `ERR_WAL_ABORTED`, and with `ERR_WAL_READ_FAILED` when the directory can't be
 * listed.
 *
 * @example
 * ```ts
 * const report = await verify('./data/orders')
 * for (const fault of report.faults) console.error(`${fault.path} at byte ${fault.position}: ${fault.why}. ${fault.meaning}`)
 * if (report.outcome === 'damaged') process.exitCode = 1
 * ```
 */
export async function verify<S extends EntrySource = RawSource>(directory: string | URL, options: VerifyOptions<S> = {}): Promise<VerifyReport> {
  checkNames('verify', options, optionNames)
  return (await examineLog(directory, options)).report
}

/** What `verify` found, and what it went by. */
export interface Examined {
  readonly report: VerifyReport
  readonly outline: Outline | undefined
}

/** @param unwritten whoever calls holds the lock, so nobody writes */
export async function examineLog(directory: string | URL, options: VerifyOptions<EntrySource>, unwritten = false): Promise<Examined> {
  const { scope = 'everything', maxFaults = 100, maxRanges = 512, onProgress, signal } = options
  if (scope !== 'everything' && scope !== 'structure') throw new WalError('ERR_WAL_OPTION', "option scope must be 'everything' or 'structure'", { option: 'scope' })
  checkCount('maxFaults', maxFaults)
  checkCount('maxRanges', maxRanges)
  const { request, adapter, writer: found } = await lookAt(directory, options)
  const writer = unwritten ? { held: false, holder: {} } : found
  const outline = await runPooled(outlineLog(request, adapter, writer.held))
  const tally = new Tally(maxFaults, maxRanges, outline)
  if (outline !== undefined) {
    if (scope === 'everything') await walkAll(new LogWalk(request, adapter, outline, writer.held === true), tally, onProgress, signal)
    else tally.addUnread(outline)
  }
  const quarantined = await runPooled(listQuarantine(request))
  return { report: tally.report(request.directory, writer, quarantined, adapter), outline }
}

/** Where to look, with what, and whether somebody writes there. */
export async function lookAt(
  directory: string | URL,
  options: { readonly entries?: EntrySource; readonly fileSystem?: FileSystem },
): Promise<{ readonly request: LookRequest; readonly adapter: EntryAdapter; readonly writer: LockState }> {
  const request = { fileSystem: options.fileSystem ?? nodeFileSystem, directory: resolveDirectory(directory) }
  const writer = (await request.fileSystem.examineLock?.(join(request.directory, lockName))) ?? { held: undefined, holder: {} }
  return { request, adapter: adapterFor(options.entries), writer }
}

async function walkAll(walk: LogWalk, tally: Tally, onProgress: VerifyOptions['onProgress'], signal: AbortSignal | undefined): Promise<void> {
  try {
    throwIfAborted(signal)
    let toldAt = 0
    // As many findings as one turn of the loop takes; a promise for each of them would cost more than the walk.
    while (
      await runPooled(
        (function* (): Steps<boolean> {
          for (let count = 0; count < 256; count++) {
            const finding = yield* walk.next()
            if (finding.kind === 'end') return false
            tally.add(finding)
            if (tally.bytesDone - toldAt >= progressBytes) return true
          }
          return true
        })(),
      )
    ) {
      throwIfAborted(signal)
      if (tally.bytesDone - toldAt < progressBytes) continue
      toldAt = tally.bytesDone
      onProgress?.(tally.progress)
    }
    tally.wholeEntriesBehind = walk.wholeEntriesBehind
    onProgress?.(tally.progress)
  } finally {
    await runPooled(walk.close())
  }
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new WalError('ERR_WAL_ABORTED', 'aborted', { cause: signal.reason })
}

function checkCount(option: string, value: unknown): void {
  if (Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= 1_000_000) return
  throw new WalError('ERR_WAL_OPTION', `option ${option} is ${String(value)}, and must be an integer from 1 to 1000000`, { option })
}

function* listQuarantine({ fileSystem, directory }: LookRequest): Steps<{ name: string; bytes: number }[]> {
  const folder = join(directory, quarantineName)
  let names: string[]
  try {
    names = yield* listDirectory(fileSystem, folder)
  } catch (error) {
    const code = systemCode((error as WalError).cause)
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EACCES') return []
    throw error
  }
  const found: { name: string; bytes: number }[] = []
  for (const name of names.sort().slice(0, quarantinedAtMost)) {
    const file = yield* DurableFile.open(fileSystem, join(folder, name), { access: 'read' })
    try {
      found.push({ name, bytes: yield* file.size() })
    } finally {
      yield* file.close()
    }
  }
  return found
}

/** Of entries below the first one of the log: truncated in front, in a segment that is still needed. */
function bytesBelow({ firstOffset, lengths }: FoundEntries, wanted: number): number {
  let bytes = 0
  for (let index = 0; index < lengths.length && firstOffset + index < wanted; index++) bytes += recordHeaderBytes + (lengths[index] as number)
  return bytes
}

function plural(entries: number): string {
  return entries === 1 ? 'one entry' : `${entries} entries`
}

interface SegmentTally {
  readonly segment: OutlinedSegment
  readonly map: SegmentMap
  entries: number
  lastOffset: number
}

/** Adds up what a walk finds. */
class Tally {
  wholeEntriesBehind = 0
  readonly #outline: Outline | undefined
  readonly #maxFaults: number
  readonly #maxRanges: number
  readonly #faults: Fault[] = []
  #faultCount = 0
  readonly #segments = new Map<string, SegmentTally>()
  #current: SegmentTally | undefined
  readonly #types = new Map<number, { entries: number; bytes: number; smallest: number; largest: number }>()
  #entries = 0
  #entriesBehindFirstFault = 0
  /** Live segments that have a fault, or lack something in front of them, as their headers tell. */
  readonly #faultySegments = new Set<string>()
  #isBehindFault = false
  #lastOffset = 0
  #bytesBefore = 0
  #position = 0
  #mark = 0

  constructor(maxFaults: number, maxRanges: number, outline: Outline | undefined) {
    this.#maxFaults = maxFaults
    this.#maxRanges = maxRanges
    this.#outline = outline
    for (const segment of outline?.segments ?? []) {
      const map = new SegmentMap(this.#maxRanges)
      if (segment.state !== 'live') map.add('dead', 0, segment.fileBytes)
      this.#segments.set(segment.name, { segment, map, entries: 0, lastOffset: segment.firstOffset - 1 })
    }
    for (const fault of outline?.faults ?? []) {
      this.#addFault(fault)
      // What does not belong to the log stands in front of none of its entries.
      if (fault.kind !== 'stray') this.#faultySegments.add(fault.path)
    }
  }

  get bytesDone(): number {
    return this.#bytesBefore + this.#position
  }

  get progress(): Progress {
    const totalBytes = (this.#outline?.segments ?? []).reduce((sum, { state, fileBytes }) => sum + (state === 'live' ? fileBytes : 0), 0)
    return { bytes: Math.min(this.bytesDone, totalBytes), totalBytes, path: this.#current?.segment.path ?? '' }
  }

  add(finding: Exclude<LogFinding, { kind: 'end' }>): void {
    if (finding.kind === 'segment') {
      this.#bytesBefore += this.#current?.segment.fileBytes ?? 0
      this.#position = 0
      this.#current = this.#segments.get(finding.segment.name)
      this.#isBehindFault ||= this.#faultySegments.has(finding.segment.path)
      return
    }
    const current = this.#current as SegmentTally
    if (finding.kind === 'fault') {
      this.#addFault(finding.fault)
      this.#isBehindFault = true
      if (finding.mapped) current.map.add(finding.fault.kind === 'unsupported' ? 'unread' : 'damage', finding.fault.position, finding.fault.bytes)
      return
    }
    this.#position = finding.position + finding.bytes
    if (finding.kind === 'entries') {
      const isDropped = finding.firstOffset + finding.lengths.length <= (this.#outline?.firstOffset ?? 0)
      current.map.add(isDropped ? 'dead' : 'control', finding.position, finding.controlBytes)
      const body = finding.position + finding.controlBytes
      const dropped = bytesBelow(finding, this.#outline?.firstOffset ?? 0)
      current.map.add('dead', body, dropped)
      current.map.add('entries', body + dropped, finding.bytes - finding.controlBytes - dropped)
      this.#count(current, finding)
      return
    }
    if (finding.kind === 'control' && finding.content.kind === 'lowWaterMark') this.#checkMark(current, finding.position, finding.content.firstWanted)
    current.map.add(finding.kind, finding.position, finding.bytes)
  }

  /** Names, headers and the end are all that was looked at. */
  addUnread(outline: Outline): void {
    for (const { segment, map } of this.#segments.values()) if (segment.state === 'live') map.add('unread', 0, segment.fileBytes)
    this.#lastOffset = (outline.end?.nextOffset ?? 1) - 1
    const live = outline.segments.filter(({ state }) => state === 'live')
    for (const [index, { name }] of live.entries()) {
      const tally = this.#segments.get(name) as SegmentTally
      tally.lastOffset = Math.max(tally.lastOffset, (live[index + 1]?.firstOffset ?? this.#lastOffset + 1) - 1)
    }
    const { decision, position, nextOffset, tailBytes } = outline.end ?? {}
    if (decision?.action !== 'refuse') return
    const newest = live.at(-1) as OutlinedSegment
    if (decision.row === 'M') return this.#addFault({ path: newest.path, segmentId: newest.id, ...faultOfMissingEnd(outline.end as OutlinedEnd), bytes: tailBytes as number })
    this.#addFault({
      kind: decision.row === 'K' ? 'unsupported' : 'record',
      path: newest.path,
      segmentId: newest.id,
      position: position as number,
      bytes: tailBytes as number,
      firstOffset: nextOffset as number,
      why: decision.why,
      meaning: `The log does not open: what stands from entry ${nextOffset} on can't be read.`,
      ...(decision.bit === undefined ? {} : { bit: decision.bit }),
    })
  }

  report(directory: string, writer: LockState, quarantined: VerifyReport['quarantined'], adapter: EntryAdapter): VerifyReport {
    const outline = this.#outline
    const end = outline?.end
    const firstOffset = outline?.firstOffset ?? 1
    const lastOffset = Math.max(end === undefined ? this.#lastOffset : end.nextOffset - 1, firstOffset - 1)
    const endReport = outline === undefined ? undefined : this.#endReport(outline, writer)
    return {
      directory,
      outcome: this.#outcome(outline, endReport, adapter),
      ...(outline === undefined ? {} : { format: outline.format }),
      ...(outline?.logId === undefined ? {} : { logId: outline.logId }),
      firstOffset,
      lastOffset,
      entries: this.#entries,
      bytes: (outline?.segments ?? []).reduce((sum, { fileBytes }) => sum + fileBytes, 0),
      clean: this.#isClean(outline, endReport),
      segments: [...this.#segments.values()].map((tally) => this.#segmentReport(tally)),
      types: [...this.#types].sort(([a], [b]) => a - b).map(([type, facts]): TypeReport => ({ type, ...facts })),
      faults: this.#faults.map((fault) => this.#withOffsets(fault)),
      faultCount: this.#faultCount,
      entriesBehindFirstFault: this.#entriesBehindFirstFault,
      ...(endReport === undefined ? {} : { end: endReport }),
      writer,
      temporaries: outline?.names.temporaries ?? [],
      quarantined,
    }
  }

  /** Which entries are missing is known once the segment in front was read to its end. */
  #withOffsets(fault: Fault): Fault {
    const live = this.#outline?.segments.filter(({ state }) => state === 'live') ?? []
    const index = live.findIndex(({ path }) => path === fault.path)
    if (fault.kind === 'header' && fault.bit === undefined && fault.header === undefined) return this.#withEntriesBehind(fault, live, index)
    const before = this.#segments.get(live[index - 1]?.name ?? '')
    if (fault.kind !== 'missing' || before === undefined || before.entries === 0) return fault
    const first = before.lastOffset + 1
    const last = (live[index] as OutlinedSegment).firstOffset - 1
    return last < first ? fault : { ...fault, firstOffset: first, lastOffset: last, meaning: missingText(first, last) }
  }

  /** Behind a header that can't be read there may be nothing that is wrong. */
  #withEntriesBehind(fault: Fault, live: readonly OutlinedSegment[], index: number): Fault {
    const [segment, next] = [live[index], live[index + 1]]
    const tally = this.#segments.get(segment?.name ?? '')
    if (segment === undefined || segment.header !== undefined || tally === undefined || tally.entries === 0) return fault
    const first = tally.lastOffset - tally.entries + 1
    const isWhole = next !== undefined && tally.lastOffset === next.firstOffset - 1 && first === Math.max(segment.firstOffset, (this.#outline as Outline).firstOffset)
    const entries = first === tally.lastOffset ? `entry ${first}` : `entries ${first} to ${tally.lastOffset}`
    return { ...fault, meaning: `${fault.meaning} ${isWhole ? `All that the file held can be read, ${entries}: it is copied without a loss.` : `Of the file ${plural(tally.entries)} can be read.`}` }
  }

  #segmentReport({ segment, map, entries, lastOffset }: SegmentTally): SegmentReport {
    const { name, path, id, fileBytes, firstOffset, state, header } = segment
    const isNewest = state === 'live' && segment === this.#outline?.segments.findLast((other) => other.state === 'live')
    return {
      name,
      path,
      id,
      bytes: fileBytes,
      firstOffset,
      lastOffset,
      entries,
      state: state === 'live' ? (isNewest ? 'active' : 'closed') : state,
      ...(header === undefined || header.createdMs > 8.64e15 ? {} : { created: new Date(header.createdMs).toISOString() }),
      ranges: map.ranges,
    }
  }

  #endReport(outline: Outline, writer: LockState): EndReport | undefined {
    const { end } = outline
    const newest = outline.segments.findLast(({ state }) => state === 'live')
    if (end === undefined || newest === undefined) return undefined
    const { decision } = end
    const waits = decision.action === 'cut' && writer.held === true
    return {
      path: newest.path,
      position: end.position,
      row: decision.row,
      action: waits ? 'wait' : decision.action === 'create' ? 'resume' : decision.action,
      tornBytes: decision.action === 'cut' && !waits ? end.tailBytes : 0,
      ambiguous: decision.action === 'cut' && decision.ambiguous && !waits,
      wholeEntriesBehind: this.wholeEntriesBehind,
      ...(end.close?.clean === false && decision.action === 'resume' && writer.held !== true ? { full: true } : {}),
      ...(decision.action === 'refuse' ? { why: decision.why } : {}),
    }
  }

  #outcome(outline: Outline | undefined, end: EndReport | undefined, adapter: EntryAdapter): Outcome {
    if (outline === undefined) return 'none'
    if (this.#faults.some(({ kind }) => kind === 'unsupported')) return 'unsupported'
    if (this.#faultCount > 0) return 'damaged'
    if (outline.format === 1 && adapter.unfitForFormat1 !== undefined) return 'unread'
    if (end?.full === true) return 'undecided'
    if (end?.action !== 'cut') return 'sound'
    return end.ambiguous ? 'undecided' : 'torn'
  }

  #isClean(outline: Outline | undefined, end: EndReport | undefined): boolean {
    if (outline === undefined) return true
    if (end?.action !== 'resume') return false
    return outline.format === 1 || outline.end?.close?.clean === true
  }

  #count(current: SegmentTally, { firstOffset, lengths, source, at }: FoundEntries): void {
    const wanted = this.#outline?.firstOffset ?? 0
    let header = at
    for (let index = 0; index < lengths.length; index++) {
      const length = lengths[index] as number
      const type = source[header + 4] as number
      header += recordHeaderBytes + length
      if (firstOffset + index < wanted) continue
      const facts = this.#types.get(type)
      if (facts === undefined) this.#types.set(type, { entries: 1, bytes: length, smallest: length, largest: length })
      else {
        facts.entries++
        facts.bytes += length
        if (length < facts.smallest) facts.smallest = length
        if (length > facts.largest) facts.largest = length
      }
    }
    const last = firstOffset + lengths.length - 1
    const counted = Math.max(0, last - Math.max(firstOffset, wanted) + 1)
    current.entries += counted
    current.lastOffset = Math.max(current.lastOffset, last)
    this.#entries += counted
    this.#lastOffset = Math.max(this.#lastOffset, last)
    if (this.#isBehindFault) this.#entriesBehindFirstFault += counted
  }

  /** A low-water mark never goes back. */
  #checkMark(current: SegmentTally, position: number, mark: number): void {
    if (mark < this.#mark) {
      this.#addFault({
        kind: 'chain',
        path: current.segment.path,
        segmentId: current.segment.id,
        position,
        bytes: 0,
        why: `a low-water mark says that entries from ${mark} on are wanted, and one before it says from ${this.#mark} on`,
        meaning: 'No entry is lost. No release of forelog writes this.',
      })
    }
    this.#mark = Math.max(this.#mark, mark)
  }

  #addFault(fault: Fault): void {
    this.#faultCount++
    if (this.#faults.length < this.#maxFaults) this.#faults.push(fault)
  }
}
