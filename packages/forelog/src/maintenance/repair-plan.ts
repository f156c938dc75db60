/**
 * What a repair would do, before anything is done: a pure function from what was found to actions, and what each of them loses.
 */
import { basename } from 'node:path'
import { lastSegmentId, segmentName } from '../segments/segment-name.js'
import type { Outline, OutlinedSegment } from './outline.js'
import type { Fault, VerifyReport } from './report.js'

/** What is kept where damage can't be mended: a person's decision. */
export type Keep = 'front' | 'back'

export type RepairAction =
  /** A segment gets the name back that its header says, or one in between. Nothing is copied, and nothing replaced. */
  | { readonly kind: 'rename'; readonly path: string; readonly newPath: string }
  /** One bit is flipped back. Its sector is copied to quarantine first. */
  | { readonly kind: 'mend-bit'; readonly path: string; readonly position: number; readonly bit: number }
  /** The header of a segment, in hexadecimal digits, is written again over what stands in its place. Its sector is copied to quarantine first. */
  | { readonly kind: 'rebuild-header'; readonly path: string; readonly header: string }
  /** The newest segment is cut at a byte; the `bytes` behind, as far as they are not zeros, are copied to quarantine first. */
  | { readonly kind: 'cut'; readonly path: string; readonly position: number; readonly bytes: number }
  /** A new segment says that the log ends with entry `offset`; what stands behind in `path`, from `position` on, is copied to quarantine first, and dead from then on. */
  | { readonly kind: 'end-after'; readonly offset: number; readonly path: string; readonly position: number; readonly bytes: number; readonly newPath: string }
  /** A low-water mark at the end says that the log begins with entry `offset`. */
  | { readonly kind: 'begin-at'; readonly offset: number; readonly path: string }
  /**
   * A new segment says that the log ends with entry `offset`, so that `cursors` cursors beyond it go back there and tell their holders (`cut`); the one
   * that goes back furthest, and where it was committed. `path` is the newest segment, which ends there already.
   */
  | {
      readonly kind: 'pull-back'
      readonly offset: number
      readonly path: string
      readonly newPath: string
      readonly cursors: number
      readonly furthest: { readonly name: string; readonly committed: number }
    }
  /** A file is copied to quarantine, then removed. */
  | { readonly kind: 'set-aside'; readonly path: string; readonly bytes: number }

/** Entries that a repair gives up. */
export interface Loss {
  /** Offsets, from and to; none when `lastOffset` is below. */
  readonly firstOffset: number
  readonly lastOffset: number
  /** How many of them could still be read. */
  readonly readableEntries: number
  /** Bytes that are taken out of the log; all are copied to quarantine. */
  readonly bytes: number
}

/** One way out of damage that can't be mended. */
export interface RepairChoice {
  readonly keep: Keep
  /** The entries that the log has afterwards. */
  readonly firstOffset: number
  readonly lastOffset: number
  readonly actions: readonly RepairAction[]
  readonly loses: Loss
}

/** What a repair would do. */
export interface RepairPlan {
  readonly directory: string
  /**
   * `'nothing'`: nothing is to be done. `'ready'`: `actions` mend all that is wrong. `'decide'`: some damage can't be mended; `choices` are the ways
   * out, and `keep` takes one. `'impossible'`: see `reasons`.
   */
  readonly state: 'nothing' | 'ready' | 'decide' | 'impossible'
  /** In the order in which they are carried out. */
  readonly actions: readonly RepairAction[]
  readonly loses: Loss
  readonly choices: readonly RepairChoice[]
  /** What can't be repaired, and why. */
  readonly reasons: readonly string[]
  /** What was found. */
  readonly report: VerifyReport
}

/** Faults that a plan is made for; where there are more, the rest are taken for what can't be mended. */
export const planFaults = 10_000

const noLoss: Loss = { firstOffset: 1, lastOffset: 0, readableEntries: 0, bytes: 0 }

