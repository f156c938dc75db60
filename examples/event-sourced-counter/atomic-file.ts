/**
 * A small file that is there whole, as it was or as it is, after any crash. Written against the log's `FileSystem`, so that a crash test has it
 * on the same disk as the log.
 */
import { dirname } from 'node:path'
import type { FileSystem } from 'forelog'

// #region write
/** Atomic and durable: written beside the old one, synced, renamed over it, and the name synced. */
export async function writeAtomically(fileSystem: FileSystem, path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.tmp`
  await fileSystem.remove(temporary).catch(unlessMissing) // of a process that died while it wrote
  const file = await fileSystem.open(temporary, { access: 'create', mode: 0o640 })
  try {
    for (let position = 0; position < bytes.length; ) position += await file.write([bytes.subarray(position)], position)
    await file.sync()
  } finally {
    await file.close()
  }
  await fileSystem.rename(temporary, path)
  await fileSystem.syncDirectory(dirname(path))
}
// #endregion

/** Undefined: there is none. */
export async function readIfThere(fileSystem: FileSystem, path: string): Promise<Uint8Array | undefined> {
  const file = await fileSystem.open(path, { access: 'read' }).catch(unlessMissing)
  if (file === undefined) return undefined
  try {
    const bytes = new Uint8Array(await file.size())
    for (let read = 0; read < bytes.length; ) {
      const count = await file.read(bytes.subarray(read), read)
      if (count === 0) throw new Error(`${path} ends at byte ${read} of ${bytes.length}`)
      read += count
    }
    return bytes
  } finally {
    await file.close()
  }
}

function unlessMissing(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  return undefined
}
