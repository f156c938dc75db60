/**
 * Small damage to the files of a store: one bit, one sector, the end.
 */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

export const kinds = ['bit', 'sector', 'length'] as const
export type Kind = (typeof kinds)[number]

export interface Damage {
  readonly kind: Kind
  /** Relative to the directory of the store. */
  readonly file: string
  /** The number of the bit in the file, of its first zeroed byte, or its new length. */
  readonly at: number
}

const sectorBytes = 512

/** Where damage of each kind can be. */
export interface Places {
  readonly total: number
  readonly at: (index: number) => Damage
}

interface DataFile {
  readonly name: string
  /** Up to its last byte that is not zero: what is behind was filled ahead, and holds nothing. */
  readonly usedBytes: number
}

export function filesIn(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => statSync(join(directory, name)).isFile())
    .sort()
}

/** @param files which of them count */
export function placesIn(directory: string, files: RegExp): Record<Kind, Places> {
  const dataFiles = filesIn(directory)
    .filter((name) => files.test(name))
    .map((name): DataFile => ({ name, usedBytes: usedBytesOf(readFileSync(join(directory, name))) }))
  const newest = dataFiles.reduce((a, b) => (changedNs(directory, b) >= changedNs(directory, a) ? b : a))
  return {
    bit: placesOf('bit', dataFiles, (file) => file.usedBytes * 8, 1),
    sector: placesOf('sector', dataFiles, (file) => Math.ceil(file.usedBytes / sectorBytes), sectorBytes),
    length: placesOf('length', [newest], (file) => file.usedBytes, 1),
  }
}

function placesOf(kind: Kind, files: readonly DataFile[], countOf: (file: DataFile) => number, step: number): Places {
  const counts = files.map(countOf)
  return {
    total: counts.reduce((sum, count) => sum + count, 0),
    at(index) {
      let left = index
      for (const [which, file] of files.entries()) {
        const count = counts[which] as number
        if (left < count) return { kind, file: file.name, at: left * step }
        left -= count
      }
      throw new RangeError(`there is no ${kind} ${index}`)
    },
  }
}

/** All of them, or `wanted` of them by chance, none twice. */
export function* chosen({ total, at }: Places, wanted: number, random: () => number): Generator<Damage> {
  let left = Math.min(wanted, total)
  for (let index = 0; index < total && left > 0; index++) {
    if (random() * (total - index) >= left) continue
    left--
    yield at(index)
  }
}

/** A copy of a store, damaged. */
export function copyDamaged(from: string, to: string, damage: Damage | undefined): void {
  for (const name of filesIn(from)) {
    mkdirSync(dirname(join(to, name)), { recursive: true })
    if (name === damage?.file) writeFileSync(join(to, name), damaged(readFileSync(join(from, name)), damage))
    else copyFileSync(join(from, name), join(to, name))
  }
}

export function damaged(bytes: Uint8Array, { kind, at }: Pick<Damage, 'kind' | 'at'>): Uint8Array {
  if (kind === 'length') return bytes.slice(0, at)
  const changed = Uint8Array.from(bytes)
  if (kind === 'sector') return changed.fill(0, at, at + sectorBytes)
  const byte = Math.floor(at / 8)
  changed[byte] = (changed[byte] as number) ^ (1 << (at % 8))
  return changed
}

function usedBytesOf(bytes: Uint8Array): number {
  let length = bytes.length
  while (length > 0 && bytes[length - 1] === 0) length--
  return length
}

function changedNs(directory: string, { name }: DataFile): bigint {
  return statSync(join(directory, name), { bigint: true }).mtimeNs
}
