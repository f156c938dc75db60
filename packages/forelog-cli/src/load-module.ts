/**
 * Modules that the user names: entries, and codecs.
 */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { EntrySource } from 'forelog'
import { text, UsageError, type Values } from './command.js'

export async function loadModule(file: string, option: string): Promise<Record<string, unknown>> {
  const path = resolve(file)
  if (!existsSync(path)) throw new UsageError(`--${option}: there is no file ${path}`)
  try {
    return (await import(pathToFileURL(path).href)) as Record<string, unknown>
  } catch (error) {
    throw new UsageError(`--${option}: ${path} can't be loaded: ${(error as Error).message}`)
  }
}

/** What the option `--entries` names, as an option of the library. */
export async function entriesFrom(values: Values): Promise<{ entries?: EntrySource }> {
  const file = text(values, 'entries')
  if (file === undefined) return {}
  const module = await loadModule(file, 'entries')
  const entries = module['entries'] ?? module['default']
  if (entries === undefined) throw new UsageError(`--entries: ${file} exports neither \`entries\` nor a default`)
  return { entries: entries as EntrySource }
}
