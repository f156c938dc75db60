import { readFileSync } from 'node:fs'
import { WriteAheadLog } from 'forelog'
import type { Contender } from '../contender.js'

/** The package as it is built, through its public API. */
export const forelog: Contender = {
  name: 'forelog',
  usage: 'a raw log; replay by entries({ copy: false }).batches()',

  version: () => (JSON.parse(readFileSync(new URL('../../../packages/forelog/package.json', import.meta.url), 'utf8')) as { version: string }).version,

  async open(directory, { durable, segmentBytes }) {
    const log = await WriteAheadLog.open(directory, {
      sync: durable ? 'always' : 'manual',
      ...(segmentBytes === undefined ? {} : { maxSegmentSize: segmentBytes }),
    })
    return {
      append: (payload) => log.append(payload),
      appendBatch: (payloads) => log.appendBatch(payloads),
      async replay() {
        let entries = 0
        let bytes = 0
        for await (const batch of log.entries({ copy: false }).batches()) {
          entries += batch.length
          for (const { entry } of batch) bytes += entry.payload.length
        }
        return { entries, bytes }
      },
      close: () => log.close(),
    }
  },
}
