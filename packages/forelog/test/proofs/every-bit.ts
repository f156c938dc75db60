/**
 * Line 4 of docs/RELIABILITY.md: a small log, damaged in every way that is small enough to be tried in full; each time it is opened
 * in both modes and read, and what comes of it is counted.
 */
import { Buffer } from 'node:buffer'
import { join } from 'node:path'
import { WalError } from '../../src/index.js'
import { sortNames } from '../../src/segments/segment-name.js'
import type { SimulatedDisk } from '../../src/testing/index.js'
import { readDirectory2 } from '../support/reference-reader.js'
import { flipBit, segmentName } from '../support/reference-writer.js'
import { directory, diskWith, type Files, filesOn, type OpenedLog, type SampleLog } from './sample-logs.js'

/** What may come of damage. The last three never may, in format 2. */
export const outcomes = [
  /** `open` refused, and changed nothing. */
  'refused',
  /** A step of `entries` refused: all entries in front of it were right. */
  'refused when read',
  /** The damage met nothing that is wanted. */
  'unchanged',
  /** All entries are there; `open` says that the end was not clean, or that it cut something off. */
  'reported, all there',
  /** Entries at the end are gone, and `open` says how many bytes it cut off; a copy is kept. */
  'cut',
  'cut, ambiguous',
  /** Entries at the end are gone without a trace of them: all that `open` can say is that the end was not clean. */
  'clean: false',
  /** As that, but what is left ends exactly with the close record of an earlier shutdown: the one end nobody can tell. */
  'an earlier shutdown',
  /** The newest segment, which cut off the end of the one before it, is gone, and what it cut off is back: `clean: false`. */
  'an earlier end',
  /** Entries in front are gone with an emptied segment: what a truncation on a full disk leaves. */
  'emptied in front',
  'WRONG ENTRY',
  'SILENT LOSS',
  'CALLED CLEAN',
] as const

export type Outcome = (typeof outcomes)[number]

export interface Verdict {
  readonly outcome: Outcome
  /** Of what refused. */
  readonly code?: string
  readonly detail?: string
}

export interface Damage {
  /** Names a row of the table. */
  readonly kind: string
  /** Where: enough to do it again. */
  readonly what: string
  /** All files as they are then. */
  readonly files: Files
}

/** How often what came of which damage. */
export class DamageTally {
  readonly counts = new Map<string, Map<string, number>>()
  readonly #violations: string[] = []

  add(kind: string, { outcome, code }: Verdict): void {
    const row = this.counts.get(kind) ?? new Map<string, number>()
    this.counts.set(kind, row)
    const key = code === undefined ? outcome : `${outcome}, ${code}`
    row.set(key, (row.get(key) ?? 0) + 1)
  }

  violation(text: string): void {
    this.#violations.push(text)
  }

  /** Damages that were tried. */
  get tried(): number {
    return this.#sum(() => true)
  }

  /** Broken promises that are no count: something changed on refusal, say. */
  get violations(): readonly string[] {
    return this.#violations
  }

  of(outcome: Outcome, kind?: string): number {
    return this.#sum((key, row) => (key === outcome || key.startsWith(`${outcome}, ERR_`)) && (kind === undefined || row === kind))
  }

  /** What console.table prints, a row for each kind of damage. */
  table(): Record<string, Record<string, number>> {
    return Object.fromEntries([...this.counts].map(([kind, row]) => [kind, Object.fromEntries([...row].sort())]))
  }

  #sum(wanted: (key: string, kind: string) => boolean): number {
    let sum = 0
    for (const [kind, row] of this.counts) for (const [key, count] of row) if (wanted(key, kind)) sum += count
    return sum
  }
}

const sectorBytes = 512
/** Behind the end of a file, so many bytes are added at the most. */
const addedBytes = 600

// ── The damages

function changed(files: Files, name: string, bytes: Uint8Array): Files {
  return new Map(files).set(name, bytes)
}

