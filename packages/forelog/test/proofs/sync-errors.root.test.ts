/**
 * Line 7 of docs/RELIABILITY.md: errors of the system at each call of a real process: a log that can't write or sync fails closed, and opens again with all that
 * it had acknowledged.
 */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type SyncMode, WriteAheadLog } from '../../src/index.js'
import { report } from './effort.js'
import { Expectation, type LogEvent } from './log-journal.js'
import { makeImage, Mount, run, whyNot } from './power-cut/volumes.js'
import { type Compiled, compile } from './real-writer/compile.js'
import { eventsOf, refusedInEarnest, type Report, type ReportOf, reportsOf, runTraced, type TracedRun, whyNoStrace } from './traced/traced-writer.js'

const mustRun = Boolean(process.env['CI']) && process.getuid?.() === 0

let compiled: Compiled
let home: string
let script: string
const mounts: Mount[] = []

beforeAll(() => {
  compiled = compile('real-writer', 'traced')
  script = compiled.path('traced/scripted-writer.ts')
  home = mkdtempSync(join(tmpdir(), 'forelog-errors-'))
})

afterAll(() => {
  for (const mount of mounts.reverse()) mount.dispose()
  rmSync(home, { recursive: true, force: true })
  compiled.remove()
})

function skipReason(reason: string | undefined): string | undefined {
  if (reason !== undefined && mustRun) throw new Error(reason)
  return reason
}

/** Opens what a writer left, and holds it against what was told. */
async function checkAfter(directory: string, events: readonly LogEvent[]): Promise<void> {
  for (const expectation of [new Expectation(events), new Expectation(events)]) {
    const log = await WriteAheadLog.open(directory)
    try {
      expectation.check(log)
      expectation.checkCursor((await log.cursors())[0]?.offset ?? 'none', log)
    } finally {
      await log.close()
    }
  }
}

interface Case {
  readonly call: string
  readonly error: string
  readonly doing: TracedRun['doing']
  readonly sync: SyncMode
  /** Code of the failure that each such error must lead to; undefined: there are calls that the log can do without. */
  readonly code?: 'ERR_WAL_SYNC_FAILED' | 'ERR_WAL_WRITE_FAILED' | 'ERR_WAL_NO_SPACE'
  /** From the n-th call on all fail. */
  readonly forGood?: true
}

const syncFailed = { error: 'EIO', code: 'ERR_WAL_SYNC_FAILED' } as const
const writeFailed = { error: 'EIO', code: 'ERR_WAL_WRITE_FAILED' } as const
const cases: Case[] = [
  { call: 'fdatasync', ...syncFailed, doing: 'everything', sync: 'always' },
  { call: 'fdatasync', ...syncFailed, doing: 'everything', sync: 'always', forGood: true },
  { call: 'fdatasync', ...syncFailed, doing: 'everything', sync: 'manual' },
  { call: 'fdatasync', ...syncFailed, doing: 'blocking', sync: 'always' },
  { call: 'fdatasync', ...syncFailed, error: 'ENOSPC', doing: 'everything', sync: 'always' },
  { call: 'fsync', ...syncFailed, doing: 'everything', sync: 'always' },
  { call: 'fsync', ...syncFailed, doing: 'everything', sync: 'manual', forGood: true },
  { call: 'fsync', ...syncFailed, doing: 'blocking', sync: 'always' },
  { call: 'pwrite64', ...writeFailed, doing: 'everything', sync: 'always' },
  { call: 'pwrite64', ...writeFailed, doing: 'everything', sync: 'manual', forGood: true },
  { call: 'pwrite64', ...writeFailed, doing: 'blocking', sync: 'always' },
  { call: 'pwrite64', error: 'ENOSPC', doing: 'everything', sync: 'always' },
  { call: 'pwrite64', error: 'ENOSPC', code: 'ERR_WAL_NO_SPACE', doing: 'everything', sync: 'manual', forGood: true },
  { call: 'ftruncate', ...writeFailed, doing: 'everything', sync: 'always' },
  { call: 'openat', error: 'EIO', doing: 'everything', sync: 'always' },
  { call: 'openat', error: 'EMFILE', doing: 'everything', sync: 'manual', forGood: true },
  { call: 'openat', error: 'ENOSPC', doing: 'everything', sync: 'always' },
  { call: 'rename', ...writeFailed, doing: 'everything', sync: 'always' },
  { call: 'unlink', error: 'EIO', doing: 'everything', sync: 'always' },
]

function nameOf({ call, error, doing, sync, forGood }: Case): string {
  return `${error} from ${call} ${forGood ? 'for good' : 'once'} (${doing}, ${sync})`
}

