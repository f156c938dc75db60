/**
 * What a command of `forelog` is: from one description come the parsing of its arguments, its help and the completion.
 */
import { parseArgs, type ParseArgsConfig } from 'node:util'
import type { ExitCode } from './exit-codes.js'
import type { Terminal } from './terminal.js'

export interface OptionSpec {
  readonly type: 'string' | 'boolean'
  readonly short?: string
  /** What stands for its value in the help: `FILE`. */
  readonly value?: string
  readonly help: string
  /** Values that completion offers. */
  readonly choices?: readonly string[]
  /** Whether its value may be a file as well: completion offers those, too. */
  readonly orFile?: boolean
  readonly multiple?: boolean
}

export type Values = Readonly<Record<string, string | boolean | readonly string[] | undefined>>

export interface Invocation {
  readonly terminal: Terminal
  readonly positionals: readonly string[]
  readonly values: Values
  readonly json: boolean
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal
}

export interface Command {
  readonly name: string
  /** What the arguments are called: `DIR`, `[FILE]`. */
  readonly args: readonly string[]
  readonly summary: string
  /** More of it, for `--help`. */
  readonly description?: string
  readonly options: Readonly<Record<string, OptionSpec>>
  readonly examples: readonly (readonly [command: string, what: string])[]
  run(invocation: Invocation): Promise<ExitCode>
}

/** The command line is wrong. */
export class UsageError extends Error {}

export const commonOptions = {
  json: { type: 'boolean', help: 'Print one JSON document (or one a line, where there are many) instead of text.' },
  color: { type: 'boolean', help: 'Colour the output, whatever it goes to; --no-color never does.' },
  help: { type: 'boolean', short: 'h', help: 'Show this help.' },
} as const satisfies Record<string, OptionSpec>

/** Options of commands that read logs of format 1. */
export const entriesOption = {
  entries: { type: 'string', value: 'FILE.js', help: 'A module that exports `entries`: an EntryRegistry, or what defineEntries returned. Format 1 needs it.' },
} as const satisfies Record<string, OptionSpec>

export function parseCommand(command: Command, argv: readonly string[]): { values: Values; positionals: readonly string[] } {
  const options: NonNullable<ParseArgsConfig['options']> = {}
  for (const [name, { type, short, multiple }] of Object.entries<OptionSpec>({ ...command.options, ...commonOptions })) {
    options[name] = { type, ...(short === undefined ? {} : { short }), ...(multiple === undefined ? {} : { multiple }) }
  }
  let parsed
  try {
    parsed = parseArgs({ args: [...argv], options, allowPositionals: true, allowNegative: true, strict: true })
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
  const values = parsed.values as Values
  if (values['help'] !== true) checkPositionals(command, parsed.positionals)
  return { values, positionals: parsed.positionals }
}

function checkPositionals({ name, args }: Command, positionals: readonly string[]): void {
  const needed = args.filter((arg) => !arg.startsWith('[')).length
  if (positionals.length < needed) throw new UsageError(`${name} needs ${args.slice(positionals.length, needed).join(' and ')}`)
  const most = args.some((arg) => arg.endsWith('…')) ? Infinity : args.length
  if (positionals.length > most) throw new UsageError(`${name} takes ${args.length === 0 ? 'no argument' : args.join(' ')}, and not '${String(positionals[most])}'`)
}

/** The value of an option that takes text. */
export function text(values: Values, name: string): string | undefined {
  const value = values[name]
  return typeof value === 'string' ? value : undefined
}

/** The value of an option that takes a whole number. */
export function integer(values: Values, name: string, least = 0): number | undefined {
  const value = text(values, name)
  if (value === undefined) return undefined
  const number = Number(value)
  if (value.trim() === '' || !Number.isSafeInteger(number) || number < least) throw new UsageError(`--${name} takes a whole number from ${least} on, and not '${value}'`)
  return number
}

/** The value of an option that takes one of a few words. */
export function choice<const T extends string>(values: Values, name: string, allowed: readonly T[], fallback: T): T {
  const value = text(values, name)
  if (value === undefined) return fallback
  if (!(allowed as readonly string[]).includes(value)) throw new UsageError(`--${name} is one of ${allowed.join(', ')}, and not '${value}'`)
  return value as T
}
