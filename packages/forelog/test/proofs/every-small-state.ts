/**
 * Line 2 of docs/RELIABILITY.md: scripted workloads on a simulated disk; behind each call, every subset of the unsynced
 * sectors, sizes, cuts and names is a crash of its own, and each is opened and held against what the script was told.
 */
import { createHash } from 'node:crypto'
import { type Cursor, type CursorInfo, WriteAheadLog } from '../../src/index.js'
import { SimulatedDisk } from '../../src/testing/index.js'
import { Expectation, type LogEvent, type ReadLog } from './log-journal.js'
import { textEntries, textEntry } from './text-entries.js'

const directory = '/data/log'

/** A script: what it does with a log, step by step, writing down what it asked and was told. */
export interface Script {
  readonly name: string
  /** Default: 2. */
  readonly format?: 1 | 2
  /** Not so many states that those of their recoveries would take too long. */
  readonly withoutRecoveries?: true
  /** States, and pieces that were unsynced at once, that it has at the least. */
  readonly floors: { readonly states: number; readonly unsynced: number }
  run(life: Life): Promise<void>
}

/** A log of either format, as far as the proofs use it. */
export interface ScriptedLog extends ReadLog {
  appendBatch(payloads: readonly string[]): Promise<unknown>
  truncateBefore(offset: number): Promise<void>
  truncateAfter(offset: number): Promise<void>
  cursor(name: string): Promise<Cursor<unknown>>
  cursors(): Promise<CursorInfo[]>
  close(): Promise<void>
}

export async function openScripted(
  fileSystem: SimulatedDisk,
  { format = 2, ...options }: { format?: 1 | 2; maxSegmentSize?: number; sync?: 'always' | 'manual' } = {},
): Promise<ScriptedLog> {
  if (format === 1) {
    const log = await WriteAheadLog.open(directory, { ...options, fileSystem, format: 1, entries: textEntries })
    return scripted(log, (payload) => textEntry(payload))
  }
  return scripted(await WriteAheadLog.open(directory, { ...options, fileSystem }), (payload) => Buffer.from(payload, 'latin1'))
}

function scripted<I>(log: WriteAheadLog<I, { readonly payload: Uint8Array }>, entryOf: (payload: string) => I): ScriptedLog {
  return {
    get firstOffset() {
      return log.firstOffset
    },
    get lastOffset() {
      return log.lastOffset
    },
    entriesSync: () => log.entriesSync(),
    appendBatch: (payloads) => log.appendBatch(payloads.map(entryOf)),
    truncateBefore: (offset) => log.truncateBefore(offset),
    truncateAfter: (offset) => log.truncateAfter(offset),
    cursor: (name) => log.cursor(name, { follow: false }),
    cursors: () => log.cursors(),
    close: () => log.close(),
  }
}

/** A disk, and the journal of all that was done on it. */
export class Life {
  readonly journal: LogEvent[] = []
  readonly disk: SimulatedDisk
  readonly format: 1 | 2
  #last = 0
  #payloads = 0

  constructor(disk: SimulatedDisk, format: 1 | 2) {
    this.disk = disk
    this.format = format
  }

  async open(maxSegmentSize: number, sync: 'always' | 'manual' = 'always'): Promise<ScriptedLog> {
    const log = await openScripted(this.disk, { format: this.format, maxSegmentSize, sync })
    this.journal.push({ kind: 'opened', firstOffset: log.firstOffset, lastOffset: log.lastOffset })
    this.#last = log.lastOffset
    return log
  }

