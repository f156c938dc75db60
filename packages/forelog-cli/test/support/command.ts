import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { WriteAheadLog } from 'forelog'

export const commandFile: string = fileURLToPath(new URL('../../dist/index.js', import.meta.url))

export interface Ran {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

export interface RunOptions {
  readonly input?: string
  readonly env?: Record<string, string>
  /** Whom it runs as, where this is root. */
  readonly uid?: number
}

/** Runs the built command to its end. */
export function forelog(args: readonly string[], { input = '', env = {}, uid }: RunOptions = {}): Ran {
  const { status, stdout, stderr } = spawnSync(process.execPath, [commandFile, ...args], {
    encoding: 'utf8',
    input,
    ...(uid === undefined ? {} : { uid, gid: uid }),
    env: { ...process.env, NO_COLOR: '1', ...env },
    maxBuffer: 256 * 1024 * 1024,
  })
  return { code: status, out: stdout, err: stderr }
}

/** Runs the built command to its end, its output read and thrown away; the most memory that it ever had. */
export async function peakMiB(args: readonly string[]): Promise<number> {
  const report = 'data:text/javascript,process.on("exit",()=>console.error("peak",process.resourceUsage().maxRSS))'
  // Young objects get little room, so that what is measured is what is held, and not how late the collector comes.
  const child = spawn(process.execPath, ['--max-semi-space-size=1', '--import', report, commandFile, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let notes = ''
  child.stdout.resume()
  child.stderr.on('data', (data: Buffer) => (notes += data.toString()))
  await once(child, 'close')
  return Math.round(Number(/^peak (\d+)$/m.exec(notes)?.[1]) / 1024)
}

/** Runs a line of a shell, in which `forelog` is the built command. */
export function shell(line: string): Ran {
  const { status, stdout, stderr } = spawnSync('bash', ['-c', `set -o pipefail; forelog() { "${process.execPath}" "${commandFile}" "$@"; }; ${line}`], { encoding: 'utf8', env: { ...process.env, NO_COLOR: '1' } })
  return { code: status, out: stdout, err: stderr }
}

/** Starts the command, and gives what it printed once `until` holds for it; then ends it with a signal. */
export async function watch(args: readonly string[], until: (out: string) => boolean): Promise<Ran> {
  const child = spawn(process.execPath, [commandFile, ...args], { env: { ...process.env, NO_COLOR: '1' } })
  let out = ''
  let err = ''
  child.stderr.on('data', (data: Buffer) => (err += data.toString()))
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  const seen = new Promise<void>((resolve) => {
    child.stdout.on('data', (data: Buffer) => {
      out += data.toString()
      if (until(out)) resolve()
    })
  })
  await Promise.race([seen, ended])
  child.kill('SIGINT')
  return { code: await ended, out, err }
}

export interface Scratch extends Disposable {
  readonly path: string
  /** A path in it. */
  at(name: string): string
}

/** A directory that goes away with its scope: `using scratch = makeScratch()`. */
export function makeScratch(): Scratch {
  const path = mkdtempSync(join(tmpdir(), 'forelog-command-'))
  return { path, at: (name) => join(path, name), [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}

/** Writes a log of 200 orders in several segments, the first 20 of which are truncated, and closes it. */
export async function writeOrders(directory: string): Promise<void> {
  const log = await WriteAheadLog.open(directory, { maxSegmentSize: 1800 })
  for (let group = 0; group < 20; group++) {
    await log.appendBatch(Array.from({ length: 10 }, (_, index) => ({ type: index % 3, payload: Buffer.from(JSON.stringify({ order: group * 10 + index + 1, note: 'x'.repeat(index) })) })))
  }
  await log.truncateBefore(21)
  await log.close()
}

export function segmentsOf(directory: string): string[] {
  return readdirSync(directory)
    .filter((name) => name.endsWith('.wal'))
    .sort()
}

/** Changes the bytes of a segment, counted from the oldest one, or by negative numbers from the newest. */
export function damage(directory: string, segment: number, change: (bytes: Buffer) => Buffer): void {
  const name = segmentsOf(directory).at(segment) as string
  const file = join(directory, name)
  writeFileSync(file, change(readFileSync(file)))
}

/** All files of a directory and those below it, with their bytes. */
export function snapshot(directory: string): Map<string, string> {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  return new Map(files.map((entry) => [join(entry.parentPath, entry.name), readFileSync(join(entry.parentPath, entry.name)).toString('base64')]))
}

export const copy: (from: string, to: string) => void = (from, to) => cpSync(from, to, { recursive: true })

/** Ways to damage what `writeOrders` wrote. */
export const damages: Readonly<Record<string, (directory: string) => void>> = {
  'a flipped bit': (directory) => damage(directory, 1, (bytes) => flip(bytes, 700, 3)),
  'rubbish in the middle': (directory) => damage(directory, 1, (bytes) => Buffer.from(bytes).fill(0xee, 700, 720)),
  'rubbish in a header': (directory) => damage(directory, 1, (bytes) => Buffer.from(bytes).fill(0xee, 20, 60)),
  'a zeroed file': (directory) => damage(directory, 1, (bytes) => Buffer.alloc(bytes.length)),
  'an emptied newest file': (directory) => damage(directory, -1, () => Buffer.alloc(0)),
  'an older file cut short': (directory) => damage(directory, 1, (bytes) => bytes.subarray(0, bytes.length - 500)),
  'a missing file': (directory) => rmSync(join(directory, segmentsOf(directory)[1] as string)),
  'a foreign file': (directory) => writeFileSync(join(directory, 'copy.wal'), 'no segment'),
  'the newest file random': (directory) => damage(directory, -1, (bytes) => Buffer.from(bytes.map((byte, index) => (byte * 7 + index * 13) & 0xff))),
}

export function flip(bytes: Buffer, position: number, bit: number): Buffer {
  const copy = Buffer.from(bytes)
  copy[position] = (copy[position] as number) ^ (1 << bit)
  return copy
}
