/**
 * The inside of a simulated disk: its state, and how every call on it runs.
 *
 *     begin   counted, told to the hook ('before'); a fault may be waiting for it; the moment is noted, for syncs
 *     wait    only where the call doesn't block
 *     finish  takes effect, or fails; told to the hook ('after')
 */
import { isAbsolute, parse, resolve, sep } from 'node:path'
import {
  allocatedSectors,
  type DirectoryState,
  emptyDirectory,
  emptyFile,
  type FileState,
  type InodeState,
  markClean,
  owned,
  type Owner,
  revertFile,
  sectorBytes,
  sectorOf,
} from './disk-state.js'
import { type CallKind, type DiskCall, type Fault, PendingFault, SimulatedCrash, type SyncFailure, systemError } from './faults.js'
import { VirtualClock } from './virtual-clock.js'

/**
 * When a hook is called: before a call does anything; when a write that goes through is in the cache, but not yet on
 * the disk; after a call took effect or failed, but before its caller knows.
 */
export type CallMoment = 'before' | 'during' | 'after'

/** Told of each call; it may crash the disk. */
export type CallHook = (call: DiskCall, moment: CallMoment) => void

/** How calls behave; a copy of a disk inherits it. */
export interface DiskBehaviour {
  /** A full disk is told by the sync, not by the write, as where space is allocated late. Default: false. */
  readonly lateAllocation?: boolean
  /** What a failed sync leaves, where the fault doesn't say. Default: `'ext4'`. */
  readonly syncFailure?: SyncFailure
  /** What stands, after a crash, within a file's size where no write ever arrived. Default: `'zeros'`. */
  readonly unwritten?: 'zeros' | 'old-bytes'
  /**
   * How long calls take that don't block, in ms of a clock of the disk's own: waiting costs no time, but shorter calls
   * overtake longer ones. 0 or absent: a microtask.
   */
  readonly latencyMs?: Partial<Readonly<Record<CallKind, number>>> | ((call: DiskCall) => number)
  /** Keep all calls in `journal`. Default: false. */
  readonly journal?: boolean
}

/** A call that began: what `finish` needs. */
export interface BegunCall {
  readonly call: DiskCall
  readonly fault: Fault | undefined
  /** The newest change when it began. */
  readonly upTo: number
}

/** What a call is, but for its number. */
export type CallFacts = Omit<DiskCall, 'number'>

/** A handle, as far as the core knows it. */
export interface Handle {
  /** Has the next sync by this handle fail, with that code. */
  tellLater(code: string): void
}

export const rootId = 0

export class DiskCore {
  readonly behaviour: DiskBehaviour
  readonly journal: DiskCall[] = []
  readonly locks: Set<string> = new Set()
  capacityBytes: number | undefined
  onCall: CallHook | undefined
  inodes: Map<number, InodeState>
  /** Counts the changes of what a crash could leave. */
  revision = 0
  calls = 0
  faultsTold = 0
  crashed = false
  readonly #clock = new VirtualClock()
  readonly #handles = new Map<number, Set<Handle>>()
  #faults: PendingFault[] = []
  #owner: Owner = {}
  #nextId = rootId + 1
  #moment = 0

