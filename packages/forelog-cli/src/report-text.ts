/**
 * What `verify` reports, as text: shared by the commands that show a log.
 */
import Table from 'cli-table3'
import type { CursorInfo, Fault, SegmentReport, TypeReport, VerifyReport } from 'forelog'
import { basename } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { legend, mapBar } from './map-bar.js'
import type { Colors } from './terminal.js'
import { bytesText, columnsOf, countText, harmless, plural, rangeText, timeText } from './text.js'

const noBorders = {
  chars: { top: '', 'top-mid': '', 'top-left': '', 'top-right': '', bottom: '', 'bottom-mid': '', 'bottom-left': '', 'bottom-right': '', left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '', middle: '  ' },
  style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
}

export interface Column {
  readonly head: string
  readonly align: 'left' | 'right'
  readonly cells: readonly string[]
  /** Where there is not room for all columns, those with the lowest number go first; one without a number stays. */
  readonly drop?: number
}

/** A table without lines, its head dimmed, without the columns that have no room. */
export function tableText(columns: readonly Column[], width: number, colors: Colors): string {
  const text = wholeTable(columns, colors)
  if (text.split('\n').every((line) => columnsOf(line) <= width)) return text
  const [first] = columns.filter(({ drop }) => drop !== undefined).sort((a, b) => (a.drop as number) - (b.drop as number))
  return first === undefined ? text : tableText(columns.filter((column) => column !== first), width, colors)
}

function wholeTable(columns: readonly Column[], colors: Colors): string {
  const table = new Table({ ...noBorders, head: columns.map(({ head }) => colors.dim(head)), colAligns: columns.map(({ align }) => align) })
  table.push(...(columns[0]?.cells ?? []).map((_, row) => columns.map(({ cells }) => cells[row] as string)))
  return table
    .toString()
    .split('\n')
    .map((line) => `  ${line}`.trimEnd())
    .join('\n')
}

/** One word for the state of the log, in its colour. */
export function outcomeText(report: VerifyReport, colors: Colors): string {
  const { outcome, clean, writer } = report
  const { green, yellow, red, bold } = colors
  if (isOutOfReach(report)) return bold(red('✗ out of reach'))
  switch (outcome) {
    case 'sound':
      return writer.held === true ? green('✓ sound, being written') : clean ? green('✓ sound') : `${green('✓ sound')}${yellow(', not closed')}`
    case 'torn':
      return yellow('! whole up to a torn tail')
    case 'undecided':
      return yellow(report.end?.full === true ? '! a newer segment may be missing' : '! undecided tail')
    case 'damaged':
      return bold(red('✗ damaged'))
    case 'unsupported':
      return bold(red('✗ of a later version of the format'))
    case 'unread':
      return yellow('? not read')
    case 'none':
      return yellow('no log')
  }
}

export function offsetsText({ firstOffset, lastOffset }: { readonly firstOffset: number; readonly lastOffset: number }): string {
  return lastOffset < firstOffset ? `none (next is ${firstOffset})` : rangeText(firstOffset, lastOffset)
}

/** How the log ends, and what opening would do. */
export function endText(report: VerifyReport, colors: Colors): string {
  const { end, clean, writer } = report
  if (end === undefined) return colors.dim('not known')
  const place = `${harmless(basename(end.path))}, byte ${end.position}`
  switch (end.action) {
    case 'wait':
      return `being written: the last record is not whole yet (${place})`
    case 'resume':
      if (clean) return report.format === 1 ? `whole (${place})` : `clean shutdown (${place})`
      if (writer.held === true) return `open (${place})`
      return end.full === true ? `${colors.yellow('the newest segment is full, and none follows')} (${place}). ${fullText(writer)}` : `not closed, nothing torn: opening goes on from here (${place})`
    case 'cut': {
      const behind = end.wholeEntriesBehind > 0 ? `, among them ${plural(end.wholeEntriesBehind, 'whole entry', 'whole entries')} that nothing proves acknowledged` : ''
      const what = `opening cuts ${plural(end.tornBytes, 'byte')}${behind}, and keeps a copy in quarantine/`
      const why = end.ambiguous
        ? 'It can not be told whether a crash left them half written, or entries were damaged there since.'
        : `A write that a crash ended half way leaves that, and then no acknowledged entry is among them, as far as the log can prove.${cutSinceText(report)}`
      return `${colors.yellow(what)} (${place}). ${why}`
    }
    case 'refuse':
      return `${colors.red('opening refuses')} (${place})`
  }
}

/** A writer that dies leaves its lock's description behind, and one that closes the log does not. */
function cutSinceText({ writer }: VerifyReport): string {
  return writer.held === false && writer.holder.pid === undefined ? ' But no writer is known to have died here: unless this is a copy of its directory, the file was cut since.' : ''
}

