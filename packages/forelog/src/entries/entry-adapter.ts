/**
 * Makes one thing of the three sources of entries, for the log: see `EntryAdapter`.
 *
 * User code runs in here and nowhere else: what it throws comes out as ERR_WAL_ENCODE or ERR_WAL_DECODE, with the
 * entry's name or type in the message and the reason as `cause`.
 */
import { reasonOf, WalError } from '../errors.js'
import { decodeAmong, decodeWith, encodeWith, isOfText, kindOf, ownBytes, payloadOf, plainView, refuseThenable } from './codecs.js'
import { CodecEntry, type EntrySource } from './define-entries.js'
import type { Entry, EntryAdapter, PayloadReader } from './entry.js'
import { definedEntry, factsOf, listOf, type NamedDefinition } from './entry-source.js'
import type { PayloadWindow } from './payload-window.js'
import { rawAdapter } from './raw-entries.js'

/** The adapter of a source; undefined: raw. Throws ERR_WAL_OPTION for anything that is no source. */
export function adapterFor(source: EntrySource | undefined): EntryAdapter {
  if (source === undefined) return rawAdapter
  const facts = factsOf(source)
  if (facts === undefined) {
    const message = `the option entries is an EntryRegistry, or what defineEntries returned, not ${kindOf(source)}`
    throw new WalError('ERR_WAL_OPTION', message, { option: 'entries' })
  }
  return facts.kind === 'registry' ? new RegistryAdapter(facts.constructors) : new DefinedAdapter(facts.definitions)
}

/** Entry classes: whatever has a registered type and the methods is an entry, also when another class made it. */
class RegistryAdapter implements EntryAdapter {
  readonly #constructors: ReadonlyMap<number, () => Entry>
  readonly #framings = new Map<number, (reader: PayloadReader) => Uint8Array>()

  constructor(constructors: ReadonlyMap<number, () => Entry>) {
    this.#constructors = constructors
  }

  typeOf(entry: unknown): number {
    const type = numericTypeOf(entry, 'an entry of its registry', 'append an instance of one of its classes')
    if (!this.#constructors.has(type)) throw this.#unknown(type)
    if (typeof (entry as Partial<Entry>).encodePayload !== 'function') throw notEncoded(`an entry of type ${type}`, 'it has no method encodePayload', type)
    return type
  }

  encode(entry: unknown, room: Uint8Array): Uint8Array {
    try {
      const payload = payloadOf((entry as Entry).encodePayload(room), 'encodePayload')
      // From the middle of the room it has to be moved to the beginning, where the record is.
      return payload.buffer === room.buffer && payload.byteOffset !== room.byteOffset ? ownBytes(payload) : payload
    } catch (error) {
      const { type } = entry as Entry
      throw encodeError(`an entry of type ${type}`, type, error)
    }
  }

  decode(type: number, payload: Uint8Array, copy: boolean): Entry {
    return this.#decode(type, () => (copy ? ownBytes(payload) : plainView(payload)))
  }

  decodeAmong(type: number, payloads: PayloadWindow, copy: boolean): Entry {
    return this.#decode(type, () => (copy ? payloads.ownBytes : payloads.bytes))
  }

  #decode(type: number, payload: () => Uint8Array): Entry {
    const constructor = this.#constructors.get(type)
    if (constructor === undefined) throw this.#unknown(type)
    try {
      const entry = constructor()
      const result: unknown = entry.decodePayload(payload())
      if (refuseThenable(result)) throw new TypeError('decodePayload returned a promise: entries are decoded synchronously')
      return entry
    } catch (error) {
      throw decodeError(`an entry of type ${type}`, type, error)
    }
  }

  framing(type: number): ((reader: PayloadReader) => Uint8Array) | undefined {
    const known = this.#framings.get(type)
    if (known !== undefined) return known
    const entry = this.#constructors.get(type)?.()
    if (entry?.readPayload === undefined) return undefined
    const framing = (reader: PayloadReader): Uint8Array => {
      const result = entry.readPayload?.(reader) as Uint8Array
      if (refuseThenable(result)) throw new TypeError('readPayload returned a promise: payloads are read synchronously')
      return result
    }
    this.#framings.set(type, framing)
    return framing
  }

