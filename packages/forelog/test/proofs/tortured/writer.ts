/*
 * A writer that is killed: `writer.js <directory> <seed of this life> <next serial number>`. Appends, truncates at both ends, closes and opens
 * again, at random, and follows what it writes. Tells `opened <first> <last> <numbers…>`, `called <offset> <number>`, `acked <offset>
 * <number>`, `cutting` and `cut <offset> <newest number>`, `front <offset>`, `out-of-range`, `shown <offset> <number>`, `wrong <what>`; on a line on
 * stdin it closes the log and tells `closed`.
 */
import { once } from 'node:events'
import { WriteAheadLog } from '../../../src/index.js'
import { randomFrom } from '../real-writer/entries.js'
import { Chain, entryOfLink, tell } from './chain.js'
import { followChain } from './follow-chain.js'

const [directory = '', seed = '', nextSerial = ''] = process.argv.slice(2)
const random = randomFrom(Number(seed))
const below = (limit: number): number => Math.floor(random() * limit)
let serial = Number(nextSerial) - 1
let stopping = false
void once(process.stdin, 'data').then(() => (stopping = true))

/** Entries that the log keeps, about. */
const keptEntries = 1500

class Life {
  readonly #log: WriteAheadLog
  /** By offset, what the log holds or will hold. */
  readonly #serials = new Map<number, number>()
  #next: number

  constructor(log: WriteAheadLog) {
    this.#log = log
    this.#next = log.lastOffset + 1
    const chain = new Chain(log.firstOffset)
    for (const { offset, entry } of log.entriesSync()) this.#serials.set(offset, chain.take(offset, entry).serial)
    tell('opened', log.firstOffset, log.lastOffset, ...this.#serials.values())
  }

  async step(): Promise<void> {
    const log = this.#log
    const pending: Promise<unknown>[] = []
    for (let count = 1 + below(8); count > 0; count--) pending.push(this.#append(random() < 0.3 ? 1 + below(6) : 1))
    if (random() < 0.04) {
      // Not awaited: what is in flight is appended first, and what is called from now on comes behind the cut.
      const lastOffset = this.#next - 1
      const offset = lastOffset - below(Math.min(random() < 0.2 ? 400 : 20, lastOffset - log.firstOffset + 2))
      tell('cutting', offset, serial)
      const newest = serial
      pending.push(log.truncateAfter(offset).then(() => tell('cut', offset, newest)))
      this.#next = offset + 1
      if (random() < 0.7) pending.push(this.#append(1 + below(4)))
    }
    await Promise.all(pending)
    if (log.lastOffset - log.firstOffset > keptEntries || random() < 0.02) {
      // Now and then all of it.
      const offset = random() < 0.2 ? log.lastOffset + 1 : log.lastOffset - below(Math.min(keptEntries / 2, log.lastOffset - log.firstOffset + 1))
      tell('front', offset)
      await log.truncateBefore(offset)
    }
  }

  async #append(count: number): Promise<void> {
    const first = this.#next
    const links = Array.from({ length: count }, () => {
      const link = { serial: ++serial, previous: this.#serials.get(this.#next - 1) ?? 0 }
      tell('called', this.#next, link.serial)
      this.#serials.set(this.#next++, link.serial)
      return entryOfLink(link, below(200))
    })
    const last = serial
    if (count === 1) await this.#log.append(links[0] as Uint8Array)
    else await this.#log.appendBatch(links)
    tell('acked', first + count - 1, last)
  }
}

for (;;) {
  const log = await WriteAheadLog.open(directory, { maxSegmentSize: 2000 + below(60_000) })
  const life = new Life(log)
  const shown = { entry: (offset: number, shownSerial: number) => tell('shown', 'own', offset, shownSerial), outOfRange: () => tell('out-of-range') }
  const abort = new AbortController()
  const following = followChain(log, { random: randomFrom(below(2 ** 31)), slow: random() < 0.5, hops: true }, shown, abort.signal).catch((error: unknown) => {
    if ((error as { code?: unknown }).code !== 'ERR_WAL_CLOSED') tell('wrong', 'own', JSON.stringify((error as Error).stack ?? String(error)))
  })
  while (!stopping && random() > 0.002) await life.step()
  abort.abort()
  await following
  await log.close()
  if (stopping) break
}
tell('closed')
setInterval(() => undefined, 1 << 30)
