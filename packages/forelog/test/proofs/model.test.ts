/**
 * Line 9 of docs/RELIABILITY.md: random operations on a log and on its model, an array. fast-check chooses them, and shrinks what fails to the
 * fewest that still do.
 */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { SyncMode, WalError } from '../../src/index.js'
import { SimulatedDisk } from '../../src/testing/index.js'
import { entryOf, type Log, openLog } from './either-format.js'
import { expectFloors, report, seed, timeout, times } from './effort.js'

interface Model {
  readonly format: 1 | 2
  firstOffset: number
  /** What stands at `firstOffset` and behind it. */
  entries: string[]
}

interface Real {
  disk: SimulatedDisk
  log: Log
  readonly options: { readonly maxSegmentSize: number; readonly sync: SyncMode; readonly commit: 'inline' | 'background' }
}

type Operation = fc.AsyncCommand<Model, Real>

const lastOf = (model: Model): number => model.firstOffset + model.entries.length - 1

/** The part of an offset's range that a number from 0 to 1 stands for. */
const within = (from: number, to: number, part: number): number => from + Math.floor(part * (to - from + 1))

function readAll(log: Log, range: { from?: number; to?: number } = {}): string[] {
  return [...log.entriesSync(range)].map(({ entry }) => Buffer.from(entry.payload).toString('latin1'))
}

function expectSame(model: Model, log: Log): void {
  // Format 1 frees whole segments: what it still has of them is no concern of the model's.
  if (model.format === 2) expect(log.firstOffset).toBe(model.firstOffset)
  else expect(log.firstOffset).toBeLessThanOrEqual(model.firstOffset)
  expect(log.lastOffset).toBe(lastOf(model))
}

class Append implements Operation {
  readonly payloads: readonly string[]
  readonly how: 'one by one' | 'at once' | 'batch' | 'blocking'

  constructor(payloads: readonly string[], how: Append['how']) {
    this.payloads = payloads
    this.how = how
  }

  check(): boolean {
    return true
  }

  async run(model: Model, { log }: Real): Promise<void> {
    const { format } = model
    const next = lastOf(model) + 1
    const offsets = this.payloads.map((_, index) => next + index)
    const entries = this.payloads.map((payload) => entryOf(payload, format))
    if (this.how === 'batch') {
      expect(await log.appendBatch(entries)).toEqual({ first: next, last: next + entries.length - 1 })
    } else if (this.how === 'at once') {
      expect(await Promise.all(entries.map((entry) => log.append(entry)))).toEqual(offsets)
    } else {
      for (const [index, entry] of entries.entries()) expect(this.how === 'blocking' ? log.appendSync(entry) : await log.append(entry)).toBe(offsets[index])
    }
    model.entries.push(...this.payloads)
    expectSame(model, log)
  }

  toString(): string {
    return `append ${this.how} ${JSON.stringify(this.payloads.map(({ length }) => length))}`
  }
}

class Truncate implements Operation {
  readonly where: 'before' | 'after'
  readonly part: number

  constructor(where: Truncate['where'], part: number) {
    this.where = where
    this.part = part
  }

  check(): boolean {
    return true
  }

  async run(model: Model, { log }: Real): Promise<void> {
    const last = lastOf(model)
    if (this.where === 'before') {
      const offset = within(model.firstOffset, last + 1, this.part)
      await log.truncateBefore(offset)
      // Format 1 keeps the last entry, and whole segments.
      const first = model.format === 2 ? offset : Math.max(model.firstOffset, log.firstOffset)
      model.entries.splice(0, first - model.firstOffset)
      model.firstOffset = first
    } else {
      const least = model.format === 1 && log.firstOffset > 1 ? log.firstOffset : model.firstOffset - 1
      const offset = within(Math.min(least, last), last, this.part)
      await log.truncateAfter(offset)
      model.entries.splice(Math.max(0, offset + 1 - model.firstOffset))
    }
    expectSame(model, log)
  }

  toString(): string {
    return `truncate ${this.where} ${this.part}`
  }
}

class Read implements Operation {
  readonly from: number
  readonly to: number

  constructor(from: number, to: number) {
    this.from = from
    this.to = to
  }

  check({ entries }: Model): boolean {
    return entries.length > 0
  }

