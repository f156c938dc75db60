import { createRequire } from 'node:module'
import { join } from 'node:path'
import { type Contender, installedVersion } from '../contender.js'

interface Statement {
  run(value: Uint8Array): unknown
  raw(): { iterate(): Iterable<[Uint8Array]> }
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
export const betterSqlite3: Contender = {
  name: 'better-sqlite3',
  usage: 'WAL, synchronous = FULL (OFF where nothing is synced); INSERT; a transaction for batches; replay by iterate()',

  version: () => (works() ? installedVersion('better-sqlite3') : undefined),

  async open(directory, { durable }) {
    const database = new (require('better-sqlite3') as DatabaseClass)(join(directory, 'log.sqlite'))
    database.pragma('journal_mode = WAL')
    database.pragma(`synchronous = ${durable ? 'FULL' : 'OFF'}`)
    database.exec('CREATE TABLE IF NOT EXISTS log (entry INTEGER PRIMARY KEY, payload BLOB NOT NULL)')
    const insert = database.prepare('INSERT INTO log (payload) VALUES (?)')
    const insertAll = database.transaction((payloads) => {
      for (const payload of payloads) insert.run(payload)
    })
    const select = database.prepare('SELECT payload FROM log ORDER BY entry').raw()
    return {
      append: async (payload) => insert.run(payload),
      appendBatch: async (payloads) => insertAll(payloads),
      async replay() {
        let entries = 0
        let bytes = 0
        for (const [payload] of select.iterate()) {
          entries++
          bytes += payload.length
        }
        return { entries, bytes }
      },
      close: async () => {
        database.close()
      },
    }
  },
}
