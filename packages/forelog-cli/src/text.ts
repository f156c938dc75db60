/**
 * Numbers as people read them, and lines that fit where they are shown.
 */
import { stripVTControlCharacters } from 'node:util'

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** `0 B`, `998 B`, `1.5 KiB`, `64 MiB`. */
export function bytesText(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : trimmed(value)} ${units[unit] as string}`
}

function trimmed(value: number): string {
  return value.toFixed(1).replace(/\.0$/, '')
}

/** `1,234,567`. */
export function countText(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',')
}

/** `561`, or `561 to 840`: offsets and positions as they are typed again, without separators. */
export function rangeText(first: number, last: number | undefined): string {
  return last === undefined || last <= first ? String(first) : `${first} to ${last}`
}

/** A path as a shell takes it: a line that is shown can be pasted. */
export function shellText(path: string): string {
  return /^[\w./:@%+,-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`
}

/** Lines of at most `width` characters; those after the first are indented. */
export function wrapped(text: string, width: number, indent = ''): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line.trim() !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = indent + word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}

/** How many columns a text takes, its colours not counted. */
export function columnsOf(text: string): number {
  return stripVTControlCharacters(text).length
}

/** Spaces, a sign, and a label with its gap: what comes behind is folded below itself. */
const lead = /^ *(?:[✗✓!•] )?(?:[\w-]+(?: [\w-]+)? {2,})?/

/** Lines of at most `width` columns, colours and all; what is folded stands below where its line began. A longer word keeps its line. */
export function folded(text: string, width: number): string {
  return text
    .split('\n')
    .flatMap((line) => (columnsOf(line) <= width ? [line] : foldedLine(line, width)))
    .join('\n')
}

function foldedLine(line: string, width: number): string[] {
  const indent = Math.min((lead.exec(stripVTControlCharacters(line)) as RegExpExecArray)[0].length, width >> 1)
  const lines: string[] = []
  let current: string | undefined
  let columns = 0
  for (const word of line.split(' ')) {
    const length = columnsOf(word)
    if (current === undefined) {
      current = word
      columns = length
    } else if (columns + 1 + length > width && columns > indent) {
      lines.push(current.trimEnd())
      current = ' '.repeat(indent) + word
      columns = indent + length
    } else {
      current += ` ${word}`
      columns += 1 + length
    }
  }
  return [...lines, current as string]
}

/** `1 entry`, `2 entries`. */
export function plural(count: number, one: string, many: string = `${one}s`): string {
  return `${countText(count)} ${count === 1 ? one : many}`
}

/** `0.4 ms`, `12 ms`, `3.2 s`, `2 min 5 s`, `3 h 4 min`. */
export function durationText(milliseconds: number): string {
  if (milliseconds < 1) return `${(milliseconds * 1000).toFixed(0)} µs`
  if (milliseconds < 1000) return `${milliseconds < 10 ? trimmed(milliseconds) : Math.round(milliseconds)} ms`
  const seconds = milliseconds / 1000
  if (seconds < 60) return `${trimmed(seconds)} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min ${Math.round(seconds % 60)} s`
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

/** `2026-11-25 10:43:59Z`: to the second, in UTC, as the log has it. */
export function timeText(iso: string): string {
  return iso.replace('T', ' ').replace(/\.\d+Z$/, 'Z')
}

/** Replaces what would move the cursor, or worse: what a log holds is shown in terminals. */
export function harmless(text: string): string {
  // eslint-disable-next-line no-control-regex -- these are what is to be taken out
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