export function makePlan(report: VerifyReport, outline: Outline | undefined, keep: Keep | undefined): RepairPlan {
  const plan = { directory: report.directory, actions: [], loses: noLoss, choices: [], reasons: [], report }
  const refused = reasonAgainst(report)
  if (outline === undefined || refused !== undefined) return { ...plan, state: 'impossible', reasons: [refused ?? ''] }

  const mends = report.faults.flatMap(mendOf)
  const strays = report.faults.filter(({ kind }) => kind === 'stray')
  const aside = strays.map(({ path, bytes }): RepairAction => ({ kind: 'set-aside', path, bytes: sizeOf(report, path) ?? bytes }))
  const rest = report.faults.filter((fault) => mendOf(fault).length === 0 && fault.kind !== 'stray')
  if (rest.length === 0) {
    const tail = tailActions(report)
    const actions = [...mends, ...aside, ...tail]
    const loses = tail.length === 0 ? noLoss : lossOfTail(report)
    return { ...plan, state: actions.length === 0 ? 'nothing' : 'ready', actions, loses }
  }
  const elsewhere = rest.find(({ path }) => !outline.segments.some((segment) => segment.path === path && segment.state === 'live'))
  if (elsewhere !== undefined) return { ...plan, state: 'impossible', reasons: [`${basename(elsewhere.path)}: ${elsewhere.why}. Which files are the log has to be found out by hand.`] }
  const renamed = rest.find(({ kind, path }) => kind === 'header' && outline.segments.some((segment) => segment.path === path && segment.header !== undefined))
  if (renamed !== undefined) return { ...plan, state: 'impossible', reasons: [`${basename(renamed.path)}: ${renamed.why}. ${renamed.meaning}`] }
  const reasons: string[] = []
  // Where the chain is broken, nothing may be less dead than what nothing refers to, and opening removes that: a copy is kept.
  const unreferenced = outline.segments.flatMap(({ state, path, fileBytes }): RepairAction[] => (state === 'dead' && fileBytes > 0 ? [{ kind: 'set-aside', path, bytes: fileBytes }] : []))
  const choices = (['front', 'back'] as const).flatMap((each): RepairChoice[] => {
    const choice = each === 'front' ? keepFront(report, outline, rest) : keepBack(report, outline, rest)
    if (typeof choice === 'string') {
      reasons.push(choice)
      return []
    }
    // Bits are mended where their bytes stay, and nowhere else.
    const gone = new Set(choice.actions.flatMap((action) => (action.kind === 'set-aside' ? [action.path] : [])))
    const kept = mends.filter((mend) => !gone.has(mend.path) && !isCutOff(mend, choice.actions))
    const others = [...aside, ...unreferenced].filter(({ path }) => !gone.has(path))
    return [{ ...choice, actions: [...kept, ...others, ...choice.actions] }]
  })
  const chosen = choices.find((choice) => choice.keep === keep)
  if (chosen !== undefined) return { ...plan, state: 'ready', actions: chosen.actions, loses: chosen.loses, choices, reasons }
  return { ...plan, state: choices.length === 0 ? 'impossible' : 'decide', choices, reasons }
}

function mendOf({ bit, header, path }: Fault): RepairAction[] {
  if (bit !== undefined) return [{ kind: 'mend-bit', path, ...bit }]
  return header === undefined ? [] : [{ kind: 'rebuild-header', path, header }]
}

/** The same, once names are given back. What is looked at is the log with those names; what is shown is the log as it is. */
export function behindRenames(plan: RepairPlan, renames: readonly RepairAction[], report: VerifyReport): RepairPlan {
  const choices = plan.choices.map((choice) => ({ ...choice, actions: [...renames, ...choice.actions] }))
  if (plan.state === 'decide') return { ...plan, choices, report }
  return { ...plan, state: 'ready', actions: [...renames, ...plan.actions], choices, report }
}

function isCutOff(mend: RepairAction, actions: readonly RepairAction[]): boolean {
  return actions.some((action) => (action.kind === 'cut' || action.kind === 'end-after') && mend.path === action.path && mend.kind === 'mend-bit' && mend.position >= action.position)
}

