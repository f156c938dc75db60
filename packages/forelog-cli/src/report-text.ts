/**
 * What `verify` reports, as text: shared by the commands that show a log.
 */
import Table from 'cli-table3'
import type { CursorInfo, Fault, SegmentReport, TypeReport, VerifyReport } from 'forelog'
import { basename } from 'node:path'
import { legend, mapBar } from './map-bar.js'
import type { Colors } from './terminal.js'
import { bytesText, countText, harmless, plural, rangeText, timeText } from './text.js'

const noBorders = {
  chars: { top: '', 'top-mid': '', 'top-left': '', 'top-right': '', bottom: '', 'bottom-mid': '', 'bottom-left': '', 'bottom-right': '', left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '', middle: '  ' },
  style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
}

type Align = 'left' | 'right'

/** A table without lines, its head dimmed. */
export function tableText(head: readonly string[], aligns: readonly Align[], rows: readonly (readonly string[])[], colors: Colors): string {
  const table = new Table({ ...noBorders, head: head.map((name) => colors.dim(name)), colAligns: [...aligns] })
  table.push(...rows.map((row) => [...row]))
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
      return yellow('! sound, with a torn tail')
    case 'undecided':
      return yellow('! undecided tail')
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
        : 'They were half written when the writer died, and never acknowledged.'
      return `${colors.yellow(what)} (${place}). ${why}`
    }
    case 'refuse':
      return `${colors.red('opening refuses')} (${place})`
  }
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
  return lines.join('\n')
}

/** Rows that are left out are counted. */
const segmentsShown = 40

export function segmentsText(segments: readonly SegmentReport[], width: number, colors: Colors): string {
  const isShown = (segment: SegmentReport, index: number): boolean =>
    segments.length <= segmentsShown || index < 10 || index >= segments.length - 20 || segment.state === 'stray' || segment.ranges.some(({ kind }) => kind === 'damage' || kind === 'torn')
  const shown = segments.filter(isShown)
  const nameWidth = Math.max(7, ...shown.map(({ name }) => name.length))
  const cells = Math.max(12, Math.min(64, width - nameWidth - 52))
  const states: Record<SegmentReport['state'], (text: string) => string> = { active: colors.bold, closed: (text) => text, dead: colors.gray, stray: colors.red }
  const table = tableText(
    ['segment', 'first', 'last', 'entries', 'size', 'state', 'map'],
    ['left', 'right', 'right', 'right', 'right', 'left', 'left'],
    shown.map((segment) => [
      harmless(segment.name),
      String(segment.firstOffset),
      segment.lastOffset < segment.firstOffset ? '–' : String(segment.lastOffset),
      segment.ranges.every(({ kind }) => kind === 'unread') && segment.bytes > 0 ? '–' : countText(segment.entries),
      bytesText(segment.bytes),
      states[segment.state](segment.state),
      mapBar(segment, cells, colors),
    ]),
    colors,
  )
  const hidden = segments.length - shown.length
  return `${table}\n${hidden > 0 ? colors.dim(`  … and ${plural(hidden, 'more segment')} without a fault\n`) : ''}\n  ${legend(shown, colors)}`
}

/** Rows of cursors at the most. */
const cursorsShown = 20

export function typesText(types: readonly TypeReport[], colors: Colors): string {
  const all = types.reduce((sum, { bytes }) => sum + bytes, 0)
  return tableText(
    ['type', 'entries', 'payload', 'smallest', 'mean', 'largest', 'share of bytes'],
    ['right', 'right', 'right', 'right', 'right', 'right', 'left'],
    types.map(({ type, entries, bytes, smallest, largest }) => [
      String(type),
      countText(entries),
      bytesText(bytes),
      bytesText(smallest),
      bytesText(Math.round(bytes / entries)),
      bytesText(largest),
      `${colors.cyan('█'.repeat(Math.round((all === 0 ? 0 : bytes / all) * 20)))} ${all === 0 ? '–' : `${((bytes / all) * 100).toFixed(bytes / all < 0.1 ? 1 : 0)} %`}`,
    ]),
    colors,
  )
}

/** Named positions, those that are furthest behind first. */
export function cursorsText(cursors: readonly CursorInfo[], colors: Colors): string {
  const shown = [...cursors].sort((a, b) => b.lag - a.lag).slice(0, cursorsShown)
  const table = tableText(
    ['cursor', 'committed', 'behind', 'holds', ''],
    ['left', 'right', 'right', 'left', 'left'],
    shown.map(({ name, offset, lag, hold, cut, lost }) => [
      harmless(name),
      String(offset),
      countText(lag),
      hold ? 'yes' : 'no',
      [cut === undefined ? '' : `cut: ${cut.first} to ${cut.last}`, lost === undefined ? '' : `lost: ${lost.first} to ${lost.last}`].filter(Boolean).join(', '),
    ]),
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
