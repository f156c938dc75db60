import { appendFile, open } from 'node:fs/promises'
import { join } from 'node:path'
import type { Contender, Replayed } from '../contender.js'

const lengthBytes = 4
const chunkBytes = 1024 * 1024

/**
 * What one would write without a library: a length and the payload, appended with `flush`. No checksum, no recovery, and the
 * name of the file is not synced.
 */
export const appendFileContender: Contender = {
  name: 'node:fs',
  usage: 'appendFile(path, …, { flush: true }), lengths in front of payloads; no checksums',

  version: () => process.versions.node,

  async open(directory, { durable }) {
    const path = join(directory, 'log')
    return {
      append: (payload) => appendFile(path, framed([payload]), { flush: durable }),
      appendBatch: (payloads) => appendFile(path, framed(payloads), { flush: durable }),
      replay: () => replayFile(path),
      close: async () => {},
    }
  },
}

function framed(payloads: readonly Uint8Array[]): Uint8Array {
  let bytes = 0
  for (const payload of payloads) bytes += lengthBytes + payload.length
  const frame = Buffer.allocUnsafe(bytes)
  let at = 0
  for (const payload of payloads) {
    frame.writeUInt32LE(payload.length, at)
    frame.set(payload, at + lengthBytes)
    at += lengthBytes + payload.length
  }
  return frame
}

async function replayFile(path: string): Promise<Replayed> {
  await using file = await open(path, 'r')
  const chunk = Buffer.allocUnsafe(chunkBytes)
  let entries = 0
  let bytes = 0
  let position = 0
  for (;;) {
    const { bytesRead } = await file.read(chunk, 0, chunk.length, position)
    let at = 0
    while (at + lengthBytes <= bytesRead) {
      const length = chunk.readUInt32LE(at)
      if (at + lengthBytes + length > bytesRead) break
      bytes += chunk.subarray(at + lengthBytes, at + lengthBytes + length).length
      entries++
      at += lengthBytes + length
    }
    if (at === 0) return { entries, bytes }
    position += at
  }
}