describe('each call of a real process that the system refuses', () => {
  const tally: Record<string, Record<string, number>> = {}
  let template: string
  let eventsBefore: LogEvent[]

  /** A log whose last writer was killed, and with the beginning of a group behind its last whole one. */
  beforeAll(async () => {
    if (whyNoStrace() !== undefined) return
    template = join(home, 'template')
    const { reports } = await runTraced({ script, directory: template, doing: 'leave', sync: 'always' })
    eventsBefore = eventsOf(reports)
    const [newest = ''] = readdirSync(template)
      .filter((name) => name.endsWith('.wal'))
      .sort()
      .reverse()
    const bytes = readFileSync(join(template, newest))
    const header = 99 // any beginning of a control record
    writeFileSync(join(template, newest), Buffer.concat([bytes, bytes.subarray(0, header), Buffer.alloc(600)]))
  })

  it.for(cases.map((failing) => [nameOf(failing), failing] as const))('%s, at each time it is called, loses nothing that was acknowledged', { timeout: 600_000 }, async ([name, failing], context) => {
    const reason = skipReason(whyNoStrace())
    context.skip(reason !== undefined, reason)
    const outcomes: Record<string, number> = {}
    let times = 0
    for (let nth = 1, wasMet = true; wasMet; nth++) {
      const { outcome, met } = await failNth(failing, nth)
      wasMet = met
      if (!met) break
      times++
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
    }
    tally[name] = outcomes
    expect(times).toBeGreaterThan(0)
  })

  afterAll(() => {
    const failed = Object.values(tally).flatMap((outcomes) => Object.values(outcomes))
    if (failed.length > 0) report({ line: 7, name: 'failing system calls', tried: failed.reduce((sum, count) => sum + count, 0), unit: 'calls of real processes', madeOf: tally })
  })

  async function failNth({ call, error, doing, sync, code, forGood }: Case, nth: number): Promise<{ met: boolean; outcome: string }> {
    const directory = join(home, 'log')
    rmSync(directory, { recursive: true, force: true })
    cpSync(template, directory, { recursive: true })
    const expressions = [`trace=${[...new Set([call, 'pwrite64', 'pwritev'])].join(',')}`, `inject=${call}:error=${error}:when=${nth}${forGood ? '+' : ''}`]
    const { reports, trace } = await runTraced({ script, directory, doing, sync, strace: { expressions, trace: join(home, 'trace') } })
    const outcome = judge(reports, trace, code)
    try {
      await checkAfter(directory, [...eventsBefore, ...eventsOf(reports)])
    } catch (violation) {
      throw new Error(`${call} ${error}, time ${nth}: ${String(violation)}\n${trace}`, { cause: violation })
    }
    return { met: trace.includes('(INJECTED)'), outcome }
  }

  function judge(reports: readonly Report[], trace: string, code: Case['code']): string {
    const wrong = reportsOf(reports, 'wrong')
    expect(wrong, trace).toEqual([])
    // Truncation that can't read what it has to, or make durable what a cursor says, is refused, and nothing else comes of it; nor of a
    // cursor that can't be written.
    const isAlone = ({ call, code, state }: ReportOf<'rejected'>): boolean =>
      state === 'open' && (call === 'cursor' || call === 'commit' || (call.startsWith('truncate') && code === 'ERR_WAL_READ_FAILED') || (call === 'truncateBefore' && code === 'ERR_WAL_SYNC_FAILED'))
    const rejected = reportsOf(reports, 'rejected').filter((rejection) => !isAlone(rejection))
    const [first] = rejected
    const [end] = reportsOf(reports, 'end')
    const codes = new Set(rejected.map((rejection) => rejection.code))
    expect([...codes].filter((each) => !each.startsWith('ERR_WAL_')), trace).toEqual([])
    if (first?.call === 'open') {
      if (code !== undefined && trace.includes('(INJECTED)')) expect(first.code, trace).toBe(code)
      expect(rejected.length, 'calls after an opening that failed').toBe(1)
      return `open: ${first.code}`
    }
    if (end === undefined) throw new Error(`the writer did not come to its end:\n${trace}`)
    if (end.failure === 'none') {
      // Lack of space is no failure: the log goes on, and closes.
      expect([...codes].filter((each) => each !== 'ERR_WAL_NO_SPACE')).toEqual([])
      expect(end, trace).toMatchObject({ state: 'closed', closing: 'none' })
      // A cursor syncs the log's directory, too: where its own stands in it. A truncation syncs theirs.
      const isRefused = (refused: string): boolean => reportsOf(reports, 'rejected').some(({ call, state }) => call === refused && state === 'open')
      const isOfCursor = (line: string): boolean =>
        line.startsWith('fsync(') && ((line.includes('/log>') && isRefused('cursor')) || (line.includes('/cursors>') && isRefused('truncateBefore')))
      if (code !== undefined && code !== 'ERR_WAL_NO_SPACE') expect(refusedInEarnest(trace).filter((line) => !isOfCursor(line)), trace).toEqual([])
      return codes.size === 0 ? 'met nothing that matters' : 'refused for lack of space'
    }
    expect(end, trace).toMatchObject({ state: 'failed', closing: 'ERR_WAL_FAILED' })
    if (code !== undefined && code !== 'ERR_WAL_NO_SPACE') expect(end.failure, trace).toBe(code)
    // In flight: the failure itself. Behind it: that the log has failed.
    const before = new Set<string>([end.failure, 'ERR_WAL_NO_SPACE'])
    const firstAfter = rejected.findIndex((rejection) => rejection.code === 'ERR_WAL_FAILED')
    if (firstAfter >= 0) expect([...new Set(rejected.slice(firstAfter).map((each) => each.code))]).toEqual(['ERR_WAL_FAILED'])
    for (const each of firstAfter < 0 ? rejected : rejected.slice(0, firstAfter)) expect(before).toContain(each.code)
    return end.stateBefore === 'failed' ? `failed: ${end.failure}` : `failed at close: ${end.failure}`
  }
})

