/**
 * Entries, printed: shared by the commands that show them.
 */
import { type Fault, type SalvagedEntry, verify } from 'forelog'
import { basename } from 'node:path'
import { integer, text, UsageError, type Values } from './command.js'
import { type Codec, codecNames } from './payload-codec.js'
import { offsetsText } from './report-text.js'
import type { Terminal } from './terminal.js'
import { countText, harmless, plural } from './text.js'

export const printFormats = ['ndjson', 'json', 'hex', 'table'] as const

export const entryOptions = {
  type: { type: 'string', value: 'N[,N…]', help: 'Entry types that are wanted. Default: all.' },
  codec: { type: 'string', value: 'NAME', help: `How payloads are shown: ${codecNames.join(', ')}, or FILE.js, which exports decode(bytes, type). Default auto: JSON, else text, else base64.`, choices: codecNames, orFile: true },
} as const

export function passedOver(fault: Fault, terminal: Terminal): string {
  return `${terminal.errorColors.yellow('passed over:')} ${harmless(basename(fault.path))} at byte ${fault.position}: ${harmless(fault.why)}. ${harmless(fault.meaning)}`
}

/** Nothing was printed: says what there is, where a range was asked for. */
export async function noteEmptyRange(directory: string, values: Values, terminal: Terminal): Promise<void> {
  const { from, to } = rangeFrom(values)
  if (from === undefined && to === undefined) return
  const report = await verify(directory, { scope: 'structure' })
  terminal.note(`no entry ${from === undefined ? '' : `from ${from} on`}${from !== undefined && to !== undefined ? ' ' : ''}${to === undefined ? '' : `up to ${to}`}: the log has ${offsetsText(report)}`)
}

export function rangeFrom(values: Values): { from?: number; to?: number } {
  const from = integer(values, 'from')
  const to = integer(values, 'to')
  if (from !== undefined && to !== undefined && to < from) throw new UsageError(`--to ${to} lies in front of --from ${from}`)
  return { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) }
}

export function typesFrom(values: Values): Set<number> | undefined {
  const list = text(values, 'type')
  if (list === undefined) return undefined
  return new Set(
    list.split(',').map((word) => {
      const type = Number(word)
      if (word.trim() === '' || !Number.isInteger(type) || type < 0 || type > 255) throw new UsageError(`--type takes numbers from 0 to 255, and not '${word}'`)
      return type
    }),
  )
}

/** An entry, and where it stands, where that is known. */
export type PrintableEntry = Pick<SalvagedEntry, 'offset' | 'type' | 'payload'> & Partial<Pick<SalvagedEntry, 'path' | 'position'>>

export interface Printer {
  begin(): Promise<void>
  entry(entry: PrintableEntry, index: number): Promise<void>
  end(count: number): Promise<void>
}

/** The value of an entry as JSON; what can't be decoded is told as such, with its bytes, and doesn't end the dump. */
function jsonOf({ payload, type }: PrintableEntry, codec: Codec): { json: string } | { undecodable: string } {
  try {
    return { json: codec.json(payload, type) }
  } catch (error) {
    return { undecodable: (error as Error).message }
  }
}

function lineOf(entry: PrintableEntry, codec: Codec): string {
  const { offset, type, payload } = entry
  const shown = jsonOf(entry, codec)
  const facts = JSON.stringify({ offset, type, bytes: payload.length, ...('json' in shown ? {} : { ...shown, base64: Buffer.from(payload).toString('base64') }) })
  return harmless('json' in shown ? `${facts.slice(0, -1)},"value":${shown.json}}` : facts)
}

export function makePrinter(terminal: Terminal, format: (typeof printFormats)[number], codec: Codec): Printer {
  const nothing = async (): Promise<void> => {}
  switch (format) {
    case 'ndjson':
      return { begin: nothing, entry: (entry) => terminal.line(lineOf(entry, codec)), end: nothing }
    case 'json':
      return {
        begin: () => terminal.write('['),
        entry: (entry, index) => terminal.write(`${index === 0 ? '' : ','}\n  ${lineOf(entry, codec)}`),
        end: (count) => terminal.line(count === 0 ? ']' : '\n]'),
      }
    case 'hex':
      return { begin: nothing, entry: (entry) => terminal.write(hexDump(entry, terminal)), end: nothing }
    case 'table':
      return { begin: () => terminal.line(terminal.colors.dim(row('offset', 'type', 'bytes', 'value'))), entry: (entry) => terminal.line(tableRow(entry, codec, terminal)), end: nothing }
  }
}

function row(offset: string, type: string, bytes: string, value: string): string {
  return `${offset.padStart(12)}  ${type.padStart(4)}  ${bytes.padStart(9)}  ${value}`
}

function tableRow(entry: PrintableEntry, codec: Codec, terminal: Terminal): string {
  const shown = jsonOf(entry, codec)
  const value = 'json' in shown ? (shown.json.startsWith('"') ? (JSON.parse(shown.json) as string) : shown.json) : `(can't be decoded: ${shown.undecodable})`
  const room = terminal.width - 31
  const line = harmless(value)
  return row(String(entry.offset), String(entry.type), countText(entry.payload.length), line.length > room ? `${line.slice(0, room - 1)}…` : line)
}

function hexDump({ offset, type, payload, path, position }: PrintableEntry, { colors }: Terminal): string {
  const lines = [colors.bold(`entry ${offset}`) + colors.dim(`  type ${type}, ${plural(payload.length, 'byte')}${path === undefined || position === undefined ? '' : `, ${basename(path)} at byte ${position}`}`)]
  for (let at = 0; at < payload.length; at += 16) {
    const piece = [...payload.subarray(at, at + 16)]
    const hex = piece.map((byte) => byte.toString(16).padStart(2, '0'))
    const columns = `${hex.slice(0, 8).join(' ').padEnd(23)}  ${hex.slice(8).join(' ').padEnd(23)}`
    const characters = piece.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('')
    lines.push(`  ${colors.dim(at.toString(16).padStart(8, '0'))}  ${columns}  ${colors.cyan(characters)}`)
  }
  return `${lines.join('\n')}\n`
}