/** A segment is closed right before the next one is made. */
function fullText({ holder }: VerifyReport['writer']): string {
  return holder.pid === undefined
    ? 'A writer that dies right then leaves it so, but the last one closed the log: a newer segment is probably missing.'
    : 'A writer that dies right then leaves it so; else a newer segment is missing.'
}

/** Whether the files themselves could not be read, and nothing else is known to be wrong. */
export function isOutOfReach({ outcome, faults, faultCount }: VerifyReport): boolean {
  return outcome === 'damaged' && faultCount === faults.length && faults.every(({ kind }) => kind === 'unreadable')
}

export function writerText({ writer }: VerifyReport): string {
  const { pid, hostname, since } = writer.holder
  const who = pid === undefined ? 'somebody unknown' : `process ${pid}${hostname === undefined ? '' : ` on ${harmless(hostname)}`}${since === undefined ? '' : `, since ${timeText(since)}`}`
  if (writer.held === true) return `${who} holds the lock`
  if (writer.held === undefined) return pid === undefined ? 'not known' : `not known; last was ${who}`
  return pid === undefined ? 'nobody' : `nobody; ${who} died without closing the log`
}

export function faultText(fault: Fault, colors: Colors): string {
  const { bold, red, dim, cyan } = colors
  const size = fault.bytes > 0 ? dim(` (${plural(fault.bytes, 'byte')})`) : ''
  const many = fault.lastOffset !== undefined && fault.firstOffset !== undefined && fault.lastOffset > fault.firstOffset
  const offsets = fault.firstOffset === undefined ? '' : `, ${many ? 'entries' : 'entry'} ${rangeText(fault.firstOffset, fault.lastOffset)}`
  const lines = [`  ${red('✗')} ${bold(harmless(basename(fault.path)))} at byte ${fault.position}${size}${offsets}`, `      ${harmless(fault.why)}`, `      ${harmless(fault.meaning)}`]
  if (fault.bit !== undefined) lines.push(`      ${cyan(`repair can mend it: bit ${fault.bit.bit} of byte ${fault.bit.position}`)}`)
  if (fault.header !== undefined) lines.push(`      ${cyan('repair can mend it: it writes the header again')}`)
  return lines.join('\n')
}

/** Rows that are left out are counted. */
const segmentsShown = 40

export function segmentsText({ segments, faults, firstOffset: begin }: Pick<VerifyReport, 'segments' | 'faults' | 'firstOffset'>, width: number, colors: Colors): string {
  const outOfReach = new Set(faults.filter(({ kind, position }) => kind === 'unreadable' && position === 0).map(({ path }) => path))
  const isShown = (segment: SegmentReport, index: number): boolean =>
    segments.length <= segmentsShown || index < 10 || index >= segments.length - 20 || segment.state === 'stray' || segment.ranges.some(({ kind }) => kind === 'damage' || kind === 'torn')
  const shown = segments.filter(isShown)
  const states: Record<SegmentReport['state'], (text: string) => string> = { active: colors.bold, closed: (text) => text, dead: colors.gray, stray: colors.red }
  const facts: Column[] = [
    { head: 'first', align: 'right', drop: 1, cells: shown.map(({ firstOffset, entries }) => String(entries > 0 ? Math.max(firstOffset, begin) : firstOffset)) },
    { head: 'last', align: 'right', drop: 5, cells: shown.map(({ firstOffset, lastOffset }) => (lastOffset < firstOffset ? '–' : String(lastOffset))) },
    { head: 'entries', align: 'right', drop: 3, cells: shown.map(({ ranges, bytes, entries }) => (ranges.every(({ kind }) => kind === 'unread') && bytes > 0 ? '–' : countText(entries))) },
    { head: 'size', align: 'right', drop: 2, cells: shown.map(({ bytes, path }) => (outOfReach.has(path) && bytes === 0 ? '–' : bytesText(bytes))) },
    { head: 'state', align: 'left', drop: 4, cells: shown.map(({ state }) => states[state](state)) },
  ]
  const room = width - leastMapCells - 2
  const withName = (name: Column): string => tableText([name, ...facts], room, colors)
  const named = namesOf(shown).map((cells): Column => ({ head: 'segment', align: 'left', cells }))
  const isWhole = (table: string): boolean => facts.every(({ head }) => stripVTControlCharacters(table.split('\n')[0] ?? '').includes(head))
  // Shorter names first, then fewer columns.
  const tables = named.map(withName)
  const table = tables.find(isWhole) ?? tables.at(-1) ?? ''
  const lines = table.split('\n')
  const tableWidth = Math.max(...lines.map(columnsOf))
  const cells = Math.max(leastMapCells, Math.min(64, width - tableWidth - 2))
  const mapOf = (segment: SegmentReport): string => (outOfReach.has(segment.path) ? colors.red('(not readable)') : mapBar(segment, cells, colors))
  const withMap = lines.map((line, index) => `${line}${' '.repeat(tableWidth - columnsOf(line) + 2)}${index === 0 ? colors.dim('map') : mapOf(shown[index - 1] as SegmentReport)}`)
  const hidden = segments.length - shown.length
  return `${withMap.join('\n')}\n${hidden > 0 ? colors.dim(`  … and ${plural(hidden, 'more segment')} without a fault\n`) : ''}\n  ${legend(shown, cells, colors)}`
}