function without(files: Files, names: readonly string[]): Map<string, Uint8Array> {
  return new Map([...files].filter(([name]) => !names.includes(name)))
}

/** The names of a log's segments, oldest first. */
export function segmentsOf(files: Files): string[] {
  return sortNames([...files.keys()]).segments.map(({ name }) => name)
}

export function* everyFlip({ files }: SampleLog): Generator<Damage> {
  for (const [name, bytes] of files) {
    for (let position = 0; position < bytes.length; position++) {
      for (let bit = 0; bit < 8; bit++) {
        yield { kind: 'bit flipped', what: `bit ${bit} of byte ${position} of ${name}`, files: changed(files, name, flipBit(bytes, position, bit)) }
      }
    }
  }
}

/** Each length of the newest segment, and of all others; then some that are longer, by zeros and by something else. */
export function* everyLength({ files }: SampleLog): Generator<Damage> {
  const names = segmentsOf(files)
  for (const [index, name] of names.entries()) {
    const bytes = files.get(name) as Uint8Array
    const kind = index === names.length - 1 ? 'newest cut' : 'older one cut'
    // Emptied ones are tried on their own.
    for (let length = 1; length < bytes.length; length++) {
      yield { kind, what: `${name} cut to ${length}`, files: changed(files, name, bytes.slice(0, length)) }
    }
  }
  const newest = names.at(-1) as string
  const bytes = files.get(newest) as Uint8Array
  for (let added = 1; added <= addedBytes; added++) {
    for (const [kind, fill] of [['zeros behind', 0], ['rubbish behind', 0xa5]] as const) {
      const longer = new Uint8Array(bytes.length + added).fill(fill)
      longer.set(bytes)
      yield { kind, what: `${added} × ${fill} behind ${newest}`, files: changed(files, newest, longer) }
    }
  }
}

/** 512 bytes zeroed, from each byte of each file on: whatever the file's place on the disk. */
export function* everyZeroedSector({ files }: SampleLog): Generator<Damage> {
  const newest = segmentsOf(files).at(-1)
  for (const [name, bytes] of files) {
    const which = name === newest ? 'newest' : 'older one'
    for (let from = 1 - sectorBytes; from < bytes.length; from++) {
      const zeroed = bytes.slice().fill(0, Math.max(0, from), from + sectorBytes)
      const kind = from % sectorBytes === 0 ? `sector of ${which} zeroed` : `512 bytes of ${which} zeroed`
      yield { kind, what: `bytes ${from} to ${from + sectorBytes} of ${name}`, files: changed(files, name, zeroed) }
    }
  }
}

/** Segments missing, emptied, exchanged, copied, renamed, and those of another log among them. */
export function* everyMixUp(log: SampleLog, other: SampleLog): Generator<Damage> {
  const { files } = log
  const names = segmentsOf(files)
  for (const subset of subsets(names)) {
    const what = subset.join(' ')
    if (subset.length < names.length) yield { kind: 'missing', what, files: without(files, subset) }
    yield { kind: 'emptied', what, files: new Map([...files].map(([name, bytes]) => [name, subset.includes(name) ? new Uint8Array(0) : bytes])) }
  }
  for (const a of names) {
    for (const b of names) {
      if (a >= b) continue
      const swapped = new Map(files).set(a, files.get(b) as Uint8Array).set(b, files.get(a) as Uint8Array)
      yield { kind: 'swapped', what: `${a} and ${b}`, files: swapped }
    }
  }
  for (const name of names) {
    const bytes = files.get(name) as Uint8Array
    for (const target of otherNames(names, name)) {
      yield { kind: 'copied', what: `${name} to ${target}`, files: changed(files, target, bytes) }
      yield { kind: 'renamed', what: `${name} to ${target}`, files: changed(without(files, [name]), target, bytes) }
    }
  }
  yield* mixedWith(log, other)
}

