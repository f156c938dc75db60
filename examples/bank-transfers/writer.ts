/**
 * The process that is killed: it opens the log, replays it, and then appends transfers as fast as it can, until it dies.
 */
import { writeFileSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { WriteAheadLog } from 'forelog'
import { Balances } from './balances.js'
import { type BankEntry, entries } from './entries.js'
import { integerBelow, randomFrom } from './random.js'
import { type Life, textOfEntry, type Told } from './told.js'

const accounts = 1000
const callers = 32
const pipe = 3

/** Blocks until the system has the line. */
function tell(told: Told): void {
  try {
    writeFileSync(pipe, `${JSON.stringify(told)}\n`)
  } catch {
    // Nobody reads any more: whoever would kill this process is gone.
    process.exit(1)
  }
}

const { directory, seed, maxSegmentBytes } = JSON.parse(process.argv[2] ?? '{}') as Life
const random = randomFrom(seed)

const log = await WriteAheadLog.open(directory, { entries, maxSegmentSize: maxSegmentBytes })
const balances = new Balances()
for await (const batch of log.entries().batches()) {
  for (const { entry } of batch) balances.take(entry)
}
const newest = log.segments().at(-1)
tell({
  opened: {
    firstOffset: log.firstOffset,
    lastOffset: log.lastOffset,
    tornBytes: log.recovery.tornBytes,
    emptySegment: newest !== undefined && newest.lastOffset < newest.firstOffset,
    entriesReplayed: balances.entries,
    sum: balances.sum(),
  },
})

let nextId = balances.lastId + 1
// Half of the callers begin while the group of the others is on its way: from then on there is always one in flight, and the
// next one waits behind it.
const firstHalf = Array.from({ length: callers / 2 }, keepTransferring)
await setImmediate()
const secondHalf = Array.from({ length: callers / 2 }, keepTransferring)
await Promise.all([...firstHalf, ...secondHalf])

async function keepTransferring(): Promise<never> {
  for (;;) await (random() < 0.8 ? transfer() : splitTransfer())
}

async function transfer(): Promise<void> {
  const entry = entries.transfer({
    id: nextId++,
    from: integerBelow(random, accounts),
    to: integerBelow(random, accounts),
    cents: 1 + integerBelow(random, 1_000_000),
    reference: 'invoice '.repeat(integerBelow(random, 12)),
  })
  tell({ appending: [textOfEntry(entry)] })
  const offset = await log.append(entry)
  tell({ acknowledged: [offset, offset] })
}

/** One account pays several: mostly a few, seldom a whole payroll. */
async function splitTransfer(): Promise<void> {
  const id = nextId++
  const payees = 1 + integerBelow(random, random() < 0.02 ? 1000 : 6)
  const postings: BankEntry[] = []
  let paid = 0
  for (let payee = 0; payee < payees; payee++) {
    const cents = 1 + integerBelow(random, 500_000)
    paid += cents
    postings.push(entries.posting({ id, account: integerBelow(random, accounts), cents }))
  }
  postings.unshift(entries.posting({ id, account: integerBelow(random, accounts), cents: -paid }))
  tell({ appending: postings.map(textOfEntry) })
  const { first, last } = await log.appendBatch(postings)
  tell({ acknowledged: [first, last] })
}
