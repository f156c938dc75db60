/**
 * What a workload asked of a log and what it was told, in order: enough to say of any log found after a crash whether
 * an invariant of RELIABILITY is broken.
 */

/** What is held against a journal: a log of either format. */
export interface ReadLog {
  readonly firstOffset: number
  readonly lastOffset: number
  entriesSync(): Iterable<{ readonly offset: number; readonly entry: { readonly payload: Uint8Array } }>
}

export type LogEvent =
  /** Asked for: payloads of entries, by their offsets. */
  | { readonly kind: 'append'; readonly first: number; readonly payloads: readonly string[]; readonly batch: boolean }
  /** Refused for lack of space: none of these may be there later on. */
  | { readonly kind: 'refused'; readonly first: number }
  /** Told: durable up to here. */
  | { readonly kind: 'durable'; readonly last: number }
  | { readonly kind: 'truncate'; readonly offset: number }
  | { readonly kind: 'truncated'; readonly offset: number }
  /** Asked for: the entries behind `offset` are to go; told: they are gone; refused: they are not. `anyEnd`: format 1, entry by entry. */
  | { readonly kind: 'cutting' | 'cut' | 'not cut'; readonly offset: number; readonly anyEnd?: boolean }
  /** A cursor was to be made, or to go on to `offset`; told: it has; opened again: it stood there. */
  | { readonly kind: 'committing' | 'committed' | 'position'; readonly offset: number }
  /** A life began, and showed this. */
  | { readonly kind: 'opened'; readonly firstOffset: number; readonly lastOffset: number }

/** Where a cursor stands, or that there is none. */
export type Position = number | 'none'

interface Batch {
  readonly first: number
  readonly last: number
}

/** What may and must be found, as far as a journal says. */
export class Expectation {
  /** Every payload that was appended under an offset and may still be there. */
  readonly #payloads = new Map<number, string>()
  #batches: Batch[] = []
  #durable = 0
  #truncated = 1
  #truncating = 1
  #lastAppended = 0
  /** Where the one cursor stands at the least, 'none' while nobody was told that it was made; and at the most. */
  #committed: Position = 'none'
  #committing: Position = 'none'
  /** The same without cuts. */
  #everCommitting: Position = 'none'
  /** A cut that was asked for, and of which nobody knows whether it was made. */
  #cutting: { readonly offset: number; readonly anyEnd?: boolean } | undefined

  constructor(events: Iterable<LogEvent>) {
    for (const event of events) this.#take(event)
  }

