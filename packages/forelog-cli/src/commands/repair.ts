import { planRepair, repair as repairLog, type RepairAction, type RepairChoice, type RepairPlan } from 'forelog'
import { basename, join } from 'node:path'
import { confirmed } from '../confirm.js'
import { choice, type Command, entriesOption, text } from '../command.js'
import { type ExitCode, exitCodes } from '../exit-codes.js'
import { entriesFrom } from '../load-module.js'
import { existingDirectory } from '../log-directory.js'
import { ProgressBar } from '../progress.js'
import { faultText, isOutOfReach, offsetsText, outcomeText, writerText } from '../report-text.js'
import type { Terminal } from '../terminal.js'
import { bytesText, countText, harmless, plural, rangeText, shellText } from '../text.js'
import { verdictOf } from '../verdict.js'

export const repair: Command = {
  name: 'repair',
  args: ['DIR'],
  summary: 'Mend what can be mended; says exactly what would be lost, asks, and copies what it takes out to quarantine/.',
  description:
    'A flipped bit is mended, a header is written again where the records around it prove what it was, a renamed segment gets its name back, and nothing is lost. A torn tail is cut off, as opening the log would. Where more is damaged, somebody has to decide what is kept, what stands in front of ' +
    'the damage or what stands behind it: --keep. Nothing is touched that was not shown before, and everything that goes is copied to quarantine/ first. Nobody may have the log open. Run by root, it makes files with owner, group and mode of those that are there.\n\n' +
    'Exit code 0: the log is whole now, or was. 1: it can not be repaired, or a decision is needed. 2: not confirmed.',
  options: {
    'dry-run': { type: 'boolean', short: 'n', help: 'Show what would be done, and stop.' },
    yes: { type: 'boolean', short: 'y', help: 'Do not ask. Damage that needs a decision needs --keep as well.' },
    keep: { type: 'string', value: 'front|back', help: 'What is kept where damage can not be mended.', choices: ['front', 'back'] },
    ...entriesOption,
  },
  examples: [
    ['forelog repair ./data/orders --dry-run', 'what would be done, and what would be lost?'],
    ['forelog repair ./data/orders', 'show it, ask, do it'],
    ['forelog repair ./data/orders --keep front --yes', 'cut the log in front of the damage, without a question'],
  ],
  async run({ terminal, positionals, values, json, signal }) {
    const directory = existingDirectory(positionals[0] as string)
    const keepWord = text(values, 'keep') === undefined ? undefined : choice(values, 'keep', ['front', 'back'], 'front')
    const bar = new ProgressBar(terminal, 'Verifying')
    const options = { ...(await entriesFrom(values)), signal, onProgress: bar.update }
    let plan: RepairPlan
    try {
      plan = await planRepair(directory, { ...options, ...(keepWord === undefined ? {} : { keep: keepWord }) })
    } finally {
      bar.stop()
    }
    const dryRun = values['dry-run'] === true
    if (!json) await showPlan(plan, terminal, dryRun)
    if (plan.state !== 'ready' || dryRun) {
      if (json) await terminal.line(JSON.stringify({ plan }))
      return codeOfPlan(plan, dryRun)
    }
    await terminal.flush()
    if (plan.report.writer.held === true && values['yes'] !== true) {
      if (json) await terminal.line(JSON.stringify({ plan }))
      terminal.note('Nothing was changed.')
      return exitCodes.unreachable
    }
    if (values['yes'] !== true && !(await confirmed(`Repair ${plan.directory}?`, terminal, json))) {
      terminal.note('Nothing was changed.')
      return exitCodes.usage
    }
    const result = await repairLog(directory, { ...options, plan, ...(keepWord === undefined ? {} : { keep: keepWord }) }).finally(() => bar.stop())
    if (json) await terminal.line(JSON.stringify(result))
    else {
      const { colors } = terminal
      await terminal.prose(`${outcomeText(result.report, colors)}   ${colors.bold(result.report.directory)}`)
      await terminal.prose(`  ${plural(result.report.entries, 'entry', 'entries')}, ${offsetsText(result.report)}`)
      for (const copy of result.quarantined) await terminal.prose(`  ${colors.dim('copy')}  ${join('quarantine', basename(copy))}`)
      for (const fault of result.report.faults.slice(0, 5)) await terminal.prose(faultText(fault, colors))
    }
    return verdictOf(result.report)
  },
}

