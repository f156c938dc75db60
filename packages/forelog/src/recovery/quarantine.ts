/**
 * What recovery cuts off is kept: a person may want to look at it, and the cut may prove to be one too many.
 */
import { join } from 'node:path'
import { isNoSpace, WalError } from '../errors.js'
import { createDurably, type DurableFile, removeFile, syncDirectory } from '../files/durable-file.js'
import type { FileSystem } from '../files/file-system.js'
import { crc32 } from '../format/checksum.js'
import { quarantineName, temporarySuffix } from '../segments/segment-name.js'
import { step, type Steps } from '../steps.js'

const chunkBytes = 1024 * 1024

export interface QuarantineRequest {
  readonly fileSystem: FileSystem
  /** The log's directory. */
  readonly directory: string
  readonly fileMode: number
  readonly directoryMode: number
}

/**
 * Copies `bytes` bytes of a segment from `position` on to `quarantine/`, durably; the copy's path. Its name is made of what it
 * holds, so a recovery that died behind this step makes the same file again and not a second one.
 */
export function* quarantine(request: QuarantineRequest, file: DurableFile, segment: string, position: number, bytes: number): Steps<string> {
  const { fileSystem, directory, fileMode, directoryMode } = request
  const pieces: Uint8Array[] = []
  let crc = 0
  for (let at = position; at < position + bytes; at += chunkBytes) {
    const piece = new Uint8Array(Math.min(chunkBytes, position + bytes - at))
    const read = yield* file.read(piece, at)
    pieces.push(piece.subarray(0, read))
    crc = crc32(piece, 0, read, crc)
  }
  const folder = join(directory, quarantineName)
  const name = `${segment}-${position}-${crc.toString(16).padStart(8, '0')}.torn`
  try {
    yield* step(
      () => fileSystem.makeDirectorySync(folder, directoryMode),
      () => fileSystem.makeDirectory(folder, directoryMode),
    )
    yield* removeFile(fileSystem, join(folder, name))
    const copy = yield* createDurably(fileSystem, folder, name, name + temporarySuffix, pieces, fileMode)
    yield* copy.close()
    // The name of the folder itself: without it the copy is lost with a crash, and what it holds is about to be cut.
    yield* syncDirectory(fileSystem, directory)
  } catch (error) {
    if (!isNoSpace(error)) throw error
    throw new WalError(
      'ERR_WAL_NO_SPACE',
      `${join(directory, segment)} ends in a torn tail of ${bytes} bytes, and there is no room to keep a copy of it in ${folder}: ` +
        'nothing was changed; free some space, then open the log again',
      { path: folder, bytes, cause: error },
    )
  }
  return join(folder, name)
}
