/**
 * What all writers told, kept outside of the log, and the judgement of what is found in it.
 *
 * Offsets are dense and in the order of the calls, so what was told says at which offset each entry has to be: the log has to be
 * the calls of each life, in order, up to some call that is not older than the last one that was acknowledged.
 */
import type { Opened, Told } from './told.js'
import { Violation } from './violation.js'

export interface Counts {
  /** Entries that were given to `append` or `appendBatch`, and the calls. */
  appended: number
  appendCalls: number
  batchCalls: number
  acknowledged: number
  kills: number
  /** Kills behind which torn bytes, or entries that nobody was told of, were found: a group was in flight. */
  killsInFlight: number
  /** Kills behind which a segment was found that had just been begun. */
  killsInRoll: number
  tornBytes: number
  /** Openings that cut off torn bytes. */
  tornTails: number
  openings: number
  entriesReplayed: number
}

interface Call {
  readonly entries: readonly string[]
  /** Offset of its last entry. */
  readonly last: number
}

export class Ledger {
  readonly counts: Counts = {
    appended: 0,
    appendCalls: 0,
    batchCalls: 0,
    acknowledged: 0,
    kills: 0,
    killsInFlight: 0,
    killsInRoll: 0,
    tornBytes: 0,
    tornTails: 0,
    openings: 0,
    entriesReplayed: 0,
  }
  /** The text of each entry that the log holds, from offset 1 on, as of the last opening. */
  readonly #found: string[] = []
  /** The calls of the life that goes on, or that ended last. */
  #calls: Call[] = []
  #acknowledgedCalls = 0
  #segmentHalfMade = false

  /** Takes what a writer told. */
  take(told: Told): void {
    if ('opened' in told) this.opened(told.opened)
    else if ('appending' in told) this.#appending(told.appending)
    else this.#acknowledged(...told.acknowledged)
  }

  /** A writer was killed, and all that it told was taken. */
  killed(segmentHalfMade: boolean): void {
    this.counts.kills++
    this.#segmentHalfMade = segmentHalfMade
  }

  /** The log was opened: judges what that found. */
  opened({ firstOffset, lastOffset, tornBytes, emptySegment, entriesReplayed, sum }: Opened): void {
    const { counts } = this
    const acknowledged = this.#calls[this.#acknowledgedCalls - 1]?.last ?? this.#found.length
    const appended = this.#calls.at(-1)?.last ?? this.#found.length
    if (firstOffset !== 1) throw new Violation(`the log begins at ${firstOffset}, and nothing was taken away`)
    if (lastOffset < acknowledged) throw new Violation(`entries ${lastOffset + 1} to ${acknowledged} were acknowledged, and they are gone`)
    if (lastOffset > appended) throw new Violation(`the log ends at ${lastOffset}, and ${appended} is the last entry that was appended`)
    if (entriesReplayed !== lastOffset) throw new Violation(`${entriesReplayed} entries were read, and the log says that it ends at ${lastOffset}`)
    for (const call of this.#calls) {
      if (call.last > lastOffset) break
      for (const text of call.entries) this.#found.push(text)
    }
    if (this.#found.length !== lastOffset) throw new Violation(`the log ends at ${lastOffset}, within the batch that begins at ${this.#found.length + 1}`)
    if (sum !== 0) throw new Violation(`the balances add up to ${sum}, and not to zero`)

    counts.openings++
    counts.entriesReplayed += entriesReplayed
    counts.tornBytes += tornBytes
    if (tornBytes > 0) counts.tornTails++
    if (tornBytes > 0 || lastOffset > acknowledged) counts.killsInFlight++
    if (counts.kills > 0 && (emptySegment || this.#segmentHalfMade)) counts.killsInRoll++
    this.#calls = []
    this.#acknowledgedCalls = 0
    this.#segmentHalfMade = false
  }

  /** Compares an entry of the log with what was told. */
  checkEntry(offset: number, text: string): void {
    const told = this.#found[offset - 1]
    if (told === undefined) throw new Violation(`entry ${offset} is there, and nobody appended it`)
    if (text !== told) throw new Violation(`entry ${offset} is ${text}, and ${told} was appended there`)
  }

  #appending(entries: readonly string[]): void {
    const before = this.#calls.at(-1)?.last ?? this.#found.length
    this.#calls.push({ entries, last: before + entries.length })
    this.counts.appended += entries.length
    this.counts.appendCalls++
    if (entries.length > 1) this.counts.batchCalls++
  }

  #acknowledged(first: number, last: number): void {
    const call = this.#calls[this.#acknowledgedCalls]
    if (call === undefined) throw new Violation(`entries ${first} to ${last} were acknowledged, and nobody had appended them`)
    const firstOfCall = call.last - call.entries.length + 1
    if (first !== firstOfCall || last !== call.last) {
      throw new Violation(`entries ${firstOfCall} to ${call.last} were next to be acknowledged, and ${first} to ${last} were`)
    }
    this.#acknowledgedCalls++
    this.counts.acknowledged += call.entries.length
  }
}