  constructor(behaviour: DiskBehaviour) {
    this.behaviour = behaviour
    this.inodes = new Map<number, InodeState>([[rootId, emptyDirectory(this.#owner)]])
  }

  /** The same state, with other handles, locks and hooks: none. Costs next to nothing until one of both changes. */
  copy(inodes?: Map<number, InodeState>): DiskCore {
    this.#owner = {} // what both share belongs to neither any more
    const copy = new DiskCore(this.behaviour)
    copy.inodes = inodes ?? new Map(this.inodes)
    copy.#nextId = this.#nextId
    copy.#moment = this.#moment
    copy.capacityBytes = this.capacityBytes
    if (inodes === undefined) copy.dropUnreachable()
    return copy
  }

  // ── calls

  now<T>(facts: CallFacts, effect: (begun: BegunCall) => T): T {
    return this.#finish(this.#begin(facts), effect)
  }

  later<T>(facts: CallFacts, effect: (begun: BegunCall) => T): Promise<T> {
    return new Promise((settle, reject) => {
      const begun = this.#begin(facts)
      const finish = (): void => {
        try {
          settle(this.#finish(begun, effect))
        } catch (error) {
          reject(error)
        }
      }
      const delayMs = this.#latencyMs(begun.call)
      if (delayMs > 0) this.#clock.wait(delayMs, finish)
      else queueMicrotask(finish)
    })
  }

  tell(call: DiskCall, moment: CallMoment): void {
    this.onCall?.(call, moment)
    if (this.crashed) throw new SimulatedCrash()
  }

  fail(fault: Fault): void {
    this.#faults.push(new PendingFault(fault))
  }

  heal(): void {
    this.#faults = []
  }

  #begin(facts: CallFacts): BegunCall {
    if (this.crashed) throw new SimulatedCrash()
    const call: DiskCall = { number: ++this.calls, ...facts }
    if (this.behaviour.journal === true) this.journal.push(call)
    const fault = this.#faultOf(call)
    const upTo = this.#moment
    this.tell(call, 'before')
    return { call, fault, upTo }
  }

  #finish<T>(begun: BegunCall, effect: (begun: BegunCall) => T): T {
    if (this.crashed) throw new SimulatedCrash()
    try {
      return effect(begun)
    } finally {
      this.tell(begun.call, 'after')
    }
  }

  #faultOf(call: DiskCall): Fault | undefined {
    if (this.#faults.length === 0) return undefined
    const hits = this.#faults.filter((pending) => pending.hits(call)) // each counts its own calls
    this.#faults = this.#faults.filter(({ isOver }) => !isOver)
    if (hits.length > 0) this.faultsTold++
    return hits[0]?.fault
  }

  #latencyMs(call: DiskCall): number {
    const { latencyMs } = this.behaviour
    if (latencyMs === undefined) return 0
    return typeof latencyMs === 'function' ? latencyMs(call) : (latencyMs[call.kind] ?? 0)
  }

  // ── state

  /** The moment of a change that is now made. */
  nextMoment(): number {
    return ++this.#moment
  }

  file(id: number): FileState {
    return this.inodes.get(id) as FileState
  }

  fileToChange(id: number): FileState {
    return this.#toChange(this.file(id), id)
  }

  directoryToChange(id: number): DirectoryState {
    return this.#toChange(this.inodes.get(id) as DirectoryState, id)
  }

  addFile(): number {
    return this.#add(emptyFile(this.#owner))
  }

  addDirectory(): number {
    return this.#add(emptyDirectory(this.#owner))
  }

  /** The id that a path leads to, or undefined. */
  find(path: string): number | undefined {
    let id: number | undefined = rootId
    for (const name of namesOf(path)) {
      const state: InodeState | undefined = id === undefined ? undefined : this.inodes.get(id)
      id = state?.kind === 'directory' ? state.names.get(name) : undefined
    }
    return id
  }

  /** The files that anybody can reach, by a name or a handle. */
  filesInUse(): Set<number> {
    const ids = new Set(this.#handles.keys())
    for (const state of this.inodes.values()) {
      if (state.kind === 'directory') for (const id of state.names.values()) ids.add(id)
    }
    return new Set([...ids].filter((id) => this.inodes.get(id)?.kind === 'file'))
  }

  /** Forgets what no name leads to, neither one that is seen nor one that a crash could bring back. */
  dropUnreachable(): void {
    const kept = new Set([rootId, ...this.#handles.keys()])
    for (const state of this.inodes.values()) {
      if (state.kind !== 'directory') continue
      for (const id of state.names.values()) kept.add(id)
      for (const id of state.durable.values()) kept.add(id)
      for (const versions of state.changes.values()) for (const { id } of versions) if (id !== undefined) kept.add(id)
    }
    for (const id of this.inodes.keys()) if (!kept.has(id)) this.inodes.delete(id)
  }

  #toChange<T extends InodeState>(state: T, id: number): T {
    this.revision++
    const own = owned(state, this.#owner)
    if (own !== state) this.inodes.set(id, own)
    return own
  }

  #add(state: InodeState): number {
    const id = this.#nextId++
    this.inodes.set(id, state)
    return id
  }

  // ── handles

  get openHandles(): number {
    let handles = 0
    for (const { size } of this.#handles.values()) handles += size
    return handles
  }

  addHandle(id: number, handle: Handle): void {
    const handles = this.#handles.get(id)
    if (handles === undefined) this.#handles.set(id, new Set([handle]))
    else handles.add(handle)
  }

  removeHandle(id: number, handle: Handle): void {
    const handles = this.#handles.get(id)
    handles?.delete(handle)
    if (handles?.size === 0) this.#handles.delete(id)
  }

  // ── space and failing syncs

  /** Bytes that are still free; Infinity without a limit. */
  freeBytes(): number {
    if (this.capacityBytes === undefined) return Infinity
    let sectors = 0
    for (const id of this.filesInUse()) sectors += allocatedSectors(this.file(id))
    return this.capacityBytes - sectors * sectorBytes
  }

  /** How many of the bytes that are to be written there have room. */
  bytesWithRoom(file: FileState, position: number, bytes: number): number {
    let free = this.freeBytes()
    if (free === Infinity) return bytes
    for (let index = Math.floor(position / sectorBytes); index * sectorBytes < position + bytes; index++) {
      if (sectorOf(file, index) !== undefined) continue
      free -= sectorBytes
      if (free < 0) return Math.max(0, index * sectorBytes - position)
    }
    return bytes
  }

  /** Has a sync of a file fail: what is left of its bytes, and who hears of it besides `teller`. */
  failSync(id: number, failure: SyncFailure | undefined, upTo: number, code: string, teller: Handle): void {
    const what = failure ?? this.behaviour.syncFailure ?? 'ext4'
    if (what === 'retryable') return
    const file = this.fileToChange(id)
    if (what === 'btrfs') revertFile(file, upTo)
    else markClean(file, upTo)
    if (what === 'once') return
    for (const handle of this.#handles.get(id) ?? []) if (handle !== teller) handle.tellLater(code)
  }
}

const maxCachedPaths = 4096
const cachedNames = new Map<string, readonly string[]>()

/** The names along a path, from the root. */
export function namesOf(path: string): readonly string[] {
  const cached = cachedNames.get(path)
  if (cached !== undefined) return cached
  const full = resolve(path)
  const names = full.slice(parse(full).root.length).split(sep).filter((name) => name !== '')
  if (cachedNames.size >= maxCachedPaths) cachedNames.clear()
  if (isAbsolute(path)) cachedNames.set(path, names) // others depend on the working directory
  return names
}

/** Fails as the fault says, where it is one that fails a call as a whole. */
export function checkFault({ call, fault }: BegunCall): void {
  if (fault !== undefined) throw systemError(codeOf(fault), call)
}

export function codeOf(fault: Fault): string {
  return fault.code ?? 'EIO'
}
