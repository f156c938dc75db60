/**
 * Small damage at the places that a seed chooses: each on a copy of the store, which is then opened and read to its end.
 */
import { mkdirSync, mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { randomFrom } from '../../packages/forelog/test/proofs/real-writer/entries.ts'
import { chosen, type Damage, type Kind, kinds, placesIn } from './damage.ts'
import { type Outcome, outcomes, type Verdict } from './judge.ts'
import type { DamageRow } from './results.ts'
import { StoreChild } from './store-child.ts'
import type { JudgeTask } from './store-process.ts'
import type { Subject } from './subjects.ts'

/** Entries of a store; some kilobytes, so that a sample of some thousand bits is a part of it that counts. */
const entries = { count: 100, maxBytes: 200 }
/** Nothing here takes a hundredth of it. */
const limitMs = 20_000
/** From so many stores on a process is replaced: what failing openings leave behind adds up. */
const storesOfProcess = 400

export interface DamageOptions {
  readonly seed: number
  /** How many of each kind at the most. */
  readonly wanted: Readonly<Record<Kind, number>>
  readonly directory: string
  readonly onExample: (text: string) => void
}

export async function damageAll(subject: Subject, closes: boolean, { seed, wanted, directory, onExample }: DamageOptions): Promise<DamageRow[]> {
  const home = mkdtempSync(join(directory, 'damage-'))
  const contents = { seed, ...entries }
  const [source, scratch] = [join(home, 'source'), join(home, 'copies')]
  mkdirSync(source)
  mkdirSync(scratch)
  await fill(subject, closes, source, contents)

  const processes = new Judges({ task: 'judge', subject: subject.name, source, scratch, ...contents })
  try {
    const { outcome, detail, notice } = await processes.judge(undefined)
    if (outcome !== 'right') throw new Error(`${subject.name} without any damage: ${outcome}: ${detail}`)
    if (notice !== undefined) processes.notice = notice
    const random = randomFrom(seed)
    const places = placesIn(source, subject.files)
    const rows: DamageRow[] = []
    for (const kind of kinds) {
      const row: DamageRow = { store: subject.name, state: closes ? 'closed' : 'killed', kind, places: places[kind].total, tried: 0, outcomes: noOutcomes(), checked: 0, found: 0 }
      for (const damage of chosen(places[kind], wanted[kind], random)) {
        const verdict = await processes.judge(damage)
        row.tried++
        row.outcomes[verdict.outcome]++
        if (verdict.checkFinds !== undefined) row.checked++
        if (verdict.checkFinds === true) row.found++
        if (verdict.outcome !== 'right' && verdict.outcome !== 'error') {
          onExample(`${row.store}, ${row.state}: ${kind} ${damage.at} of ${damage.file}: ${verdict.outcome}: ${verdict.detail}`)
        }
      }
      rows.push(row)
    }
    return rows
  } finally {
    await processes.end()
  }
}

async function fill(subject: Subject, closes: boolean, directory: string, contents: { seed: number; count: number; maxBytes: number }): Promise<void> {
  const child = new StoreChild()
  const answer = await child.ask({ task: 'fill', subject: subject.name, directory, closes, ...contents }, limitMs * 3)
  if (closes ? answer === 'crash' || answer === 'hang' : answer !== 'crash' || (await child.signal()) !== 'SIGKILL') {
    throw new Error(`${subject.name} could not be filled: ${JSON.stringify(answer)}`)
  }
  await child.kill()
}

export function noOutcomes(): Record<Outcome, number> {
  return Object.fromEntries(outcomes.map((outcome) => [outcome, 0])) as Record<Outcome, number>
}

/** One process after the other. */
class Judges {
  readonly #task: JudgeTask
  #child: StoreChild | undefined
  #stores = 0
  notice: string | undefined

  constructor(task: JudgeTask) {
    this.#task = task
  }

  async judge(damage: Damage | undefined): Promise<Verdict> {
    const isFresh = this.#child === undefined
    const verdict = await this.#ask(damage)
    if (typeof verdict !== 'string') return verdict
    // An earlier store may have been the reason: what counts is what a new process does.
    const again = isFresh ? verdict : await this.#ask(damage)
    return typeof again === 'string' ? { outcome: again, detail: 'the process is gone' } : again
  }

  async end(): Promise<void> {
    await this.#child?.kill()
    this.#child = undefined
  }

  async #ask(damage: Damage | undefined): Promise<Verdict | 'crash' | 'hang'> {
    this.#child ??= new StoreChild()
    const task = { ...this.#task, ...(damage === undefined ? {} : { damage }), ...(this.notice === undefined ? {} : { notice: this.notice }) }
    const answer = await this.#child.ask<Verdict>(task, limitMs)
    if (typeof answer === 'string' || ++this.#stores % storesOfProcess === 0) await this.end()
    return answer
  }
}
