import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32 as zlibCrc32 } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  copyGolden,
  frameExampleEntries,
  golden,
  goldenFormat2,
  goldenNames,
  goldenPayload,
} from './golden.js'
import {
  crc32,
  readDirectory1,
  readDirectory2,
  readSegment2,
  type ReferenceRecord,
  type StopReason,
} from './reference-reader.js'
import {
  cutTo,
  entryRecord,
  filesOf,
  flipBit,
  kinds,
  leb128,
  SegmentBuilder,
  type SegmentFields,
  segmentName,
  skippable,
  u64,
  zeroSector,
} from './reference-writer.js'

const firstSegment: SegmentFields = {
  logId: '000102030405060708090a0b0c0d0e0f',
  segmentId: 1,
  previousId: 0,
  firstOffset: 1,
  lowWaterMark: 1,
  createdMs: 1_700_000_000_000,
  salt: 0x5a17c0de01234567n,
  previous: 0,
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value)
const entry = (value: string, type = 1) => ({ type, payload: text(value) })
const payloads = (entries: { payload: Uint8Array }[]): string[] =>
  entries.map(({ payload }) => new TextDecoder().decode(payload))

describe('the golden log of format 2', () => {
  const sample = goldenFormat2()

  it('is read as its expected.json says', () => {
    const log = readDirectory2(sample.files)
    expect(log.problems).toEqual([])
    expect({
      description: sample.expected.description,
      firstOffset: log.firstOffset,
      lastOffset: log.lastOffset,
      clean: log.clean,
      entries: log.entries.map(({ offset, type, payload }) => ({
        offset,
        type,
        payload: Buffer.from(payload).toString('hex'),
      })),
    }).toEqual(sample.expected)
    expect(log.lowWaterMark).toBe(2)
    expect(log.segments.map(({ stop, end, closed, proven }) => [stop.why, end, closed, proven])).toEqual([
      ['end', 322, 'full', 3],
      ['zeros', 424, 'no', 3],
    ])
  })

  it('is built byte for byte from its fields', () => {
    for (const [name, bytes] of sample.files) {
      const segment = readSegment2(bytes)
      const built = rebuild(segment.records).zeros(bytes.length - segment.end)
      expect(built.name()).toBe(name)
      expect(Buffer.from(built.bytes()).equals(bytes), name).toBe(true)
    }
  })

  it('shows every flipped bit', () => {
    const found = { inRecords: 0, inRecordsUnnoticed: 0, behindT: 0, behindTUnnoticed: 0 }
    for (const [name, bytes] of sample.files) {
      const { end } = readSegment2(bytes)
      for (let position = 0; position < bytes.length; position++) {
        for (let bit = 0; bit < 8; bit++) {
          const damaged = new Map(sample.files).set(name, flipBit(bytes, position, bit))
          const noticed = readDirectory2(damaged).problems.length > 0
          found[position < end ? 'inRecords' : 'behindT']++
          if (!noticed) found[position < end ? 'inRecordsUnnoticed' : 'behindTUnnoticed']++
        }
      }
    }
    expect(found).toEqual({
      inRecords: (322 + 424) * 8,
      inRecordsUnnoticed: 0,
      behindT: 64 * 8,
      behindTUnnoticed: 0,
    })
  })
})

/** Only from what the reader reports: no byte is copied but payloads. */
function rebuild(records: ReferenceRecord[]): SegmentBuilder {
  const [header, ...rest] = records
  if (header?.kind !== 'header') throw new Error('no segment header')
  const builder = new SegmentBuilder({
    logId: header.logId,
    segmentId: header.segmentId,
    previousId: header.previousId,
    firstOffset: header.firstOffset,
    lowWaterMark: header.lowWaterMark,
    createdMs: header.createdMs,
    salt: header.salt,
    previous: header.previous,
    cut: (header.flags & 1) === 1,
  })
  for (const record of rest) {
    expect(builder.length).toBe(record.position)
    switch (record.kind) {
      case 'commit':
        builder.commit(
          record.entries.map(({ type, payload }) => ({ type, payload })),
          { durableOffset: record.durableOffset },
        )
        break
      case 'close':
        builder.close(record.clean)
        break
      case 'low-water':
        builder.lowWater(record.lowWaterMark)
        break
      case 'durable':
        builder.durable(record.durableOffset)
        break
      case 'skipped':
        builder.control(record.kindNumber, record.fields, { flags: record.flags })
        break
      case 'header':
        throw new Error('a second segment header')
    }
  }
  return builder
}

