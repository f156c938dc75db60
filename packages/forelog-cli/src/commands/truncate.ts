import { verify, WriteAheadLog } from 'forelog'
import { confirmed } from '../confirm.js'
import { type Command, entriesOption, integer, UsageError } from '../command.js'
import { exitCodes } from '../exit-codes.js'
import { entriesFrom } from '../load-module.js'
import { directoryOfLog } from '../log-directory.js'
import { plural } from '../text.js'

export const truncate: Command = {
  name: 'truncate',
  args: ['DIR'],
  summary: 'Take entries away, in front or behind: they are gone for good.',
  description: 'Opens the log for writing, so nobody else may have it open, and recovers it first if it was not closed. --before frees whole segments; --after removes newer entries, whose offsets are given again.',
  options: {
    before: { type: 'string', value: 'OFFSET', help: 'Entries below are no longer wanted.' },
    after: { type: 'string', value: 'OFFSET', help: 'Entries above are removed.' },
    'dry-run': { type: 'boolean', short: 'n', help: 'Show what would go, and stop.' },
    yes: { type: 'boolean', short: 'y', help: 'Do not ask.' },
    ...entriesOption,
  },
  examples: [
    ['forelog truncate ./data/orders --before 100000', 'a checkpoint covers all in front of entry 100000'],
    ['forelog truncate ./data/orders --after 99 --dry-run', 'what would go?'],
  ],
  async run({ terminal, positionals, values, json }) {
    const directory = directoryOfLog(positionals[0] as string)
    const before = integer(values, 'before')
    const after = integer(values, 'after')
    if ((before === undefined) === (after === undefined)) throw new UsageError('truncate needs one of --before and --after')
    const report = await verify(directory, { scope: 'structure', ...(await entriesFrom(values)) })
    const { firstOffset, lastOffset } = report
    const first = before === undefined ? Math.max((after as number) + 1, firstOffset) : firstOffset
    const last = before === undefined ? lastOffset : Math.min(before - 1, lastOffset)
    const count = Math.max(0, last - first + 1)
    const facts = { directory: report.directory, firstOffset, lastOffset, removes: { firstOffset: first, lastOffset: last, entries: count } }
    if (!json) await terminal.prose(count === 0 ? 'No entry goes.' : `${plural(count, 'entry goes', 'entries go')}: ${first} to ${last}, of ${firstOffset} to ${lastOffset}.`)
    if (values['dry-run'] === true) {
      if (json) await terminal.line(JSON.stringify(facts))
      return exitCodes.fine
    }
    if (values['yes'] !== true && !(await confirmed('They are gone for good.', terminal, json))) {
      terminal.note('Nothing was changed.')
      return exitCodes.usage
    }
    const log = await WriteAheadLog.open(directory, await entriesFrom(values))
    try {
      if (before !== undefined) await log.truncateBefore(before)
      else await log.truncateAfter(after as number)
      const now = { firstOffset: log.firstOffset, lastOffset: log.lastOffset }
      await terminal.line(json ? JSON.stringify({ ...facts, now }) : now.lastOffset < now.firstOffset ? `The log is empty now; its next entry is ${now.firstOffset}.` : `The log has entries ${now.firstOffset} to ${now.lastOffset} now.`)
    } finally {
      await log.close()
    }
    return exitCodes.fine
  },
}
