// One piece of work for memory.ts, in a process that does nothing else: plain JavaScript, so that no compiler is in its memory.
//
//     node memory-child.mjs WHAT DIRECTORY PAYLOAD-BYTES MEBIBYTES SECONDS
import { readFileSync } from 'node:fs'

const [what, directory, payloadBytes, mebibytes, seconds] = process.argv.slice(2).map((argument, index) => (index < 2 ? argument : Number(argument)))
const bytes = mebibytes * 2 ** 20
const wanted = Math.ceil(bytes / payloadBytes)
const untilMs = performance.now() + seconds * 1000
let entries = 0
const began = performance.now()
if (what !== 'nothing') {
  const { WriteAheadLog, defineEntries, json } = await import('forelog')
  await work({ WriteAheadLog, defineEntries, json })
}
const { user, system } = process.cpuUsage()
console.log(JSON.stringify({ entries, ms: performance.now() - began, cpuMs: (user + system) / 1000, peakMiB: peakMiB() }))

async function work({ WriteAheadLog, defineEntries, json }) {
  if (what === 'import') return
  const source = what.includes('JSON') ? defineEntries({ put: { type: 1, codec: json() } }) : undefined
  const options = source === undefined ? {} : { entries: source }
  const sync = what === 'append one by one' || what.startsWith('fill') ? 'manual' : 'always'
  const log = await WriteAheadLog.open(directory, { ...options, sync })
  const payload = new Uint8Array(payloadBytes).fill(120)
  const perBatch = Math.max(1, Math.min(1000, Math.floor(2 ** 20 / payloadBytes)))
  const goesOn = () => entries < wanted && ((entries & 1023) !== 0 || performance.now() < untilMs)
  if (what === 'append one by one') {
    for (; goesOn(); entries++) await log.append(payload)
  } else if (what === 'append by many writers') {
    const writer = async () => {
      while (goesOn()) {
        entries++
        await log.append(payload)
      }
    }
    const writers = Math.min(100, Math.floor(2 ** 24 / payloadBytes))
    await Promise.all(Array.from({ length: writers }, writer))
  } else if (what === 'append in batches' || what.startsWith('fill')) {
    const text = 'x'.repeat(Math.max(0, payloadBytes - 30))
    const batch = Array.from({ length: perBatch }, (_, index) => (source === undefined ? payload : source.put({ key: `key-${index}`, text })))
    for (; entries < wanted && performance.now() < untilMs; entries += perBatch) await log.appendBatch(batch)
  } else if (what === 'entries()' || what === 'entries(), JSON') {
    for await (const { entry } of log.entries()) entries += look(entry)
  } else if (what === 'entries().batches()' || what === 'entries().batches(), JSON') {
    for await (const batch of log.entries().batches()) {
      for (const { entry } of batch) entries += look(entry)
    }
  } else if (what === 'entries().batches(), views') {
    for await (const batch of log.entries({ copy: false }).batches()) for (const { entry } of batch) entries += look(entry)
  } else if (what === 'entriesSync()' || what === 'entriesSync(), JSON') {
    for (const { entry } of log.entriesSync()) entries += look(entry)
  } else {
    throw new Error(`there is no work named ${what}`)
  }
  await log.close()
}

/** What everybody does with an entry at the least. */
function look(entry) {
  return (entry.payload?.length ?? entry.value.text.length) >= 0 ? 1 : 0
}

function peakMiB() {
  if (process.platform !== 'linux') return process.resourceUsage().maxRSS / 1024
  return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) / 1024
}
