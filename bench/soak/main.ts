/**
 * Does anything grow? A log lives for an hour, at a steady and small rate: appends one by one, in batches and large ones, followers and cursors in
 * this process and in another one, `get` and `entries`, rolls, retention, truncation in front and behind, closing and opening again. Each minute both
 * processes collect their garbage and say what they still hold; at the end a line is laid through these figures, by least squares.
 *
 *     npm run soak -- [--minutes 60] [--warm-up 10] [--pace 1] [--directory DIR] [--json FILE]
 *
 * `--pace 4` does in a minute what is done in four otherwise: what each piece of work leaves behind shows four times as fast, and an hour of
 * that work takes 15 minutes.
 *
 * Ends with 1 where one of them grows faster than its bound, by more than twice the standard error of its slope; or where a reader was
 * shown a gap, an entry twice, or something else than was appended.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { cpus, release, tmpdir, type } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type RawEntry, WriteAheadLog } from 'forelog'
import { type Figure, figures, grows, held, type Held, type Slope, slopeOf } from './measure.js'
import { checkPayload, makePayload } from './payloads.js'
import { type Counters, keepCommitting, keepFollowing, noCounters, pause, type Place } from './visitors.js'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '60' },
    'warm-up': { type: 'string' },
    pace: { type: 'string', default: '1' },
    directory: { type: 'string', default: tmpdir() },
    json: { type: 'string' },
  },
})
const minutes = Number(values.minutes)
const warmUpMinutes = values['warm-up'] === undefined ? Math.min(10, minutes / 4) : Number(values['warm-up'])
const pace = Number(values.pace)
if (!(pace >= 1 && pace <= 20)) throw new Error('--pace takes a number from 1 to 20')
if (!(minutes - warmUpMinutes >= 3)) throw new Error('three minutes behind the warm-up are needed at the least: a line through two points fits any')

/** What may be had more after an hour of the usual pace. */
const bounds: Readonly<Record<Figure, number>> = { heapMiB: 1, externalMiB: 2, arrayBuffersMiB: 2, rssMiB: 8, descriptors: 1 }

const mebibyte = 2 ** 20
const options = { maxSegmentSize: mebibyte, retention: { maxBytes: 32 * mebibyte } }
/** A turn of the load each: some appends of each kind. */
const turnMs = 50 / pace
/** Turns between two of a kind; they don't divide each other, so that all meet all others. */
const largeEvery = 53
const readEvery = 31
/** Twice as seldom as the limit of retention is reached. */
const truncateBeforeEvery = 4001
const truncateAfterEvery = 601
const openAgainEvery = 1009

interface Done {
  appends: number
  batches: number
  large: number
  gets: number
  reads: number
  truncatedBefore: number
  truncatedAfter: number
  openedAgain: number
  rolls: number
  segmentsDropped: number
}

interface Sample {
  readonly minute: number
  readonly writer: Held
  readonly reader: Held
  readonly directoryMiB: number
}

const directory = mkdtempSync(join(values.directory, 'forelog-soak-'))
const done: Done = { appends: 0, batches: 0, large: 0, gets: 0, reads: 0, truncatedBefore: 0, truncatedAfter: 0, openedAgain: 0, rolls: 0, segmentsDropped: 0 }
const counters = noCounters()
const ending = new AbortController()
let opened = WriteAheadLog.open(directory, options)
let isOver = false
const place: Place = { current: async () => (isOver ? undefined : opened) }

try {
  await opened
  const child = fork(fileURLToPath(new URL('reader.ts', import.meta.url)), [directory, String(pace)])
  const readers = [
    keepFollowing(place, counters),
    keepFollowing(place, counters),
    keepFollowing(place, counters, { pauseMs: 200 }),
    keepFollowing(place, counters, { stay: 300, signal: ending.signal }),
    keepCommitting(place, counters, 'shipper', true, 64),
    keepCommitting(place, counters, 'archive', false, 1000),
  ]
  const childExit = once(child, 'exit') as Promise<[number | null]>
  const failed = Promise.race([
    ...readers.map((each) => each.then(() => new Promise<never>(() => {}))),
    childExit.then(([code]) => (isOver && code === 0 ? undefined : Promise.reject(new Error(`the reader's process ended with ${code}`)))),
  ])
  const { samples, seen } = await Promise.race([live(child), failed.then(() => Promise.reject(new Error('unreachable')))])
  isOver = true
  child.send('end')
  countEnd(await opened)
  await (await opened).close()
  await Promise.all([...readers, childExit])
  process.exitCode = report(samples, seen) ? 0 : 1
} finally {
  rmSync(directory, { recursive: true, force: true })
}

