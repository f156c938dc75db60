/**
 * What a store gives back, held against what it was given.
 */
import { Buffer } from 'node:buffer'
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { randomFrom } from '../../packages/forelog/test/proofs/real-writer/entries.ts'
import type { StoredEntry } from '../src/contender.ts'
import { copyDamaged, type Damage } from './damage.ts'
import type { Subject } from './subjects.ts'

export const outcomes = [
  /** Opening, reading or closing failed with an error, and every entry in front of it was right. */
  'error',
  /** Entries are missing, and opening said of the end what it does not say of the undamaged store. */
  'told',
  /** All entries are there, and no error was seen. */
  'right',
  /** Entries are missing, and nothing says so. */
  'loss',
  /** An entry was handed out that was never stored so: another payload, another number, twice, or out of order. */
  'wrong',
  /** The process died. */
  'crash',
  /** The process did not come to an end. */
  'hang',
] as const

export type Outcome = (typeof outcomes)[number]

export interface Contents {
  readonly seed: number
  readonly maxBytes: number
}

/** What entry `number` is made of, in every store. */
export function payloadOf(number: number, { seed, maxBytes }: Contents): Uint8Array {
  const random = randomFrom(seed * 1_000_003 + number)
  const length = 16 + Math.floor(random() * (maxBytes - 16))
  return Uint8Array.from({ length }, () => Math.floor(random() * 256))
}

/** Compares as it reads: what a store hands out may be its own memory, which goes with the next entry. */
export class Judge {
  readonly #expected: (number: number) => Uint8Array
  readonly #count: number
  #last = 0
  #found = 0
  #wrong: string | undefined

  /** @param count entries 1 to `count` are expected */
  constructor(count: number, expected: (number: number) => Uint8Array) {
    this.#count = count
    this.#expected = expected
  }

  take([number, payload]: StoredEntry): void {
    this.#found++
    this.#wrong ??= this.#complaint(number, payload)
    this.#last = number
  }

  /** How many entries were handed out. */
  get found(): number {
    return this.#found
  }

  /** The number of the last one. */
  get last(): number {
    return this.#last
  }

  get wrong(): string | undefined {
    return this.#wrong
  }

  /** More than there can be: reading on shows nothing new, and may never end. */
  get isTooMuch(): boolean {
    return this.#found > this.#count * 2 + 10
  }

  outcome({ failed, told }: { readonly failed: boolean; readonly told: boolean }): Outcome {
    if (this.#wrong !== undefined) return 'wrong'
    if (failed) return 'error'
    if (this.#found === this.#count) return 'right'
    return told ? 'told' : 'loss'
  }

  #complaint(number: number, payload: unknown): string | undefined {
    if (!Number.isInteger(number) || number < 1 || number > this.#count) return `there is no entry ${String(number)}`
    if (number <= this.#last) return `entry ${number} stands behind entry ${this.#last}`
    if (!(payload instanceof Uint8Array) || Buffer.compare(payload, this.#expected(number)) !== 0) return `entry ${number} has another payload`
    return undefined
  }
}

export interface JudgeOptions extends Contents {
  /** The undamaged store; `scratch` is where its damaged copy goes. */
  readonly source: string
  readonly scratch: string
  readonly count: number
  readonly damage?: Damage
  /** What opening says of the undamaged store. */
  readonly notice?: string
}

export interface Verdict {
  readonly outcome: Outcome
  readonly detail: string
  readonly notice?: string
  /** Whether the store's own check finds what reading did not tell. */
  readonly checkFinds?: boolean
}

/** Opens a damaged copy and reads it to its end. */
export async function judge(subject: Pick<Subject, 'open' | 'check'>, options: JudgeOptions): Promise<Verdict> {
  const home = mkdtempSync(join(options.scratch, 'copy-'))
  try {
    const read = join(home, 'read')
    copyDamaged(options.source, read, options.damage)
    const verdict = await readAll(subject, read, options)
    if (subject.check === undefined || (verdict.outcome !== 'loss' && verdict.outcome !== 'wrong')) return verdict
    // Of a copy that nobody has opened: opening may have changed the other.
    const unread = join(home, 'unread')
    copyDamaged(options.source, unread, options.damage)
    // A check that fails has found something.
    return { ...verdict, checkFinds: await subject.check.finds(unread).catch(() => true) }
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
}

async function readAll(subject: Pick<Subject, 'open'>, directory: string, options: JudgeOptions): Promise<Verdict> {
  const entries = new Judge(options.count, (number) => payloadOf(number, options))
  let notice: string | undefined
  let failure: string | undefined
  try {
    const store = await subject.open(directory, { powerWasCut: false })
    notice = store.notice
    try {
      for await (const entry of store.read()) {
        entries.take(entry)
        if (entries.isTooMuch) break
      }
    } finally {
      await store.close()
    }
  } catch (error) {
    failure = reasonOf(error)
  }
  const outcome = entries.outcome({ failed: failure !== undefined, told: notice !== options.notice })
  return { outcome, detail: entries.wrong ?? failure ?? `${entries.found} of ${options.count} entries`, ...(notice === undefined ? {} : { notice }) }
}

/** With the causes, where some libraries say more. */
export function reasonOf(error: unknown): string {
  return error instanceof Error && error.cause !== undefined ? `${String(error)}: ${reasonOf(error.cause)}` : String(error)
}
