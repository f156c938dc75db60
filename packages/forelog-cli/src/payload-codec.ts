/**
 * How payloads are shown: `--codec`.
 */
import { decode as decodeMsgpack } from '@msgpack/msgpack'
import { text, UsageError, type Values } from './command.js'
import { loadModule } from './load-module.js'

/** How payloads of an entry type are shown. Both throw where one can't be decoded. */
export interface Codec {
  /** As a value that JSON can hold: to be looked into. */
  value(payload: Uint8Array, type: number): unknown
  /** The same as JSON, on one line: to be printed. */
  json(payload: Uint8Array, type: number): string
}

export const codecNames = ['auto', 'json', 'utf8', 'msgpack', 'hex', 'base64'] as const

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function codecOf(value: Codec['value']): Codec {
  return { value, json: (payload, type) => JSON.stringify(value(payload, type)) }
}

const json: Codec = {
  value: (payload) => JSON.parse(strict.decode(payload)) as unknown,
  // As it is stored: an integer beyond 2^53 is another one once it is parsed.
  json(payload) {
    const stored = strict.decode(payload)
    JSON.parse(stored)
    return stored.replace(breaks, '').trim()
  },
}

/** No text within JSON has a line break or a tab that is not escaped. */
const breaks = /[\t\n\r][ \t\n\r]*/g

const utf8 = codecOf((payload) => strict.decode(payload))

/** The first one that can decode it. */
function firstOf(...codecs: readonly [Codec, ...Codec[]]): Codec {
  const attempt = <T>(decode: (codec: Codec) => T): T => {
    for (const codec of codecs.slice(0, -1)) {
      try {
        return decode(codec)
      } catch {
        // The next one may.
      }
    }
    return decode(codecs.at(-1) as Codec)
  }
  return { value: (payload, type) => attempt((codec) => codec.value(payload, type)), json: (payload, type) => attempt((codec) => codec.json(payload, type)) }
}

const shipped: Record<(typeof codecNames)[number], Codec> = {
  auto: firstOf(json, utf8, codecOf((payload) => ({ base64: Buffer.from(payload).toString('base64') }))),
  json,
  utf8,
  msgpack: codecOf((payload) => jsonable(decodeMsgpack(payload))),
  hex: codecOf((payload) => Buffer.from(payload).toString('hex')),
  base64: codecOf((payload) => Buffer.from(payload).toString('base64')),
}

/** The codec that was asked for; `FILE.js` exports `decode(bytes, type)`, alone or in its default. */
export async function codecFrom(values: Values): Promise<Codec> {
  const name = text(values, 'codec') ?? 'auto'
  if (Object.hasOwn(shipped, name)) return shipped[name as keyof typeof shipped]
  if (!/\.[cm]?js$/.test(name)) throw new UsageError(`--codec is one of ${codecNames.join(', ')}, or a file FILE.js, and not '${name}'`)
  const module = await loadModule(name, 'codec')
  const decode = module['decode'] ?? (module['default'] as { decode?: unknown } | undefined)?.decode ?? module['default']
  if (typeof decode !== 'function') throw new UsageError(`--codec: ${name} exports no function decode`)
  return codecOf((payload, type) => jsonable((decode as Codec['value'])(payload, type)))
}

/** Any value as one that JSON can hold. */
function jsonable(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (_key, each: unknown) => (typeof each === 'bigint' ? each.toString() : each instanceof Uint8Array ? { base64: Buffer.from(each).toString('base64') } : each)) ?? 'null')
}