function* mixedWith({ files }: SampleLog, other: SampleLog): Generator<Damage> {
  const names = segmentsOf(files)
  for (const [foreign, bytes] of other.files) {
    for (const target of new Set([foreign, ...names, ...otherNames(names, foreign)])) {
      yield { kind: 'of another log', what: `its ${foreign} as ${target}`, files: changed(files, target, bytes) }
    }
  }
  yield { kind: 'of another log', what: 'all of both', files: new Map([...other.files, ...files]) }
}

function* subsets(names: readonly string[]): Generator<string[]> {
  for (let bits = 1; bits < 2 ** names.length; bits++) yield names.filter((_, index) => (bits >> index) % 2 === 1)
}

/** Names that a file could get by mistake: any id, the offset that it says or another one, and names of no segment. */
function otherNames(names: readonly string[], name: string): string[] {
  const found = ['1.wal', 'copy.wal', `${name}.bak`]
  const [segment] = sortNames([name]).segments
  if (segment?.format === 2) {
    const offsets = new Set([1, segment.firstOffset as number, (segment.firstOffset as number) + 1])
    for (let id = 1; id <= names.length + 3; id++) for (const offset of offsets) found.push(segmentName(id, offset))
  } else {
    for (let id = 1; id <= names.length + 3; id++) found.push(`${id}.wal`)
  }
  return [...new Set(found)].filter((target) => target !== name)
}

// ── What comes of it

/** Tries each damage, in both modes. */
export async function tryAll(log: SampleLog, damages: Iterable<Damage>, tally: DamageTally): Promise<void> {
  for (const damage of damages) tally.add(damage.kind, await tryOne(log, damage, tally))
}

async function tryOne(log: SampleLog, damage: Damage, tally: DamageTally): Promise<Verdict> {
  const disk = diskWith(damage.files)
  const strictDisk = disk.copy()
  const { verdict, opened } = await judge(log, damage, disk)
  const complain = (what: string): void => tally.violation(`${log.name}, ${damage.kind}, ${damage.what}: ${what}`)
  if (verdict.outcome === 'WRONG ENTRY' || verdict.outcome === 'SILENT LOSS' || verdict.outcome === 'CALLED CLEAN') {
    complain(`${verdict.outcome}: ${verdict.detail ?? ''}\n${dump(damage.files, log.files)}`)
  }
  for (const what of changesOf(damage.files, disk, opened)) complain(what)
  if (opened !== undefined) for (const what of await secondOpening(log, disk, opened)) complain(what)
  for (const what of await strictly(log, damage, strictDisk, verdict, opened)) complain(what)
  return verdict
}

interface Judged {
  readonly verdict: Verdict
  readonly opened: OpenedLog | undefined
}

async function judge(log: SampleLog, damage: Damage, disk: SimulatedDisk): Promise<Judged> {
  let opened: OpenedLog
  try {
    opened = await log.open(disk, 'truncate')
  } catch (error) {
    return { verdict: refusedBy('refused', error), opened: undefined }
  }
  const { firstOffset, lastOffset, recovery } = opened
  let next = firstOffset
  // Without the segment that says what was cut off, nobody can know of the cut.
  const uncut = log.beforeCut !== undefined && isNewestGone(log, damage.files) ? log.beforeCut : undefined
  const expected = uncut ?? log.appended
  try {
    // By itself first, so that it finds its place alone.
    if (lastOffset >= firstOffset) await checkGet(expected, opened, firstOffset + (damage.what.length * 7) % (lastOffset + 1 - firstOffset))
    for await (const batch of opened.entries()) {
      for (const { offset, text } of batch) {
        if (offset !== next) throw new WrongEntry(`entry ${offset} stands where ${next} is next`)
        if (expected.get(offset) !== text) throw new WrongEntry(`entry ${offset} is ${text}, and was ${String(expected.get(offset))}`)
        next++
      }
    }
    if (next !== lastOffset + 1) throw new WrongEntry(`the entries end at ${next - 1}, and lastOffset is ${lastOffset}`)
  } catch (error) {
    if (error instanceof WrongEntry) return { verdict: { outcome: 'WRONG ENTRY', detail: error.message }, opened }
    return { verdict: refusedBy('refused when read', error), opened }
  }
  if (uncut !== undefined) return { verdict: { outcome: recovery.clean ? 'CALLED CLEAN' : 'an earlier end' }, opened }
  return { verdict: verdictOf(log, damage, { firstOffset, lastOffset, recovery }), opened }
}

