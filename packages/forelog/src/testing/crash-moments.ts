/**
 * The moments at which a program may be crashed, gathered while it runs undisturbed once: a copy of the disk at each of
 * them is as good as a crash there, for nothing that a program does after its crash counts.
 */
import type { CallMoment } from './disk-core.js'
import { type DiskCall, SimulatedCrash } from './faults.js'
import type { Random } from './random.js'
import type { SimulatedDisk } from './simulated-disk.js'

/** Where a program stood: at a call, or right after it acknowledged something; `'start'`: before its first call. */
export type CrashWhen = CallMoment | 'acknowledged' | 'start'

/** A moment at which something differs from the one before: the disk, or what was acknowledged. */
export interface CrashMoment<T> {
  /** From 0. */
  readonly index: number
  readonly when: CrashWhen
  /** The newest call; undefined before the first. */
  readonly call: DiskCall | undefined
  /** The disk of that moment, crashed only when it is asked for. */
  readonly disk: SimulatedDisk
  readonly acknowledged: readonly T[]
}

/** Where a kept moment goes: a slot of its own, a taken one, or undefined for nowhere. */
export type Keeper = (index: number) => number | undefined

export const keepAll: Keeper = (index) => index

export const keepOnly =
  (wanted: number): Keeper =>
  (index) =>
    index === wanted ? 0 : undefined

/** So many, each moment as likely as the others, however many there will be (reservoir sampling). */
export const keepSome =
  (limit: number, random: Random): Keeper =>
  (index) => {
    const slot = index < limit ? index : random.below(index + 1)
    return slot < limit ? slot : undefined
  }

/** How a recorded program ended. */
export interface Recording<T> {
  readonly moments: readonly CrashMoment<T>[]
  /** How many moments there were. */
  readonly count: number
  readonly acknowledged: readonly T[]
  readonly end: 'settled' | 'stopped' | 'timeout' | 'failed'
  /** Why it `'failed'`. */
  readonly error: unknown
}

export interface RecordOptions<T> {
  readonly disk: SimulatedDisk
  /** What was acknowledged before. */
  readonly acknowledged: readonly T[]
  /** Undefined: keep none. */
  readonly keep: Keeper | undefined
  /** After so many calls the disk crashes for good and the program is left alone. */
  readonly maxCalls: number
  /** A program that takes longer, by the machine's clock, is left alone, too. */
  readonly timeoutMs: number
}

/** Runs a program on a disk, and keeps moments of it. */
export async function record<T>(
  { disk, acknowledged: before, keep, maxCalls, timeoutMs }: RecordOptions<T>,
  program: (acknowledge: (value: T) => void) => Promise<void> | void,
): Promise<Recording<T>> {
  const acknowledged = [...before]
  const moments: CrashMoment<T>[] = []
  let count = 0
  let seen = -1
  let latest: DiskCall | undefined
  const offer = (when: CrashWhen): void => {
    // Both only grow.
    const now = disk.revision + acknowledged.length
    if (now === seen) return
    seen = now
    const index = count++
    const slot = keep?.(index)
    if (slot === undefined) return
    moments[slot] = { index, when, call: latest, disk: disk.copy(), acknowledged: acknowledged.slice() }
  }

  return new Promise((settle) => {
    let over = false
    const finish = (end: Recording<T>['end'], error?: unknown): void => {
      if (over) return
      over = true
      clearTimeout(timer)
      disk.onCall = undefined
      settle({ moments, count, acknowledged, end, error })
    }
    const stop = (end: 'stopped' | 'timeout'): void => {
      finish(end)
      if (!disk.crashed) disk.crash('all')
    }
    const timer = setTimeout(() => stop('timeout'), timeoutMs)
    const userHook = disk.onCall
    disk.onCall = (call, moment) => {
      latest = call
      if (call.number > maxCalls) return stop('stopped')
      offer(moment)
      userHook?.(call, moment)
    }
    const acknowledge = (value: T): void => {
      if (over) return
      acknowledged.push(value)
      offer('acknowledged')
    }
    offer('start')
    Promise.resolve()
      .then(() => program(acknowledge))
      .then(
        () => finish('settled'),
        (error: unknown) => (isCrash(error) ? finish('stopped') : finish('failed', error)),
      )
  })
}

/** Whether an error comes of a crash of the disk, as it is or as the cause of others. */
function isCrash(error: unknown): boolean {
  for (let reason = error, depth = 0; depth < 16 && reason instanceof Error; depth++, reason = reason.cause) {
    if (reason instanceof SimulatedCrash) return true
  }
  return false
}
