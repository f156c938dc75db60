import { join } from 'node:path'
import { type Contender, type ReadableStore, installedVersion, loadPeer } from '../contender.js'

interface Database {
  put(key: number, value: Uint8Array): Promise<boolean>
  transaction(action: () => void): Promise<void>
  getKeys(options: { reverse: true; limit: number }): Iterable<number>
  getRange(options: object): Iterable<{ key: number; value: Uint8Array }>
  close(): Promise<void>
}
interface Lmdb {
  readonly open: (options: object) => Database
}

/** As it comes: `put` resolves when its transaction is flushed, and what one turn of the event loop puts shares one. */
export const lmdb: Contender<ReadableStore> = {
  name: 'lmdb',
  usage: 'put; transaction for batches; replay by getRange',

  version: () => installedVersion('lmdb'),

  async open(directory, { durable, powerWasCut }) {
    const { open } = await loadPeer<Lmdb>('lmdb')
    const database = open({
      path: join(directory, 'data.lmdb'),
      keyEncoding: 'uint32',
      encoding: 'binary',
      ...(durable ? {} : { noSync: true }),
      ...(powerWasCut ? { safeRestore: true } : {}),
    })
    let next = 1
    for (const key of database.getKeys({ reverse: true, limit: 1 })) next = key + 1
    return {
      append: (payload) => database.put(next++, payload),
      appendBatch: (payloads) =>
        database.transaction(() => {
          for (const payload of payloads) void database.put(next++, payload)
        }),
      async replay() {
        let entries = 0
        let bytes = 0
        for (const { value } of database.getRange({})) {
          entries++
          bytes += value.length
        }
        return { entries, bytes }
      },
      async *read() {
        for (const { key, value } of database.getRange({})) yield [key, value] as const
      },
      close: () => database.close(),
    }
  },
}
