/**
 * The help, made from the descriptions of the commands.
 */
import { type Command, commonOptions, type OptionSpec } from './command.js'
import type { Colors } from './terminal.js'

export function generalHelp(commands: readonly Command[], colors: Colors): string {
  const { bold, cyan, dim } = colors
  const width = Math.max(...commands.map(({ name }) => name.length)) + 2
  return [
    `${bold('forelog')}: look into a write-ahead log, verify it, and mend what is damaged.`,
    '',
    `${bold('Usage')}  forelog ${cyan('COMMAND')} [options]`,
    '',
    bold('Commands'),
    ...commands.map(({ name, summary }) => `  ${cyan(name.padEnd(width))}${summary}`),
    '',
    `${bold('Something is wrong with a log?')} In this order; nothing is changed before the last:`,
    `  forelog inspect ./data             ${dim('what it is, at a glance')}`,
    `  forelog verify ./data              ${dim('every byte: what is damaged, and what that means')}`,
    `  forelog dump ./data > keep.ndjson  ${dim('every entry that can be read')}`,
    `  forelog repair ./data --dry-run    ${dim('what could be mended, and what would be lost')}`,
    '',
    `${dim('Exit codes: 0 fine, 1 damaged, 2 wrong command line, 3 log out of reach, 4 undecided. Each command has --help and --json.')}`,
    '',
  ].join('\n')
}

export function commandHelp(command: Command, colors: Colors): string {
  const { bold, cyan, dim } = colors
  const options = Object.entries<OptionSpec>({ ...command.options, ...commonOptions })
  const signs = options.map(([name, option]) => signOf(name, option))
  const width = Math.min(30, Math.max(...signs.map(({ length }) => length)) + 2)
  return [
    command.summary,
    ...(command.description === undefined ? [] : ['', ...wrap(command.description, 96)]),
    '',
    `${bold('Usage')}  forelog ${command.name} ${command.args.map((arg) => cyan(arg)).join(' ')}${command.args.length > 0 ? ' ' : ''}[options]`,
    '',
    bold('Options'),
    ...options.flatMap(([, option], index) => {
      const lines = wrap(option.help, 96 - width)
      return lines.map((line, at) => `  ${at === 0 ? cyan((signs[index] as string).padEnd(width)) : ' '.repeat(width)}${line}`)
    }),
    ...(command.examples.length === 0 ? [] : ['', bold('Examples')]),
    ...command.examples.flatMap(([line, what]) => [`  ${line}`, `      ${dim(what)}`]),
    '',
  ].join('\n')
}

function signOf(name: string, { short, value }: OptionSpec): string {
  return `${short === undefined ? '    ' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  for (const paragraph of text.split('\n')) {
    let line = ''
    for (const word of paragraph.split(' ')) {
      if (line !== '' && line.length + 1 + word.length > width) {
        lines.push(line)
        line = word
      } else line = line === '' ? word : `${line} ${word}`
    }
    lines.push(line)
  }
  return lines
}