  get unfitForFormat1(): string | undefined {
    const unfit = [...this.#constructors].filter(([, constructor]) => constructor().readPayload === undefined).map(([type]) => type)
    if (unfit.length === 0) return undefined
    return `a log of format 1 needs entries that know where their payloads end: give ${unfit.length === 1 ? 'entry type' : 'entry types'} ${listOf(unfit)} a method readPayload`
  }

  #unknown(type: number): WalError {
    return unknownType(type, listOf(this.#constructors.keys()))
  }
}

/** Entries made from codecs: what `defineEntries` made, here or in another copy of the package, under this name and type. */
class DefinedAdapter implements EntryAdapter {
  readonly #definitions: ReadonlyMap<number, NamedDefinition>
  /** The same by type, for what is asked of each entry that is read: some nanoseconds less than the map takes. */
  readonly #byType: readonly (NamedDefinition | undefined)[]
  readonly copiesNothing: boolean
  readonly unfitForFormat1: string =
    'a log of format 1 needs entries that know where their payloads end, and codecs do not: open it with an EntryRegistry of classes that have readPayload'

  constructor(definitions: ReadonlyMap<number, NamedDefinition>) {
    this.#definitions = definitions
    this.copiesNothing = [...definitions.values()].every(({ codec }) => isOfText(codec))
    this.#byType = Array.from({ length: 256 }, (_, type) => definitions.get(type))
  }

  typeOf(entry: unknown): number {
    const type = numericTypeOf(entry, 'an entry that its factories made', this.#howToMake())
    const definition = this.#definitions.get(type)
    if (definition === undefined) throw this.#unknown(type)
    const { [definedEntry]: made, name } = entry as { readonly [definedEntry]?: boolean; readonly name?: unknown }
    if (made !== true) {
      throw notEncoded(quoted(definition), 'it was not made by defineEntries: make it with the factory of that name', type)
    }
    if (name !== definition.name) {
      const message = `the entry '${String(name)}' has type ${type}, which is '${definition.name}' in this log: was it made by other entries?`
      throw new WalError('ERR_WAL_ENTRY_TYPE_UNKNOWN', message, { type })
    }
    return type
  }

  encode(entry: unknown, room: Uint8Array, more: (bytes: number) => Uint8Array): Uint8Array {
    const { type, value } = entry as CodecEntry
    const definition = this.#definitions.get(type) as NamedDefinition
    try {
      return encodeWith(definition.codec, value, room, more)
    } catch (error) {
      throw encodeError(quoted(definition), type, error)
    }
  }

  decode(type: number, payload: Uint8Array, copy: boolean): CodecEntry {
    const definition = this.#definitions.get(type)
    if (definition === undefined) throw this.#unknown(type)
    try {
      return new CodecEntry(definition, decodeWith(definition.codec, payload, copy))
    } catch (error) {
      throw decodeError(quoted(definition), type, error)
    }
  }

  decodeAmong(type: number, payloads: PayloadWindow, copy: boolean): CodecEntry {
    const definition = this.#byType[type]
    if (definition === undefined) throw this.#unknown(type)
    try {
      return new CodecEntry(definition, decodeAmong(definition.codec, payloads, copy))
    } catch (error) {
      throw decodeError(quoted(definition), type, error)
    }
  }

  framing(): undefined {
    return undefined
  }

  /** As it is written where they are called `entries`, like the option. */
  #howToMake(): string {
    const calls = [...this.#definitions.values()].map(({ name }) => (/^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(name) ? `entries.${name}(value)` : `entries['${name}'](value)`))
    if (calls.length === 0) return 'define one with defineEntries first'
    return `make one with ${calls.slice(0, 3).join(' or ')}${calls.length > 3 ? ', …' : ''}`
  }

  #unknown(type: number): WalError {
    return unknownType(type, listOf([...this.#definitions.values()].map(({ name, type }) => `${type} ('${name}')`)))
  }
}

/** The type that something appended has; it says nothing yet of whether the log knows it. */
function numericTypeOf(entry: unknown, expected: string, advice: string): number {
  if (typeof entry === 'object' && entry !== null) {
    let type: unknown
    try {
      type = (entry as Partial<Entry>).type
    } catch (error) {
      throw encodeError('an entry', undefined, error)
    }
    if (typeof type === 'number') return type
  }
  const kind = kindOf(entry)
  throw new WalError('ERR_WAL_ENCODE', `the log takes ${expected}, not ${kind}${kind === 'an object' ? ' without a numeric type' : ''}: ${advice}`)
}

function unknownType(type: number, known: string): WalError {
  return new WalError('ERR_WAL_ENTRY_TYPE_UNKNOWN', `entry type ${type} is not one of the log's entries; those are: ${known}`, { type })
}

function quoted({ name, type }: NamedDefinition): string {
  return `the entry '${name}' (type ${type})`
}

function notEncoded(which: string, why: string, type: number | undefined, cause?: unknown): WalError {
  return new WalError('ERR_WAL_ENCODE', `${which} can't be encoded: ${why}`, { ...(type === undefined ? {} : { type }), cause })
}

/** Other errors of ours say what they are already: that the entry is too large, for instance. */
function encodeError(which: string, type: number | undefined, error: unknown): WalError {
  if (!(error instanceof WalError)) return notEncoded(which, reasonOf(error), type, error)
  return error.code === 'ERR_WAL_ENCODE' ? notEncoded(which, error.message, type, error.cause ?? error) : error
}

function decodeError(which: string, type: number, error: unknown): WalError {
  if (error instanceof WalError && error.code !== 'ERR_WAL_DECODE') return error
  const cause = error instanceof WalError ? (error.cause ?? error) : error
  return new WalError('ERR_WAL_DECODE', `${which} can't be decoded: ${reasonOf(error)}`, { type, cause })
}
