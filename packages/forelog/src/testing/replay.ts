/**
 * The line that repeats a crash:
 *
 *     9f3c01aa / 17@42:torn-5e2b / 3@6:outcome-4
 *     seed of    moment 17, at      then, while `check` ran, its
 *     the run    call 42: how       moment 3 at its call 6
 */
import { type CrashMode, crashModes } from './crash-plan.js'
import type { ExactCrashChoice } from './simulated-disk.js'

/** One crash of a line. */
export interface ReplayStep {
  /** Number of the moment, from 0. */
  readonly moment: number
  /** Number of the newest call at that moment, 0 before the first: to notice a program that doesn't repeat itself. */
  readonly call: number
  readonly choice: ExactCrashChoice
}

export interface Replay {
  readonly seed: number
  readonly steps: readonly ReplayStep[]
}

export function replayLine({ seed, steps }: Replay): string {
  return [seed.toString(16), ...steps.map(({ moment, call, choice }) => `${moment}@${call}:${choiceText(choice)}`)].join('/')
}

/** Reads what `replayLine` made. A RangeError for anything else. */
export function parseReplay(line: string): Replay {
  const [seed = '', ...steps] = line.trim().split('/')
  if (!/^[0-9a-f]{1,8}$/.test(seed) || steps.length === 0) throw notALine(line)
  return { seed: parseInt(seed, 16), steps: steps.map((step) => parseStep(step, line)) }
}

function choiceText(choice: ExactCrashChoice): string {
  return 'outcome' in choice ? `outcome-${choice.outcome}` : `${choice.mode}-${choice.seed.toString(16)}`
}

function parseStep(step: string, line: string): ReplayStep {
  const match = /^(\d+)@(\d+):([a-z-]+)-([0-9a-f]+)$/.exec(step)
  if (match === null) throw notALine(line)
  const [, moment, call, kind, number] = match as unknown as [string, string, string, string, string]
  const place = { moment: Number(moment), call: Number(call) }
  if (kind === 'outcome') return { ...place, choice: { outcome: Number(number) } }
  if (!(crashModes as readonly string[]).includes(kind)) throw notALine(line)
  return { ...place, choice: { mode: kind as CrashMode, seed: parseInt(number, 16) } }
}

function notALine(line: string): RangeError {
  return new RangeError(`'${line}' is no line that repeats a crash: take the \`replay\` of a violation as it is`)
}
