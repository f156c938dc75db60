/**
 * How fast a log is read back, every CRC verified, from the page cache; and what the memory does meanwhile.
 *
 *     npm run build && npx tsx bench/micro/replay.ts [payload bytes…] [--mb 256] [--per-group 1000] [--rounds 5] [--json]
 *
 * Raw views in batches; with `--touch` each payload is also looked at, which makes its view; with `--json` the payloads
 * are JSON, read one by one through `entries()`, beside JSON.parse alone over the same bytes.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import { defineEntries, json, WriteAheadLog } from 'forelog'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    mb: { type: 'string', default: '256' },
    'per-group': { type: 'string', default: '1000' },
    rounds: { type: 'string', default: '5' },
    touch: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    directory: { type: 'string', default: tmpdir() },
  },
})
const sizes = positionals.length > 0 ? positionals.map(Number) : [14, 256, 4096]
const rounds = Number(values.rounds)

for (const size of sizes) {
  const directory = mkdtempSync(join(values.directory, 'forelog-replay-'))
  try {
    await (values.json ? replayJson(directory, size) : replayRaw(directory, size))
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function replayRaw(directory: string, size: number): Promise<void> {
  const count = Math.floor((Number(values.mb) * 1e6) / (size + 10))
  const log = await WriteAheadLog.open(directory, { sync: 'manual' })
  await fill(count, size, (payloads) => log.appendBatch(payloads))
  const rates: number[] = []
  for (let round = 0; round < rounds; round++) {
    const before = performance.now()
    let entries = 0
    let bytes = 0
    for await (const batch of log.entries({ copy: false }).batches()) {
      entries += batch.length
      if (values.touch) for (const { entry } of batch) bytes += entry.payload.length
    }
    if (entries !== count || (values.touch && bytes !== count * size)) throw new Error(`read ${entries} entries of ${count}`)
    rates.push(count / (performance.now() - before) / 1e3)
  }
  console.log(`${size} B: ${median(rates).toFixed(2)} M entries/s, ${((median(rates) * size) / 1e3).toFixed(2)} GB/s  (${rates.map((rate) => rate.toFixed(2)).join(' ')})`)
  console.log(`  resident at the most: ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MiB`)
  await log.close()
}

async function replayJson(directory: string, size: number): Promise<void> {
  const entries = defineEntries({ put: { type: 1, codec: json<unknown>() } })
  const value = (index: number): unknown => ({ key: `key-${index}`, at: 1_700_000_000_000 + index, ok: true, text: 'x'.repeat(Math.max(0, size - 56)) })
  const perEntry = JSON.stringify(value(1e6)).length
  const count = Math.floor((Number(values.mb) * 1e6) / perEntry)
  const log = await WriteAheadLog.open(directory, { entries, sync: 'manual' })
  const perGroup = Number(values['per-group'])
  for (let first = 0; first < count; first += perGroup) {
    await log.appendBatch(Array.from({ length: Math.min(perGroup, count - first) }, (_, index) => entries.put(value(first + index))))
  }
  const payloads = Array.from({ length: count }, (_, index) => Buffer.from(JSON.stringify(value(index))))
  const ours: number[] = []
  const alone: number[] = []
  for (let round = 0; round < rounds; round++) {
    ours.push(await rateOf(count, () => readAll(log.entries())))
    alone.push(await rateOf(count, () => Promise.resolve(parseAll(payloads))))
  }
  console.log(
    `${perEntry} B of JSON: entries() ${median(ours).toFixed(2)} M entries/s, JSON.parse alone ${median(alone).toFixed(2)}, ratio ${(median(ours) / median(alone)).toFixed(2)}`,
  )
  await log.close()
}

/** Millions a second. */
async function rateOf(count: number, run: () => Promise<number>): Promise<number> {
  const before = performance.now()
  const seen = await run()
  if (seen !== count) throw new Error(`read ${seen} entries of ${count}`)
  return count / (performance.now() - before) / 1e3
}

async function readAll(entries: AsyncIterable<{ entry: { value: unknown } }>): Promise<number> {
  let seen = 0
  for await (const { entry } of entries) if (entry.value !== undefined) seen++
  return seen
}

function parseAll(payloads: readonly Buffer[]): number {
  let seen = 0
  for (const payload of payloads) if (JSON.parse(payload.toString()) !== undefined) seen++
  return seen
}

async function fill(count: number, size: number, append: (payloads: Uint8Array[]) => Promise<unknown>): Promise<void> {
  const perGroup = Number(values['per-group'])
  const payloads = Array.from({ length: perGroup }, (_, index) => Buffer.alloc(size, `entry ${index} `))
  for (let first = 0; first < count; first += perGroup) await append(payloads.slice(0, Math.min(perGroup, count - first)))
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] as number
}
