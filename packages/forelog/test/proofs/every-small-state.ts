/**
 * Line 2 of docs/RELIABILITY.md: scripted workloads on a simulated disk; behind each call, every subset of the unsynced
 * sectors, sizes, cuts and names is a crash of its own, and each is opened and held against what the script was told.
 */
import { WriteAheadLog } from '../../src/index.js'
import { SimulatedDisk } from '../../src/testing/index.js'
import { Expectation, type LogEvent } from './log-journal.js'

const directory = '/data/log'

/** A script: what it does with a log, step by step, writing down what it asked and was told. */
export interface Script {
  readonly name: string
  run(life: Life): Promise<void>
}

/** A disk, and the journal of all that was done on it. */
export class Life {
  readonly journal: LogEvent[] = []
  readonly disk: SimulatedDisk
  #last = 0
  #payloads = 0

  constructor(disk: SimulatedDisk) {
    this.disk = disk
  }

  async open(maxSegmentSize: number, sync: 'always' | 'manual' = 'always'): Promise<WriteAheadLog> {
    const log = await WriteAheadLog.open(directory, { fileSystem: this.disk, maxSegmentSize, sync })
    this.journal.push({ kind: 'opened', firstOffset: log.firstOffset, lastOffset: log.lastOffset })
    this.#last = log.lastOffset
    return log
  }

