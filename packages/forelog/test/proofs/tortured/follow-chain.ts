import type { LogReader, RawEntry, WalError } from '../../../src/index.js'
import { Chain } from './chain.js'

export interface Pace {
  readonly random: () => number
  /** Pauses now and then, so that it falls behind. */
  readonly slow: boolean
  /** Leaves off now and then, and begins somewhere else. */
  readonly hops: boolean
}

export interface Shown {
  entry(offset: number, serial: number): void
  /** It stood on what was truncated, and begins anew. */
  outOfRange(): void
}

/** Follows until the signal is aborted, anew where what it stands on was truncated; throws what is wrong. */
export async function followChain(log: LogReader<RawEntry>, { random, slow, hops }: Pace, shown: Shown, signal: AbortSignal): Promise<void> {
  let from = log.firstOffset
  while (!signal.aborted) {
    try {
      const chain = new Chain(from)
      const leavesAfter = hops ? 50 + Math.floor(random() * 3000) : Infinity
      let steps = 0
      for await (const { offset, entry } of log.follow({ from, signal })) {
        shown.entry(offset, chain.take(offset, entry).serial)
        if (++steps >= leavesAfter) break
        if (slow && random() < 0.02) await new Promise((resolve) => setTimeout(resolve, random() * 8))
      }
      from = log.firstOffset + Math.floor(random() * (log.lastOffset - log.firstOffset + 2))
    } catch (error) {
      if ((error as WalError).code !== 'ERR_WAL_OFFSET_OUT_OF_RANGE') throw error
      shown.outOfRange()
      // Others go on where the log is by now; the steady ones are not to miss anything that is there.
      from = hops && random() < 0.5 ? log.lastOffset + 1 : log.firstOffset
    }
  }
}
