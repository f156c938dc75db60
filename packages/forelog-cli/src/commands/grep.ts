import { type SalvagedEntry, salvage } from 'forelog'
import { choice, type Command, entriesOption, integer, text, UsageError } from '../command.js'
import { exitCodes } from '../exit-codes.js'
import { type Matcher, matcherFor } from '../json-path.js'
import { entriesFrom } from '../load-module.js'
import { directoryOfLog } from '../log-directory.js'
import { type Codec, codecFrom } from '../payload-codec.js'
import { entryOptions, makePrinter, passedOver, printFormats, rangeFrom, typesFrom } from '../print-entries.js'
import { ReadingProgress } from '../progress.js'

export const grep: Command = {
  name: 'grep',
  args: ['PATTERN', 'DIR'],
  summary: 'Print the entries whose value matches: a JSON path with a condition, or a text.',
  description:
    "PATTERN is a path into the value with a condition, .customer.id=42, or a text that the value has somewhere in it, as it is printed or without the spaces.\n\n  .a.b[0]          is there, and not null\n  .a.b=VALUE       is VALUE, taken as JSON if it is, else as text\n" +
    '  .a.b!=VALUE      is there, and is not VALUE\n  .a.b~TEXT        matches the regular expression TEXT\n  .a<5  .a>=5      compares numbers\n  .items[].sku=x   any element\n\n' +
    'Several conditions are separated by " and ". Numbers are compared as JavaScript has them: beyond 2^53 neighbours are the same. Exit code 0: something matched. 1: nothing did, or a place could not be read.',
  options: {
    from: { type: 'string', value: 'OFFSET', help: 'The first entry. Default: the first of the log.' },
    to: { type: 'string', value: 'OFFSET', help: 'The last entry. Default: the last of the log.' },
    ...entryOptions,
    format: { type: 'string', value: 'FORMAT', help: `One of ${printFormats.join(', ')}. Default ndjson.`, choices: printFormats },
    count: { type: 'boolean', short: 'c', help: 'Print how many match, and no entry.' },
    'max-count': { type: 'string', short: 'm', value: 'N', help: 'Stop after so many.' },
    ...entriesOption,
  },
  examples: [
    ["forelog grep '.customer.id=42' ./data/orders", 'all orders of one customer'],
    ["forelog grep '.total>=1000 and .status!=paid' ./data/orders --type 1", 'two conditions, one entry type'],
    ['forelog grep timeout ./data/events -m 1', 'the first entry that has the text in it'],
  ],
  async run({ terminal, positionals, values, json, signal }) {
    const [pattern, path] = positionals as readonly [string, string]
    if (pattern === '') throw new UsageError('grep needs a pattern that is not empty')
    const matches = matcherFor(pattern)
    const codec = await codecFrom(values)
    const printer = makePrinter(terminal, json ? 'ndjson' : choice(values, 'format', printFormats, 'ndjson'), codec)
    const wanted = typesFrom(values)
    const most = text(values, 'max-count') === undefined ? Infinity : (integer(values, 'max-count', 1) as number)
    const range = rangeFrom(values)
    // The command line first, whatever the directory is.
    const directory = directoryOfLog(path)
    const silent = values['count'] === true
    let faults = 0
    let count = 0
    const onFault = (fault: Parameters<typeof passedOver>[0]): void => {
      faults++
      terminal.note(passedOver(fault, terminal))
    }
    if (!silent) await printer.begin()
    const progress = new ReadingProgress(terminal, 'Searching', directory)
    try {
      for await (const entry of salvage(directory, { ...(await entriesFrom(values)), ...range, copy: false, signal, onFault })) {
        progress.update(entry)
        if (wanted !== undefined && !wanted.has(entry.type)) continue
        if (!matchesEntry(entry, codec, matches)) continue
        if (!silent) await printer.entry(entry, count)
        if (++count >= most) break
      }
    } finally {
      progress.stop()
    }
    if (silent) await terminal.line(json ? JSON.stringify({ count }) : String(count))
    else await printer.end(count)
    return count > 0 && faults === 0 ? exitCodes.fine : exitCodes.damaged
  },
}

/** One that can't be decoded matches nothing. */
function matchesEntry({ payload, type }: SalvagedEntry, codec: Codec, matches: Matcher): boolean {
  try {
    return matches(codec.value(payload, type), () => codec.json(payload, type))
  } catch {
    return false
  }
}
