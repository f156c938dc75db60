/*
 * A process that does what a script of its says with a real log, for somebody who makes its system calls fail or wait:
 * `scripted-writer.js <directory> <script> <mode>`. It says `ready`, begins at the first line of stdin, and tells on stdout what it
 * asked for and was told, one JSON value on each line. What fails does not end it.
 */
import { once } from 'node:events'
import { writeSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type Cursor, type OpenOptions, type RawEntry, type SyncMode, WalError, WriteAheadLog } from '../../../src/index.js'
import type { Report } from './traced-writer.js'

const [directory = '', script = '', mode = 'always'] = process.argv.slice(2)
const sync = mode as SyncMode

function tell(report: Report): void {
  writeSync(1, `${JSON.stringify(report)}\n`)
}

const codeOf = (error: unknown): string => (error instanceof WalError ? error.code : `no WalError: ${String(error)}`)

let payloads = 0

/** No two are the same. */
function newPayload(bytes = 700): string {
  return `${process.pid}-${payloads++}-`.padEnd(bytes, 'abcdefghijklmnopqrstuvwxyz')
}

/** A log, and the journal of what is asked of it. */
class JournaledLog {
  readonly log: WriteAheadLog
  #next: number
  #failed = false
  #cursor: Cursor<RawEntry> | undefined
  /** What the cursor is known to have committed: nothing behind it may be truncated. */
  #held = Infinity

  constructor(log: WriteAheadLog) {
    this.log = log
    this.#next = log.lastOffset + 1
    tell({ kind: 'opened', firstOffset: log.firstOffset, lastOffset: log.lastOffset })
  }

  async append(bytes?: number): Promise<void> {
    const payload = newPayload(bytes)
    const first = this.#announce([payload], false)
    await this.#settle('append', first, this.log.append(Buffer.from(payload)))
  }