  async append(log: ScriptedLog, count: number, bytes: number, durable = true): Promise<void> {
    const payloads = Array.from({ length: count }, () => `${++this.#payloads}:`.padEnd(bytes, 'x'))
    // In format 1 a batch is no more than entries one behind the other.
    this.journal.push({ kind: 'append', first: this.#last + 1, payloads, batch: count > 1 && this.format === 2 })
    this.#last += count
    await log.appendBatch(payloads)
    if (durable) this.journal.push({ kind: 'durable', last: this.#last })
  }

  /** @param beyond where it is asked for, when a cursor holds what is behind `offset` */
  async truncateBefore(log: ScriptedLog, offset: number, beyond = offset): Promise<void> {
    this.journal.push({ kind: 'truncate', offset })
    await log.truncateBefore(beyond)
    // Format 1 frees whole segments only.
    this.journal.push({ kind: 'truncated', offset: this.format === 2 ? offset : log.firstOffset })
  }

  async openCursor(log: ScriptedLog, expected: number): Promise<Cursor<unknown>> {
    this.journal.push({ kind: 'committing', offset: expected })
    const cursor = await log.cursor('position')
    if (cursor.offset !== expected) throw new Error(`the cursor stands at ${cursor.offset}, and not at ${expected}`)
    this.journal.push({ kind: 'position', offset: expected })
    return cursor
  }

  /** To the end. */
  async goOn(cursor: Cursor<unknown>, end: number): Promise<void> {
    for await (const { offset } of cursor) {
      if (offset !== end) continue
      this.journal.push({ kind: 'committing', offset })
      await cursor.commit(offset)
      this.journal.push({ kind: 'committed', offset })
    }
  }

  async truncateAfter(log: ScriptedLog, offset: number): Promise<void> {
    this.journal.push({ kind: 'cutting', offset })
    await log.truncateAfter(offset)
    this.journal.push({ kind: 'cut', offset })
    this.#last = offset
  }

  async close(log: ScriptedLog): Promise<void> {
    await log.close()
    this.journal.push({ kind: 'durable', last: this.#last })
  }
}

export const scripts: readonly Script[] = [
  {
    name: 'a new log, three groups, a clean close',
    floors: { states: 45, unsynced: 3 },
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
    floors: { states: 140, unsynced: 3 },
    async run(life) {
      const log = await life.open(1)
      for (let entries = 1; entries <= 4; entries++) await life.append(log, entries, 30)
      await life.close(log)
      const again = await life.open(1)
      await life.append(again, 2, 30)
      await life.close(again)
    },
  },
  {
    name: 'two unsynced groups, then a sync by closing',
    floors: { states: 45, unsynced: 3 },
    async run(life) {
      const log = await life.open(5000, 'manual')
      await life.append(log, 2, 100, false)
      await life.append(log, 2, 300, false)
      await life.close(log)
    },
  },
  {
    name: 'a truncation that frees segments',
    floors: { states: 190, unsynced: 3 },
    async run(life) {
      const log = await life.open(1)
      for (let group = 0; group < 5; group++) await life.append(log, 1, 40)
      await life.truncateBefore(log, 5)
      await life.append(log, 1, 40)
      await life.truncateBefore(log, 7)
      await life.close(log)
    },
  },
  {
    name: 'a truncation on a full disk',
    floors: { states: 170, unsynced: 3 },
    async run(life) {
      const log = await life.open(1)
      for (let group = 0; group < 4; group++) await life.append(log, 1, 400)
      // Only what an emptied segment gives back makes room for the mark.
      life.disk.fail({ kind: 'write', code: 'ENOSPC', bytes: 0 })
      await life.truncateBefore(log, 4)
      await life.close(log)
      const again = await life.open(1)
      await life.append(again, 1, 40)
      await life.close(again)
    },
  },
  {
    name: 'a cut in the newest segment, and entries that take the same offsets',
    floors: { states: 50, unsynced: 2 },
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
    floors: { states: 100, unsynced: 2 },
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
    floors: { states: 100, unsynced: 2 },
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
    name: 'a cursor that is made, goes on, holds what it needs, and is cut back',
    floors: { states: 100, unsynced: 3 },
    async run(life) {
      const log = await life.open(1)
      for (let group = 0; group < 2; group++) await life.append(log, 1, 40)
      const cursor = await life.openCursor(log, 0)
      await life.goOn(cursor, 1)
      await life.append(log, 1, 40)
      await life.truncateBefore(log, 2, 4)
      await life.goOn(cursor, 3)
      await life.truncateAfter(log, 2)
      await life.append(log, 2, 40)
      await life.truncateBefore(log, 3, 5)
      await life.close(log)
      const again = await life.open(1)
      await life.goOn(await life.openCursor(again, 2), 4)
      await life.close(again)
    },
  },
  {
    name: 'a recovery that cuts a torn tail',
    floors: { states: 80, unsynced: 4 },
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
  {
    name: 'groups of many sectors that nobody synced',
    withoutRecoveries: true,
    floors: { states: 2500, unsynced: 11 },
    async run(life) {
      const log = await life.open(20_000, 'manual')
      await life.append(log, 3, 500, false)
      await life.append(log, 1, 1100, false)
      await life.append(log, 2, 900, false)
      await life.close(log)
    },
  },
  {
    name: 'format 1: groups, rolls, a reopening, a truncation',
    format: 1,
    floors: { states: 60, unsynced: 3 },
    async run(life) {
      const log = await life.open(300)
      await life.append(log, 1, 200)
      await life.append(log, 3, 90)
      await life.append(log, 2, 260)
      await life.close(log)
      const again = await life.open(300)
      await life.append(again, 1, 700)
      await life.append(again, 1, 30)
      await life.truncateBefore(again, 6)
      await life.close(again)
    },
  },
  {
    name: 'format 1: groups that nobody synced',
    format: 1,
    floors: { states: 70, unsynced: 6 },
    async run(life) {
      const log = await life.open(20_000, 'manual')
      await life.append(log, 3, 300, false)
      await life.append(log, 2, 700, false)
      await life.close(log)
    },
  },
]

export interface StateTally {
  calls: number
  states: number
  /** Of those, in the middle of an opening that recovers from another state. */
  ofRecoveries: number
  /** The most pieces (sectors, sizes, cuts, names) that were unsynced at once: all their subsets were tried. */
  mostUnsynced: number
  /** Calls at which there were more subsets than the limit, and which were passed over. */
  passedOver: number
}

interface State {
  readonly disk: SimulatedDisk
  readonly events: readonly LogEvent[]
}

/** Tries every state of a script, as long as a call leaves at most `limit` of them. */
export async function everyState(script: Script, limit: number): Promise<StateTally> {
  const tally = { calls: 0, states: 0, ofRecoveries: 0, mostUnsynced: 0, passedOver: 0 }
  const disk = new SimulatedDisk({ seed: 1, directories: ['/data'] })
  const life = new Life(disk, script.format ?? 2)
  const found = new States(disk, () => life.journal, limit, tally)
  await script.run(life)
  disk.onCall = undefined
  // A state of a recovery says no more than it said in another one with the same files.
  const seen = new Set<string>()
  for (const state of found.states) {
    tally.states++
    const again = script.withoutRecoveries ? undefined : new States(state.disk, () => state.events, limit, tally)
    await checkState(script, state)
    for (const nested of again?.states ?? []) {
      const key = `${state.events.length} ${fingerprint(nested.disk)}`
      if (seen.has(key)) continue
      seen.add(key)
      tally.ofRecoveries++
      await checkState(script, nested)
    }
  }
  return tally
}

/** Gathers all states that a crash can leave behind each call on a disk. */
class States {
  readonly states: State[] = []

  constructor(disk: SimulatedDisk, journal: () => readonly LogEvent[], limit: number, tally: StateTally) {
    let revision = -1
    disk.onCall = (_call, moment) => {
      if (moment === 'before') return
      tally.calls++
      if (disk.revision === revision) return
      revision = disk.revision
      const unsynced = disk.unsynced()
      try {
        const events = journal().slice()
        for (const outcome of disk.outcomes({ limit })) this.states.push({ disk: outcome, events })
        tally.mostUnsynced = Math.max(tally.mostUnsynced, unsynced.sectors + unsynced.sizes + unsynced.cuts + unsynced.names)
      } catch (error) {
        if (!(error instanceof RangeError)) throw error
        tally.passedOver++
      }
    }
  }
}

/** Opens a state twice, and holds what is found against what the script was told. */
async function checkState(script: Script, { disk, events }: State): Promise<void> {
  const { format = 2 } = script
  try {
    const log = await openScripted(disk, { format })
    disk.onCall = undefined
    const expectation = new Expectation(events)
    expectation.check(log)
    if (format === 2) expectation.checkCursor((await log.cursors())[0]?.offset ?? 'none', log)
    const { firstOffset, lastOffset } = log
    await log.close()
    const again = await openScripted(disk, { format })
    if (again.firstOffset !== firstOffset || again.lastOffset !== lastOffset) throw new Error('a second opening showed another log')
  } catch (error) {
    throw new Error(`${script.name}, behind ${events.length} events, ${JSON.stringify(disk.origin)}: ${String((error as Error).stack)}`, { cause: error })
  }
}

/** The names and bytes of a disk that came out of a crash. */
function fingerprint(disk: SimulatedDisk): string {
  const hash = createHash('sha1')
  const folders = [directory, `${directory}/quarantine`, `${directory}/cursors`]
  for (const folder of folders) {
    let names: string[]
    try {
      names = disk.listSync(folder)
    } catch {
      continue // it is not there
    }
    for (const name of names.sort()) {
      const path = `${folder}/${name}`
      if (!folders.includes(path)) hash.update(`${path}\0`).update(disk.contents(path)).update('\0')
    }
  }
  return hash.digest('hex')
}
