/** Logs of both formats, so that one workload can run on either. */
import { type OpenOptions, WriteAheadLog } from '../../src/index.js'
import type { SimulatedDisk } from '../../src/testing/index.js'
import { textEntries, textEntry } from './text-entries.js'

export type Log = WriteAheadLog<never, { readonly payload: Uint8Array }>

export const directory = '/data/log'

export function openLog(
  fileSystem: SimulatedDisk,
  format: 1 | 2,
  options: Pick<OpenOptions, 'maxSegmentSize' | 'sync' | 'syncInterval' | 'commit' | 'retention'> = {},
): Promise<Log> {
  if (format === 1) return WriteAheadLog.open(directory, { ...options, fileSystem, format, entries: textEntries })
  return WriteAheadLog.open(directory, { ...options, fileSystem })
}

/** What `append` of such a log takes. */
export function entryOf(payload: string, format: 1 | 2): never {
  const bytes = Buffer.from(payload, 'latin1')
  return (format === 1 ? textEntry(bytes) : bytes) as never
}
