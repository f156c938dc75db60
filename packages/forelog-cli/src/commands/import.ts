import { encode as encodeMsgpack } from '@msgpack/msgpack'
import { type RawEntry, WriteAheadLog } from 'forelog'
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { choice, type Command, integer, UsageError } from '../command.js'
import { exitCodes } from '../exit-codes.js'
import { countText, durationText, plural } from '../text.js'

const codecs = ['json', 'utf8', 'msgpack'] as const

export const importEntries: Command = {
  name: 'import',
  args: ['DIR', '[FILE]'],
  summary: 'Append entries from NDJSON, a file or stdin, to a log, which is made if need be.',
  description:
    'Each line is an object with `base64`, the payload as export writes it, or `value`, which --codec encodes; and with `type`, 0 if it has none. `offset` is not looked at: entries get the next ones. Entries are appended in ' +
    'batches of --batch, each of which is there whole or not at all after a crash. A line that is no entry ends it with exit code 2; the batches in front of it are in the log.',
  options: {
    batch: { type: 'string', value: 'N', help: 'Entries of a batch. Default 1000.' },
    codec: { type: 'string', value: 'NAME', help: `How \`value\` is encoded: ${codecs.join(', ')}. Default json.`, choices: codecs },
  },
  examples: [
    ['forelog import ./restored orders.ndjson', 'from a file'],
    ['echo \'{"type":1,"value":{"key":"a"}}\' | forelog import ./data/orders', 'one entry, by hand'],
  ],
  async run({ terminal, positionals, values, json, signal }) {
    const [directory, file] = positionals as readonly [string, string | undefined]
    const size = integer(values, 'batch', 1) ?? 1000
    const codec = choice(values, 'codec', codecs, 'json')
    const startMs = performance.now()
    const log = await WriteAheadLog.open(directory)
    const first = log.lastOffset + 1
    try {
      const lines = createInterface({ input: file === undefined ? process.stdin : await opened(file), crlfDelay: Infinity })
      let batch: RawEntry[] = []
      let number = 0
      for await (const line of lines) {
        if (signal.aborted) break
        number++
        if (line.trim() === '') continue
        batch.push(entryOf(line, number, codec))
        if (batch.length < size) continue
        await log.appendBatch(batch)
        batch = []
      }
      await log.appendBatch(batch)
      const last = log.lastOffset
      const count = last - first + 1
      if (json) await terminal.line(JSON.stringify({ directory, entries: count, firstOffset: first, lastOffset: last }))
      else await terminal.prose(`${plural(count, 'entry', 'entries')} appended${count === 0 ? '' : `, ${countText(first)} to ${countText(last)}`} ${terminal.colors.dim(`(${durationText(performance.now() - startMs)})`)}`)
    } finally {
      await log.close()
    }
    return signal.aborted ? exitCodes.interrupted : exitCodes.fine
  },
}

function opened(file: string): Promise<NodeJS.ReadableStream> {
  const stream = createReadStream(file)
  return new Promise((resolve, reject) => {
    stream.once('open', () => resolve(stream))
    stream.once('error', (error) => reject(new UsageError(`${file} can't be read: ${error.message}`)))
  })
}

function entryOf(line: string, number: number, codec: (typeof codecs)[number]): RawEntry {
  let parsed: unknown
  try {
    parsed = JSON.parse(line)
  } catch (error) {
    throw new UsageError(`line ${number} is no JSON: ${(error as Error).message}`)
  }
  if (typeof parsed !== 'object' || parsed === null) throw new UsageError(`line ${number} is no object`)
  const { type = 0, base64, value } = parsed as { type?: unknown; base64?: unknown; value?: unknown }
  if (typeof type !== 'number' || !Number.isInteger(type) || type < 0 || type > 254) throw new UsageError(`line ${number}: type is no number from 0 to 254`)
  if (typeof base64 === 'string') {
    const payload = Buffer.from(base64, 'base64')
    if (payload.toString('base64').replace(/=+$/, '') !== base64.replace(/=+$/, '')) throw new UsageError(`line ${number}: base64 is no base64`)
    return { type, payload }
  }
  if (value === undefined) throw new UsageError(`line ${number} has neither base64 nor value`)
  return { type, payload: payloadOf(value, codec, number) }
}

function payloadOf(value: unknown, codec: (typeof codecs)[number], number: number): Uint8Array {
  if (codec === 'msgpack') return encodeMsgpack(value)
  if (codec === 'json') return Buffer.from(JSON.stringify(value))
  if (typeof value !== 'string') throw new UsageError(`line ${number}: value is no text, which --codec utf8 needs`)
  return Buffer.from(value)
}