function isNewestGone({ files }: SampleLog, damaged: Files): boolean {
  const newest = segmentsOf(files).at(-1) as string
  const bytes = files.get(newest) as Uint8Array
  return !damaged.has(newest) && ![...damaged].some(([name, other]) => name.endsWith('.wal') && Buffer.compare(other, bytes) === 0)
}

class WrongEntry extends Error {}

async function checkGet(expected: SampleLog['appended'], opened: OpenedLog, offset: number): Promise<void> {
  const { text, offset: found } = await opened.get(offset)
  if (found !== offset || expected.get(offset) !== text) throw new WrongEntry(`get(${offset}) gave ${found}: ${text}`)
}

function refusedBy(outcome: 'refused' | 'refused when read', error: unknown): Verdict {
  if (!(error instanceof WalError)) throw error
  return { outcome, code: error.code, detail: error.message }
}

function verdictOf(log: SampleLog, damage: Damage, found: Pick<OpenedLog, 'firstOffset' | 'lastOffset' | 'recovery'>): Verdict {
  const { clean, tornBytes, ambiguous } = found.recovery
  const detail = `${log.firstOffset}…${log.lastOffset} became ${found.firstOffset}…${found.lastOffset}, clean: ${clean}, torn bytes: ${tornBytes}`
  if (found.firstOffset > log.firstOffset && found.lastOffset >= found.firstOffset - 1) {
    return damage.kind === 'emptied' && found.lastOffset === log.lastOffset ? { outcome: 'emptied in front' } : { outcome: 'SILENT LOSS', detail }
  }
  if (found.firstOffset < log.firstOffset && clean && !endsAtShutdown(damage.files)) {
    return { outcome: 'CALLED CLEAN', detail: `a truncation was undone: ${detail}` }
  }
  if (found.lastOffset === log.lastOffset) {
    if (clean && !log.clean) return { outcome: 'CALLED CLEAN', detail }
    return { outcome: tornBytes > 0 || clean !== log.clean ? 'reported, all there' : 'unchanged' }
  }
  if (tornBytes > 0) return clean && ambiguous === false ? { outcome: 'CALLED CLEAN', detail } : { outcome: ambiguous ? 'cut, ambiguous' : 'cut' }
  if (!clean) return { outcome: 'clean: false' }
  return endsAtShutdown(damage.files) ? { outcome: 'an earlier shutdown' } : { outcome: 'SILENT LOSS', detail }
}

/** Whether the files are, by another reader's word, a log that ends with a clean shutdown and has nothing wrong. */
function endsAtShutdown(files: Files): boolean {
  if (!segmentsOf(files).every((name) => name.includes('-'))) return false
  const { clean, problems } = readDirectory2(files)
  return clean && problems.length === 0
}

/** What opening did to the files that it may not do. */
function* changesOf(before: Files, disk: SimulatedDisk, opened: OpenedLog | undefined): Generator<string> {
  const after = filesOn(disk)
  if (opened === undefined) {
    const quarantine = disk.listSync(directory).includes('quarantine')
    if (quarantine || !sameFiles(before, after)) yield 'something was changed by an opening that refused'
    return
  }
  const names = segmentsOf(before)
  const { tornBytes, quarantined } = opened.recovery
  for (const [name, bytes] of before) {
    const now = after.get(name)
    if (now === undefined) {
      if (mayRemove(before, after, name)) continue
      yield `${name}, which holds entries that nothing else has, was removed`
      continue
    }
    const kept = Buffer.compare(now, bytes.subarray(0, now.length)) === 0
    const cut = bytes.subarray(now.length)
    const lost = cut.length - trailingZeros(cut)
    if (!kept) yield `bytes of ${name} were changed`
    if (lost > 0 && (name !== names.at(-1) || tornBytes < lost)) yield `${lost} bytes of ${name} were cut off, and ${tornBytes} reported`
    if (name !== names.at(-1) || tornBytes === 0) continue
    const [path] = quarantined
    if (path === undefined || Buffer.compare(disk.contents(path), cut.subarray(0, tornBytes)) !== 0) yield `what was cut off ${name} is not in quarantine`
  }
}

