/**
 * What appends take around a roll: the end of one segment and the beginning of the next.
 */
import { mkdirSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import { WriteAheadLog } from 'forelog'
import { median, percentiles, type Percentiles } from '../numbers.js'
import { distinctPayloads } from './append.js'

export interface RollTask {
  readonly task: 'roll'
  readonly directory: string
  readonly payloadBytes: number
  readonly segmentBytes: number
  readonly rolls: number
  /** Appends before and after the one that rolled. */
  readonly around: number
}

export interface RollResult {
  readonly rolls: number
  /** From `-around` to `around`: the median over the rolls; 0 is the append that rolled. */
  readonly aroundMs: readonly number[]
  readonly rollMs: Percentiles
  /** Of all appends that are not around a roll. */
  readonly elsewhereMs: Percentiles
}

export async function roll({ directory, payloadBytes, segmentBytes, rolls, around }: RollTask): Promise<RollResult> {
  mkdirSync(directory, { recursive: true })
  await using log = await WriteAheadLog.open(directory, { maxSegmentSize: segmentBytes })
  const [payload] = distinctPayloads(1, payloadBytes) as [Uint8Array]
  const tookMs: number[] = []
  const appendSome = async (count: number): Promise<void> => {
    for (let time = 0; time < count; time++) {
      const beganMs = performance.now()
      await log.append(payload)
      tookMs.push(performance.now() - beganMs)
    }
  }
  while (log.segments().length <= rolls) await appendSome(around)
  await appendSome(around)
  // The first entry of a segment is the append that made it.
  const rolled = log
    .segments()
    .slice(1)
    .map(({ firstOffset }) => firstOffset - 1)
    .filter((index) => index >= around && index + around < tookMs.length)
  const positions = Array.from({ length: 2 * around + 1 }, (_, index) => index - around)
  const near = new Set(rolled.flatMap((index) => positions.map((position) => index + position)))
  return {
    rolls: rolled.length,
    aroundMs: positions.map((position) => median(rolled.map((index) => tookMs[index + position] as number))),
    rollMs: percentiles(rolled.map((index) => tookMs[index] as number)),
    elsewhereMs: percentiles(tookMs.filter((_, index) => !near.has(index))),
  }
}
