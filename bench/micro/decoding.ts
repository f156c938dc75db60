/**
 * What it costs to make JSON values of payloads that lie one behind the other: text by text, and by pieces that become one string.
 *
 *     npx tsx bench/micro/decoding.ts
 */
import { PayloadWindow } from '../../packages/forelog/src/entries/payload-window.ts'

const count = 50_000
const payloads = Array.from({ length: count }, (_, index) =>
  Buffer.from(JSON.stringify({ key: `key-${index}`, at: 1_700_000_000_000 + index, ok: true, text: 'x'.repeat(72) })),
)
const places: [number, number][] = []
let end = 0
for (const payload of payloads) {
  places.push([end + 9, end + 9 + payload.length])
  end += 9 + payload.length
}
const bytes = new Uint8Array(end)
for (const [index, [from]] of places.entries()) bytes.set(payloads[index] as Buffer, from)
const buffer = Buffer.from(bytes.buffer)
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
let sink = 0

function nanoseconds(decode: (from: number, to: number) => unknown): number {
  const before = process.cpuUsage()
  for (const [from, to] of places) if (decode(from, to) !== undefined) sink++
  const { user, system } = process.cpuUsage(before)
  return ((user + system) * 1e3) / count
}

function among(ascii: boolean): (from: number, to: number) => unknown {
  let window: PayloadWindow | undefined
  return (from, to) => {
    if (from === 9) {
      window = new PayloadWindow()
      window.lookAt(bytes, ascii)
    }
    window?.moveTo(from, to)
    return JSON.parse(window?.passingText as string) as unknown
  }
}

const results: [string, (from: number, to: number) => unknown, number[]][] = [
  ['JSON.parse(buffer.toString())', (from, to) => JSON.parse(buffer.toString('utf8', from, to)) as unknown, []],
  ['JSON.parse(decoder.decode()), fatal', (from, to) => JSON.parse(decoder.decode(bytes.subarray(from, to))) as unknown, []],
  ['JSON.parse of a part of a piece, known to be ASCII', among(true), []],
  ['JSON.parse of a text of its own, looked at for U+FFFD', among(false), []],
]
for (let round = 0; round < 7; round++) for (const [, decode, costs] of results) costs.push(nanoseconds(decode))
for (const [name, , costs] of results) console.log(`${name}: ${Math.min(...costs).toFixed(0)} ns of CPU an entry`)
if (sink === 1) console.log()
