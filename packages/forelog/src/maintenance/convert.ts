/**
 * `convert`: the entries of a log, in the other format, in a directory of their own. The log that is read is not changed.
 */
import { join } from 'node:path'
import type { EntrySource } from '../entries/define-entries.js'
import type { RawSource } from '../entries/raw-entries.js'
import type { EntryAdapter } from '../entries/entry.js'
import { adapterFor } from '../entries/entry-adapter.js'
import { isNoSpace, reasonOf, WalError } from '../errors.js'
import { listDirectory } from '../files/durable-file.js'
import type { FileLock, FileSystem } from '../files/file-system.js'
import { nodeFileSystem } from '../files/node-file-system.js'
import { frameRecord } from '../format/framed-record.js'
import { controlType, type Format, lastOffsetOfFormat1, recordHeaderBytes } from '../format/record.js'
import { checkNames, resolveDirectory } from '../options.js'
import { createLog } from '../recovery/open-log.js'
import { lockName, sortNames } from '../segments/segment-name.js'
import { SegmentSet } from '../segments/segment-set.js'
import { SegmentWriter } from '../segments/segment-writer.js'
import { runPooled, step, type Steps } from '../steps.js'
import type { Progress, VerifyReport } from './report.js'
import { salvage, type SalvagedEntry } from './salvage.js'
import { examineLog, lookAt } from './verify.js'

/** Options of {@link convert}. */
export interface ConvertOptions<S extends EntrySource = RawSource> {
  /** What the log holds: entries that have `readPayload`. Both ways need it: without, nobody knows where a record of format 1 ends. */
  entries?: S
  /** The format to convert to. Default: the one that the log has not. */
  format?: Format
  /** Bytes from which on a segment is closed and a new one begun. Default 64 MiB. */
  maxSegmentSize?: number
  /** Permission bits of created files and directories, before the umask. Default 0o640 and 0o750. */
  fileMode?: number
  directoryMode?: number
  /** Told about once for each MiB that was written. */
  onProgress?: (progress: Progress) => void
  /** Ends it with `ERR_WAL_ABORTED`; what was written until then stays. */
  signal?: AbortSignal
  fileSystem?: FileSystem
}

/** What `convert` wrote. */
export interface ConvertResult {
  readonly directory: string
  readonly format: Format
  readonly firstOffset: number
  readonly lastOffset: number
  readonly entries: number
}

const optionNames = { entries: true, format: true, maxSegmentSize: true, fileMode: true, directoryMode: true, onProgress: true, signal: true, fileSystem: true } as const
const progressBytes = 1024 * 1024

/**
 * Writes the entries of the log in `from`, payloads and offsets as they are, into a new log of the other format in `to`, which is empty or is not
 * there yet. Nobody may write `from` meanwhile, and it is not changed; when this resolves, `to` is on stable storage and closed.
 *
 * Format 2 has no entry type 255 (`ERR_WAL_ENTRY_TYPE_RESERVED`). Format 1 stops at offset 4294967295 (`ERR_WAL_OFFSET_EXHAUSTED`), has no empty log that
 * begins later than 1, and no atomic batches: there a batch is as many entries as it has. A log that is damaged, or ends in a torn tail, is
 * refused (`ERR_WAL_CORRUPT`, `ERR_WAL_TORN`): open or repair it first. Other errors: `ERR_WAL_OPTION`, `ERR_WAL_LOCKED`, `ERR_WAL_ABORTED`, and those
 * of the disk; then what is in `to` is incomplete and to be removed.
 *
 * @example
 * ```ts
 * await convert('./data/go-log', './data/orders', { entries: new EntryRegistry(() => new Put(), () => new Del()) })
 * ```
 */
