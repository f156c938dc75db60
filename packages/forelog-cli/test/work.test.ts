import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type ConvertResult, WriteAheadLog } from 'forelog'
import { describe, expect, it } from 'vitest'
import { copy, damages, forelog, makeScratch, shell, snapshot, watch, writeOrders } from './support/command.js'

const golden1 = fileURLToPath(new URL('../../forelog/test/golden/fgrosse/', import.meta.url))
const libraryUrl = new URL('../../forelog/dist/index.js', import.meta.url).href

function offsetsIn(out: string): number[] {
  return out === '' ? [] : out.trimEnd().split('\n').map((line) => JSON.parse(line).offset as number)
}

describe('forelog tail', () => {
  it('prints the newest entries', async () => {
    using scratch = makeScratch()
    await writeOrders(scratch.at('log'))
    expect(offsetsIn(forelog(['tail', scratch.at('log')]).out)).toEqual([191, 192, 193, 194, 195, 196, 197, 198, 199, 200])
    expect(offsetsIn(forelog(['tail', scratch.at('log'), '-n', '2']).out)).toEqual([199, 200])
    expect(offsetsIn(forelog(['tail', scratch.at('log'), '-n', '0']).out)).toEqual([])
    expect(offsetsIn(forelog(['tail', scratch.at('log'), '-n', '1000']).out)).toHaveLength(180)
    expect(offsetsIn(forelog(['tail', scratch.at('log'), '-n', '3', '--type', '1']).out)).toEqual([192, 195, 198])
  })

  it('follows a writer in another process, and ends at Ctrl-C', async () => {
    using scratch = makeScratch()
    const log = await WriteAheadLog.open(scratch.at('log'))
    await log.append(Buffer.from('first'))
    await log.append(Buffer.from('second'))
    let appended: Promise<number[]> | undefined
    const { out, code, err } = await watch(['tail', scratch.at('log'), '-n', '1', '-f'], (printed) => {
      if (printed.includes('second')) appended ??= Promise.all(['third', 'fourth', 'fifth'].map((text) => log.append(Buffer.from(text))))
      return printed.includes('fifth')
    })
    await appended
    await log.close()
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out.trimEnd().split('\n').map((line) => JSON.parse(line).value)).toEqual(['second', 'third', 'fourth', 'fifth'])
  })
})

describe('forelog grep', () => {
  it('finds entries by a path and a condition, by several, by type, and by a text', async () => {
    using scratch = makeScratch()
    const log = await WriteAheadLog.open(scratch.at('log'))
    const values = [{ a: { b: 1 } }, { a: { b: 2 }, tags: ['x', 'y'] }, { a: { b: '2' }, items: [{ sku: 'A1' }, { sku: 'B2' }] }, { 'odd name': true, a: null }]
    for (const [index, value] of values.entries()) await log.append({ type: index % 2, payload: Buffer.from(JSON.stringify(value)) })
    await log.append(Buffer.from('no JSON, but text'))
    await log.close()
    const grep = (...args: string[]): number[] => offsetsIn(forelog(['grep', args[0] as string, scratch.at('log'), ...args.slice(1)]).out)
    expect(grep('.a.b=1')).toEqual([1])
    expect(grep('.a.b=2')).toEqual([2, 3])
    expect(grep('.a.b!=2')).toEqual([1])
    expect(grep('.a.b>=1')).toEqual([1, 2])
    expect(grep('.a.b<2')).toEqual([1])
    expect(grep('.tags[1]=y')).toEqual([2])
    expect(grep('.items[].sku~^B')).toEqual([3])
    expect(grep('.["odd name"]=true')).toEqual([4])
    expect(grep('.a')).toEqual([1, 2, 3])
    expect(grep('.a.b>0 and .tags[]=x')).toEqual([2])
    expect(grep('.a.b>=1', '--type', '1')).toEqual([2])
    expect(grep('but text')).toEqual([5])
    expect(grep('.a', '-m', '2')).toEqual([1, 2])
    expect(forelog(['grep', '.a', scratch.at('log'), '-c']).out).toBe('3\n')
    expect(forelog(['grep', '.nowhere', scratch.at('log')])).toMatchObject({ code: 1, out: '' })
    for (const wrong of ['.a.b>x', '.a.b~(', '.a?b', '']) expect(forelog(['grep', wrong, scratch.at('log')]).code, wrong).toBe(2)
  })
})

