/**
 * How far a proof goes, and where it says what it found. Without these variables it takes its short form, which CI runs; `npm run
 * prove` sets them:
 *
 *     FORELOG_SEED      what everything left to chance follows from; default 1
 *     FORELOG_RUNS      how many times the short form; default 1
 *     FORELOG_SECONDS   instead: go on for so long
 *     FORELOG_PROOFS    a file that gets a line for each proof, as JSON
 */
import { appendFileSync } from 'node:fs'

export const seed = Number(process.env['FORELOG_SEED'] ?? 1)

const runs = Number(process.env['FORELOG_RUNS'] ?? 1)
const seconds = process.env['FORELOG_SECONDS'] === undefined ? undefined : Number(process.env['FORELOG_SECONDS'])

/** Whether this is more than the short form. */
export const isLong: boolean = runs > 1 || seconds !== undefined

/** Vitest's limit for a proof: no proof ends by it, unless it hangs. */
export const timeout: number = 600_000 + 2_000_000 * runs + 3_000 * (seconds ?? 0)

/**
 * How much of something is done in one round: at first all of the short form, or as much of it as is asked for; then, while there is
 * time, a part of that.
 */
export function roundOf(short: number, round: number): number {
  return Math.max(1, Math.ceil(Math.min(short, times(short)) / (round === 0 ? 1 : 4)))
}

/** How often something is done that the short form does `short` times. */
export function times(short: number): number {
  return Math.ceil(short * runs)
}

/** Something that is done until it was done often enough, or the time is over. */
export class Effort {
  readonly #short: number
  readonly #endsAt: number | undefined

  /** @param part of the time, for one of several that share it */
  constructor(short: number, part = 1) {
    this.#short = short
    this.#endsAt = seconds === undefined ? undefined : performance.now() + seconds * part * 1000
  }

  goesOn(done: number): boolean {
    // --runs 0: once, to play a seed again.
    return this.#endsAt === undefined ? done < Math.max(1, times(this.#short)) : performance.now() < this.#endsAt
  }

  /**
   * Whether so many are enough to ask for floors: of fewer than half of the short form chance makes what it likes.
   */
  hasEnough(done: number): boolean {
    return done >= this.#short / 2
  }
}

/** Floors: a workload that never meets these proves nothing. Of each the least share of what was tried. */
export function expectFloors<T extends object>(tally: T, tried: number, floors: Partial<Record<keyof T, number>>): void {
  const tooRare = Object.entries<number>(floors as Record<string, number>).filter(([name, least]) => (tally[name as keyof T] as number) / tried <= least)
  const told = tooRare.map(([name, least]) => `${name}: ${String(tally[name as keyof T])} of ${tried}, and more than ${Math.floor(least * tried)} are asked for`)
  if (told.length > 0) throw new Error(`too tame to prove anything: ${told.join('; ')}`)
}

/** What was tried, and that all of it held: a proof that finds a violation throws instead. */
export interface Proof {
  /** Its line in docs/RELIABILITY.md. */
  readonly line: number
  readonly name: string
  /** How often, and what. */
  readonly tried: number
  readonly unit: string
  /** What they were made of. */
  readonly madeOf: object
}

export function report(proof: Proof): void {
  console.log(`proof ${proof.line}, ${proof.name}: ${proof.tried} ${proof.unit}, no violation; made of`, proof.madeOf)
  const file = process.env['FORELOG_PROOFS']
  if (file !== undefined) appendFileSync(file, `${JSON.stringify(proof)}\n`)
}
