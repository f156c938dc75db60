/**
 * What `get` of an entry at random costs, from the page cache, with the index built; and how many bytes building it reads.
 *
 *     npm run build && npx tsx bench/micro/get.ts [entries per group…]
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { WriteAheadLog } from 'forelog'

const count = 200_000
const groups = process.argv.slice(2).map(Number)

for (const perGroup of groups.length > 0 ? groups : [1, 10, 100, 1000]) {
  const directory = mkdtempSync(join(tmpdir(), 'forelog-get-'))
  try {
    const written = await WriteAheadLog.open(directory, { sync: 'manual' })
    const payload = new Uint8Array(128)
    for (let first = 0; first < count; first += perGroup) await written.appendBatch(new Array<Uint8Array>(perGroup).fill(payload))
    await written.close()
    const log = await WriteAheadLog.open(directory)
    let before = performance.now()
    await log.get(log.lastOffset)
    const cold = performance.now() - before
    for (let offset = 1; offset <= count; offset += 500) await log.get(offset)
    const costs: number[] = []
    for (let index = 0; index < 20_000; index++) {
      const offset = 1 + ((index * 7919 * 31) % count)
      before = performance.now()
      const { offset: got } = await log.get(offset)
      costs.push((performance.now() - before) * 1e3)
      if (got !== offset) throw new Error(`got ${got} for ${offset}`)
    }
    costs.sort((a, b) => a - b)
    const at = (share: number): string => (costs[Math.floor(costs.length * share)] as number).toFixed(1)
    console.log(`${perGroup} entries a group: warm ${at(0.5)} us (median), ${at(0.99)} us (99 of 100); first, of the last of ${count} entries: ${cold.toFixed(1)} ms`)
    await log.close()
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
