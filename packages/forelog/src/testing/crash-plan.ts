/**
 * What a crash may leave: everything on a disk that is not durable yet, and for each piece which of its versions the
 * disk got. A plan is collected, decided (at random, in one of the modes; or by number, for all there are), and carried out.
 *
 * What is possible:
 *
 * - a sector has its durable bytes or any version, whatever its neighbours have;
 * - a cut (`truncate` to less) is kept whole or not at all; kept, it hides all older versions of what it cut off;
 * - the size is the durable one or any since, whatever the data is. Data behind it is gone; what lies in front and was
 *   never written reads as zeros (or, where the disk is told so, as old bytes). But a cut goes only with its size, or a
 *   later one: ext4 (ext4_setattr) and XFS (xfs_setattr_size) put the new size into the journal before a block is given
 *   back, Btrfs in the same transaction, so that nobody ever finds a file of the old size whose blocks are gone;
 * - a name leads where it durably did or where any change since let it lead, whatever other names do. But the old name
 *   of a rename goes only if the new one is there: of a rename comes nothing, both names, or the new one;
 * - a file that no name leads to is gone, and so is all in a directory whose own name is lost.
 */
import type { Random } from './random.js'
import {
  type DirectoryState,
  emptyDirectory,
  emptyFile,
  type FileState,
  type InodeState,
  isUnsynced,
  isZero,
  type NameVersion,
  type Owner,
  sameBytes,
  type Sector,
  sectorBytes,
  type SectorVersion,
  setName,
  type SizeVersion,
} from './disk-state.js'

/**
 * What a crash takes:
 *
 * - `'process'`: nothing; only the process dies, and the cache of the system lives on, unsynced as it is
 * - `'all'`: nothing, and all of it is durable now
 * - `'none'`: everything that is not durable
 * - `'random'`: each sector, size and name for itself keeps any of its versions
 * - `'prefix'`: all changes from some moment on
 * - `'all-but-one'`: a single sector, size or name
 * - `'torn'`: some sectors of one write, and what came after it
 * - `'reordered'`: what came before some moment, most of it; later changes are kept
 */
export const crashModes = ['process', 'all', 'none', 'random', 'prefix', 'all-but-one', 'torn', 'reordered'] as const

/** One of {@link crashModes}. */
export type CrashMode = (typeof crashModes)[number]

/** How many pieces of each kind something is about. */
export interface PieceCounts {
  readonly sectors: number
  readonly sizes: number
  readonly cuts: number
  readonly names: number
}

/** What a crash met and what it took. */
export interface CrashOutcome {
  /** Pieces that were not durable. */
  readonly unsynced: PieceCounts
  /** Those of them that don't have their newest version any more. */
  readonly lost: PieceCounts
  /** Writes of which some sectors were kept and some lost. */
  readonly tornWrites: number
}

/** A piece that is not durable, and which of its versions a crash leaves; -1: what was durable before. */
interface Piece<V extends { readonly at: number } = { readonly at: number }> {
  readonly kind: keyof PieceCounts
  readonly versions: readonly V[]
  chosen: number
}

interface FilePlan {
  readonly file: FileState
  readonly sectors: Map<number, Piece<SectorVersion>>
  readonly size: Piece<SizeVersion> | undefined
  readonly cuts: Map<number, Piece>
}

type NamePieces = Map<string, Piece<NameVersion>>

/** How a file can come out of a crash, for one set of kept cuts and one size: the versions of each sector that differ. */
interface FileFrame {
  readonly cuts: ReadonlySet<number>
  readonly size: number
  readonly sectors: readonly { readonly piece: Piece<SectorVersion>; readonly candidates: readonly number[] }[]
  readonly count: number
}

/** One way for all names to come out of a crash, the files that it leaves, and in how many ways those can come out. */
interface NameFrame {
  readonly choices: readonly { readonly piece: Piece<NameVersion>; readonly chosen: number }[]
  readonly files: readonly (readonly FileFrame[])[]
  readonly count: number
}

type Inodes = ReadonlyMap<number, InodeState>

/** What lies where nothing was ever written. */
export type UnwrittenBytes = () => Sector

export class CrashPlan {
  readonly #inodes: Inodes
  readonly #root: number
  readonly #files = new Map<number, FilePlan>()
  readonly #names = new Map<number, NamePieces>()
  readonly #pieces: Piece[] = []

