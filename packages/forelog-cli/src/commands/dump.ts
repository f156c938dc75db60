import { type Fault, salvage } from 'forelog'
import { choice, type Command, entriesOption } from '../command.js'
import { exitCodes } from '../exit-codes.js'
import { entriesFrom } from '../load-module.js'
import { directoryOfLog } from '../log-directory.js'
import { codecFrom } from '../payload-codec.js'
import { entryOptions, makePrinter, noteEmptyRange, passedOver, printFormats, rangeFrom, typesFrom } from '../print-entries.js'
import { ReadingProgress } from '../progress.js'
import { plural } from '../text.js'

export const dump: Command = {
  name: 'dump',
  args: ['DIR'],
  summary: 'Print the entries of a log, also of a damaged one, streaming.',
  description:
    'Each entry is one line of JSON (ndjson): offset, type, size, and its value as --codec shows it: JSON as it is stored, each number with all its digits. What is damaged is passed over, told on stderr, and makes the exit code 1; everything ' +
    'that can be read behind it is printed. Changes nothing and takes no lock. Works without the entry types (format 2).',
  options: {
    from: { type: 'string', value: 'OFFSET', help: 'The first entry. Default: the first of the log.' },
    to: { type: 'string', value: 'OFFSET', help: 'The last entry. Default: the last of the log.' },
    ...entryOptions,
    format: { type: 'string', value: 'FORMAT', help: `One of ${printFormats.join(', ')}. Default ndjson.`, choices: printFormats },
    ...entriesOption,
  },
  examples: [
    ['forelog dump ./data/orders | head', 'the first ten entries'],
    ['forelog dump ./data/orders --from 1000 --to 1010 --format table', 'some entries, to look at'],
    ['forelog dump ./data/orders --type 1,3 --codec msgpack', 'two types, encoded with msgpack'],
    ['forelog dump ./data/orders --format hex --from 42 --to 42', 'the bytes of one entry'],
  ],
  async run({ terminal, positionals, values, json, signal }) {
    const printer = makePrinter(terminal, json ? 'ndjson' : choice(values, 'format', printFormats, 'ndjson'), await codecFrom(values))
    const wanted = typesFrom(values)
    const range = rangeFrom(values)
    // The command line first, whatever the directory is.
    const directory = directoryOfLog(positionals[0] as string)
    let faults = 0
    const onFault = (fault: Fault): void => {
      faults++
      terminal.note(passedOver(fault, terminal))
    }
    await printer.begin()
    let count = 0
    const progress = new ReadingProgress(terminal, 'Reading', directory)
    try {
      for await (const entry of salvage(directory, { ...(await entriesFrom(values)), ...range, copy: false, signal, onFault })) {
        progress.update(entry)
        if (wanted !== undefined && !wanted.has(entry.type)) continue
        await printer.entry(entry, count++)
      }
    } finally {
      progress.stop()
    }
    await printer.end(count)
    if (count === 0) await noteEmptyRange(directory, values, terminal)
    if (faults > 0) terminal.note(`${terminal.errorColors.red('forelog:')} ${plural(faults, 'place')} could not be read: forelog verify tells what that means`)
    return faults > 0 ? exitCodes.damaged : exitCodes.fine
  },
}
