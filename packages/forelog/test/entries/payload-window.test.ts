import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { adapterFor } from '../../src/entries/entry-adapter.js'
import { bytes, json, utf8, validated } from '../../src/entries/codecs.js'
import { defineEntries } from '../../src/entries/define-entries.js'
import { PayloadWindow } from '../../src/entries/payload-window.js'

const encoder = new TextEncoder()

/** Texts in one buffer, nine bytes in front of each, as records lie; `strided`: now and then something else between two of them. */
function windowOf(texts: readonly Uint8Array[], ascii: boolean, arranged?: 'strided'): { window: PayloadWindow; places: [number, number][] } {
  const between = (index: number): number => (arranged === 'strided' && index % 3 === 0 ? 60 : 0)
  const buffer = new Uint8Array(texts.reduce((sum, text, index) => sum + between(index) + 9 + text.length, 0)).fill(0xe9)
  const places: [number, number][] = []
  let at = 0
  for (const [index, text] of texts.entries()) {
    at += between(index)
    buffer.set(text, at + 9)
    places.push([at + 9, at + 9 + text.length])
    at += 9 + text.length
  }
  const window = new PayloadWindow()
  const lengths = texts.map((text) => text.length)
  const starts = arranged === 'strided' ? places.map(([from]) => from - 9) : undefined
  window.lookAtRun({ bytes: buffer, at: 0, firstOffset: 1, starts, lengths, position: 0, ascii })
  return { window, places }
}

function textsOf(texts: readonly Uint8Array[], ascii: boolean, arranged?: 'strided'): string[] {
  const { window, places } = windowOf(texts, ascii, arranged)
  return places.map(([from, to], index) => {
    window.moveTo(from, to, index)
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

  /** What becomes of a payload alone: its text, or that it is refused. */
  function alone(payload: Uint8Array): string | undefined {
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(payload)
    } catch {
      return undefined
    }
  }

  const character = fc.oneof(fc.constantFrom(0x7f, 0x80, 0xff, 0x100, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xffff, 0x10000, 0x10ffff), fc.integer({ min: 0, max: 0x10ffff }))
  const text = fc.array(character, { maxLength: 30 }).map((characters) => encoder.encode(characters.map((code) => String.fromCodePoint(code)).join('')))
  const payload = fc.oneof(
    { weight: 10, arbitrary: fc.string({ unit: 'binary-ascii', maxLength: 40 }).map((text) => encoder.encode(text)) },
    { weight: 10, arbitrary: fc.string({ unit: fc.constantFrom(...'aäöÿé'), maxLength: 40 }).map((text) => encoder.encode(text)) },
    { weight: 10, arbitrary: text },
    // Bytes that are nearly a text: cut off, or with one of them another one.
    { weight: 3, arbitrary: fc.tuple(text, fc.nat(120)).map(([bytes, end]) => bytes.subarray(0, end)) },
    { weight: 3, arbitrary: fc.tuple(text, fc.nat(120), fc.nat(255)).map(([bytes, at, byte]) => bytes.map((had, index) => (index === at ? byte : had))) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 12 }) },
    { weight: 1, arbitrary: fc.constantFrom('ä'.repeat(9_000), '語'.repeat(7_000), 'é'.repeat(40_000)).map((text) => encoder.encode(text)) },
  )

  it.each([undefined, 'strided' as const])('are what each is alone, texts and what is none in any order (%s)', (arranged) => {
    fc.assert(
      fc.property(fc.array(payload, { maxLength: 60 }), (payloads) => {
        const { window, places } = windowOf(payloads, false, arranged)
        const seen = places.map(([from, to], index) => {
          window.moveTo(from, to, index)
          try {
            return window.passingText
          } catch (error) {
            expect(error).toBeInstanceOf(TypeError)
            return undefined
          }
        })
        expect(seen).toEqual(payloads.map(alone))
      }),
      { numRuns: 500 },
    )
  })

  it('are what each is alone where only some are asked for as texts', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(payload, fc.boolean()), { maxLength: 60 }), (payloads) => {
        const { window, places } = windowOf(payloads.map(([bytes]) => bytes), false)
        for (const [index, [bytes, asked]] of payloads.entries()) {
          window.moveTo(...(places[index] as [number, number]), index)
          const expected = alone(bytes)
          if (asked && expected !== undefined) expect(window.passingText).toBe(expected)
          else expect(window.bytes).toEqual(bytes)
        }
      }),
    )
  })

  it('are what each is alone in one run after the other, ASCII or not, in the same memory', () => {
    const bytes = new Uint8Array(40_000)
    const window = new PayloadWindow()
    for (const [round, ascii] of [false, true, false, false, true].entries()) {
      const texts = Array.from({ length: 300 }, (_, index) => `${round} ${ascii ? 'text' : 'Käse'} ${index} ${'.'.repeat(index % 90)}`)
      const lengths = texts.map((text) => Buffer.byteLength(text))
      window.lookAtRun({ bytes, at: 0, firstOffset: 1, lengths, position: 0, ascii })
      let at = 0
      const places = texts.map((text, index) => {
        encoder.encodeInto(text, bytes.subarray(at + 9))
        at += 9 + (lengths[index] as number)
        return [at - (lengths[index] as number), at] as const
      })
      const seen = places.map(([from, to], index) => {
        window.moveTo(from, to, index)
        return window.passingText
      })
      expect(seen).toEqual(texts)
    }
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
    window.moveTo(...(places[1] as [number, number]), 1)
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
    window.moveTo(...(places[1] as [number, number]), 1)
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

describe('payloads of JSON among others', () => {
  /** What a log makes of each: its value, or that it has none. */
  function valuesOf(texts: readonly string[], arranged?: 'strided'): unknown[] {
    const { window, places } = windowOf(texts.map((text) => encoder.encode(text)), true, arranged)
    const adapter = adapterFor(defineEntries({ put: { type: 1, codec: json() } }))
    return places.map(([from, to], index) => {
      window.moveTo(from, to, index)
      try {
        return (adapter.decodeAmong(1, window, true) as { value: unknown }).value
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_WAL_DECODE' })
        return undefined
      }
    })
  }

  function alone(text: string): unknown {
    try {
      return JSON.parse(text) as unknown
    } catch {
      return undefined
    }
  }

  it('have the values that each has alone, or none, whatever stands beside them', () => {
    const text = fc.oneof({ weight: 30, arbitrary: fc.json({ stringUnit: 'binary-ascii' }) }, { weight: 1, arbitrary: fc.constantFrom('', '1,2', '[3', '4]', '"a', 'b"', '"\\', '\\', 'x'.repeat(600), `"${'y'.repeat(600)}"`, 'null') })
    fc.assert(
      fc.property(fc.array(text, { maxLength: 80 }), fc.constantFrom(undefined, 'strided' as const), (texts, arranged) => {
        expect(valuesOf(texts, arranged)).toEqual(texts.map(alone))
      }),
      { numRuns: 500 },
    )
  })

  it('are refused alone where they would make as many elements together', () => {
    expect(valuesOf(['1', '2', '3', '4', '5,6', '[7', '8]', '9', '10'])).toEqual([1, 2, 3, 4, undefined, undefined, undefined, 9, 10])
    expect(valuesOf(['1', '2', '3', '4', '{"a":1},{"b":2}', '{"c":[{}', '{}]}', '9'])).toEqual([1, 2, 3, 4, undefined, undefined, undefined, 9])
  })
})
