/**
 * Codecs turn values into payloads and back: JSON, text and bytes, and any of them checked by a schema.
 *
 * They may read from memory that the log uses again, and write straight into the buffer that goes to disk: see
 * `encodeWith` and `decodeWith`, the one way in which the log calls a codec.
 */
import { types } from 'node:util'
import { reasonOf, WalError } from '../errors.js'
import type { PayloadWindow } from './payload-window.js'

/**
 * Turns values into bytes and back. `In` is what is appended, `Out` what reading gives: they differ only under a schema
 * that transforms.
 *
 * A codec has no state: another process must be able to decode what this one encoded. It is synchronous. A plain
 * `Packr` of msgpackr fits as it is.
 *
 * @example
 * ```ts
 * const date: Codec<Date> = {
 *   encode: (value) => utf8.encode(value.toISOString()),
 *   decode: (bytes) => new Date(utf8.decode(bytes)),
 * }
 * ```
 */
export interface Codec<In, Out = In> {
  /** The value as bytes. What it throws rejects the append with ERR_WAL_ENCODE. The bytes are copied at once. */
  encode(value: In): Uint8Array
  /**
   * The value of such bytes. What it throws fails the read with ERR_WAL_DECODE. `bytes` may be kept, unless the reader
   * asked for views (`copy: false`).
   */
  decode(bytes: Uint8Array): Out
  /**
   * As `encode`, into `buffer`, which holds rubbish: how many bytes were used. More than `buffer.length` means that so
   * many are needed, and it is called again with as much; what it wrote by then does not count. Optional, for speed.
   */
  encodeInto?(value: In, buffer: Uint8Array): number
}

/**
 * The part of the [Standard Schema](https://standardschema.dev) interface that {@link validated} uses: Zod, Valibot,
 * ArkType and others have it.
 */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) =>
      | { readonly value: Output; readonly issues?: undefined }
      | { readonly issues: readonly StandardSchemaIssue[] }
      | Promise<unknown>
    readonly types?: { readonly input: Input; readonly output: Output } | undefined
  }
}