describe('the reader of one segment', () => {
  const start = (): SegmentBuilder => new SegmentBuilder(firstSegment)
  const whole = start().commit([entry('a'), entry('b')])
  const t = whole.length

  const cases: [StopReason, string, (builder: SegmentBuilder) => SegmentBuilder][] = [
    ['end', 'nothing behind', (b) => b],
    ['zeros', 'zeros behind', (b) => b.zeros(9)],
    ['type', 'an entry that no commit announces', (b) => b.raw(entryRecord(3, 1, text('c')))],
    ['type', 'another type', (b) => b.durable(2, { type: 254 })],
    ['incomplete', 'a few bytes', (b) => b.raw(Uint8Array.of(0, 0, 0, 3, 255, 1))],
    ['incomplete', 'a length beyond the file', (b) => b.durable(2, { length: 25 })],
    ['incomplete', 'a body beyond the file', (b) => b.commit([entry('c')], { body: text('too short') })],
    ['length', 'a length below that of all kinds', (b) => b.durable(2, { length: 15 })],
    ['length', 'a field less than the kind has', (b) => b.close(true, { fields: u64(2) })],
    ['length', 'a byte more than the kind has', (b) => b.durable(2, { extra: Uint8Array.of(0) })],
    ['length', 'a payload length more than the count', (b) => b.commit([entry('c')], { extra: Uint8Array.of(0) })],
    ['length', 'a payload length less than the count', (b) => b.commit([entry('c')], { count: 2 })],
    ['crc', 'a wrong CRC', (b) => b.durable(2, { crc: 1 })],
    ['salt', 'the salt of another segment', (b) => b.durable(2, { salt: 1n })],
    ['chain', 'another record in front', (b) => b.durable(2, { previous: 1 })],
    ['version', 'another version', (b) => b.durable(2, { version: 3 })],
    ['version', 'another version, skippable', (b) => b.control(99, u64(0), { version: 3, flags: skippable })],
    ['kind', 'an unknown kind', (b) => b.control(99, u64(0))],
    ['flags', 'an unknown flag', (b) => b.durable(2, { flags: 2 })],
    ['flags', 'an unknown flag in a kind to skip', (b) => b.control(99, u64(0), { flags: 0x8001 })],
    ['flags', 'a commit with the flag of a close', (b) => b.commit([entry('c')], { flags: 1 })],
    ['fields', 'a second header', (b) => b.control(kinds.header, new Uint8Array(56))],
    ['offset', 'the Offset of another entry', (b) => b.durable(2, { offset: 4 })],
    ['fields', 'a commit of nothing', (b) => b.commit([])],
    ['fields', 'a commit of other entries', (b) => b.commit([entry('c')], { firstOffset: 4 })],
    ['fields', 'a commit that is durable itself', (b) => b.commit([entry('c')], { durableOffset: 3 })],
    ['fields', 'body bytes that the lengths do not give', (b) => b.commit([entry('c')], { bodyBytes: 9 })],
    ['lengths', 'a length not in its shortest form', (b) => b.commit([entry('c')], { lengths: leb128(1, 2) })],
    ['lengths', 'a length of 33 bits', (b) => b.commit([entry('c')], { lengths: leb128(2 ** 32) })],
    ['headers-crc', 'a wrong headers CRC', (b) => b.commit([entry('c')], { headersCrc: 1 })],
    ['entry', 'an entry of type 255', (b) => b.commit([entry('c', 255)])],
    ['entry', 'an entry with a wrong CRC', (b) => b.commit([{ ...entry('c'), crc: 1 }])],
    ['entry', 'an entry with a wrong Offset', (b) => b.commit([{ ...entry('c'), offset: 4 }])],
    ['fields', 'a close with another last offset', (b) => b.close(true, { lastOffset: 3 })],
    ['fields', 'a close that is not durable', (b) => b.close(true, { durableOffset: 1 })],
    ['fields', 'a low-water mark that goes back', (b) => b.lowWater(0)],
    ['fields', 'a durable mark of what is not there', (b) => b.durable(3)],
    ['fields', 'an offset above 2^53 - 1', (b) => b.control(kinds.durable, u64(2n ** 53n))],
  ]

  it.each(cases)('stops for %s: %s', (why, _what, damage) => {
    const segment = readSegment2(damage(start().commit([entry('a'), entry('b')])).bytes())
    expect(segment.stop).toMatchObject({ why })
    expect(segment.end).toBe(t)
    expect(segment.nextOffset).toBe(3)
    expect(payloads(segment.entries)).toEqual(['a', 'b'])
    expect(segment.zerosBehind).toBe(why === 'end' || why === 'zeros')
  })

  it('stops at the commit, not within its group', () => {
    const bytes = whole.bytes()
    const { end, entries } = readSegment2(cutTo(bytes, t - 1))
    expect(end).toBe(new SegmentBuilder(firstSegment).length)
    expect(entries).toEqual([])
  })

  it('skips an unknown kind that may be skipped, and chains on it', () => {
    const segment = readSegment2(start().control(99, u64(7), { flags: skippable }).commit([entry('a')]).bytes())
    expect(segment.records.map(({ kind }) => kind)).toEqual(['header', 'skipped', 'commit'])
    expect(segment.stop.why).toBe('end')
  })

  it('goes on behind close records', () => {
    const segment = readSegment2(start().close(false).close(true).commit([entry('a')]).close(true).zeros(3).bytes())
    expect(segment).toMatchObject({ closed: 'clean', proven: 1, nextOffset: 2, zerosBehind: true })
  })

  it('counts offsets on where their low 32 bits wrap', () => {
    const firstOffset = 2 ** 32 - 1
    const builder = new SegmentBuilder({ ...firstSegment, firstOffset, lowWaterMark: firstOffset })
    const segment = readSegment2(builder.commit([entry('a'), entry('b')]).close(true).bytes())
    expect(segment.entries.map(({ offset }) => offset)).toEqual([2 ** 32 - 1, 2 ** 32])
    expect(segment.records.map(({ offset }) => offset)).toEqual([2 ** 32 - 1, 2 ** 32 - 1, 1])
    expect(segment.stop.why).toBe('end')
  })

  it('names what differs from the expectations', () => {
    const { mismatches } = readSegment2(whole.bytes(), { segmentId: 2, firstOffset: 1, previous: 7 })
    expect(mismatches).toEqual(['segmentId is 1, expected 2', 'previous is 0, expected 7'])
  })

  it('finds nothing in a file without a header', () => {
    expect(readSegment2(new Uint8Array(0))).toMatchObject({ header: undefined, end: 0, stop: { why: 'end' } })
    expect(readSegment2(new Uint8Array(99))).toMatchObject({ header: undefined, end: 0, stop: { why: 'zeros' } })
    expect(readSegment2(cutTo(whole.bytes(), 80))).toMatchObject({ header: undefined, stop: { why: 'incomplete' } })
  })
})

