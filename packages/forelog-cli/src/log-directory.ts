import { readdirSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { shellText } from './text.js'

/** The directory that a command was given. Throws where there is none, in words that are about the command line and not about a call that failed. */
export function existingDirectory(path: string): string {
  const stats = statSync(path, { throwIfNoEntry: false })
  if (stats === undefined) throw new Error(`there is no directory ${resolve(path)}`)
  if (!stats.isDirectory()) throw new Error(`${resolve(path)} is a file, and a log is a directory${path.endsWith('.wal') ? `: try ${shellText(dirname(path))}` : ''}`)
  return path
}

/** As `existingDirectory`, with a segment in it. */
export function directoryOfLog(path: string): string {
  if (!readdirSync(existingDirectory(path)).some((name) => name.endsWith('.wal'))) throw new Error(`there is no log in ${resolve(path)}: it has no segment file (*.wal)`)
  return path
}
