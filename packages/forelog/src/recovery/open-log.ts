/**
 * Opening a log: tells what is in its directory, and recovers or creates it. The caller holds the lock.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { WalError } from '../errors.js'
import { listDirectory, removeFile, syncDirectoryAndAbove } from '../files/durable-file.js'
import { ControlChain, saltBytes } from '../format/control-record.js'
import type { Format } from '../format/record.js'
import { type DirectoryNames, sortNames } from '../segments/segment-name.js'
import { makeSegment } from '../segments/segment-set.js'
import { createSegment } from '../segments/segment-writer.js'
import type { Steps } from '../steps.js'
import { recoverFormat1 } from './recover-format1.js'
import { recoverFormat2 } from './recover-format2.js'
import type { RecoveredLog, RecoveryRequest } from './recovered-log.js'

export function* openLog(request: RecoveryRequest): Steps<RecoveredLog> {
  const { fileSystem, directory, adapter } = request
  const names = sortNames(yield* listDirectory(fileSystem, directory))
  const format = formatOf(request, names)
  if (format === 1 && adapter.unfitForFormat1 !== undefined) {
    throw new WalError('ERR_WAL_OPTION', `option entries does not fit a log of format 1: ${adapter.unfitForFormat1}`, { option: 'entries', path: directory })
  }
  if (format === 1 && request.unfitForFormat1 !== undefined) throw request.unfitForFormat1
  if (names.segments.length === 0) return yield* createLog(request, names, format)
  return format === 1 ? yield* recoverFormat1(request, names) : yield* recoverFormat2(request, names)
}

/** The format of what is there, or, where there is nothing, the one that is asked for. */
function formatOf(request: RecoveryRequest, names: DirectoryNames): Format {
  const { directory } = request
  const [foreign] = names.foreign
  if (foreign !== undefined) {
    throw new WalError(
      'ERR_WAL_CORRUPT',
      `${join(directory, foreign)} is no segment of a log, though it is named like one: move it elsewhere. Nothing was changed`,
      { path: join(directory, foreign) },
    )
  }
  const format = names.segments[0]?.format ?? request.format ?? 2
  const other = names.segments.find((segment) => segment.format !== format)
  if (other !== undefined) {
    throw new WalError(
      'ERR_WAL_CORRUPT',
      `${directory} holds segments of both formats, ${names.segments[0]?.name ?? ''} and ${other.name}: a log has one. Move those elsewhere that don't belong to it. Nothing was changed`,
      { path: join(directory, other.name) },
    )
  }
  if (request.format !== undefined && request.format !== format) {
    throw new WalError('ERR_WAL_FORMAT', `the log in ${directory} is of format ${format}, and format ${request.format} was asked for: leave the option format out`, {
      path: directory,
      option: 'format',
    })
  }
  return format
}

/**
 * Row A: a new log. Rule 4: its name, and those of all directories above it, are durable before its first segment is there.
 *
 * @param firstOffset more than 1 in a log that takes the entries of another one, from there on
 */
export function* createLog(
  request: Pick<RecoveryRequest, 'fileSystem' | 'directory' | 'fileMode'>,
  names: DirectoryNames,
  format: Format,
  firstOffset = 1,
): Steps<RecoveredLog> {
  const { fileSystem, directory } = request
  for (const name of names.temporaries) yield* removeFile(fileSystem, join(directory, name))
  yield* syncDirectoryAndAbove(fileSystem, directory)
  const logId = randomBytes(16).toString('hex')
  const chain = format === 1 ? undefined : new ControlChain(randomBytes(saltBytes), 0)
  const createdMs = Date.now()
  const header = chain?.segmentHeader({
    logId,
    segmentId: 1,
    previousSegmentId: 0,
    firstOffset,
    lowWaterMark: firstOffset,
    createdMs,
    cut: false,
  })
  // In format 1 the first segment of all begins with entry 1, so any other has a later id.
  const segment = makeSegment(directory, format, format === 1 && firstOffset > 1 ? 2 : 1, firstOffset, header?.length ?? 0, chain && createdMs)
  const file = yield* createSegment(fileSystem, segment, header, request.fileMode)
  if (header !== undefined) chain?.advance(header)
  return {
    format,
    live: [segment],
    end: { file, position: segment.bytes, nextOffset: firstOffset, lowWaterMark: firstOffset, chain, logId, unsettled: undefined, full: false },
    report: { clean: true, tornBytes: 0, ambiguous: false, quarantined: [], entriesExamined: 0, bytesExamined: 0 },
  }
}