describe('the reader of a directory', () => {
  const one = (): SegmentBuilder =>
    new SegmentBuilder(firstSegment).commit([entry('a'), entry('b')]).commit([entry('c')]).close(false)
  const two = one().next().commit([entry('d')]).close(false)
  const three = two.next().commit([entry('e')]).close(true)
  const problems = (files: Map<string, Uint8Array>): string => readDirectory2(files).problems.join('\n')

  it('finds an empty log in a directory without segments', () => {
    const log = readDirectory2(new Map([['lock', text('x')]]))
    expect(log).toMatchObject({ firstOffset: 1, lastOffset: 0, entries: [], clean: true, problems: [] })
  })

  it('follows the segments to the first', () => {
    const log = readDirectory2(filesOf(one(), two, three))
    expect(log).toMatchObject({ firstOffset: 1, lastOffset: 5, clean: true, dead: [], problems: [] })
    expect(payloads(log.entries)).toEqual(['a', 'b', 'c', 'd', 'e'])
  })

  it('leaves alone what is in front of the low-water mark', () => {
    const newest = three.next({ lowWaterMark: 4 })
    const log = readDirectory2(filesOf(one(), two.next().lowWater(4).close(false), newest))
    expect(log.problems).not.toEqual([])

    const marked = two.next().commit([entry('e')]).lowWater(5).close(true)
    const freed = readDirectory2(filesOf(one(), two, marked))
    expect(freed).toMatchObject({ firstOffset: 5, lastOffset: 5, lowWaterMark: 5, problems: [] })
    expect(freed.dead).toEqual([one().name(), two.name()])
    expect(readDirectory2(filesOf(two, marked))).toMatchObject({ firstOffset: 5, problems: [] })
    expect(readDirectory2(filesOf(marked))).toMatchObject({ firstOffset: 5, problems: [] })
  })

  it('begins behind emptied segments', () => {
    const files = filesOf(one(), two, three).set(one().name(), new Uint8Array(0))
    expect(readDirectory2(files)).toMatchObject({ firstOffset: 4, lastOffset: 5, problems: [] })
    files.set(two.name(), new Uint8Array(0))
    expect(readDirectory2(files)).toMatchObject({ firstOffset: 5, dead: [one().name(), two.name()], problems: [] })
  })

  it('ends the older segment where the newer one cuts', () => {
    const closed = one()
    const cut = closed.cutAfter(1, { segmentId: 9 }).commit([entry('B')])
    const log = readDirectory2(filesOf(closed, two, cut))
    expect(log).toMatchObject({ firstOffset: 1, lastOffset: 2, clean: false, dead: [two.name()], problems: [] })
    expect(payloads(log.entries)).toEqual(['a', 'B'])

    const everything = new SegmentBuilder({ ...firstSegment, segmentId: 9, cut: true })
    expect(readDirectory2(filesOf(closed, two, everything))).toMatchObject({ lastOffset: 0, problems: [] })
  })

  it('names what does not fit', () => {
    const files = filesOf(one(), two, three)
    const without = (name: string): Map<string, Uint8Array> => new Map([...files].filter(([key]) => key !== name))
    const open = new SegmentBuilder(firstSegment).commit([entry('a'), entry('b')]).commit([entry('c')])

    expect(problems(new Map(files).set('1.wal', text('')))).toContain('foreign')
    expect(problems(new Map(files).set(segmentName(2, 9), two.bytes()))).toContain('the id stands twice')
    expect(problems(without(two.name()))).toContain('missing')
    expect(problems(without(one().name()))).toContain('missing')
    expect(problems(without(three.name()).set(segmentName(4, 5), three.bytes()))).toContain('segmentId is 3')
    expect(problems(without(three.name()).set(segmentName(3, 6), three.bytes()))).toContain('firstOffset is 5')
    expect(problems(filesOf(one(), one().next({ logId: 'ff'.repeat(16) })))).toContain('logId')
    expect(problems(filesOf(one(), one().next({ previous: 7 })))).toContain('previous is 00000007')
    expect(problems(filesOf(one(), one().next({ firstOffset: 5 })))).toContain('begins at 5')
    expect(problems(filesOf(one(), one().cutAfter(4)))).toContain('the cut, 4')
    expect(problems(filesOf(one(), one().cutAfter(0, { firstOffset: 1, lowWaterMark: 0 })))).not.toBe('')
    expect(problems(filesOf(one(), one().next({ lowWaterMark: 2 })))).toContain('newest low-water mark')
    expect(problems(filesOf(one(), one().next().lowWater(9)))).toContain('low-water mark 9')
    expect(problems(filesOf(one(), one().next({ previousId: 2 })))).not.toBe('')
    expect(problems(filesOf(one(), one().next({ previousId: 0, previous: 0 })))).toContain('names no segment')
    expect(problems(filesOf(open, open.next()))).toContain('no close record')
    expect(problems(filesOf(one().raw(text('x')), one().next()))).toContain('incomplete')
    expect(problems(filesOf(one().raw(text('x'))))).toContain('incomplete')
    expect(problems(new Map(files).set(three.name(), new Uint8Array(0)))).toContain("header can't be read")
    expect(problems(new Map(files).set(two.name(), zeroSector(two.bytes(), 0)))).toContain("header can't be read")
  })

  it('does not mind zeros behind a close record', () => {
    expect(problems(filesOf(one().zeros(512), one().next()))).toBe('')
    expect(readDirectory2(filesOf(one().close(true).zeros(512)))).toMatchObject({ clean: true, problems: [] })
  })
})