function reasonAgainst(report: VerifyReport): string | undefined {
  switch (report.outcome) {
    case 'none':
      return 'There is no segment of a log in this directory.'
    case 'unread':
      return 'The log is of format 1, and only its entries can tell where its records end: give them.'
    case 'unsupported':
      return 'The log was written by a later release of forelog: use that one.'
    default:
      return report.faults.some(({ kind }) => kind === 'unreadable')
        ? 'The system does not let this process read a file. If its owner or mode is why, mend that first; if the disk is, copy what can be read to one that is well, and repair the copy.'
        : undefined
  }
}

function sizeOf(report: VerifyReport, path: string): number | undefined {
  return report.segments.find((segment) => segment.path === path)?.bytes
}

function tailActions({ end }: VerifyReport): RepairAction[] {
  return end?.action === 'cut' ? [{ kind: 'cut', path: end.path, position: end.position, bytes: end.tornBytes }] : []
}

function tailOfMissingEnd({ path, fileBytes }: OutlinedSegment, { end }: Outline): RepairAction[] {
  return end === undefined || end.tailBytes === 0 ? [] : [{ kind: 'cut', path, position: end.position, bytes: fileBytes - end.position }]
}

function lossOfTail({ end, lastOffset }: VerifyReport): Loss {
  return { firstOffset: lastOffset + 1, lastOffset: lastOffset + (end?.wholeEntriesBehind ?? 0), readableEntries: end?.wholeEntriesBehind ?? 0, bytes: end?.tornBytes ?? 0 }
}

/** Where what can't be read begins, in offsets. */
function lostFrom(fault: Fault, live: readonly OutlinedSegment[], report: VerifyReport): number {
  const index = live.findIndex(({ path }) => path === fault.path)
  const before = live[index - 1]
  if (fault.kind === 'missing' && before !== undefined) {
    const { lastOffset } = report.segments.find(({ path }) => path === before.path) ?? { lastOffset: before.firstOffset - 1 }
    return Math.min(lastOffset + 1, fault.firstOffset ?? Infinity)
  }
  return fault.firstOffset ?? live[index]?.firstOffset ?? 1
}

/** Whether it is that of the end, which is missing by what cursors prove. */
function isMissingEnd({ path, position }: Fault, { segments, end }: Outline): boolean {
  return end?.decision.row === 'M' && position >= end.position && path === segments.findLast(({ state }) => state === 'live')?.path
}

/** Has cursors go back to where the log ends, by a segment that says where that is: a cut, as truncateAfter makes it. */
function pullBack(outline: Outline, path: string, lastKept: number): RepairAction[] | string {
  const beyond = outline.cursors.filter(({ offset }) => offset > lastKept)
  const [first] = beyond
  if (first === undefined) return []
  const furthest = beyond.reduce((most, each) => (each.offset > most.offset ? each : most), first)
  const newPath = pathOfNext(outline, path, lastKept + 1)
  if (newPath === undefined) return noIdLeft
  return [{ kind: 'pull-back', offset: lastKept, path, newPath, cursors: beyond.length, furthest: { name: furthest.name, committed: furthest.offset } }]
}

const noIdLeft = 'The log has used all segment ids.'

/** Of a new segment, in the directory of another one. Its id is above those that cursors remember, too: a segment that is missing may have had them. */
function pathOfNext({ segments, cursors }: Outline, neighbour: string, firstOffset: number): string | undefined {
  const id = [...segments.map((segment) => segment.id), ...cursors.map(({ segmentId }) => segmentId)].reduce((most, each) => Math.max(most, each), 0) + 1
  return id > lastSegmentId ? undefined : neighbour.slice(0, -basename(neighbour).length) + segmentName(2, id, firstOffset)
}

