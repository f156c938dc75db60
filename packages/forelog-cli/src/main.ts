/**
 * Finds the command, runs it, and turns whatever happens into an exit code and a message.
 */
import { WalError } from 'forelog'
import { type Command, parseCommand, UsageError } from './command.js'
import { commands } from './commands.js'
import { type ExitCode, exitCodes } from './exit-codes.js'
import { commandHelp, generalHelp } from './help.js'
import { packageVersion } from './package-version.js'
import { ReaderGone, Terminal } from './terminal.js'

export async function main(argv: readonly string[]): Promise<ExitCode> {
  const terminal = new Terminal(argv.includes('--no-color') ? false : argv.includes('--color') ? true : undefined)
  const [name, ...rest] = argv
  try {
    if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
      const command = commands.find((each) => each.name === rest[0])
      await terminal.write(command === undefined ? generalHelp(commands, terminal.colors, terminal.width) : commandHelp(command, terminal.colors, terminal.width))
      await terminal.flush()
      return name === undefined ? exitCodes.usage : exitCodes.fine
    }
    if (name === '--version' || name === '-v') {
      await terminal.line(packageVersion())
      await terminal.flush()
      return exitCodes.fine
    }
    const command = commands.find((each) => each.name === name)
    if (command === undefined) throw new UsageError(`there is no command '${name}'${nearest(name)}`)
    const code = await runCommand(command, rest, terminal)
    await terminal.flush()
    return code
  } catch (error) {
    return failed(error, terminal, name, argv.includes('--json'))
  }
}

async function runCommand(command: Command, argv: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const { values, positionals } = parseCommand(command, argv)
  if (values['help'] === true) {
    await terminal.write(commandHelp(command, terminal.colors, terminal.width))
    return exitCodes.fine
  }
  const interrupt = new AbortController()
  const onInterrupt = (): void => interrupt.abort()
  process.once('SIGINT', onInterrupt)
  try {
    return await command.run({ terminal, positionals, values, json: values['json'] === true, signal: interrupt.signal })
  } finally {
    process.off('SIGINT', onInterrupt)
  }
}

async function failed(error: unknown, terminal: Terminal, name: string | undefined, json: boolean): Promise<ExitCode> {
  if (error instanceof ReaderGone) return exitCodes.fine
  const { red, dim } = terminal.errorColors
  if (error instanceof UsageError) {
    terminal.note(`${red('forelog:')} ${error.message}\n${dim(`Try: forelog ${commands.some((each) => each.name === name) ? `${String(name)} ` : ''}--help`)}`)
    return exitCodes.usage
  }
  // What was printed before it belongs to whoever reads it.
  await terminal.flush().catch(() => {})
  const code = exitCodeOf(error)
  if (code === exitCodes.interrupted) return code
  const walCode = error instanceof WalError ? error.code : undefined
  if (json) terminal.note(JSON.stringify({ error: { code: walCode, message: messageOf(error) } }))
  else terminal.note(`${red('forelog:')} ${messageOf(error)}${walCode === undefined ? '' : dim(` (${walCode})`)}`)
  return code
}

function messageOf(error: unknown): string {
  if (error instanceof WalError && error.option === 'entries') return `${error.message}. Here: --entries FILE.js, a module that exports them`
  return error instanceof Error ? error.message : String(error)
}

function exitCodeOf(error: unknown): ExitCode {
  if (!(error instanceof WalError)) return exitCodes.unreachable
  switch (error.code) {
    case 'ERR_WAL_ABORTED':
      return exitCodes.interrupted
    case 'ERR_WAL_CORRUPT':
    case 'ERR_WAL_SEGMENT_MISSING':
    case 'ERR_WAL_TORN':
    case 'ERR_WAL_FORMAT':
    case 'ERR_WAL_DECODE':
      return exitCodes.damaged
    case 'ERR_WAL_OPTION':
    case 'ERR_WAL_OFFSET_OUT_OF_RANGE':
      return exitCodes.usage
    default:
      return exitCodes.unreachable
  }
}

/** The command that was meant, if one differs by a letter or two. */
function nearest(name: string): string {
  const best = commands.map((each) => ({ name: each.name, distance: distance(each.name, name) })).sort((a, b) => a.distance - b.distance)[0]
  return best !== undefined && best.distance <= 2 ? `: did you mean ${best.name}?` : ''
}

function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) next[j] = Math.min((row[j] as number) + 1, (next[j - 1] as number) + 1, (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1))
    row = next
  }
  return row[b.length] as number
}
