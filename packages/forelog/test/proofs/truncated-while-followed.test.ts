/**
 * Random appends, truncations at both ends and reopenings, while followers of the log and of readers beside it go on at random: what each was
 * shown is what one moment of the log held, whatever was given the same offsets before or afterwards. `FORELOG_TRUNCATED_RUNS=2000` for more.
 */
import { expect, it } from 'vitest'
import { type LogReader, type RawEntry, type StoredEntry, type WalError, WriteAheadLog } from '../../src/index.js'
import { Random } from '../../src/testing/random.js'
import { SimulatedDisk } from '../../src/testing/index.js'

const directory = '/data/log'
const runs = Number(process.env['FORELOG_TRUNCATED_RUNS'] ?? 60)
const firstSeed = Number(process.env['FORELOG_SEED'] ?? 1)

/** What stood under an offset, from when until when. */
interface Version {
  readonly text: string
  readonly from: number
  to: number
}

/** Every moment of a log. */
class History {
  readonly #versions = new Map<number, Version[]>()
  #moment = 0
  firstOffset = 1
  lastOffset = 0

  get moment(): number {
    return this.#moment
  }

  append(text: string): void {
    const versions = this.#versions.get(++this.lastOffset) ?? []
    versions.push({ text, from: ++this.#moment, to: Infinity })
    this.#versions.set(this.lastOffset, versions)
  }

  cutAfter(offset: number): void {
    this.#moment++
    for (; this.lastOffset > offset; this.lastOffset--) (this.#versions.get(this.lastOffset)?.at(-1) as Version).to = this.#moment
  }

  versionOf(offset: number, text: string): Version | undefined {
    return this.#versions.get(offset)?.find((version) => version.text === text)
  }

  text(offset: number): string | undefined {
    return this.#versions.get(offset)?.at(-1)?.text
  }
}

interface Tally {
  shown: number
  outOfRange: number
  cuts: number
  reopenings: number
}

/** A follower, or an iteration, that is asked for the next entry and not waited for. */
class Watcher {
  readonly #history: History
  readonly #tally: Tally
  readonly #steps: AsyncIterator<StoredEntry<RawEntry>>
  #next: number
  /** The moments at which the log held all that was shown. */
  #from = 0
  #to = Infinity
  #pending = false
  over = false
  wrong: string | undefined

  constructor(steps: AsyncIterator<StoredEntry<RawEntry>>, from: number, history: History, tally: Tally) {
    this.#steps = steps
    this.#next = from
    this.#history = history
    this.#tally = tally
  }

  ask(): void {
    if (this.#pending || this.over) return
    this.#pending = true
    this.#steps.next().then(
      (result) => {
        this.#pending = false
        if (result.done === true) this.over = true
        else this.#take(result.value)
      },
      (error: unknown) => {
        this.over = true
        if ((error as WalError).code === 'ERR_WAL_OFFSET_OUT_OF_RANGE') this.#tally.outOfRange++
        else if ((error as WalError).code !== 'ERR_WAL_CLOSED') this.wrong ??= String((error as Error).stack)
      },
    )
  }

  async stop(): Promise<void> {
    await this.#steps.return?.()
  }

  #take({ offset, entry }: StoredEntry<RawEntry>): void {
    const text = Buffer.from(entry.payload).toString()
    const version = this.#history.versionOf(offset, text)
    this.#tally.shown++
    if (offset !== this.#next++) this.wrong ??= `entry ${offset} came where ${this.#next - 1} was next`
    if (version === undefined) return void (this.wrong ??= `entry ${offset} is "${text}", which was never appended there`)
    this.#from = Math.max(this.#from, version.from)
    this.#to = Math.min(this.#to, version.to)
    if (this.#from >= this.#to) this.wrong ??= `entry ${offset}, "${text}", never stood behind those that were shown before it`
  }
}

async function run(seed: number, tally: Tally): Promise<void> {
  const random = new Random(seed)
  const disk = new SimulatedDisk({ seed, directories: [directory] })
  const history = new History()
  const open = (): Promise<WriteAheadLog> => WriteAheadLog.open(directory, { fileSystem: disk, maxSegmentSize: 1 + random.below(900) })
  let log = await open()
  const reader = await WriteAheadLog.openReader(directory, { fileSystem: disk })
  let watchers: Watcher[] = []
  const watch = (source: LogReader<RawEntry>): void => {
    const { firstOffset, lastOffset } = source
    const from = firstOffset + random.below(lastOffset - firstOffset + 2)
    const steps = random.chance(0.7) ? source.follow({ from }) : source.entries({ from })
    watchers.push(new Watcher(steps[Symbol.asyncIterator](), from, history, tally))
  }
  let texts = 0
  const text = (): string => `${++texts}`.padEnd(random.below(60), '.')
  for (let step = 0; step < 120; step++) {
    const choice = random.below(100)
    if (choice < 40) {
      const group = Array.from({ length: 1 + random.below(4) }, text)
      for (const each of group) history.append(each)
      await log.appendBatch(group.map((each) => Buffer.from(each)))
    } else if (choice < 52) {
      const offset = log.lastOffset - random.below(Math.min(log.lastOffset - log.firstOffset + 2, random.chance(0.2) ? 1000 : 6))
      history.cutAfter(offset)
      tally.cuts++
      await log.truncateAfter(offset)
    } else if (choice < 60) {
      history.firstOffset = Math.max(history.firstOffset, log.firstOffset + random.below(log.lastOffset - log.firstOffset + 2) - random.below(8))
      await log.truncateBefore(history.firstOffset)
    } else if (choice < 63) {
      tally.reopenings++
      await log.close()
      log = await open()
    } else if (choice < 75 && watchers.length < 8) {
      watch(random.chance(0.5) ? log : reader)
    }
    for (let turn = random.below(3); turn > 0; turn--) {
      for (const watcher of watchers) if (random.chance(0.7)) watcher.ask()
      for (let wait = random.below(30); wait > 0; wait--) await new Promise((resolve) => setImmediate(resolve))
    }
    for (const { wrong } of watchers) if (wrong !== undefined) throw new Error(`seed ${seed}, step ${step}: ${wrong}`)
    watchers = watchers.filter(({ over }) => !over)
    if ([...log.entriesSync()].some(({ offset, entry }) => Buffer.from(entry.payload).toString() !== history.text(offset))) throw new Error(`seed ${seed}, step ${step}: the log holds something else`)
    expect([log.firstOffset, log.lastOffset]).toEqual([history.firstOffset, history.lastOffset])
  }
  await log.close()
  const shown = [...reader.entriesSync()].map(({ offset, entry }) => `${offset}:${Buffer.from(entry.payload).toString()}`)
  expect(shown).toEqual(Array.from({ length: history.lastOffset - history.firstOffset + 1 }, (_, index) => `${history.firstOffset + index}:${history.text(history.firstOffset + index) ?? ''}`))
  await Promise.all(watchers.map((watcher) => watcher.stop()))
  await reader.close()
}

it(`what is followed is never a mixture of what stood under the same offsets, in ${runs} random histories`, { timeout: 600_000 }, async () => {
  const tally: Tally = { shown: 0, outOfRange: 0, cuts: 0, reopenings: 0 }
  for (let seed = firstSeed; seed < firstSeed + runs; seed++) await run(seed, tally)
  console.log('truncated while followed', { runs, ...tally })
  expect(tally.shown / runs).toBeGreaterThan(20)
  expect(tally.outOfRange / runs).toBeGreaterThan(1)
})
