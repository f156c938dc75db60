import { Packr } from 'msgpackr'
import { describe, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { bytes, json, utf8, validated, type Codec } from '../../src/entries/codecs.js'
import { defineEntries, type EntrySource } from '../../src/entries/define-entries.js'
import type { Entry, EntryAdapter, PayloadReader } from '../../src/entries/entry.js'
import { adapterFor } from '../../src/entries/entry-adapter.js'
import { EntryRegistry } from '../../src/entries/entry-registry.js'
import { WalError } from '../../src/errors.js'
import { exampleEntries, ExampleEntry1, ExampleEntry2 } from '../support/waltest.js'
import { refusal } from './refusal.js'

/** A promise that rejects once somebody waits for it. */
const late: PromiseLike<never> = { then: (_, reject) => Promise.reject(new Error('late')).then(null, reject) }

const fresh = (count: number): Uint8Array => new Uint8Array(count)

function encoded(adapter: EntryAdapter, entry: unknown, room = 64): Uint8Array {
  adapter.typeOf(entry)
  return adapter.encode(entry, fresh(room).fill(0xee), fresh)
}

/** As the log does it: through `typeOf`, into a buffer, and out of a buffer that is used again. */
function roundTrip(adapter: EntryAdapter, entry: unknown, copy = true): unknown {
  const type = adapter.typeOf(entry)
  const stored = Buffer.concat([Buffer.from('before'), encoded(adapter, entry), Buffer.from('behind')])
  const result = adapter.decode(type, stored.subarray(6, -6), copy)
  if (copy) stored.fill(0xdd)
  return result
}

describe('the source', () => {
  test.each([null, 5, 'raw', {}, [], () => new ExampleEntry1(), { create() {} }, new Map()])('refuses what is no source, naming the option', (source) => {
    const error = refusal('ERR_WAL_OPTION', () => adapterFor(source as unknown as EntrySource))
    expect(error.option).toBe('entries')
    expect(error.message).toContain('entries')
  })

  test('is not copied by a spread, which would know half of two', () => {
    const entries = { ...defineEntries({ a: { type: 1, codec: utf8 } }) }
    refusal('ERR_WAL_OPTION', () => adapterFor(entries))
  })
})

describe('entries of classes', () => {
  const adapter = adapterFor(exampleEntries)

  test.each([new ExampleEntry1(5, [1.5]), new ExampleEntry2(true, 'né'), new ExampleEntry2(false, 'x'.repeat(500))])('come back as they were', (entry) => {
    for (const copy of [true, false]) {
      const back = roundTrip(adapter, entry, copy)
      expect(back).toEqual(entry)
      expect(back).toBeInstanceOf(entry.constructor)
    }
  })

  test('are encoded into the room where they fit, and into their own array where not', () => {
    const room = fresh(64)
    expect(adapter.encode(new ExampleEntry2(true, 'abc'), room, fresh).buffer).toBe(room.buffer)
    expect(adapter.encode(new ExampleEntry2(true, 'abc'), fresh(5), fresh)).toEqual(new Uint8Array([1, 0, 3, 97, 98, 99]))
  })

  test('may return any part of the room', () => {
    const middle = (buffer: Uint8Array): Uint8Array => {
      buffer.set([1, 2, 3], 10)
      return buffer.subarray(10, 13)
    }
    const room = fresh(64)
    const payload = adapter.encode({ ...entryWith(0), encodePayload: middle }, room, fresh)
    expect(payload).toEqual(new Uint8Array([1, 2, 3]))
    expect(payload.buffer).not.toBe(room.buffer)
  })

  test('are anything with a registered type and the method', () => {
    expect(adapter.typeOf(entryWith(1))).toBe(1)
    expect(encoded(adapter, entryWith(1))).toEqual(new Uint8Array([7]))
  })

  test('of a type that is not registered are refused, and the registered ones named', () => {
    const error = refusal('ERR_WAL_ENTRY_TYPE_UNKNOWN', () => adapter.typeOf(entryWith(3)))
    expect(error.type).toBe(3)
    expect(error.message).toContain('0, 1')
    refusal('ERR_WAL_ENTRY_TYPE_UNKNOWN', () => adapter.typeOf(entryWith(NaN)))
    refusal('ERR_WAL_ENTRY_TYPE_UNKNOWN', () => adapter.decode(3, fresh(1), true))
  })

  test.each([undefined, null, 'text', 5, new Uint8Array(1), {}, { type: '1' }, { type: 1 }, Promise.resolve(entryWith(1)), () => 1])('are not other things', (thing) => {
    refusal('ERR_WAL_ENCODE', () => adapter.typeOf(thing))
  })

  test('that fail are refused with the reason as the cause', () => {
    const reason = new RangeError('too many dimensions')
    const fail = (): never => { throw reason }
    const encodeError = refusal('ERR_WAL_ENCODE', () => encoded(adapter, { ...entryWith(0), encodePayload: fail }))
    expect(encodeError.cause).toBe(reason)
    expect(encodeError.message).toContain('too many dimensions')
    expect(encodeError.type).toBe(0)
    const broken = { encodePayload: fail, decodePayload: fail, get type(): number { return fail() } }
    expect(refusal('ERR_WAL_ENCODE', () => adapter.typeOf(broken)).cause).toBe(reason)
    const failing = adapterFor(new EntryRegistry(() => ({ ...entryWith(4), decodePayload: fail })))
    const decodeError = refusal('ERR_WAL_DECODE', () => failing.decode(4, fresh(1), true))
    expect(decodeError.cause).toBe(reason)
    expect(decodeError.type).toBe(4)
  })

  test('keep the error of ours that they throw', () => {
    const own = new WalError('ERR_WAL_ENTRY_TOO_LARGE', 'too large')
    expect(refusal('ERR_WAL_ENTRY_TOO_LARGE', () => encoded(adapter, { ...entryWith(0), encodePayload: () => { throw own } }))).toBe(own)
  })

  test.each([undefined, 'text', [1, 2], 5, new ArrayBuffer(1), late])('whose encodePayload gives no bytes are refused', (result) => {
    refusal('ERR_WAL_ENCODE', () => encoded(adapter, { ...entryWith(0), encodePayload: () => result }))
  })

  test('that are asynchronous are refused', () => {
    const slow = adapterFor(new EntryRegistry(() => ({ ...entryWith(0), decodePayload: async () => { throw new Error('late') } })))
    expect(refusal('ERR_WAL_DECODE', () => slow.decode(0, fresh(1), true)).message).toContain('promise')
    expect(refusal('ERR_WAL_ENCODE', () => encoded(slow, { ...entryWith(0), encodePayload: async (b: Uint8Array) => b })).message).toContain('promise')
  })

  test('are given bytes of their own, or a view when views were asked for, and never a Buffer', () => {
    const stored = Buffer.from([1, 2, 3, 4])
    const given: Uint8Array[] = []
    const keeping = adapterFor(new EntryRegistry(() => ({ ...entryWith(0), decodePayload: (payload: Uint8Array) => void given.push(payload) })))
    keeping.decode(0, stored.subarray(1, 3), true)
    keeping.decode(0, stored.subarray(1, 3), false)
    stored.fill(9)
    expect(given).toEqual([new Uint8Array([2, 3]), new Uint8Array([9, 9])])
    expect(given.some((payload) => Buffer.isBuffer(payload))).toBe(false)
    expect(given[1]?.buffer).toBe(stored.buffer)
  })

  test('that are registered later are known from then on', () => {
    const registry = new EntryRegistry(() => new ExampleEntry1())
    const growing = adapterFor(registry)
    refusal('ERR_WAL_ENTRY_TYPE_UNKNOWN', () => growing.typeOf(new ExampleEntry2()))
    registry.register(() => new ExampleEntry2())
    expect(growing.typeOf(new ExampleEntry2())).toBe(1)
  })

  describe('in format 1', () => {
    test('are framed by one entry of each type, with its this', () => {
      const make = vi.fn(() => new ExampleEntry2())
      const framed = adapterFor(new EntryRegistry(make))
      make.mockClear()
      const payload = new Uint8Array([1, 0, 2, 65, 66, 99, 99])
      for (let i = 0; i < 3; i++) {
        let at = 0
        const reader: PayloadReader = { read: (length) => payload.subarray(at, (at += length)) }
        expect(framed.framing(1)?.(reader)).toEqual(payload.subarray(0, 5))
        expect(at).toBe(5)
      }
      expect(make).toHaveBeenCalledTimes(1)
    })

    test('let what the reader throws pass', () => {
      const stop = new Error('not there yet')
      expect(() => adapter.framing(0)?.({ read() { throw stop } })).toThrow(stop)
    })

    test('refuse a readPayload that is asynchronous, without an unhandled rejection', () => {
      const slow = adapterFor(new EntryRegistry(() => ({ ...entryWith(0), readPayload: (async (reader: PayloadReader) => reader.read(1)) as never })))
      expect(() => slow.framing(0)?.({ read() { throw new Error('not there yet') } })).toThrow(/promise/)
    })

    test('have no framing where the type is unknown or has no readPayload', () => {
      expect(adapter.framing(9)).toBeUndefined()
      expect(adapterFor(new EntryRegistry(() => entryWith(4))).framing(4)).toBeUndefined()
    })

    test('fit when each has readPayload; otherwise those without are named', () => {
      expect(adapter.unfitForFormat1).toBeUndefined()
      const mixed = new EntryRegistry(() => new ExampleEntry1(), () => entryWith(4), () => entryWith(255))
      expect(adapterFor(mixed).unfitForFormat1).toMatch(/entry types 4, 255 .*readPayload/)
    })
  })
})

describe('entries of codecs', () => {
  const entries = defineEntries({
    put: { type: 1, codec: json<{ key: string; value: unknown }>() },
    del: { type: 2, codec: utf8 },
    blob: { type: 3, codec: bytes },
    packed: { type: 4, codec: new Packr() },
    user: { type: 5, codec: validated(json(), z.object({ id: z.string(), at: z.coerce.date() })) },
  })
  const adapter = adapterFor(entries)

  test.each([
    entries.put({ key: 'é', value: [1, null] }),
    entries.put({ key: 'x'.repeat(5000), value: 1 }),
    entries.del('gone'),
    entries.del(''),
    entries.blob(new Uint8Array([0, 255])),
    entries.packed({ map: new Map([[1, 'a']]), big: 2n ** 60n, text: 'z' }),
  ])('come back as they were: %o', (entry) => {
    for (const copy of [true, false]) expect(roundTrip(adapter, entry, copy)).toEqual(entry)
  })

  test('come back as their schema makes them', () => {
    expect(roundTrip(adapter, entries.user({ id: 'a', at: '2026-01-01' }))).toEqual({ name: 'user', type: 5, value: { id: 'a', at: new Date('2026-01-01') } })
  })

  test('that were read can be appended again', () => {
    const entry = roundTrip(adapter, entries.put({ key: 'a', value: 1 }))
    expect(adapter.typeOf(entry)).toBe(1)
    expect(roundTrip(adapter, entry)).toEqual(entry)
  })

  test('of msgpackr are read by any other Packr', () => {
    const payload = encoded(adapter, entries.packed({ id: 1, name: 'x' }))
    expect(new Packr().decode(payload)).toEqual({ id: 1, name: 'x' })
  })

  test('of other entries are refused, by type and by name', () => {
    const others = defineEntries({ other: { type: 9, codec: utf8 }, put: { type: 2, codec: utf8 }, blob: { type: 3, codec: utf8 } })
    const error = refusal('ERR_WAL_ENTRY_TYPE_UNKNOWN', () => adapter.typeOf(others.other('x')))
    expect(error.type).toBe(9)
    expect(error.message).toContain(`2 ('del')`)
    expect(refusal('ERR_WAL_ENTRY_TYPE_UNKNOWN', () => adapter.typeOf(others.put('x'))).message).toMatch(/'put'.*'del'/)
    refusal('ERR_WAL_ENTRY_TYPE_UNKNOWN', () => adapter.decode(9, fresh(1), true))
    // Same name and type: this log's codec is what counts.
    expect(adapter.typeOf(others.blob('x'))).toBe(3)
    refusal('ERR_WAL_ENCODE', () => encoded(adapter, others.blob('x')))
  })

  test.each([undefined, null, 'text', new Uint8Array(1), {}, { name: 'del', type: 2, value: 'x' }, { name: 'del', type: '2', value: 'x' }, { ...entries.del('x') }, entryWith(2)])('are not other things', (thing) => {
    refusal('ERR_WAL_ENCODE', () => adapter.typeOf(thing))
  })

  test('that can\'t be encoded are refused by name, with the cause', () => {
    const error = refusal('ERR_WAL_ENCODE', () => encoded(adapter, entries.put({ key: 'a', value: 5n })))
    expect(error.message).toMatch(/'put' \(type 1\).*BigInt/)
    expect(error.cause).toBeInstanceOf(TypeError)
    expect(error.type).toBe(1)
    for (const entry of [entries.put(undefined as never), entries.del('\ud800'), entries.blob('x' as never)]) {
      expect(refusal('ERR_WAL_ENCODE', () => encoded(adapter, entry)).cause).toBeDefined()
    }
    expect(refusal('ERR_WAL_ENCODE', () => encoded(adapter, entries.user({ id: 5, at: 1 } as never))).message).toMatch(/'user'.*id: /)
  })

  test('that can\'t be decoded are refused by name, with the cause', () => {
    const error = refusal('ERR_WAL_DECODE', () => adapter.decode(1, Buffer.from('{'), true))
    expect(error.message).toMatch(/'put' \(type 1\)/)
    expect(error.cause).toBeInstanceOf(SyntaxError)
    expect(refusal('ERR_WAL_DECODE', () => adapter.decode(5, Buffer.from('{"id":1}'), true)).message).toMatch(/'user'.*id: .*at: /)
    expect(refusal('ERR_WAL_DECODE', () => adapter.decode(2, Buffer.from([0xff]), true)).type).toBe(2)
  })

  test('keep the error of ours that making room throws', () => {
    const own = new WalError('ERR_WAL_ENTRY_TOO_LARGE', 'too large')
    const more = (): never => { throw own }
    expect(refusal('ERR_WAL_ENTRY_TOO_LARGE', () => adapter.encode(entries.del('abcdef'), fresh(2), more))).toBe(own)
  })

  test('hold bytes of their own, or views when views were asked for, and never a Buffer', () => {
    const stored = Buffer.from([1, 2, 3, 4])
    const own = adapter.decode(3, stored.subarray(1, 3), true) as { value: Uint8Array }
    const view = adapter.decode(3, stored.subarray(1, 3), false) as { value: Uint8Array }
    stored.fill(9)
    expect([own.value, view.value]).toEqual([new Uint8Array([2, 3]), new Uint8Array([9, 9])])
    expect([own, view].some(({ value }) => Buffer.isBuffer(value))).toBe(false)
  })

  test('of a codec that keeps what it is given hold bytes of their own', () => {
    const packed = Buffer.from(new Packr().encode({ data: Buffer.from([1, 2, 3]) }))
    const entry = adapter.decode(4, packed, true) as { value: { data: Uint8Array } }
    packed.fill(0)
    expect([...entry.value.data]).toEqual([1, 2, 3])
    const keeping: Codec<Uint8Array> = { encode: (value) => value, decode: (payload) => payload }
    const kept = adapterFor(defineEntries({ kept: { type: 0, codec: keeping } }))
    const stored = new Uint8Array([5, 6])
    expect((kept.decode(0, stored, false) as { value: Uint8Array }).value.buffer).toBe(stored.buffer)
    expect((kept.decode(0, stored, true) as { value: Uint8Array }).value.buffer).not.toBe(stored.buffer)
  })

  test('of text are decoded without a copy', () => {
    const decode = vi.spyOn(TextDecoder.prototype, 'decode')
    try {
      const stored = new Uint8Array([0x31, 0x32])
      adapter.decode(1, stored, true)
      adapter.decode(2, stored, true)
      expect(decode.mock.calls.map(([view]) => (view as Uint8Array).buffer === stored.buffer)).toEqual([true, true])
    } finally {
      decode.mockRestore()
    }
  })

  test('of asynchronous codecs are refused', () => {
    const codec: Codec<unknown> = { encode: (async () => fresh(1)) as never, decode: async () => { throw new Error('late') } }
    const slow = defineEntries({ slow: { type: 0, codec } })
    expect(refusal('ERR_WAL_ENCODE', () => encoded(adapterFor(slow), slow.slow(1))).message).toMatch(/'slow'.*promise/)
    expect(refusal('ERR_WAL_DECODE', () => adapterFor(slow).decode(0, fresh(1), true)).message).toMatch(/'slow'.*promise/)
  })

  test('call the methods of a codec with its this, and with nothing more than the value', () => {
    class Shift {
      #by = 1
      encode(value: number, ...rest: unknown[]): Uint8Array { return new Uint8Array([value + this.#by, ...(rest as number[])]) }
      decode(payload: Uint8Array, ...rest: unknown[]): number { return (payload[0] as number) - this.#by + rest.length }
    }
    const shifted = defineEntries({ n: { type: 0, codec: new Shift() } })
    expect(roundTrip(adapterFor(shifted), shifted.n(5))).toEqual({ name: 'n', type: 0, value: 5 })
  })

  test('never fit format 1', () => {
    expect(adapter.unfitForFormat1).toMatch(/readPayload/)
    expect(adapter.framing(1)).toBeUndefined()
  })
})

describe('raw entries', () => {
  const adapter = adapterFor(undefined)

  test('are a type and a payload, or a payload of type 0', () => {
    expect(roundTrip(adapter, { type: 7, payload: Buffer.from([1, 2]) })).toEqual({ type: 7, payload: new Uint8Array([1, 2]) })
    expect(roundTrip(adapter, new Uint8Array([3]))).toEqual({ type: 0, payload: new Uint8Array([3]) })
    expect(roundTrip(adapter, Buffer.from('x'), false)).toEqual({ type: 0, payload: new Uint8Array([0x78]) })
    expect(roundTrip(adapter, { type: 254, payload: fresh(0) })).toEqual({ type: 254, payload: fresh(0) })
  })

  test('hold bytes of their own, or views when views were asked for, and never a Buffer', () => {
    const stored = Buffer.from([1, 2])
    const own = adapter.decode(1, stored, true) as { payload: Uint8Array }
    const view = adapter.decode(1, stored, false) as { payload: Uint8Array }
    stored.fill(9)
    expect([own.payload, view.payload]).toEqual([new Uint8Array([1, 2]), new Uint8Array([9, 9])])
    expect(Buffer.isBuffer(own.payload) || Buffer.isBuffer(view.payload)).toBe(false)
  })

  test('can\'t have type 255', () => {
    refusal('ERR_WAL_ENTRY_TYPE_RESERVED', () => adapter.typeOf({ type: 255, payload: fresh(1) }))
  })

  test.each([undefined, null, 'text', 5, [1], {}, { type: 1 }, { payload: fresh(1) }, { type: -1, payload: fresh(1) }, { type: 256, payload: fresh(1) }, { type: 1.5, payload: fresh(1) }, { type: '1', payload: fresh(1) }, { type: 1, payload: 'x' }, new ArrayBuffer(1), new Uint16Array(1), entryWith(1)])('are not other things', (thing) => {
    refusal('ERR_WAL_ENCODE', () => adapter.typeOf(thing))
  })

  test('never fit format 1', () => {
    expect(adapter.unfitForFormat1).toMatch(/readPayload/)
    expect(adapter.framing(0)).toBeUndefined()
  })
})

describe('another copy of the package in the same process', () => {
  test('is understood: its registries, its entries, and how its codecs are copied for', async () => {
    vi.resetModules()
    const other = {
      ...(await import('../../src/entries/define-entries.js')),
      ...(await import('../../src/entries/codecs.js')),
      ...(await import('../../src/entries/entry-registry.js')),
    }
    expect(other.EntryRegistry).not.toBe(EntryRegistry)
    expect(other.defineEntries).not.toBe(defineEntries)

    const registry = new other.EntryRegistry(() => new ExampleEntry2())
    expect(roundTrip(adapterFor(registry as unknown as EntrySource), new ExampleEntry2(true, 'x'))).toEqual(new ExampleEntry2(true, 'x'))

    const theirs = other.defineEntries({ blob: { type: 1, codec: other.bytes }, text: { type: 2, codec: other.utf8 } })
    const ours = defineEntries({ blob: { type: 1, codec: bytes }, text: { type: 2, codec: utf8 } })
    for (const source of [theirs as unknown as EntrySource, ours]) {
      const adapter = adapterFor(source)
      for (const entry of [theirs.blob(new Uint8Array([1])), ours.blob(new Uint8Array([1])), theirs.text('é'), ours.text('é')]) {
        expect(roundTrip(adapter, entry)).toEqual(entry)
      }
      const stored = new Uint8Array([1])
      expect((adapter.decode(1, stored, false) as { value: Uint8Array }).value.buffer).toBe(stored.buffer)
    }
    refusal('ERR_WAL_ENTRY_TYPE_UNKNOWN', () => adapterFor(ours).typeOf(other.defineEntries({ no: { type: 1, codec: utf8 } }).no('x')))
  })
})

function entryWith(type: number): Entry {
  return { type, encodePayload: () => new Uint8Array([7]), decodePayload: () => {} }
}

describe('an adapter knows whether it copies bytes when it decodes', () => {
  test.each([
    ['values of JSON, checked or not', defineEntries({ a: { type: 1, codec: json() }, b: { type: 2, codec: validated(json(), z.object({})) } }), true],
    ['bytes among them', defineEntries({ a: { type: 1, codec: json() }, b: { type: 2, codec: bytes } }), undefined],
    ['a codec of its own', defineEntries({ a: { type: 1, codec: { encode: () => new Uint8Array(0), decode: () => 1 } } }), undefined],
    ['raw entries', undefined, undefined],
  ])('%s', (_, entries, copiesNothing) => {
    expect(adapterFor(entries as Parameters<typeof adapterFor>[0]).copiesNothing || undefined).toBe(copiesNothing)
  })
})
