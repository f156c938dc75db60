// A follower that a gigabyte is written past: a slow one in the writer's process, which then catches up while the writer goes on; one that begins
// when the gigabyte is there, in a process of its own, and catches up with the writer; and two, here and there, that are truncated in front of. The log
// rolls every 8 MiB. Each entry has to come once, in order and with its own bytes; memory is the most that a process ever had resident.
//
//     npm run build && node bench/micro/left-behind.mjs [MiB] [payload bytes]
//
// Plain JavaScript, so that no compiler is in the memory of these processes. Ends with 1 where something was not as it must be.
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const roles = { nothing: async () => {}, import: async () => void (await import('forelog')), write, read }
const [first, second, third, fourth] = process.argv.slice(2)
await (Object.hasOwn(roles, first ?? '') ? child(roles[first], second, Number(third), Number(fourth)) : main(Number(first ?? 1024), Number(second ?? 1024)))

async function child(role, directory, mebibytes, payloadBytes) {
  const told = (await role(directory, mebibytes, payloadBytes)) ?? {}
  say({ done: true, ...told, peakMiB: peakMiB() })
  process.stdin.destroy()
}

async function main(mebibytes, payloadBytes) {
  const directory = mkdtempSync(join(tmpdir(), 'forelog-left-behind-'))
  try {
    const nothing = (await start('nothing').next()).peakMiB
    const imported = (await start('import').next()).peakMiB
    const writer = start('write', directory, mebibytes, payloadBytes)
    const written = await writer.next()
    console.log(`${mebibytes} MiB in entries of ${payloadBytes} bytes, ${written.segments} segments; a slow follower was ${written.behind} entries behind`)
    const reader = start('read', directory, mebibytes, payloadBytes)
    await reader.next()
    writer.tell('truncate')
    const truncated = await writer.next()
    reader.tell('go on')
    const [here, there] = await Promise.all([writer.next(), reader.next()])
    for (const [where, { shown, refused, peakMiB, seconds }] of Object.entries({ 'in the same process': here, 'in another process': there })) {
      console.log(
        `${where}: ${shown} entries caught up with in ${seconds.toFixed(1)} s, each once and in order; truncated in front: ${refused}; ` +
          `${(peakMiB - nothing).toFixed(1)} MiB above a process that does nothing, ${(peakMiB - imported).toFixed(1)} above one that only imports the library`,
      )
      if (refused !== 'ERR_WAL_OFFSET_OUT_OF_RANGE') process.exitCode = 1
    }
    console.log(`the writer went on meanwhile: ${here.last - written.last} entries more; truncated to ${truncated.firstOffset}`)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

function start(role, ...more) {
  const running = spawn(process.execPath, [fileURLToPath(import.meta.url), role, ...more.map(String)], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: running.stdout })[Symbol.asyncIterator]()
  return {
    tell: (word) => running.stdin.write(`${word}\n`),
    next: async () => {
      const { done, value } = await lines.next()
      if (done) throw new Error(`the process '${role}' ended without an answer`)
      return JSON.parse(value)
    },
  }
}

/** The writer, and the slow follower in its process. */
async function write(directory, mebibytes, payloadBytes) {
  const { WriteAheadLog } = await import('forelog')
  const log = await WriteAheadLog.open(directory, { maxSegmentSize: 8 * 2 ** 20 })
  const batch = Array.from({ length: Math.max(1, Math.floor(2 ** 18 / payloadBytes)) }, () => Buffer.alloc(payloadBytes, 7))
  const append = async () => {
    batch.forEach((payload, index) => payload.writeUInt32BE(log.lastOffset + 1 + index, 0))
    await log.appendBatch(batch)
  }
  await append()
  const heard = words()
  let slow = true
  const catchingUp = follow(log.follow({ from: 1 }), payloadBytes, async (offset) => {
    if (slow && offset % 64 === 0) await pause(5)
    return !slow && offset >= log.lastOffset - 1000
  })
  while (log.lastOffset * payloadBytes < mebibytes * 2 ** 20) await append()
  const last = log.lastOffset
  say({ last, behind: last - catchingUp.at(), segments: log.segments().length })
  await heard('truncate')
  // One that took entries and was left behind; that it is held up here stops nobody else.
  const left = log.follow({ from: 1 })[Symbol.asyncIterator]()
  for (let count = 0; count < 10; count++) await left.next()
  slow = false
  const began = performance.now()
  // The other one is to catch up with all of it: what is truncated is what both have passed.
  while (catchingUp.at() < last / 2) {
    await append()
    await pause(5)
  }
  await log.truncateBefore(Math.floor(last / 4))
  const refused = await codeOf(drain(left))
  say({ firstOffset: log.firstOffset })
  const caughtUp = { yes: false }
  void catchingUp.then(() => (caughtUp.yes = true))
  while (!caughtUp.yes) {
    await append()
    await pause(5)
  }
  const seconds = (performance.now() - began) / 1000
  const shown = await catchingUp
  const end = log.lastOffset
  // The reader goes on until what was just written.
  await pause(2000)
  await log.close()
  return { shown, refused, seconds, last: end }
}

/** Another process, which begins when all is there. */
async function read(directory, mebibytes, payloadBytes) {
  const { WriteAheadLog } = await import('forelog')
  const reader = await WriteAheadLog.openReader(directory)
  const heard = words()
  const left = reader.follow({ from: 1 })[Symbol.asyncIterator]()
  for (let count = 0; count < 10; count++) await left.next()
  say({ ready: true })
  await heard('go on')
  const refused = await codeOf(drain(left))
  const began = performance.now()
  const first = reader.firstOffset
  const wanted = (mebibytes * 2 ** 20) / payloadBytes
  const shown = await follow(reader.follow({ from: first }), payloadBytes, async (offset) => offset >= wanted && offset >= reader.lastOffset, first)
  const seconds = (performance.now() - began) / 1000
  await reader.close()
  return { shown, refused, seconds }
}

/** Follows until `isEnough`; how many entries it was shown. `at()` says where it is meanwhile. */
function follow(entries, payloadBytes, isEnough, from = 1) {
  let next = from
  const run = async () => {
    for await (const { offset, entry } of entries) {
      const { payload } = entry
      const number = new DataView(payload.buffer, payload.byteOffset).getUint32(0)
      if (offset !== next || number !== offset || payload.length !== payloadBytes) throw new Error(`shown ${offset}, with the bytes of ${number}, where ${next} was next`)
      next++
      if (await isEnough(offset)) break
    }
    return next - from
  }
  return Object.assign(run(), { at: () => next - 1 })
}

/** What a follower that was left behind has in hand is still right; then it learns that the rest is gone. */
async function drain(follower) {
  let next = 11
  for (let step = await follower.next(); !step.done; step = await follower.next()) {
    if (step.value.offset !== next++) throw new Error('not in order')
  }
}

async function codeOf(promise) {
  try {
    await promise
    return 'nothing'
  } catch (error) {
    return error.code ?? error.message
  }
}

/** Waits for words that the parent says, in their order. */
function words() {
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
  return async (word) => {
    const { value } = await lines.next()
    if (value !== word) throw new Error(`expected '${word}'`)
  }
}

function say(told) {
  process.stdout.write(`${JSON.stringify(told)}\n`)
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

function peakMiB() {
  if (process.platform !== 'linux') return process.resourceUsage().maxRSS / 1024
  return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) / 1024
}
