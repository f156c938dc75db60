/** What a log asks of the system, counted by strace(1) on a real process. */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { whyNoStrace } from './proofs/traced/traced-writer.js'
import { trace, type TracedCall } from './support/trace.js'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const script = fileURLToPath(new URL('system-calls/append.ts', import.meta.url))
const mustRun = Boolean(process.env['CI']) && process.getuid?.() === 0

let home: string
let directory: string

beforeEach((context) => {
  const reason = whyNoStrace()
  if (reason !== undefined && mustRun) throw new Error(reason)
  context.skip(reason !== undefined, reason)
  home = realpathSync(mkdtempSync(join(tmpdir(), 'forelog-calls-')))
  directory = join(home, 'log')
})

afterEach(() => rmSync(home, { recursive: true, force: true }))

type How = 'sequential' | 'concurrent' | 'blocking' | 'rolls'

const writes = ['pwrite64', 'pwritev', 'pwritev2', 'write', 'writev']
const names = [...writes, 'fdatasync', 'fsync', 'sync_file_range', 'msync', 'rename', 'renameat', 'renameat2', 'link', 'linkat']

const run = (how: How): TracedCall[] => trace(names, ['--import', 'tsx', script, directory, how], { out: join(home, 'trace'), cwd: root })

const said = (call: TracedCall, text: string): boolean => call.name === 'write' && call.args.startsWith('1<') && call.args.includes(`"${text}`)

/** What was called between two words of the process. */
function between(calls: readonly TracedCall[], first: string, last: string): TracedCall[] {
  const begin = calls.findIndex((call) => said(call, first))
  const end = calls.findIndex((call) => said(call, last))
  expect(begin).toBeGreaterThan(-1)
  expect(end).toBeGreaterThan(begin)
  return calls.slice(begin + 1, end)
}

/** Whether a call puts bytes of a segment on stable storage. */
const syncsSegment = (call: TracedCall): boolean =>
  call.path.endsWith('.wal') && (call.name === 'fdatasync' || call.name === 'fsync' || (writes.includes(call.name) && call.writesThrough))

function countOf(calls: readonly TracedCall[]): { syncs: number; writes: number } {
  const inSegments = calls.filter(({ path }) => path.endsWith('.wal'))
  return { syncs: inSegments.filter(syncsSegment).length, writes: inSegments.filter(({ name }) => writes.includes(name)).length }
}

/** Zeros that are written ahead of the entries hold nothing; every record has something else in its first bytes. */
const isFill = ({ args }: TracedCall): boolean => /^[^"]*"(\\0){9}/.test(args)

describe('durable appends', { timeout: 120_000 }, () => {
  it.each(['sequential', 'blocking'] as const)('1,000 of them, %s, make about 1,000 syncs and as many writes', (how) => {
    const { syncs, writes } = countOf(between(run(how), 'begin', 'end'))
    console.log(`1,000 ${how} appends: ${syncs} syncs, ${writes} writes`)
    expect(syncs).toBeGreaterThanOrEqual(1_000)
    expect(syncs).toBeLessThan(1_050)
    expect(writes).toBeLessThan(1_100)
  })

  it('1,000 of them, concurrent, make a handful of syncs', () => {
    const { syncs, writes } = countOf(between(run('concurrent'), 'begin', 'end'))
    console.log(`1,000 concurrent appends: ${syncs} syncs, ${writes} writes`)
    expect(syncs).toBeGreaterThanOrEqual(1)
    expect(syncs).toBeLessThanOrEqual(10)
    expect(writes).toBeLessThanOrEqual(20)
  })
})

describe('segments', { timeout: 120_000 }, () => {
  it('each get their name in the directory synced before an entry in them is acknowledged', () => {
    const calls = run('rolls')
    let segments = 0
    for (const call of calls) {
      const name = /"[^"]*\/(\d{10}-(\d{16})\.wal)"[^"]*$/.exec(call.args)
      if (name === null || !/^(rename|link)/.test(call.name)) continue
      segments++
      const firstOffset = Number(name[2])
      const acknowledged = calls.find((later) => said(later, `acknowledged ${firstOffset}\\n`))
      expect(acknowledged, `the acknowledgement of entry ${firstOffset}`).toBeDefined()
      const synced = calls.find((later) => later.name === 'fsync' && later.path === directory && later.result.startsWith('0') && later.begin > call.end)
      expect(synced?.end, `fsync of the directory behind the naming of ${name[1]}`).toBeLessThan((acknowledged as TracedCall).begin)
    }
    console.log(`${segments} segments, each with its directory synced before its first acknowledgement`)
    expect(segments).toBeGreaterThan(5)
  })

  it('of a new directory get that one’s name synced in the directory above it, too', () => {
    const calls = run('rolls')
    const first = calls.find((call) => said(call, 'acknowledged 1')) as TracedCall
    const above = calls.find((call) => call.name === 'fsync' && call.path === home)
    expect(above?.end).toBeLessThan(first.begin)
  })

  it('are never synced less than they were written when an append is acknowledged', () => {
    const calls = run('rolls')
    let written = false
    let acknowledged = 0
    for (const call of between(calls, 'begin', 'end')) {
      if (call.path.endsWith('.wal') && writes.includes(call.name) && !call.writesThrough && !isFill(call)) written = true
      if (syncsSegment(call)) written = false
      if (!said(call, 'acknowledged')) continue
      acknowledged++
      expect(written, call.args).toBe(false)
    }
    expect(acknowledged).toBe(100)
  })
})
