import { verify as verifyLog, type VerifyReport } from 'forelog'
import { type Command, entriesOption, integer } from '../command.js'
import { entriesFrom } from '../load-module.js'
import { existingDirectory } from '../log-directory.js'
import { ProgressBar } from '../progress.js'
import { endText, faultText, isOutOfReach, offsetsText, outcomeText, writerText } from '../report-text.js'
import type { Terminal } from '../terminal.js'
import { bytesText, countText, durationText, plural, shellText } from '../text.js'
import { verdictOf } from '../verdict.js'

export const verify: Command = {
  name: 'verify',
  args: ['DIR'],
  summary: 'Check every byte of a log, and say what is damaged, where, and what that means for the data.',
  description:
    'Changes nothing and takes no lock; works beside a writer.\n\nExit code 0: sound (a torn tail as a crash leaves it counts as sound, unless --strict). 1: damaged. 4: the tail ' +
    'can not be told from damage, and opening would cut it off; or a newer segment may be missing. 3: there is no log, or it is out of reach.',
  options: {
    summary: { type: 'boolean', help: 'With --json: without the map of each segment (ranges), which is most of it.' },
    strict: { type: 'boolean', help: 'A torn tail counts as damage.' },
    'max-faults': { type: 'string', value: 'N', help: 'Faults to show at the most; all are counted. Default 20.' },
    ...entriesOption,
  },
  examples: [
    ['forelog verify ./data/orders', 'is it whole?'],
    ['forelog verify ./backup/orders --strict && echo good', 'a backup has to be whole to its last byte'],
    ['forelog verify ./go-log --entries ./entries.js', 'a log of format 1, whose records only its entries can frame'],
  ],
  async run({ terminal, positionals, values, json, signal }) {
    const bar = new ProgressBar(terminal, 'Verifying')
    let report: VerifyReport
    try {
      report = await verifyLog(existingDirectory(positionals[0] as string), { ...(await entriesFrom(values)), maxFaults: integer(values, 'max-faults', 1) ?? 20, signal, onProgress: bar.update })
    } finally {
      bar.stop()
    }
    if (json) await terminal.line(JSON.stringify(values['summary'] === true ? withoutMaps(report) : report))
    else await show(report, bar.elapsedMs, terminal)
    return verdictOf(report, values['strict'] === true)
  },
}

function withoutMaps(report: VerifyReport): object {
  return { ...report, segments: report.segments.map(({ ranges: _, ...segment }) => segment) }
}

async function show(report: VerifyReport, elapsedMs: number, terminal: Terminal): Promise<void> {
  const { colors } = terminal
  await terminal.prose(`${outcomeText(report, colors)}   ${colors.bold(report.directory)}`)
  if (report.outcome === 'none') return await terminal.prose('  There is no segment of a log in this directory.')
  if (report.outcome === 'unread') return await terminal.prose('  It is of format 1, and only the entries can tell where its records end: name them with --entries FILE.js.')
  const rate = report.bytes > 10_000_000 ? ` (${bytesText((report.bytes / elapsedMs) * 1000)}/s)` : ''
  await terminal.prose(`  ${plural(report.entries, 'entry', 'entries')}, ${offsetsText(report)}; ${bytesText(report.bytes)} in ${plural(report.segments.length, 'segment')}, read in ${durationText(elapsedMs)}${rate}`)
  await terminal.prose(`  ${colors.dim('end')}     ${endText(report, colors)}`)
  if (report.writer.held !== false || report.writer.holder.pid !== undefined) await terminal.prose(`  ${colors.dim('writer')}  ${writerText(report)}`)
  if (report.faultCount === 0) return await showTail(report, terminal)
  await terminal.line()
  for (const fault of report.faults) await terminal.prose(faultText(fault, colors))
  const hidden = report.faultCount - report.faults.length
  if (hidden > 0) await terminal.prose(colors.dim(`  … and ${plural(hidden, 'more fault')}`))
  await terminal.line()
  if (report.faultCount === report.faults.length && report.faults.every(({ kind }) => kind === 'stray')) return await showStrays(report, terminal)
  await terminal.prose(`  ${plural(report.entries, 'entry', 'entries')} can be read, ${countText(report.entriesBehindFirstFault)} of them behind the first fault.`)
  if (isOutOfReach(report)) return await terminal.prose(`  Nothing was changed. Nothing is known to be damaged: verify again when the ${report.faultCount === 1 ? 'file' : 'files'} can be read.`)
  const path = shellText(report.directory)
  await terminal.prose(`  Nothing was changed. ${colors.bold('What now?')} Stop the writer, copy the directory, then:`)
  await terminal.commands([
    [`forelog dump ${path} > keep.ndjson`, 'every entry that can be read'],
    [`forelog repair ${path} --dry-run`, 'what can be mended, and what would be lost'],
  ])
}

/** Nothing is wrong with the log itself. */
async function showStrays({ directory, faults, entries }: VerifyReport, terminal: Terminal): Promise<void> {
  const what = faults.length === 1 ? 'that file is' : 'those files are'
  await terminal.prose(`  Nothing else is wrong: all ${plural(entries, 'entry', 'entries')} can be read, and the log opens once ${what} elsewhere. Nothing was changed. ${terminal.colors.bold('What now?')} Move ${faults.length === 1 ? 'it' : 'them'}, or:`)
  await terminal.commands([[`forelog repair ${shellText(directory)}`, 'shows what it would move or rename, and asks']])
}

/** What there is to do about an end that a crash left. */
async function showTail({ outcome, directory, writer, end, lastOffset }: VerifyReport, terminal: Terminal): Promise<void> {
  if (writer.held === true) return
  if (outcome === 'torn') await terminal.prose('  The next opening cuts it off.')
  if (outcome !== 'undecided') return
  const now = `  Nothing was changed. ${terminal.colors.bold('What now?')}`
  if (end?.full === true) {
    const what = `Does somebody remember an acknowledged entry behind ${lastOffset}, a client, a backup or another system? Then put the missing segment back before anything opens the log.`
    return await terminal.prose(`${now} ${what} If nobody does, open it: it goes on behind the last entry.`)
  }
  const what = 'Copy the directory. Does somebody remember an acknowledged entry behind the last one, a client or another system? Then it was damaged, and is to be restored.'
  await terminal.prose(`${now} ${what} If nobody does, open the log: it goes on behind the last entry.`)
  await terminal.commands([[`forelog tail ${shellText(directory)}`, 'the newest entries that are whole']])
}
