import { readFileSync } from 'node:fs'
import { type RecoveryReport, WriteAheadLog } from 'forelog'
import type { Contender, ReadableStore } from '../contender.js'

/** The package as it is built, through its public API. */
export const forelog: Contender<ReadableStore> = {
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
      async *read() {
        for await (const { offset, entry } of log.entries()) yield [offset, entry.payload] as const
      },
      notice: noticeOf(log.recovery),
      close: () => log.close(),
    }
  },
}

/** What a caller can see of a log whose end was cut off. */
export function noticeOf({ clean, tornBytes, ambiguous }: RecoveryReport): string {
  return `${clean ? 'clean' : 'not clean'}${tornBytes > 0 ? ', cut off' : ''}${ambiguous ? ', ambiguous' : ''}`
}
