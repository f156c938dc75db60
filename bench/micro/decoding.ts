/**
 * What it costs to make JSON values of payloads that lie one behind the other: text by text, and by pieces that become one string.
 *
 *     npx tsx bench/micro/decoding.ts [payload bytes…]
 *
 * In turn, 15 rounds; the ratio is the median of those within a round, to JSON.parse of strings that were made before.
 */
import { PayloadWindow } from '../../packages/forelog/src/entries/payload-window.ts'

const sizes = process.argv.length > 2 ? process.argv.slice(2).map(Number) : [64, 128, 256, 1024]
const rounds = 15
const recordHeaderBytes = 9
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
let sink = 0

function documentOf(index: number, size: number, letter: string): string {
  const document = { key: `key-${index}`, at: 1_700_000_000_000 + index, ok: true, text: '' }
  const left = size - JSON.stringify(document).length
  return JSON.stringify({ ...document, text: letter.repeat(Math.max(0, Math.floor(left / Buffer.byteLength(letter)))) })
}

function contenders(size: number, letter: string): { count: number; ways: Record<string, () => void> } {
  const count = Math.floor(4e6 / size)
  const texts = Array.from({ length: count }, (_, index) => documentOf(index, size, letter))
  const buffers = texts.map((text) => Buffer.from(text))
  const lengths = buffers.map((buffer) => buffer.length)
  const bytes = new Uint8Array(Buffer.concat(buffers.flatMap((buffer) => [Buffer.alloc(recordHeaderBytes, 0xe9), buffer])))
  const ascii = letter < '\x80'
  const taken = (value: unknown): void => {
    if (value !== undefined) sink++
  }
  const eachPayload = (take: (window: PayloadWindow) => void): void => {
    const window = new PayloadWindow()
    window.lookAtRun({ bytes, at: 0, firstOffset: 1, lengths, position: 0, ascii })
    let at = 0
    for (let index = 0; index < count; index++) {
      const from = at + recordHeaderBytes
      at = from + (lengths[index] as number)
      window.moveTo(from, at, index)
      take(window)
    }
  }
  const ways = {
    'JSON.parse(string)': () => {
      for (const text of texts) taken(JSON.parse(text))
    },
    'JSON.parse(buffer.toString())': () => {
      for (const buffer of buffers) taken(JSON.parse(buffer.toString()))
    },
    'JSON.parse(decoder.decode(bytes)), fatal': () => {
      for (const buffer of buffers) taken(JSON.parse(decoder.decode(buffer)))
    },
    'JSON.parse of a part of a piece': () => eachPayload((window) => taken(JSON.parse(window.passingText))),
    'the same, of lists where it can be': () => eachPayload((window) => taken(window.listedValue ?? JSON.parse(window.passingText))),
  }
  return { count, ways }
}

for (const [what, letter] of [['ASCII', 'x'], ['Latin-1', 'é'], ['other', '語']] as const) {
  for (const size of sizes) {
    const { count, ways } = contenders(size, letter)
    const costs = Object.entries(ways).map(([name, run]) => ({ name, run, nanoseconds: [] as number[] }))
    for (let round = -2; round < rounds; round++) {
      for (const { run, nanoseconds } of costs) {
        const before = process.cpuUsage()
        run()
        const { user, system } = process.cpuUsage(before)
        if (round >= 0) nanoseconds.push(((user + system) * 1e3) / count)
      }
    }
    console.log(`${size} bytes, ${what}`)
    const strings = costs[0]?.nanoseconds as number[]
    for (const { name, nanoseconds } of costs) {
      const ratio = median(nanoseconds.map((each, round) => (strings[round] as number) / each))
      console.log(`  ${name.padEnd(42)} ${median(nanoseconds).toFixed(0).padStart(6)} ns of CPU an entry, ratio ${ratio.toFixed(2)}`)
    }
  }
}
if (sink === 1) console.log()

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] as number
}
