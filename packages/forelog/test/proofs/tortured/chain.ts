/**
 * Entries that say where they belong: each has a serial number that no other entry of any life ever has, and that of the entry in front of
 * it. So whoever is shown one behind the other knows that they once stood there like that, whatever had their offsets before or since.
 */
import { writeSync } from 'node:fs'
import type { RawEntry } from '../../../src/index.js'

export interface Link {
  readonly serial: number
  /** Of the entry in front; 0: the log was empty when its writer opened it. */
  readonly previous: number
}

export function entryOfLink({ serial, previous }: Link, padding: number): Uint8Array {
  return Buffer.from(`${serial} ${previous} `.padEnd(padding, '.'))
}

export function linkOf({ payload }: RawEntry): Link {
  const [serial, previous] = Buffer.from(payload).toString().split(' ')
  return { serial: Number(serial), previous: Number(previous) }
}

/** What was shown in one iteration, entry by entry; throws what is wrong. */
export class Chain {
  #next: number
  #before: number | undefined

  constructor(from: number) {
    this.#next = from
  }

  take(offset: number, entry: RawEntry): Link {
    const link = linkOf(entry)
    if (offset !== this.#next) throw new Error(`entry ${offset} came where ${this.#next} was next`)
    if (this.#before !== undefined && link.previous !== 0 && link.previous !== this.#before) {
      throw new Error(`entry ${offset} has number ${link.serial} and was appended behind ${link.previous}, and was shown behind ${this.#before}`)
    }
    this.#next++
    this.#before = link.serial
    return link
  }
}

/** One line on stdout, with the system before this returns: no kill takes it back. */
export function tell(...words: (string | number)[]): void {
  let bytes = Buffer.from(`${words.join(' ')}\n`)
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(writeSync(1, bytes))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
    }
  }
}
