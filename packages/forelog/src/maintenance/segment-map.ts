/**
 * The map of a segment: ranges in order, in bounded memory whatever the segment holds.
 */
import type { RangeKind, SegmentRange } from './report.js'

/** Records that are as they must be may be joined where there are too many; what is wrong is never hidden in them. */
const joinable = new Set<RangeKind>(['entries', 'control'])

interface MutableRange {
  kind: RangeKind
  from: number
  to: number
  /** Bytes of the two joinable kinds in it. */
  entryBytes: number
  controlBytes: number
}

export class SegmentMap {
  readonly #most: number
  #ranges: MutableRange[] = []
  /** Joinable ranges shorter than this go into their neighbour; it grows as the map fills. */
  #grain = 0

  constructor(mostRanges: number) {
    this.#most = mostRanges
  }

  add(kind: RangeKind, from: number, bytes: number): void {
    if (bytes <= 0) return
    const last = this.#ranges.at(-1)
    const isJoinable = joinable.has(kind)
    if (last !== undefined && last.to === from && (last.kind === kind || (isJoinable && joinable.has(last.kind) && last.to - last.from < this.#grain))) {
      this.#join(last, kind, bytes)
      return
    }
    this.#ranges.push({ kind, from, to: from + bytes, entryBytes: kind === 'entries' ? bytes : 0, controlBytes: kind === 'control' ? bytes : 0 })
    if (this.#ranges.length > this.#most) this.#coarsen()
  }

  get ranges(): SegmentRange[] {
    return this.#ranges.map(({ kind, from, to }) => ({ kind, from, to }))
  }

  #join(range: MutableRange, kind: RangeKind, bytes: number): void {
    range.to += bytes
    if (kind === 'entries') range.entryBytes += bytes
    if (kind === 'control') range.controlBytes += bytes
    if (joinable.has(range.kind)) range.kind = range.entryBytes >= range.controlBytes ? 'entries' : 'control'
  }

  /** Joins until half of the ranges are left, or no more can be. */
  #coarsen(): void {
    const { to } = this.#ranges.at(-1) as MutableRange
    this.#grain = Math.max(64, this.#grain * 2, Math.ceil((2 * to) / this.#most))
    const coarse: MutableRange[] = []
    for (const range of this.#ranges) {
      const last = coarse.at(-1)
      if (last !== undefined && joinable.has(range.kind) && joinable.has(last.kind) && last.to === range.from && last.to - last.from < this.#grain) {
        last.to = range.to
        last.entryBytes += range.entryBytes
        last.controlBytes += range.controlBytes
        last.kind = last.entryBytes >= last.controlBytes ? 'entries' : 'control'
      } else coarse.push(range)
    }
    this.#ranges = coarse.length > this.#most / 2 ? halved(coarse) : coarse
  }
}

/** Damage in more places than the map has room for: of two neighbours, one of which is damage, both are called so. */
function halved(ranges: readonly MutableRange[]): MutableRange[] {
  return ranges.flatMap((range, index) => {
    const next = ranges[index + 1]
    if (index % 2 === 1) return []
    if (next === undefined) return [range]
    const kind = [range.kind, next.kind].includes('damage') ? 'damage' : range.kind
    return [{ kind, from: range.from, to: next.to, entryBytes: range.entryBytes + next.entryBytes, controlBytes: range.controlBytes + next.controlBytes }]
  })
}
