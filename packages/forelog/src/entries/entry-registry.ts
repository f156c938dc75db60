/**
 * The entry classes of a log, by their types.
 */
import { reasonOf, WalError } from '../errors.js'
import { kindOf } from './codecs.js'
import type { Entry } from './entry.js'
import { brandSource, listOf } from './entry-source.js'

/** Makes an entry without a value, which `decodePayload` gives it: `() => new Put()`. A new one each time. */
export type EntryConstructor<E extends Entry = Entry> = () => E

type ConstructorsOf<T extends readonly Entry[]> = { readonly [K in keyof T]: EntryConstructor<T[K]> }

/**
 * The entry classes that a log may hold, each under the type that its entries have. `T` is the tuple of their types.
 *
 * @example
 * ```ts
 * const registry = new EntryRegistry(() => new Put(), () => new Del())
 * const log = await WriteAheadLog.open('./data/orders', { entries: registry })
 * ```
 */
export class EntryRegistry<T extends readonly Entry[] = readonly Entry[]> {
  readonly #constructors = new Map<number, EntryConstructor>()

  /** Registers each constructor; see {@link EntryRegistry.register} for what is refused. */
  constructor(...constructors: ConstructorsOf<T>) {
    brandSource(this, { kind: 'registry', constructors: this.#constructors })
    for (const constructor of constructors) this.#add(constructor)
  }

  /**
   * Adds one entry class, and returns the registry itself, with the wider type. The constructor is called once, to learn
   * the type.
   *
   * Throws ERR_WAL_ENTRY_TYPE_DUPLICATE where the type is taken, and ERR_WAL_OPTION for what is no function, or gives no
   * {@link Entry}, or one whose type is no integer from 0 to 255 (255 is for logs of format 1 only).
   */
  register<F extends Entry>(constructor: EntryConstructor<F>): EntryRegistry<[...T, F]> {
    this.#add(constructor)
    return this as unknown as EntryRegistry<[...T, F]>
  }

  /** A new entry of this type, without a value. Throws ERR_WAL_ENTRY_TYPE_UNKNOWN where none is registered. */
  create(type: number): T[number] {
    const constructor = this.#constructors.get(type)
    if (constructor === undefined) {
      throw new WalError('ERR_WAL_ENTRY_TYPE_UNKNOWN', `entry type ${String(type)} is not registered; registered: ${listOf(this.#constructors.keys())}`, { type })
    }
    return constructor()
  }

  #add(constructor: EntryConstructor): void {
    if (typeof constructor !== 'function') throw refused(`an entry constructor is a function that makes an entry, not ${kindOf(constructor)}`)
    let entry: unknown
    try {
      entry = constructor()
    } catch (error) {
      throw refused(`an entry constructor failed: ${reasonOf(error)} (pass a function, () => new MyEntry())`, error)
    }
    assertEntry(entry)
    const { type } = entry
    if (this.#constructors.has(type)) {
      throw new WalError('ERR_WAL_ENTRY_TYPE_DUPLICATE', `entry type ${type} is registered already: each entry class needs a type of its own`, { type })
    }
    this.#constructors.set(type, constructor)
  }
}

function assertEntry(entry: unknown): asserts entry is Entry {
  if (typeof entry !== 'object' || entry === null) throw refused(`an entry constructor returned ${kindOf(entry)}, not an entry`)
  const { type, encodePayload, decodePayload, readPayload } = entry as Record<string, unknown>
  if (typeof type !== 'number' || !Number.isInteger(type) || type < 0 || type > 255) {
    throw refused(`the type of an entry is an integer from 0 to 255, not ${kindOf(type)}`)
  }
  if (typeof encodePayload !== 'function') throw refused(`the entry of type ${type} has no method encodePayload`)
  if (typeof decodePayload !== 'function') throw refused(`the entry of type ${type} has no method decodePayload`)
  if (readPayload !== undefined && typeof readPayload !== 'function') {
    throw refused(`the entry of type ${type} has a readPayload that is no method`)
  }
}

function refused(message: string, cause?: unknown): WalError {
  return new WalError('ERR_WAL_OPTION', message, { option: 'entries', cause })
}
