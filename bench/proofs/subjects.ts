/**
 * What is put to the tests: forelog in both formats and the peers, each by the adapter that the benchmarks have.
 */
import { verify, WriteAheadLog } from 'forelog'
import type { ReadableStore } from '../src/contender.ts'
import { betterSqlite3, checkSqlite, sqliteWith } from '../src/contenders/better-sqlite3.ts'
import { classicLevel } from '../src/contenders/classic-level.ts'
import { forelog, noticeOf } from '../src/contenders/forelog.ts'
import { lmdb } from '../src/contenders/lmdb.ts'
import { textEntries, textEntry } from '../../packages/forelog/test/proofs/text-entries.ts'

export interface Subject {
  readonly name: string
  /** As `--peers` names it. */
  readonly peer: string
  readonly usage: string
  /** Takes part where the power is cut alone: it says itself that it may lose what it acknowledged. */
  readonly isControl?: boolean
  version(): string | undefined
  /** Which of the files in its directory hold entries, or the way to them: no locks, no messages, nothing that is made anew at each opening. */
  readonly files: RegExp
  open(directory: string, options: { powerWasCut: boolean }): Promise<Pick<ReadableStore, 'append' | 'read' | 'notice' | 'close'>>
  /** The store's own check of all its files, where there is one: whether it found something. */
  readonly check?: { readonly name: string; finds(directory: string): Promise<boolean> }
}

/** Small, so that a few kilobytes are several segments. */
const segmentBytes = 4096

const format2: Subject = {
  name: 'forelog, format 2',
  peer: 'forelog',
  usage: 'a raw log, one entry at a time, segments of 4 KiB',
  version: () => forelog.version(),
  files: /\.wal$/,
  open: (directory) => forelog.open(directory, { durable: true, segmentBytes }),
  check: { name: 'verify', finds: async (directory) => (await verify(directory)).outcome !== 'sound' },
}

const format1: Subject = {
  name: 'forelog, format 1',
  peer: 'forelog',
  usage: 'entries with their length in front, one at a time, segments of 4 KiB',
  version: () => forelog.version(),
  files: /\.wal$/,
  async open(directory) {
    const log = await WriteAheadLog.open(directory, { format: 1, entries: textEntries, maxSegmentSize: segmentBytes })
    return {
      append: (payload) => log.append(textEntry(payload)),
      async *read() {
        for await (const { offset, entry } of log.entries()) yield [offset, entry.type === 0 ? entry.payload : undefined] as const
      },
      notice: noticeOf(log.recovery),
      close: () => log.close(),
    }
  },
  check: { name: 'verify', finds: async (directory) => (await verify(directory, { entries: textEntries })).outcome !== 'sound' },
}

const sqlite: Subject = {
  name: 'SQLite (better-sqlite3), FULL',
  peer: 'better-sqlite3',
  usage: 'journal_mode = WAL, synchronous = FULL, INSERT, read by SELECT',
  version: () => betterSqlite3.version(),
  // The file -shm is an index of the file -wal, and is made anew by whoever opens it first.
  files: /\.sqlite(-wal)?$/,
  open: (directory) => betterSqlite3.open(directory, { durable: true }),
  check: { name: 'integrity_check', finds: async (directory) => checkSqlite(directory) !== 'ok' },
}

const sqliteNormal = sqliteWith('NORMAL')

export const subjects: readonly Subject[] = [
  format2,
  format1,
  sqlite,
  {
    name: 'LMDB (lmdb)',
    peer: 'lmdb',
    usage: 'put; after a power cut with safeRestore, because the kernel that wrote it still runs; read by getRange',
    version: () => lmdb.version(),
    files: /^data\.lmdb$/,
    open: (directory, { powerWasCut }) => lmdb.open(directory, { durable: true, powerWasCut }),
  },
  {
    name: 'Level (classic-level)',
    peer: 'classic-level',
    usage: 'put with sync; read by an iterator; its API has no option for checksums',
    version: () => classicLevel.version(),
    files: /(\.(log|ldb)|CURRENT|MANIFEST-\d+)$/,
    open: (directory) => classicLevel.open(directory, { durable: true }),
  },
  {
    ...sqlite,
    name: 'SQLite (better-sqlite3), NORMAL',
    usage: 'journal_mode = WAL, synchronous = NORMAL, which may lose what was committed: the control',
    isControl: true,
    open: (directory) => sqliteNormal.open(directory, { durable: true }),
  },
]

export function subjectNamed(name: string): Subject {
  const found = subjects.find((subject) => subject.name === name)
  if (found === undefined) throw new Error(`there is no ${name}: there are ${subjects.map((subject) => subject.name).join('; ')}`)
  return found
}
