/**
 * What opening a log of many segments costs after a clean close: wall and processor time, each opening in a new process, in turn.
 *
 *     npm run build && npx tsx bench/micro/opening.ts [segments…] [--rounds 5] [--directory DIR]
 *
 * Opening after a kill is measured by `npm run bench -- --only 8`.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { WriteAheadLog } from 'forelog'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '5' }, directory: { type: 'string', default: tmpdir() } },
})
const counts = positionals.length > 0 ? positionals.map(Number) : [1, 160, 1000, 10_000]

// Plain JavaScript, in a process without the loader that runs this file.
const opening = `
  import { WriteAheadLog } from 'forelog'
  const cpu = process.cpuUsage()
  const startMs = performance.now()
  const log = await WriteAheadLog.open(process.argv[1])
  const ms = performance.now() - startMs
  const { user, system } = process.cpuUsage(cpu)
  console.log(JSON.stringify({ ms, cpuMs: (user + system) / 1000, segments: log.segments().length, clean: log.recovery.clean }))
  await log.close()
`

interface Opened {
  readonly ms: number
  readonly cpuMs: number
  readonly segments: number
  readonly clean: boolean
}

function open(directory: string): Opened {
  const output = execFileSync(process.execPath, ['--input-type=module', '--eval', opening, directory], { cwd: fileURLToPath(new URL('.', import.meta.url)), encoding: 'utf8' })
  return JSON.parse(output) as Opened
}

/** Each group but the first finds its segment full, and begins another one. */
async function fill(directory: string, segments: number): Promise<void> {
  await using log = await WriteAheadLog.open(directory, { maxSegmentSize: 4096, sync: 'manual' })
  const group = Array.from({ length: 4 }, () => new Uint8Array(1024).fill(7))
  for (let made = 0; made < segments; made++) await log.appendBatch(group)
}

const parent = mkdtempSync(join(values.directory, 'forelog-opening-'))
try {
  const samples = new Map<number, Opened[]>(counts.map((count) => [count, []]))
  for (const count of counts) await fill(join(parent, String(count)), count)
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const [count, opened] of samples) opened.push(open(join(parent, String(count))))
  }
  for (const [count, opened] of samples) {
    if (opened.some(({ segments, clean }) => segments !== count || !clean)) throw new Error(`a log of ${count} segments was found with ${opened.map(({ segments }) => segments).join(', ')}`)
    console.log(`${count} segments: ${median(opened.map(({ ms }) => ms)).toFixed(1)} ms, ${median(opened.map(({ cpuMs }) => cpuMs)).toFixed(1)} ms of processor time`)
  }
} finally {
  rmSync(parent, { recursive: true, force: true })
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] as number
}
