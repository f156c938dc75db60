/** Holds what writers told and what followers were shown against each other. */
export class Witness {
  /** The offset that each serial number was appended at. */
  readonly #called = new Map<number, number>()
  /** What is acknowledged or was shown, and must be there until something takes it away: the newest for each offset. */
  readonly #owed = new Map<number, number>()
  #cuts: { readonly offset: number; readonly newest: number; done: boolean }[] = []
  #front = 1
  /** Shown before its writer could be heard. */
  readonly #early: { readonly offset: number; readonly serial: number }[] = []
  newestSerial = 0
  shown = 0
  acknowledged = 0
  outOfRange = 0
  cuts = 0
  fronts = 0
  openings = 0
  lastOffset = 0

  take(line: string): void {
    const [kind, ...words] = line.split(' ')
    const numbers = words.map(Number)
    const [first = 0, second = 0] = numbers
    if (kind === 'wrong') throw new Error(`${words[0]}: ${String(JSON.parse(words.slice(1).join(' ')))}`)
    if (kind === 'called') {
      this.#called.set(second, first)
      this.newestSerial = second
    } else if (kind === 'acked') {
      this.acknowledged++
      this.#owe(first, second)
    } else if (kind === 'cutting') this.#cuts.push({ offset: first, newest: second, done: false })
    else if (kind === 'cut') {
      this.cuts++
      for (const cut of this.#cuts) if (cut.offset === first && cut.newest === second) cut.done = true
    } else if (kind === 'front') {
      this.fronts++
      this.#front = Math.max(this.#front, first)
    } else if (kind === 'out-of-range') this.outOfRange++
    else if (kind === 'opened') this.#opened(first, second, numbers.slice(2))
    else if (kind === 'shown') this.show(second, numbers[2] ?? 0)
  }

  show(offset: number, serial: number): void {
    this.shown++
    if (serial > this.newestSerial) this.#early.push({ offset, serial })
    else this.#assertCalled(offset, serial)
    this.#owe(offset, serial)
  }

  /** All that was told is in. */
  end(): void {
    for (const { offset, serial } of this.#early) this.#assertCalled(offset, serial)
  }

  #assertCalled(offset: number, serial: number): void {
    if (this.#called.get(serial) !== offset) throw new Error(`entry ${offset} is shown with number ${serial}, which nobody appended there`)
  }

  #owe(offset: number, serial: number): void {
    if (serial > (this.#owed.get(offset) ?? 0)) this.#owed.set(offset, serial)
  }

  /** What a life found. */
  #opened(firstOffset: number, lastOffset: number, serials: readonly number[]): void {
    this.openings++
    this.lastOffset = lastOffset
    if (firstOffset > this.#front) throw new Error(`the log begins at ${firstOffset}, and was truncated in front of ${this.#front} at the most`)
    if (serials.length !== lastOffset - firstOffset + 1) throw new Error(`${serials.length} entries from ${firstOffset} to ${lastOffset}`)
    for (const [index, serial] of serials.entries()) {
      const offset = firstOffset + index
      this.#assertCalled(offset, serial)
      if (this.#cuts.some((cut) => cut.done && cut.offset < offset && cut.newest >= serial)) throw new Error(`entry ${offset}, number ${serial}, was cut off and is there`)
    }
    for (const [offset, serial] of this.#owed) {
      if (offset >= firstOffset && !this.#mayBeCut(offset, serial) && serials[offset - firstOffset] !== serial) {
        throw new Error(`entry ${offset} was acknowledged or shown with number ${serial}, and the log from ${firstOffset} to ${lastOffset} holds ${serials[offset - firstOffset] ?? 'nothing'}`)
      }
    }
    // What was found is what counts from now on.
    for (const offset of this.#owed.keys()) if (offset < firstOffset) this.#owed.delete(offset)
    for (const [index, serial] of serials.entries()) this.#owe(firstOffset + index, serial)
    this.#cuts = this.#cuts.slice(-400)
  }

  #mayBeCut(offset: number, serial: number): boolean {
    return this.#cuts.some((cut) => cut.offset < offset && cut.newest >= serial)
  }
}
