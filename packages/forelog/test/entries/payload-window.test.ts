import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { adapterFor } from '../../src/entries/entry-adapter.js'
import { bytes, json, utf8, validated } from '../../src/entries/codecs.js'
import { defineEntries } from '../../src/entries/define-entries.js'
import { PayloadWindow } from '../../src/entries/payload-window.js'

const encoder = new TextEncoder()

/** Texts in one buffer, nine bytes in front of each, as records lie. */
function windowOf(texts: readonly Uint8Array[], ascii: boolean): { window: PayloadWindow; places: [number, number][] } {
  const buffer = new Uint8Array(texts.reduce((sum, text) => sum + 9 + text.length, 0)).fill(0xe9)
  const places: [number, number][] = []
  let at = 0
  for (const text of texts) {
    buffer.set(text, at + 9)
    places.push([at + 9, at + 9 + text.length])
    at += 9 + text.length
  }
  const window = new PayloadWindow()
  window.lookAt(buffer, ascii)
  return { window, places }
}

function textsOf(texts: readonly Uint8Array[], ascii: boolean): string[] {
  const { window, places } = windowOf(texts, ascii)
  return places.map(([from, to]) => {
    window.moveTo(from, to)
    return window.passingText
  })
}

describe('payloads among others', () => {
  it('are the texts that they were made of, ASCII or not, small or larger than a piece', () => {
    const ascii = fc.array(fc.oneof(fc.string({ unit: 'binary-ascii', maxLength: 80 }), fc.constant('x'.repeat(20_000))), { maxLength: 100 })
    fc.assert(
      fc.property(ascii, (texts) => {
        expect(textsOf(texts.map((text) => encoder.encode(text)), true)).toEqual(texts)
      }),
    )
    const any = fc.array(fc.string({ unit: 'grapheme', maxLength: 60 }), { maxLength: 60 })
    fc.assert(
      fc.property(any, (texts) => {
        expect(textsOf(texts.map((text) => encoder.encode(text)), false)).toEqual(texts)
      }),
    )
  })

  it('keep a byte order mark and a replacement character that was written', () => {
    expect(textsOf([encoder.encode('\ufeffa'), encoder.encode('a\ufffdb')], false)).toEqual(['\ufeffa', 'a\ufffdb'])
  })

  it('are refused where they are no UTF-8', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 12 }), (payload) => {
        let expected: string | undefined
        try {
          expected = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(payload)
        } catch {
          expect(() => textsOf([payload], false)).toThrow(TypeError)
          return
        }
        expect(textsOf([payload], false)).toEqual([expected])
      }),
      { numRuns: 2000 },
    )
  })

  it('are views of the buffer as bytes', () => {
    const { window, places } = windowOf([encoder.encode('abc'), encoder.encode('defg')], true)
    window.moveTo(...(places[1] as [number, number]))
    expect(window.bytes).toEqual(encoder.encode('defg'))
  })
})

describe('entries of payloads among others', () => {
  const source = defineEntries({
    put: { type: 1, codec: json<unknown>() },
    note: { type: 2, codec: utf8 },
    blob: { type: 3, codec: bytes },
    checked: { type: 4, codec: validated(json(), z.object({ a: z.number(), b: z.string().default('none') })) },
  })
  const adapter = adapterFor(source)

  function decoded(type: number, payload: Uint8Array, ascii: boolean): unknown {
    const { window, places } = windowOf([encoder.encode('before'), payload, encoder.encode('behind')], ascii)
    window.moveTo(...(places[1] as [number, number]))
    return adapter.decodeAmong(type, window, true)
  }

  it.each<[number, string]>([
    [1, '{"key":"value","list":[1,2,3]}'],
    [1, '"é"'],
    [2, 'a text'],
    [2, 'ein Käse'],
    [3, 'some bytes'],
    [4, '{"a":1}'],
  ])('type %i of %s is what decoding it alone gives', (type, text) => {
    const payload = encoder.encode(text)
    const isAscii = payload.length === text.length
    for (const ascii of isAscii ? [true, false] : [false]) expect(decoded(type, payload, ascii)).toEqual(adapter.decode(type, payload, true))
  })

  it.each<[number, Uint8Array]>([
    [1, encoder.encode('{"key":')],
    [1, Uint8Array.of(0x22, 0xc3, 0x22)],
    [2, Uint8Array.of(0xff)],
    [4, encoder.encode('{"a":"no number"}')],
    [9, encoder.encode('of no type')],
  ])('type %i is refused as it is alone, with %s', (type, payload) => {
    const thrown = (decode: () => unknown): unknown => {
      try {
        decode()
      } catch (error) {
        return { code: (error as { code?: unknown }).code, message: (error as Error).message }
      }
      throw new Error('was not refused')
    }
    expect(thrown(() => decoded(type, payload, false))).toEqual(thrown(() => adapter.decode(type, payload, true)))
  })

  it('are the caller’s own: later payloads change nothing', () => {
    const { window, places } = windowOf([encoder.encode('abc')], true)
    window.moveTo(...(places[0] as [number, number]))
    const { value } = adapter.decodeAmong(3, window, true) as { value: Uint8Array }
    window.bytes.fill(0)
    expect(value).toEqual(encoder.encode('abc'))
  })
})
