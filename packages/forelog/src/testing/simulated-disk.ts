/**
 * A disk in memory that knows what was synced, and can crash.
 *
 * The blocking calls are the implementation. One that is not blocking is called, waits (a microtask, or its latency on
 * a clock of the disk's own), takes effect, and settles; so calls overlap, and a crash can come between. A sync covers
 * what had taken effect when it was called.
 */
import { isNoSpace, reasonOf, WalError } from '../errors.js'
import type { FileLock, FileSystem, LockState, OpenFile, OpenFileOptions } from '../files/file-system.js'
import {
  type CrashMode,
  crashModes,
  type CrashOutcome,
  CrashPlan,
  type PieceCounts,
  type UnwrittenBytes,
} from './crash-plan.js'
import { type BegunCall, type CallHook, checkFault, DiskCore, type DiskBehaviour, namesOf, rootId } from './disk-core.js'
import {
  changeName,
  type DirectoryState,
  type InodeState,
  readBytes,
  type Sector,
  sectorBytes,
  syncFile,
  syncNames,
  truncateFile,
  writeBytes,
} from './disk-state.js'
import { type CallKind, type DiskCall, type Fault, SimulatedCrash, systemError } from './faults.js'
import { deriveSeed, Random, randomSeed } from './random.js'
import { SimulatedFile } from './simulated-file.js'

/** How a {@link SimulatedDisk} is made. */
export interface SimulatedDiskOptions extends DiskBehaviour {
  /** For all that is left to chance. Default: a random one; {@link SimulatedDisk.seed} tells it. */
  readonly seed?: number
  /** Directories that are there from the start, durably, with those above them. */
  readonly directories?: readonly string[]
  /** Space for the bytes of files, in bytes, counted in whole sectors. Default: no limit. */
  readonly capacityBytes?: number
  /** See {@link SimulatedDisk.onCall}. */
  readonly onCall?: CallHook
}

/** A choice that gives the same disk each time: a mode decided by a seed, or one of all outcomes, by its number. */
export type ExactCrashChoice = { readonly mode: CrashMode; readonly seed: number } | { readonly outcome: number }

/** Which of the outcomes of a crash. A mode without a seed takes the next of the disk's own. */
export type CrashChoice = CrashMode | ExactCrashChoice

/** How a disk came out of a crash. */
export interface DiskOrigin extends CrashOutcome {
  /** The choice that gives this disk again. */
  readonly choice: ExactCrashChoice
}

/** All that a crash could leave. */
export interface CrashOutcomes extends Iterable<SimulatedDisk> {
  /** How many there are. */
  readonly count: number
  /** What is not durable. */
  readonly unsynced: PieceCounts
  /** Number `index` of them, from 0: the same as `afterCrash({ outcome: index })`. A RangeError if there is none. */
  at(index: number): SimulatedDisk
}

const defaultOutcomeLimit = 65_536
const powerCuts = crashModes.filter((mode): mode is Exclude<CrashMode, 'process'> => mode !== 'process')

/**
 * A {@link FileSystem} in memory that knows what was synced, and crashes: of what was not, any part is lost. It can also
 * fail at any call, run full, and be slow.
 *
 * It assumes of a disk what the log assumes: a sector of 512 bytes is written whole or not at all, in any order with
 * others; names are durable once their directory is synced, before that in any subset; what a successful sync covered
 * stays.
 *
 * @example
 * ```ts
 * const disk = new SimulatedDisk({ seed: 1, directories: ['/data'] })
 * const file = disk.openSync('/data/a', { access: 'create' })
 * file.writeSync([new TextEncoder().encode('hello')], 0)
 * file.syncSync()
 * const after = disk.crash('none') // power fails; all that was not synced is lost
 * after.listSync('/data') // []: the directory was not synced
 * ```
 */
export class SimulatedDisk implements FileSystem {
  /** What everything left to chance is decided by. */
  readonly seed: number
  #core: DiskCore
  #origin: DiskOrigin | undefined
  #choices = 0
  /** The outcomes of a revision, as they were last asked for by number. */
  #numbered: { readonly revision: number; readonly outcomes: CrashOutcomes } | undefined

  constructor(options: SimulatedDiskOptions = {}) {
    const { seed = randomSeed(), directories = [], capacityBytes, onCall, ...behaviour } = options
    this.seed = seed
    this.#core = new DiskCore(behaviour)
    this.#core.capacityBytes = capacityBytes
    this.#core.onCall = onCall
    for (const directory of directories) this.#placeDirectory(namesOf(directory))
  }