export async function convert<S extends EntrySource = RawSource>(from: string | URL, to: string | URL, options: ConvertOptions<S> = {}): Promise<ConvertResult> {
  checkNames('convert', options, optionNames)
  const { maxSegmentSize = 64 * 1024 * 1024, fileMode = 0o640, directoryMode = 0o750, fileSystem = nodeFileSystem } = options
  if (!Number.isSafeInteger(maxSegmentSize) || maxSegmentSize < 1) throw new WalError('ERR_WAL_OPTION', 'option maxSegmentSize must be a number of bytes', { option: 'maxSegmentSize' })
  const source = resolveDirectory(from)
  const target = resolveDirectory(to)
  const adapter = adapterFor(options.entries)
  const locks: FileLock[] = []
  try {
    locks.push(...(await lockSource(fileSystem, source, fileMode)))
    const { report } = await examineLog(source, { ...(options.entries === undefined ? {} : { entries: options.entries }), fileSystem, scope: 'structure' }, true)
    const format = formatFor(report, options.format)
    assertConvertible(report, format, adapter)
    await makeTarget(fileSystem, target, directoryMode)
    locks.push(await fileSystem.lock(join(target, lockName), fileMode))
    await assertEmpty(fileSystem, target)
    const request: WriteRequest = { fileSystem, directory: target, fileMode, format, maxSegmentBytes: maxSegmentSize, adapter, report }
    return await write(request, salvage(source, { copy: false, ...(options.entries === undefined ? {} : { entries: options.entries }), fileSystem }), options)
  } finally {
    for (const lock of locks) await lock.release()
  }
}

interface WriteRequest {
  readonly fileSystem: FileSystem
  readonly directory: string
  readonly fileMode: number
  readonly format: Format
  readonly maxSegmentBytes: number
  readonly adapter: EntryAdapter
  readonly report: VerifyReport
}

/** The source's lock, if anybody ever locked it: nothing is made in a directory that the Go library alone has used. */
async function lockSource(fileSystem: FileSystem, directory: string, fileMode: number): Promise<FileLock[]> {
  const { writer } = await lookAt(directory, { fileSystem })
  const names = await runPooled(listDirectory(fileSystem, directory))
  if (writer.held !== true && !names.includes(lockName)) return []
  try {
    return [await fileSystem.lock(join(directory, lockName), fileMode)]
  } catch (error) {
    // On a file system that can't be written nobody else writes, either.
    if (error instanceof WalError && error.code === 'ERR_WAL_WRITE_FAILED' && writer.held === false) return []
    throw error
  }
}

function formatFor(report: VerifyReport, asked: Format | undefined): Format {
  if (report.format === undefined) throw new WalError('ERR_WAL_OPTION', `there is no log in ${report.directory}`, { path: report.directory, option: 'from' })
  const format = asked ?? (report.format === 1 ? 2 : 1)
  if (format !== 1 && format !== 2) throw new WalError('ERR_WAL_OPTION', 'option format must be 1 or 2', { option: 'format' })
  if (format === report.format) throw new WalError('ERR_WAL_OPTION', `the log in ${report.directory} has format ${format} already: copy its directory`, { option: 'format', path: report.directory })
  return format
}

function assertConvertible(report: VerifyReport, format: Format, adapter: EntryAdapter): void {
  const { directory: path, end, faults, firstOffset, lastOffset } = report
  if (adapter.unfitForFormat1 !== undefined) throw new WalError('ERR_WAL_OPTION', `option entries does not fit a log of format 1: ${adapter.unfitForFormat1}`, { option: 'entries', path })
  const [fault] = faults
  if (fault !== undefined) throw new WalError('ERR_WAL_CORRUPT', `${fault.path} at byte ${fault.position}: ${fault.why}. Repair the log first`, { path: fault.path, position: fault.position })
  if (end?.action === 'cut') {
    throw new WalError('ERR_WAL_TORN', `${end.path} ends in a torn tail of ${end.tornBytes} bytes: open the log once, or repair it, so that it is decided what becomes of them`, { path: end.path, position: end.position, bytes: end.tornBytes })
  }
  if (format === 2) return
  if (lastOffset > lastOffsetOfFormat1) throw new WalError('ERR_WAL_OFFSET_EXHAUSTED', `the log goes to offset ${lastOffset}, and format 1 stops at ${lastOffsetOfFormat1}`, { path, offset: lastOffset })
  if (firstOffset > 1 && lastOffset < firstOffset) {
    throw new WalError('ERR_WAL_FORMAT', `the log is empty, and its next entry is ${firstOffset}: format 1 has nothing to remember that by`, { path, offset: firstOffset })
  }
}

