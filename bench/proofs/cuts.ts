/**
 * Power cuts: a store is appended to, one entry after the other, while the power of its file system is cut. What was told to be stored
 * before the cut began has to be there when it is opened again.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Volume } from '../../packages/forelog/test/proofs/power-cut/volumes.ts'
import { randomFrom } from '../../packages/forelog/test/proofs/real-writer/entries.ts'
import type { CutRow } from './results.ts'
import { StoreChild } from './store-child.ts'
import type { Subject } from './subjects.ts'

/** What a writer told, as store-process.ts has it. */
export type Line = [kind: 'opening' | 'opened' | 'refused' | 'called' | 'acked' | 'failed', atUs: number, ...rest: (number | string)[]]

const maxBytes = 3000
const maxAppends = 150

/** What is known of a store by what it told. */
export class Account {
  readonly row: CutRow
  /** Entries that were told to be stored, before a cut. */
  told = 0
  /** Entries that may be there. */
  called = 0
  /** Told while a cut ran. */
  #late = 0
  #inFlight = false
  /** Whether a new store has to go on in its place. */
  isOver = false

  constructor(row: CutRow) {
    this.row = row
  }

  /** Takes what one life told. @param cutUs when the cut began; Infinity where there was none */
  take(lines: readonly Line[], cutUs: number): void {
    for (const [kind, atUs, ...rest] of lines) {
      // What is read while the cut runs may come from memory, or fail.
      if (kind === 'opened' && atUs < cutUs) this.#opened(rest as [number, number, number])
      if (kind === 'refused' && atUs < cutUs) this.#end('refused', `${String(rest[0])}, with ${this.told} entries told`)
      if (kind === 'called') {
        this.called = Math.max(this.called, rest[0] as number)
        this.#inFlight = true
      }
      if (kind === 'acked' && atUs < cutUs) {
        this.told = rest[0] as number
        this.row.told++
        this.#inFlight = false
      }
      if (kind === 'acked' && atUs >= cutUs) {
        this.#late = rest[0] as number
        this.row.late++
      }
      if (kind === 'failed' && atUs < cutUs) throw new Error(`${this.row.store} failed before the power was cut: ${String(rest[0])}`)
    }
  }

  #opened([found, lost, isWrong]: [number, number, number]): void {
    if (this.#inFlight) this.row[this.called <= found ? 'inFlightKept' : 'inFlightGone']++
    if (lost > 0) {
      this.row.lost += lost
      this.row.cutsThatLost++
    }
    if (isWrong === 0) this.row.lateGone += Math.max(0, this.#late - Math.max(found, this.told))
    this.told = Math.min(this.told, found)
    this.called = found
    this.#late = 0
    this.#inFlight = false
    if (isWrong === 1) this.#end('wrong', 'wrong entries')
  }

  #end(how: 'refused' | 'wrong', detail: string): void {
    this.row[how]++
    this.row.examples.push(detail)
    this.isOver = true
    this.told = this.called = this.#late = 0
    this.#inFlight = false
  }
}

export function newCutRow(store: string, fileSystem: string): CutRow {
  return { store, fileSystem, cuts: 0, told: 0, lost: 0, cutsThatLost: 0, inFlightKept: 0, inFlightGone: 0, late: 0, lateGone: 0, wrong: 0, refused: 0, examples: [] }
}

export async function cutAll(subject: Subject, volume: Volume, fileSystem: string, cuts: number, seed: number): Promise<CutRow> {
  const random = randomFrom(seed)
  const account = new Account(newCutRow(subject.name, fileSystem))
  let store = 0
  let next = new StoreChild()
  try {
    // The last mount only looks at what the last cut left.
    for (let cut = 0; cut <= cuts; cut++) {
      const child = next
      next = new StoreChild()
      if (account.isOver) store++
      account.isOver = false
      volume.mount(random())
      const directory = join(volume.directory, `store-${store}`)
      mkdirSync(directory, { recursive: true })
      const life = new Life(child, { task: 'append', subject: subject.name, directory, powerWasCut: cut > 0, told: account.told, called: account.called, seed, maxBytes })
      if (cut === cuts) {
        await life.until(() => life.has('opened'))
        await child.kill()
        account.take(life.lines, Infinity)
      } else {
        await randomMoment(life, random)
        const { beganUs } = await volume.cut()
        await child.kill()
        account.take(life.lines, beganUs)
        account.row.cuts++
      }
      volume.unmount()
    }
  } finally {
    await next.kill()
  }
  return account.row
}

/** While it is opened, or between any two appends, or in one. */
async function randomMoment(life: Life, random: () => number): Promise<void> {
  const duringOpening = random() < 0.1
  const appends = 1 + Math.floor(random() * maxAppends)
  const ms = random() * (duringOpening ? 15 : 4)
  await life.until(() => (duringOpening ? life.has('opening') : life.count('acked') >= appends))
  await sleep(ms)
}

class Life {
  readonly lines: Line[] = []
  #isOver = false
  #check: () => void = () => {}

  constructor(child: StoreChild, task: Parameters<StoreChild['start']>[0]) {
    child.start(
      task,
      (line) => {
        this.lines.push(JSON.parse(line) as Line)
        this.#check()
      },
      () => {
        this.#isOver = true
        this.#check()
      },
    )
  }

  count(kind: Line[0]): number {
    return this.lines.filter(([each]) => each === kind).length
  }

  has(kind: Line[0]): boolean {
    return this.lines.some(([each]) => each === kind)
  }

  /** Resolves once something is so, or can't be any more. */
  async until(isSo: () => boolean): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#check = () => {
        const isWrong = this.lines.some(([kind, , , , wrong]) => kind === 'opened' && wrong === 1)
        if (isSo() || isWrong || this.has('refused') || this.has('failed')) resolve()
        else if (this.#isOver) reject(new Error(`the process of a store ended by itself: ${JSON.stringify(this.lines.at(-1))}`))
      }
      this.#check()
    })
  }
}
