/**
 * Line 11 of docs/RELIABILITY.md: one log under fire. A writer that appends, truncates at both ends, closes and opens at random and is killed
 * again and again; followers in two other processes, in this one and in the writer's own. Nobody is shown a gap, a repeat, an entry that is lost
 * later, or one behind another that it never stood behind; and nothing that was acknowledged is missing.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { WriteAheadLog } from '../../src/index.js'
import { Effort, report, seed, timeout } from './effort.js'
import { type Compiled, compile } from './real-writer/compile.js'
import { randomFrom } from './real-writer/entries.js'
import { entryOfLink, linkOf } from './tortured/chain.js'
import { followChain } from './tortured/follow-chain.js'
import { Witness } from './tortured/witness.js'

/** Kills of the short form. */
const wanted = 20

let compiled: Compiled
let home: string

beforeAll(() => {
  compiled = compile('real-writer', 'tortured')
  home = mkdtempSync(join(tmpdir(), 'forelog-tortured-'))
})

afterAll(() => {
  rmSync(home, { recursive: true, force: true })
  compiled.remove()
})

/** A process that tells in lines what happens to it. */
class Teller {
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>
  readonly #waiting: { readonly kind: string; readonly done: () => void }[] = []

  constructor(script: string, args: readonly (string | number)[], onLine: (line: string) => void) {
    const child = spawn(process.execPath, [compiled.path(script), ...args.map(String)], { stdio: ['pipe', 'pipe', 'inherit'] })
    const lines = createInterface({ input: child.stdout })
    this.#child = child
    this.#ended = Promise.all([once(child, 'exit'), once(lines, 'close')])
    lines.on('line', (line) => {
      onLine(line)
      for (const { kind, done } of this.#waiting) if (line.startsWith(kind)) done()
    })
  }

  /** Resolves when it has told something of a kind so many times, or is gone. */
  async told(kind: string, times = 1): Promise<void> {
    let left = times
    const met = new Promise<void>((done) => this.#waiting.push({ kind, done: () => void (--left === 0 && done()) }))
    await Promise.race([met, this.#ended])
  }

  say(): void {
    this.#child.stdin?.write('\n')
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#ended
  }
}

it('followers of a log whose writer truncates and is killed see what stood there, each entry once', { timeout }, async (context) => {
  context.skip(process.platform === 'win32', 'Windows has no SIGKILL')
  const random = randomFrom(seed)
  const directory = join(home, 'log')
  const witness = new Witness()
  const reached = new Map<string, number>()
  let wrong: unknown
  const attempt = (take: () => void): void => {
    try {
      take()
    } catch (error) {
      wrong ??= error
    }
  }
  const startWriter = (): Teller => new Teller('tortured/writer.ts', [directory, Math.floor(random() * 2 ** 31), witness.newestSerial + 1], (line) => attempt(() => witness.take(line)))
  let writer = startWriter()
  await writer.told('opened')
  const followers = [1, 2].map((number) => {
    const follower = new Teller('tortured/follower.ts', [directory, seed * 10 + number], (line) => {
      const [kind, who, , serial] = line.split(' ')
      if (kind === 'shown') reached.set(`process ${number}, follower ${who}`, Number(serial))
      attempt(() => witness.take(line))
    })
    return follower
  })
  const reader = await WriteAheadLog.openReader(directory)
  const abort = new AbortController()
  const shown = {
    entry: (offset: number, serial: number) => {
      reached.set('this process', serial)
      attempt(() => witness.show(offset, serial))
    },
    outOfRange: () => void witness.outOfRange++,
  }
  const following = followChain(reader, { random: randomFrom(seed + 1), slow: false, hops: false }, shown, abort.signal).catch((error: unknown) => (wrong ??= error))
  const effort = new Effort(wanted)
  let kills = 0
  try {
    for (; wrong === undefined && effort.goesOn(kills); kills++) {
      if (random() < 0.85) await writer.told('acked', 1 + Math.floor(random() * 700))
      await writer.kill()
      writer = startWriter()
      if (random() < 0.9) await writer.told('opened')
    }
    writer.say()
    await writer.told('closed')
    await writer.kill()
    // One more, which a clean shutdown proves: until all have come to it.
    const log = await WriteAheadLog.open(directory)
    const before = [...log.entriesSync()].at(-1)
    const last = { serial: witness.newestSerial + 1, previous: before === undefined ? 0 : linkOf(before.entry).serial }
    attempt(() => witness.take(`called ${log.lastOffset + 1} ${last.serial}`))
    await log.append(entryOfLink(last, 0))
    await log.close()
    const steady = ['this process', ...[1, 2].flatMap((number) => [0, 1].map((who) => `process ${number}, follower ${who}`))]
    const isThere = (): boolean => steady.every((who) => reached.get(who) === last.serial)
    const endsAtMs = performance.now() + 60_000
    while (wrong === undefined && !isThere() && performance.now() < endsAtMs) await new Promise((resolve) => setImmediate(resolve))
    attempt(() => witness.end())
    expect(wrong).toBeUndefined()
    expect(steady.filter((who) => reached.get(who) !== last.serial)).toEqual([])
  } finally {
    abort.abort()
    await Promise.allSettled([writer, ...followers].map((process) => process.kill()))
    await following
    await reader.close()
  }
  const { acknowledged, cuts, fronts, openings, outOfRange } = witness
  report({ line: 11, name: 'one log under fire', tried: witness.shown, unit: `entries shown, seed ${seed}`, madeOf: { kills, openings, acknowledged, cuts, fronts, outOfRange } })
  for (const met of [cuts / kills, fronts / kills, outOfRange / kills, acknowledged / kills / 50, witness.shown / kills / 200]) expect(met).toBeGreaterThan(0.2)
})