async function makeTarget(fileSystem: FileSystem, directory: string, mode: number): Promise<void> {
  try {
    await fileSystem.makeDirectory(directory, mode)
  } catch (error) {
    const code = isNoSpace(error) ? 'ERR_WAL_NO_SPACE' : 'ERR_WAL_WRITE_FAILED'
    throw new WalError(code, `the directory ${directory} can't be made: ${reasonOf(error)}`, { path: directory, cause: error })
  }
}

async function assertEmpty(fileSystem: FileSystem, directory: string): Promise<void> {
  const [found] = (await runPooled(listDirectory(fileSystem, directory))).filter((name) => name !== lockName && name !== `${lockName}.json`)
  if (found !== undefined) throw new WalError('ERR_WAL_OPTION', `${directory} is not empty (${found}): give a directory that is, or is not there yet`, { option: 'to', path: directory })
}

async function write(request: WriteRequest, entries: AsyncIterable<SalvagedEntry>, { onProgress, signal }: Pick<ConvertOptions, 'onProgress' | 'signal'>): Promise<ConvertResult> {
  const { fileSystem, directory, fileMode, format, maxSegmentBytes, adapter, report } = request
  const { firstOffset } = report
  const created = await runPooled(createLog({ fileSystem, directory, fileMode }, sortNames([]), format, firstOffset))
  const segments = new SegmentSet(fileSystem, directory, format, created.live)
  const writer = new SegmentWriter(segments, created.end, { maxSegmentBytes, fileMode, onRoll: () => {}, onCut: () => {} })
  let told = 0
  let bytes = 0
  let group = writer.newGroup(firstOffset, undefined)
  let path = ''
  const put = function* (): Steps<void> {
    if (group.count === 0) return
    yield* writer.write(group, false)
    writer.recycle(group)
    group = writer.newGroup(writer.nextOffset, undefined)
  }
  try {
    for await (const { offset, type, payload, path: file, position } of entries) {
      if (signal?.aborted === true) throw new WalError('ERR_WAL_ABORTED', 'aborted', { cause: signal.reason })
      path = file
      if (offset !== group.nextOffset) throw new WalError('ERR_WAL_CORRUPT', `${path} at byte ${position}: entry ${offset} stands where ${group.nextOffset} is next`, { path, position, offset })
      if (type === controlType && format === 2) throw new WalError('ERR_WAL_ENTRY_TYPE_RESERVED', `entry ${offset} has type 255, which format 2 needs for itself`, { type, offset, path, position })
      if (format === 1) assertFramed(adapter, type, payload, offset)
      group.add(type, payload)
      bytes += recordHeaderBytes + payload.length
      if (!group.full) continue
      await runPooled(put())
      if (bytes - told < progressBytes) continue
      told = bytes
      onProgress?.({ bytes: Math.min(bytes, report.bytes), totalBytes: report.bytes, path })
    }
    await runPooled(put())
    await runPooled(writer.close())
  } catch (error) {
    await runPooled(writer.release()).catch(() => {})
    throw error
  }
  await runPooled(syncNames(fileSystem, directory))
  onProgress?.({ bytes: report.bytes, totalBytes: report.bytes, path })
  const lastOffset = writer.nextOffset - 1
  return { directory, format, firstOffset, lastOffset, entries: lastOffset - firstOffset + 1 }
}

function* syncNames(fileSystem: FileSystem, directory: string): Steps<void> {
  yield* step(
    () => fileSystem.syncDirectorySync(directory),
    () => fileSystem.syncDirectory(directory),
  )
}

/** Format 1 has no lengths: a payload that its own `readPayload` does not read to its end would make all behind it unreadable. */
function assertFramed(adapter: EntryAdapter, type: number, payload: Uint8Array, offset: number): void {
  const record = new Uint8Array(recordHeaderBytes + payload.length)
  record[4] = type
  record.set(payload, recordHeaderBytes)
  const framed = frameRecord(record, 0, record.length, record.length, (known) => adapter.framing(known))
  if (framed.found === 'record' && framed.record.length === payload.length) return
  const found = framed.found === 'record' ? `readPayload of its type ends it after ${framed.record.length} of ${payload.length} bytes` : framed.found === 'nothing' ? framed.why : 'readPayload of its type finds no end in it'
  throw new WalError('ERR_WAL_FORMAT', `entry ${offset} can't be stored in format 1: ${found}`, { type, offset, bytes: payload.length })
}
