import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { errorCodes, type VerifyReport, WriteAheadLog } from 'forelog'
import { describe, expect, it } from 'vitest'
import { commandFile, copy, damage, damages, forelog, makeScratch, peakMiB, segmentsOf, shell, snapshot, watch, writeOrders } from './support/command.js'

const golden1 = fileURLToPath(new URL('../../forelog/test/golden/fgrosse/', import.meta.url))
const golden2 = fileURLToPath(new URL('../../forelog/test/golden/format2/sample', import.meta.url))

/** A module with the entries of the golden logs of format 1. */
const goldenEntries = `
import { EntryRegistry } from ${JSON.stringify(new URL('../../forelog/dist/index.js', import.meta.url).href)}
class One { type = 0; encodePayload() { throw new Error() } decodePayload() {} readPayload(reader) { const head = reader.read(6); return reader.read(4 * ((head[4] << 8) | head[5])) } }
class Two { type = 1; encodePayload() { throw new Error() } decodePayload() {} readPayload(reader) { const head = reader.read(3); return reader.read((head[1] << 8) | head[2]) } }
export const entries = new EntryRegistry(() => new One(), () => new Two())
`

describe('forelog', () => {
  it('shows its commands, and says by its exit code that none was given', () => {
    const { code, out } = forelog([])
    expect(code).toBe(2)
    for (const name of ['inspect', 'verify', 'dump', 'repair']) expect(out).toContain(`  ${name} `)
    expect(forelog(['--help'])).toMatchObject({ code: 0, out })
  })

  it('has help with examples for each command', () => {
    const names = [...forelog(['--help']).out.matchAll(/^ {2}([a-z]+) {2,}\S/gm)].map(([, name]) => name as string)
    expect(names.length).toBeGreaterThan(3)
    for (const name of names) {
      const { code, out } = forelog([name, '--help'])
      expect(code, name).toBe(0)
      expect(out, name).toMatch(/^Usage/m)
      expect(out, name).toMatch(/^Examples/m)
      expect(out, name).toContain('--json')
    }
  })

  it('refuses what it does not know, on stderr, with exit code 2', () => {
    for (const args of [['inspekt', '.'], ['inspect'], ['inspect', '.', '--nope'], ['inspect', 'a', 'b'], ['dump', '.', '--from', 'x'], ['dump', '.', '--type', '300'], ['dump', '.', '--format', 'xml']]) {
      const { code, out, err } = forelog(args)
      expect({ args, code, out }).toEqual({ args, code: 2, out: '' })
      expect(err).toMatch(/^forelog: /)
    }
    expect(forelog(['inspekt']).err).toContain('did you mean inspect?')
  })

  it('says where there is no log, with exit code 3', () => {
    using scratch = makeScratch()
    mkdirSync(scratch.at('empty'))
    expect(forelog(['verify', scratch.at('empty')])).toMatchObject({ code: 3 })
    expect(forelog(['inspect', scratch.at('empty')])).toMatchObject({ code: 3 })
    const { code, err } = forelog(['verify', scratch.at('nowhere')])
    expect(code).toBe(3)
    expect(err).toContain('nowhere')
  })
})

