/*
 * A process that writes to real logs until it is killed, or its disk goes away. It reads its plan, an array of LifePlan, from
 * the first line of stdin and tells what happens on stdout; see plan.ts.
 */
import { once } from 'node:events'
import { writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { type RawEntry, WalError, WriteAheadLog } from '../../../src/index.js'
import { EntryChecker, entryAt, placeTypes, randomFrom, typesOfBatch } from './entries.js'
import { type LifePlan, nowUs, type ToldKind } from './plan.js'

function tell(kind: ToldKind, log: number, ...rest: (number | string)[]): void {
  let bytes = Buffer.from(`${[kind, log, nowUs(), ...rest].join(' ')}\n`)
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(writeSync(1, bytes))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
    }
  }
}

class Life {
  readonly #plan: LifePlan
  readonly #log: WriteAheadLog
  readonly #random: () => number
  #nextOffset: number
  #acked: number
  #ackTold = true
  #stopping = false
  #truncating = false
  #newestSegment = 0
  #rollTold = false

  constructor(plan: LifePlan, log: WriteAheadLog, random: () => number) {
    this.#plan = plan
    this.#log = log
    this.#random = random
    this.#nextOffset = log.lastOffset + 1
    this.#acked = log.lastOffset
  }

  /** Appends until the log is to be closed; rejects when it fails. */
  async run(): Promise<void> {
    this.#lookForRoll()
    await Promise.all(Array.from({ length: this.#plan.callers }, (_, caller) => this.#call(caller)))
    tell('closing', this.#plan.log)
    await this.#log.close()
    tell('closed', this.#plan.log)
  }

  async #call(caller: number): Promise<void> {
    const { batchShare, maxBatchEntries, callers, sync, closeShare } = this.#plan
    while (!this.#stopping) {
      if (this.#random() < batchShare) await this.#append(1 + Math.floor(this.#random() * maxBatchEntries))
      else if (callers === 1 && this.#random() < 0.3) this.#appendSync()
      else await this.#append(0)
      if (caller !== 0) continue
      if (sync !== 'always' && this.#random() < 0.1) {
        const before = this.#acked
        const durable = await this.#log.sync()
        if (durable < before) throw new Error(`sync() gave ${durable}, and ${before} was acknowledged before it was called`)
        this.#acknowledged(0)
      }
      if (this.#log.lastOffset - this.#log.firstOffset >= this.#plan.keepEntries) await this.#truncate()
      if (this.#random() < closeShare) this.#stopping = true
    }
  }

  /** @param batch entries of the batch, or 0 for an entry alone */
  async #append(batch: number): Promise<void> {
    const entries = this.#entries(batch === 0 ? [placeTypes.alone] : typesOfBatch(batch))
    const first = this.#nextOffset - entries.length
    tell('called', this.#plan.log, this.#nextOffset - 1)
    if (batch === 0) {
      const offset = await this.#log.append(entries[0] as RawEntry)
      if (offset !== first) throw new Error(`append gave offset ${offset} where ${first} was next`)
    } else {
      const given = await this.#log.appendBatch(entries)
      if (given.first !== first || given.last !== first + batch - 1) throw new Error(`appendBatch gave ${given.first} to ${given.last} where ${first} was next`)
    }
    this.#acknowledged(first + entries.length - 1)
  }

  #appendSync(): void {
    const entries = this.#entries([placeTypes.alone])
    tell('called', this.#plan.log, this.#nextOffset - 1)
    this.#acknowledged(this.#log.appendSync(entries[0] as RawEntry))
  }

  #entries(types: number[]): RawEntry[] {
    const { seed, life, maxPayloadBytes } = this.#plan
    return types.map((type) => entryAt(seed, life, this.#nextOffset++, type, maxPayloadBytes))
  }

  /** What resolves together is told together. */
  #acknowledged(last: number): void {
    this.#acked = Math.max(this.#acked, last)
    if (!this.#ackTold) return
    this.#ackTold = false
    queueMicrotask(() => {
      this.#ackTold = true
      const durable = this.#log.durableOffset
      tell('acked', this.#plan.log, this.#acked, this.#plan.sync === 'always' ? Math.max(durable, this.#acked) : durable)
      this.#lookForRoll()
    })
  }

  #lookForRoll(): void {
    const newest = this.#log.segments().at(-1)
    if (newest === undefined) return
    if (this.#rollTold && newest.id !== this.#newestSegment) {
      tell('rolled', this.#plan.log)
      this.#rollTold = false
    }
    this.#newestSegment = newest.id
    if (!this.#rollTold && newest.bytes >= this.#plan.maxSegmentSize) {
      tell('roll-due', this.#plan.log)
      this.#rollTold = true
    }
  }

  async #truncate(): Promise<void> {
    if (this.#truncating) return
    this.#truncating = true
    const offset = this.#log.lastOffset - Math.floor(this.#random() * this.#plan.keepEntries * 0.7)
    tell('truncating', this.#plan.log, offset)
    await this.#log.truncateBefore(offset)
    if (this.#log.firstOffset < offset) throw new Error(`truncated before ${offset}, and the log begins at ${this.#log.firstOffset}`)
    tell('truncated', this.#plan.log, offset)
    this.#truncating = false
  }
}

/** Opens, checks and writes, again and again. */
async function live(first: LifePlan): Promise<void> {
  const random = randomFrom(first.lifeSeed)
  const lives = [...first.lives]
  for (let life = first.life; ; life++) {
    const plan: LifePlan = { ...first, life }
    const { directory, sync, syncDelay, syncInterval, maxSegmentSize } = plan
    tell('opening', plan.log)
    let log: WriteAheadLog
    try {
      log = await WriteAheadLog.open(directory, {
        sync,
        maxSegmentSize,
        ...(syncDelay === undefined ? {} : { syncDelay }),
        ...(syncInterval === undefined ? {} : { syncInterval }),
      })
    } catch (error) {
      const { code, cause } = error as WalError
      // The disk went away meanwhile: nothing is known of the log.
      if (isOfSystem(cause) || isOfSystem(error)) return tell('failed', plan.log, code, 'opening')
      return tell('wrong', plan.log, JSON.stringify(`opening failed: ${String(error)}`))
    }
    try {
      const checker = new EntryChecker(plan.seed, plan.maxPayloadBytes, lives, log.firstOffset)
      for (const { offset, entry } of log.entriesSync()) checker.take(offset, entry)
      checker.end(log.lastOffset)
      const { clean, tornBytes, ambiguous } = log.recovery
      tell('opened', plan.log, life, log.firstOffset, log.lastOffset, Number(clean), tornBytes, Number(ambiguous))
      lives.push({ life, from: log.lastOffset + 1 })
      await new Life(plan, log, random).run()
      if (random() < 0.25) return
    } catch (error) {
      if (log.state !== 'failed' && !isOfSystem((error as WalError).cause)) return tell('wrong', plan.log, JSON.stringify((error as Error).stack ?? String(error)))
      return await failClosed(plan, log)
    }
  }
}

function isOfSystem(error: unknown): boolean {
  return typeof (error as NodeJS.ErrnoException | undefined)?.syscall === 'string'
}

/** A failed log takes nothing more, and lets go of all that it holds. */
async function failClosed({ log: id }: LifePlan, log: WriteAheadLog): Promise<void> {
  const code = async (promise: Promise<unknown>): Promise<string> =>
    await promise.then(
      () => 'none',
      (error: unknown) => (error instanceof WalError ? error.code : String(error)),
    )
  const codes = [await code(log.append(new Uint8Array(1))), await code(log.sync()), await code(log.close())]
  // A read is the first to meet a disk that is gone; the log finds out with the next write.
  if (log.state === 'failed' && codes.at(-1) === 'ERR_WAL_FAILED') return tell('failed', id, log.failure?.code ?? 'none', ...codes)
  tell('wrong', id, JSON.stringify(`after a failure the state is ${log.state}, and errors are ${codes.join(', ')}`))
}

tell('ready', 0)
const [line] = (await once(createInterface({ input: process.stdin }), 'line')) as [string]
await Promise.all((JSON.parse(line) as LifePlan[]).map(live))
// Stays until it is killed: who watches decides when it ends.
await once(process.stdin, 'end')
