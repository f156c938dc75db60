/*
 * A process that opens a log, does as its scenario says, and then nothing more: `node open-log.js <directory> <scenario>`.
 * When it ends, it prints how the log stood.
 */
import { writeSync } from 'node:fs'
import { type OpenOptions, WriteAheadLog } from '../../src/index.js'

export type Scenario =
  | 'idle'
  | 'interval idle'
  | 'interval synced'
  | 'interval'
  | 'manual'
  | 'reading'
  | 'append'
  | 'delayed append'
  | 'batch'
  | 'close'

export interface LastWords {
  readonly state: string
  /** Whether all that was appended had settled. */
  readonly settled: boolean
  readonly lastOffset: number
  readonly durableOffset: number
}

const hour = 3_600_000
const payload = new TextEncoder().encode('payload')
let settled = true

function unsettled(promise: Promise<unknown>): void {
  settled = false
  void promise.then(() => (settled = true))
}

const scenarios: Record<Scenario, { options?: OpenOptions; run(log: WriteAheadLog): Promise<unknown> | void }> = {
  idle: { run: (log) => log.append(payload) },
  'interval idle': { options: { sync: 'interval', syncInterval: hour }, run: () => {} },
  'interval synced': { options: { sync: 'interval', syncInterval: hour }, run: (log) => log.append(payload).then(() => log.sync()) },
  interval: { options: { sync: 'interval', syncInterval: 300 }, run: (log) => log.append(payload) },
  manual: { options: { sync: 'manual' }, run: (log) => log.append(payload) },
  reading: {
    run: async (log) => {
      await log.append(payload)
      await log.append(payload)
      await log.entries()[Symbol.asyncIterator]().next()
      log.entriesSync()[Symbol.iterator]().next()
    },
  },
  append: { run: (log) => unsettled(log.append(payload)) },
  'delayed append': { options: { syncDelay: 300 }, run: (log) => unsettled(log.append(payload)) },
  batch: { run: (log) => unsettled(log.appendBatch([payload, payload])) },
  close: {
    run: async (log) => {
      await log.append(payload)
      void log.close()
    },
  },
}

const [directory = '', scenario = 'idle'] = process.argv.slice(2)
const { options, run } = scenarios[scenario as Scenario]
const log = await WriteAheadLog.open(directory, options ?? {})
process.on('exit', () => {
  const words: LastWords = { state: log.state, settled, lastOffset: log.lastOffset, durableOffset: log.durableOffset }
  writeSync(1, JSON.stringify(words))
})
await run(log)
