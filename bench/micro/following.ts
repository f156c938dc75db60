/**
 * What followers cost: one that was left behind for a gigabyte, in the writer's process and in another one, and comes back; and thousands that
 * follow one log in one process. Memory is what the process has more than before, at its highest.
 *
 *     npm run build && npx tsx bench/micro/following.ts [MiB] [followers]
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import { type LogReader, type RawEntry, WriteAheadLog } from 'forelog'

const payloadBytes = 1024
const mebibytes = (): number => process.memoryUsage().rss / 2 ** 20

/** The most memory while something runs, looked at every few milliseconds and whenever `look` is called. */
class Peak {
  readonly #before = mebibytes()
  #most = 0

  look(): void {
    this.#most = Math.max(this.#most, mebibytes() - this.#before)
  }

  toString(): string {
    return `${this.#most.toFixed(0)} MiB more`
  }
}

async function catchUp(what: string, source: LogReader<RawEntry>, last: number): Promise<void> {
  const peak = new Peak()
  const began = performance.now()
  for await (const { offset } of source.follow({ from: 1 })) {
    if (offset % 1024 === 0) peak.look()
    if (offset === last) break
  }
  const seconds = (performance.now() - began) / 1000
  console.log(`${what}: ${last} entries of ${payloadBytes} bytes in ${seconds.toFixed(1)} s, ${peak.toString()}`)
}

if (process.send !== undefined) {
  const reader = await WriteAheadLog.openReader(process.argv[2] as string)
  await catchUp('left behind, in another process', reader, Number(process.argv[3]))
  await reader.close()
  process.disconnect()
} else {
  const [wantedMiB = 1024, followers = 5000] = process.argv.slice(2).map(Number)
  const directory = mkdtempSync(join(tmpdir(), 'forelog-following-'))
  try {
    const log = await WriteAheadLog.open(directory, { sync: 'manual' })
    const left = log.follow()[Symbol.asyncIterator]()
    const first = left.next()
    const batch = new Array<Uint8Array>(256).fill(new Uint8Array(payloadBytes))
    let peak = new Peak()
    for (let bytes = 0; bytes < wantedMiB * 2 ** 20; bytes += batch.length * payloadBytes) {
      await log.appendBatch(batch)
      if (bytes % 2 ** 22 === 0) await log.sync()
    }
    await log.sync()
    await first
    peak.look()
    console.log(`written, one follower behind: ${peak.toString()}`)
    await left.return?.()
    await catchUp('left behind, in the same process', log, log.lastOffset)
    const other = fork(fileURLToPath(import.meta.url), [directory, String(log.lastOffset)], { execArgv: process.execArgv })
    // What the writer has to say it says when it is idle.
    await once(other, 'exit')

    peak = new Peak()
    const appended = 1000
    const from = log.lastOffset + 1
    let shown = 0
    const beganCpu = process.cpuUsage()
    const began = performance.now()
    const following = Array.from({ length: followers }, async () => {
      for await (const { offset } of log.follow({ from })) {
        shown++
        if (offset === from + appended - 1) break
      }
    })
    for (let count = 0; count < appended; count += 10) {
      await log.appendBatch(batch.slice(0, 10))
      await log.sync()
      await new Promise((resolve) => setTimeout(resolve, 1))
      peak.look()
    }
    await Promise.all(following)
    peak.look()
    const { user, system } = process.cpuUsage(beganCpu)
    console.log(
      `${followers} followers, ${appended} entries: ${shown} shown in ${((performance.now() - began) / 1000).toFixed(1)} s, ` +
        `${(((user + system) / shown)).toFixed(2)} us of processor each, ${peak.toString()}`,
    )
    await log.close()
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
