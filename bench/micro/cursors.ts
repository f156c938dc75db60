/**
 * What thousands of cursors cost, on the disk below the temporary directory: making, opening and committing them, asking them at a first
 * truncation and at one behind it, listing and deleting; memory, and descriptors, while they are open. Beside the time that passes stands what
 * this process had of the processors. Before that, what a truncation costs where there is no cursor, and an append.
 *
 *     npm run build && npx tsx bench/micro/cursors.ts [how many…]
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { WriteAheadLog } from 'forelog'

const counts = process.argv.slice(2).map(Number)
const names = (count: number): string[] => Array.from({ length: count }, (_, index) => `c${index}`)
const descriptors = (): number => (process.platform === 'linux' ? readdirSync('/proc/self/fd').length : NaN)
setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
/** What is still needed. */
const kibibytes = (): number => {
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return (heapUsed + external) / 1024
}
/** Descriptors that this process may have, but for some. */
const descriptorsAtMost = Number((process.report.getReport() as unknown as { userLimits?: { open_files?: { soft: unknown } } }).userLimits?.open_files?.soft ?? 1024) - 200

/** Sixteen at a time: what costs a sync shares it with others. */
async function inLanes(all: readonly string[], run: (name: string) => Promise<unknown>): Promise<void> {
  const left = [...all]
  await Promise.all(
    Array.from({ length: 16 }, async () => {
      for (let name = left.pop(); name !== undefined; name = left.pop()) await run(name)
    }),
  )
}

await withoutCursors()

for (const count of counts.length > 0 ? counts : [100, 1000, 10_000]) {
  const directory = mkdtempSync(join(tmpdir(), 'forelog-cursors-'))
  const costs: string[] = []
  const timed = async (what: string, each: number, run: () => Promise<unknown>): Promise<void> => {
    const before = performance.now()
    const cpuBefore = process.cpuUsage()
    await run()
    const ms = performance.now() - before
    const { user, system } = process.cpuUsage(cpuBefore)
    const cpuMs = (user + system) / 1000
    costs.push(each === 1 ? `${what} ${ms.toFixed(1)} ms (${cpuMs.toFixed(1)} of CPU)` : `${what} ${((ms / each) * 1000).toFixed(0)} us each (${((cpuMs / each) * 1000).toFixed(0)} of CPU)`)
  }
  try {
    const log = await WriteAheadLog.open(directory)
    await log.appendBatch(new Array<Uint8Array>(100).fill(new Uint8Array(100)))
    const before = { kibibytes: kibibytes(), descriptors: descriptors() }
    await timed('made', count, async () => {
      await inLanes(names(count), async (name) => (await log.cursor(name)).close())
    })
    const held = names(Math.min(count, descriptorsAtMost))
    await timed(`${held.length} of them opened`, held.length, async () => {
      const open = await Promise.all(held.map((name) => log.cursor(name)))
      costs.push(`open: ${((kibibytes() - before.kibibytes) / held.length).toFixed(1)} KiB and ${((descriptors() - before.descriptors) / held.length).toFixed(1)} descriptors each`)
      const began = performance.now()
      for (const cursor of open.slice(0, 100)) await cursor.commit(10)
      costs.push(`commit, one after the other ${((performance.now() - began) * 10).toFixed(0)} us`)
      await Promise.all(open.map((cursor) => cursor.close()))
    })
    await timed('listed', 1, () => log.cursors())
    await timed('first truncateBefore', 1, () => log.truncateBefore(2))
    await timed('truncateBefore again', 1, () => log.truncateBefore(3))
    await log.close()
    await timed('the log opened', 1, async () => (await WriteAheadLog.open(directory)).close())
    const again = await WriteAheadLog.open(directory)
    await timed('deleted', count, async () => {
      await inLanes(names(count), (name) => again.deleteCursor(name))
    })
    await again.close()
    console.log(`${count} cursors: ${costs.join('; ')}`)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function withoutCursors(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'forelog-cursors-'))
  const times = 1000
  const medianUs = async (run: (time: number) => Promise<unknown>): Promise<string> => {
    const took: number[] = []
    for (let time = 0; time < times; time++) {
      const before = performance.now()
      await run(time)
      took.push(performance.now() - before)
    }
    return `${((took.sort((a, b) => a - b)[times / 2] as number) * 1000).toFixed(0)} us`
  }
  try {
    await using log = await WriteAheadLog.open(directory)
    await log.appendBatch(new Array<Uint8Array>(2 * times).fill(new Uint8Array(100)))
    const append = await medianUs(() => log.append(new Uint8Array(100)))
    const truncation = await medianUs((time) => log.truncateBefore(time + 2))
    console.log(`no cursor: append ${append}; truncateBefore ${truncation}`)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
