/**
 * What a simulated disk holds: files and directories, what of them is durable, and what is not yet.
 *
 *     directory ── name ──▶ id ──▶ file
 *
 *     file       sector 0   durable bytes   versions: (at 7, bytes) (at 9, bytes)      each write makes one in each
 *                sector 1   durable bytes   versions: (at 9, bytes)                    sector that it touches
 *                size       durable size    versions: (at 9, size)
 *
 * `at` is the moment of a change: one number for all that one call changed. What everybody sees is the newest version;
 * a sync makes it the durable one; a crash takes any. Everything is copied on write, so that a whole disk can be kept
 * at every moment: bytes of a sector never change, states change only for the disk that owns them.
 */

/** The disk writes so many bytes whole or not at all. */
export const sectorBytes = 512

/** The bytes of a sector; undefined: never written (or cut off), reads as zeros. */
export type Sector = Uint8Array | undefined

/** All that is only zeros, so that it is found by comparing references. */
export const zeroSector: Uint8Array = new Uint8Array(sectorBytes)

/** A change of a sector that is not durable yet. */
export interface SectorVersion {
  readonly at: number
  readonly data: Sector
  /** The file was cut in front of this sector. All sectors of a cut come back, or none. */
  readonly cut: boolean
  /** A failed sync marked it clean: everybody sees it, a later sync does not write it. */
  readonly clean: boolean
}

/** A change of a file's size that is not durable yet. */
export interface SizeVersion {
  readonly at: number
  readonly size: number
  /** By a write behind the end, not by `truncate`. */
  readonly byWrite: boolean
  readonly clean: boolean
}

/** A change of a name that is not durable yet. */
export interface NameVersion {
  readonly at: number
  /** What it leads to; undefined: nothing. */
  readonly id: number | undefined
  /** The old name of a rename goes only if this new one is there. */
  readonly movedTo: string | undefined
}

/** Whoever may change a state in place; all others copy it first. */
export type Owner = object

export interface FileState {
  readonly kind: 'file'
  owner: Owner
  /** Shared with older copies until `durableOwner` is the owner. */
  durable: Sector[]
  durableOwner: Owner
  durableSize: number
  size: number
  /** By number of the sector; the lists are never changed, but replaced. */
  sectors: Map<number, readonly SectorVersion[]>
  sizes: SizeVersion[]
}

export interface DirectoryState {
  readonly kind: 'directory'
  owner: Owner
  /** As everybody sees them. */
  names: Map<string, number>
  durable: Map<string, number>
  /** The lists are never changed, but replaced. */
  changes: Map<string, readonly NameVersion[]>
}

export type InodeState = FileState | DirectoryState

export function emptyFile(owner: Owner): FileState {
  return {
    kind: 'file',
    owner,
    durable: [],
    durableOwner: owner,
    durableSize: 0,
    size: 0,
    sectors: new Map(),
    sizes: [],
  }
}

export function emptyDirectory(owner: Owner): DirectoryState {
  return { kind: 'directory', owner, names: new Map(), durable: new Map(), changes: new Map() }
}

/** The state itself if it belongs to `owner`, else a copy that does. */
export function owned<T extends InodeState>(state: T, owner: Owner): T {
  if (state.owner === owner) return state
  if (state.kind === 'file') {
    return { ...state, owner, sectors: new Map(state.sectors), sizes: state.sizes.slice() }
  }
  return {
    ...state,
    owner,
    names: new Map(state.names),
    durable: new Map(state.durable),
    changes: new Map(state.changes),
  }
}

/** A sector as everybody sees it. */
export function sectorOf(file: FileState, index: number): Sector {
  const versions = file.sectors.get(index)
  return versions === undefined ? file.durable[index] : (versions.at(-1) as SectorVersion).data
}

export function isUnsynced(file: FileState): boolean {
  return file.sectors.size > 0 || file.sizes.length > 0
}

/** How many sectors of space a file takes. */
export function allocatedSectors(file: FileState): number {
  let count = 0
  for (let index = 0; index < file.durable.length; index++) {
    if (file.durable[index] !== undefined && !file.sectors.has(index)) count++
  }
  for (const versions of file.sectors.values()) if (versions.at(-1)?.data !== undefined) count++
  return count
}

