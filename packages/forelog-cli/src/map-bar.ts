/**
 * The map of a segment as a bar of one line: what is wrong is never lost in a cell, however small it is.
 */
import type { RangeKind, SegmentReport } from 'forelog'
import type { Colors } from './terminal.js'

interface Look {
  readonly sign: string
  readonly paint: (colors: Colors) => (text: string) => string
  readonly label: string
}

/** Told apart without colours, too. */
const looks: Record<RangeKind, Look> = {
  damage: { sign: 'X', paint: (colors) => (text) => colors.bold(colors.red(text)), label: 'damage' },
  torn: { sign: '?', paint: (colors) => colors.yellow, label: 'torn tail' },
  entries: { sign: '█', paint: (colors) => colors.green, label: 'entries' },
  control: { sign: '▒', paint: (colors) => colors.blue, label: 'control records' },
  dead: { sign: '░', paint: (colors) => colors.gray, label: 'dead' },
  unread: { sign: '─', paint: (colors) => colors.gray, label: 'not looked at' },
  zeros: { sign: '·', paint: (colors) => colors.gray, label: 'filled ahead' },
}

/** Of these one byte is enough to mark a cell. */
const loud: readonly RangeKind[] = ['damage', 'torn']

export function mapBar(segment: SegmentReport, cells: number, colors: Colors): string {
  if (segment.bytes === 0) return colors.gray('(empty)')
  let bar = ''
  for (const kind of cellsOf(segment, cells)) bar += looks[kind].paint(colors)(looks[kind].sign)
  return bar
}

/** The kind of each cell. */
export function cellsOf({ ranges, bytes }: Pick<SegmentReport, 'ranges' | 'bytes'>, cells: number): RangeKind[] {
  const counts = Array.from({ length: cells }, () => new Map<RangeKind, number>())
  const cellBytes = bytes / cells
  for (const { kind, from, to } of ranges) {
    const last = Math.min(cells - 1, Math.ceil(to / cellBytes) - 1)
    for (let cell = Math.min(cells - 1, Math.floor(from / cellBytes)); cell <= last; cell++) {
      const share = Math.min(to, (cell + 1) * cellBytes) - Math.max(from, cell * cellBytes)
      const count = counts[cell] as Map<RangeKind, number>
      count.set(kind, (count.get(kind) ?? 0) + Math.max(share, 0))
    }
  }
  return counts.map((count) => loud.find((kind) => count.has(kind)) ?? [...count].reduce((most, each) => (each[1] > most[1] ? each : most), ['unread', -1] as [RangeKind, number])[0])
}

/** What the signs of some bars mean. */
export function legend(segments: readonly SegmentReport[], cells: number, colors: Colors): string {
  const kinds = new Set(segments.filter(({ bytes }) => bytes > 0).flatMap((segment) => cellsOf(segment, cells)))
  return Object.entries(looks)
    .filter(([kind]) => kinds.has(kind as RangeKind))
    .map(([, { sign, paint, label }]) => `${paint(colors)(sign)} ${colors.dim(label)}`)
    .join('   ')
}
