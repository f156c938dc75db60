import { salvage, type SalvagedEntry, WalError, WriteAheadLog } from 'forelog'
import { choice, type Command, entriesOption, integer, UsageError } from '../command.js'
import { type ExitCode, exitCodes } from '../exit-codes.js'
import { entriesFrom } from '../load-module.js'
import { directoryOfLog } from '../log-directory.js'
import { codecFrom } from '../payload-codec.js'
import { entryOptions, makePrinter, passedOver, type Printer, printFormats, typesFrom } from '../print-entries.js'

const tailFormats = printFormats.filter((format) => format !== 'json')

export const tail: Command = {
  name: 'tail',
  args: ['DIR'],
  summary: 'Print the newest entries; with --follow, each new one as soon as it is on stable storage.',
  description:
    'Works beside a writer and takes no lock. --follow prints what the log proves durable, waits for more, and ends at Ctrl-C with exit code 0, or when the reader of its output is gone.',
  options: {
    lines: { type: 'string', short: 'n', value: 'N', help: 'How many entries. Default 10.' },
    follow: { type: 'boolean', short: 'f', help: 'Go on with what is appended (format 2).' },
    ...entryOptions,
    format: { type: 'string', value: 'FORMAT', help: `One of ${tailFormats.join(', ')}. Default ndjson.`, choices: tailFormats },
    ...entriesOption,
  },
  examples: [
    ['forelog tail ./data/orders', 'the last ten entries'],
    ['forelog tail ./data/orders -n 0 -f | jq .value', 'what is appended from now on'],
  ],
  async run({ terminal, positionals, values, json, signal }) {
    const count = integer(values, 'lines') ?? 10
    const printer = makePrinter(terminal, json ? 'ndjson' : choice(values, 'format', tailFormats, 'ndjson'), await codecFrom(values))
    const wanted = typesFrom(values)
    // The command line first, whatever the directory is.
    const directory = directoryOfLog(positionals[0] as string)
    const isWanted = ({ type }: { readonly type: number }): boolean => wanted === undefined || wanted.has(type)
    await printer.begin()
    if (values['follow'] === true) {
      if (values['entries'] !== undefined) throw new UsageError('--follow reads format 2, which needs no --entries')
      return await follow(directory, count, printer, isWanted, signal, () => terminal.flush())
    }
    let faults = 0
    const newest: SalvagedEntry[] = []
    for await (const entry of salvage(directory, {
      ...(await entriesFrom(values)),
      signal,
      ...(wanted === undefined ? await fromFor(directory, count) : {}),
      onFault: (fault) => {
        faults++
        terminal.note(passedOver(fault, terminal))
      },
    })) {
      if (!isWanted(entry)) continue
      newest.push(entry)
      // Memory for twice what is shown, and no shift for each entry.
      if (newest.length > 2 * count + 64) newest.splice(0, newest.length - count)
    }
    const shown = count === 0 ? [] : newest.slice(-count)
    for (const [index, entry] of shown.entries()) await printer.entry(entry, index)
    await printer.end(shown.length)
    return faults > 0 ? exitCodes.damaged : exitCodes.fine
  },
}

/** Where the last entries begin: what stands in front need not be read. */
async function fromFor(directory: string, count: number): Promise<{ from?: number }> {
  try {
    const reader = await WriteAheadLog.openReader(directory)
    const { firstOffset, lastOffset } = reader
    await reader.close()
    return { from: Math.max(firstOffset, lastOffset - count + 1) }
  } catch (error) {
    if (error instanceof WalError) return {}
    throw error
  }
}

async function follow(directory: string, count: number, printer: Printer, isWanted: (entry: { readonly type: number }) => boolean, signal: AbortSignal, flush: () => Promise<void>): Promise<ExitCode> {
  const reader = await WriteAheadLog.openReader(directory)
  try {
    const from = Math.max(reader.firstOffset, reader.lastOffset - count + 1)
    let index = 0
    for await (const { offset, entry } of reader.follow({ from, signal })) {
      if (isWanted(entry)) await printer.entry({ offset, type: entry.type, payload: entry.payload }, index++)
      await flush()
    }
    return exitCodes.fine
  } finally {
    await reader.close()
  }
}
