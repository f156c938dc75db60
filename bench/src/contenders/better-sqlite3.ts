import { createRequire } from 'node:module'
import { join } from 'node:path'
import { type Contender, type ReadableStore, installedVersion } from '../contender.js'

interface Statement {
  run(value: Uint8Array): unknown
  raw(): { iterate(): Iterable<unknown[]> }
}
interface Database {
  pragma(source: string): unknown
  exec(source: string): unknown
  prepare(source: string): Statement
  transaction(action: (payloads: readonly Uint8Array[]) => void): (payloads: readonly Uint8Array[]) => void
  close(): void
}
type DatabaseClass = new (path: string) => Database

const require = createRequire(import.meta.url)
const fileName = 'log.sqlite'

/** Whether its native part is there: it is built after the installation, and that may have failed. */
function works(): boolean {
  try {
    new (require('better-sqlite3') as DatabaseClass)(':memory:').close()
    return true
  } catch {
    return false
  }
}

/** Blocking, so writers don't wait for a sync together: many do what one does. */
export const betterSqlite3: Contender<ReadableStore> = sqliteWith('FULL')

/** @param synchronous how it syncs where an append has to be durable */
export function sqliteWith(synchronous: 'FULL' | 'NORMAL'): Contender<ReadableStore> {
  return {
    name: 'better-sqlite3',
    usage: `WAL, synchronous = ${synchronous} (OFF where nothing is synced); INSERT; a transaction for batches; replay by iterate()`,

    version: () => (works() ? installedVersion('better-sqlite3') : undefined),

    async open(directory, { durable }) {
      const database = new (require('better-sqlite3') as DatabaseClass)(join(directory, fileName))
      database.pragma('journal_mode = WAL')
      database.pragma(`synchronous = ${durable ? synchronous : 'OFF'}`)
      database.exec('CREATE TABLE IF NOT EXISTS log (entry INTEGER PRIMARY KEY, payload BLOB NOT NULL)')
      const insert = database.prepare('INSERT INTO log (payload) VALUES (?)')
      const insertAll = database.transaction((payloads) => {
        for (const payload of payloads) insert.run(payload)
      })
      const select = database.prepare('SELECT payload FROM log ORDER BY entry').raw()
      const selectAll = database.prepare('SELECT entry, payload FROM log ORDER BY entry').raw()
      return {
        append: async (payload) => insert.run(payload),
        appendBatch: async (payloads) => insertAll(payloads),
        async replay() {
          let entries = 0
          let bytes = 0
          for (const [payload] of select.iterate() as Iterable<[Uint8Array]>) {
            entries++
            bytes += payload.length
          }
          return { entries, bytes }
        },
        async *read() {
          for (const [entry, payload] of selectAll.iterate() as Iterable<[number, unknown]>) yield [entry, payload] as const
        },
        close: async () => {
          database.close()
        },
      }
    },
  }
}

/** What SQLite finds when it is asked to look at all of it: 'ok', or what is wrong. */
export function checkSqlite(directory: string): string {
  const database = new (require('better-sqlite3') as DatabaseClass)(join(directory, fileName))
  try {
    const rows = database.pragma('integrity_check') as { integrity_check: string }[]
    return rows.map((row) => row.integrity_check).join('; ')
  } finally {
    database.close()
  }
}
