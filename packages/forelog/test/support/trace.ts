/** What strace(1) saw of a process: its calls, from their beginning to their end, in the order in which they began. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

export interface TracedCall {
  readonly name: string
  /** As strace prints them. */
  readonly args: string
  readonly result: string
  /** Numbers of the lines where it begins and ends: what ends at a smaller one than another call begins at was over before. */
  readonly begin: number
  readonly end: number
  /** The path of the descriptor that the call is on. */
  readonly path: string
  /** Of a descriptor that was opened to write through, with O_DSYNC or O_SYNC. */
  readonly writesThrough: boolean
}

/** Runs `node <args>` to its end and gives those of its calls that are named. */
export function trace(names: readonly string[], args: readonly string[], { out, cwd }: { readonly out: string; readonly cwd: string }): TracedCall[] {
  const strace = ['-f', '-y', '-qq', '-s', '200', '-o', out, '-e', `trace=${['openat', ...names].join(',')}`, '-e', 'signal=none']
  execFileSync('strace', [...strace, process.execPath, ...args], { cwd, stdio: ['ignore', 'ignore', 'inherit'] })
  return parse(readFileSync(out, 'utf8').split('\n'))
}

function parse(lines: readonly string[]): TracedCall[] {
  const calls: TracedCall[] = []
  /** What each thread has not finished. */
  const begun = new Map<string, { text: string; begin: number }>()
  const writeThrough = new Map<string, boolean>()
  for (const [number, line] of lines.entries()) {
    const [, thread = '', text = ''] = /^(\d+) +(.*)$/.exec(line) ?? []
    if (text.endsWith('<unfinished ...>')) {
      begun.set(thread, { text: text.slice(0, -'<unfinished ...>'.length), begin: number })
      continue
    }
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(text)
    const before = resumed === null ? undefined : begun.get(thread)
    const whole = before === undefined ? text : before.text + (resumed?.[1] ?? '')
    const [, name, args = '', result = ''] = /^(\w+)\((.*)\) += (.*)$/.exec(whole) ?? []
    if (name === undefined) continue
    if (name === 'openat') {
      const descriptor = /^(\d+)/.exec(result)?.[1]
      if (descriptor !== undefined) writeThrough.set(descriptor, /\bO_D?SYNC\b/.test(args))
    }
    const [, descriptor = '', path = ''] = /^(\d+)<([^>]*)>/.exec(args) ?? []
    calls.push({ name, args, result, path, begin: before?.begin ?? number, end: number, writesThrough: writeThrough.get(descriptor) === true })
  }
  return calls.sort((a, b) => a.begin - b.begin)
}
