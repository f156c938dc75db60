import { Packr } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { bytes, decodeWith, encodeWith, json, utf8, validated, type Codec, type StandardSchema } from '../../src/entries/codecs.js'
import { refusal } from './refusal.js'

/** A promise that rejects once somebody waits for it. */
const late: PromiseLike<never> = { then: (_, reject) => Promise.reject(new Error('late')).then(null, reject) }

const fresh = (count: number): Uint8Array => new Uint8Array(count)
const roundTrip = <In, Out>(codec: Codec<In, Out>, value: In): Out => codec.decode(codec.encode(value))

const texts = ['', 'a', 'plain ASCII', 'é€😀', '\ufeffa byte order mark', '\ufffd itself', 'nul \0', 'x'.repeat(5000), '漢'.repeat(5000)]

describe('utf8', () => {
  test.each(texts)('gives back what it was given: %j', (text) => {
    expect(roundTrip(utf8, text)).toBe(text)
    expect(Buffer.from(utf8.encode(text)).equals(Buffer.from(text))).toBe(true)
  })

  test.each(texts)('writes into a buffer of any size, or says how much it needs: %j', (text) => {
    const needed = Buffer.byteLength(text)
    for (const room of [0, 1, 2, needed - 1, needed, needed + 1, needed + 2, 3 * needed].filter((room) => room >= 0)) {
      const buffer = new Uint8Array(room + 8).fill(0xee)
      const used = utf8.encodeInto?.(text, buffer.subarray(4, 4 + room))
      expect(used).toBe(needed)
      if (needed <= room) expect(utf8.decode(buffer.subarray(4, 4 + needed))).toBe(text)
      expect([...buffer.subarray(0, 4), ...buffer.subarray(4 + room)]).toEqual(Array(8).fill(0xee))
    }
  })

  test.each(['\ud800', 'a\udc00b', '\udc00\ud800', 'é\ud83d', '\ud83d\ud83d\ude00', 'x'.repeat(2000) + '\udfff'])('refuses a lone surrogate instead of changing it: %j', (text) => {
    refusal('ERR_WAL_ENCODE', () => utf8.encode(text))
    for (const room of [0, 1, 4, 3 * text.length]) refusal('ERR_WAL_ENCODE', () => utf8.encodeInto?.(text, fresh(room)))
  })

  test('says where the lone surrogate is', () => {
    expect(refusal('ERR_WAL_ENCODE', () => utf8.encode('😀é\ud800')).message).toContain('index 3')
  })

  test.each([undefined, null, 5, {}, new String('x'), ['a'], Symbol('x')])('refuses what is no string', (value) => {
    refusal('ERR_WAL_ENCODE', () => utf8.encode(value as string))
    refusal('ERR_WAL_ENCODE', () => utf8.encodeInto?.(value as string, fresh(100)))
  })

  test.each(['ff', 'c3', 'c080', 'eda080', 'f4908080', '61e282', 'efbfbdff'])('refuses to decode invalid UTF-8: %s', (hex) => {
    const error = refusal('ERR_WAL_DECODE', () => utf8.decode(Buffer.from(hex, 'hex')))
    expect(error.cause).toBeInstanceOf(TypeError)
    expect(utf8.decode(Buffer.from('ok'))).toBe('ok')
  })
})

