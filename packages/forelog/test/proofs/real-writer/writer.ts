/*
 * A process that writes to real logs until it is killed, or its disk goes away. It reads its plan, an array of LifePlan, from
 * the first line of stdin and tells what happens on stdout; see plan.ts.
 */
import { once } from 'node:events'
import { writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { type Cursor, type RawEntry, WalError, WriteAheadLog } from '../../../src/index.js'
import { EntryChecker, entryAt, type LifeSpan, placeTypes, randomFrom, typesOfBatch } from './entries.js'
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
  readonly #cursor: Cursor<RawEntry>
  readonly #random: () => number
  /** Of the lives that it made. */
  readonly spans: LifeSpan[] = []
  /** What is appended is of this life; a truncation behind begins another one. */
  #life: number
  #nextOffset: number
  #acked: number
  #ackTold = true
  #cutting = false
  #stopping = false
  #truncating = false
  #newestSegment = 0
  #rollTold = false

  constructor(plan: LifePlan, log: WriteAheadLog, cursor: Cursor<RawEntry>, random: () => number) {
    this.#plan = plan
    this.#log = log
    this.#cursor = cursor
    this.#random = random
    this.#life = plan.life
    this.#nextOffset = log.lastOffset + 1
    this.#acked = log.lastOffset
    this.spans.push({ life: plan.life, from: this.#nextOffset })
  }

  /** Appends until the log is to be closed; the newest life. Rejects when it fails. */
  async run(): Promise<number> {
    this.#lookForRoll()
    await Promise.all(Array.from({ length: this.#plan.callers }, (_, caller) => this.#call(caller)))
    tell('closing', this.#plan.log)
    await this.#log.close()
    tell('closed', this.#plan.log)
    return this.#life
  }

  async #call(caller: number): Promise<void> {
    const { batchShare, maxBatchEntries, callers, sync, cutShare, commitShare, closeShare } = this.#plan
    while (!this.#stopping) {
      if (this.#random() < batchShare) await this.#append(1 + Math.floor(this.#random() * maxBatchEntries))
      else if (callers === 1 && this.#random() < 0.3) this.#appendSync()
      else await this.#append(0)
      if (caller !== 0) continue
      if (sync !== 'always' && this.#random() < 0.1) {
        const before = this.#acked
        const durable = await this.#log.sync()
        if (durable < before) throw new Error(`sync() gave ${durable}, and ${before} was acknowledged before it was called`)
        this.#acknowledged(0, this.#life)
      }
      if (this.#random() < commitShare) await this.#commit()
      if (this.#random() < cutShare) await this.#cut()
      if (this.#log.lastOffset - this.#log.firstOffset >= this.#plan.keepEntries) await this.#truncate()
      if (this.#random() < closeShare) this.#stopping = true
    }
  }

  /** @param batch entries of the batch, or 0 for an entry alone */
  async #append(batch: number): Promise<void> {
    const entries = this.#entries(batch === 0 ? [placeTypes.alone] : typesOfBatch(batch))
    const first = this.#nextOffset - entries.length
    const life = this.#life
    tell('called', this.#plan.log, this.#nextOffset - 1)
    if (batch === 0) {
      const offset = await this.#log.append(entries[0] as RawEntry)
      if (offset !== first) throw new Error(`append gave offset ${offset} where ${first} was next`)
    } else {
      const given = await this.#log.appendBatch(entries)
      if (given.first !== first || given.last !== first + batch - 1) throw new Error(`appendBatch gave ${given.first} to ${given.last} where ${first} was next`)
    }
    this.#acknowledged(first + entries.length - 1, life)
  }

  #appendSync(): void {
    const entries = this.#entries([placeTypes.alone])
    tell('called', this.#plan.log, this.#nextOffset - 1)
    this.#acknowledged(this.#log.appendSync(entries[0] as RawEntry), this.#life)
  }

  #entries(types: number[]): RawEntry[] {
    const { seed, maxPayloadBytes } = this.#plan
    return types.map((type) => entryAt(seed, this.#life, this.#nextOffset++, type, maxPayloadBytes))
  }

  /** What resolves together is told together. What a truncation that is under way removes is told no more. */
  #acknowledged(last: number, life: number): void {
    if (life !== this.#life) return
    this.#acked = Math.max(this.#acked, last)
    if (!this.#ackTold) return
    this.#ackTold = false
    queueMicrotask(() => this.#tellAcked())
  }

  #tellAcked(): void {
    if (this.#ackTold || this.#cutting) return
    this.#ackTold = true
    const durable = this.#log.durableOffset
    tell('acked', this.#plan.log, this.#acked, this.#plan.sync === 'always' ? Math.max(durable, this.#acked) : durable)
    this.#lookForRoll()
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
    const wanted = this.#log.lastOffset - Math.floor(this.#random() * this.#plan.keepEntries * 0.7)
    // Its cursor holds what it still needs.
    const offset = Math.min(wanted, this.#cursor.offset + 1)
    tell('truncating', this.#plan.log, offset)
    await this.#log.truncateBefore(wanted)
    if (this.#log.firstOffset < offset) throw new Error(`truncated before ${offset}, and the log begins at ${this.#log.firstOffset}`)
    tell('truncated', this.#plan.log, offset)
    this.#truncating = false
  }

  /** Cuts off the newest few, now and then nearly all; the other callers go on meanwhile, in their new life. */
  async #cut(): Promise<void> {
    const { firstOffset, lastOffset } = this.#log
    const most = lastOffset - firstOffset + 1
    if (most === 0) return
    const offset = lastOffset - 1 - Math.floor(this.#random() * (this.#random() < 0.2 ? most : Math.min(most, 8)))
    this.#tellAcked()
    this.#cutting = true
    this.#life++
    tell('cutting', this.#plan.log, offset, this.#life)
    const cut = this.#log.truncateAfter(offset)
    this.#nextOffset = offset + 1
    this.#acked = offset
    this.spans.push({ life: this.#life, from: this.#nextOffset, isCut: true })
    await cut
    tell('cut', this.#plan.log, offset)
    this.#cutting = false
    this.#tellAcked()
  }

  /** The cursor goes on by some entries, or to the end. */
  async #commit(): Promise<void> {
    const wanted = this.#random() < 0.5 ? Infinity : 1 + Math.floor(this.#random() * 40)
    let last: number | undefined
    let taken = 0
    for await (const { offset } of this.#cursor) {
      last = offset
      if (++taken >= wanted) break
    }
    if (last === undefined) return
    tell('committing', this.#plan.log, last)
    await this.#cursor.commit(last)
    tell('committed', this.#plan.log, last)
  }
}

/** Opens, checks and writes, again and again. */
async function live(first: LifePlan): Promise<void> {
  const random = randomFrom(first.lifeSeed)
  let { timelines } = first
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
      const { code } = error as WalError
      // The disk went away meanwhile: nothing is known of the log.
      if (isOfSystem(error)) return tell('failed', plan.log, code, 'opening')
      return tell('wrong', plan.log, JSON.stringify(`opening failed: ${String(error)}`))
    }
    try {
      const matching = timelinesOf(log, plan, timelines)
      const { clean, tornBytes, ambiguous } = log.recovery
      // What this process wrote itself has gone one way.
      const told = life === first.life ? matching : []
      tell('opened', plan.log, life, log.firstOffset, log.lastOffset, Number(clean), tornBytes, Number(ambiguous), ...told)
      const cursor = await log.cursor('position', { follow: false })
      tell('position', plan.log, cursor.offset)
      const lives = timelines[matching[0] as number] as readonly LifeSpan[]
      const running = new Life(plan, log, cursor, random)
      life = await running.run()
      timelines = [[...lives, ...running.spans]]
      if (random() < 0.25) return
    } catch (error) {
      if (log.state !== 'failed' && !isOfSystem(error)) return tell('wrong', plan.log, JSON.stringify((error as Error).stack ?? String(error)))
      return await failClosed(plan, log)
    }
  }
}

/** Which of the timelines the entries are of; throws what is wrong when there is none. */
function timelinesOf(log: WriteAheadLog, { seed, maxPayloadBytes }: LifePlan, timelines: LifePlan['timelines']): number[] {
  let possible = timelines.map((lives, index) => ({ index, checker: new EntryChecker(seed, maxPayloadBytes, lives, log.firstOffset) }))
  const keep = (check: (checker: EntryChecker) => void): void => {
    let wrong: unknown
    possible = possible.filter(({ checker }) => {
      try {
        check(checker)
        return true
      } catch (error) {
        wrong = error
        return false
      }
    })
    if (possible.length === 0) throw wrong
  }
  for (const { offset, entry } of log.entriesSync()) keep((checker) => checker.take(offset, entry))
  keep((checker) => checker.end(log.lastOffset))
  return possible.map(({ index }) => index)
}

/** Whether a refusal of the system is what an error comes from, however many errors stand around it. */
function isOfSystem(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return typeof (error as NodeJS.ErrnoException).syscall === 'string' || isOfSystem(error.cause)
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