  async append(log: WriteAheadLog, count: number, bytes: number, durable = true): Promise<void> {
    const payloads = Array.from({ length: count }, () => `${++this.#payloads}:`.padEnd(bytes, 'x'))
    this.journal.push({ kind: 'append', first: this.#last + 1, payloads, batch: count > 1 })
    this.#last += count
    await log.appendBatch(payloads.map((payload) => Buffer.from(payload)))
    if (durable) this.journal.push({ kind: 'durable', last: this.#last })
  }

  async truncateBefore(log: WriteAheadLog, offset: number): Promise<void> {
    this.journal.push({ kind: 'truncate', offset })
    await log.truncateBefore(offset)
    this.journal.push({ kind: 'truncated', offset })
  }

  async truncateAfter(log: WriteAheadLog, offset: number): Promise<void> {
    this.journal.push({ kind: 'cutting', offset })
    await log.truncateAfter(offset)
    this.journal.push({ kind: 'cut', offset })
    this.#last = offset
  }

  async close(log: WriteAheadLog): Promise<void> {
    await log.close()
    this.journal.push({ kind: 'durable', last: this.#last })
  }
}

export const scripts: readonly Script[] = [
  {
    name: 'a new log, three groups, a clean close',
    async run(life) {
      const log = await life.open(1000)
      await life.append(log, 1, 20)
      await life.append(log, 3, 200)
      await life.append(log, 1, 700)
      await life.close(log)
    },
  },
  {
    name: 'rolls with every group, and a reopening',
    async run(life) {
      const log = await life.open(1)
      for (let entries = 1; entries <= 3; entries++) await life.append(log, entries, 30)
      await life.close(log)
      const again = await life.open(1)
      await life.append(again, 2, 30)
      await life.close(again)
    },
  },
  {
    name: 'two unsynced groups, then a sync by closing',
    async run(life) {
      const log = await life.open(5000, 'manual')
      await life.append(log, 2, 100, false)
      await life.append(log, 2, 300, false)
      await life.close(log)
    },
  },
  {
    name: 'a truncation that frees segments',
    async run(life) {
      const log = await life.open(1)
      for (let group = 0; group < 4; group++) await life.append(log, 1, 40)
      await life.truncateBefore(log, 4)
      await life.append(log, 1, 40)
      await life.truncateBefore(log, 6)
      await life.close(log)
    },
  },
  {
    name: 'a truncation on a full disk',
    async run(life) {
      const log = await life.open(1)
      for (let group = 0; group < 3; group++) await life.append(log, 1, 400)
      // Only what an emptied segment gives back makes room for the mark.
      life.disk.fail({ kind: 'write', code: 'ENOSPC', bytes: 0 })
      await life.truncateBefore(log, 3)
      await life.close(log)
      const again = await life.open(1)
      await life.append(again, 1, 40)
      await life.close(again)
    },
  },
  {
    name: 'a cut in the newest segment, and entries that take the same offsets',
    async run(life) {
      const log = await life.open(5000)
      await life.append(log, 3, 60)
      await life.append(log, 2, 60)
      await life.truncateAfter(log, 2)
      await life.append(log, 2, 90)
      await life.close(log)
    },
  },
  {
    name: 'cuts into older segments, a cut of a cut, and one of what was never synced',
    async run(life) {
      const log = await life.open(1, 'manual')
      for (let group = 0; group < 4; group++) await life.append(log, 1, 40, false)
      await life.truncateAfter(log, 3)
      await life.append(log, 2, 40, false)
      await life.truncateAfter(log, 4)
      await life.truncateAfter(log, 1)
      await life.append(log, 2, 40, false)
      await life.close(log)
      const again = await life.open(1)
      await life.truncateAfter(again, 2)
      await life.append(again, 1, 40)
      await life.close(again)
    },
  },
  {
    name: 'a cut behind a truncation in front, and one that empties the log',
    async run(life) {
      const log = await life.open(1)
      for (let group = 0; group < 4; group++) await life.append(log, 1, 40)
      await life.truncateBefore(log, 3)
      await life.truncateAfter(log, 3)
      await life.append(log, 1, 40)
      await life.truncateAfter(log, 2)
      await life.append(log, 1, 40)
      await life.close(log)
    },
  },
  {
    name: 'a recovery that cuts a torn tail',
    async run(life) {
      const log = await life.open(5000)
      await life.append(log, 2, 100)
      life.disk.fail({ kind: ['dataSync', 'sync'], code: 'EIO', syncFailure: 'ext4' })
      await life.append(log, 2, 600).catch(() => {})
      await log.close().catch(() => {})
      const again = await life.open(5000)
      await life.append(again, 1, 50)
      await life.close(again)
    },
  },
]

export interface StateTally {
  calls: number
  states: number
  /** The most pieces (sectors, sizes, cuts, names) that were unsynced at once: all their subsets were tried. */
  mostUnsynced: number
  /** Calls at which there were more subsets than the limit, and which were passed over. */
  passedOver: number
}

/** Tries every state of a script, as long as a call leaves at most `limit` of them. */
export async function everyState(script: Script, limit: number): Promise<StateTally> {
  const tally = { calls: 0, states: 0, mostUnsynced: 0, passedOver: 0 }
  const found: { readonly disk: SimulatedDisk; readonly events: number }[] = []
  const disk = new SimulatedDisk({ seed: 1, directories: ['/data'] })
  const life = new Life(disk)
  let revision = -1
  disk.onCall = (_call, moment) => {
    if (moment === 'before') return
    tally.calls++
    if (disk.revision === revision) return
    revision = disk.revision
    const unsynced = disk.unsynced()
    const pieces = unsynced.sectors + unsynced.sizes + unsynced.cuts + unsynced.names
    try {
      const outcomes = disk.outcomes({ limit })
      for (const outcome of outcomes) found.push({ disk: outcome, events: life.journal.length })
      tally.mostUnsynced = Math.max(tally.mostUnsynced, pieces)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      tally.passedOver++
    }
  }
  await script.run(life)
  disk.onCall = undefined
  for (const state of found) {
    tally.states++
    try {
      const log = await WriteAheadLog.open(directory, { fileSystem: state.disk })
      new Expectation(life.journal.slice(0, state.events)).check(log)
      await log.close()
      // Opening twice gives the same.
      const again = await WriteAheadLog.open(directory, { fileSystem: state.disk })
      if (again.firstOffset !== log.firstOffset || again.lastOffset !== log.lastOffset) throw new Error('a second opening showed another log')
    } catch (error) {
      throw new Error(`${script.name}, state ${tally.states}, ${JSON.stringify(state.disk.origin)}: ${String((error as Error).stack)}`, { cause: error })
    }
  }
  return tally
}
