/**
 * `planRepair` and `repair`: what can be mended is mended, and what must go is copied first. Nothing is touched that the plan doesn't name.
 *
 * The order is that of the rules of writing (docs/FORMAT.md): every copy is durable before the first change; each change is synced
 * before the next; a name is dropped only when what makes it dead is durable. Whoever dies on the way leaves a log for which a plan
 * can be made again.
 */
import { randomBytes } from 'node:crypto'
import { basename, join } from 'node:path'
import type { EntrySource } from '../entries/define-entries.js'
import type { RawSource } from '../entries/raw-entries.js'
import { isNoSpace, WalError } from '../errors.js'
import { createDurably, DurableFile, listDirectory, removeFile, syncDirectory } from '../files/durable-file.js'
import { likeNeighbours } from '../files/alike-file-system.js'
import type { FileSystem } from '../files/file-system.js'
import { nodeFileSystem } from '../files/node-file-system.js'
import { adapterFor } from '../entries/entry-adapter.js'
import { crc32 } from '../format/checksum.js'
import { ControlChain, fromHex, saltBytes, segmentHeaderBytes } from '../format/control-record.js'
import { silentLogger } from '../logger.js'
import { checkNames, resolveDirectory } from '../options.js'
import { recoverFormat2 } from '../recovery/recover-format2.js'
import { FileWindow } from '../segments/file-window.js'
import { GroupWalker } from '../segments/group-walker.js'
import { lockName, parseSegmentName, quarantineName, type SegmentName, sortNames, temporarySuffix } from '../segments/segment-name.js'
import { SegmentSet } from '../segments/segment-set.js'
import { type LogEnd, SegmentWriter } from '../segments/segment-writer.js'
import { truncateBack } from '../segments/truncation.js'
import { runPooled, step, type Steps } from '../steps.js'
import type { Outline, OutlinedSegment } from './outline.js'
import { orderRenames, renamedView } from './misnamed.js'
import { behindRenames, type Keep, makePlan, planFaults, type RepairAction, type RepairPlan } from './repair-plan.js'
import type { Progress, VerifyReport } from './report.js'
import { type Examined, examineLog } from './verify.js'

/** Options of {@link planRepair}. */
export interface PlanRepairOptions<S extends EntrySource = RawSource> {
  /** What the log holds. Only format 1 needs it. */
  entries?: S
  /** What is kept where damage can't be mended: what stands in `'front'` of it, or at the `'back'`. Without it, a plan names the choices and takes none. */
  keep?: Keep
  onProgress?: (progress: Progress) => void
  signal?: AbortSignal
  fileSystem?: FileSystem
}

/** Options of {@link repair}. */
export interface RepairOptions<S extends EntrySource = RawSource> extends PlanRepairOptions<S> {
  /** A plan that was made and shown: `repair` refuses where it would do anything else by now. */
  plan?: RepairPlan
  /** Permission bits of created files and directories, before the umask. Default: those of the newest segment and of the log's directory. */
  fileMode?: number
  directoryMode?: number
}

/** What `repair` did. */
export interface RepairResult {
  readonly plan: RepairPlan
  /** Paths of the copies of what was taken out. */
  readonly quarantined: readonly string[]
  /** What `verify` finds afterwards. */
  readonly report: VerifyReport
}

const defaultFileMode = 0o640
const planOptionNames = { entries: true, keep: true, onProgress: true, signal: true, fileSystem: true } as const
const repairOptionNames = { ...planOptionNames, plan: true, fileMode: true, directoryMode: true } as const

/**
 * What `repair` would do to a log: each change by file, byte and size, and the entries that would be lost. Changes nothing and takes no lock.
 *
 * Flipped bits are mended, headers that the records around them prove are written again, segments under another name get theirs back, a torn tail is cut (what opening does as well), files that belong to no log or to another one are set aside. Where more is
 * damaged than a bit, somebody has to decide what is kept: the plan names the choices, with what each of them loses. Rejects as `verify` does.
 *
 * @example
 * ```ts
 * const plan = await planRepair('./data/orders')
 * if (plan.state === 'ready') await repair('./data/orders', { plan })
 * ```
 */
