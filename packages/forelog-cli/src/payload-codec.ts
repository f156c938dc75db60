/**
 * How payloads are shown: `--codec`.
 */
import { decode as decodeMsgpack } from '@msgpack/msgpack'
import { text, UsageError, type Values } from './command.js'
import { loadModule } from './load-module.js'

/** A payload as a value that JSON can hold. Throws where it can't be decoded. */
export type Decode = (payload: Uint8Array, type: number) => unknown

export const codecNames = ['auto', 'json', 'utf8', 'msgpack', 'hex', 'base64'] as const

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

const shipped: Record<(typeof codecNames)[number], Decode> = {
  auto: (payload) => {
    try {
      const decoded = strict.decode(payload)
      try {
        return JSON.parse(decoded) as unknown
      } catch {
        return decoded
      }
    } catch {
      return { base64: Buffer.from(payload).toString('base64') }
    }
  },
  json: (payload) => JSON.parse(strict.decode(payload)) as unknown,
  utf8: (payload) => strict.decode(payload),
  msgpack: (payload) => jsonable(decodeMsgpack(payload)),
  hex: (payload) => Buffer.from(payload).toString('hex'),
  base64: (payload) => Buffer.from(payload).toString('base64'),
}

/** The codec that was asked for; `FILE.js` exports `decode(bytes, type)`, alone or in its default. */
export async function decoderFrom(values: Values): Promise<Decode> {
  const name = text(values, 'codec') ?? 'auto'
  if (Object.hasOwn(shipped, name)) return shipped[name as keyof typeof shipped]
  if (!/\.[cm]?js$/.test(name)) throw new UsageError(`--codec is one of ${codecNames.join(', ')}, or a file FILE.js, and not '${name}'`)
  const module = await loadModule(name, 'codec')
  const decode = module['decode'] ?? (module['default'] as { decode?: unknown } | undefined)?.decode ?? module['default']
  if (typeof decode !== 'function') throw new UsageError(`--codec: ${name} exports no function decode`)
  return (payload, type) => jsonable((decode as Decode)(payload, type))
}

/** Any value as one that JSON can hold. */
function jsonable(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (_key, each: unknown) => (typeof each === 'bigint' ? each.toString() : each instanceof Uint8Array ? { base64: Buffer.from(each).toString('base64') } : each)) ?? 'null')
}
