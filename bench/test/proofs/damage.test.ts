import { mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { chosen, copyDamaged, damaged, filesIn, placesIn } from '../../proofs/damage.ts'
import { randomFrom } from '../../../packages/forelog/test/proofs/real-writer/entries.ts'

let home: string
let store: string

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'forelog-damage-'))
  store = join(home, 'store')
  mkdirSync(join(store, 'inner'), { recursive: true })
  write('a.data', Uint8Array.of(1, 2, 3, 0, 0), 2)
  write('inner/b.data', new Uint8Array(700).fill(255), 1)
  write('lock', Uint8Array.of(9), 3)
})
afterEach(() => {
  rmSync(home, { recursive: true, force: true })
})

function write(name: string, bytes: Uint8Array, changed: number): void {
  writeFileSync(join(store, name), bytes)
  utimesSync(join(store, name), changed, changed)
}

test('a flipped bit is one bit, and flipped again it is none', () => {
  const bytes = Uint8Array.of(0, 0, 0xff)
  expect(damaged(bytes, { kind: 'bit', at: 9 })).toEqual(Uint8Array.of(0, 2, 0xff))
  expect(damaged(damaged(bytes, { kind: 'bit', at: 23 }), { kind: 'bit', at: 23 })).toEqual(bytes)
  expect(bytes).toEqual(Uint8Array.of(0, 0, 0xff))
})

test('a sector of a file as it is read becomes zeros, also the part of one at its end', () => {
  const bytes = readFileSync(join(store, 'inner/b.data'))
  expect(damaged(bytes, { kind: 'sector', at: 512 })).toEqual(new Uint8Array(700).fill(255, 0, 512))
  expect(damaged(bytes, { kind: 'sector', at: 0 }).subarray(510, 514)).toEqual(Uint8Array.of(0, 0, 255, 255))
})

test('a shorter file has the length that it was cut to', () => {
  expect(damaged(Uint8Array.of(1, 2, 3), { kind: 'length', at: 2 })).toEqual(Uint8Array.of(1, 2))
})

test('there is a place in each bit of the files that count, up to their last byte that is not zero', () => {
  const { bit, sector, length } = placesIn(store, /\.data$/)
  expect(bit.total).toBe((3 + 700) * 8)
  expect(bit.at(23)).toEqual({ kind: 'bit', file: 'a.data', at: 23 })
  expect(bit.at(24)).toEqual({ kind: 'bit', file: join('inner', 'b.data'), at: 0 })
  expect(() => bit.at(bit.total)).toThrow(RangeError)
  expect([0, 1, 2].map((index) => sector.at(index).at)).toEqual([0, 0, 512])
  expect(sector.total).toBe(3)
  // Of the newest of those files, whatever the others are.
  expect(length.total).toBe(3)
  expect(length.at(2)).toEqual({ kind: 'length', file: 'a.data', at: 2 })
})

test('so many places are chosen as are wanted, none twice, and the same for the same seed', () => {
  const { bit } = placesIn(store, /\.data$/)
  const first = [...chosen(bit, 500, randomFrom(1))].map(({ file, at }) => `${file} ${at}`)
  expect(new Set(first).size).toBe(500)
  expect([...chosen(bit, 500, randomFrom(1))].map(({ file, at }) => `${file} ${at}`)).toEqual(first)
  expect([...chosen(bit, 500, randomFrom(2))].map(({ file, at }) => `${file} ${at}`)).not.toEqual(first)
  expect([...chosen(bit, 1_000_000, randomFrom(1))]).toHaveLength(bit.total)
})

test('a damaged copy differs in that file alone, and the original stays as it was', () => {
  const copy = join(home, 'copy')
  copyDamaged(store, copy, { kind: 'bit', file: 'a.data', at: 0 })
  expect(filesIn(copy)).toEqual(filesIn(store))
  expect([...readFileSync(join(copy, 'a.data'))]).toEqual([0, 2, 3, 0, 0])
  expect([...readFileSync(join(store, 'a.data'))]).toEqual([1, 2, 3, 0, 0])
  for (const name of ['inner/b.data', 'lock']) expect(readFileSync(join(copy, name)).equals(readFileSync(join(store, name)))).toBe(true)
})
