/**
 * The file of a cursor, `<log>/cursors/<name>.cursor`: two slots of a sector each, in pages of their own, so that the write of one can't
 * harm the other. The commit with sequence n goes to slot n mod 2, in one write that is synced: a crash leaves it or the one before.
 *
 *     slot 0: bytes 0…511        slot 1: bytes 4096…4607
 *
 *     magic "FORELOGC" · version u32 (1) · flags u32 (bit 0: hold) · log id (16 bytes) · sequence u64 ·
 *     committed offset u64 · id of the segment that holds that entry u64 · CRC-32 u32 of all before · zeros
 *
 * Big endian. The segment id tells whether the entry was cut off since: a cut begins a new segment at or below it.
 *
 * What can be read in a slot need not be on stable storage: its write may be under way in another process, or its process have been killed
 * in it. But it is begun only when the one before it is. So the older slot says where a cursor stands at the least, whatever happens.
 */
import { join } from 'node:path'
import { systemCode, WalError } from '../errors.js'
import { createDurably, DurableFile, listDirectory } from '../files/durable-file.js'
import type { FileSystem } from '../files/file-system.js'
import { crc32 } from '../format/checksum.js'
import { fromHex, hex } from '../format/control-record.js'
import { readU32, readU64, writeU32, writeU64 } from '../format/record.js'
import type { Steps } from '../steps.js'

export const cursorsName = 'cursors'
const cursorSuffix = '.cursor'

const sectorBytes = 512
const pageBytes = 4096
const fileBytes = pageBytes + sectorBytes
const crcAt = 56
const version = 1
const holdFlag = 1
const magic = new TextEncoder().encode('FORELOGC')

/** What a slot says. */
export interface StoredCursor {
  readonly hold: boolean
  /** As hexadecimal digits. */
  readonly logId: string
  readonly sequence: number
  readonly offset: number
  readonly segmentId: number
}

/** What both slots say. */
export interface CursorSlots {
  /** As it can be read. */
  readonly newest: StoredCursor
  /** On stable storage without a doubt; undefined: the file does not say. */
  readonly certain: StoredCursor | undefined
}

// Lower case, because there are file systems that don't tell the cases apart.
const allowedName = /^[a-z0-9_][a-z0-9._-]{0,99}$/

export function checkCursorName(name: string): void {
  if (typeof name === 'string' && allowedName.test(name)) return
  const shown = typeof name === 'string' ? `'${name}'` : String(name)
  throw new WalError('ERR_WAL_OPTION', `a cursor can't have the name ${shown}: up to 100 of the characters a-z, 0-9, '_', '-' and '.', and none of the last two in front`, {
    option: 'name',
  })
}

export function encodeSlot(stored: StoredCursor): Uint8Array {
  const bytes = new Uint8Array(sectorBytes)
  bytes.set(magic)
  writeU32(bytes, 8, version)
  writeU32(bytes, 12, stored.hold ? holdFlag : 0)
  bytes.set(fromHex(stored.logId), 16)
  writeU64(bytes, 32, stored.sequence)
  writeU64(bytes, 40, stored.offset)
  writeU64(bytes, 48, stored.segmentId)
  writeU32(bytes, crcAt, crc32(bytes, 0, crcAt))
  return bytes
}

/** Undefined: nothing was written there, or not all of it. */
export function decodeSlot(bytes: Uint8Array): (StoredCursor & { readonly version: number }) | undefined {
  if (bytes.length < sectorBytes || magic.some((byte, index) => bytes[index] !== byte)) return undefined
  if (readU32(bytes, crcAt) !== crc32(bytes, 0, crcAt)) return undefined
  return {
    version: readU32(bytes, 8),
    hold: (readU32(bytes, 12) & holdFlag) !== 0,
    logId: hex(bytes, 16, 16),
    sequence: readU64(bytes, 32),
    offset: readU64(bytes, 40),
    segmentId: readU64(bytes, 48),
  }
}

/** Names of the cursors in a directory `cursors/`, sorted; undefined: there never was one. */
export function* listCursors(fileSystem: FileSystem, directory: string): Steps<string[] | undefined> {
  try {
    const names = yield* listDirectory(fileSystem, directory)
    return names.filter((name) => name.endsWith(cursorSuffix)).map((name) => name.slice(0, -cursorSuffix.length)).sort()
  } catch (error) {
    if (systemCode((error as WalError).cause) === 'ENOENT') return undefined
    throw error
  }
}

/** What is committed; undefined: there is no such cursor. */
export function* readCursor(fileSystem: FileSystem, path: string): Steps<StoredCursor | undefined> {
  return (yield* readSlots(fileSystem, path))?.newest
}

/** The same, with what is certain of it. */
export function* readSlots(fileSystem: FileSystem, path: string): Steps<CursorSlots | undefined> {
  return yield* readFrom(fileSystem, path, 'read', readOpened)
}

/**
 * What can be read is on stable storage when this returns. Whoever is not the holder can't write it again, for that might write over a newer
 * commit; so a sync that failed before must not be believed here, and who saw it fail takes its commit back: see `commitCursor`.
 */