/** What a schema has against a value. */
export interface StandardSchemaIssue {
  readonly message: string
  /** Where in the value, from the outside in; absent: the value itself. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** What a schema accepts. */
export type SchemaInput<S extends StandardSchema<any, any>> = NonNullable<S['~standard']['types']>['input']
/** What a schema makes of what it accepts. */
export type SchemaOutput<S extends StandardSchema<any, any>> = NonNullable<S['~standard']['types']>['output']

/**
 * How our own codecs are decoded by the log, which has a view that it will use again: with `copy` the value must not
 * hold on to it. Only they know whether they would, so any other codec is given a copy. Registered, for the codecs of
 * another copy of the package.
 */
const decodeView: unique symbol = Symbol.for('forelog.codec.decodeView')

interface ViewCodec<In, Out = In> extends Codec<In, Out> {
  readonly [decodeView]: (view: Uint8Array, copy: boolean) => Out
  readonly [decodeText]?: (payload: TextPayload) => Out
}

/** How a codec is decoded that makes a value of a text by JSON.parse, so that the value keeps no part of it. Registered as well. */
const decodeText: unique symbol = Symbol.for('forelog.codec.decodeText')

/** Whether a codec is decoded from text alone, whatever the option `copy`. */
export function isOfText(codec: Codec<unknown>): boolean {
  return (codec as Partial<ViewCodec<unknown>>)[decodeText] !== undefined
}

interface TextPayload {
  /** As JSON, if the payload was parsed as such already; else undefined. Absent in an older copy of the package. */
  readonly listedValue?: unknown
  /** Throws where the payload is no valid UTF-8. */
  readonly passingText: string
}

/**
 * Values as JSON, as `JSON.stringify` and `JSON.parse` have it: a Date becomes a string, NaN becomes null.
 *
 * Encoding what JSON has no form for (undefined, a function, a symbol, a bigint, a circle) is ERR_WAL_ENCODE; decoding
 * what is no JSON in valid UTF-8 is ERR_WAL_DECODE. The type argument is taken on trust ({@link validated} checks); give
 * it, for without it the values within `defineEntries` are `any`.
 *
 * @example
 * ```ts
 * const entries = defineEntries({ put: { type: 1, codec: json<{ key: string; value: unknown }>() } })
 * ```
 */
export function json<T = unknown>(): Codec<T> {
  return jsonCodec as Codec<T>
}

const jsonCodec: Codec<unknown> = textCodec(
  (value) => {
    let text: string | undefined
    try {
      text = JSON.stringify(value)
    } catch (error) {
      throw new WalError('ERR_WAL_ENCODE', `the value can't be made JSON: ${reasonOf(error)}`, { cause: error })
    }
    if (text === undefined) throw new WalError('ERR_WAL_ENCODE', `JSON has no form for ${kindOf(value)}: append something else, null for instance`)
    return text
  },
  (text) => {
    try {
      return JSON.parse(text) as unknown
    } catch (error) {
      throw new WalError('ERR_WAL_DECODE', `the payload is no JSON: ${reasonOf(error)}`, { cause: error })
    }
  },
  { isJson: true },
)

/**
 * Strings as UTF-8.
 *
 * Encoding anything else than a string is ERR_WAL_ENCODE, a string with a lone surrogate too: UTF-8 has no form for it,
 * and another string would come back. Decoding invalid UTF-8 is ERR_WAL_DECODE. A byte order mark is kept as it is.
 */
export const utf8: Codec<string> = textCodec(
  (value) => {
    if (typeof value !== 'string') throw new WalError('ERR_WAL_ENCODE', `utf8 encodes strings, not ${kindOf(value)}`)
    return value
  },
  (text) => text,
  { isJson: false },
)

/**
 * Bytes as they are. Reading gives a plain `Uint8Array` of the caller's own.
 *
 * Encoding anything else than a `Uint8Array` (a Buffer is one) is ERR_WAL_ENCODE.
 */
export const bytes: Codec<Uint8Array> = Object.freeze<ViewCodec<Uint8Array>>({
  encode(value) {
    if (!types.isUint8Array(value)) throw new WalError('ERR_WAL_ENCODE', `bytes encodes a Uint8Array, not ${kindOf(value)}`)
    return value
  },
  decode: ownBytes,
  [decodeView]: (view, copy) => (copy ? ownBytes(view) : plainView(view)),
})

/**
 * A codec whose values are checked by a schema: any that follows Standard Schema, as those of Zod, Valibot and ArkType.
 *
 * A value is checked when it is appended, and stored as it was given; it is checked again after decoding, and what the
 * schema makes of it is handed out: transformations and defaults apply when reading. A value that fails is
 * ERR_WAL_ENCODE or ERR_WAL_DECODE, with the schema's issues in the message, and as `cause`. Asynchronous schemas are
 * refused in the same way. A codec or schema that is none is ERR_WAL_OPTION.
 *
 * @example
 * ```ts
 * const User = z.object({ id: z.string(), at: z.coerce.date() })
 * const entries = defineEntries({ user: { type: 1, codec: validated(json(), User) } })
 * await log.append(entries.user({ id: 'a', at: '2026-01-01' }))   // reading gives `at` as a Date
 * ```
 */
export function validated<S extends StandardSchema<any, any>>(codec: Codec<any, any>, schema: S): Codec<SchemaInput<S>, SchemaOutput<S>> {
  const flaw = codecFlaw(codec)
  if (flaw !== undefined) throw new WalError('ERR_WAL_OPTION', `validated: the codec ${flaw}`, { option: 'codec' })
  if (typeof (schema as StandardSchema | null | undefined)?.['~standard']?.validate !== 'function') {
    throw new WalError('ERR_WAL_OPTION', `validated: the schema does not follow Standard Schema, it has no '~standard'.validate`, { option: 'schema' })
  }
  const accept = (value: unknown): unknown => {
    check(schema, value, 'ERR_WAL_ENCODE')
    return value
  }
  const decodeInner = (codec as Partial<ViewCodec<unknown>>)[decodeText]
  const checking: ViewCodec<SchemaInput<S>, SchemaOutput<S>> = {
    encode: (value) => codec.encode(accept(value)),
    decode: (payload) => check(schema, codec.decode(payload), 'ERR_WAL_DECODE'),
    [decodeView]: (view, copy) => check(schema, decodeWith(codec, view, copy), 'ERR_WAL_DECODE'),
    ...(decodeInner === undefined ? {} : { [decodeText]: (payload) => check(schema, decodeInner(payload), 'ERR_WAL_DECODE') }),
  }
  if (codec.encodeInto !== undefined) checking.encodeInto = (value, buffer) => codec.encodeInto?.(accept(value), buffer) as number
  return Object.freeze(checking)
}

/** What the schema makes of a value that it accepts. */
function check<S extends StandardSchema<any, any>>(schema: S, value: unknown, code: 'ERR_WAL_ENCODE' | 'ERR_WAL_DECODE'): SchemaOutput<S> {
  let result: ReturnType<StandardSchema['~standard']['validate']>
  try {
    result = schema['~standard'].validate(value)
  } catch (error) {
    throw new WalError(code, `the schema failed: ${reasonOf(error)}`, { cause: error })
  }
  if (refuseThenable(result)) {
    throw new WalError(code, 'the schema is asynchronous, and an entry is checked synchronously: take the asynchronous part out of it')
  }
  const { issues } = result
  if (issues !== undefined) {
    throw new WalError(code, `the value does not fit its schema: ${issues.map(textOfIssue).join('; ')}`, { cause: issues })
  }
  return result.value
}

function textOfIssue(issue: StandardSchemaIssue): string {
  const path = (issue.path ?? []).map((part) => String(typeof part === 'object' ? part.key : part)).join('.')
  return path === '' ? issue.message : `${path}: ${issue.message}`
}

// ---------------------------------------------------------------- how the log calls a codec

/** Times that `encodeInto` is given more room. One would do; a value may change its size between two calls. */
const mostAttempts = 4

/** The payload of a value: a part of `room` or of what `more` gave, from its beginning, or an array of the codec's own. */
export function encodeWith(codec: Codec<any, any>, value: unknown, room: Uint8Array, more: (bytes: number) => Uint8Array): Uint8Array {
  if (codec.encodeInto === undefined) return payloadOf(codec.encode(value), 'encode')
  let buffer = room
  for (let attempt = 0; attempt <= mostAttempts; attempt++) {
    const used: unknown = codec.encodeInto(value, buffer)
    if (typeof used !== 'number' || !Number.isSafeInteger(used) || used < 0) {
      refuseThenable(used)
      throw new TypeError(`encodeInto returned ${kindOf(used)}, and not how many bytes it used: a codec is synchronous`)
    }
    if (used <= buffer.length) return buffer.subarray(0, used)
    buffer = more(used)
  }
  throw new TypeError(`encodeInto was given the room that it asked for ${mostAttempts} times, and asked for more`)
}

/** The value of a payload, which is a view that will be used again: with `copy` the value holds on to none of it. */
export function decodeWith(codec: Codec<any, any>, view: Uint8Array, copy: boolean): unknown {
  const own = (codec as Partial<ViewCodec<unknown>>)[decodeView]
  if (own !== undefined) return own(view, copy)
  const value: unknown = codec.decode(copy ? ownBytes(view) : plainView(view))
  if (refuseThenable(value)) throw new TypeError('decode returned a promise: a codec is synchronous')
  return value
}

/** The same, of a payload that lies among others. */
export function decodeAmong(codec: Codec<any, any>, payloads: PayloadWindow, copy: boolean): unknown {
  const own = (codec as Partial<ViewCodec<unknown>>)[decodeText]
  return own === undefined ? decodeWith(codec, payloads.bytes, copy) : own(payloads)
}

/** What user code gave as a payload, when it is one. */
export function payloadOf(given: unknown, method: string): Uint8Array {
  if (types.isUint8Array(given)) return given
  refuseThenable(given)
  throw new TypeError(`${method} returned ${kindOf(given)} and not a Uint8Array: entries are encoded synchronously`)
}

/** A copy, always a plain Uint8Array: whose `slice` copies, unlike that of a Buffer. */
export function ownBytes(view: Uint8Array): Uint8Array {
  return new Uint8Array(view)
}

/** The same bytes as a plain Uint8Array, whatever the log reads into. */
export function plainView(view: Uint8Array): Uint8Array {
  return view.constructor === Uint8Array ? view : new Uint8Array(view.buffer, view.byteOffset, view.length)
}

/** Whether a value is a promise, which nobody will wait for: its rejection is no unhandled one then. */
export function refuseThenable(value: unknown): value is PromiseLike<unknown> {
  if (typeof value !== 'object' || value === null || typeof (value as { then?: unknown }).then !== 'function') return false
  Promise.resolve(value as PromiseLike<unknown>).catch(() => {})
  return true
}

/** What is wrong with something that should be a codec, or undefined. */
export function codecFlaw(codec: unknown): string | undefined {
  if ((typeof codec !== 'object' && typeof codec !== 'function') || codec === null) return `is ${kindOf(codec)}, not an object with encode and decode`
  const { encode, decode, encodeInto } = codec as Record<string, unknown>
  if (typeof encode !== 'function') return 'has no method encode'
  if (typeof decode !== 'function') return 'has no method decode'
  if (encodeInto !== undefined && typeof encodeInto !== 'function') return 'has an encodeInto that is no method'
  return undefined
}

/** What a value is, for a message. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined || typeof value === 'boolean' || typeof value === 'number') return String(value)
  if (typeof value === 'string') return 'a string'
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'object') return typeof (value as { then?: unknown }).then === 'function' ? 'a promise' : 'an object'
  return `a ${typeof value}`
}

// ---------------------------------------------------------------- text

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** A codec of values that have a text. `isJson`: a value is what JSON.parse makes of it, and holds on to no part of it. */
function textCodec<T>(textOf: (value: T) => string, valueOf: (text: string) => T, { isJson }: { readonly isJson: boolean }): Codec<T> {
  return Object.freeze<ViewCodec<T>>({
    encode(value) {
      const text = textOf(value)
      const payload = encoder.encode(text)
      assertWhole(text, payload.length)
      return payload
    },
    encodeInto(value, buffer) {
      const text = textOf(value)
      const { read, written } = encoder.encodeInto(text, buffer)
      const used = read === text.length ? written : Buffer.byteLength(text, 'utf8')
      assertWhole(text, used)
      return used
    },
    decode: (payload) => valueOf(textFrom(payload)),
    // A string never holds on to the bytes that it was made of.
    [decodeView]: (view) => valueOf(textFrom(view)),
    ...(isJson && {
      [decodeText]: (payload) => {
        const listed = payload.listedValue as T | undefined
        return listed === undefined ? valueOf(passingTextOf(payload)) : listed
      },
    }),
  })
}

function textFrom(payload: Uint8Array): string {
  try {
    return decoder.decode(payload)
  } catch (error) {
    throw notUtf8(error)
  }
}

function passingTextOf(payload: TextPayload): string {
  try {
    return payload.passingText
  } catch (error) {
    throw notUtf8(error)
  }
}

function notUtf8(cause: unknown): WalError {
  return new WalError('ERR_WAL_DECODE', 'the payload is no valid UTF-8', { cause })
}

/** Refuses a text that UTF-8 can't hold. One byte per unit is ASCII, and needs no look at the text. */
function assertWhole(text: string, utf8Bytes: number): void {
  if (utf8Bytes === text.length || (text as unknown as WellFormed).isWellFormed()) return
  const at = text.search(/\p{Surrogate}/u)
  throw new WalError('ERR_WAL_ENCODE', `the text has a lone surrogate at index ${at}, which UTF-8 can't hold: another text would come back`)
}

/** ES2024, in every Node.js from 20. */
interface WellFormed {
  isWellFormed(): boolean
}
