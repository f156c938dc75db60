// The small log that docs/FORMAT.md prints byte by byte: read from that page, never from anything made here.

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const page = fileURLToPath(new URL('../../../../docs/FORMAT.md', import.meta.url))

/** What the writer of the vector would have drawn at random, or read from a clock. */
export const vectorLogId = '000102030405060708090a0b0c0d0e0f'
export const vectorSalts: readonly string[] = ['a1a2a3a4a5a6a7a8', 'b1b2b3b4b5b6b7b8']
export const vectorTimeMs = 1_700_000_000_000

/** The files of the vector: in front of each bar stand bytes, behind it what they mean. */
export function vectorOfPage(): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>()
  for (const [, name, lines] of readFileSync(page, 'utf8').matchAll(/^```hex (\S+\.wal)\n([^]*?)^```$/gm)) {
    const digits = (lines as string)
      .split('\n')
      .map((line) => line.split('|', 1)[0]?.replaceAll(' ', '') ?? '')
      .join('')
    if (!/^([0-9a-f]{2})+$/.test(digits)) throw new Error(`docs/FORMAT.md: the bytes of ${name} are not hexadecimal`)
    files.set(name as string, Uint8Array.from(Buffer.from(digits, 'hex')))
  }
  return files
}
