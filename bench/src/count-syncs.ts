/**
 * Counts the syncs of an append task by strace: fsync, fdatasync, sync_file_range, msync, and writes through a descriptor
 * that was opened with O_DSYNC or O_SYNC. What counts lies between the two marks of the task.
 */
import { readFileSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { runTask } from './run-worker.js'
import { type AppendTask, marks } from './tasks/append.js'

const traced = 'openat,open,access,faccessat,faccessat2,close,fsync,fdatasync,sync_file_range,msync,write,writev,pwrite64,pwritev,pwritev2'

export async function countSyncs(task: AppendTask, directory: string): Promise<{ syncs: number; entries: number }> {
  const trace = join(directory, 'strace.txt')
  const { entries } = await runTask({ ...task, marks: true }, { through: ['strace', '-f', '-qq', '-y', '-s', '64', '-o', trace, '-e', `trace=${traced}`] })
  const text = readFileSync(trace, 'utf8')
  unlinkSync(trace)
  return { syncs: syncsBetweenMarks(text), entries }
}

export function syncsBetweenMarks(trace: string): number {
  const writeThrough = new Set<string>()
  let counting = false
  let syncs = 0
  for (const line of trace.split('\n')) {
    if (line.includes(marks.begin)) counting = true
    else if (line.includes(marks.end)) counting = false
    // openat(AT_FDCWD</…>, "…", O_RDWR|O_DSYNC|O_CLOEXEC) = 17</path/of/the/file>
    else if (/\bopen(at)?\b.*= \d+</.test(line)) {
      const opened = /= (\d+<.*>)$/.exec(line)?.[1] ?? ''
      if (/O_D?SYNC/.test(line)) writeThrough.add(opened)
      else writeThrough.delete(opened) // the number was another descriptor's before
    } else if (counting && isSync(line, writeThrough)) syncs++
  }
  return syncs
}

/** A call that was interrupted by another thread's has two lines; the second one is `<... fdatasync resumed>`. */
function isSync(line: string, writeThrough: ReadonlySet<string>): boolean {
  if (/^\d*\s*(fsync|fdatasync|sync_file_range)\(/.test(line) || (/^\d*\s*msync\(/.test(line) && line.includes('MS_SYNC'))) return true
  const descriptor = /^\d*\s*p?writev?(?:64|2)?\((\d+<[^>]*>)/.exec(line)?.[1]
  return descriptor !== undefined && writeThrough.has(descriptor)
}