const leastMapCells = 12

/** The names of segments as they are, and shorter, as a shell finds them: `0000000002-*.wal`. */
function namesOf(segments: readonly SegmentReport[]): string[][] {
  const names = segments.map(({ name }) => harmless(name))
  const short = names.map((name) => name.replace(/^(\d{10})-\d{16}\.wal$/, '$1-*.wal'))
  return new Set(short).size === short.length ? [names, short] : [names]
}

/** Rows of cursors at the most. */
const cursorsShown = 20

export function typesText(types: readonly TypeReport[], width: number, colors: Colors): string {
  const all = types.reduce((sum, { bytes }) => sum + bytes, 0)
  const share = ({ bytes }: TypeReport): string =>
    `${colors.cyan('█'.repeat(Math.round((all === 0 ? 0 : bytes / all) * 20)))} ${all === 0 ? '–' : `${((bytes / all) * 100).toFixed(bytes / all < 0.1 ? 1 : 0)} %`}`
  return tableText(
    [
      { head: 'type', align: 'right', cells: types.map(({ type }) => String(type)) },
      { head: 'entries', align: 'right', cells: types.map(({ entries }) => countText(entries)) },
      { head: 'payload', align: 'right', cells: types.map(({ bytes }) => bytesText(bytes)) },
      { head: 'smallest', align: 'right', drop: 2, cells: types.map(({ smallest }) => bytesText(smallest)) },
      { head: 'mean', align: 'right', drop: 1, cells: types.map(({ bytes, entries }) => bytesText(Math.round(bytes / entries))) },
      { head: 'largest', align: 'right', drop: 3, cells: types.map(({ largest }) => bytesText(largest)) },
      { head: 'share of bytes', align: 'left', drop: 4, cells: types.map(share) },
    ],
    width,
    colors,
  )
}

/** Named positions, those beyond the end first, then those that are furthest behind. */
export function cursorsText(cursors: readonly CursorInfo[], { lastOffset, end }: VerifyReport, width: number, colors: Colors): string {
  // Beside a writer a cursor may know of entries that were not there yet when the log was looked at.
  const isBeyond = ({ offset }: CursorInfo): boolean => end?.action === 'refuse' && offset > lastOffset
  const shown = [...cursors].sort((a, b) => Number(isBeyond(b)) - Number(isBeyond(a)) || b.lag - a.lag).slice(0, cursorsShown)
  const beyond = (cursor: CursorInfo): string => (isBeyond(cursor) ? colors.red(`${plural(cursor.offset - lastOffset, 'entry', 'entries')} beyond the end`) : '')
  const missing = (cursor: CursorInfo): string => {
    const { cut, lost } = cursor
    return [beyond(cursor), cut === undefined ? '' : `cut: ${cut.first} to ${cut.last}`, lost === undefined ? '' : `lost: ${lost.first} to ${lost.last}`].filter(Boolean).join(', ')
  }
  const table = tableText(
    [
      { head: 'cursor', align: 'left', cells: shown.map(({ name }) => harmless(name)) },
      { head: 'committed', align: 'right', cells: shown.map(({ offset }) => String(offset)) },
      { head: 'behind', align: 'right', cells: shown.map((cursor) => (isBeyond(cursor) ? colors.red('–') : countText(cursor.lag))) },
      { head: 'holds', align: 'left', drop: 1, cells: shown.map(({ hold }) => (hold ? 'yes' : 'no')) },
      { head: '', align: 'left', cells: shown.map(missing) },
    ],
    width,
    colors,
  )
  const hidden = cursors.length - shown.length
  return hidden > 0 ? `${table}\n${colors.dim(`  … and ${plural(hidden, 'more cursor')}: --json lists them`)}` : table
}

/** `label   value`, aligned. */
export function factsText(facts: readonly (readonly [label: string, value: string])[], colors: Colors): string {
  const width = Math.max(...facts.map(([label]) => label.length)) + 3
  return facts.map(([label, value]) => `  ${colors.dim(label.padEnd(width))}${value}`).join('\n')
}