  /** Collects what is not durable. The disk must not change until the plan is carried out. */
  constructor(inodes: Inodes, root: number) {
    this.#inodes = inodes
    this.#root = root
    for (const [id, state] of inodes) {
      if (state.kind === 'directory') this.#collectNames(id, state)
      else if (isUnsynced(state)) this.#collectFile(id, state)
    }
  }

  get unsynced(): PieceCounts {
    return count(this.#pieces, () => true)
  }

  /** Decides at random, as the mode says. */
  decide(mode: Exclude<CrashMode, 'process'>, random: Random): void {
    deciders[mode](this.#pieces, random)
    this.#keepRenamesSane()
    for (const plan of this.#files.values()) keepCutsSane(plan)
  }

  /** All outcomes, to be counted and decided by number; undefined when there are more than `limit`. */
  outcomes(limit: number): PlannedOutcomes | undefined {
    const frames: NameFrame[] = []
    let total = 0
    const files = new Map<number, readonly FileFrame[]>()
    for (const choices of this.#nameChoices([this.#root], [])) {
      for (const { piece, chosen } of choices) piece.chosen = chosen
      const left: (readonly FileFrame[])[] = []
      for (const id of this.#reachable()) {
        const plan = this.#files.get(id)
        if (plan === undefined) continue
        const framesOfFile = files.get(id) ?? framesOf(plan, limit)
        if (framesOfFile === undefined) return undefined
        files.set(id, framesOfFile)
        left.push(framesOfFile)
      }
      const ways = left.reduce((product, framesOfFile) => product * sum(framesOfFile), 1)
      total += ways
      if (total > limit) return undefined
      frames.push({ choices, files: left, count: ways })
    }
    return { count: total, decide: (index) => this.#decideOutcome(frames, index) }
  }

  /** The disk after the crash, and what the crash did to it. */
  carryOut(unwritten: UnwrittenBytes | undefined): {
    inodes: Map<number, InodeState>
    outcome: CrashOutcome
  } {
    const owner: Owner = {} // nobody's: whoever changes it copies it
    const inodes = new Map<number, InodeState>()
    for (const id of this.#reachable()) {
      const state = this.#inodes.get(id) as InodeState
      if (state.kind === 'directory') inodes.set(id, this.#directoryAfter(id, state, owner))
      else inodes.set(id, fileAfter(state, this.#files.get(id), owner, unwritten))
    }
    return { inodes, outcome: this.#outcome() }
  }

  #collectNames(id: number, directory: DirectoryState): void {
    if (directory.changes.size === 0) return
    const pieces: NamePieces = new Map()
    for (const [name, versions] of directory.changes) pieces.set(name, { kind: 'names', versions, chosen: -1 })
    this.#names.set(id, pieces)
    this.#pieces.push(...pieces.values())
  }

  #collectFile(id: number, file: FileState): void {
    const sectors = new Map<number, Piece<SectorVersion>>()
    const cuts = new Map<number, Piece>()
    for (const [index, versions] of file.sectors) {
      const piece: Piece<SectorVersion> = { kind: 'sectors', versions, chosen: -1 }
      sectors.set(index, piece)
      this.#pieces.push(piece)
      for (const { cut, at } of versions) {
        if (cut && !cuts.has(at)) cuts.set(at, { kind: 'cuts', versions: [{ at }], chosen: -1 })
      }
    }
    const size: Piece<SizeVersion> | undefined =
      file.sizes.length === 0 ? undefined : { kind: 'sizes', versions: file.sizes, chosen: -1 }
    if (size !== undefined) this.#pieces.push(size)
    this.#pieces.push(...cuts.values())
    this.#files.set(id, { file, sectors, size, cuts })
  }

  /** An old name that a rename took away comes back where the new one is lost. */
  #keepRenamesSane(): void {
    for (const pieces of this.#names.values()) {
      for (let changed = true; changed; ) {
        changed = false
        for (const piece of pieces.values()) {
          if (isSane(piece, pieces)) continue
          piece.chosen--
          changed = true
        }
      }
    }
  }

  #idOf(directory: DirectoryState, name: string, pieces: NamePieces | undefined): number | undefined {
    const piece = pieces?.get(name)
    if (piece === undefined || piece.chosen < 0) return directory.durable.get(name)
    return piece.versions[piece.chosen]?.id
  }

  #namesAfter(id: number, directory: DirectoryState): Map<string, number> {
    const pieces = this.#names.get(id)
    if (pieces === undefined) return directory.durable
    const names = new Map(directory.durable)
    for (const name of pieces.keys()) setName(names, name, this.#idOf(directory, name, pieces))
    return names
  }

  /** What names lead to, as decided. */
  #reachable(): Set<number> {
    const found = new Set([this.#root])
    for (const id of found) {
      const state = this.#inodes.get(id)
      if (state?.kind !== 'directory') continue
      for (const child of this.#namesAfter(id, state).values()) found.add(child) // the loop comes to it, too
    }
    return found
  }

  #directoryAfter(id: number, state: DirectoryState, owner: Owner): DirectoryState {
    if (!this.#names.has(id)) return state
    const durable = this.#namesAfter(id, state)
    return { ...emptyDirectory(owner), names: new Map(durable), durable }
  }

  #outcome(): CrashOutcome {
    let tornWrites = 0
    for (const plan of this.#files.values()) tornWrites += tornWritesOf(plan)
    return {
      unsynced: this.unsynced,
      lost: count(this.#pieces, (piece) => piece.chosen < piece.versions.length - 1),
      tornWrites,
    }
  }

  /** Every way for the names in these directories, and in those below that then exist, to come out. */
  *#nameChoices(directories: readonly number[], made: NameFrame['choices']): Generator<NameFrame['choices']> {
    const [id, ...rest] = directories
    if (id === undefined) {
      yield made
      return
    }
    const state = this.#inodes.get(id) as DirectoryState
    const pieces: NamePieces = this.#names.get(id) ?? new Map<string, Piece<NameVersion>>()
    for (const choices of choicesOf([...pieces.values()])) {
      for (const { piece, chosen } of choices) piece.chosen = chosen
      if (![...pieces.values()].every((piece) => isSane(piece, pieces))) continue
      const below = [...this.#namesAfter(id, state).values()].filter((child) => this.#inodes.get(child)?.kind === 'directory')
      yield* this.#nameChoices([...rest, ...below], [...made, ...choices])
    }
  }

  #decideOutcome(frames: readonly NameFrame[], index: number): void {
    for (const piece of this.#pieces) piece.chosen = -1
    const { item: names, rest } = locate(frames, index)
    for (const { piece, chosen } of names.choices) piece.chosen = chosen
    const reachable = this.#reachable()
    const plans = [...reachable].flatMap((id) => this.#files.get(id) ?? [])
    let left = rest
    for (const [order, framesOfFile] of names.files.entries()) {
      const ways = sum(framesOfFile)
      decideFile(plans[order] as FilePlan, framesOfFile, left % ways)
      left = Math.floor(left / ways)
    }
  }
}

/** All outcomes of a plan. */
export interface PlannedOutcomes {
  readonly count: number
  /** Decides the plan as outcome number `index`, from 0. */
  decide(index: number): void
}

type Decider = (pieces: readonly Piece[], random: Random) => void

const deciders: Record<Exclude<CrashMode, 'process'>, Decider> = {
  all: (pieces) => keepUpTo(pieces, Infinity),
  none: (pieces) => keepUpTo(pieces, -Infinity),

  random(pieces, random) {
    // Fair coins alone would leave neither nearly all nor nearly nothing of a long list.
    const kept = random.pick([0.05, 0.3, 0.5, 0.7, 0.95])
    const nothing = random.pick([0, 0.5, 1])
    for (const piece of pieces) {
      const newest = piece.versions.length - 1
      if (random.chance(kept)) piece.chosen = newest
      else piece.chosen = random.chance(nothing) ? -1 : random.below(newest + 1) - 1
    }
  },

  prefix: (pieces, random) => keepUpTo(pieces, aMoment(pieces, random)),

  'all-but-one'(pieces, random) {
    keepUpTo(pieces, Infinity)
    if (pieces.length === 0) return
    const piece = random.pick(pieces)
    piece.chosen = random.below(piece.versions.length) - 1
  },

  torn(pieces, random) {
    const at = aWriteOfSeveralSectors(pieces, random)
    if (at === undefined) return deciders.random(pieces, random)
    keepUpTo(pieces, at)
    const touched = pieces.filter((piece) => piece.versions[piece.chosen]?.at === at)
    const sectors = touched.filter(({ kind }) => kind === 'sectors')
    const lost = random.pick(sectors)
    const kept = random.pick(sectors.filter((piece) => piece !== lost))
    for (const piece of touched) {
      if (piece === lost || (piece !== kept && random.chance(0.5))) piece.chosen--
    }
  },

  reordered(pieces, random) {
    const moment = aMoment(pieces, random)
    const kept = random.pick([0, 0, 0.3])
    for (const piece of pieces) {
      const newest = piece.versions.length - 1
      const late = (piece.versions[newest]?.at ?? 0) >= moment
      piece.chosen = late || random.chance(kept) ? newest : -1
    }
  },
}

function keepUpTo(pieces: readonly Piece[], moment: number): void {
  for (const piece of pieces) {
    piece.chosen = piece.versions.length - 1
    while (piece.chosen >= 0 && (piece.versions[piece.chosen]?.at ?? 0) > moment) piece.chosen--
  }
}

function aMoment(pieces: readonly Piece[], random: Random): number {
  if (pieces.length === 0) return 0
  return random.pick(random.pick(pieces).versions).at
}

function aWriteOfSeveralSectors(pieces: readonly Piece[], random: Random): number | undefined {
  const sectorsOfWrite = new Map<number, number>()
  for (const { kind, versions } of pieces) {
    if (kind !== 'sectors') continue
    for (const version of versions as readonly SectorVersion[]) {
      if (!version.cut) sectorsOfWrite.set(version.at, (sectorsOfWrite.get(version.at) ?? 0) + 1)
    }
  }
  const writes = [...sectorsOfWrite].flatMap(([at, sectors]) => (sectors > 1 ? [at] : []))
  return writes.length === 0 ? undefined : random.pick(writes)
}

function isSane(piece: Piece<NameVersion>, pieces: NamePieces): boolean {
  const version = piece.versions[piece.chosen]
  if (version?.movedTo === undefined) return true
  const target = pieces.get(version.movedTo)
  // Synced in the meantime, but not this: can't be, one sync covers both.
  if (target === undefined) return true
  return (target.versions[target.chosen]?.at ?? -1) >= version.at
}

/** No cut without its size, or a later one. */
function keepCutsSane({ size, cuts }: FilePlan): void {
  if (size === undefined) return
  const chosenAt = size.versions[size.chosen]?.at ?? -1
  for (const [at, cut] of cuts) if (chosenAt < at && size.versions.some((version) => version.at >= at)) cut.chosen = -1
}

/** The sizes that go with a set of kept cuts: that of the newest of them, and what came later. */
function sizesFor({ file, size }: FilePlan, kept: ReadonlySet<number>): Set<number> {
  const newestCut = Math.max(-1, ...kept)
  const later = (size?.versions ?? []).filter(({ at }) => at >= newestCut)
  const durable = kept.size === 0 || later.length === 0 ? [file.durableSize] : []
  return new Set([...durable, ...later.map((version) => version.size)])
}

function count(pieces: readonly Piece[], counts: (piece: Piece) => boolean): PieceCounts {
  const result = { sectors: 0, sizes: 0, cuts: 0, names: 0 }
  for (const piece of pieces) if (counts(piece)) result[piece.kind]++
  return result
}

function tornWritesOf(plan: FilePlan): number {
  const seen = new Map<number, number>()
  for (const { versions, chosen } of plan.sectors.values()) {
    for (const [index, { at, cut }] of versions.entries()) {
      if (!cut) seen.set(at, (seen.get(at) ?? 0) | (index <= chosen ? 1 : 2))
    }
  }
  let torn = 0
  for (const bits of seen.values()) if (bits === 3) torn++
  return torn
}

function fileAfter(
  file: FileState,
  plan: FilePlan | undefined,
  owner: Owner,
  unwritten: UnwrittenBytes | undefined,
): FileState {
  if (plan === undefined) return file
  const { size: sizePiece, sectors, cuts } = plan
  const size = sizePiece?.versions[sizePiece.chosen]?.size ?? file.durableSize
  const durable = file.durable.slice(0, Math.ceil(size / sectorBytes))
  while (durable.length * sectorBytes < size) durable.push(undefined)
  for (const [index, piece] of sectors) {
    if (index < durable.length) durable[index] = sectorAfter(file.durable[index], piece, cuts)
  }
  if (unwritten !== undefined) {
    for (const [index, { versions, chosen }] of sectors) {
      const neverArrived = versions.some(({ cut }, version) => version > chosen && !cut)
      if (index < durable.length && neverArrived) durable[index] ??= unwritten()
    }
  }
  cutTail(durable, size)
  return { ...emptyFile(owner), durable, durableSize: size, size }
}

function sectorAfter(durable: Sector, piece: Piece<SectorVersion>, cuts: ReadonlyMap<number, Piece>): Sector {
  const { versions, chosen } = piece
  const isKept = ({ cut, at }: SectorVersion): boolean => cut && cuts.get(at)?.chosen === 0
  if (versions.findLastIndex(isKept) > chosen) return undefined
  for (let index = chosen; index >= 0; index--) {
    const version = versions[index] as SectorVersion
    if (!version.cut || isKept(version)) return version.data
  }
  return durable
}

/** What lies behind the end reads as zeros once the file grows again. */
function cutTail(sectors: Sector[], size: number): void {
  const kept = size % sectorBytes
  const last = sectors.at(-1)
  if (kept === 0 || last === undefined || isZero(last)) return
  const cut = new Uint8Array(sectorBytes)
  cut.set(last.subarray(0, kept))
  sectors[sectors.length - 1] = cut
}

/** Every way for a file to come out; undefined when there are more than `limit`. */
function framesOf(plan: FilePlan, limit: number): readonly FileFrame[] | undefined {
  const frames: FileFrame[] = []
  const cuts = [...plan.cuts.keys()]
  let total = 0
  for (const kept of subsetsOf(cuts)) {
    for (const size of sizesFor(plan, kept)) {
      const sectors: FileFrame['sectors'][number][] = []
      let ways = 1
      for (const [index, piece] of plan.sectors) {
        if (index * sectorBytes >= size) continue
        const candidates = candidatesOf(plan.file.durable[index], piece.versions, kept)
        sectors.push({ piece, candidates })
        ways *= candidates.length
      }
      total += ways
      if (total > limit) return undefined
      frames.push({ cuts: kept, size, sectors, count: ways })
    }
  }
  return frames
}

/** The versions that a sector can come out with, each content once. */
function candidatesOf(durable: Sector, versions: readonly SectorVersion[], kept: ReadonlySet<number>): number[] {
  const dataOf = (index: number): Sector => (index < 0 ? durable : versions[index]?.data)
  const candidates = [versions.findLastIndex(({ cut, at }) => cut && kept.has(at))]
  for (let index = (candidates[0] as number) + 1; index < versions.length; index++) {
    if (versions[index]?.cut === true) continue
    if (!candidates.some((candidate) => sameBytes(dataOf(candidate), dataOf(index)))) candidates.push(index)
  }
  return candidates
}

function decideFile(plan: FilePlan, frames: readonly FileFrame[], index: number): void {
  const { item: frame, rest } = locate(frames, index)
  for (const [at, piece] of plan.cuts) piece.chosen = frame.cuts.has(at) ? 0 : -1
  if (plan.size !== undefined) plan.size.chosen = plan.size.versions.findLastIndex(({ size }) => size === frame.size)
  let left = rest
  for (const { piece, candidates } of frame.sectors) {
    piece.chosen = candidates[left % candidates.length] as number
    left = Math.floor(left / candidates.length)
  }
}

function locate<T extends { readonly count: number }>(items: readonly T[], index: number): { item: T; rest: number } {
  let rest = index
  for (const item of items) {
    if (rest < item.count) return { item, rest }
    rest -= item.count
  }
  throw new RangeError(`there is no outcome ${index}`)
}

function sum(frames: readonly { readonly count: number }[]): number {
  return frames.reduce((total, { count: ways }) => total + ways, 0)
}

function* subsetsOf(items: readonly number[]): Generator<ReadonlySet<number>> {
  for (let bits = 0; bits < 2 ** items.length; bits++) {
    yield new Set(items.filter((_, index) => Math.floor(bits / 2 ** index) % 2 === 1))
  }
}

/** Every way to choose a version of each piece. */
function* choicesOf(pieces: readonly Piece<NameVersion>[]): Generator<{ piece: Piece<NameVersion>; chosen: number }[]> {
  const [piece, ...rest] = pieces
  if (piece === undefined) {
    yield []
    return
  }
  for (let chosen = -1; chosen < piece.versions.length; chosen++) {
    for (const others of choicesOf(rest)) yield [{ piece, chosen }, ...others]
  }
}
