/**
 * What a run leaves, and the tables of it.
 */
import type { Kind } from './damage.ts'
import type { Outcome } from './judge.ts'
import { subjects } from './subjects.ts'

export const resultsVersion = 1

export interface DamageRow {
  readonly store: string
  /** How its process ended: it closed the store, or was killed. */
  readonly state: 'closed' | 'killed'
  readonly kind: Kind
  /** How many different damages of this kind there are. */
  readonly places: number
  tried: number
  readonly outcomes: Record<Outcome, number>
  /** Losses and wrong entries that the store's own check was asked about, and how many it finds. */
  checked: number
  found: number
}

export interface CutRow {
  readonly store: string
  readonly fileSystem: string
  cuts: number
  /** Entries that were told to be stored before a cut began. */
  told: number
  /** Those of them that were gone, and after how many cuts some were. */
  lost: number
  cutsThatLost: number
  /** Cuts that met an append that had not resolved: whether its entry was there afterwards. */
  inFlightKept: number
  inFlightGone: number
  /** Entries that were told to be stored while a cut ran, and those that were gone. */
  late: number
  lateGone: number
  /** Cuts after which entries were wrong or missing in the middle, and those after which the store could not be opened. */
  wrong: number
  refused: number
  readonly examples: string[]
}

export interface Part {
  readonly name: PartName
  /** The stores that took part, by the names of `--peers`: a part may be run in pieces. */
  readonly peers: string
  readonly command: string
  readonly date: string
  readonly machine: string
  readonly node: string
  readonly stores: Readonly<Record<string, { readonly version: string; readonly usage: string }>>
  readonly damages: readonly DamageRow[]
  readonly cuts: readonly CutRow[]
  readonly skipped: readonly string[]
}

export const partNames = ['damage', 'ext4', 'xfs', 'btrfs'] as const
export type PartName = (typeof partNames)[number]

export interface Results {
  readonly resultsVersion: number
  readonly parts: readonly Part[]
}

/** The parts of a run in place of those of the same name and the same peers. */
export function merged(old: Results | undefined, parts: readonly Part[]): Results {
  const all = [...new Map([...(old?.parts ?? []), ...parts].map((part) => [`${part.name} ${part.peers}`, part])).values()]
  return { resultsVersion, parts: partNames.flatMap((name) => all.filter((part) => part.name === name)) }
}

const kindTitles: Record<Kind, string> = {
  bit: 'one bit flipped',
  sector: '512 bytes zeroed',
  length: 'the file that was written last cut to another length',
}

/** As Markdown. */
export function tables({ parts }: Results): string {
  const damages = inOrder(parts.flatMap((part) => part.damages))
  const cuts = parts.flatMap((part) => part.cuts)
  const skipped = parts.flatMap((part) => part.skipped)
  return [
    ...(Object.keys(kindTitles) as Kind[]).flatMap((kind) => damageTable(damages.filter((row) => row.kind === kind))),
    ...cutTable(partNames.flatMap((name) => inOrder(cuts.filter(({ fileSystem }) => fileSystem === name)))),
    ...(skipped.length === 0 ? [] : [`Left out: ${skipped.join('; ')}.`, '']),
    ...circumstances(parts),
  ].join('\n')
}

/** As subjects.ts has the stores, whatever was run first. */
function inOrder<T extends { readonly store: string }>(rows: readonly T[]): T[] {
  const place = ({ store }: T): number => subjects.findIndex(({ name }) => name === store)
  return rows.toSorted((a, b) => place(a) - place(b))
}

function damageTable(rows: readonly DamageRow[]): string[] {
  const [first] = rows
  if (first === undefined) return []
  return [
    row([kindTitles[first.kind], 'store was', 'tried, of', 'error', 'missing, told', 'nothing wrong', 'missing, silent', 'wrong, silent', 'crash', 'hang', 'found by its check']),
    `|---|---|${'---:|'.repeat(9)}`,
    ...rows.map(({ store, state, tried, places, outcomes, checked, found }) => {
      const { error, told, right, loss, wrong, crash, hang } = outcomes
      const asked = checked > 0 ? `${found} of ${checked}` : loss + wrong > 0 ? 'it has none' : ''
      return row([store, state, `${tried} of ${places}`, error, told, right, loss, wrong, crash, hang, asked])
    }),
    '',
  ]
}

function cutTable(rows: readonly CutRow[]): string[] {
  if (rows.length === 0) return []
  return [
    row(['power cuts', 'on', 'cuts', 'told before', 'of these gone', 'in so many cuts', 'in flight, kept', 'in flight, gone', 'told during', 'of these gone', 'wrong', 'not opened']),
    `|---|---|${'---:|'.repeat(10)}`,
    ...rows.map((each) =>
      row([each.store, each.fileSystem, each.cuts, each.told, each.lost, each.cutsThatLost, each.inFlightKept, each.inFlightGone, each.late, each.lateGone, each.wrong, each.refused]),
    ),
    '',
  ]
}

function circumstances(parts: readonly Part[]): string[] {
  const [first] = parts
  if (first === undefined) return []
  const runs = new Set(parts.map(({ command, date }) => `\`${command}\` (${date.slice(0, 10)})`))
  const used = Object.entries(Object.assign({}, ...parts.map((part) => part.stores)) as Part['stores'])
  const stores = inOrder(used.map(([store, facts]) => ({ store, ...facts })))
  return [`${[...runs].join(', ')}; ${first.machine}; Node.js ${first.node}.`, '', ...stores.map(({ store, version, usage }) => `- ${store}: ${version}; ${usage}.`)]
}

function row(cells: readonly (string | number)[]): string {
  return `| ${cells.join(' | ')} |`
}

const block = /(<!-- others: (\S+) -->\n)[\s\S]*?(<!-- end of others -->)/g

/** The document with what its files say now between its marks. */
export function withTables(document: string, resultsOf: (path: string) => Results): string {
  return document.replaceAll(block, (_, begin: string, path: string, end: string) => `${begin}${tables(resultsOf(path))}\n${end}`)
}

/** The files that a document quotes. */
export function quotedFiles(document: string): string[] {
  return [...document.matchAll(block)].map(([, , path]) => path as string)
}
