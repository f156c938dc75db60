import { salvage } from 'forelog'
import { type Command, entriesOption } from '../command.js'
import { exitCodes } from '../exit-codes.js'
import { entriesFrom } from '../load-module.js'
import { directoryOfLog } from '../log-directory.js'
import { noteEmptyRange, passedOver, rangeFrom, typesFrom } from '../print-entries.js'
import { ReadingProgress } from '../progress.js'

export const exportEntries: Command = {
  name: 'export',
  args: ['DIR'],
  summary: 'Print entries as NDJSON that import takes again, byte for byte.',
  description: 'One line for each entry: offset, type, and the payload in base64. dump is what shows payloads as values.',
  options: {
    from: { type: 'string', value: 'OFFSET', help: 'The first entry. Default: the first of the log.' },
    to: { type: 'string', value: 'OFFSET', help: 'The last entry. Default: the last of the log.' },
    type: { type: 'string', value: 'N[,N…]', help: 'Entry types that are wanted. Default: all.' },
    ...entriesOption,
  },
  examples: [
    ['forelog export ./data/orders | gzip > orders.ndjson.gz', 'keep a log as text'],
    ['forelog export ./old | forelog import ./new', 'copy the entries of a log into another one'],
  ],
  async run({ terminal, positionals, values, signal }) {
    const wanted = typesFrom(values)
    const range = rangeFrom(values)
    // The command line first, whatever the directory is.
    const directory = directoryOfLog(positionals[0] as string)
    let faults = 0
    const onFault = (fault: Parameters<typeof passedOver>[0]): void => {
      faults++
      terminal.note(passedOver(fault, terminal))
    }
    let count = 0
    const progress = new ReadingProgress(terminal, 'Exporting', directory)
    try {
      for await (const entry of salvage(directory, { ...(await entriesFrom(values)), ...range, copy: false, signal, onFault })) {
        progress.update(entry)
        const { offset, type, payload } = entry
        if (wanted !== undefined && !wanted.has(type)) continue
        count++
        await terminal.line(JSON.stringify({ offset, type, base64: Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString('base64') }))
      }
    } finally {
      progress.stop()
    }
    if (count === 0) await noteEmptyRange(directory, values, terminal)
    return faults > 0 ? exitCodes.damaged : exitCodes.fine
  },
}