export function readBytes(file: FileState, target: Uint8Array, position: number): number {
  const end = Math.min(file.size, position + target.byteLength)
  if (end <= position) return 0
  for (let index = Math.floor(position / sectorBytes); index * sectorBytes < end; index++) {
    const start = index * sectorBytes
    const from = Math.max(start, position)
    const to = Math.min(start + sectorBytes, end)
    const data = sectorOf(file, index)
    if (data === undefined || data === zeroSector) target.fill(0, from - position, to - position)
    else target.set(from === start && to === start + sectorBytes ? data : data.subarray(from - start, to - start), from - position)
  }
  return end - position
}

/**
 * Puts the first `bytes` of the pieces at `position`, as a change at `at`. Where zeros are written on zeros nothing
 * changes, so that is no version, unless `keepZeros`: then a lost write of zeros can be told from one that was kept.
 */
export function writeBytes(
  file: FileState,
  pieces: readonly Uint8Array[],
  position: number,
  bytes: number,
  at: number,
  keepZeros: boolean,
): void {
  if (bytes === 0) return
  const first = Math.floor(position / sectorBytes)
  const last = Math.floor((position + bytes - 1) / sectorBytes)
  const image = imageOf(file, pieces, position, bytes, first, last)
  for (let index = first; index <= last; index++) {
    const from = (index - first) * sectorBytes
    const data = withZerosShared(image.subarray(from, from + sectorBytes))
    if (data === zeroSector && !keepZeros && isZero(file.durable[index]) && !file.sectors.has(index)) {
      if (file.durable[index] === undefined) durableOf(file, index)[index] = zeroSector
      continue
    }
    addVersion(file, index, { at, data, cut: false, clean: false })
  }
  const end = position + bytes
  if (end > file.size) resize(file, end, at, true)
  else if (end > sizeToCome(file)) file.sizes.push({ at, size: end, byWrite: true, clean: false })
}

/** What a sync that succeeds would make of the size: where a failed one lost it, only what was written again since. */
function sizeToCome(file: FileState): number {
  const lost = file.sizes.findLastIndex(({ clean }) => clean)
  return lost < 0 ? file.size : (file.sizes.slice(lost + 1).at(-1)?.size ?? file.durableSize)
}

/** Cuts the file or lengthens it, as a change at `at`. */
export function truncateFile(file: FileState, size: number, at: number): void {
  if (size < file.size) {
    const kept = size % sectorBytes
    const boundary = Math.floor(size / sectorBytes)
    const data = sectorOf(file, boundary)
    if (kept > 0 && !isZero(data)) {
      const cut = new Uint8Array(sectorBytes)
      cut.set((data as Uint8Array).subarray(0, kept))
      addVersion(file, boundary, { at, data: cut, cut: false, clean: false })
    }
    const indexes = file.size / sectorBytes
    for (let index = kept > 0 ? boundary + 1 : boundary; index < indexes; index++) {
      if (file.sectors.has(index) || file.durable[index] !== undefined) {
        addVersion(file, index, { at, data: undefined, cut: true, clean: false })
      }
    }
  }
  if (size !== file.size) resize(file, size, at, false)
}

/** A sync that succeeds: all changes up to `upTo` are durable, those marked clean apart. */
export function syncFile(file: FileState, upTo: number): void {
  for (const index of [...file.sectors.keys()]) settleSector(file, index, upTo)
  const newest = newestUpTo(file.sizes, upTo)
  const version = file.sizes[newest]
  if (version === undefined || version.clean) return
  file.durableSize = version.size
  file.sizes = file.sizes.slice(newest + 1)
  if (file.sizes.length === 0 && file.size !== file.durableSize) {
    // A failed sync lost the rest, and only so much was written again.
    file.sizes.push({ at: version.at, size: file.size, byWrite: true, clean: true })
  }
}

/** A write that goes through to the disk: its sectors are durable, and the size if it is needed to read them back. */
export function syncRange(file: FileState, position: number, bytes: number, upTo: number): void {
  if (bytes === 0) return
  const end = position + bytes
  for (let index = Math.floor(position / sectorBytes); index * sectorBytes < end; index++) settleSector(file, index, upTo)
  file.durableSize = Math.max(file.durableSize, end)
  const sizes = file.sizes.filter(({ size }) => size >= end)
  file.sizes = sizes.some(({ size }) => size !== file.durableSize) ? sizes : []
}

/** A failed sync as on ext4 and XFS: what was to be written is marked clean. Cuts are kept in the journal, still to come. */
export function markClean(file: FileState, upTo: number): void {
  for (const [index, versions] of file.sectors) {
    file.sectors.set(
      index,
      versions.map((version) => (version.at <= upTo && !version.cut ? { ...version, clean: true } : version)),
    )
  }
  file.sizes = file.sizes.map((version) => (version.at <= upTo && version.byWrite ? { ...version, clean: true } : version))
}