export async function planRepair<S extends EntrySource = RawSource>(directory: string | URL, options: PlanRepairOptions<S> = {}): Promise<RepairPlan> {
  checkNames('planRepair', options, planOptionNames)
  return (await plan(directory, options, false)).plan
}

/**
 * Repairs a log: makes a plan, and carries out exactly that, under the log's lock. Whatever is taken out of the log is copied to `quarantine/`
 * first, durably. Afterwards the log opens, and verifies, unless the plan said that something can't be repaired. What it makes gets owner and group
 * of the files that are there, where the process may give it to them.
 *
 * Rejects with `ERR_WAL_LOCKED` while somebody writes the log; with `ERR_WAL_CORRUPT` where nothing can be done, or a decision is needed and `keep` was not
 * given; with `ERR_WAL_OPTION` where `plan` is not what would be done any more; with `ERR_WAL_NO_SPACE` where there is no room for the
 * copies: nothing is changed in all of these. Errors of the disk come as they are, and a new plan goes on from there.
 */
export async function repair<S extends EntrySource = RawSource>(directory: string | URL, options: RepairOptions<S> = {}): Promise<RepairResult> {
  checkNames('repair', options, repairOptionNames)
  const { plan: shown, fileMode, directoryMode, ...planOptions } = options
  const fileSystem = options.fileSystem ?? nodeFileSystem
  const path = resolveDirectory(directory)
  const names = await runPooled(listDirectory(fileSystem, path))
  const lock = await fileSystem.lock(join(path, lockName), fileMode ?? defaultFileMode)
  try {
    const newest = sortNames(names).segments.at(-1)
    if (newest !== undefined && !names.includes(lockName)) await fileSystem.makeAlike?.(join(path, lockName), join(path, newest.name), fileMode === undefined)
    const { plan: made, examined } = await plan(path, { ...planOptions, ...keepOf(shown, options.keep) }, true)
    assertCarriable(made, shown)
    const neighbour = examined.report.segments.findLast(({ state }) => state === 'active')?.path ?? path
    const withModes = { fileModes: fileMode === undefined && neighbour !== path, directoryModes: directoryMode === undefined }
    const request = {
      fileSystem: likeNeighbours(fileSystem, { file: neighbour, directory: path, ...withModes }),
      directory: path,
      fileMode: fileMode ?? defaultFileMode,
      directoryMode: directoryMode ?? 0o750,
    }
    const quarantined = made.actions.length === 0 ? [] : await runPooled(new Carrier(request, examined.outline as Outline).carryOut(made.actions))
    const { report } = await examineLog(path, examineOptions(planOptions), true)
    return { plan: made, quarantined, report }
  } finally {
    await lock.release()
  }
}

async function plan(directory: string | URL, options: PlanRepairOptions<EntrySource>, unwritten: boolean): Promise<{ plan: RepairPlan; examined: Examined }> {
  const { keep } = options
  if (keep !== undefined && keep !== 'front' && keep !== 'back') throw new WalError('ERR_WAL_OPTION', "option keep must be 'front' or 'back'", { option: 'keep' })
  const examined = await examineLog(directory, examineOptions(options), unwritten)
  return (await planBehindRenames(examined, options, unwritten)) ?? { plan: makePlan(examined.report, examined.outline, keep), examined }
}

/** A plan that begins with giving names back, if the log is less damaged by that: nothing is lost by a name. */
async function planBehindRenames({ report, outline }: Examined, options: PlanRepairOptions<EntrySource>, unwritten: boolean): Promise<{ plan: RepairPlan; examined: Examined } | undefined> {
  if (outline === undefined || outline.misnamed.length === 0) return undefined
  const { directory, misnamed, names } = outline
  const view = renamedView(options.fileSystem ?? nodeFileSystem, directory, misnamed)
  const examined = await examineLog(directory, examineOptions({ ...options, fileSystem: view }), unwritten)
  if (examined.report.faultCount >= report.faultCount || examined.report.entries < report.entries) return undefined
  const made = makePlan(examined.report, examined.outline, options.keep)
  if (made.state === 'impossible') return undefined
  const taken = [...names.segments.map(({ name }) => name), ...names.foreign]
  const renames = orderRenames(misnamed, taken).map(({ from, to }): RepairAction => ({ kind: 'rename', path: join(directory, from), newPath: join(directory, to) }))
  return { plan: behindRenames(made, renames, report), examined }
}

