/**
 * How late a follower in another process is: the time from the acknowledgement in the writer to the entry being handed out by `follow` of a
 * reader, on one clock (CLOCK_MONOTONIC is that of the machine). Three loads: single appends with pauses, a thousand a second, and as many as
 * one core gives.
 *
 *     npm run build && npx tsx bench/micro/wake.ts [seconds of each]
 *
 * Under full load two things make an entry late: that the follower has not heard of it yet, and that it has, and is still busy with those in
 * front. So for each load there is also how late the reader *knew* of an entry, sampled whenever its `durableOffset` moved.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { WriteAheadLog } from 'forelog'

type Load = 'single' | 'steady' | 'full'
const payload = new Uint8Array(128)
const nowUs = (): number => Number(process.hrtime.bigint() / 1000n)

if (process.send !== undefined) await write(process.argv[2] as string, process.argv[3] as Load, Number(process.argv[4]))
else for (const load of ['single', 'steady', 'full'] as const) await measure(load, Number(process.argv[2] ?? 8))

/** The writer: appends for so long, then tells when each append was acknowledged. */
async function write(directory: string, load: Load, seconds: number): Promise<void> {
  const log = await WriteAheadLog.open(directory)
  process.send?.('opened')
  await once(process, 'message')
  const acknowledged: number[] = []
  const endsUs = nowUs() + seconds * 1e6
  const append = async (): Promise<void> => {
    const offset = await log.append(payload)
    acknowledged[offset] = nowUs()
  }
  const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
  if (load === 'single') {
    for (; nowUs() < endsUs; await pause(20 + Math.random() * 40)) await append()
  } else if (load === 'steady') {
    const beganUs = nowUs()
    const waiting = new Set<Promise<void>>()
    for (let appended = 0; nowUs() < endsUs; await pause(1)) {
      for (; appended < (nowUs() - beganUs) / 1000; appended++) {
        const one = append().finally(() => waiting.delete(one))
        waiting.add(one)
      }
    }
    await Promise.all(waiting)
  } else {
    await Promise.all(
      Array.from({ length: 64 }, async () => {
        while (nowUs() < endsUs) await append()
      }),
    )
  }
  // What is told blocks this process for a while, and with it the mark that the log writes when it falls idle.
  await pause(100)
  process.send?.({ acknowledged })
  await once(process, 'message')
  await log.close()
  process.disconnect()
}

async function measure(load: Load, seconds: number): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'forelog-wake-'))
  const writer: ChildProcess = fork(fileURLToPath(import.meta.url), [directory, load, String(seconds)], { execArgv: process.execArgv, serialization: 'advanced' })
  try {
    await once(writer, 'message')
    const reader = await WriteAheadLog.openReader(directory)
    const yielded: number[] = []
    const known: { readonly offset: number; readonly atUs: number }[] = []
    const abort = new AbortController()
    let knownTo = 0
    const following = (async () => {
      for await (const { offset } of reader.follow({ from: 1, signal: abort.signal })) {
        yielded[offset] = nowUs()
        if (reader.durableOffset !== knownTo) known.push({ offset: (knownTo = reader.durableOffset), atUs: nowUs() })
      }
    })()
    writer.send('go')
    const [{ acknowledged }] = (await once(writer, 'message')) as [{ acknowledged: number[] }]
    const last = acknowledged.length - 1
    while (yielded.length <= last) await new Promise((resolve) => setTimeout(resolve, 5))
    abort.abort()
    await following
    writer.send('end')
    await once(writer, 'exit')
    await reader.close()
    const lateMs = acknowledged.flatMap((atUs, offset) => (offset === 0 ? [] : [((yielded[offset] as number) - atUs) / 1000]))
    // Of what the reader learnt at once, the oldest entry waited longest.
    const knownMs = known.map(({ atUs }, index) => (atUs - (acknowledged[(known[index - 1]?.offset ?? 0) + 1] as number)) / 1000)
    console.log(`${load}: ${Math.round(last / seconds)} appends/s; handed out ${spread(lateMs)}; known (the oldest of each look) ${spread(knownMs)}; ${known.length} looks that showed more`)
  } finally {
    writer.kill('SIGKILL')
    rmSync(directory, { recursive: true, force: true })
  }
}

function spread(values: number[]): string {
  const sorted = values.filter((value) => Number.isFinite(value)).sort((a, b) => a - b)
  const at = (share: number): string => (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN).toFixed(1)
  return `${at(0.5)} ms (median) ${at(0.9)} (p90) ${at(0.99)} (p99) ${at(1)} (longest)`
}
