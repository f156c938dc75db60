import { describe, expect, test } from 'vitest'
import type { Entry } from '../../src/entries/entry.js'
import { EntryRegistry } from '../../src/entries/entry-registry.js'
import { exampleEntries, ExampleEntry1, ExampleEntry2 } from '../support/waltest.js'
import { refusal } from './refusal.js'

function entryOf(type: unknown, members: object = {}): Entry {
  return { type, encodePayload: (buffer: Uint8Array) => buffer, decodePayload: () => {}, ...members } as unknown as Entry
}

describe('a registry', () => {
  test('creates a new entry of the class that has the type', () => {
    expect(exampleEntries.create(0)).toBeInstanceOf(ExampleEntry1)
    expect(exampleEntries.create(1)).toBeInstanceOf(ExampleEntry2)
    expect(exampleEntries.create(0)).not.toBe(exampleEntries.create(0))
  })

  test('is changed by register, which returns it', () => {
    const registry = new EntryRegistry(() => new ExampleEntry1())
    const grown = registry.register(() => new ExampleEntry2())
    expect(grown).toBe(registry)
    expect(registry.create(1)).toBeInstanceOf(ExampleEntry2)
  })

  test('refuses a type that is taken, and keeps the first', () => {
    const registry = new EntryRegistry(() => new ExampleEntry1())
    const error = refusal('ERR_WAL_ENTRY_TYPE_DUPLICATE', () => registry.register(() => entryOf(0)))
    expect(error.type).toBe(0)
    expect(registry.create(0)).toBeInstanceOf(ExampleEntry1)
    refusal('ERR_WAL_ENTRY_TYPE_DUPLICATE', () => new EntryRegistry(() => entryOf(3), () => entryOf(3)))
  })

  test('refuses to create a type that it does not know, and says what it knows', () => {
    const error = refusal('ERR_WAL_ENTRY_TYPE_UNKNOWN', () => exampleEntries.create(7))
    expect(error.type).toBe(7)
    expect(error.message).toContain('0, 1')
    expect(refusal('ERR_WAL_ENTRY_TYPE_UNKNOWN', () => new EntryRegistry().create(0)).message).toContain('none')
  })

  test('takes the types 0 to 255', () => {
    const registry = new EntryRegistry(() => entryOf(0), () => entryOf(255))
    expect(registry.create(255).type).toBe(255)
  })

  test.each([-1, 256, 1.5, NaN, '1', undefined, null, 1n])('refuses %s as a type', (type) => {
    expect(refusal('ERR_WAL_OPTION', () => new EntryRegistry(() => entryOf(type))).option).toBe('entries')
  })

  test.each([
    ['no function', entryOf(1)],
    ['undefined', undefined],
    ['a class instead of a function that makes one', ExampleEntry1],
    ['a function that gives nothing', () => undefined],
    ['a function that throws', () => { throw new Error('broken') }],
    ['an asynchronous function', async () => entryOf(1)],
    ['an entry without encodePayload', () => entryOf(1, { encodePayload: undefined })],
    ['an entry without decodePayload', () => entryOf(1, { decodePayload: 5 })],
    ['an entry whose readPayload is no method', () => entryOf(1, { readPayload: true })],
  ])('refuses %s as a constructor', (_, constructor) => {
    expect(refusal('ERR_WAL_OPTION', () => new EntryRegistry(constructor as () => Entry)).option).toBe('entries')
  })
})

describe('the example entries', () => {
  const readerOf = (bytes: Uint8Array) => {
    let at = 0
    return { read: (length: number) => bytes.subarray(at, (at += length)), get at() { return at } }
  }

  test.each([
    [new ExampleEntry1(7, [1.5, -2]), '000000070002' + '3fc00000' + 'c0000000'],
    [new ExampleEntry1(), '000000000000'],
    [new ExampleEntry2(true, 'né'), '01' + '0003' + '6ec3a9'],
    [new ExampleEntry2(), '000000'],
  ])('encode exactly the part that they use, whatever the room: %o', (entry, hex) => {
    for (const room of [0, hex.length / 2 - 1, hex.length / 2, 200]) {
      const payload = entry.encodePayload(new Uint8Array(room).fill(0xee))
      expect(Buffer.from(payload).toString('hex')).toBe(hex)
    }
    const reader = readerOf(Buffer.concat([Buffer.from(hex, 'hex'), Buffer.alloc(10, 0xff)]))
    expect(Buffer.from(entry.readPayload(reader)).toString('hex')).toBe(hex)
    expect(reader.at).toBe(hex.length / 2)
    const decoded = exampleEntries.create(entry.type)
    decoded.decodePayload(Buffer.from(hex, 'hex'))
    expect(decoded).toEqual(entry)
  })
})