  #take(event: LogEvent): void {
    switch (event.kind) {
      case 'append':
        event.payloads.forEach((payload, index) => this.#payloads.set(event.first + index, payload))
        this.#lastAppended = event.first + event.payloads.length - 1
        if (event.batch) this.#batches.push({ first: event.first, last: this.#lastAppended })
        return
      case 'refused':
        this.#forgetFrom(event.first)
        return
      case 'durable':
        this.#durable = Math.max(this.#durable, event.last)
        return
      case 'truncate':
        this.#truncating = Math.max(this.#truncating, event.offset)
        return
      case 'truncated':
        this.#truncated = Math.max(this.#truncated, event.offset)
        return
      case 'cutting':
        this.#cutting = event
        return
      case 'not cut':
        this.#cutting = undefined
        return
      case 'cut':
        this.#cutting = undefined
        this.#forgetFrom(event.offset + 1, true)
        this.#durable = event.offset
        this.#committed = noFurther(this.#committed, event.offset)
        this.#committing = noFurther(this.#committing, event.offset)
        return
      case 'committing':
        this.#committing = furthest(this.#committing, event.offset)
        this.#everCommitting = furthest(this.#everCommitting, event.offset)
        return
      case 'committed':
        this.#committed = furthest(this.#committed, event.offset)
        return
      case 'position':
        this.#committed = this.#committing = event.offset
        return
      case 'opened':
        // What a life showed is durable, and what it did not show is gone.
        if (this.#mayBeCutTo(event.lastOffset)) this.#committed = noFurther(this.#committed, event.lastOffset)
        this.#forgetFrom(event.lastOffset + 1, this.#mayBeCutTo(event.lastOffset))
        this.#cutting = undefined
        this.#durable = event.lastOffset
        this.#truncated = Math.max(this.#truncated, event.firstOffset)
        return
    }
  }

  #forgetFrom(offset: number, cut = false): void {
    for (const known of this.#payloads.keys()) if (known >= offset) this.#payloads.delete(known)
    // A cut may leave a part of a batch; nothing else may.
    this.#batches = this.#batches.filter(({ first, last }) => (cut ? last : first) < offset)
    this.#lastAppended = Math.min(this.#lastAppended, offset - 1)
  }

  #mayBeCutTo(lastOffset: number): boolean {
    if (this.#cutting === undefined) return false
    const { offset, anyEnd = false } = this.#cutting
    return anyEnd ? lastOffset >= offset : lastOffset === offset
  }

  /** Throws what is wrong with where the cursor of a log stands that was opened after the journal ended. */
  checkCursor(position: Position, { firstOffset, lastOffset }: Pick<ReadLog, 'firstOffset' | 'lastOffset'>, holds = true): void {
    if (holds && position !== 'none' && position + 1 < firstOffset) fail(`the cursor stands at ${position} and holds what is behind it, and the log begins at ${firstOffset}`)
    const isCut = this.#mayBeCutTo(lastOffset)
    const least = isCut ? noFurther(this.#committed, lastOffset) : this.#committed
    if (position === 'none') {
      if (least !== 'none') fail(`the cursor was committed up to ${least}, and is gone`)
    } else if (this.#committing === 'none' || this.#everCommitting === 'none') {
      fail(`the cursor stands at ${position}, and was never made`)
    } else if (position > (!holds && position < firstOffset ? this.#everCommitting : this.#committing)) {
      // One that does not hold forgets a cut when what tells of it is truncated in front.
      fail(`the cursor stands at ${position}, and was never committed beyond ${this.#committing}`)
    } else if (least !== 'none' && position < least) {
      fail(`the cursor stands at ${position}, and was committed up to ${least}`)
    }
  }

  /** Throws what is wrong with a log that was opened after the journal ended; retention may have taken what is in front of `furthest`. */
  check(log: ReadLog, furthest = 1): void {
    const { firstOffset, lastOffset } = log
    const isCut = this.#mayBeCutTo(lastOffset)
    if (lastOffset < this.#durable && !isCut) fail(`entries ${lastOffset + 1} to ${this.#durable} were acknowledged as durable and are lost`)
    if (lastOffset > this.#lastAppended) fail(`the log ends at ${lastOffset}, and ${this.#lastAppended} is the last that was appended`)
    if (firstOffset < this.#truncated) fail(`the log begins at ${firstOffset}, and was truncated before ${this.#truncated}`)
    if (firstOffset > Math.max(this.#truncating, furthest)) {
      fail(`the log begins at ${firstOffset}, and was never truncated beyond ${this.#truncating}, nor is there a limit that takes more than what is in front of ${furthest}`)
    }
    let next = firstOffset
    for (const { offset, entry } of log.entriesSync()) {
      if (offset !== next) fail(`entry ${offset} stands where ${next} is next`)
      const payload = Buffer.from(entry.payload).toString('latin1')
      if (payload !== this.#payloads.get(offset)) fail(`entry ${offset} is not what was appended: ${payload.slice(0, 20)}`)
      next++
    }
    if (next !== lastOffset + 1) fail(`the log holds entries up to ${next - 1}, and says ${lastOffset}`)
    for (const { first, last } of this.#batches) {
      if (lastOffset >= first && lastOffset < last && !isCut) fail(`the batch ${first} to ${last} is there in part, up to ${lastOffset}`)
    }
  }
}

function furthest(position: Position, offset: number): number {
  return position === 'none' ? offset : Math.max(position, offset)
}

function noFurther(position: Position, offset: number): Position {
  return position === 'none' ? position : Math.min(position, offset)
}

function fail(what: string): never {
  throw new Error(what)
}