/** A failed sync as on Btrfs: what was to be written is forgotten, and the old bytes are back. */
export function revertFile(file: FileState, upTo: number): void {
  for (const [index, versions] of file.sectors) {
    const later = versions.filter((version) => version.at > upTo)
    if (later.length === 0) file.sectors.delete(index)
    else file.sectors.set(index, later)
  }
  file.sizes = file.sizes.filter((version) => version.at > upTo)
  file.size = file.sizes.at(-1)?.size ?? file.durableSize
}

/** Lets a name lead to `id`, or to nothing, as a change at `at`. */
export function changeName(
  directory: DirectoryState,
  name: string,
  id: number | undefined,
  at: number,
  movedTo?: string,
): void {
  if (id === undefined) directory.names.delete(name)
  else directory.names.set(name, id)
  directory.changes.set(name, [...(directory.changes.get(name) ?? []), { at, id, movedTo }])
}

/** All changes of names up to `upTo` are durable. */
export function syncNames(directory: DirectoryState, upTo: number): void {
  for (const [name, versions] of [...directory.changes]) {
    const newest = newestUpTo(versions, upTo)
    const version = versions[newest]
    if (version === undefined) continue
    setName(directory.durable, name, version.id)
    if (newest + 1 === versions.length) directory.changes.delete(name)
    else directory.changes.set(name, versions.slice(newest + 1))
  }
}

export function setName(names: Map<string, number>, name: string, id: number | undefined): void {
  if (id === undefined) names.delete(name)
  else names.set(name, id)
}

export function isZero(data: Sector): boolean {
  return data === undefined || data === zeroSector
}

export function sameBytes(a: Sector, b: Sector): boolean {
  return a === b || Buffer.compare(a ?? zeroSector, b ?? zeroSector) === 0
}

/** The sectors `first` to `last` as they are once the pieces are written. */
function imageOf(
  file: FileState,
  pieces: readonly Uint8Array[],
  position: number,
  bytes: number,
  first: number,
  last: number,
): Uint8Array {
  const image = new Uint8Array((last - first + 1) * sectorBytes)
  const start = first * sectorBytes
  const before = sectorOf(file, first)
  if (before !== undefined && before !== zeroSector) image.set(before)
  const behind = sectorOf(file, last)
  if (last !== first && behind !== undefined && behind !== zeroSector) image.set(behind, (last - first) * sectorBytes)
  let at = position - start
  let left = bytes
  for (const piece of pieces) {
    if (left === 0) break
    const part = piece.byteLength <= left ? piece : piece.subarray(0, left)
    image.set(part, at)
    at += part.byteLength
    left -= part.byteLength
  }
  return image
}

function withZerosShared(data: Uint8Array): Uint8Array {
  return data[0] === 0 && Buffer.compare(data, zeroSector) === 0 ? zeroSector : data
}

function addVersion(file: FileState, index: number, version: SectorVersion): void {
  const versions = file.sectors.get(index)
  file.sectors.set(index, versions === undefined ? [version] : [...versions, version])
}

function resize(file: FileState, size: number, at: number, byWrite: boolean): void {
  file.size = size
  file.sizes.push({ at, size, byWrite, clean: false })
}

/** Makes the newest version up to `upTo` the durable one. Marked clean, it is passed over, and so are those before it. */
function settleSector(file: FileState, index: number, upTo: number): void {
  const versions = file.sectors.get(index)
  if (versions === undefined) return
  const newest = newestUpTo(versions, upTo)
  const version = versions[newest]
  if (version === undefined || version.clean) return
  durableOf(file, index)[index] = version.data
  if (newest + 1 === versions.length) file.sectors.delete(index)
  else file.sectors.set(index, versions.slice(newest + 1))
}

/** The durable sectors, for changing number `index`: without holes, which would make the array slow. */
function durableOf(file: FileState, index: number): Sector[] {
  if (file.durableOwner !== file.owner) {
    file.durable = file.durable.slice()
    file.durableOwner = file.owner
  }
  while (file.durable.length < index) file.durable.push(undefined)
  return file.durable
}

function newestUpTo(versions: readonly { readonly at: number }[], upTo: number): number {
  let index = versions.length - 1
  while (index >= 0 && (versions[index]?.at ?? 0) > upTo) index--
  return index
}