describe('json', () => {
  test.each([null, 0, true, '', 'é\ud800', [], {}, { key: 'a', value: [1, { b: null }] }, { 'é': '😀'.repeat(1000) }, { __proto__: 1 }, { then: 1 }])('gives back what it was given: %j', (value) => {
    const codec = json()
    expect(roundTrip(codec, value)).toEqual(value)
    expect(Buffer.from(codec.encode(value)).toString()).toBe(JSON.stringify(value))
    for (const room of [0, 3, 10_000]) {
      const payload = encodeWith(codec, value, fresh(room), fresh)
      expect(Buffer.from(payload).toString()).toBe(JSON.stringify(value))
    }
  })

  const circle: { self?: unknown } = {}
  circle.self = circle
  test.each([undefined, () => 1, Symbol('x'), { toJSON: () => undefined }, 5n, circle, { toJSON() { throw new Error('no') } }])('refuses what JSON has no form for', (value) => {
    refusal('ERR_WAL_ENCODE', () => json().encode(value))
    refusal('ERR_WAL_ENCODE', () => json().encodeInto?.(value, fresh(100)))
  })

  test('keeps the reason of JSON.stringify and JSON.parse as the cause', () => {
    expect(refusal('ERR_WAL_ENCODE', () => json().encode(5n)).cause).toBeInstanceOf(TypeError)
    expect(refusal('ERR_WAL_DECODE', () => json().decode(Buffer.from('{"a":'))).cause).toBeInstanceOf(SyntaxError)
  })

  test.each(['', '7b', 'efbbbf31', '22ff22', '2261eda08022'])('refuses to decode what is no JSON in valid UTF-8: %s', (hex) => {
    refusal('ERR_WAL_DECODE', () => json().decode(Buffer.from(hex, 'hex')))
  })
})

describe('bytes', () => {
  test('gives back what it was given, as bytes of the caller\'s own in a plain Uint8Array', () => {
    const stored = Buffer.from([1, 2, 3])
    const decoded = bytes.decode(stored)
    stored.fill(9)
    expect(decoded).toEqual(new Uint8Array([1, 2, 3]))
    expect(Buffer.isBuffer(decoded)).toBe(false)
    expect(roundTrip(bytes, Buffer.from('x'))).toEqual(new Uint8Array([0x78]))
    expect(roundTrip(bytes, fresh(0))).toEqual(fresh(0))
  })

  test.each([undefined, 'text', [1, 2], new ArrayBuffer(2), new Uint16Array(2), new DataView(new ArrayBuffer(2)), { length: 1 }])('refuses what is no Uint8Array', (value) => {
    refusal('ERR_WAL_ENCODE', () => bytes.encode(value as Uint8Array))
  })
})

