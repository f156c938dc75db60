/** Runs a scripted writer whose system calls somebody tampers with: strace(1) by `-e inject`, or nobody. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { SyncMode } from '../../../src/index.js'
import type { LogEvent } from '../log-journal.js'

/** What a scripted writer tells. */
export type Report =
  | LogEvent
  | { readonly kind: 'ready' }
  | { readonly kind: 'rejected'; readonly call: string; readonly code: string; readonly state: string }
  | { readonly kind: 'wrong'; readonly why: string }
  | { readonly kind: 'timed'; readonly claim: string; readonly ms: number }
  | { readonly kind: 'end'; readonly stateBefore: string; readonly state: string; readonly failure: string; readonly closing: string }

export type ReportOf<K extends Report['kind']> = Extract<Report, { kind: K }>

export function reportsOf<K extends Report['kind']>(reports: readonly Report[], kind: K): ReportOf<K>[] {
  return reports.filter((report): report is ReportOf<K> => report.kind === kind)
}

export function eventsOf(reports: readonly Report[]): LogEvent[] {
  const others = new Set<Report['kind']>(['ready', 'rejected', 'wrong', 'timed', 'end'])
  return reports.filter((report): report is LogEvent => !others.has(report.kind))
}

export interface TracedRun {
  readonly script: string
  readonly directory: string
  readonly doing: 'everything' | 'blocking' | 'leave' | 'untilFull' | 'claims' | 'claims-delayed' | 'claims-cursor'
  readonly sync: SyncMode
  /** Arguments of strace, and where it puts its trace. */
  readonly strace?: { readonly expressions: readonly string[]; readonly trace: string }
}

/** Why there can be no strace here, or undefined. */
export function whyNoStrace(): string | undefined {
  if (spawnSync('strace', ['-V']).status !== 0) return 'strace is missing'
  return spawnSync('strace', ['-o', '/dev/null', 'true']).status === 0 ? undefined : 'strace may not trace here'
}

/** What it told, to its end. Strace comes when the writer is up: what is counted are the calls of the script alone. */
export async function runTraced({ script, directory, doing, sync, strace }: TracedRun): Promise<{ reports: Report[]; trace: string }> {
  // One thread makes the calls, for strace counts them by thread.
  const writer = spawn(process.execPath, [script, directory, doing, sync], {
    env: { ...process.env, UV_THREADPOOL_SIZE: '1' },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const exited = once(writer, 'exit')
  writer.stdin.on('error', () => {})
  let complaint = ''
  writer.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text))
  const reports: Report[] = []
  const lines = createInterface({ input: writer.stdout })
  const drained = once(lines, 'close')
  const ready = once(lines, 'line')
  lines.on('line', (line) => {
    const report = JSON.parse(line) as Report
    reports.push(report)
    if (doing === 'leave' && report.kind === 'end') writer.kill('SIGKILL')
  })
  await Promise.race([ready, exited])
  const traced = strace === undefined ? undefined : await attach(writer.pid as number, strace)
  writer.stdin.write('go\n')
  const [status] = (await exited) as [number | null]
  await Promise.all([drained, traced?.ended])
  if (status !== (doing === 'leave' ? null : 0)) throw new Error(`the writer ended with ${String(status)}: ${complaint}`)
  return { reports, trace: strace !== undefined && existsSync(strace.trace) ? readFileSync(strace.trace, 'utf8') : '' }
}

/** Resolves, when strace has all threads, with a promise of its end. */
async function attach(pid: number, { expressions, trace }: NonNullable<TracedRun['strace']>): Promise<{ ended: Promise<unknown> }> {
  const args = ['-f', '-y', '-o', trace, ...expressions.flatMap((expression) => ['-e', expression]), '-p', String(pid)]
  const strace = spawn('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] })
  const ended = once(strace, 'exit')
  let said = ''
  await new Promise<void>((resolve, reject) => {
    strace.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text
      if (said.includes('attached')) resolve()
    })
    void ended.then(() => reject(new Error(`strace: ${said}`)))
  })
  return { ended }
}

/**
 * The lines of a trace whose call was made to fail, but for those that only go ahead of the log: what is done to the file of the next
 * segment under its temporary name, and to a descriptor that has written nothing but zeros. Without them the log goes on, no faster. What
 * is done to a cursor is refused to whoever has it open, and concerns nobody else.
 */
export function refusedInEarnest(trace: string): string[] {
  const inEarnest: string[] = []
  const unfinished = new Map<string, string>()
  /** Descriptors of files, and whether all that they wrote was zeros. */
  const onlyZeros = new Map<string, boolean>()
  for (const part of trace.split('\n')) {
    const [, pid = '', call = ''] = /^(\d+) +(.*)$/.exec(part) ?? []
    if (call.endsWith('<unfinished ...>')) {
      unfinished.set(pid, call.replace('<unfinished ...>', ''))
      continue
    }
    const line = call.startsWith('<...') ? `${unfinished.get(pid) ?? ''}${call}` : call
    const [, name = '', file = ''] = /^(\w+)\((\d+<[^>]*>)/.exec(line) ?? []
    const data = [...line.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, text = '']) => text).join('')
    if (name.startsWith('pwrite')) onlyZeros.set(file, (onlyZeros.get(file) ?? true) && /^(?:\\0)+$/.test(data))
    if (!line.includes('(INJECTED)') || file.endsWith('.wal.tmp>') || line.includes('/cursors') || onlyZeros.get(file) === true) continue
    inEarnest.push(line)
  }
  return inEarnest
}