describe('forelog truncate', () => {
  it('says what would go, asks, and takes it away in front and behind', async () => {
    using scratch = makeScratch()
    await writeOrders(scratch.at('log'))
    const before = snapshot(scratch.at('log'))
    expect(forelog(['truncate', scratch.at('log'), '--before', '101', '--dry-run']).out).toContain('80 entries go: 21 to 100')
    expect(forelog(['truncate', scratch.at('log'), '--before', '101']).code).toBe(2)
    expect(forelog(['truncate', scratch.at('log')]).code).toBe(2)
    expect(snapshot(scratch.at('log'))).toEqual(before)
    expect(forelog(['truncate', scratch.at('log'), '--before', '101', '--yes'])).toMatchObject({ code: 0 })
    expect(JSON.parse(forelog(['truncate', scratch.at('log'), '--after', '150', '--yes', '--json']).out).now).toEqual({ firstOffset: 101, lastOffset: 150 })
    expect(forelog(['verify', scratch.at('log')]).out).toContain('50 entries, 101 to 150')
  })
})

describe('forelog export and import', () => {
  it('carry every byte of every entry, through a pipe', async () => {
    using scratch = makeScratch()
    const log = await WriteAheadLog.open(scratch.at('log'))
    await log.appendBatch(Array.from({ length: 300 }, (_, index) => ({ type: index % 255, payload: Uint8Array.from({ length: index }, (_, at) => (at * index) & 0xff) })))
    await log.close()
    expect(shell(`forelog export '${scratch.at('log')}' | forelog import '${scratch.at('copy')}' --batch 7`)).toMatchObject({ code: 0, err: '' })
    expect(forelog(['export', scratch.at('copy')]).out).toBe(forelog(['export', scratch.at('log')]).out)
    writeFileSync(scratch.at('file.ndjson'), forelog(['export', scratch.at('log'), '--from', '10', '--to', '12']).out)
    expect(JSON.parse(forelog(['import', scratch.at('copy'), scratch.at('file.ndjson'), '--json']).out)).toMatchObject({ entries: 3, firstOffset: 301, lastOffset: 303 })
  })

  it('take values with a codec, and say which line is wrong', () => {
    using scratch = makeScratch()
    expect(forelog(['import', scratch.at('log'), '--codec', 'msgpack'], { input: '{"type":4,"value":{"a":[1,2]}}\n\n' }).code).toBe(0)
    expect(JSON.parse(forelog(['dump', scratch.at('log'), '--codec', 'msgpack']).out)).toMatchObject({ offset: 1, type: 4, value: { a: [1, 2] } })
    for (const line of ['no json', '[]', '{"type":255,"value":1}', '{"type":1}', '{"base64":"%%"}']) {
      const { code, err } = forelog(['import', scratch.at('log')], { input: `{"value":1}\n${line}\n` })
      expect(code, line).toBe(2)
      expect(err, line).toContain('line 2')
    }
    expect(forelog(['import', scratch.at('log'), scratch.at('nowhere')]).code).toBe(2)
  })
})