/** Keeps what stands in front of the first place that can't be mended. */
function keepFront(report: VerifyReport, outline: Outline, rest: readonly Fault[]): RepairChoice | string {
  const live = outline.segments.filter(({ state }) => state === 'live')
  const [first] = [...rest].sort((a, b) => lostFrom(a, live, report) - lostFrom(b, live, report)) as [Fault]
  const lastKept = lostFrom(first, live, report) - 1
  const endsTooSoon = isMissingEnd(first, outline)
  if (lastKept < report.firstOffset && !endsTooSoon) return `No entry of the log stands in front of the damage in ${basename(first.path)}.`
  const holder = live.findLast(({ firstOffset, path }) => (path === first.path ? endsTooSoon || (firstOffset <= lastKept && first.position > 0) : firstOffset <= lastKept)) as OutlinedSegment
  const position = holder.path === first.path ? first.position : holder.fileBytes
  const later = live.slice(live.indexOf(holder) + 1)
  const removed = later.map(({ path, fileBytes }): RepairAction => ({ kind: 'set-aside', path, bytes: fileBytes }))
  const cutBytes = holder.fileBytes - position
  const bytes = cutBytes + later.reduce((sum, { fileBytes }) => sum + fileBytes, 0)
  const keptEntries = lastKept - report.firstOffset + 1
  const loses = { firstOffset: lastKept + 1, lastOffset: Math.max(report.lastOffset, lastKept, outline.end?.provenOffset ?? 0), readableEntries: Math.max(0, report.entries - keptEntries), bytes }
  const choice = { keep: 'front', firstOffset: report.firstOffset, lastOffset: lastKept, loses } as const

  const cut: RepairAction = { kind: 'cut', path: holder.path, position, bytes: cutBytes }
  // Format 1 is read by consecutive names: the newest goes first. In format 2 the newest segment is simply shorter.
  if (outline.format === 1) return { ...choice, actions: [...removed.reverse(), ...(cutBytes > 0 ? [cut] : [])] }
  if (later.length === 0) {
    const pulled = pullBack(outline, holder.path, lastKept)
    return typeof pulled === 'string' ? pulled : { ...choice, actions: [...(cutBytes > 0 || pulled.length === 0 ? [cut] : []), ...pulled] }
  }
  // The cursors beyond go back by this, too.
  const newPath = pathOfNext(outline, holder.path, lastKept + 1)
  if (newPath === undefined) return noIdLeft
  return { ...choice, actions: [{ kind: 'end-after', offset: lastKept, path: holder.path, position, bytes: cutBytes, newPath }, ...removed] }
}

/** Keeps what stands behind the last place that can't be mended, from the next segment on. */
function keepBack(report: VerifyReport, outline: Outline, rest: readonly Fault[]): RepairChoice | string {
  const live = outline.segments.filter(({ state }) => state === 'live')
  const newest = live.at(-1) as OutlinedSegment
  const elsewhere = rest.filter((fault) => !isMissingEnd(fault, outline))
  if (elsewhere.length === 0) return 'It is the end of the log that is missing, and nothing stands behind it.'
  // What is missing in front of a segment, or doesn't fit there, is gone with what stands before it.
  const lastFaulty = Math.max(...elsewhere.map((fault) => live.findIndex(({ path }) => path === fault.path) - (fault.position === 0 && (fault.kind === 'missing' || fault.kind === 'chain') ? 1 : 0)))
  const kept = live.slice(lastFaulty + 1)
  const [first] = kept
  if (first === undefined) return `No segment stands behind the damage in ${basename(newest.path)}, so no entry behind it can be kept.`
  const removed = live.slice(0, lastFaulty + 1)
  const lost = report.segments.filter(({ path }) => removed.some((segment) => segment.path === path))
  const loses = {
    firstOffset: report.firstOffset,
    lastOffset: first.firstOffset - 1,
    readableEntries: lost.reduce((sum, { entries }) => sum + entries, 0),
    bytes: removed.reduce((sum, { fileBytes }) => sum + fileBytes, 0),
  }
  const aside = removed.map(({ path, fileBytes }): RepairAction => ({ kind: 'set-aside', path, bytes: fileBytes }))
  const mark: RepairAction[] = outline.format === 2 ? [{ kind: 'begin-at', offset: first.firstOffset, path: newest.path }] : []
  const tail = elsewhere.length === rest.length ? tailActions(report) : tailOfMissingEnd(newest, outline)
  const pulled = pullBack(outline, newest.path, report.lastOffset)
  if (typeof pulled === 'string') return pulled
  return { keep: 'back', firstOffset: first.firstOffset, lastOffset: report.lastOffset, actions: [...tail, ...mark, ...aside, ...pulled], loses }
}