describe('forelog inspect', () => {
  it('shows offsets, segments with their maps, types, the end, and who holds the log', async () => {
    using scratch = makeScratch()
    await writeOrders(scratch.at('log'))
    const { code, out } = forelog(['inspect', scratch.at('log')])
    expect(code).toBe(0)
    expect(out).toContain('✓ sound')
    expect(out).toMatch(/offsets +21 to 200/)
    expect(out).toMatch(/entries +180/)
    expect(out).toMatch(/end +clean shutdown/)
    expect(out).toMatch(/writer +nobody/)
    for (const name of segmentsOf(scratch.at('log'))) expect(out).toMatch(new RegExp(`${name} .*█`))
    expect(out).toMatch(/^ +0 +72 /m)
  })

  it('shows who holds the log, while it is written, and changes nothing', async () => {
    using scratch = makeScratch()
    const log = await WriteAheadLog.open(scratch.at('log'))
    await log.append(Buffer.from('one'))
    const before = snapshot(scratch.at('log'))
    expect(forelog(['inspect', scratch.at('log')]).out).toContain(`process ${process.pid}`)
    const { writer, outcome } = JSON.parse(forelog(['inspect', scratch.at('log'), '--json']).out) as VerifyReport
    expect(writer).toMatchObject({ held: true, holder: { pid: process.pid } })
    expect(outcome).toBe('sound')
    expect(snapshot(scratch.at('log'))).toEqual(before)
    await log.append(Buffer.from('two'))
    await log.close()
  })

  it('shows cursors, and how far each is behind', async () => {
    using scratch = makeScratch()
    const log = await WriteAheadLog.open(scratch.at('log'))
    for (let offset = 1; offset <= 9; offset++) await log.append(Buffer.from('entry'))
    await (await log.cursor('shipper')).commit(4)
    await log.cursor('reports', { hold: false })
    await log.close()
    const before = snapshot(scratch.at('log'))
    const { out } = forelog(['inspect', scratch.at('log')])
    expect(out).toMatch(/^ +shipper +4 +5 +yes/m)
    expect(out).toMatch(/^ +reports +\d+ +\d+ +no/m)
    const { cursors } = JSON.parse(forelog(['inspect', scratch.at('log'), '--json']).out) as { cursors: unknown[] }
    expect(cursors).toContainEqual({ name: 'shipper', offset: 4, lag: 5, hold: true })
    expect(snapshot(scratch.at('log'))).toEqual(before)
  })

  it('takes names, headers and the end alone with --quick', async () => {
    using scratch = makeScratch()
    await writeOrders(scratch.at('log'))
    const report = JSON.parse(forelog(['inspect', scratch.at('log'), '--quick', '--json']).out) as VerifyReport
    expect(report).toMatchObject({ firstOffset: 21, lastOffset: 200, types: [], clean: true })
  })

  it('has no colours without a terminal or with NO_COLOR, and has them on demand', async () => {
    using scratch = makeScratch()
    await writeOrders(scratch.at('log'))
    const plain = forelog(['inspect', scratch.at('log')], { env: { NO_COLOR: '' } }).out
    expect(plain).not.toContain('\u001b')
    expect(forelog(['inspect', scratch.at('log')], { env: { NO_COLOR: '1', FORCE_COLOR: '1' } }).out).not.toContain('\u001b')
    expect(forelog(['inspect', scratch.at('log'), '--color'], { env: { NO_COLOR: '' } }).out).toContain('\u001b[32m')
  })

  it('shows a map on which the smallest damage can be seen', async () => {
    using scratch = makeScratch()
    await writeOrders(scratch.at('log'))
    damage(scratch.at('log'), 1, (bytes) => Buffer.from(bytes).fill(0xee, 1000, 1002))
    expect(forelog(['inspect', scratch.at('log')]).out).toMatch(/█X+█/)
  })

  it('reads a log of the Go library with its entries, and tells what it is without', () => {
    using scratch = makeScratch()
    copy(join(golden1, 'twelve-segments'), scratch.at('go'))
    writeFileSync(scratch.at('entries.mjs'), goldenEntries)
    expect(forelog(['inspect', scratch.at('go')]).out).toContain('--entries')
    expect(forelog(['inspect', scratch.at('go'), '--entries', scratch.at('entries.mjs')]).out).toContain('✓ sound')
    expect(forelog(['verify', scratch.at('go')]).code).toBe(2)
    expect(forelog(['verify', scratch.at('go'), '--entries', scratch.at('entries.mjs')]).code).toBe(0)
  })
})

