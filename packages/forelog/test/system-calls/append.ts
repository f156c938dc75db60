/*
 * Appends to a log for somebody who counts the system calls: `node --import tsx append.ts <directory> <how>`. On stdout it says where it
 * is, so that this stands in the trace between the calls.
 */
import { writeSync } from 'node:fs'
import { WriteAheadLog } from '../../src/index.js'

const [directory = '', how = ''] = process.argv.slice(2)
const payload = new Uint8Array(128).fill(7)
const say = (text: string): void => void writeSync(1, `${text}\n`)

const log = await WriteAheadLog.open(directory, how === 'rolls' ? { maxSegmentSize: 2_000 } : {})
say('begin')
switch (how) {
  case 'sequential':
    for (let index = 0; index < 1_000; index++) await log.append(payload)
    break
  case 'concurrent':
    await Promise.all(Array.from({ length: 1_000 }, () => log.append(payload)))
    break
  case 'blocking':
    for (let index = 0; index < 1_000; index++) log.appendSync(payload)
    break
  case 'rolls':
    for (let index = 0; index < 100; index++) say(`acknowledged ${await log.append(payload)}`)
    break
}
say('end')
await log.close()
