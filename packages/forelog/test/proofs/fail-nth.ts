/**
 * Line 3 of docs/RELIABILITY.md: one script that does everything with a log; each of its calls to the disk fails, once or from then on,
 * in each way that a disk has; and what it acknowledged must be there, whatever a crash then takes.
 */
import { type Cursor, WalError } from '../../src/index.js'
import { type CrashChoice, crashModes, type Fault, SimulatedDisk } from '../../src/testing/index.js'
import { faultKinds, type FaultKind, faultName, onceAndForGood } from '../support/faults.js'
import { entryOf, type Log, openLog } from './either-format.js'
import { Expectation, type LogEvent } from './log-journal.js'
import { inVirtualTime } from './virtual-time.js'

export interface Setting {
  readonly format: 1 | 2
  readonly sync: 'always' | 'manual'
  readonly commit: 'inline' | 'background'
}

export const faults: readonly FaultKind[] = onceAndForGood(faultKinds)

export interface FailTally {
  /** Calls that failed, one after the other. */
  failed: number
  /** What came of them. */
  openRefused: number
  logFailed: number
  noSpace: number
  unharmed: number
  /** Crashes afterwards, each opened and held against what was told. */
  crashes: number
}

/** Fails each call of the script in turn. */
export async function failEach(setting: Setting, fault: FaultKind, every: number, tally: FailTally): Promise<void> {
  const template = await inVirtualTime(() => tornLog(setting))
  for (let at = 1; ; at += every) {
    const run = new Run(template, setting)
    try {
      const met = await inVirtualTime(() => run.run({ ...fault, at }, tally))
      if (!met) return
    } catch (error) {
      throw new Error(`${JSON.stringify(setting)}, ${faultName(fault)}, time ${at}, ${run.failedCall}: ${String((error as Error).stack)}`, { cause: error })
    }
  }
}

interface Template {
  readonly disk: SimulatedDisk
  readonly events: readonly LogEvent[]
}

/** A log that was not closed, and whose last group is torn: opening it has everything to do. */
async function tornLog({ format }: Setting): Promise<Template> {
  const disk = new SimulatedDisk({ seed: 3, directories: ['/data'] })
  const log = await openLog(disk, format, { maxSegmentSize: 700 })
  const events: LogEvent[] = [{ kind: 'opened', firstOffset: 1, lastOffset: 0 }]
  for (let offset = 1; offset <= 6; offset++) {
    const payload = `before ${offset} `.padEnd(150, 'b')
    events.push({ kind: 'append', first: offset, payloads: [payload], batch: false })
    await log.append(entryOf(payload, format))
    events.push({ kind: 'durable', last: offset })
  }
  const payload = 'torn '.padEnd(1500, 't')
  events.push({ kind: 'append', first: 7, payloads: [payload], batch: false })
  let torn: SimulatedDisk | undefined
  disk.onCall = ({ kind }, moment) => {
    if (kind === 'write' && moment === 'after') torn ??= disk.afterCrash({ mode: 'torn', seed: 5 })
  }
  await log.append(entryOf(payload, format))
  return { disk: torn as SimulatedDisk, events }
}

class Run {
  readonly #setting: Setting
  readonly #disk: SimulatedDisk
  readonly #journal: LogEvent[]
  #last = 0
  #payloads = 0
  #cursor: Cursor<unknown> | undefined
  /** The call that failed first. */
  failedCall = 'not met'

  constructor({ disk, events }: Template, setting: Setting) {
    this.#setting = setting
    this.#disk = disk.copy()
    this.#journal = [...events]
  }

