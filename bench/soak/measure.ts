/**
 * What a process holds at a moment, and what a line through many such moments says.
 */
import { readdirSync } from 'node:fs'

/** Right behind a garbage collection. */
export interface Held {
  readonly heapMiB: number
  /** Outside of the heap; array buffers are part of it. */
  readonly externalMiB: number
  readonly arrayBuffersMiB: number
  readonly rssMiB: number
  /** NaN where the system does not show them as files. */
  readonly descriptors: number
}

export type Figure = keyof Held
export const figures = ['heapMiB', 'externalMiB', 'arrayBuffersMiB', 'rssMiB', 'descriptors'] as const satisfies readonly Figure[]

export function held(): Held {
  if (globalThis.gc === undefined) throw new Error('start it with --expose-gc: what is garbage is no leak')
  // What finalizers of the first one let go of, the second one frees.
  globalThis.gc()
  globalThis.gc()
  const { heapUsed, external, arrayBuffers, rss } = process.memoryUsage()
  return {
    heapMiB: heapUsed / 2 ** 20,
    externalMiB: external / 2 ** 20,
    arrayBuffersMiB: arrayBuffers / 2 ** 20,
    rssMiB: rss / 2 ** 20,
    // The listing itself takes one.
    descriptors: process.platform === 'linux' ? readdirSync('/proc/self/fd').length - 1 : Number.NaN,
  }
}

export interface Slope {
  readonly perHour: number
  /** Standard error of `perHour`. */
  readonly error: number
}

/** Least squares: how fast `values` grew, which were seen at `hours`. */
export function slopeOf(hours: readonly number[], values: readonly number[]): Slope {
  const count = hours.length
  const mean = (numbers: readonly number[]): number => numbers.reduce((sum, each) => sum + each, 0) / count
  const [middle, level] = [mean(hours), mean(values)]
  const spread = hours.reduce((sum, hour) => sum + (hour - middle) ** 2, 0)
  const perHour = hours.reduce((sum, hour, index) => sum + (hour - middle) * ((values[index] as number) - level), 0) / spread
  const rest = hours.reduce((sum, hour, index) => sum + ((values[index] as number) - level - perHour * (hour - middle)) ** 2, 0)
  return { perHour, error: count > 2 ? Math.sqrt(rest / (count - 2) / spread) : Number.NaN }
}

/** Whether it grows faster than `bound` an hour, beyond what scatter explains. What the system does not show is no slope at all. */
export function grows({ perHour, error }: Slope, bound: number): boolean {
  return perHour - 2 * error > bound
}