/** A segment may go when it is empty, or all that it holds is in the log, or was truncated or cut off. */
function mayRemove(before: Files, after: Files, name: string): boolean {
  const bytes = before.get(name) as Uint8Array
  if (bytes.length === 0 || !name.endsWith('.wal')) return true
  if ([...after.values()].some((other) => Buffer.compare(other.subarray(0, bytes.length), bytes) === 0)) return true
  const { dead, problems } = readDirectory2(before)
  return dead.includes(name) && !problems.some((problem) => problem.startsWith(name))
}

/** Opening twice gives the same. */
async function secondOpening(log: SampleLog, disk: SimulatedDisk, first: OpenedLog): Promise<string[]> {
  try {
    const second = await log.open(disk.copy(), 'truncate')
    const same = second.firstOffset === first.firstOffset && second.lastOffset === first.lastOffset && second.recovery.tornBytes === 0
    return same ? [] : [`a second opening found ${second.firstOffset}…${second.lastOffset}, torn bytes: ${second.recovery.tornBytes}`]
  } catch (error) {
    return [`a second opening failed: ${String(error)}`]
  }
}

/** `'strict'` opens what needs no cut, and there it gives the same; else it refuses; and it cuts off nothing but zeros. */
async function strictly(log: SampleLog, damage: Damage, disk: SimulatedDisk, verdict: Verdict, loose: OpenedLog | undefined): Promise<string[]> {
  const wrong: string[] = []
  const mustRefuse = loose === undefined || loose.recovery.tornBytes > 0
  try {
    const opened = await log.open(disk, 'strict')
    if (mustRefuse) wrong.push("'strict' opened it")
    else if (opened.firstOffset !== loose.firstOffset || opened.lastOffset !== loose.lastOffset) wrong.push("'strict' gave another log")
    wrong.push(...[...changesOf(damage.files, disk, opened)].map((what) => `'strict': ${what}`))
  } catch (error) {
    if (!(error instanceof WalError)) throw error
    if (!mustRefuse) wrong.push(`'strict' refused what nothing was cut off: ${error.code}`)
    if (loose === undefined && error.code !== verdict.code) wrong.push(`'strict' refused with ${error.code}, and 'truncate' with ${String(verdict.code)}`)
    wrong.push(...[...changesOf(damage.files, disk, undefined)].map((what) => `'strict': ${what}`))
  }
  return wrong
}

function sameFiles(a: Files, b: Files): boolean {
  if (a.size !== b.size) return false
  for (const [name, bytes] of a) {
    const other = b.get(name)
    if (other === undefined || Buffer.compare(bytes, other) !== 0) return false
  }
  return true
}

/** Bytes of all files, but for the zeros that a segment is filled with behind its records. */
export function recordBytesOf(files: Files): number {
  let sum = 0
  for (const bytes of files.values()) sum += bytes.length - trailingZeros(bytes)
  return sum
}

function trailingZeros(bytes: Uint8Array): number {
  let count = 0
  while (count < bytes.length && bytes[bytes.length - 1 - count] === 0) count++
  return count
}

/** The files that are not as they were, so that a case can be played again. */
function dump(files: Files, original: Files): string {
  const lines = [...files].map(([name, bytes]) => {
    const before = original.get(name)
    return before !== undefined && Buffer.compare(before, bytes) === 0 ? `  ${name}: as it was` : `  ${join(directory, name)}: ${Buffer.from(bytes).toString('hex')}`
  })
  return lines.join('\n')
}
