import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { judge, type JudgeOptions, payloadOf } from '../../proofs/judge.ts'
import type { Subject } from '../../proofs/subjects.ts'
import type { StoredEntry } from '../../src/contender.ts'

const contents = { seed: 7, maxBytes: 60, count: 5 }
let home: string
let options: JudgeOptions

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'forelog-judge-'))
  options = { ...contents, source: mkdtempSync(join(home, 'source-')), scratch: mkdtempSync(join(home, 'scratch-')) }
  writeFileSync(join(options.source, 'data'), 'x')
})
afterEach(() => {
  rmSync(home, { recursive: true, force: true })
})

/** A store that gives back what `change` makes of what it was given. */
function giving(change: (entries: StoredEntry[]) => Iterable<StoredEntry>, more: { notice?: string; failsTo?: 'open' | 'close'; check?: Subject['check'] } = {}): Pick<Subject, 'open' | 'check'> {
  return {
    async open() {
      if (more.failsTo === 'open') throw new Error('it does not open')
      return {
        append: async () => {},
        async *read() {
          yield* change(Array.from({ length: contents.count }, (_, index) => [index + 1, payloadOf(index + 1, contents)] as const))
        },
        ...(more.notice === undefined ? {} : { notice: more.notice }),
        async close() {
          if (more.failsTo === 'close') throw new Error('it does not close')
        },
      }
    },
    ...(more.check === undefined ? {} : { check: more.check }),
  }
}

function* throwingBehind(entries: Iterable<StoredEntry>): Generator<StoredEntry> {
  yield* entries
  throw new Error('it can not be read on', { cause: new Error('a checksum') })
}

function withPayload(number: number, change: (payload: Uint8Array) => unknown): (entries: StoredEntry[]) => StoredEntry[] {
  return (entries) => entries.map(([each, payload]) => [each, each === number ? change(payload as Uint8Array) : payload])
}

function flipped(payload: Uint8Array): Uint8Array {
  return payload.map((byte, index) => (index === 3 ? byte ^ 1 : byte))
}

describe('a store', () => {
  test('that gives back everything is right', async () => {
    expect(await judge(giving((entries) => entries), options)).toMatchObject({ outcome: 'right' })
  })

  test.each<[string, (entries: StoredEntry[]) => StoredEntry[]]>([
    ['the last one', (entries) => entries.slice(0, -1)],
    ['the first one', (entries) => entries.slice(1)],
    ['one in the middle', (entries) => entries.filter(([number]) => number !== 3)],
    ['all', () => []],
  ])('that says nothing of a missing entry has lost it silently: %s', async (_, change) => {
    expect(await judge(giving(change), options)).toMatchObject({ outcome: 'loss' })
  })

  test.each<[string, (entries: StoredEntry[]) => StoredEntry[]]>([
    ['another bit', withPayload(2, flipped)],
    ['a byte less', withPayload(2, (payload) => payload.subarray(1))],
    ['a byte more', withPayload(5, (payload) => Uint8Array.of(...payload, 0))],
    ['no bytes at all', withPayload(1, () => null)],
    ['text', withPayload(1, () => 'text')],
    ['the payload of another entry', withPayload(4, () => payloadOf(1, contents))],
    ['another number', (entries) => entries.map(([number, payload]) => [number === 5 ? 6 : number, payload])],
    ['no number', (entries) => entries.map(([number, payload]) => [number === 5 ? Number.NaN : number, payload])],
    ['an entry twice', (entries) => [...entries, entries[4] as StoredEntry]],
    ['another order', (entries) => entries.toReversed()],
  ])('that gives back %s has given a wrong entry', async (_, change) => {
    expect(await judge(giving(change), options)).toMatchObject({ outcome: 'wrong' })
  })

  test('that fails to be read, behind nothing but right entries, has reported an error, with its causes', async () => {
    const verdict = await judge(giving((entries) => throwingBehind(entries.slice(0, 2))), options)
    expect(verdict).toMatchObject({ outcome: 'error', detail: 'Error: it can not be read on: Error: a checksum' })
  })

  test('that gives a wrong entry and fails afterwards has given a wrong entry', async () => {
    const store = giving((entries) => throwingBehind(withPayload(1, flipped)(entries)))
    expect(await judge(store, options)).toMatchObject({ outcome: 'wrong' })
  })

  test.each(['open', 'close'] as const)('that fails to %s has reported an error', async (failsTo) => {
    expect(await judge(giving((entries) => entries, { failsTo }), options)).toMatchObject({ outcome: 'error' })
  })

  test('that says of its end what it does not say undamaged has told of a loss; what it always says is no news', async () => {
    const store = giving((entries) => entries.slice(0, 4), { notice: 'cut off' })
    expect(await judge(store, { ...options, notice: 'whole' })).toMatchObject({ outcome: 'told' })
    expect(await judge(store, { ...options, notice: 'cut off' })).toMatchObject({ outcome: 'loss' })
  })

  test('that tells of its end and gives a wrong entry has given a wrong entry', async () => {
    expect(await judge(giving(withPayload(1, flipped), { notice: 'cut off' }), options)).toMatchObject({ outcome: 'wrong' })
  })

  test('that never ends is not read for ever', async () => {
    const store = giving(function* (entries) {
      for (;;) yield* entries
    })
    expect(await judge(store, options)).toMatchObject({ outcome: 'wrong' })
  })
})

describe('the own check of a store', () => {
  test('is asked about losses and wrong entries alone', async () => {
    let asked = 0
    const check = { name: 'check', finds: async () => ++asked > 1 }
    expect(await judge(giving((entries) => entries, { check }), options)).not.toHaveProperty('checkFinds')
    expect(asked).toBe(0)
    expect(await judge(giving(() => [], { check }), options)).toMatchObject({ outcome: 'loss', checkFinds: false })
    expect(await judge(giving(withPayload(1, flipped), { check }), options)).toMatchObject({ outcome: 'wrong', checkFinds: true })
  })

  test('has found something when it fails', async () => {
    const check = { name: 'check', finds: () => Promise.reject(new Error('not a database')) }
    expect(await judge(giving(() => [], { check }), options)).toMatchObject({ outcome: 'loss', checkFinds: true })
  })
})