describe('forelog verify', () => {
  it('says that a whole log is whole', async () => {
    using scratch = makeScratch()
    await writeOrders(scratch.at('log'))
    const { code, out } = forelog(['verify', scratch.at('log')])
    expect(code).toBe(0)
    expect(out).toContain('180 entries, 21 to 200')
    expect(forelog(['verify', golden2]).code).toBe(0)
  })

  it.each(Object.keys(damages))('names file, place and meaning of %s, exits with 1, and changes nothing', async (name) => {
    using scratch = makeScratch()
    await writeOrders(scratch.at('log'))
    damages[name]?.(scratch.at('log'))
    const before = snapshot(scratch.at('log'))
    const { code, out, err } = forelog(['verify', scratch.at('log')])
    expect(err).toBe('')
    expect(code).toBe(1)
    expect(out).toMatch(/✗ \S+\.wal at byte [\d,]+/)
    const report = JSON.parse(forelog(['verify', scratch.at('log'), '--json']).out) as VerifyReport
    expect(report.outcome).toBe('damaged')
    for (const fault of report.faults) expect(fault.meaning).not.toBe('')
    for (const command of ['inspect', 'dump']) expect(forelog([command, scratch.at('log')]).err).not.toMatch(/at .*\.js:\d+/)
    expect(forelog(['repair', scratch.at('log'), '--dry-run']).code).not.toBeNull()
    expect(snapshot(scratch.at('log'))).toEqual(before)
  })

  it('tells a torn tail from damage: 0, or 1 with --strict; 4 where that can not be told', async () => {
    using scratch = makeScratch()
    const log = await WriteAheadLog.open(scratch.at('log'))
    for (let index = 0; index < 3; index++) await log.append(Buffer.alloc(700, 65 + index))
    await log.close()
    copy(scratch.at('log'), scratch.at('undecided'))
    // The close record and the end of the last entry are missing, as if the writer had been killed in the middle of its write.
    damage(scratch.at('log'), -1, (bytes) => bytes.subarray(0, bytes.length - 245))
    expect(forelog(['verify', scratch.at('log')])).toMatchObject({ code: 0 })
    expect(forelog(['verify', scratch.at('log')]).out).toContain('whole up to a torn tail')
    expect(forelog(['verify', scratch.at('log'), '--strict'])).toMatchObject({ code: 1 })
    // All of the group is there, and no one bit explains what is wrong with it.
    damage(scratch.at('undecided'), -1, (bytes) => Buffer.from(bytes.subarray(0, bytes.length - 45)).fill(0x11, bytes.length - 300, bytes.length - 200))
    const { code, out } = forelog(['verify', scratch.at('undecided')])
    expect({ code, out }).toMatchObject({ code: 4 })
    expect(out).toContain('undecided')
  })
})