describe('forelog convert', () => {
  it('takes over a log of the Go library, and leaves it as it was', () => {
    using scratch = makeScratch()
    copy(join(golden1, 'twelve-segments'), scratch.at('go'))
    writeFileSync(
      scratch.at('entries.mjs'),
      `import { EntryRegistry } from ${JSON.stringify(libraryUrl)}
class One { type = 0; encodePayload() { throw new Error() } decodePayload() {} readPayload(reader) { const head = reader.read(6); return reader.read(4 * ((head[4] << 8) | head[5])) } }
class Two { type = 1; encodePayload() { throw new Error() } decodePayload() {} readPayload(reader) { const head = reader.read(3); return reader.read((head[1] << 8) | head[2]) } }
export const entries = new EntryRegistry(() => new One(), () => new Two())`,
    )
    const before = snapshot(scratch.at('go'))
    const { code, out } = forelog(['convert', scratch.at('go'), scratch.at('new'), '--entries', scratch.at('entries.mjs'), '--json'])
    expect(code).toBe(0)
    const result = JSON.parse(out) as ConvertResult
    expect(forelog(['verify', scratch.at('new'), '--strict']).code).toBe(0)
    expect(snapshot(scratch.at('go'))).toEqual(before)
    expect(offsetsIn(forelog(['dump', scratch.at('new')]).out)).toHaveLength(result.entries)
    expect(forelog(['convert', scratch.at('go'), scratch.at('new'), '--entries', scratch.at('entries.mjs')]).code).toBe(2)
    expect(forelog(['convert', scratch.at('go'), scratch.at('other')])).toMatchObject({ code: 2 })
  })
})

describe('forelog doctor', () => {
  it('looks at a healthy place, leaves nothing behind, and touches nothing of the log', async () => {
    using scratch = makeScratch()
    await writeOrders(scratch.at('log'))
    const before = snapshot(scratch.at('log'))
    const { code, out } = forelog(['doctor', scratch.at('log'), '--json'])
    expect(code).toBe(0)
    const { checks } = JSON.parse(out) as { checks: { name: string; verdict: string; text: string }[] }
    expect(checks.map(({ name }) => name)).toEqual(['runtime', 'permissions', 'file system', 'free space', 'sync', 'locks', 'files', 'log', 'entries', 'writer'])
    expect(checks.find(({ name }) => name === 'entries')).toMatchObject({ verdict: 'unread' })
    expect(snapshot(scratch.at('log'))).toEqual(before)
    expect(forelog(['doctor', scratch.at('not/there/yet')]).out).toContain('is not there yet')
    expect(readdirSync(scratch.path)).toEqual(['log'])
  })

  it('finds what is wrong with a log, with exit code 1', async () => {
    using scratch = makeScratch()
    await writeOrders(scratch.at('log'))
    damages['a missing file']?.(scratch.at('log'))
    expect(forelog(['doctor', scratch.at('log')])).toMatchObject({ code: 1 })
  })
})

describe('forelog bench', () => {
  it('measures the floor and three numbers of writers, and leaves nothing behind', () => {
    using scratch = makeScratch()
    mkdirSync(scratch.at('data'))
    const { code, out } = forelog(['bench', scratch.at('data'), '--seconds', '1', '--json'])
    expect(code).toBe(0)
    const { floorPerSecond, runs } = JSON.parse(out) as { floorPerSecond: number; runs: { writers: number; entriesPerSecond: number; histogram: { entries: number }[] }[] }
    expect(floorPerSecond).toBeGreaterThan(0)
    expect(runs.map(({ writers }) => writers)).toEqual([1, 16, 256])
    for (const { entriesPerSecond, histogram } of runs) {
      expect(entriesPerSecond).toBeGreaterThan(0)
      expect(histogram.reduce((sum, { entries }) => sum + entries, 0)).toBeGreaterThan(0)
    }
    expect(readdirSync(scratch.at('data'))).toEqual([])
  })
})

describe('forelog completion', () => {
  it('completes commands, options and their values in bash', () => {
    const { out } = forelog(['completion', 'bash'])
    const complete = (...words: string[]): string[] => {
      const line = `COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _forelog; printf '%s\\n' "\${COMPREPLY[@]}"`
      return spawnSync('bash', ['-c', `${out}\n${line}`], { encoding: 'utf8' }).stdout.split('\n').filter(Boolean)
    }
    expect(complete('forelog', 'ver')).toEqual(['verify'])
    expect(complete('forelog', 'repair', './data', '--dr')).toEqual(['--dry-run'])
    expect(complete('forelog', 'dump', './data', '--format', 'nd')).toEqual(['ndjson'])
    expect(forelog(['completion', 'zsh']).out).toMatch(/^#compdef forelog/)
    expect(forelog(['completion', 'fish']).code).toBe(2)
  })
})
