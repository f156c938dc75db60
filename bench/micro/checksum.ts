/**
 * What CRC-32 costs by size, each way that there is: which one is used for what is decided by this table.
 *
 *     npm run build && npx tsx bench/micro/checksum.ts
 */
import { crc32 as zlibCrc32 } from 'node:zlib'
import { crc32Plain } from '../../packages/forelog/src/format/checksum.ts'
import { instantiateKernel, plainKernel, type RecordKernel } from '../../packages/forelog/src/format/kernel.ts'

const kernel = instantiateKernel() as RecordKernel
const recordsBytes = 128 * 1024
const bytes = new Uint8Array(recordsBytes + 64 * 1024 + 64)
let sink = 0

/** Nanoseconds for each record: the best of several rounds, for the machine is never quite alone. */
function nanoseconds(records: number, call: (at: number) => number): number {
  const calls = Math.max(20, Math.ceil(20_000 / records))
  let best = Infinity
  for (let round = 0; round < 7; round++) {
    const before = process.hrtime.bigint()
    for (let index = 0; index < calls; index++) sink ^= call((index * 8) % 64)
    best = Math.min(best, Number(process.hrtime.bigint() - before) / calls / records)
  }
  return best
}

function cell(nanosecondsEach: number, size: number): string {
  return `${nanosecondsEach.toFixed(0).padStart(7)} ns ${(size / nanosecondsEach).toFixed(2).padStart(5)} GB/s`
}

console.log('        one payload:                           records of a group, checked (headers and payloads):')
console.log('bytes   plain TypeScript     zlib                 plain, zlib from 256 B  kernel, zlib from 1 KiB')
for (const size of [9, 14, 32, 64, 128, 256, 512, 1024, 2048, 4096, 16384, 65536]) {
  const lengths = new Uint32Array(Math.max(1, Math.floor(recordsBytes / (size + 9)))).fill(size)
  const count = lengths.length
  plainKernel.seal(bytes, 0, lengths, count, 1)
  const cells = [
    nanoseconds(1, (at) => crc32Plain(bytes, at, at + size, 0)),
    nanoseconds(1, (at) => zlibCrc32(bytes.subarray(at, at + size))),
    nanoseconds(count, () => plainKernel.verify(bytes, 0, lengths, count, 1)?.headersCrc ?? 0),
    nanoseconds(count, () => kernel.verify(bytes, 0, lengths, count, 1)?.headersCrc ?? 0),
  ]
  console.log(`${String(size).padStart(5)} ${cells.map((each) => cell(each, size)).join(' ')}`)
}
if (sink === 1) console.log()
