/**
 * A log as it is shown to those who read it, while it changes: that of the writer's process, and one that another process writes.
 */
import type { SegmentSet } from '../segments/segment-set.js'
import type { LogReader } from './log-reader.js'
import type { GrowingLog } from './tail-reader.js'

export interface ShownParts extends Pick<GrowingLog, 'adapter' | 'assertReadable'>, Partial<Pick<GrowingLog, 'refresh' | 'retry'>> {
  readonly segments: () => SegmentSet
  readonly ended: () => boolean
}

/** @param log whose offsets are asked for whenever somebody asks for them here */
export function shownLog(log: Pick<LogReader<unknown>, 'firstOffset' | 'lastOffset' | 'durableOffset'>, { segments, ended, ...same }: ShownParts): GrowingLog {
  return {
    ...same,
    get segments() {
      return segments()
    },
    get firstOffset() {
      return log.firstOffset
    },
    get lastOffset() {
      return log.lastOffset
    },
    get durableOffset() {
      return log.durableOffset
    },
    get ended() {
      return ended()
    },
  }
}