export function* settleCursor(fileSystem: FileSystem, path: string): Steps<StoredCursor | undefined> {
  return yield* readFrom(fileSystem, path, syncAccess, function* (file) {
    // Opened before it is read: a sync that fails from here on is told to this descriptor, too.
    const { newest } = yield* readOpened(file)
    yield* file.dataSync()
    return newest
  })
}

/** What can be read of a file is on stable storage when this returns. */
export function* settleFile(fileSystem: FileSystem, path: string): Steps<void> {
  const file = yield* DurableFile.open(fileSystem, path, { access: syncAccess })
  try {
    yield* file.dataSync()
  } finally {
    yield* file.close()
  }
}

/** The file may be that of another user: where it only has to be synced, no right to write it is asked for. Windows syncs no other. */
const syncAccess = process.platform === 'win32' ? 'write' : 'read'

/** Undefined: there is no such file. */
export function* readFrom<T>(fileSystem: FileSystem, path: string, access: 'read' | 'write', run: (file: DurableFile) => Steps<T>): Steps<T | undefined> {
  const file = yield* openThere(fileSystem, path, access)
  if (file === undefined) return undefined
  try {
    return yield* run(file)
  } finally {
    yield* file.close()
  }
}

/** Undefined: there is no such file. */
export function* openThere(fileSystem: FileSystem, path: string, access: 'read' | 'write'): Steps<DurableFile | undefined> {
  try {
    return yield* DurableFile.open(fileSystem, path, { access })
  } catch (error) {
    if (systemCode((error as WalError).cause) === 'ENOENT') return undefined
    throw error
  }
}

function* readOpened(file: DurableFile): Steps<CursorSlots> {
  const bytes = new Uint8Array(fileBytes)
  const length = yield* file.read(bytes, 0)
  return slotsOf(file.path, bytes.subarray(0, length))
}

function slotsOf(path: string, bytes: Uint8Array): CursorSlots {
  const slots = [decodeSlot(bytes.subarray(0, sectorBytes)), decodeSlot(bytes.subarray(pageBytes))].filter((slot) => slot !== undefined)
  const [newest, before] = slots.sort((a, b) => b.sequence - a.sequence)
  if (newest === undefined) {
    throw new WalError('ERR_WAL_CORRUPT', `${path} is no cursor that can be read: restore it from a backup, or delete the cursor, and it begins anew`, { path })
  }
  if (newest.version !== version) {
    throw new WalError('ERR_WAL_FORMAT', `${path} is of version ${newest.version}, and this release knows version ${version}: use a later release of forelog`, { path })
  }
  // The first one was synced before its file had this name.
  return { newest, certain: newest.sequence === 0 ? newest : before?.sequence === newest.sequence - 1 ? before : undefined }
}

/** In its slot, on stable storage when this returns. No descriptor stays open: there may be thousands of cursors. */
export function* writeCursor(fileSystem: FileSystem, path: string, stored: StoredCursor): Steps<void> {
  const file = yield* DurableFile.open(fileSystem, path, { access: 'write', writeThrough: true })
  try {
    yield* file.write([encodeSlot(stored)], (stored.sequence % 2) * pageBytes)
  } finally {
    yield* file.close()
  }
}

/**
 * The same for what was not there before. Where that fails, others may see it all the same, and a crash take it back: so it is taken out of
 * their sight, and the slot before it counts. Its sync is not tried again.
 */
export function* commitCursor(fileSystem: FileSystem, path: string, stored: StoredCursor): Steps<void> {
  try {
    yield* writeCursor(fileSystem, path, stored)
  } catch (error) {
    try {
      yield* wipeSlot(fileSystem, path, stored.sequence)
    } catch {
      // The reason why it could not be written says more.
    }
    throw error
  }
}

/**
 * What can be read is on stable storage when this returns, and nothing newer comes up any more: for the holder of the cursor's lock. The same bytes in
 * the same place: what was seen there may never have been synced. The other slot, where it does not hold the commit before, may have been
 * wiped by `commitCursor`, and the disk may have the commit that failed, still.
 */
export function* restateCursor(fileSystem: FileSystem, path: string, { newest, certain }: CursorSlots): Steps<void> {
  yield* writeCursor(fileSystem, path, newest)
  if (newest.sequence === 0 || certain === undefined) yield* wipeSlot(fileSystem, path, newest.sequence + 1, true)
}

function* wipeSlot(fileSystem: FileSystem, path: string, sequence: number, writeThrough = false): Steps<void> {
  const file = yield* DurableFile.open(fileSystem, path, { access: 'write', writeThrough })
  try {
    yield* file.write([new Uint8Array(sectorBytes)], (sequence % 2) * pageBytes)
  } finally {
    yield* file.close()
  }
}

/** To be called by the holder of the cursor's lock alone. `syncNames` is that of its directory, see `createDurably`. */
export function* createCursor(fileSystem: FileSystem, directory: string, name: string, stored: StoredCursor, mode: number, syncNames: () => Steps<void>): Steps<void> {
  const bytes = new Uint8Array(fileBytes)
  bytes.set(encodeSlot(stored), (stored.sequence % 2) * pageBytes)
  const file = yield* createDurably(fileSystem, directory, `${name}${cursorSuffix}`, `${name}${cursorSuffix}.tmp`, [bytes], mode, syncNames)
  yield* file.close()
}

export function cursorPath(directory: string, name: string): string {
  return join(directory, `${name}${cursorSuffix}`)
}