  /** Whether the fault was met. */
  async run(fault: Fault, tally: FailTally): Promise<boolean> {
    const disk = this.#disk
    disk.fail(fault)
    disk.onCall = ({ kind, path, position }) => {
      if (disk.faultsTold === 1 && this.failedCall === 'not met') this.failedCall = `${kind} ${path} ${position ?? ''}`
    }
    let log: Log | undefined
    try {
      log = await openLog(disk, this.#setting.format, { maxSegmentSize: 1400, sync: this.#setting.sync, commit: this.#setting.commit })
    } catch (error) {
      this.#expectOurs(error)
      tally.openRefused++
    }
    if (log !== undefined) await this.#useAll(log, tally)
    if (disk.faultsTold === 0) return false
    tally.failed++
    disk.heal()
    if (disk.openFiles !== 0) throw new Error(`${disk.openFiles} files were left open`)
    await this.#check(tally)
    return true
  }

  async #useAll(log: Log, tally: FailTally): Promise<void> {
    this.#journal.push({ kind: 'opened', firstOffset: log.firstOffset, lastOffset: log.lastOffset })
    this.#last = log.lastOffset
    let refused = 0
    for (const step of this.#steps(log)) {
      const wasFailed = log.state === 'failed'
      try {
        await step()
        if (wasFailed) throw new Error('a failed log took something')
      } catch (error) {
        this.#expectOurs(error)
        const { code } = error as WalError
        if (wasFailed && code !== 'ERR_WAL_FAILED') throw new Error(`a failed log said ${code}`, { cause: error })
        // A truncation that can't read what a cursor holds is refused, and no more than that.
        const isOfCursor = (error as WalError).path?.includes('/cursors') === true
        if (log.state === 'open' && code !== 'ERR_WAL_NO_SPACE' && code !== 'ERR_WAL_READ_FAILED' && !isOfCursor) throw new Error(`a log that goes on said ${code}`, { cause: error })
        if (log.state === 'open') this.#takeBack(log)
        refused++
      }
    }
    await this.#close(log)
    if (log.state === 'failed') tally.logFailed++
    else if (refused > 0) tally.noSpace++
    else tally.unharmed++
  }

  *#steps(log: Log): Generator<() => Promise<void> | void> {
    const { sync } = this.#setting
    for (let count = 0; count < 4; count++) yield () => this.#append(log, 60)
    yield async () => {
      const results = await Promise.allSettled([this.#append(log, 10), this.#append(log, 90), this.#appendBatch(log, 3, 40)])
      for (const result of results) if (result.status === 'rejected') throw result.reason
    }
    if (sync === 'manual') yield () => this.#syncLog(log)
    yield () => this.#append(log, 900) // reaches the segment's limit
    yield () => this.#append(log, 30) // begins another one
    yield () => this.#appendSync(log, 50)
    // Opens the older segments, which stay open for the next reader.
    yield () => void [...log.entriesSync()]
    const hasCursors = this.#setting.format === 2
    if (hasCursors) yield () => this.#goOn(log, 2)
    yield () => this.#truncateBefore(log, 5)
    if (hasCursors) yield () => this.#goOn(log, log.durableOffset)
    yield () => this.#appendBatch(log, 2, 200)
    yield () => this.#truncateAfter(log, log.lastOffset - 1)
    for (let count = 0; count < 3; count++) yield () => this.#append(log, 80)
    yield () => this.#append(log, 1200)
  }

  #ask(count: number, bytes: number, batch: boolean): string[] {
    const payloads = Array.from({ length: count }, () => `${++this.#payloads}:`.padEnd(bytes, 'p'))
    this.#journal.push({ kind: 'append', first: this.#last + 1, payloads, batch: batch && this.#setting.format === 2 })
    this.#last += count
    return payloads
  }

  #acknowledged(last: number): void {
    if (this.#setting.sync === 'always') this.#journal.push({ kind: 'durable', last })
  }

