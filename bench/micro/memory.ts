/**
 * How much memory appending and reading a gigabyte takes: the most that a process ever had resident, less that of one that only imported the library,
 * and less that of one that does nothing at all. Each piece of work has a process of its own.
 *
 *     npm run build && npx tsx bench/micro/memory.ts [payload bytes…] [--mebibytes 1024] [--seconds 25] [--only TEXT] [--directory DIR] [--json FILE]
 *
 * Without sizes: 14, 100, 4096 and 1048576. An append that has not come to so many MiB of payloads in so many seconds ends there, and the table says
 * what it came to. `appendBatch` of 1000 entries, or as many as make a MiB; one by one with `sync: 'manual'`, so that
 * more is reached; many writers are 100, or as many as have 16 MiB in flight.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, release, tmpdir, type } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    mebibytes: { type: 'string', default: '1024' },
    seconds: { type: 'string', default: '25' },
    only: { type: 'string', default: '' },
    directory: { type: 'string', default: tmpdir() },
    json: { type: 'string' },
  },
})
const sizes = positionals.length > 0 ? positionals.map(Number) : [14, 100, 4096, 2 ** 20]
const appending = ['append one by one', 'append by many writers', 'append in batches']
const reading = ['entries()', 'entries().batches()', 'entries().batches(), views', 'entriesSync()']
const readingJson = ['entries(), JSON', 'entries().batches(), JSON', 'entriesSync(), JSON']

interface Outcome {
  readonly entries: number
  readonly ms: number
  readonly cpuMs: number
  readonly peakMiB: number
}

interface Row {
  readonly what: string
  readonly payloadBytes: number
  /** Payloads that went through. */
  readonly mebibytes: number
  readonly seconds: number
  readonly aboveImportMiB: number
  readonly aboveNothingMiB: number
}

const child = fileURLToPath(new URL('memory-child.mjs', import.meta.url))
const rows: Row[] = []
const empty = { nothing: lowestOf('nothing'), import: lowestOf('import') }
console.log(`a process that does nothing: ${empty.nothing.toFixed(1)} MiB; one that only imports the library: ${empty.import.toFixed(1)} MiB`)
console.log('payload bytes | work | MiB of payloads | s | MiB above the import | MiB above nothing')
for (const payloadBytes of sizes) {
  const scratch = mkdtempSync(join(values.directory, 'forelog-memory-'))
  try {
    for (const what of appending.filter(isWanted)) {
      report(what, payloadBytes, run(what, join(scratch, 'appended'), payloadBytes))
      rmSync(join(scratch, 'appended'), { recursive: true, force: true })
    }
    readAll(reading.filter(isWanted), 'fill', join(scratch, 'raw'), payloadBytes)
    // A value of JSON has some bytes besides its text.
    if (payloadBytes >= 64) readAll(readingJson.filter(isWanted), 'fill, JSON', join(scratch, 'json'), payloadBytes)
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}
if (values.json !== undefined) {
  const environment = { node: process.version, processor: cpus()[0]?.model.trim(), cores: cpus().length, kernel: `${type()} ${release()}`, date: new Date().toISOString().slice(0, 10) }
  writeFileSync(values.json, `${JSON.stringify({ environment, emptyMiB: empty, rows }, undefined, 1)}\n`)
}

function isWanted(what: string): boolean {
  return what.includes(values.only)
}

function readAll(works: readonly string[], fill: string, directory: string, payloadBytes: number): void {
  if (works.length === 0) return
  run(fill, directory, payloadBytes)
  for (const what of works) report(what, payloadBytes, run(what, directory, payloadBytes))
  rmSync(directory, { recursive: true, force: true })
}

function run(what: string, directory: string, payloadBytes: number): Outcome {
  const seconds = what.startsWith('append') ? values.seconds : '600'
  return JSON.parse(execFileSync(process.execPath, [child, what, directory, String(payloadBytes), values.mebibytes, seconds], { encoding: 'utf8' })) as Outcome
}

/** Of some that do the same: what they all have is what counts as empty. */
function lowestOf(what: string): number {
  return Math.min(...Array.from({ length: 5 }, () => run(what, '', 1).peakMiB))
}

function report(what: string, payloadBytes: number, { entries, ms, peakMiB }: Outcome): void {
  const row = {
    what,
    payloadBytes,
    mebibytes: (entries * payloadBytes) / 2 ** 20,
    seconds: ms / 1000,
    aboveImportMiB: peakMiB - empty.import,
    aboveNothingMiB: peakMiB - empty.nothing,
  }
  rows.push(row)
  console.log([payloadBytes, what, row.mebibytes.toFixed(0), row.seconds.toFixed(1), row.aboveImportMiB.toFixed(1), row.aboveNothingMiB.toFixed(1)].join(' | '))
}