  // ── crashes

  /** What the crash was that this disk came out of; undefined if it is no such disk. */
  get origin(): DiskOrigin | undefined {
    return this.#origin
  }

  /** Whether it has crashed: every call on it, its files and its locks then fails with a {@link SimulatedCrash}. */
  get crashed(): boolean {
    return this.#core.crashed
  }

  /**
   * Crashes: this disk, its open files and its locks are dead, and calls under way fail. Returns the disk that is found
   * afterwards, without handles, locks, faults and hook. Default: one of the modes but `'process'`, by the disk's seed.
   *
   * @example
   * ```ts
   * const after = disk.crash({ mode: 'torn', seed: 7 })
   * console.log(after.origin) // what it met, and what it took
   * ```
   */
  crash(choice?: CrashChoice): SimulatedDisk {
    const after = this.afterCrash(choice)
    this.#core.crashed = true
    return after
  }

  /** The disk that {@link SimulatedDisk.crash} would return; this one lives on, and neither sees what the other does. */
  afterCrash(choice?: CrashChoice): SimulatedDisk {
    if (this.#core.crashed) throw new SimulatedCrash()
    const exact = this.#exactly(choice)
    const plan = new CrashPlan(this.#core.inodes, rootId)
    if ('outcome' in exact) return this.#outcomesByNumber().at(exact.outcome)
    const { mode, seed } = exact
    if (mode === 'process') {
      const lost = { sectors: 0, sizes: 0, cuts: 0, names: 0 }
      return this.#derive(this.#core.copy(), { choice: exact, unsynced: plan.unsynced, lost, tornWrites: 0 })
    }
    const random = new Random(seed)
    plan.decide(mode, random)
    return this.#carryOut(this.#core, plan, exact, random)
  }

  /**
   * Everything that a power cut could leave: all subsets of what {@link SimulatedDisk.unsynced} counts. Left out is what
   * could not be seen: versions of a sector with the same bytes, sectors behind the size, files without a name. They are
   * of the moment of this call.
   *
   * @throws RangeError when there are more than `limit` (default 65,536), before any is made; it names what is unsynced
   * @example
   * ```ts
   * const outcomes = disk.outcomes()
   * console.log(`${outcomes.count} outcomes`)
   * for (const after of outcomes) await check(after)
   * ```
   */
  outcomes({ limit = defaultOutcomeLimit }: { readonly limit?: number } = {}): CrashOutcomes {
    if (this.#core.crashed) throw new SimulatedCrash()
    const still = this.#core.copy()
    const plan = new CrashPlan(still.inodes, rootId)
    const planned = plan.outcomes(limit)
    const { unsynced } = plan
    if (planned === undefined) {
      const { sectors, sizes, cuts, names } = unsynced
      throw new RangeError(
        `a crash here has more than ${limit} outcomes: ${sectors} sectors, ${sizes} sizes, ${cuts} cuts and ${names} ` +
          'names are not durable. Raise the limit, or leave it to chance: afterCrash({ mode, seed }).',
      )
    }
    const at = (index: number): SimulatedDisk => {
      planned.decide(index)
      return this.#carryOut(still, plan, { outcome: index }, new Random(index))
    }
    return {
      count: planned.count,
      unsynced,
      at,
      *[Symbol.iterator]() {
        for (let index = 0; index < planned.count; index++) yield at(index)
      },
    }
  }

  /** What is not durable now. */
  unsynced(): PieceCounts {
    return new CrashPlan(this.#core.inodes, rootId).unsynced
  }

  /** The same disk without handles, locks, faults and hook, as another process finds it. Neither sees what the other does. */
  copy(): SimulatedDisk {
    return this.#derive(this.#core.copy(), this.#origin)
  }

  // ── failures

  /**
   * Plays a failure at a later call.
   *
   * @example
   * ```ts
   * disk.fail({ kind: 'dataSync', at: 3, code: 'EIO', syncFailure: 'btrfs' })
   * disk.fail({ kind: 'write', bytes: 100 }) // the next write takes at most 100 bytes, and says so
   * disk.fail({ kind: 'open', code: 'EMFILE', times: Infinity })
   * ```
   */
  fail(fault: Fault): void {
    this.#core.fail(fault)
  }

  /** Takes back all failures that have not come yet, or would come again. */
  heal(): void {
    this.#core.heal()
  }

  /** How many calls met a failure of {@link SimulatedDisk.fail}. */
  get faultsTold(): number {
    return this.#core.faultsTold
  }

  /** How many files are open: 0 once everything is closed. */
  get openFiles(): number {
    return this.#core.openHandles
  }

  /** Space for the bytes of files, in bytes; undefined: no limit. May be changed at any time. */
  get capacityBytes(): number | undefined {
    return this.#core.capacityBytes
  }

  set capacityBytes(bytes: number | undefined) {
    this.#core.capacityBytes = bytes
  }

  // ── watching

  /**
   * Told of each call, before and after it; it may copy the disk or crash it.
   *
   * @example
   * ```ts
   * let after: SimulatedDisk | undefined
   * disk.onCall = ({ number }, moment) => {
   *   if (number === 17 && moment === 'after') after = disk.crash('none')
   * }
   * ```
   */
  get onCall(): CallHook | undefined {
    return this.#core.onCall
  }

  set onCall(hook: CallHook | undefined) {
    this.#core.onCall = hook
  }

  /** All calls so far, if the option `journal` is set; else empty. */
  get journal(): readonly DiskCall[] {
    return this.#core.journal
  }

  /** How many calls were made. */
  get calls(): number {
    return this.#core.calls
  }

  /** Differs when what a crash could leave has changed; never goes back. */
  get revision(): number {
    return this.#core.revision
  }

  /** A file's bytes as everybody sees them now; not counted as a call. Fails with `ENOENT`, `EISDIR`. */
  contents(path: string): Uint8Array {
    const file = this.#core.file(this.#fileId(path, 'read'))
    const bytes = new Uint8Array(file.size)
    readBytes(file, bytes, 0)
    return bytes
  }

  /** Puts a file there, durably, in place of what was there, with all directories above it; not counted as a call. */
  place(path: string, bytes: Uint8Array): void {
    const names = namesOf(path)
    const name = nameOf(names, path)
    const directory = this.#core.directoryToChange(this.#placeDirectory(names.slice(0, -1)))
    const id = directory.names.get(name) ?? this.#core.addFile()
    if (this.#core.inodes.get(id)?.kind === 'directory') throw systemError('EISDIR', { kind: 'open', path })
    const file = this.#core.fileToChange(id)
    truncateFile(file, 0, this.#core.nextMoment())
    writeBytes(file, [bytes], 0, bytes.byteLength, this.#core.nextMoment(), true)
    syncFile(file, Infinity)
    changeName(directory, name, id, this.#core.nextMoment())
    directory.durable.set(name, id)
    directory.changes.delete(name)
  }

  // ── FileSystem: names

  list(directory: string): Promise<string[]> {
    return this.#core.later({ kind: 'list', path: directory }, (begun) => this.#list(begun))
  }

  listSync(directory: string): string[] {
    return this.#core.now({ kind: 'list', path: directory }, (begun) => this.#list(begun))
  }

  makeDirectory(directory: string, _mode?: number): Promise<void> {
    return this.#core.later({ kind: 'makeDirectory', path: directory }, (begun) => this.#makeDirectory(begun))
  }

  makeDirectorySync(directory: string, _mode?: number): void {
    this.#core.now({ kind: 'makeDirectory', path: directory }, (begun) => this.#makeDirectory(begun))
  }

  syncDirectory(directory: string): Promise<void> {
    return this.#core.later({ kind: 'syncDirectory', path: directory }, (begun) => this.#syncDirectory(begun))
  }

  syncDirectorySync(directory: string): void {
    this.#core.now({ kind: 'syncDirectory', path: directory }, (begun) => this.#syncDirectory(begun))
  }

  /** Only within a directory: else `EXDEV`. */
  rename(from: string, to: string): Promise<void> {
    return this.#core.later({ kind: 'rename', path: from, to }, (begun) => this.#rename(begun, to))
  }

  renameSync(from: string, to: string): void {
    this.#core.now({ kind: 'rename', path: from, to }, (begun) => this.#rename(begun, to))
  }

  remove(path: string): Promise<void> {
    return this.#core.later({ kind: 'remove', path }, (begun) => this.#remove(begun))
  }

  removeSync(path: string): void {
    this.#core.now({ kind: 'remove', path }, (begun) => this.#remove(begun))
  }

  // ── FileSystem: files and locks

  open(path: string, options: OpenFileOptions): Promise<OpenFile> {
    return this.#core.later({ kind: 'open', path, access: options.access }, (begun) => this.#open(begun, options))
  }

  openSync(path: string, options: OpenFileOptions): OpenFile {
    return this.#core.now({ kind: 'open', path, access: options.access }, (begun) => this.#open(begun, options))
  }

  /** As the interface says; leaves no file behind. The lock ends with a crash. */
  lock(path: string, _mode?: number): Promise<FileLock> {
    return this.#core.later({ kind: 'lock', path }, (begun) => this.#lock(begun))
  }

  /** As the interface says; no call of a disk, so it neither fails nor counts. */
  async examineLock(path: string): Promise<LockState> {
    return { held: this.#core.locks.has(namesOf(path).join('/')), holder: {} }
  }

  // ── how it is done

  #exactly(choice: CrashChoice | undefined): ExactCrashChoice {
    if (typeof choice === 'object') return choice
    const seed = deriveSeed(this.seed, this.#choices++)
    return { mode: choice ?? new Random(seed).pick(powerCuts), seed }
  }

  #outcomesByNumber(): CrashOutcomes {
    const { revision } = this.#core
    if (this.#numbered?.revision !== revision) this.#numbered = { revision, outcomes: this.outcomes({ limit: Infinity }) }
    return this.#numbered.outcomes
  }

  #carryOut(core: DiskCore, plan: CrashPlan, choice: ExactCrashChoice, random: Random): SimulatedDisk {
    const unwritten = core.behaviour.unwritten === 'old-bytes' ? oldBytes(core, random) : undefined
    const { inodes, outcome } = plan.carryOut(unwritten)
    return this.#derive(core.copy(inodes), { choice, ...outcome })
  }

  #derive(core: DiskCore, origin: DiskOrigin | undefined): SimulatedDisk {
    const disk = new SimulatedDisk({ seed: deriveSeed(this.seed, 0x5eed) })
    disk.#core = core
    disk.#origin = origin
    return disk
  }

  /** The id of a directory, which is made durably if it isn't there. */
  #placeDirectory(names: readonly string[]): number {
    let id = rootId
    for (const name of names) {
      const above = this.#core.directoryToChange(id)
      id = above.names.get(name) ?? this.#core.addDirectory()
      above.names.set(name, id)
      above.durable.set(name, id)
      above.changes.delete(name)
    }
    return id
  }

  #list({ call, fault, upTo }: BegunCall): string[] {
    checkFault({ call, fault, upTo })
    const { names } = this.#core.inodes.get(this.#directoryId(call.path, call.kind)) as DirectoryState
    // In no order that anybody could come to rely on.
    return [...names.keys()].sort((a, b) => hashOf(a) - hashOf(b))
  }

  #makeDirectory(begun: BegunCall): void {
    checkFault(begun)
    const { path, kind } = begun.call
    let id = rootId
    for (const name of namesOf(path)) {
      const above = this.#core.inodes.get(id)
      if (above?.kind !== 'directory') throw systemError('ENOTDIR', { kind, path })
      const found = above.names.get(name)
      if (found === undefined) this.#checkRoom(begun)
      const below = found ?? this.#core.addDirectory()
      if (found === undefined) changeName(this.#core.directoryToChange(id), name, below, this.#core.nextMoment())
      id = below
    }
    if (this.#core.inodes.get(id)?.kind !== 'directory') throw systemError('EEXIST', { kind, path })
  }

  #syncDirectory(begun: BegunCall): void {
    checkFault(begun)
    const id = this.#directoryId(begun.call.path, begun.call.kind)
    if ((this.#core.inodes.get(id) as DirectoryState).changes.size === 0) return
    syncNames(this.#core.directoryToChange(id), begun.upTo)
    this.#core.dropUnreachable()
  }

  #rename(begun: BegunCall, to: string): void {
    checkFault(begun)
    const { kind, path } = begun.call
    const id = this.#fileId(path, kind)
    const { directory, name } = this.#placeOf(path, kind)
    const target = this.#placeOf(to, kind)
    if (target.directory !== directory) throw systemError('EXDEV', { kind, path })
    const replaced = this.#core.find(to)
    if (replaced === id) return
    if (replaced !== undefined) this.#fileId(to, kind)
    const state = this.#core.directoryToChange(directory)
    const at = this.#core.nextMoment()
    changeName(state, target.name, id, at)
    changeName(state, name, undefined, at, target.name)
  }

  #remove(begun: BegunCall): void {
    checkFault(begun)
    const { kind, path } = begun.call
    this.#fileId(path, kind)
    const { directory, name } = this.#placeOf(path, kind)
    changeName(this.#core.directoryToChange(directory), name, undefined, this.#core.nextMoment())
  }

  #open(begun: BegunCall, options: OpenFileOptions): OpenFile {
    checkFault(begun)
    const { path, kind } = begun.call
    if (options.access !== 'create') return new SimulatedFile(this.#core, this.#fileId(path, kind), path, options)
    const { directory, name } = this.#placeOf(path, kind)
    if (this.#core.find(path) !== undefined) throw systemError('EEXIST', { kind, path })
    this.#checkRoom(begun)
    const id = this.#core.addFile()
    changeName(this.#core.directoryToChange(directory), name, id, this.#core.nextMoment())
    return new SimulatedFile(this.#core, id, path, options)
  }

  #lock(begun: BegunCall): FileLock {
    const { path, kind } = begun.call
    const core = this.#core
    const key = namesOf(path).join('/')
    try {
      checkFault(begun)
      this.#placeOf(path, kind)
    } catch (cause) {
      const code = isNoSpace(cause) ? 'ERR_WAL_NO_SPACE' : 'ERR_WAL_WRITE_FAILED'
      throw new WalError(code, `Can't take the lock ${path}: ${reasonOf(cause)}.`, { path, cause })
    }
    if (core.locks.has(key)) {
      throw new WalError('ERR_WAL_LOCKED', `The lock ${path} is held on this simulated disk. Close what holds it.`, {
        path,
        holder: { pid: process.pid },
      })
    }
    core.locks.add(key)
    let released = false
    return {
      async release() {
        if (released) return
        released = true
        await core.later({ kind: 'release', path }, (release) => {
          core.locks.delete(key)
          checkFault(release)
        })
      },
    }
  }

  /** A new name needs room, too. */
  #checkRoom({ call }: BegunCall): void {
    if (this.#core.behaviour.lateAllocation !== true && this.#core.freeBytes() < sectorBytes) {
      throw systemError('ENOSPC', call)
    }
  }

  #fileId(path: string, kind: CallKind): number {
    const id = this.#core.find(path)
    if (id === undefined) throw systemError('ENOENT', { kind, path })
    if (this.#core.inodes.get(id)?.kind !== 'file') throw systemError('EISDIR', { kind, path })
    return id
  }

  #directoryId(path: string, kind: CallKind): number {
    const id = this.#core.find(path)
    if (id === undefined) throw systemError('ENOENT', { kind, path })
    if (this.#core.inodes.get(id)?.kind !== 'directory') throw systemError('ENOTDIR', { kind, path })
    return id
  }

  /** The directory that a name is in, or would be. */
  #placeOf(path: string, kind: CallKind): { directory: number; name: string } {
    const names = namesOf(path)
    let directory: number | undefined = rootId
    for (const name of names.slice(0, -1)) {
      const state: InodeState | undefined = directory === undefined ? undefined : this.#core.inodes.get(directory)
      directory = state?.kind === 'directory' ? state.names.get(name) : undefined
    }
    if (directory === undefined) throw systemError('ENOENT', { kind, path })
    if (this.#core.inodes.get(directory)?.kind !== 'directory') throw systemError('ENOTDIR', { kind, path })
    return { directory, name: nameOf(names, path) }
  }
}

function nameOf(names: readonly string[], path: string): string {
  const name = names.at(-1)
  if (name === undefined) throw systemError('EISDIR', { kind: 'open', path })
  return name
}

/** FNV-1a. */
function hashOf(text: string): number {
  let hash = 0x811c_9dc5
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x0100_0193)
  return hash >>> 0
}

const maxOldSectors = 256

/** What blocks held that files gave up: the bytes of any file on the disk, or rubbish. */
function oldBytes(core: DiskCore, random: Random): UnwrittenBytes {
  const sectors: Sector[] = []
  for (const state of core.inodes.values()) {
    if (state.kind === 'file') sectors.push(...state.durable.slice(0, maxOldSectors).filter((data) => data !== undefined))
  }
  return () => (sectors.length > 0 && random.chance(0.75) ? random.pick(sectors) : random.bytes(sectorBytes))
}