  async #append(log: Log, bytes: number): Promise<void> {
    const [payload = ''] = this.#ask(1, bytes, false)
    const expected = this.#last
    const offset = await log.append(entryOf(payload, this.#setting.format))
    if (offset !== expected) throw new Error(`append gave ${offset} where ${expected} was next`)
    this.#acknowledged(expected)
  }

  async #appendBatch(log: Log, count: number, bytes: number): Promise<void> {
    const payloads = this.#ask(count, bytes, true)
    const { last } = await log.appendBatch(payloads.map((payload) => entryOf(payload, this.#setting.format)))
    this.#acknowledged(last)
  }

  #appendSync(log: Log, bytes: number): void {
    const [payload = ''] = this.#ask(1, bytes, false)
    log.appendSync(entryOf(payload, this.#setting.format))
    this.#acknowledged(this.#last)
  }

  async #syncLog(log: Log): Promise<void> {
    this.#journal.push({ kind: 'durable', last: await log.sync() })
  }

  /** A cursor is made, and committed: what fails there concerns nobody else, and it may be committed or not. */
  async #goOn(log: Log, offset: number): Promise<void> {
    if (log.state !== 'open') return await this.#append(log, 10)
    try {
      if (this.#cursor === undefined) {
        this.#journal.push({ kind: 'committing', offset: log.firstOffset - 1 })
        this.#cursor = await log.cursor('position', { follow: false })
        this.#journal.push({ kind: 'position', offset: this.#cursor.offset })
      }
      if (offset > log.durableOffset) return
      this.#journal.push({ kind: 'committing', offset })
      await this.#cursor.commit(offset)
      this.#journal.push({ kind: 'committed', offset })
    } catch (error) {
      if (log.state !== 'open') throw error
      this.#expectOurs(error)
    }
  }

  async #truncateBefore(log: Log, offset: number): Promise<void> {
    this.#journal.push({ kind: 'truncate', offset })
    await log.truncateBefore(offset)
    this.#journal.push({ kind: 'truncated', offset: log.firstOffset })
  }

  async #truncateAfter(log: Log, offset: number): Promise<void> {
    this.#journal.push({ kind: 'cutting', offset, anyEnd: this.#setting.format === 1 })
    await log.truncateAfter(offset)
    this.#last = offset
    this.#journal.push({ kind: 'cut', offset })
  }

  /** The log goes on, without what it refused. */
  #takeBack(log: Log): void {
    this.#journal.push({ kind: 'not cut', offset: log.lastOffset }, { kind: 'refused', first: log.lastOffset + 1 })
    this.#last = log.lastOffset
  }

  async #close(log: Log): Promise<void> {
    const wasFailed = log.state === 'failed'
    try {
      await log.close()
      if (wasFailed) throw new Error('a failed log closed without a word')
      this.#journal.push({ kind: 'durable', last: this.#last })
    } catch (error) {
      this.#expectOurs(error)
      if ((error as WalError).code !== 'ERR_WAL_FAILED' || log.state !== 'failed') throw new Error(`closing said ${(error as WalError).code}, state ${log.state}`, { cause: error })
    }
  }

  #expectOurs(error: unknown): void {
    if (!(error instanceof WalError) || !error.code.startsWith('ERR_WAL_')) throw error
  }

  /** Whatever is left of it: opened, held against what was told, and opened again. */
  async #check(tally: FailTally): Promise<void> {
    const choices: CrashChoice[] = crashModes.map((mode) => ({ mode, seed: 1 }))
    for (const choice of [...choices, { mode: 'random', seed: 2 }, { mode: 'random', seed: 3 }] as const) {
      tally.crashes++
      const left = this.#disk.afterCrash(choice)
      try {
        const log = await openLog(left, this.#setting.format)
        const expectation = new Expectation(this.#journal)
        expectation.check(log)
        if (this.#setting.format === 2) expectation.checkCursor((await log.cursors())[0]?.offset ?? 'none', log)
        const { firstOffset, lastOffset } = log
        await log.close()
        const again = await openLog(left, this.#setting.format)
        if (again.firstOffset !== firstOffset || again.lastOffset !== lastOffset) throw new Error('a second opening showed another log')
      } catch (error) {
        throw new Error(`after the crash ${JSON.stringify(choice)}: ${String((error as Error).message)}`, { cause: error })
      }
    }
  }
}

