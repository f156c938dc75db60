/**
 * The help, made from the descriptions of the commands.
 */
import { type Command, commonOptions, type OptionSpec } from './command.js'
import { type Colors, commandLines } from './terminal.js'
import { wrapped } from './text.js'

/** Longer lines are hard to read, however wide the terminal is. */
const widest = 98

const inTrouble = [
  ['forelog inspect ./data', 'what it is, at a glance'],
  ['forelog verify ./data', 'every byte: what is damaged, what that means'],
  ['forelog dump ./data > keep.ndjson', 'every entry that can be read'],
  ['forelog repair ./data --dry-run', 'what could be mended, what would be lost'],
] as const

export function generalHelp(commands: readonly Command[], colors: Colors, columns: number): string {
  const room = Math.min(columns, widest)
  const { bold, cyan, dim } = colors
  const width = Math.max(...commands.map(({ name }) => name.length)) + 2
  return [
    ...wrapped('forelog: look into a write-ahead log, verify it, and mend what is damaged.', room).map((line) => line.replace(/^forelog/, bold('forelog'))),
    '',
    `${bold('Usage')}  forelog ${cyan('COMMAND')} [options]`,
    '',
    bold('Commands'),
    ...commands.flatMap(({ name, summary }) => besides(cyan(name.padEnd(width)), width, summary, room)),
    '',
    bold('Something is wrong with a log?'),
    ...wrapped('In this order; none of these changes anything:', room),
    ...commandLines(inTrouble, room, '  ', colors),
    '',
    ...wrapped('Exit codes: 0 fine, 1 damaged, 2 wrong command line, 3 log out of reach, 4 undecided. Each command has --help and --json.', room).map(dim),
    '',
  ].join('\n')
}

export function commandHelp(command: Command, colors: Colors, columns: number): string {
  const room = Math.min(columns, widest)
  const { bold, cyan, dim } = colors
  const options = Object.entries<OptionSpec>({ ...command.options, ...commonOptions })
  const signs = options.map(([name, option]) => signOf(name, option))
  const width = Math.min(30, Math.max(...signs.map(({ length }) => length)) + 2)
  return [
    ...wrapped(command.summary, room),
    ...(command.description === undefined ? [] : ['', ...paragraphs(command.description, room)]),
    '',
    `${bold('Usage')}  forelog ${command.name} ${command.args.map((arg) => cyan(arg)).join(' ')}${command.args.length > 0 ? ' ' : ''}[options]`,
    '',
    bold('Options'),
    ...options.flatMap(([, option], index) => besides(cyan((signs[index] as string).padEnd(width)), width, option.help, room)),
    ...(command.examples.length === 0 ? [] : ['', bold('Examples')]),
    ...command.examples.flatMap(([line, what]) => [`  ${line}`, ...wrapped(what, room - 6).map((part) => `      ${dim(part)}`)]),
    '',
  ].join('\n')
}

/** A sign, and what it means in the lines beside it. */
function besides(sign: string, width: number, text: string, room: number): string[] {
  return wrapped(text, Math.max(20, room - width - 2)).map((line, index) => `  ${index === 0 ? sign : ' '.repeat(width)}${line}`)
}

function signOf(name: string, { short, value }: OptionSpec): string {
  return `${short === undefined ? '    ' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`
}

function paragraphs(text: string, width: number): string[] {
  return text.split('\n').flatMap((paragraph) => wrapped(paragraph, width, /^ */.exec(paragraph)?.[0] ?? ''))
}
