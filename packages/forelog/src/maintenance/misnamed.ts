/**
 * Segments that lie in the directory under a name that is not theirs: exchanged, renamed, or called something else altogether. Their headers say what
 * they are, so names are all that has to be given back.
 */
import { basename, dirname, join } from 'node:path'
import { changedFileSystem, refusingFileSystem } from '../files/changed-file-system.js'
import type { FileSystem, OpenFileOptions } from '../files/file-system.js'
import { segmentName } from '../segments/segment-name.js'

/** A file, and the name that its header has. */
export interface Misnamed {
  readonly name: string
  readonly rightName: string
}

/** A whole header of the log, and the name of the file that begins with it. */
export interface NamedHeader {
  readonly name: string
  readonly segmentId: number
  readonly firstOffset: number
}

/**
 * Those whose right name is free, or will be: only one file has that header, and what has the name now has to go elsewhere, too.
 *
 * @param taken all names of segments and of files that are named like some
 */
export function findMisnamed(headers: readonly NamedHeader[], taken: readonly string[]): Misnamed[] {
  const all = headers.map(({ name, segmentId, firstOffset }): Misnamed => ({ name, rightName: segmentName(2, segmentId, firstOffset) }))
  let misnamed = all.filter(({ name, rightName }) => name !== rightName && all.every((other) => other.name === name || other.rightName !== rightName))
  for (;;) {
    const moving = new Set(misnamed.map(({ name }) => name))
    const free = misnamed.filter(({ rightName }) => moving.has(rightName) || !taken.includes(rightName))
    if (free.length === misnamed.length) return misnamed
    misnamed = free
  }
}

/**
 * The renames in an order in which none replaces a file. Where names go round in a circle, one file gets a name in between that is no segment's:
 * the log does not open beside it, and it says by its header what it is.
 */
export function orderRenames(misnamed: readonly Misnamed[], taken: readonly string[]): { readonly from: string; readonly to: string }[] {
  const renames: { from: string; to: string }[] = []
  const pending = [...misnamed]
  while (pending.length > 0) {
    const index = pending.findIndex(({ rightName }) => pending.every(({ name }) => name !== rightName))
    const [{ name, rightName }] = pending.splice(Math.max(index, 0), 1) as [Misnamed]
    if (index >= 0) {
      renames.push({ from: name, to: rightName })
      continue
    }
    let between = `${basename(rightName, '.wal')}.renaming.wal`
    while (taken.includes(between)) between = `again-${between}`
    renames.push({ from: name, to: between })
    pending.push({ name: between, rightName })
  }
  return renames
}

/** The directory as it would be with those names: for looking only. */
export function renamedView(fileSystem: FileSystem, directory: string, misnamed: readonly Misnamed[]): FileSystem {
  const rightNames = new Map(misnamed.map(({ name, rightName }) => [name, rightName]))
  const names = new Map(misnamed.map(({ name, rightName }) => [rightName, name]))
  const shown = (path: string, found: readonly string[]): string[] => found.map((name) => (path === directory ? rightNames.get(name) : undefined) ?? name)
  const placeOf = (path: string): string => {
    const name = names.get(basename(path))
    return name !== undefined && dirname(path) === directory ? join(directory, name) : path
  }
  const assertLooking = ({ access }: OpenFileOptions): void => {
    if (access !== 'read') throw new Error('a view can not be changed')
  }
  return changedFileSystem(refusingFileSystem, {
    list: async (path) => shown(path, await fileSystem.list(path)),
    listSync: (path) => shown(path, fileSystem.listSync(path)),
    open: async (path, options) => {
      assertLooking(options)
      return await fileSystem.open(placeOf(path), options)
    },
    openSync: (path, options) => {
      assertLooking(options)
      return fileSystem.openSync(placeOf(path), options)
    },
    examineLock: async (path) => (await fileSystem.examineLock?.(path)) ?? { held: undefined, holder: {} },
  })
}
