import { join } from 'node:path'
import { type Contender, type ReadableStore, installedVersion, loadPeer } from '../contender.js'

interface Operation {
  readonly type: 'put'
  readonly key: Uint8Array
  readonly value: Uint8Array
}
interface Database {
  open(): Promise<void>
  put(key: Uint8Array, value: Uint8Array, options: { sync: boolean }): Promise<void>
  batch(operations: Operation[], options: { sync: boolean }): Promise<void>
  iterator(options: { fillCache: boolean; highWaterMarkBytes: number }): { nextv(count: number): Promise<[Uint8Array, Uint8Array][]>; close(): Promise<void> }
  keys(options: { reverse: true; limit: number }): { next(): Promise<Uint8Array | undefined>; close(): Promise<void> }
  close(): Promise<void>
}
interface ClassicLevelModule {
  ClassicLevel: new (location: string, options: object) => Database
}

export const classicLevel: Contender<ReadableStore> = {
  name: 'classic-level',
  usage: 'put with sync; batch for batches; replay by iterator().nextv(1000)',

  version: () => installedVersion('classic-level'),

  async open(directory, { durable }) {
    const { ClassicLevel } = await loadPeer<ClassicLevelModule>('classic-level')
    const database = new ClassicLevel(join(directory, 'level'), { keyEncoding: 'buffer', valueEncoding: 'buffer' })
    await database.open()
    const options = { sync: durable }
    let next = await firstFreeKey(database)
    return {
      append: (payload) => database.put(keyOf(next++), payload, options),
      appendBatch: (payloads) => database.batch(payloads.map((value) => ({ type: 'put', key: keyOf(next++), value })), options),
      async replay() {
        let entries = 0
        let bytes = 0
        const iterator = database.iterator({ fillCache: false, highWaterMarkBytes: 1024 * 1024 })
        for (let batch = await iterator.nextv(1000); batch.length > 0; batch = await iterator.nextv(1000)) {
          entries += batch.length
          for (const [, value] of batch) bytes += value.length
        }
        await iterator.close()
        return { entries, bytes }
      },
      async *read() {
        const iterator = database.iterator({ fillCache: false, highWaterMarkBytes: 1024 * 1024 })
        for (let batch = await iterator.nextv(1000); batch.length > 0; batch = await iterator.nextv(1000)) {
          for (const [key, value] of batch) yield [numberOf(key), value] as const
        }
        await iterator.close()
      },
      close: () => database.close(),
    }
  },
}

async function firstFreeKey(database: Database): Promise<number> {
  const keys = database.keys({ reverse: true, limit: 1 })
  const newest = await keys.next()
  await keys.close()
  return newest === undefined ? 1 : numberOf(newest) + 1
}

/** Big-endian, so that the order of the bytes is that of the numbers. */
function keyOf(offset: number): Uint8Array {
  const key = Buffer.allocUnsafe(6)
  key.writeUIntBE(offset, 0, 6)
  return key
}

/** NaN where it is no key of ours: a damaged store may have any. */
function numberOf(key: Uint8Array): number {
  return key.length === 6 ? Buffer.from(key).readUIntBE(0, 6) : Number.NaN
}