describe('builder and reader', () => {
  const offset = fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 2 ** 32 - 4, max: 2 ** 32 + 4 }))
  const entries = fc.array(
    fc.record({ type: fc.integer({ min: 0, max: 254 }), payload: fc.uint8Array({ maxLength: 300 }) }),
    { minLength: 1, maxLength: 5 },
  )
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant('commit' as const), entries }) },
    fc.record({ do: fc.constant('close' as const), clean: fc.boolean() }),
    fc.record({ do: fc.constant('durable' as const) }),
    fc.record({ do: fc.constant('lowWater' as const) }),
    fc.record({ do: fc.constant('skippable' as const), fields: fc.uint8Array({ maxLength: 20 }) }),
  )
  type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

  const line = (entry: { offset: number; type: number; payload: Uint8Array }): string =>
    `${entry.offset} ${entry.type} ${Buffer.from(entry.payload).toString('hex')}`

  function build(builder: SegmentBuilder, steps: Step[]): string[] {
    const written: string[] = []
    for (const one of steps) {
      if (one.do === 'commit') {
        for (const [index, { type, payload }] of one.entries.entries()) {
          written.push(line({ offset: builder.nextOffset + index, type, payload }))
        }
        builder.commit(one.entries)
      } else if (one.do === 'close') builder.close(one.clean)
      else if (one.do === 'durable') builder.durable()
      else if (one.do === 'lowWater') builder.lowWater(builder.nextOffset)
      else builder.control(77, one.fields, { flags: skippable })
    }
    return written
  }

  it('agree on any segment', () => {
    fc.assert(
      fc.property(offset, fc.array(step, { maxLength: 12 }), fc.nat(600), (firstOffset, steps, zeros) => {
        const builder = new SegmentBuilder({ ...firstSegment, firstOffset, lowWaterMark: firstOffset })
        const written = build(builder, steps)
        const bytes = builder.zeros(zeros).bytes()
        const segment = readSegment2(bytes)
        expect(segment.stop.why).toBe(zeros === 0 ? 'end' : 'zeros')
        expect(segment.end).toBe(bytes.length - zeros)
        expect(segment.entries.map(line)).toEqual(written)
        const rebuilt = rebuild(segment.records).zeros(zeros).bytes()
        expect(Buffer.from(rebuilt).equals(bytes)).toBe(true)
      }),
    )
  })

  it('agree on any log of several segments', () => {
    const plain = fc.array(
      fc.record({ do: fc.constant('commit' as const), entries }),
      { maxLength: 4 },
    )
    const shape = fc.array(fc.record({ steps: plain, cutBack: fc.option(fc.nat(9)) }), { minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(offset, shape, (firstOffset, segments) => {
        let builder = new SegmentBuilder({ ...firstSegment, firstOffset, lowWaterMark: firstOffset })
        const builders = [builder]
        let first = firstOffset
        let written: string[] = []
        for (const [index, { steps, cutBack }] of segments.entries()) {
          written.push(...build(builder, steps))
          if (index === segments.length - 1) break
          builder.close(index % 2 === 0)
          const here = builder.nextOffset - first
          if (cutBack !== null && here > 0) {
            const gone = Math.min(cutBack, here - 1)
            written = written.slice(0, written.length - gone)
            builder = builder.cutAfter(builder.nextOffset - 1 - gone)
          } else builder = builder.next()
          first = builder.nextOffset
          builders.push(builder)
        }
        const log = readDirectory2(filesOf(...builders))
        expect(log.problems).toEqual([])
        expect(log.lastOffset - firstOffset + 1).toBe(written.length)
        expect(log.entries.map(line)).toEqual(written)
      }),
    )
  })

  it('agree that a flipped bit in front of T is one', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 8 }), fc.nat(), fc.nat(7), (steps, position, bit) => {
        const builder = new SegmentBuilder(firstSegment)
        build(builder, steps)
        const bytes = builder.bytes()
        const damaged = readSegment2(flipBit(bytes, position % bytes.length, bit), { firstOffset: 1 })
        expect(damaged.zerosBehind && damaged.mismatches.length === 0).toBe(false)
        expect(damaged.end).toBeLessThanOrEqual(position % bytes.length)
      }),
      { numRuns: 500 },
    )
  })

  it('count CRCs as zlib does', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 99 }), (bytes) => {
        expect(crc32(bytes)).toBe(zlibCrc32(bytes))
      }),
    )
    expect(crc32(text('123456789'))).toBe(0xcbf43926)
  })
})

