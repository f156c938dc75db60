// The golden logs: `test/golden/fgrosse` was written by the Go library `fgrosse/wal` (and then damaged, in part), see
// its README; `test/golden/format2` was made from docs/FORMAT.md. The Go project's own sample segment is not in this
// repository: it is read from the folder that FORELOG_UPSTREAM_TESTDATA names, or one beside the repository, where there is one.

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Frame } from './reference-reader.js'

const golden1 = fileURLToPath(new URL('../golden/fgrosse/', import.meta.url))
const golden2 = fileURLToPath(new URL('../golden/format2/sample/', import.meta.url))
export const upstreamName = 'upstream-testdata'
const upstream =
  process.env['FORELOG_UPSTREAM_TESTDATA'] ?? fileURLToPath(new URL(`../../../../../shared/golden/fgrosse/${upstreamName}/`, import.meta.url))

export type GoldenEntry = {
  segment: string
  pos: number
  size: number
  offset: number
  type: number
} & ({ kind: 'ExampleEntry1'; id: number; point: number[] } | { kind: 'ExampleEntry2'; test: boolean; name: string })

export interface GoldenDamage {
  kind: string
  segment?: string
  bytes?: number
  /** Of a flipped bit: its byte in the file, and its number in there, 0 the lowest. */
  fileByte?: number
  bit?: number
}

export interface GoldenExpected {
  name: string
  description: string
  files: { name: string; size: number; sha256: string }[]
  damage: GoldenDamage | null
  /** Those that are whole on disk, in numeric segment order; those behind the damage too. */
  entries: GoldenEntry[]
  /** What the Go library does with it. */
  go?: unknown
}

export interface GoldenLog {
  files: Map<string, Uint8Array>
  expected: GoldenExpected
}

export interface GoldenFormat2 {
  files: Map<string, Uint8Array>
  expected: {
    description: string
    firstOffset: number
    lastOffset: number
    clean: boolean
    /** What is on disk, payloads in hexadecimal; those below `firstOffset` too. */
    entries: { offset: number; type: number; payload: string }[]
  }
}

/** The logs of format 1; the Go project's own sample is among them where it was found. */
export function goldenNames(): string[] {
  const names = readdirSync(golden1, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
  return (existsSync(upstream) ? [...names, upstreamName] : names).sort()
}

export function golden(name: string): GoldenLog {
  if (name === upstreamName) return upstreamLog()
  const directory = join(golden1, name)
  return { files: readSegments(directory), expected: readJson(directory) as GoldenExpected }
}

export function goldenFormat2(): GoldenFormat2 {
  return { files: readSegments(golden2), expected: readJson(golden2) as GoldenFormat2['expected'] }
}

/** Writes the segments of a log of format 1 into `directory`, which is created if need be. */
export function copyGolden(name: string, directory: string): void {
  writeSegments(golden(name).files, directory)
}

export function copyGoldenFormat2(directory: string): void {
  writeSegments(goldenFormat2().files, directory)
}

/**
 * The Go library's example entries, for `readDirectory1`. ExampleEntry1: id u32, n u16, n × float32.
 * ExampleEntry2: test u8, name length u16, name.
 */
export const frameExampleEntries: Frame = (type, rest) => {
  const view = new DataView(rest.buffer, rest.byteOffset, rest.byteLength)
  if (type === 0) return rest.length < 6 ? undefined : within(rest, 6 + 4 * view.getUint16(4))
  if (type === 1) return rest.length < 3 ? undefined : within(rest, 3 + view.getUint16(1))
  return undefined
}

/** An entry of a golden log, as the payload that it has on disk. */
export function goldenPayload(entry: GoldenEntry): Uint8Array {
  if (entry.kind === 'ExampleEntry1') {
    const payload = Buffer.alloc(6 + 4 * entry.point.length)
    payload.writeUInt32BE(entry.id, 0)
    payload.writeUInt16BE(entry.point.length, 4)
    for (const [index, value] of entry.point.entries()) payload.writeFloatBE(value, 6 + 4 * index)
    return Uint8Array.from(payload)
  }
  const name = Buffer.from(entry.name, 'utf8')
  const payload = Buffer.alloc(3 + name.length)
  payload.writeUInt8(entry.test ? 1 : 0, 0)
  payload.writeUInt16BE(name.length, 1)
  name.copy(payload, 3)
  return Uint8Array.from(payload)
}

function within(rest: Uint8Array, length: number): number | undefined {
  return length <= rest.length ? length : undefined
}

function upstreamLog(): GoldenLog {
  const lines = readFileSync(join(upstream, 'entries.jsonl'), 'utf8').split('\n')
  return {
    files: readSegments(upstream),
    expected: {
      name: upstreamName,
      description: "the Go project's own sample segment",
      files: [],
      damage: null,
      entries: lines.filter((line) => line !== '').map((line) => JSON.parse(line) as GoldenEntry),
    },
  }
}

function readSegments(directory: string): Map<string, Uint8Array> {
  const names = readdirSync(directory).filter((name) => name.endsWith('.wal'))
  return new Map(names.map((name) => [name, Uint8Array.from(readFileSync(join(directory, name)))]))
}

function readJson(directory: string): unknown {
  return JSON.parse(readFileSync(join(directory, 'expected.json'), 'utf8'))
}

function writeSegments(files: Map<string, Uint8Array>, directory: string): void {
  mkdirSync(directory, { recursive: true })
  for (const [name, bytes] of files) writeFileSync(join(directory, name), bytes)
}
