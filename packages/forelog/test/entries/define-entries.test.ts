import { Packr } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import { bytes, json, utf8, type Codec } from '../../src/entries/codecs.js'
import { defineEntries, type Definition } from '../../src/entries/define-entries.js'
import type { Entry } from '../../src/entries/entry.js'
import { refusal } from './refusal.js'

const entries = defineEntries({
  put: { type: 1, codec: json<{ key: string; value: unknown }>() },
  del: { type: 2, codec: utf8 },
})

describe('defined entries', () => {
  test('have their name, type and value, and nothing else to see', () => {
    const value = { key: 'a', value: 1 }
    const entry = entries.put(value)
    expect(entry.name).toBe('put')
    expect(entry.type).toBe(1)
    expect(entry.value).toBe(value)
    expect(Reflect.ownKeys(entry)).toEqual(['name', 'type', 'value'])
    expect(entry).toEqual({ name: 'put', type: 1, value })
  })

  test('encode and decode their payload by their codec, as any Entry', () => {
    const entry = entries.put({ key: 'é', value: [1] })
    for (const room of [0, 5, 100]) {
      const payload = entry.encodePayload(new Uint8Array(room).fill(0xee))
      expect(Buffer.from(payload).toString()).toBe('{"key":"é","value":[1]}')
      const other = entries.put({ key: '', value: 0 })
      other.decodePayload(payload)
      expect(other).toEqual(entry)
    }
    expect(entry.readPayload).toBeUndefined()
    const packed = defineEntries({ m: { type: 1, codec: new Packr() } })
    const copy = packed.m(undefined)
    copy.decodePayload(packed.m({ a: [1n, new Date(5)] }).encodePayload(new Uint8Array(0)))
    expect(copy.value).toEqual({ a: [1n, new Date(5)] })
  })

  test('the factories are all that there is to see, and stay', () => {
    expect(Object.keys(entries)).toEqual(['put', 'del'])
    expect(entries.put.name).toBe('put')
    expect(() => Object.assign(entries, { put: 1 })).toThrow(TypeError)
    expect('toString' in entries).toBe(false)
  })
})

describe('names', () => {
  const awkward = ['create', 'register', '__proto__', 'constructor', 'toString', 'valueOf', 'hasOwnProperty', 'name', 'length', 'prototype', '', '0', 'two words', 'source', 'Symbol(forelog.source)']

  test.each(awkward)('may be %j', async (name) => {
    const definitions: Record<string, Definition> = Object.fromEntries([[name, { type: 3, codec: utf8 }], ['other', { type: 4, codec: bytes }]])
    const made = defineEntries(definitions)
    expect(Object.keys(made).sort()).toEqual([name, 'other'].sort())
    const entry = made[name]?.('x') as Entry & { name: string }
    expect(entry.name).toBe(name)
    expect(entry).toMatchObject({ type: 3, value: 'x' })
    expect(Buffer.from(entry.encodePayload(new Uint8Array(4))).toString()).toBe('x')
    expect(await (async () => made)()).toBe(made)
  })

  test('may be anything but then', () => {
    const error = refusal('ERR_WAL_OPTION', () => defineEntries({ then: { type: 1, codec: utf8 } }))
    expect(error.message).toContain(`'then'`)
    expect(error.option).toBe('entries')
  })
})

describe('defineEntries refuses', () => {
  test('a type that is used twice, naming both', () => {
    const error = refusal('ERR_WAL_ENTRY_TYPE_DUPLICATE', () => defineEntries({ a: { type: 1, codec: utf8 }, b: { type: 1, codec: json() } }))
    expect(error.message).toMatch(/'a' and 'b'/)
    expect(error.type).toBe(1)
  })

  test('type 255, which the log needs', () => {
    expect(refusal('ERR_WAL_ENTRY_TYPE_RESERVED', () => defineEntries({ a: { type: 255, codec: utf8 } })).type).toBe(255)
    expect(defineEntries({ a: { type: 254, codec: utf8 }, b: { type: 0, codec: utf8 } }).a('x').type).toBe(254)
  })

  test.each([-1, 256, 1.5, NaN, '1', undefined, null])('the type %s, naming the entry', (type) => {
    expect(refusal('ERR_WAL_OPTION', () => defineEntries({ odd: { type: type as number, codec: utf8 } })).message).toContain(`'odd'`)
  })

  test.each<unknown>([
    undefined,
    null,
    'json',
    {},
    json, // without the call
    { encode: () => new Uint8Array(0) },
    { decode: () => 1 },
    { encode: () => new Uint8Array(0), decode: () => 1, encodeInto: true },
  ])('what is no codec, naming the entry', (codec) => {
    const error = refusal('ERR_WAL_OPTION', () => defineEntries({ odd: { type: 1, codec: codec as Codec<unknown> } }))
    expect(error.message).toContain(`'odd'`)
    expect(error.option).toBe('entries')
  })

  test.each([undefined, null, 'x', 5, []])('definitions that are no object', (definitions) => {
    refusal('ERR_WAL_OPTION', () => defineEntries(definitions as unknown as Record<string, Definition>))
  })

  test.each([undefined, null, 5, utf8.encode])('a definition that is no object', (definition) => {
    refusal('ERR_WAL_OPTION', () => defineEntries({ odd: definition as unknown as Definition }))
  })
})
