/**
 * Entries made from codecs, and the types that a log takes from its source of entries.
 */
import { WalError } from '../errors.js'
import { codecFlaw, decodeWith, encodeWith, kindOf, type Codec } from './codecs.js'
import type { Entry } from './entry.js'
import type { EntryRegistry } from './entry-registry.js'
import { brandSource, definedEntry, type NamedDefinition, type source } from './entry-source.js'

/** An entry of a log whose entries were defined by codecs. `name` tells them apart, and so does `type`. */
export interface DefinedEntry<Name extends string, Type extends number, Value> extends Entry {
  readonly name: Name
  readonly type: Type
  readonly value: Value
}

/** One kind of entry: what {@link defineEntries} takes under its name. */
export interface Definition {
  /** 0…254. It is stored, so it stays what it was; the name is not, and may change. */
  readonly type: number
  readonly codec: Codec<any, any>
}

type In<C> = C extends { encode(value: infer T, ...rest: any[]): Uint8Array } ? T : never
type Out<C> = C extends { decode(bytes: Uint8Array, ...rest: any[]): infer T } ? T : never

/** Makes entries of one kind, to be appended: `entries.put({ key: 'a', value: 1 })`. */
export interface EntryFactory<Name extends string, Type extends number, I> {
  (value: I): DefinedEntry<Name, Type, I>
}

type Factories<D extends Record<string, Definition>> = {
  readonly [N in keyof D & string]: EntryFactory<N, D[N]['type'], In<D[N]['codec']>>
}
type AppendUnion<D extends Record<string, Definition>> = {
  [N in keyof D & string]: DefinedEntry<N, D[N]['type'], In<D[N]['codec']>>
}[keyof D & string]
type ReadUnion<D extends Record<string, Definition>> = {
  [N in keyof D & string]: DefinedEntry<N, D[N]['type'], Out<D[N]['codec']>>
}[keyof D & string]

/** A source of entries that takes `In` and gives `Out`: the member is hidden, and in the types it only carries these two. */
export interface DefinedSource<In, Out> {
  readonly [source]: { readonly in: In; readonly out: Out }
}

/** What {@link defineEntries} returns: a factory for each name, accepted wherever a registry is. */
export type DefinedEntries<D extends Record<string, Definition>> = Factories<D> & DefinedSource<AppendUnion<D>, ReadUnion<D>>

/** What a log can be opened with: a registry of entry classes, or what {@link defineEntries} returned. */
export type EntrySource = EntryRegistry<any> | DefinedSource<any, any>

/** What reading gives: `EntryOf<typeof entries>`. */
export type EntryOf<S extends EntrySource> = S extends EntryRegistry<infer T> ? T[number] : S extends DefinedSource<any, infer O> ? O : never

/** What `append` takes: `AppendableOf<typeof entries>`. */
export type AppendableOf<S extends EntrySource> = S extends EntryRegistry<infer T> ? T[number] : S extends DefinedSource<infer I, any> ? I : never

/**
 * Makes entries from codecs: a factory for each name, and all that a log needs to store and read them.
 *
 * Any name but `then` will do (an object with a `then` would be taken for a promise); names are not stored, types are.
 * Throws ERR_WAL_ENTRY_TYPE_DUPLICATE for a type that is used twice, ERR_WAL_ENTRY_TYPE_RESERVED for type 255, and
 * ERR_WAL_OPTION for anything else that is wrong. A log of format 1 can't have such entries: its payloads are found by
 * `readPayload`, and codecs have none.
 *
 * @example
 * ```ts
 * const entries = defineEntries({
 *   put: { type: 1, codec: json<{ key: string; value: unknown }>() },
 *   del: { type: 2, codec: utf8 },
 * })
 * const log = await WriteAheadLog.open('./data/orders', { entries })
 * await log.append(entries.put({ key: 'a', value: 1 }))
 * ```
 */
export function defineEntries<const D extends Record<string, Definition>>(definitions: D): DefinedEntries<D> {
  if (typeof definitions !== 'object' || definitions === null || Array.isArray(definitions)) {
    throw refused(`defineEntries takes an object of { name: { type, codec } }, not ${kindOf(definitions)}`)
  }
  const byType = new Map<number, NamedDefinition>()
  // Nothing is inherited, and nothing assigned: 'constructor', 'toString' and '__proto__' are names like any other.
  const factories = Object.create(null) as object
  for (const [name, given] of Object.entries(definitions)) {
    const definition = checked(name, given)
    const same = byType.get(definition.type)
    if (same !== undefined) {
      const message = `the entries '${same.name}' and '${name}' both have type ${definition.type}: each needs a type of its own`
      throw new WalError('ERR_WAL_ENTRY_TYPE_DUPLICATE', message, { type: definition.type })
    }
    byType.set(definition.type, definition)
    const factory = (value: unknown): CodecEntry => new CodecEntry(definition, value)
    Object.defineProperty(factory, 'name', { value: name, configurable: true })
    Object.defineProperty(factories, name, { value: factory, enumerable: true })
  }
  brandSource(factories, { kind: 'defined', definitions: byType })
  return Object.freeze(factories) as DefinedEntries<D>
}

function checked(name: string, given: unknown): NamedDefinition {
  if (name === 'then') throw refused(`'then' can't be the name of an entry: the entries would be taken for a promise`)
  if (typeof given !== 'object' || given === null) throw refused(`the entry '${name}' is defined by { type, codec }, not by ${kindOf(given)}`)
  const { type, codec } = given as Record<string, unknown>
  if (type === 255) {
    const message = `the entry '${name}' has type 255, which the log needs for itself: take one from 0 to 254`
    throw new WalError('ERR_WAL_ENTRY_TYPE_RESERVED', message, { type })
  }
  if (typeof type !== 'number' || !Number.isInteger(type) || type < 0 || type > 254) {
    throw refused(`the type of the entry '${name}' is an integer from 0 to 254, not ${kindOf(type)}`)
  }
  const flaw = codecFlaw(codec)
  if (flaw !== undefined) throw refused(`the codec of the entry '${name}' ${flaw}`)
  return { name, type, codec: codec as Codec<any, any> }
}

function refused(message: string): WalError {
  return new WalError('ERR_WAL_OPTION', message, { option: 'entries' })
}

/**
 * An entry of any definition. One class for all, and its codec private: the entries of a log have one shape, which is
 * quick to read, and no more members than name, type and value.
 */
export class CodecEntry implements DefinedEntry<string, number, unknown> {
  readonly name: string
  readonly type: number
  value: unknown
  readonly #codec: Codec<any, any>

  constructor(definition: NamedDefinition, value: unknown) {
    this.name = definition.name
    this.type = definition.type
    this.value = value
    this.#codec = definition.codec
  }

  encodePayload(buffer: Uint8Array): Uint8Array {
    return encodeWith(this.#codec, this.value, buffer, (bytes) => new Uint8Array(bytes))
  }

  decodePayload(payload: Uint8Array): void {
    this.value = decodeWith(this.#codec, payload, false)
  }
}
Object.defineProperty(CodecEntry.prototype, definedEntry, { value: true })
