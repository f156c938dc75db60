/**
 * What a registry and the result of `defineEntries` carry, so that the log, of this copy of the package or another one,
 * knows them for what they are. Internal, but for the symbol in the types.
 */
import type { Codec } from './codecs.js'
import type { Entry } from './entry.js'

/** Key of the hidden member of a source. Registered, and no string: no entry's name can collide with it. */
export const source: unique symbol = Symbol.for('forelog.source')

/** Key of the mark of entries that a defined source made. */
export const definedEntry: unique symbol = Symbol.for('forelog.definedEntry')

/** One definition, checked. */
export interface NamedDefinition {
  readonly name: string
  readonly type: number
  readonly codec: Codec<any, any>
}

/** What the hidden member holds. Other versions of the package read it: add to it, change nothing. */
export type SourceFacts =
  | { readonly kind: 'registry'; readonly constructors: ReadonlyMap<number, () => Entry> }
  | { readonly kind: 'defined'; readonly definitions: ReadonlyMap<number, NamedDefinition> }

/** Makes an object a source. */
export function brandSource(target: object, facts: SourceFacts): void {
  Object.defineProperty(target, source, { value: facts })
}

/** The facts of a source; undefined: it is none. */
export function factsOf(candidate: unknown): SourceFacts | undefined {
  if (typeof candidate !== 'object' || candidate === null) return undefined
  const facts = (candidate as Record<symbol, unknown>)[source] as Partial<SourceFacts> | undefined
  return facts?.kind === 'registry' || facts?.kind === 'defined' ? (facts as SourceFacts) : undefined
}

/** Types, or what they are called, for a message: `0, 1, 7`. */
export function listOf(names: Iterable<number | string>): string {
  return [...names].join(', ') || 'none'
}
