/**
 * The process beside the writer: it follows, commits cursors and gets single entries, and is asked each minute what it holds.
 */
import { WriteAheadLog } from 'forelog'
import { held } from './measure.js'
import { isPassing, keepCommitting, keepFollowing, noCounters, pause, type Place } from './visitors.js'
import { checkPayload } from './payloads.js'

const [directory, pace] = process.argv.slice(2) as [string, string]
/** So often the reader is closed, and another one opened. */
const lifeMs = 90_000 / Number(pace)
const counters = noCounters()
const ending = new AbortController()
let opened = WriteAheadLog.openReader(directory)
let isOver = false

const place: Place = { current: async () => (isOver ? undefined : opened) }

process.on('message', (message) => {
  if (message === 'held') process.send?.({ held: held(), counters })
  else isOver = true
})

const readers = [
  keepFollowing(place, counters),
  keepFollowing(place, counters, { pauseMs: 200 }),
  keepFollowing(place, counters, { stay: 500, signal: ending.signal }),
  keepCommitting(place, counters, 'elsewhere', true, 100),
  keepGetting(),
]
let failure: { readonly error: unknown } | undefined
// A race against them in each turn of the loop would leave something with them each time: that would grow, and be ours.
for (const each of readers) each.catch((error: unknown) => (failure ??= { error }))
let bornMs = Date.now()
while (!isOver) {
  await pause(500)
  if (failure !== undefined) throw failure.error
  if (Date.now() - bornMs < lifeMs) continue
  bornMs = Date.now()
  await (await opened).close()
  opened = WriteAheadLog.openReader(directory)
  await opened
}
await (await opened).close()
await Promise.all(readers)
process.disconnect()

async function keepGetting(): Promise<void> {
  for (let log = await place.current(); log !== undefined; log = await place.current()) {
    try {
      const span = log.lastOffset - log.firstOffset
      if (span > 0) {
        const offset = log.firstOffset + Math.floor(Math.random() * span)
        checkPayload((await log.get(offset)).entry.payload, offset)
      }
    } catch (error) {
      if (!isPassing(error)) throw error
    }
    await pause(100)
  }
}