function examineOptions({ entries, onProgress, signal, fileSystem }: PlanRepairOptions<EntrySource>): Parameters<typeof examineLog>[1] {
  return {
    maxFaults: planFaults,
    ...(entries === undefined ? {} : { entries }),
    ...(onProgress === undefined ? {} : { onProgress }),
    ...(signal === undefined ? {} : { signal }),
    ...(fileSystem === undefined ? {} : { fileSystem }),
  }
}

/** The choice that a shown plan took. */
function keepOf(shown: RepairPlan | undefined, keep: Keep | undefined): { keep?: Keep } {
  const taken = keep ?? shown?.choices.find(({ actions }) => JSON.stringify(actions) === JSON.stringify(shown.actions))?.keep
  return taken === undefined ? {} : { keep: taken }
}

function assertCarriable(made: RepairPlan, shown: RepairPlan | undefined): void {
  const { directory, state, reasons } = made
  if (shown !== undefined && JSON.stringify(shown.actions) !== JSON.stringify(made.actions)) {
    throw new WalError('ERR_WAL_OPTION', `the log in ${directory} has changed since the plan was made: make a new one. Nothing was changed`, { option: 'plan', path: directory })
  }
  if (state === 'decide') {
    throw new WalError('ERR_WAL_CORRUPT', `the damage in ${directory} can't be mended: somebody has to decide what is kept (option keep, 'front' or 'back'). Nothing was changed`, { path: directory, option: 'keep' })
  }
  if (state === 'impossible') throw new WalError('ERR_WAL_CORRUPT', `${directory} can't be repaired: ${reasons.join(' ')} Nothing was changed`, { path: directory })
}

const chunkBytes = 1024 * 1024
const sectorBytes = 512

/** Format 2 needs none. */
const noFraming = (): undefined => undefined

interface CarryRequest {
  readonly fileSystem: FileSystem
  readonly directory: string
  readonly fileMode: number
  readonly directoryMode: number
}

/** Carries actions out. */
class Carrier {
  readonly #request: CarryRequest
  readonly #outline: Outline

  constructor(request: CarryRequest, outline: Outline) {
    this.#request = request
    this.#outline = outline
  }

  /** The paths of the copies. */
  *carryOut(actions: readonly RepairAction[]): Steps<string[]> {
    // What the other actions speak of has its name then.
    for (const action of actions) if (action.kind === 'rename') yield* this.#rename(action.path, action.newPath)
    // All copies first: from here on nothing is gone that is not kept.
    const copies: string[] = []
    for (const action of actions) {
      const copy = yield* this.#copyFor(action)
      if (copy !== undefined) copies.push(copy)
    }
    if (copies.length > 0) {
      yield* syncDirectory(this.#request.fileSystem, join(this.#request.directory, quarantineName))
      // The name of the folder itself: without it the copies are lost with a crash.
      yield* syncDirectory(this.#request.fileSystem, this.#request.directory)
    }
    for (const action of actions) yield* this.#perform(action)
    return copies
  }

  *#copyFor(action: RepairAction): Steps<string | undefined> {
    switch (action.kind) {
      case 'mend-bit':
        return yield* this.#copy(action.path, Math.floor(action.position / sectorBytes) * sectorBytes, sectorBytes)
      case 'rebuild-header':
        return yield* this.#copy(action.path, 0, sectorBytes)
      case 'cut':
      case 'end-after':
        return action.bytes === 0 ? undefined : yield* this.#copy(action.path, action.position, action.bytes)
      case 'set-aside':
        return yield* this.#copy(action.path, 0, Infinity)
      case 'rename':
      case 'begin-at':
      case 'pull-back':
        return undefined
    }
  }

  *#perform(action: RepairAction): Steps<void> {
    switch (action.kind) {
      case 'rename':
        return
      case 'mend-bit':
        return yield* this.#mend(action.path, action.position, 1, (bytes) => {
          bytes[0] = (bytes[0] as number) ^ (1 << action.bit)
        })
      case 'rebuild-header':
        return yield* this.#mend(action.path, 0, segmentHeaderBytes, (bytes) => bytes.set(fromHex(action.header)))
      case 'cut':
        return yield* this.#cut(action.path, action.position)
      case 'end-after':
        return yield* this.#endAfter(action)
      case 'begin-at':
        return yield* this.#beginAt(action.offset)
      case 'pull-back':
        return yield* this.#pullBack(action)
      case 'set-aside':
        // Each name is durably gone before the next: a log of format 1 is read by consecutive names.
        yield* removeFile(this.#request.fileSystem, action.path)
        return yield* syncDirectory(this.#request.fileSystem, this.#request.directory)
    }
  }