async function live(child: ChildProcess): Promise<{ samples: Sample[]; seen: Counters }> {
  const samples: Sample[] = []
  let seen = noCounters()
  const beganMs = Date.now()
  const cpu = process.cpuUsage()
  const shareOfCore = (): number => {
    const { user, system } = process.cpuUsage(cpu)
    return (user + system) / 10 / (Date.now() - beganMs)
  }
  for (let number = 1; samples.length < minutes; number++) {
    await turn(number)
    const minute = (Date.now() - beganMs) / 60_000
    if (minute >= samples.length + 1) {
      child.send('held')
      const [answer] = (await once(child, 'message')) as [{ held: Held; counters: Counters }]
      seen = answer.counters
      samples.push({ minute: Math.round(minute * 100) / 100, writer: held(), reader: answer.held, directoryMiB: sizeOf(directory) / mebibyte })
      tell(samples.at(-1) as Sample, shareOfCore())
    }
    await pause(Math.max(1, beganMs + number * turnMs - Date.now()))
  }
  return { samples, seen }
}

async function turn(number: number): Promise<void> {
  const log = await opened
  const lengths = Array.from({ length: 20 }, (_, index) => 60 + ((number * 37 + index * 101) % 400))
  await Promise.all(lengths.map((length, index) => log.append(makePayload(length, number + index))))
  await log.appendBatch(lengths.map((length, index) => makePayload(length >> 1, number * 7 + index)))
  done.appends += lengths.length
  done.batches++
  if (number % largeEvery === 0) {
    await log.append(makePayload(mebibyte / 2 + number, number))
    done.large++
  }
  for (let count = 0; count < 3; count++) {
    const offset = log.lastOffset - Math.floor(Math.random() * Math.min(20_000, log.lastOffset - log.firstOffset))
    checkPayload((await log.get(offset)).entry.payload, offset)
    done.gets++
  }
  if (number % readEvery === 0) await read(log)
  if (number % truncateBeforeEvery === 0) {
    await log.truncateBefore(Math.max(log.firstOffset, log.lastOffset - 30_000))
    done.truncatedBefore++
  }
  if (number % truncateAfterEvery === 0) {
    await log.truncateAfter(log.lastOffset - (number % 50) - 1)
    done.truncatedAfter++
  }
  if (number % openAgainEvery === 0) await openAgain(log)
}

async function read(log: WriteAheadLog<RawEntry | Uint8Array, RawEntry>): Promise<void> {
  const from = Math.max(log.firstOffset, log.lastOffset - 2000)
  for await (const { offset, entry } of log.entries({ from, signal: ending.signal })) checkPayload(entry.payload, offset)
  for await (const batch of log.entries({ from, copy: false }).batches()) for (const { offset, entry } of batch) checkPayload(entry.payload, offset)
  done.reads += 2
}

async function openAgain(log: WriteAheadLog<RawEntry | Uint8Array, RawEntry>): Promise<void> {
  countEnd(log)
  opened = log.close().then(() => WriteAheadLog.open(directory, options))
  await opened
  done.openedAgain++
}

function countEnd(log: { stats(): { rolls: number; retention: { segmentsDropped: number } } }): void {
  const { rolls, retention } = log.stats()
  done.rolls += rolls
  done.segmentsDropped += retention.segmentsDropped
}

function sizeOf(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + (statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.size ?? 0), 0)
}

function tell({ minute, writer, reader, directoryMiB }: Sample, ofCore: number): void {
  const columns = (each: Held): string => figures.map((figure) => each[figure].toFixed(figure === 'descriptors' ? 0 : 2).padStart(7)).join('')
  if (minute < 2) console.log(`minute   writer: heap, external, buffers, rss, descriptors | reader: the same | directory, MiB | % of a core`)
  console.log(`${minute.toFixed(1).padStart(6)} ${columns(writer)} | ${columns(reader)} | ${directoryMiB.toFixed(0).padStart(4)} | ${ofCore.toFixed(1)}`)
}

/** Whether nothing grew. */
function report(samples: readonly Sample[], seen: Counters): boolean {
  const behindWarmUp = samples.filter(({ minute }) => minute > warmUpMinutes)
  const hours = behindWarmUp.map(({ minute }) => (minute * pace) / 60)
  const slopes: Record<string, Slope & { bound: number; holds: boolean }> = {}
  for (const side of ['writer', 'reader'] as const) {
    for (const figure of figures) {
      const slope = slopeOf(hours, behindWarmUp.map((sample) => sample[side][figure]))
      const bound = bounds[figure]
      const holds = !grows(slope, bound)
      slopes[`${side} ${figure}`] = { ...slope, bound, holds }
      console.log(`${side} ${figure}: ${slope.perHour.toFixed(2)} an hour${pace === 1 ? '' : ' of the usual pace'}, +- ${slope.error.toFixed(2)}; bound ${bound}${holds ? '' : '  EXCEEDED'}`)
    }
  }
  const work = { done, inProcess: counters, elsewhere: seen }
  console.log(JSON.stringify(work))
  if (values.json !== undefined) {
    const environment = { node: process.version, processor: cpus()[0]?.model.trim(), cores: cpus().length, kernel: `${type()} ${release()}`, date: new Date().toISOString().slice(0, 10) }
    writeFileSync(values.json, `${JSON.stringify({ environment, minutes, warmUpMinutes, pace, work, slopes, samples }, undefined, 1)}\n`)
  }
  return Object.values(slopes).every(({ holds }) => holds)
}