function codeOfPlan({ state, report }: RepairPlan, dryRun: boolean): ExitCode {
  if (state === 'nothing') return exitCodes.fine
  if (state === 'ready' && dryRun) return exitCodes.fine
  return report.outcome === 'none' || isOutOfReach(report) ? exitCodes.unreachable : exitCodes.damaged
}

async function showPlan(plan: RepairPlan, terminal: Terminal, dryRun: boolean): Promise<void> {
  const { colors } = terminal
  const { report } = plan
  await terminal.prose(`${outcomeText(report, colors)}   ${colors.bold(plan.directory)}`)
  if (report.writer.held === true) await terminal.prose(`  ${colors.yellow('Somebody is writing it:')} ${writerText(report)}. End that process before the repair.`)
  for (const fault of report.faults.slice(0, 10)) await terminal.prose(faultText(fault, colors))
  if (report.faultCount > 10) await terminal.prose(colors.dim(`  … and ${plural(report.faultCount - 10, 'more fault')}`))
  await terminal.line()
  switch (plan.state) {
    case 'nothing':
      return await terminal.prose('  Nothing is to be repaired.')
    case 'impossible':
      await terminal.prose(`  ${colors.red('This can not be repaired.')}`)
      for (const reason of plan.reasons) await terminal.prose(`    ${reason}`)
      if (report.outcome !== 'none' && report.outcome !== 'unread') await showRescue(plan, terminal)
      return
    case 'decide':
      await showLossless(plan, terminal)
      await terminal.prose(`  ${colors.bold('More is damaged than can be mended. What shall be kept?')} Each way takes entries out of the log:`)
      for (const each of plan.choices) await showChoice(each, plan, terminal)
      for (const reason of plan.reasons) await terminal.prose(`\n  ${colors.dim(reason)}`)
      await showRescue(plan, terminal)
      await terminal.prose('  Or keep a part of it, once it is decided which:')
      return await terminal.commands(plan.choices.map(({ keep, firstOffset, lastOffset }) => [`forelog repair ${shellText(plan.directory)} --keep ${keep}`, rangeText(firstOffset, lastOffset)] as const))
    case 'ready':
      await terminal.prose(colors.bold(dryRun ? '  A repair would:' : '  The repair will:'))
      await showActions(plan.actions, terminal)
      await terminal.prose(`  ${lossText(plan, terminal)}`)
      if (dryRun) await terminal.line(`  Nothing was changed. To do it:\n    forelog repair ${shellText(plan.directory)}${keepOf(plan)}`)
  }
}

/** The option that took this choice. */
function keepOf({ actions, choices }: RepairPlan): string {
  const taken = choices.find((each) => JSON.stringify(each.actions) === JSON.stringify(actions))
  return taken === undefined ? '' : ` --keep ${taken.keep}`
}

/** Where all entries can be read, a copy loses nothing, and any repair does. */
async function showLossless({ directory, report }: RepairPlan, { colors, line, prose }: Terminal): Promise<void> {
  const { firstOffset, lastOffset, entries, end, format } = report
  if (format !== 2 || end === undefined || end.row === 'M' || entries === 0 || entries !== lastOffset - firstOffset + 1) return
  const offsets = firstOffset === 1 ? 'under the offsets that they have' : 'under new offsets'
  await prose(`  ${colors.bold(colors.green(`All ${plural(entries, 'entry', 'entries')} can be read.`))} A new log takes them ${offsets}, and nothing is lost but the positions of cursors:`)
  await line(`    forelog export ${shellText(directory)} | forelog import ${shellText(`${directory}-rescued`)}`)
  await line()
}

/** What can be saved of a log that can't be mended. */
async function showRescue({ directory, report }: RepairPlan, { colors, line, prose }: Terminal): Promise<void> {
  const path = shellText(directory)
  const rescued = shellText(`${directory}-rescued`)
  await line()
  await prose(`  Nothing was changed. ${colors.bold('Save what can be read first:')}`)
  await line(`    forelog dump ${path} > keep.ndjson`)
  if (report.format !== 2) return
  await prose('  Or go on with all that can be read, under new offsets, in a new log:')
  await line(`    forelog export ${path} | forelog import ${rescued}`)
}