describe('forelog dump', () => {
  it('prints every entry as a line of JSON', async () => {
    using scratch = makeScratch()
    await writeOrders(scratch.at('log'))
    const { code, out } = forelog(['dump', scratch.at('log')])
    expect(code).toBe(0)
    const lines = out.trimEnd().split('\n').map((line) => JSON.parse(line))
    expect(lines).toHaveLength(180)
    expect(lines[0]).toEqual({ offset: 21, type: 0, bytes: 22, value: { order: 21, note: '' } })
  })

  it('prints a range, some types, and other formats', async () => {
    using scratch = makeScratch()
    await writeOrders(scratch.at('log'))
    const log = scratch.at('log')
    const offsets = (...args: string[]): number[] => forelog(['dump', log, ...args]).out.trimEnd().split('\n').map((line) => JSON.parse(line).offset)
    expect(offsets('--from', '50', '--to', '53')).toEqual([50, 51, 52, 53])
    expect(offsets('--from', '31', '--to', '40', '--type', '2')).toEqual([33, 36, 39])
    expect(JSON.parse(forelog(['dump', log, '--format', 'json', '--to', '22']).out)).toHaveLength(2)
    expect(forelog(['dump', log, '--format', 'hex', '--from', '21', '--to', '21']).out).toMatch(/00000000 {2}7b 22 6f 72 64 65 72 22 {2}3a 32 31/)
    expect(forelog(['dump', log, '--format', 'table', '--to', '21']).out).toMatch(/21 +0 +22 +\{"order":21/)
    expect(forelog(['dump', log, '--codec', 'hex', '--to', '21']).out).toContain('"value":"7b226f72646572')
  })

  it('prints JSON as it is stored, on one line, with all digits of its numbers', async () => {
    using scratch = makeScratch()
    const log = await WriteAheadLog.open(scratch.at('log'))
    const stored = ['{"id":9007199254740993,"sum":0.10000000000000000555,"id":1e400}', '{\n\t"id" :\t12345678901234567890,\r\n  "text": "a  b\\n"\n}\n', ' "text" ', '-0', '[1', '\ufeff1']
    for (const text of stored) await log.append(Buffer.from(text))
    await log.append(Uint8Array.of(0xff))
    await log.close()
    const lines = (...args: string[]): string[] => forelog([...args, scratch.at('log')]).out.trimEnd().split('\n')
    const values = ['{"id":9007199254740993,"sum":0.10000000000000000555,"id":1e400}', '{"id" :12345678901234567890,"text": "a  b\\n"}', '"text"', '-0', '"[1"', '"\ufeff1"', '{"base64":"/w=="}']
    expect(lines('dump')).toEqual(values.map((value, index) => `{"offset":${index + 1},"type":0,"bytes":${Buffer.byteLength(stored[index] ?? 'x')},"value":${value}}`))
    expect(JSON.parse(forelog(['dump', scratch.at('log'), '--format', 'json']).out)).toHaveLength(7)
    expect(lines('dump', '--codec', 'json', '--from', '5').map((line) => JSON.parse(line) as object)).toMatchObject([{ undecodable: expect.any(String) as string }, { base64: '77u/MQ==' }, { base64: '/w==' }])
    const table = lines('dump', '--format', 'table').slice(1).map((line) => line.slice(31))
    expect(table.slice(1, 4)).toEqual(['{"id" :12345678901234567890,"text": "a  b\\n"}', 'text', '-0'])
    expect(lines('grep', 'text')).toHaveLength(2)
    // What was printed is found, and so is what it is without the spaces.
    for (const text of ['9007199254740993', '0.10000000000000000555', '"id":9007199254740993', '"sum":0.1']) expect(lines('grep', text).map((line) => (JSON.parse(line) as { offset: number }).offset)).toEqual([1])
    for (const text of ['"id" :12345678901234567890', '"text":"a  b']) expect(lines('grep', text).map((line) => (JSON.parse(line) as { offset: number }).offset)).toEqual([2])
  })

  it('uses a codec of the user’s, and tells what can not be decoded without ending', async () => {
    using scratch = makeScratch()
    await writeOrders(scratch.at('log'))
    writeFileSync(scratch.at('codec.mjs'), 'export function decode(bytes, type) { if (type === 1) throw new Error("no"); return { type, length: bytes.length } }')
    const lines = forelog(['dump', scratch.at('log'), '--codec', scratch.at('codec.mjs'), '--to', '22']).out.trimEnd().split('\n').map((line) => JSON.parse(line))
    expect(lines).toMatchObject([{ value: { type: 0, length: 22 } }, { undecodable: 'no', base64: expect.any(String) }])
  })

  it('prints what stands behind damage, says what it passed over, and exits with 1', async () => {
    using scratch = makeScratch()
    await writeOrders(scratch.at('log'))
    damages['rubbish in the middle']?.(scratch.at('log'))
    const { code, out, err } = forelog(['dump', scratch.at('log')])
    expect(code).toBe(1)
    expect(err).toMatch(/passed over: \S+\.wal at byte/)
    const offsets = out.trimEnd().split('\n').map((line) => JSON.parse(line).offset as number)
    expect(offsets.at(-1)).toBe(200)
    expect(offsets.length).toBeLessThan(180)
    expect(offsets.length).toBeGreaterThan(150)
  })

  it('ends quietly when its reader has enough', async () => {
    using scratch = makeScratch()
    const log = await WriteAheadLog.open(scratch.at('log'), { sync: 'manual' })
    for (let index = 0; index < 50; index++) await log.appendBatch(Array.from({ length: 1000 }, (_, each) => Buffer.from(`entry ${each} of ${index}, with some text`)))
    await log.close()
    const { code, out, err } = shell(`forelog dump "${scratch.at('log')}" | head -n 2`)
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out.split('\n')).toHaveLength(3)
  })

  it('takes no more memory for a log four times as long', async () => {
    using scratch = makeScratch()
    const batch = Array.from({ length: 256 }, (_, index) => ({ type: index % 3, payload: Buffer.from(JSON.stringify({ order: index, note: 'some text to be kept '.repeat(48) })) }))
    for (const megabytes of [32, 128]) {
      const log = await WriteAheadLog.open(scratch.at(String(megabytes)), { sync: 'manual', maxSegmentSize: 1024 * 1024 })
      for (let group = 0; group < megabytes * 4; group++) await log.appendBatch(batch)
      await log.close()
    }
    for (const args of [['dump'], ['export'], ['grep', '--count', '.order=7'], ['tail'], ['verify'], ['inspect']]) {
      const short = await peakMiB([...args, scratch.at('32')])
      const long = await peakMiB([...args, scratch.at('128')])
      expect(long - short, `${args[0]}: ${short} MiB, then ${long} MiB`).toBeLessThan(12)
    }
  })

  it.skipIf(process.platform !== 'linux')('waits for a reader that is slow, and holds nothing for it', async () => {
    using scratch = makeScratch()
    const log = await WriteAheadLog.open(scratch.at('log'), { sync: 'manual' })
    const batch = Array.from({ length: 256 }, (_, index) => Buffer.from(JSON.stringify({ order: index, note: 'some text to be kept '.repeat(48) })))
    for (let group = 0; group < 256; group++) await log.appendBatch(batch)
    await log.close()
    const child = spawn(process.execPath, [commandFile, 'dump', scratch.at('log')], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(child.stdout, 'readable')
    // Nobody reads on: once it gets no further it takes no processor time any more.
    const ticks = (): string => readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(' ').slice(13, 15).join()
    for (let before = '', now = ticks(); before !== now; now = ticks()) {
      before = now
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    const peakKiB = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1])
    let lines = 0
    for await (const _ of createInterface({ input: child.stdout })) lines++
    expect(lines).toBe(256 * 256)
    expect(peakKiB).toBeLessThan(110 * 1024)
  })

  it('prints nothing that moves the cursor of a terminal', async () => {
    using scratch = makeScratch()
    const log = await WriteAheadLog.open(scratch.at('log'))
    await log.append(Buffer.from('\u001b[2Jcleared\u0007\u009b31m'))
    await log.close()
    for (const format of ['table', 'hex', 'ndjson']) {
      // eslint-disable-next-line no-control-regex -- these are what must not be there
      expect(forelog(['dump', scratch.at('log'), '--format', format]).out).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/)
    }
  })

  it('stops at Ctrl-C with exit code 130', async () => {
    using scratch = makeScratch()
    const log = await WriteAheadLog.open(scratch.at('log'), { sync: 'manual' })
    for (let index = 0; index < 100; index++) await log.appendBatch(Array.from({ length: 3000 }, (_, each) => Buffer.from(`entry ${each} of ${index}, with some text`)))
    await log.close()
    expect((await watch(['dump', scratch.at('log')], (out) => out.length > 0)).code).toBe(130)
  })
})

it('documents an exit code for every error code of the library', () => {
  // What main.ts does not name is `out of reach`: a new code has to be looked at.
  expect(errorCodes).toHaveLength(23)
})