  /** Durable before the next one: a crash leaves the one name or the other, and a log that is to be repaired until the last. */
  *#rename(path: string, newPath: string): Steps<void> {
    const { fileSystem, directory } = this.#request
    if ((yield* listDirectory(fileSystem, directory)).includes(basename(newPath))) throw new Error(`${newPath} is there already`)
    yield* step(
      () => fileSystem.renameSync(path, newPath),
      () => fileSystem.rename(path, newPath),
    )
    yield* syncDirectory(fileSystem, directory)
  }

  /** Within a sector, which the disk writes whole or not at all: a crash leaves what was damaged or what is mended. */
  *#mend(path: string, position: number, count: number, mend: (bytes: Uint8Array) => void): Steps<void> {
    const file = yield* this.#open(path, 'write')
    try {
      const bytes = new Uint8Array(count)
      yield* file.read(bytes, position)
      mend(bytes)
      yield* file.write([bytes], position)
      yield* file.sync()
    } finally {
      yield* file.close()
    }
  }

  *#cut(path: string, position: number): Steps<void> {
    const file = yield* this.#open(path, 'write')
    try {
      yield* file.truncate(position)
      yield* file.sync()
    } finally {
      yield* file.close()
    }
  }

  /** As truncateAfter does: a crash leaves the log as it was, or the cut. */
  *#endAfter({ offset, path, newPath }: Extract<RepairAction, { kind: 'end-after' }>): Steps<void> {
    const holder = this.#outline.segments.find((segment) => segment.path === path) as OutlinedSegment
    const name = parseSegmentName(basename(newPath)) as SegmentName
    const chain = new ControlChain(randomBytes(saltBytes), yield* this.#lastChainCrc(holder))
    const header = chain.segmentHeader({
      logId: this.#outline.logId as string,
      segmentId: name.id,
      previousSegmentId: holder.id,
      firstOffset: offset + 1,
      lowWaterMark: Math.min(this.#outline.lowWaterMark, offset + 1),
      createdMs: Date.now(),
      cut: true,
    })
    const { fileSystem, directory, fileMode } = this.#request
    const file = yield* createDurably(fileSystem, directory, name.name, name.name + temporarySuffix, [header], fileMode)
    yield* file.close()
  }

  /** What a reader takes for the last control record of a segment, who passes over what is dead in it; 0 where it can't pass. */
  *#lastChainCrc(segment: OutlinedSegment): Steps<number> {
    if (segment.start === undefined) return 0
    const file = yield* this.#open(segment.path, 'read')
    try {
      const walker = new GroupWalker(new FileWindow(file, segment.fileBytes), segmentHeaderBytes, segment.start)
      for (;;) {
        const result = yield* walker.next(false)
        if (result.found !== 'group') return walker.expected.previous
      }
    } finally {
      yield* file.close()
    }
  }

  /** The mark is durable before any of the files goes that it makes dead. */
  *#beginAt(offset: number): Steps<void> {
    const segments = this.#outline.names.segments.filter((each) => this.#outline.segments.some(({ name, state, firstOffset }) => name === each.name && state === 'live' && firstOffset >= offset))
    const { set, end } = yield* this.#recover(segments, { wantedFrom: offset })
    const writer = this.#writer(set, { ...end, lowWaterMark: Math.min(end.lowWaterMark, offset) })
    yield* writer.writeLowWaterMark(offset)
    yield* writer.close()
  }

  /**
   * Cursors go back by the cut that a new segment is. Until that is there they are beyond the end, and opening refuses: so a crash leaves
   * a log that has to be repaired, or one that is.
   */
  *#pullBack({ offset, newPath }: Extract<RepairAction, { kind: 'pull-back' }>): Steps<void> {
    // As it is now: what the actions before this one have removed is gone.
    const { segments } = sortNames(yield* listDirectory(this.#request.fileSystem, this.#request.directory))
    // What has not been proven durable is written again, as opening does: behind the new segment nobody would do it any more.
    const { set, end } = yield* this.#recover(segments, {})
    if (end.nextOffset !== offset + 1) throw new Error(`the log ends at entry ${end.nextOffset - 1}, and was planned to end at ${offset}`)
    const writer = this.#writer(set, end, (parseSegmentName(basename(newPath)) as SegmentName).id)
    yield* truncateBack(set, writer, offset, noFraming)
    yield* writer.close()
  }

  *#recover(segments: readonly SegmentName[], options: { readonly wantedFrom?: number }): Steps<{ set: SegmentSet; end: LogEnd }> {
    const { fileSystem, directory, fileMode, directoryMode } = this.#request
    const { live, end } = yield* recoverFormat2(
      { fileSystem, directory, fileMode, directoryMode, adapter: adapterFor(undefined), format: 2, mode: 'truncate', logger: silentLogger, ...options },
      { segments, temporaries: [], foreign: [] },
    )
    return { set: new SegmentSet(fileSystem, directory, 2, live), end }
  }

  #writer(set: SegmentSet, end: LogEnd, leastSegmentId = 0): SegmentWriter {
    return new SegmentWriter(set, end, { maxSegmentBytes: Number.MAX_SAFE_INTEGER, fileMode: this.#request.fileMode, leastSegmentId, onRoll: () => {}, onCut: () => {} })
  }

  /** Copies a part of a file to quarantine, durably but for its name. The copy's name tells what it is: who dies behind this step makes the same one again. */
  *#copy(path: string, position: number, most: number): Steps<string> {
    const { fileSystem, directory, fileMode, directoryMode } = this.#request
    const folder = join(directory, quarantineName)
    const temporary = join(folder, `${basename(path)}-${position}${temporarySuffix}`)
    const source = yield* this.#open(path, 'read')
    try {
      yield* step(
        () => fileSystem.makeDirectorySync(folder, directoryMode),
        () => fileSystem.makeDirectory(folder, directoryMode),
      )
      yield* removeFile(fileSystem, temporary)
      const target = yield* DurableFile.open(fileSystem, temporary, { access: 'create', mode: fileMode })
      let crc = 0
      try {
        const end = Math.min(yield* source.size(), position + most)
        for (let at = position; at < end; ) {
          const piece = new Uint8Array(Math.min(chunkBytes, end - at))
          const read = yield* source.read(piece, at)
          if (read === 0) break
          yield* target.write([piece.subarray(0, read)], at - position)
          crc = crc32(piece, 0, read, crc)
          at += read
        }
        yield* target.sync()
      } finally {
        yield* target.close()
      }
      const copy = join(folder, `${basename(path)}-${position}-${crc.toString(16).padStart(8, '0')}.cut`)
      yield* step(
        () => fileSystem.renameSync(temporary, copy),
        () => fileSystem.rename(temporary, copy),
      )
      return copy
    } catch (error) {
      if (!isNoSpace(error)) throw error
      yield* removeFile(fileSystem, temporary)
      throw new WalError('ERR_WAL_NO_SPACE', `there is no room in ${folder} for a copy of what the repair takes out of ${path}: nothing was changed; free some space, then try again`, { path: folder, cause: error })
    } finally {
      yield* source.close()
    }
  }

  *#open(path: string, access: 'read' | 'write'): Steps<DurableFile> {
    return yield* DurableFile.open(this.#request.fileSystem, path, { access })
  }
}
