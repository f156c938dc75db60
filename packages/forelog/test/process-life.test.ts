/** What a log has to do with the life of its process: an open one keeps none alive, and work that is not done does. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { WriteAheadLog } from '../src/write-ahead-log.js'
import { type Compiled, compile } from './proofs/real-writer/compile.js'
import type { Ending } from './process-life/follow-reader.js'
import type { LastWords, Scenario } from './process-life/open-log.js'

let compiled: Compiled
let directory: string

beforeAll(() => {
  compiled = compile('../process-life')
})

afterAll(() => compiled.remove())

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'forelog-life-'))
})

afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
})

/** Runs a process that does nothing to end itself, and gives its last words. */
async function lifeOf(scenario: Scenario): Promise<LastWords> {
  const child = spawn(process.execPath, [compiled.path('../process-life/open-log.ts'), directory, scenario], { stdio: ['ignore', 'pipe', 'inherit'] })
  const killer = setTimeout(() => child.kill('SIGKILL'), 30_000)
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (more: string) => (text += more))
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
  clearTimeout(killer)
  expect({ code, signal }, `${scenario}: it should have ended by itself`).toEqual({ code: 0, signal: null })
  return JSON.parse(text) as LastWords
}

it.for<[Scenario, string]>([
  ['idle', 'nothing under way'],
  ['interval idle', "sync: 'interval' and nothing unsynced"],
  ['interval synced', "sync: 'interval' whose data was synced by hand"],
  ['manual', "sync: 'manual' and unsynced data"],
  ['reading', 'an iterator that was left in the middle'],
])('an open log keeps no process alive: %s, %s', async ([scenario]) => {
  const words = await lifeOf(scenario)
  expect(words.state).toBe('open')
  // Its lock has ended with it, and what it acknowledged is there.
  const log = await WriteAheadLog.open(directory)
  expect(log.lastOffset).toBe(words.lastOffset)
  await log.close()
})

it.for<[Scenario, string]>([
  ['append', 'append'],
  ['delayed append', 'append that waits for syncDelay'],
  ['batch', 'appendBatch'],
])('an unsettled append keeps the process alive: %s', async ([scenario]) => {
  const words = await lifeOf(scenario)
  expect(words).toMatchObject({ state: 'open', settled: true })
  expect(words.durableOffset).toBe(words.lastOffset)
  expect(words.lastOffset).toBeGreaterThan(0)
})

it("unsynced data keeps the process alive under sync: 'interval', until it is synced", async () => {
  expect(await lifeOf('interval')).toEqual({ state: 'open', settled: true, lastOffset: 1, durableOffset: 1 })
})

it("unsynced data keeps no process alive under sync: 'manual'", async () => {
  expect(await lifeOf('manual')).toEqual({ state: 'open', settled: true, lastOffset: 1, durableOffset: 0 })
})

it('a close that nobody waits for keeps the process alive to its end', async () => {
  expect(await lifeOf('close')).toMatchObject({ state: 'closed', lastOffset: 1, durableOffset: 1 })
  const log = await WriteAheadLog.open(directory)
  expect(log.recovery.clean).toBe(true)
  await log.close()
})

it.for<Ending>(['abort', 'close', 'break', 'return', 'SIGTERM', 'cursor: abort', 'cursor: close', 'cursor: SIGTERM'])(
  'a follower of the log of another process keeps its own alive while it waits, and no longer: %s',
  async (ending) => {
    await using log = await WriteAheadLog.open(directory)
    await log.append(new Uint8Array(1))
    const child = spawn(process.execPath, [compiled.path('../process-life/follow-reader.ts'), directory, ending], { stdio: ['ignore', 'pipe', 'inherit'] })
    const killer = setTimeout(() => child.kill('SIGKILL'), 30_000)
    const ended = once(child, 'close')
    const lines: string[] = []
    let ticks = 0
    for await (const line of createInterface({ input: child.stdout })) {
      if (line !== 'tick') {
        lines.push(line)
        ticks = 0
      } else if (++ticks === 5) {
        // It has had nothing to do for a while.
        if (log.lastOffset === 1) await log.append(new Uint8Array(1))
        else if (ending.endsWith('SIGTERM')) child.kill('SIGTERM')
      }
    }
    clearTimeout(killer)
    expect({ ended: await ended, lines }).toEqual({ ended: [0, null], lines: ['1', '2', 'over'] })
  },
)