describe('validated', () => {
  const User = z.object({ id: z.string(), at: z.coerce.date(), age: z.number().default(0) })
  const codec = validated(json(), User)

  test('stores a value as it was given, and hands out what the schema makes of it', () => {
    const payload = codec.encode({ id: 'a', at: '2026-01-01' })
    expect(Buffer.from(payload).toString()).toBe('{"id":"a","at":"2026-01-01"}')
    expect(codec.decode(payload)).toEqual({ id: 'a', at: new Date('2026-01-01'), age: 0 })
    expect(Buffer.from(encodeWith(codec, { id: 'a', at: 5 }, fresh(3), fresh)).toString()).toBe('{"id":"a","at":5}')
  })

  test('refuses a value that does not fit, naming each issue and where', () => {
    const wrong = { id: 5, at: '2026-01-01', age: 'x' } as never
    for (const call of [() => codec.encode(wrong), () => codec.encodeInto?.(wrong, fresh(100))]) {
      const error = refusal('ERR_WAL_ENCODE', call)
      expect(error.message).toMatch(/id: .*; age: /)
      expect(error.cause).toMatchObject([{ path: ['id'] }, { path: ['age'] }])
    }
    expect(refusal('ERR_WAL_DECODE', () => codec.decode(Buffer.from('{"id":"a"}'))).message).toMatch(/at: /)
  })

  test('writes the path of an issue whatever its parts are', () => {
    const issues = [{ message: 'bad', path: ['a', { key: 0 }, Symbol('s')] }, { message: 'worse' }]
    const schema: StandardSchema = { '~standard': { version: 1, vendor: 'test', validate: () => ({ issues }) } }
    expect(refusal('ERR_WAL_ENCODE', () => validated(utf8, schema).encode('x')).message).toContain('a.0.Symbol(s): bad; worse')
  })

  test('refuses asynchronous schemas, on append and on reading, without an unhandled rejection', () => {
    const slow = validated(json(), z.string().refine(async (value) => value !== ''))
    expect(refusal('ERR_WAL_ENCODE', () => slow.encode('x')).message).toContain('asynchronous')
    expect(refusal('ERR_WAL_DECODE', () => slow.decode(Buffer.from('"x"'))).message).toContain('asynchronous')
    const failing: StandardSchema = { '~standard': { version: 1, vendor: 'test', validate: () => Promise.reject(new Error('late')) } }
    refusal('ERR_WAL_ENCODE', () => validated(json(), failing).encode('x'))
  })

  test('refuses where the schema itself throws', () => {
    const reason = new Error('broken schema')
    const schema: StandardSchema = { '~standard': { version: 1, vendor: 'test', validate: () => { throw reason } } }
    expect(refusal('ERR_WAL_ENCODE', () => validated(json(), schema).encode('x')).cause).toBe(reason)
    expect(refusal('ERR_WAL_DECODE', () => validated(json(), schema).decode(Buffer.from('1'))).cause).toBe(reason)
  })

  test('takes a schema that is a function', () => {
    const schema = Object.assign(() => {}, { '~standard': { version: 1, vendor: 'test', validate: (value: unknown) => ({ value }) } } as const)
    expect(roundTrip(validated(json(), schema), 'x')).toBe('x')
  })

  test('checks the values of any codec, an encoder of its own or not', () => {
    const packed = validated(new Packr(), z.object({ n: z.number() }))
    expect(packed.encodeInto).toBeUndefined()
    expect(roundTrip(packed, { n: 1 })).toEqual({ n: 1 })
    refusal('ERR_WAL_ENCODE', () => packed.encode({ n: 'x' } as never))
  })

  test('is copied for as its codec is', () => {
    const checked = validated(bytes, z.instanceof(Uint8Array))
    const stored = new Uint8Array([1, 2])
    const own = decodeWith(checked, stored, true)
    const view = decodeWith(checked, stored, false) as Uint8Array
    stored.fill(9)
    expect(own).toEqual(new Uint8Array([1, 2]))
    expect(view.buffer).toBe(stored.buffer)
  })

  test('refuses a codec or schema that is none', () => {
    refusal('ERR_WAL_OPTION', () => validated(undefined as never, User))
    refusal('ERR_WAL_OPTION', () => validated({ encode() {} } as never, User))
    for (const schema of [undefined, null, {}, { parse() {} }, { '~standard': {} }]) refusal('ERR_WAL_OPTION', () => validated(json(), schema as never))
  })
})

describe('encodeWith', () => {
  const withInto = (encodeInto: (value: unknown, buffer: Uint8Array) => unknown): Codec<unknown> => ({ ...json(), encodeInto: encodeInto as never })

  test('asks for more room only where the codec needs it', () => {
    const asked: number[] = []
    const more = (bytes: number): Uint8Array => {
      asked.push(bytes)
      return fresh(bytes + 10)
    }
    const room = fresh(5)
    const fits = encodeWith(utf8, 'abcde', room, more)
    expect(fits.buffer).toBe(room.buffer)
    expect(asked).toEqual([])
    expect(Buffer.from(encodeWith(utf8, 'abcdef', room, more)).toString()).toBe('abcdef')
    expect(asked).toEqual([6])
  })

  test.each([-1, 1.5, NaN, '3', undefined, { read: 1, written: 1 }, late])('refuses an encodeInto that returns no number of bytes', (result) => {
    expect(() => encodeWith(withInto(() => result), 1, fresh(10), fresh)).toThrow(TypeError)
  })

  test('gives up on an encodeInto that never has enough', () => {
    expect(() => encodeWith(withInto((_, buffer) => buffer.length + 1), 1, fresh(10), fresh)).toThrow(/asked for more/)
  })

  test.each([undefined, 'text', [1], late])('refuses an encode that gives no bytes', (result) => {
    expect(() => encodeWith({ encode: () => result as never, decode: () => 1 }, 1, fresh(10), fresh)).toThrow(TypeError)
  })
})
