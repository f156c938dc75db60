import type { Ledger } from './ledger.js'
import type { Told, ToldKind } from './plan.js'

/** Hands what is told to the ledgers, once it is known which of it was told before the cut. */
export class ToldLines {
  readonly #ledgers: readonly Ledger[]
  readonly #ended: Promise<never>
  readonly #waiting: Told[] = []
  readonly #opened = new Set<number>()
  readonly #failed = new Set<number>()
  readonly #newest = new Map<number, ToldKind>()
  #wrong = false
  #check: () => void = () => {}
  #cutUs = Infinity

  constructor(ledgers: readonly Ledger[], ended: Promise<never>) {
    this.#ledgers = ledgers
    this.#ended = ended
  }

  take(told: Told): void {
    this.#waiting.push(told)
    this.#newest.set(told.log, told.kind)
    if (told.kind === 'opened') this.#opened.add(told.log)
    if (told.kind === 'failed') this.#failed.add(told.log)
    if (told.kind === 'wrong') this.#wrong = true
    this.#check()
  }

  wasOpened(log: number): boolean {
    return this.#opened.has(log)
  }

  /** How much was told. */
  get count(): number {
    return this.#waiting.length
  }

  /** Failed, or closed for good. */
  isOver(log: number): boolean {
    return this.#failed.has(log) || this.#newest.get(log) === 'closed'
  }

  /** Resolves once something is so, or can't be any more. */
  async until(isSo: () => boolean): Promise<void> {
    const over = new Promise<void>((resolve) => {
      this.#check = () => {
        const failedWithoutCut = this.#failed.size > 0 && this.#cutUs === Infinity
        if (isSo() || this.#wrong || failedWithoutCut) resolve()
      }
    })
    this.#check()
    await Promise.race([over, this.#ended])
  }

  /**
   * Any moment in the life of logs: one in five while they are opened, the others after anything up to 200 things were told of
   * each. What is told comes at the pace of the machine, and a little time more puts the moment between two of them.
   */
  async randomMoment(logs: readonly number[], random: () => number): Promise<void> {
    const duringOpening = random() < 0.2
    if (!duringOpening) {
      const wanted = logs.length * (1 + Math.floor(random() * 200))
      await this.until(() => logs.every((log) => this.wasOpened(log)) && (this.count >= wanted || logs.every((log) => this.isOver(log))))
    }
    const ms = random() * (duringOpening ? 15 : 4)
    await new Promise((resolve) => setTimeout(resolve, ms))
  }

  cutAt(beganUs: number): void {
    this.#cutUs = beganUs
  }

  /** The writer is gone, and all that it told is in. */
  end(): void {
    for (const told of this.#waiting) this.#ledgers.find(({ plan }) => plan.log === told.log)?.take(told, told.atUs >= this.#cutUs)
  }
}