describe('a disk that is full', () => {
  it('refuses what waits and goes on: truncateBefore makes room on a full ext4', { timeout: 120_000 }, (context) => fillUp(context, 'ext4'))
  it('refuses what waits and goes on: truncateBefore makes room on a full XFS', { timeout: 120_000 }, (context) => fillUp(context, 'xfs'))

  async function fillUp(context: { skip(condition: boolean, note?: string): void }, name: 'ext4' | 'xfs'): Promise<void> {
    const reason = skipReason(whyNot(name))
    context.skip(reason !== undefined, reason)
    const mount = new Mount(join(home, `full-${name}`))
    mounts.push(mount)
    const image = join(home, `full-${name}.img`)
    makeImage(image, name, (name === 'xfs' ? 320 : 16) * 1024 ** 2)
    mount.mount('-o', 'loop', image)
    const free = Number(run('df', '--output=avail', '-B1', mount.directory).split('\n')[1])
    run('fallocate', '-l', String(free - 6 * 1024 ** 2), join(mount.directory, 'ballast'))
    const directory = join(mount.directory, 'log')
    const { reports } = await runTraced({ script, directory, doing: 'untilFull', sync: 'always' })
    expect(reportsOf(reports, 'wrong')).toEqual([])
    const rejected = reportsOf(reports, 'rejected')
    expect(new Set(rejected.map(({ code, state }) => `${code} ${state}`))).toEqual(new Set(['ERR_WAL_NO_SPACE open']))
    expect(rejected.some(({ call }) => call === 'truncateBefore')).toBe(false)
    expect(reportsOf(reports, 'truncated').length).toBe(3)
    expect(reportsOf(reports, 'end')).toMatchObject([{ state: 'closed', closing: 'none' }])
    console.log(`full ${name}: ${rejected.length} refused, ${reportsOf(reports, 'append').length} appends asked for`)
    await checkAfter(directory, eventsOf(reports))
    mount.unmount()
  }

  /**
   * The loop driver takes a write that its file had only half the room for as done (lo_complete_rq, drivers/block/loop.c): it
   * would lie about what it has. A page at a time it either has it, or says so.
   */
  function reportShortWrites(mount: Mount): void {
    const device = run('findmnt', '-n', '-o', 'SOURCE', mount.directory).trim()
    writeFileSync(`/sys/block/${basename(device)}/queue/max_sectors_kb`, '4')
  }

  it.for(['ext4', 'xfs'] as const)('below %s, found by its writeback, fails the log closed, and all that was acknowledged is there once it has room', { timeout: 120_000 }, async (name, context) => {
    const reason = skipReason(whyNot(name))
    context.skip(reason !== undefined, reason)
    // The device is a file on a file system of its own, which has no room for what the device promises.
    const below = new Mount(join(home, `below-${name}`))
    const above = new Mount(join(home, `above-${name}`))
    mounts.push(below, above)
    const size = name === 'xfs' ? 96 : 24
    below.mount('-t', 'tmpfs', '-o', `size=${size}M`, 'tmpfs')
    const image = join(below.directory, 'image')
    makeImage(image, name, (name === 'xfs' ? 400 : 128) * 1024 ** 2)
    above.mount('-o', 'loop', image)
    reportShortWrites(above)
    const directory = join(above.directory, 'log')
    mkdirSync(directory)
    run('sync', '-f', directory)
    run('fallocate', '-l', String(Number(run('df', '--output=avail', '-B1', below.directory).split('\n')[1]) - 4 * 1024 ** 2), join(below.directory, 'ballast'))

    const { reports } = await runTraced({ script, directory, doing: 'untilFull', sync: 'always' })
    expect(reportsOf(reports, 'wrong')).toEqual([])
    const [end] = reportsOf(reports, 'end')
    expect(end).toMatchObject({ state: 'failed', closing: 'ERR_WAL_FAILED' })
    expect(['ERR_WAL_SYNC_FAILED', 'ERR_WAL_WRITE_FAILED']).toContain(end?.failure)
    console.log(`full below ${name}: ${end?.failure ?? ''} after ${reportsOf(reports, 'append').length} appends were asked for`)

    above.unmount()
    rmSync(join(below.directory, 'ballast'))
    run('mount', '-o', 'remount,size=90%', below.directory)
    above.mount('-o', 'loop', image)
    await checkAfter(directory, eventsOf(reports))
    above.unmount()
    below.unmount()
  })
})