async function showChoice(each: RepairChoice, plan: RepairPlan, terminal: Terminal): Promise<void> {
  const { colors } = terminal
  const count = each.lastOffset - each.firstOffset + 1
  await terminal.line()
  await terminal.prose(`  ${colors.bold(colors.cyan(`--keep ${each.keep}`))}   keeps ${plural(count, 'entry', 'entries')}, ${rangeText(each.firstOffset, each.lastOffset)}`)
  await showActions(each.actions, terminal)
  await terminal.prose(`    ${lossText({ ...plan, loses: each.loses, actions: each.actions }, terminal)}`)
  if (each.keep === 'back' && each.loses.readableEntries > 0) await terminal.prose(`    ${colors.dim('A log begins where a segment does: what can be read behind the damage, up to the next segment, goes with it.')}`)
}

async function showActions(actions: readonly RepairAction[], terminal: Terminal): Promise<void> {
  const shown = actions.length > 12 ? [...actions.slice(0, 8), ...actions.slice(-3)] : actions
  for (const [index, action] of shown.entries()) {
    if (index === 8 && actions.length > 12) await terminal.prose(terminal.colors.dim(`    … ${plural(actions.length - 11, 'more step')} of the same kind`))
    await terminal.prose(`    • ${actionText(action)}`)
  }
}

export function actionText(action: RepairAction): string {
  const file = basename(action.path)
  switch (action.kind) {
    case 'rename':
      return `rename ${harmless(file)} to ${basename(action.newPath)}`
    case 'mend-bit':
      return `flip bit ${action.bit} of byte ${action.position} of ${file} back`
    case 'rebuild-header':
      return `write the header of ${file} again, as the records around it prove it`
    case 'cut':
      return `cut ${file} at byte ${action.position}: ${plural(action.bytes, 'byte goes', 'bytes go')}`
    case 'end-after':
      return `end the log behind entry ${action.offset}, by a new segment ${basename(action.newPath)}${action.bytes === 0 ? '' : `: ${plural(action.bytes, 'byte is', 'bytes are')} dead then, in ${file} from byte ${action.position} on`}`
    case 'begin-at':
      return `begin the log with entry ${action.offset}, by a low-water mark and a close record at the end of ${file}`
    case 'pull-back': {
      const { name, committed } = action.furthest
      const others = action.cursors === 1 ? '' : `, and ${plural(action.cursors - 1, 'other cursor')} with it`
      return `end the log behind entry ${action.offset}, by a new segment ${basename(action.newPath)}: cursor '${harmless(name)}' goes back there from entry ${committed}${others}, and is told (cursor.cut)`
    }
    case 'set-aside':
      return `move ${file} to quarantine/ (${bytesText(action.bytes)})`
  }
}

function lossText({ loses, report, actions }: Pick<RepairPlan, 'loses' | 'report' | 'actions'>, { colors }: Terminal): string {
  const has = (kind: string): boolean => report.faults.some((fault) => fault.kind === kind)
  if (loses.bytes === 0 && report.end?.row === 'M') {
    const { firstOffset, lastOffset } = loses
    return colors.red(`Lost before: ${firstOffset === lastOffset ? 'entry' : 'entries'} ${rangeText(firstOffset, lastOffset)}, which cursors prove that there was. What is there stays.`)
  }
  if (loses.bytes === 0) {
    if (actions.every(({ kind }) => kind === 'rename')) return colors.green('Nothing is lost.')
    if (has('missing')) return `${colors.green('No entry that is there is lost.')} What is missing stays missing.`
    return colors.green(has('stray') ? 'No entry of the log is lost.' : 'Nothing is lost.')
  }
  const entries = loses.lastOffset - loses.firstOffset + 1
  const copy = `${bytesText(loses.bytes)} are copied to quarantine/ first.`
  if (report.faultCount === 0) {
    const whole = loses.readableEntries > 0 ? `${plural(loses.readableEntries, 'whole entry', 'whole entries')} that nothing proves acknowledged go with it` : 'No entry that was acknowledged goes, as far as the log can prove'
    return `${colors.yellow(report.end?.ambiguous === true ? `${whole}; whether acknowledged ones were damaged there can not be told.` : `${whole}.`)} ${copy}`
  }
  // Where the end of the log can't be read, nobody knows how many there were.
  const range = entries <= 0 ? `all entries from ${loses.firstOffset} on, as many as there were` : `${entries === 1 ? 'entry' : 'entries'} ${rangeText(loses.firstOffset, loses.lastOffset)}`
  const readable = `, ${countText(loses.readableEntries)} of them readable`
  return `${colors.red(`Lost: ${range}${readable}.`)} ${copy}`
}
