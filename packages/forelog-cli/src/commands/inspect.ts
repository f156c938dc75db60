import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { type CursorInfo, verify, type VerifyReport, WriteAheadLog } from 'forelog'
import { type Command, entriesOption } from '../command.js'
import { exitCodes } from '../exit-codes.js'
import { entriesFrom } from '../load-module.js'
import { existingDirectory } from '../log-directory.js'
import { ProgressBar } from '../progress.js'
import { endText, factsText, faultText, offsetsText, outcomeText, cursorsText, segmentsText, typesText, writerText } from '../report-text.js'
import type { Terminal } from '../terminal.js'
import { bytesText, countText, plural } from '../text.js'

export const inspect: Command = {
  name: 'inspect',
  args: ['DIR'],
  summary: 'Show what a log is: format, offsets, segments with a map of each, entry types, how it ended, who holds it.',
  description:
    'Changes nothing and takes no lock; works beside a writer, and on damaged logs. Reads every byte to draw the maps; --quick reads names, headers and the end ' +
    'alone, and takes the same time for 10 MB and 10 GB. Exits with 0 whatever state the log is in; verify is what says by its exit code.',
  options: {
    quick: { type: 'boolean', short: 'q', help: 'Look at names, headers and the end alone.' },
    ...entriesOption,
  },
  examples: [
    ['forelog inspect ./data/orders', 'the whole picture'],
    ['forelog inspect ./data/orders --quick --json', 'offsets and the lock, for a script'],
  ],
  async run({ terminal, positionals, values, json, signal }) {
    const bar = new ProgressBar(terminal, 'Reading')
    const scope = values['quick'] === true ? 'structure' : 'everything'
    let report: VerifyReport
    try {
      report = await verify(existingDirectory(positionals[0] as string), { ...(await entriesFrom(values)), scope, signal, onProgress: bar.update })
    } finally {
      bar.stop()
    }
    const cursors = await cursorsOf(report)
    if (json) await terminal.line(JSON.stringify({ ...report, cursors }))
    else await show(report, cursors, terminal)
    return report.outcome === 'none' ? exitCodes.unreachable : exitCodes.fine
  },
}

/** Named positions of readers; none where there is no log that could be read for them. */
async function cursorsOf({ directory, format, outcome }: VerifyReport): Promise<readonly CursorInfo[]> {
  if (format !== 2 || outcome === 'none') return []
  try {
    await using reader = await WriteAheadLog.openReader(directory)
    return await reader.cursors()
  } catch {
    // What is wrong with the log is in the report already, and cursors of a log that can't be read point nowhere.
    return []
  }
}

/** How many cursors have a file. */
function cursorFiles(directory: string): number {
  try {
    return readdirSync(join(directory, 'cursors')).filter((name) => name.endsWith('.cursor')).length
  } catch {
    return 0
  }
}

async function show(report: VerifyReport, cursors: readonly CursorInfo[], terminal: Terminal): Promise<void> {
  const { colors } = terminal
  await terminal.prose(`${colors.bold(report.directory)}   ${outcomeText(report, colors)}`)
  if (report.outcome === 'none') {
    await terminal.prose('  There is no segment of a log in this directory.')
    return
  }
  await terminal.line()
  await terminal.prose(factsText(factsOf(report, terminal), colors))
  await terminal.line()
  await terminal.line(segmentsText(report, terminal.width, colors))
  if (report.types.length > 0) {
    await terminal.line()
    await terminal.line(typesText(report.types, terminal.width, colors))
  }
  if (cursors.length > 0) {
    await terminal.line()
    await terminal.line(cursorsText(cursors, report, terminal.width, colors))
  } else if (report.outcome === 'damaged') {
    const hidden = cursorFiles(report.directory)
    if (hidden > 0) {
      await terminal.line()
      await terminal.prose(colors.yellow(`  ${plural(hidden, 'cursor is', 'cursors are')} not shown: where ${hidden === 1 ? 'it stands' : 'they stand'} can be told once the log can be opened.`))
    }
  }
  if (report.faultCount === 0) return
  await terminal.line()
  for (const fault of report.faults.slice(0, 3)) await terminal.prose(faultText(fault, colors))
  if (report.faultCount > 3) await terminal.line(colors.dim(`  … and ${plural(report.faultCount - 3, 'more fault')}: forelog verify shows them`))
}

function factsOf(report: VerifyReport, { colors }: Terminal): (readonly [string, string])[] {
  const wanted = report.lastOffset - report.firstOffset + 1
  const isCounted = report.types.length > 0 || report.faultCount > 0
  const entries = isCounted && report.entries < wanted ? `${countText(report.entries)} readable of ${countText(wanted)}` : countText(Math.max(0, wanted))
  return [
    ['format', `${String(report.format)}${report.logId === undefined ? '' : colors.dim(`  id ${report.logId}`)}`],
    ['offsets', offsetsText(report)],
    ['entries', report.outcome === 'unread' ? `not counted: format 1 needs --entries FILE.js` : entries],
    ['size', `${bytesText(report.bytes)} in ${plural(report.segments.length, 'segment')}`],
    ['end', endText(report, colors)],
    ['writer', writerText(report)],
    ...(report.temporaries.length === 0 ? [] : [['leftover', `${plural(report.temporaries.length, 'unfinished segment')}: the next opening removes them`] as const]),
    ...(report.quarantined.length === 0
      ? []
      : [['quarantine', `${plural(report.quarantined.length, 'copy', 'copies')} of what was cut, ${bytesText(report.quarantined.reduce((sum, { bytes }) => sum + bytes, 0))}`] as const]),
  ]
}
