/** What a replay makes of JSON by the piece: the same as of each text alone. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { json } from '../../src/entries/codecs.js'
import { defineEntries } from '../../src/entries/define-entries.js'
import { WalError } from '../../src/errors.js'
import { WriteAheadLog } from '../../src/write-ahead-log.js'
import { directory, newDisk, openOn } from '../support/logs.js'

const encoder = new TextEncoder()
const codec = json<unknown>()

const text = fc.oneof(
  fc.json({ stringUnit: 'binary' }),
  fc.json({ stringUnit: 'grapheme' }),
  fc.json({ stringUnit: 'binary-ascii' }),
  fc.string({ unit: fc.constantFrom(...'aé語"\\', '😀'), maxLength: 30 }).map((value) => JSON.stringify(value)),
  fc.constantFrom('"\\ud800"', '"\\udc00 \\ud83d"', ' {"a" : 1 } ', '"\\u0000"'),
)
const payload = fc.oneof(
  { weight: 60, arbitrary: text.map((text) => encoder.encode(text)) },
  // No JSON alone, though it would be among others in a list; and no text.
  { weight: 1, arbitrary: fc.constantFrom('1,2', '', '[1', '2]', '"a', 'b"', '\ufeff1').map((text) => encoder.encode(text)) },
  { weight: 1, arbitrary: fc.constantFrom([0x22, 0xc3, 0x22], [0x22, 0xed, 0xa0, 0x80, 0x22], [0x22, 0xff, 0x22], [0xe8, 0xaa]).map((bytes) => Uint8Array.from(bytes)) },
)

/** What decoding payload by payload gives: values, until one is refused. */
function alone(payloads: readonly Uint8Array[]): { values: unknown[]; refused: boolean } {
  const values: unknown[] = []
  for (const each of payloads) {
    try {
      values.push(codec.decode(each))
    } catch {
      return { values, refused: true }
    }
  }
  return { values, refused: false }
}

type Read = (log: WriteAheadLog<never, { value: unknown }>, taken: unknown[]) => Promise<void>

const ways: [string, Read][] = [
  [
    'entries',
    async (log, taken) => {
      for await (const { entry } of log.entries()) taken.push(entry.value)
    },
  ],
  [
    'batches',
    async (log, taken) => {
      for await (const batch of log.entries().batches()) taken.push(...batch.map(({ entry }) => entry.value))
    },
  ],
  [
    'entriesSync',
    async (log, taken) => {
      for (const { entry } of log.entriesSync()) taken.push(entry.value)
    },
  ],
]

describe.each(ways)('a replay of JSON by %s', (_, read) => {
  it('gives the values that each payload has alone, and ends at the first one that has none, with its offset', async () => {
    const groups = fc.array(fc.array(payload, { minLength: 1, maxLength: 40 }), { minLength: 1, maxLength: 6 })
    await fc.assert(
      fc.asyncProperty(groups, async (groups) => {
        const disk = newDisk()
        const raw = await openOn(disk)
        for (const group of groups) await raw.appendBatch(group.map((payload) => ({ type: 1, payload })))
        await raw.close()

        const log = await WriteAheadLog.open(directory, { entries: defineEntries({ put: { type: 1, codec } }), fileSystem: disk })
        const values: unknown[] = []
        const error: unknown = await read(log as never, values).then(
          () => undefined,
          (reason: unknown) => reason,
        )
        await log.close()
        const expected = alone(groups.flat())
        expect(values).toStrictEqual(expected.values)
        expect(error instanceof WalError).toBe(expected.refused)
        if (expected.refused) expect(error).toMatchObject({ code: 'ERR_WAL_DECODE', offset: values.length + 1 })
      }),
      { numRuns: 100 },
    )
  })
})

it('what entries hands out is a plain object of an offset and an entry', async () => {
  const log = await WriteAheadLog.open(directory, { fileSystem: newDisk() })
  await log.append({ type: 3, payload: encoder.encode('a') })
  for await (const stored of log.entries()) {
    expect(stored).toStrictEqual({ offset: 1, entry: { type: 3, payload: encoder.encode('a') } })
    expect(Object.getPrototypeOf(stored)).toBe(Object.prototype)
    expect(Object.keys(stored)).toEqual(['offset', 'entry'])
  }
  await log.close()
})

it('a step of entries gives a plain result', async () => {
  const log = await WriteAheadLog.open(directory, { fileSystem: newDisk() })
  await log.appendBatch([encoder.encode('a'), encoder.encode('b')])
  const steps = log.entries()[Symbol.asyncIterator]()
  const results = [await steps.next(), await steps.next(), await steps.next()]
  const entry = (text: string): object => ({ type: 0, payload: encoder.encode(text) })
  expect(results).toStrictEqual([
    { done: false, value: { offset: 1, entry: entry('a') } },
    { done: false, value: { offset: 2, entry: entry('b') } },
    { done: true, value: undefined },
  ])
  await log.close()
})