  async run(model: Model, { log }: Real): Promise<void> {
    const { firstOffset, entries } = model
    const from = within(firstOffset, lastOf(model), this.from)
    const to = within(from, lastOf(model), this.to)
    expect(readAll(log, { from, to })).toEqual(entries.slice(from - firstOffset, to + 1 - firstOffset))
    const { offset, entry } = await log.get(to)
    expect([offset, Buffer.from(entry.payload).toString('latin1')]).toEqual([to, entries[to - firstOffset]])
    const behind = await log.get(lastOf(model) + 1).catch((error: WalError) => error.code)
    expect(behind).toBe('ERR_WAL_OFFSET_OUT_OF_RANGE')
  }

  toString(): string {
    return `read ${this.from} ${this.to}`
  }
}

class Sync implements Operation {
  check(): boolean {
    return true
  }

  async run(model: Model, { log }: Real): Promise<void> {
    expect(await log.sync()).toBe(lastOf(model))
    expect(log.durableOffset).toBe(lastOf(model))
  }

  toString(): string {
    return 'sync'
  }
}

/** A new life: after a clean shutdown, or a kill that the page cache survives. */
class Reopen implements Operation {
  readonly how: 'close' | 'kill'

  constructor(how: Reopen['how']) {
    this.how = how
  }

  check(): boolean {
    return true
  }

  async run(model: Model, real: Real): Promise<void> {
    if (this.how === 'close') await real.log.close()
    else real.disk = real.disk.crash('process')
    real.log = await openLog(real.disk, model.format, real.options)
    expect(real.log.recovery.tornBytes).toBe(0)
    if (this.how === 'close') expect(real.log.recovery.clean).toBe(true)
    expectSame(model, real.log)
    if (model.entries.length > 0) expect(readAll(real.log, { from: model.firstOffset })).toEqual(model.entries)
  }

  toString(): string {
    return `reopen by ${this.how}`
  }
}

const part = fc.double({ min: 0, max: 0.999, noNaN: true })
const payload = fc.oneof(
  { weight: 5, arbitrary: fc.integer({ min: 0, max: 40 }) },
  { weight: 1, arbitrary: fc.integer({ min: 300, max: 3000 }) },
).chain((length) => fc.integer({ min: 0, max: 255 }).map((byte) => String.fromCharCode(byte).repeat(length)))

const operations = [
  fc.tuple(fc.array(payload, { minLength: 1, maxLength: 6 }), fc.constantFrom('one by one', 'at once', 'batch', 'blocking')).map(([payloads, how]) => new Append(payloads, how)),
  fc.tuple(fc.array(payload, { minLength: 1, maxLength: 6 }), fc.constantFrom('one by one', 'at once', 'batch', 'blocking')).map(([payloads, how]) => new Append(payloads, how)),
  fc.tuple(fc.constantFrom('before', 'after'), part).map(([where, at]) => new Truncate(where, at)),
  fc.tuple(part, part).map(([from, to]) => new Read(from, to)),
  fc.constant(new Sync()),
  fc.constantFrom('close', 'kill').map((how) => new Reopen(how)),
] as fc.Arbitrary<Operation>[]

const settings = fc.record({
  format: fc.constantFrom<1 | 2>(1, 2, 2, 2),
  maxSegmentSize: fc.constantFrom(1, 200, 1000, 100_000),
  sync: fc.constantFrom<SyncMode>('always', 'always', 'interval', 'manual'),
  commit: fc.constantFrom<'inline' | 'background'>('inline', 'background'),
})

/** Runs of the short form. */
const wanted = 500

it('any operations give what they give on an array', { timeout }, async () => {
  const counts = { runs: 0, operations: 0, format1: 0 }
  await fc.assert(
    fc.asyncProperty(settings, fc.commands(operations, { maxCommands: 40, size: 'max' }), async ({ format, ...options }, commands) => {
      const disk = new SimulatedDisk({ seed: 1, directories: ['/data'] })
      let log: Log | undefined
      counts.runs++
      if (format === 1) counts.format1++
      await fc.asyncModelRun(async () => {
        log = await openLog(disk, format, options)
        return { model: { format, firstOffset: 1, entries: [] }, real: { disk, log, options } }
      }, commands)
      for (const _command of commands) counts.operations++
    }),
    { seed, numRuns: times(wanted) },
  )
  report({ line: 9, name: 'model', tried: counts.operations, unit: `operations, seed ${seed}`, madeOf: counts })
  if (counts.runs >= wanted / 2) expectFloors(counts, counts.runs, { operations: 10, format1: 0.1 })
})

