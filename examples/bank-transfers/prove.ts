/**
 * The proof at the end: what is in the log is what was told, byte for byte, and its balances add up.
 */
import { WriteAheadLog } from 'forelog'
import { Balances } from './balances.js'
import { entries } from './entries.js'
import type { Ledger } from './ledger.js'
import { textOfRaw } from './told.js'
import { Violation } from './violation.js'

/** Throws the first violation; resolves with the number of rolls that the log has seen. */
export async function prove(directory: string, ledger: Ledger): Promise<number> {
  const log = await WriteAheadLog.open(directory, { entries })
  const balances = new Balances()
  try {
    for await (const { entry } of log.entries()) balances.take(entry)
    const newest = log.segments().at(-1)
    ledger.opened({
      firstOffset: log.firstOffset,
      lastOffset: log.lastOffset,
      tornBytes: log.recovery.tornBytes,
      emptySegment: newest !== undefined && newest.lastOffset < newest.firstOffset,
      entriesReplayed: balances.entries,
      sum: balances.sum(),
    })
  } finally {
    await log.close()
  }

  // Once more without the entries: raw bytes, and a log that was closed in good order.
  const raw = await WriteAheadLog.open(directory)
  try {
    if (!raw.recovery.clean) throw new Violation('the log was closed, and is not found clean')
    let next = 1
    for await (const batch of raw.entries().batches()) {
      for (const { offset, entry } of batch) {
        if (offset !== next) throw new Violation(`entry ${offset} stands where ${next} is next`)
        ledger.checkEntry(offset, textOfRaw(entry))
        next++
      }
    }
    if (next !== balances.entries + 1) throw new Violation(`${next - 1} entries are there, and ${balances.entries} were a moment ago`)
    ledger.counts.entriesReplayed += next - 1
    ledger.counts.openings++
    return raw.segments().length - 1
  } finally {
    await raw.close()
  }
}