describe('the golden logs of format 1', () => {
  it.each(goldenNames())('%s is here as it was made', (name) => {
    const { files, expected } = golden(name)
    for (const file of expected.files) {
      const bytes = files.get(file.name)
      expect(bytes?.length).toBe(file.size)
      expect(createHash('sha256').update(bytes ?? '').digest('hex')).toBe(file.sha256)
    }
    if (name === 'upstream-testdata') expect(expected.entries).toHaveLength(1000)
    else expect([...files.keys()].sort()).toEqual(expected.files.map((file) => file.name).sort())
  })

  it.each(goldenNames())('%s is read up to its damage', (name) => {
    const { files, expected } = golden(name)
    const log = readDirectory1(files, frameExampleEntries)
    const whole = expected.entries.slice(0, log.entries.length)
    expect(log.entries.map(({ segment, position, offset, type }) => ({ segment, position, offset, type }))).toEqual(
      whole.map(({ segment, pos, offset, type }) => ({ segment, position: pos, offset, type })),
    )
    expect(log.entries.map(({ payload }) => payload)).toEqual(whole.map(goldenPayload))

    // What torn-19 and torn-20 leave of the last record are high bytes of its offset: zeros, like an end filled ahead.
    const looksWhole = ['torn-19', 'torn-20', 'torn-21-clean'].includes(name)
    const isDamaged = /^(torn|flip|bug|zeros-half|twelve-torn)/.test(name) && !looksWhole
    expect(log.problems.length > 0).toBe(isDamaged)
    if (!name.startsWith('flip-')) expect(log.entries.length).toBe(expected.entries.length)
    else expect(log.segments.at(-1)?.end).toBeLessThanOrEqual(expected.damage?.fileByte ?? 0)
  })

  it('are copied as they are', () => {
    const directory = mkdtempSync(join(tmpdir(), 'forelog-golden-'))
    try {
      copyGolden('twelve-segments', join(directory, 'log'))
      const { files } = golden('twelve-segments')
      expect(readdirSync(join(directory, 'log')).sort()).toEqual([...files.keys()].sort())
      for (const [name, bytes] of files) expect(readFileSync(join(directory, 'log', name)).equals(bytes)).toBe(true)
    } finally {
      rmSync(directory, { recursive: true })
    }
  })
})
