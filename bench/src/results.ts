/**
 * What a run leaves: the file that `--json` writes, and that the docs quote.
 */
import { median } from './numbers.js'

export const resultsVersion = 1

export interface Results {
  readonly resultsVersion: typeof resultsVersion
  /** When the run began, ISO 8601. */
  readonly date: string
  /** What was typed. */
  readonly command: string
  readonly mode: 'quick' | 'usual' | 'full'
  readonly environment: Environment
  readonly measures: readonly Measure[]
  readonly charts: readonly Chart[]
  /** What could not be measured, and why. */
  readonly skipped: readonly string[]
}

export interface Environment {
  readonly machine: string
  readonly processor: string
  readonly cores: number
  readonly memoryBytes: number
  readonly kernel: string
  readonly fileSystem: string
  readonly device: string
  readonly node: string
  /** How the floor was measured. */
  readonly floor: string
  /** How slow syncs were played; absent where they could not be. */
  readonly slowSyncs?: string
  /** Version and usage of each contender that was there. */
  readonly contenders: Readonly<Record<string, { readonly version: string; readonly usage: string }>>
}

/** One thing that was measured, side by side. */
export interface Measure {
  /** Of the ten lines. */
  readonly line: number
  readonly name: string
  readonly unit: string
  /** By contender (`floor` is one): a number for each round; what has the same index was measured in the same round. */
  readonly samples: Readonly<Record<string, readonly number[]>>
  readonly goals: readonly Goal[]
}

export interface Goal {
  readonly text: string
  readonly value: number
  readonly atLeast?: number
  readonly atMost?: number
}

export interface Chart {
  readonly title: string
  readonly x: Axis
  readonly y: Axis
  readonly series: readonly { readonly name: string; readonly points: readonly (readonly [number, number])[] }[]
  readonly note?: string
}

export interface Axis {
  readonly name: string
  readonly scale: 'log' | 'linear'
  readonly format?: 'count' | 'bytes' | 'percentile'
  /** Of the logarithm; 10 unless it says otherwise. */
  readonly base?: number
  /** What the axis shows at least. */
  readonly from?: number
  readonly to?: number
}

export function reached({ value, atLeast, atMost }: Goal): boolean {
  return (atLeast === undefined || value >= atLeast) && (atMost === undefined || value <= atMost)
}

export function mediansOf(measure: Measure): Record<string, number> {
  return Object.fromEntries(Object.entries(measure.samples).map(([name, values]) => [name, median(values)]))
}

/** What is wrong with what should be a result file, or undefined. */
export function problemOf(value: unknown): string | undefined {
  const results = value as Partial<Results> | null
  if (typeof results !== 'object' || results === null) return 'it is no object'
  if (results.resultsVersion !== resultsVersion) return `its resultsVersion is ${String(results.resultsVersion)}, not ${resultsVersion}`
  for (const field of ['date', 'command', 'mode'] as const) if (typeof results[field] !== 'string') return `${field} is no text`
  for (const field of ['measures', 'charts', 'skipped'] as const) if (!Array.isArray(results[field])) return `${field} is no array`
  const environment = results.environment as Partial<Environment> | undefined
  for (const field of ['machine', 'processor', 'kernel', 'fileSystem', 'device', 'node', 'floor'] as const) {
    if (typeof environment?.[field] !== 'string') return `environment.${field} is no text`
  }
  if (!('forelog' in (environment?.contenders ?? {}))) return 'environment.contenders has no forelog'
  for (const measure of results.measures ?? []) {
    const problem = problemOfMeasure(measure, environment?.contenders ?? {})
    if (problem !== undefined) return `measure '${measure.name}' of line ${measure.line}: ${problem}`
  }
  for (const chart of results.charts ?? []) {
    if (chart.series.length === 0) return `chart '${chart.title}' has no series`
    if (!chart.series.every(({ points }) => points.every((point) => point.length === 2 && point.every(Number.isFinite)))) {
      return `chart '${chart.title}' has a point that is no pair of numbers`
    }
  }
  return undefined
}

function problemOfMeasure(measure: Measure, contenders: object): string | undefined {
  if (!(Number.isInteger(measure.line) && measure.line >= 1 && measure.line <= 10)) return 'there are lines 1 to 10'
  const columns = Object.entries(measure.samples)
  if (columns.length === 0) return 'it has no samples'
  for (const [name, values] of columns) {
    if (values.length === 0 || !values.every(Number.isFinite)) return `${name} has a sample that is no number`
  }
  if (!columns.some(([name]) => name in contenders)) return 'none of its samples is of a contender'
  if (typeof measure.name !== 'string' || typeof measure.unit !== 'string') return 'it has no name, or no unit'
  if (!measure.goals.every(({ value, atLeast, atMost }) => Number.isFinite(value) && (atLeast ?? atMost) !== undefined)) return 'a goal has no bound'
  return undefined
}
