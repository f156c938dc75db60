/**
 * What it costs to put records into a group: headers filled in one by one, and all at once when the group is written.
 *
 *     npx tsx bench/micro/group.ts
 */
import { crc32 } from '../../packages/forelog/src/format/checksum.ts'
import { GroupBuilder } from '../../packages/forelog/src/format/group-builder.ts'
import { recordHeaderBytes, writeRecordHeader } from '../../packages/forelog/src/format/record.ts'

const perGroup = 1000
const groups = 100
let sink = 0

function oneByOne(buffer: Uint8Array, payload: Uint8Array): number {
  const lengths: number[] = []
  let headersCrc = 0
  for (let index = 0, header = 0; index < perGroup; index++) {
    const at = header + recordHeaderBytes
    const end = at + payload.length
    buffer.set(payload, at)
    writeRecordHeader(buffer, header, 1 + index, 1, crc32(buffer, at, end))
    headersCrc = crc32(buffer, header, at, headersCrc)
    lengths.push(payload.length)
    header = end
  }
  return headersCrc
}

function allAtOnce(buffer: Uint8Array, payload: Uint8Array): number {
  const group = new GroupBuilder(1, Infinity, 0, buffer)
  for (let index = 0; index < perGroup; index++) group.add(1, payload)
  return group.headersCrc
}

function nanoseconds(build: (buffer: Uint8Array, payload: Uint8Array) => number, size: number): number {
  const buffer = new Uint8Array(perGroup * (size + recordHeaderBytes) + 4096)
  const payload = new Uint8Array(size).fill(65)
  const before = process.cpuUsage()
  for (let group = 0; group < groups; group++) sink ^= build(buffer, payload)
  const { user, system } = process.cpuUsage(before)
  return ((user + system) * 1e3) / groups / perGroup
}

console.log('bytes   one by one   all at once     ns of CPU a record, copying included')
for (const size of [14, 32, 128, 256, 1024, 4096]) {
  const costs: [number[], number[]] = [[], []]
  for (let round = 0; round < 9; round++) {
    costs[0].push(nanoseconds(oneByOne, size))
    costs[1].push(nanoseconds(allAtOnce, size))
  }
  console.log(`${String(size).padStart(5)} ${costs.map((each) => Math.min(...each).toFixed(0).padStart(12)).join(' ')}`)
}
if (sink === 1) console.log()