  async appendBatch(count: number): Promise<void> {
    const batch = Array.from({ length: count }, () => newPayload())
    const first = this.#announce(batch, true)
    await this.#settle(
      'appendBatch',
      first,
      this.log.appendBatch(batch.map((payload) => Buffer.from(payload))).then((given) => given.first),
    )
  }

  appendSync(bytes?: number): void {
    const payload = newPayload(bytes)
    const first = this.#announce([payload], false)
    try {
      this.#resolved('appendSync', first, this.log.appendSync(Buffer.from(payload)))
    } catch (error) {
      this.#rejected('appendSync', first, error)
    }
  }

  async sync(): Promise<void> {
    await this.log.sync().then(
      (last) => tell({ kind: 'durable', last }),
      (error: unknown) => this.#rejected('sync', undefined, error),
    )
  }

  async truncateBefore(offset: number): Promise<void> {
    if (offset > this.log.lastOffset + 1) return
    tell({ kind: 'truncate', offset })
    await this.log.truncateBefore(offset).then(
      () => tell({ kind: 'truncated', offset: Math.min(offset, this.#held + 1) }),
      (error: unknown) => this.#rejected('truncateBefore', undefined, error),
    )
  }

  /** What is appended must wait until it is over: what then has these offsets would be hard to tell from what had them before. */
  async truncateAfter(offset: number): Promise<void> {
    if (offset >= this.log.lastOffset || offset < this.log.firstOffset - 1) return
    tell({ kind: 'cutting', offset })
    await this.log.truncateAfter(offset).then(
      () => {
        tell({ kind: 'cut', offset })
        this.#held = Math.min(this.#held, offset)
        this.#next = offset + 1
      },
      (error: unknown) => {
        this.#rejected('truncateAfter', undefined, error)
        if (this.log.state === 'open') tell({ kind: 'not cut', offset: this.log.lastOffset })
      },
    )
  }

  async openCursor(): Promise<void> {
    this.#held = this.log.firstOffset - 1
    tell({ kind: 'committing', offset: this.#held })
    await this.log.cursor('position', { follow: false }).then(
      (cursor) => {
        this.#cursor = cursor
        tell({ kind: 'position', offset: cursor.offset })
      },
      (error: unknown) => this.#rejected('cursor', undefined, error),
    )
  }

  async commit(offset: number): Promise<void> {
    if (this.#cursor === undefined || offset > this.log.durableOffset) return
    tell({ kind: 'committing', offset })
    await this.#cursor.commit(offset).then(
      () => {
        this.#held = offset
        tell({ kind: 'committed', offset })
      },
      (error: unknown) => this.#rejected('commit', undefined, error),
    )
  }

  /** The end, also of a failed log: afterwards a last word about its state. */
  async close(): Promise<void> {
    this.#tellDurable()
    const stateBefore = this.log.state
    let closing = 'none'
    try {
      await this.log.close()
      // A clean shutdown syncs all of it.
      tell({ kind: 'durable', last: this.log.lastOffset })
    } catch (error) {
      closing = codeOf(error)
    }
    tell({ kind: 'end', stateBefore, state: this.log.state, failure: this.log.failure?.code ?? 'none', closing })
  }

  #announce(batch: string[], isBatch: boolean): number {
    const first = this.#next
    this.#next += batch.length
    tell({ kind: 'append', first, payloads: batch, batch: isBatch })
    return first
  }

  async #settle(call: string, first: number, promise: Promise<number>): Promise<void> {
    await promise.then(
      (given) => this.#resolved(call, first, given),
      (error: unknown) => this.#rejected(call, first, error),
    )
  }

  #resolved(call: string, first: number, given: number): void {
    if (given !== first) tell({ kind: 'wrong', why: `${call} gave ${given} where ${first} was next` })
    if (this.#failed) tell({ kind: 'wrong', why: `${call} of ${first} was acknowledged after the log had failed` })
    this.#tellDurable()
  }

  #rejected(call: string, first: number | undefined, error: unknown): void {
    const code = codeOf(error)
    tell({ kind: 'rejected', call, code, state: this.log.state })
    if (this.log.state === 'failed') this.#failed = true
    // Refused alone, or with those that followed: their offsets are given again.
    if (first === undefined || this.#failed) return
    tell({ kind: 'refused', first })
    this.#next = Math.min(this.#next, first)
  }

  #tellDurable(): void {
    tell({ kind: 'durable', last: this.log.durableOffset })
  }
}

async function open(options: OpenOptions = {}): Promise<JournaledLog | undefined> {
  try {
    return new JournaledLog(await WriteAheadLog.open(directory, { sync, maxSegmentSize: 4_096, ...options }))
  } catch (error) {
    tell({ kind: 'rejected', call: 'open', code: codeOf(error), state: 'closed' })
    return undefined
  }
}

/** One of each, with several rolls. */
async function everything(): Promise<void> {
  const log = await open()
  if (log === undefined) return
  for (let index = 0; index < 3; index++) await log.append()
  await Promise.all(Array.from({ length: 6 }, () => log.append()))
  if (sync !== 'always') await log.sync()
  await log.appendBatch(3)
  await log.append(6_000)
  await log.openCursor()
  await log.commit(log.log.lastOffset - 1)
  await log.truncateBefore(log.log.lastOffset - 3)
  await Promise.all([log.append(), log.appendBatch(2), log.truncateAfter(log.log.lastOffset - 1)])
  await Promise.all([log.append(), log.appendBatch(2), log.append(), log.truncateBefore(log.log.lastOffset - 1), log.append()])
  await log.close()
}

/** The same calls to the system, but for opening and closing on the main thread. */
async function blocking(): Promise<void> {
  const log = await open()
  if (log === undefined) return
  for (let index = 0; index < 12; index++) log.appendSync(index === 5 ? 6_000 : undefined)
  await log.close()
}

/** An unclean log with a torn tail of its own is what it leaves, if it is killed at its last word. */
async function leave(): Promise<void> {
  const log = await open()
  for (let index = 0; index < 10; index++) await log?.append()
  tell({ kind: 'end', stateBefore: 'open', state: 'open', failure: 'none', closing: 'none' })
  await once(process.stdin, 'end')
}

/** Appends until the disk says no; then, when told that there is room again (or not), truncates and goes on. */
async function untilFull(): Promise<void> {
  const log = await open({ maxSegmentSize: 256 * 1024 })
  if (log === undefined) return
  for (let turn = 0; turn < 3; turn++) {
    let full = false
    while (!full && log.log.state === 'open') {
      const before = log.log.stats().refused.noSpace
      await Promise.all([log.append(20_000), log.appendBatch(4), log.append(3_000), log.append(100)])
      full = log.log.stats().refused.noSpace > before
    }
    if (log.log.state !== 'open') break
    // Nearly all of it: then there is room.
    await log.truncateBefore(log.log.lastOffset)
    await log.append(1_000)
  }
  await log.close()
}

async function timed(claim: string, call: () => unknown): Promise<void> {
  const began = performance.now()
  await call()
  tell({ kind: 'timed', claim, ms: performance.now() - began })
}

/** How long each call took that says that something is on stable storage, and those that don't say so. */
async function claims(): Promise<void> {
  const one = Buffer.alloc(1_000, 1)
  const options: OpenOptions = {
    sync,
    maxSegmentSize: 10_000,
    ...(script === 'claims-delayed' ? { syncDelay: 5 } : {}),
    ...(sync === 'interval' ? { syncInterval: 3_600_000 } : {}),
  }
  let log = await WriteAheadLog.open(directory, options)
  await timed('append', () => log.append(one))
  await timed('appendBatch', () => log.appendBatch([one, one]))
  await timed('appendSync', () => log.appendSync(one))
  // Each of them is appended while a sync is under way, or waits for one, that does not cover it.
  await Promise.all(Array.from({ length: 6 }, (_, turn) => ticks(turn).then(() => timed('append during a sync', () => log.append(one)))))
  await timed('append that rolls', () => log.appendBatch(Array.from({ length: 20 }, () => one)).then(() => log.append(one)))
  const unsynced = log.append(one)
  await timed('sync', () => log.sync())
  await unsynced
  const before = log.append(one)
  await timed('truncateBefore', () => log.truncateBefore(2))
  await before
  await timed('truncateAfter', () => log.truncateAfter(log.lastOffset - 1))
  await log.append(one)
  await timed('close', () => log.close())
  log = await WriteAheadLog.open(directory, options)
  void log.append(one)
  await timed('close with an append under way', () => log.close())
  tell({ kind: 'end', stateBefore: 'open', state: log.state, failure: 'none', closing: 'none' })
}

/** The same of a cursor. */
async function claimsOfCursor(): Promise<void> {
  const log = await WriteAheadLog.open(directory, { sync })
  for (let count = 0; count < 3; count++) await log.append(Buffer.alloc(1_000, 1))
  await log.sync()
  let cursor: Cursor<RawEntry> | undefined
  await timed('cursor', async () => (cursor = await log.cursor('position')))
  await timed('commit', async () => cursor?.commit(1))
  // Those that wait go together.
  await Promise.all([2, 3].map((offset) => timed('commit', async () => cursor?.commit(offset))))
  await log.close()
  tell({ kind: 'end', stateBefore: 'open', state: log.state, failure: 'none', closing: 'none' })
}

async function ticks(count: number): Promise<void> {
  for (let tick = 0; tick < count; tick++) await new Promise((resolve) => setImmediate(resolve))
}

const scripts: Record<string, () => Promise<void>> = { everything, blocking, leave, untilFull, claims, 'claims-delayed': claims, 'claims-cursor': claimsOfCursor }
// A log beforehand: what is loaded once is loaded, and the thread that makes the calls is there.
const rehearsal = await mkdtemp(join(tmpdir(), 'forelog-rehearsal-'))
await (await WriteAheadLog.open(rehearsal)).close()
await rm(rehearsal, { recursive: true })
const begun = once(createInterface({ input: process.stdin }), 'line')
tell({ kind: 'ready' })
await begun
await scripts[script]?.()
process.exit(0)
