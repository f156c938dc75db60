/**
 * For the tests of the examples: runs one as a reader would, in a process of its own, against what is built.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'

const tsx = createRequire(import.meta.url).resolve('tsx/cli')
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

/** A directory that is gone when the test ends. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'forelog-example-test-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}
