/**
 * What every line needs to measure: how long, how often, where, against whom; and where its findings go.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Contender } from './contender.js'
import type { Floor } from './floor.js'
import type { Chart, Measure } from './results.js'
import type { SlowSyncs } from './slow-syncs.js'

export interface RunContext {
  readonly mode: 'quick' | 'usual' | 'full'
  readonly rounds: number
  readonly warmUpMs: number
  readonly measureMs: number
  readonly directory: string
  /** Ours first. */
  readonly contenders: readonly Contender[]
  readonly floor: Floor
  readonly slowSyncs: SlowSyncs | undefined
  readonly strace: boolean
  wants(line: number): boolean
  /** Whether one round has to do from now on. */
  isLate(): boolean
  /** Measures a part of a line, or skips it where the time for all of them is over. */
  part(what: string, measure: () => Promise<void>): Promise<void>
  report(measure: Measure): void
  chart(chart: Chart): void
  skip(what: string): void
  /** Says what is going on now. */
  progress(text: string): void
}

export const ours = 'forelog'

/** Every one once in each round, so that what the machine does besides hits all of them; who begins changes from round to round. */
export async function inTurn<T>(context: RunContext, rounds: number, runs: Readonly<Record<string, () => Promise<T>>>): Promise<Record<string, T[]>> {
  const names = Object.keys(runs)
  const results: Record<string, T[]> = Object.fromEntries(names.map((name) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(round + turn) % names.length] as string
      results[name]?.push(await (runs[name] as () => Promise<T>)())
    }
    if (context.isLate()) break
  }
  return results
}

export function mapSamples<T>(results: Readonly<Record<string, readonly T[]>>, value: (result: T) => number): Record<string, number[]> {
  return Object.fromEntries(Object.entries(results).map(([name, samples]) => [name, samples.map(value)]))
}

/** A new directory for `work`, removed afterwards. */
export async function inScratch<T>(context: RunContext, work: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(context.directory, 'run-'))
  try {
    return await work(directory)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
