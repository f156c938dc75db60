/**
 * Where commits are made on a busy machine: one writer that awaits each append, under each value of the option `commit`, beside processes
 * that only compute.
 *
 *     npm run build && npx tsx bench/micro/busy.ts [folder on the disk to measure] [processes that compute, for each processor: 1]
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { type CommitMode, WriteAheadLog } from 'forelog'

const rounds = 3
const roundMs = 2000
const modes: readonly CommitMode[] = ['auto', 'inline', 'background']
const [folder = tmpdir(), each = '1'] = process.argv.slice(2)
const payload = new Uint8Array(128).fill(1)

async function appendsPerSecond(commit: CommitMode): Promise<number> {
  const directory = await mkdtemp(join(folder, 'forelog-busy-'))
  const log = await WriteAheadLog.open(directory, { commit })
  const beganMs = performance.now()
  let appends = 0
  while (performance.now() - beganMs < roundMs) {
    await log.append(payload)
    appends++
  }
  const rate = (appends * 1000) / (performance.now() - beganMs)
  await log.close()
  await rm(directory, { recursive: true })
  return rate
}

async function measure(what: string): Promise<void> {
  const rates = new Map<CommitMode, number[]>(modes.map((mode) => [mode, []]))
  for (let round = 0; round < rounds; round++) for (const [mode, list] of rates) list.push(await appendsPerSecond(mode))
  console.log(what)
  for (const [mode, list] of rates) console.log(`  ${mode.padEnd(12)}${list.map((rate) => rate.toFixed(0).padStart(8)).join('')}  appends/s`)
}

function begun(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => child.stdout?.once('data', () => resolve()))
}

await measure('alone')
const count = Number(each) * availableParallelism()
const others = Array.from({ length: count }, () => spawn(process.execPath, ['-e', 'process.stdout.write("."); for (;;);']))
try {
  await Promise.all(others.map((other) => begun(other)))
  await measure(`beside ${count} processes that compute, on ${availableParallelism()} processors`)
} finally {
  for (const other of others) other.kill('SIGKILL')
}
