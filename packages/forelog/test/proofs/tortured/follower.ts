/*
 * Followers of a log in a process of their own, until it is ended: `follower.js <directory> <seed>`. Tells `shown <who> <offset> <number>`,
 * `out-of-range`, `wrong <what>`.
 */
import { WriteAheadLog } from '../../../src/index.js'
import { randomFrom } from '../real-writer/entries.js'
import { tell } from './chain.js'
import { followChain } from './follow-chain.js'

const [directory = '', seed = ''] = process.argv.slice(2)
const reader = await WriteAheadLog.openReader(directory)
tell('ready')
const paces = [
  { slow: false, hops: false },
  { slow: true, hops: false },
  { slow: true, hops: true },
]
for (const [index, pace] of paces.entries()) {
  const shown = {
    entry: (offset: number, serial: number) => tell('shown', index, offset, serial),
    outOfRange: () => tell('out-of-range'),
  }
  followChain(reader, { ...pace, random: randomFrom(Number(seed) * 7 + index) }, shown, new AbortController().signal).catch((error: unknown) =>
    tell('wrong', index, JSON.stringify((error as Error).stack ?? String(error))),
  )
}
setInterval(() => undefined, 1 << 30)
