/**
 * For the tests of the examples: runs one as a reader would, in a process of its own, against what is built.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { onTestFinished } from 'vitest'

const tsx = createRequire(import.meta.url).resolve('tsx/cli')
const loader = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href
const tsconfig = fileURLToPath(new URL('../../tsconfig.base.json', import.meta.url))

export interface Outcome {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** @param path from the folder `examples` on; TypeScript runs under tsx, JavaScript under plain Node.js */
export async function runExample(path: string, { args = [], cwd }: { args?: readonly string[]; cwd?: string } = {}): Promise<Outcome> {
  const file = fileURLToPath(new URL(`../${path}`, import.meta.url))
  const command = path.endsWith('.ts') ? [tsx, '--tsconfig', tsconfig, file] : [file]
  const child = spawn(process.execPath, [...command, ...args], { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  return { code, signal, stdout, stderr }
}

export interface Running {
  readonly child: ChildProcess
  readonly ended: Promise<[code: number | null, signal: NodeJS.Signals | null]>
  /** The first line with `text` in it, as soon as it is printed. */
  line(text: string): Promise<string>
}

/** Starts one that goes on until it is told to end, or killed: no process stands between, so a signal is for it alone. It ends with the test. */
export function startExample(path: string, args: readonly string[]): Running {
  const file = fileURLToPath(new URL(`../${path}`, import.meta.url))
  const child = spawn(process.execPath, ['--import', loader, file, ...args], {
    env: { ...process.env, TSX_TSCONFIG_PATH: tsconfig },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const printed: string[] = []
  const lines = createInterface({ input: child.stdout }).on('line', (line) => printed.push(line))
  const ended = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>
  const line = (text: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const found = printed.find((one) => one.includes(text))
        if (found !== undefined) resolve(found)
      }
      lines.on('line', look).once('close', () => reject(new Error(`${path} ended, and printed no ${text}`)))
      look()
    })
  return { child, ended, line }
}

/** A directory that is gone when the test ends. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'forelog-example-test-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}
