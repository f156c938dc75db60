/**
 * The most memory, and the processor time, that the command takes to read logs of several sizes from end to end.
 *
 *     npm run build && npx tsx bench/micro/command.ts FOLDER [GIGABYTES,…]
 *
 * The largest log is written below FOLDER and removed at the end; the smaller ones are links to its first segments.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { linkSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { WriteAheadLog } from '../../packages/forelog/src/index.js'

const [, , folder, list = '1,3,10'] = process.argv
if (folder === undefined) throw new Error('give a folder, with room for the largest log')
const gigabytes = list.split(',').map(Number)
const largest = Math.max(...gigabytes)
const command = fileURLToPath(new URL('../../packages/forelog-cli/dist/index.js', import.meta.url))
const tasks = [['dump'], ['export'], ['grep', '--count', '.customer.id=42'], ['tail'], ['verify'], ['inspect']]

/** Orders of some 1 KiB, of three types. */
function order(number: number): { type: number; payload: Uint8Array } {
  const customer = { id: number % 997, name: `Customer ${number % 997}` }
  const value = { order: number, customer, total: (number * 7919) % 100_000, note: 'to be left with the neighbours '.repeat(24 + (number % 8)) }
  return { type: number % 17 === 0 ? 3 : number % 5 === 0 ? 2 : 1, payload: Buffer.from(JSON.stringify(value)) }
}

async function write(directory: string, bytes: number): Promise<void> {
  await using log = await WriteAheadLog.open(directory, { sync: 'manual' })
  for (let written = 0, number = 1; written < bytes; ) {
    const batch = Array.from({ length: 200 }, () => order(number++))
    await log.appendBatch(batch)
    for (const { payload } of batch) written += payload.length
  }
}

function linkFirst(from: string, to: string, bytes: number): void {
  mkdirSync(to)
  let linked = 0
  for (const name of readdirSync(from).filter((each) => each.endsWith('.wal')).sort()) {
    if (linked >= bytes) return
    linkSync(join(from, name), join(to, name))
    linked += statSync(join(from, name)).size
  }
}

const report = 'data:text/javascript,process.on("exit",()=>console.error("peak",process.resourceUsage().maxRSS,"cpu",process.cpuUsage().user+process.cpuUsage().system))'

/** Runs the command to its end; its output is thrown away. */
async function measure(args: readonly string[]): Promise<{ peakMiB: number; cpuSeconds: number }> {
  const child = spawn(process.execPath, ['--import', report, command, ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
  let notes = ''
  child.stderr.on('data', (data: Buffer) => (notes += data.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  const [, peakKiB, cpuMicroseconds] = /^peak (\d+) cpu (\d+)$/m.exec(notes) ?? []
  if (code !== 0 || peakKiB === undefined) throw new Error(`forelog ${args.join(' ')} ended with ${String(code)}: ${notes}`)
  return { peakMiB: Number(peakKiB) / 1024, cpuSeconds: Number(cpuMicroseconds) / 1e6 }
}

const scratch = mkdtempSync(join(folder, 'forelog-command-'))
try {
  const whole = join(scratch, String(largest))
  await write(whole, largest * 1e9)
  for (const each of gigabytes) if (each !== largest) linkFirst(whole, join(scratch, String(each)), each * 1e9)
  console.log(`| | ${gigabytes.map((each) => `${each} GB`).join(' | ')} |\n|---${'|---'.repeat(gigabytes.length)}|`)
  for (const task of tasks) {
    const cells: string[] = []
    for (const each of gigabytes) {
      const { peakMiB, cpuSeconds } = await measure([...task, join(scratch, String(each))])
      cells.push(`${peakMiB.toFixed(0)} MiB, ${cpuSeconds.toFixed(1)} s`)
    }
    console.log(`| \`${task.join(' ')}\` | ${cells.join(' | ')} |`)
  }
} finally {
  rmSync(scratch, { recursive: true })
}
