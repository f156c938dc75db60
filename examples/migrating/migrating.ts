/**
 * From what was used as a log before.
 */
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { type Codec, defineEntries, json, type LogOf, utf8, WriteAheadLog } from 'forelog'

interface Event {
  readonly id: number
  readonly text: string
}

// #region ndjson
const entries = defineEntries({ event: { type: 1, codec: json<Event>() } })

/** Takes over a file of JSON lines, as appendFile leaves it. Killed and started again, it goes on where it was. */
export async function importLines(path: string, directory: string): Promise<number> {
  await using log = await WriteAheadLog.open(directory, { entries })
  let line = 0
  const batch: ReturnType<typeof entries.event>[] = []
  for await (const text of createInterface({ input: createReadStream(path) })) {
    if (++line <= log.lastOffset) continue // taken over already: line n is entry n
    batch.push(entries.event(JSON.parse(text) as Event)) // throws on half a line: decide what to do about it
    if (batch.length === 1000) await log.appendBatch(batch.splice(0))
  }
  await log.appendBatch(batch)
  return log.lastOffset
}
// #endregion

// #region table
/** A row of a table that was used as a log: `CREATE TABLE log (seq INTEGER PRIMARY KEY, body TEXT)`. */
interface Row {
  readonly seq: number
  readonly body: string
}

const rowEntries = defineEntries({ row: { type: 1, codec: json<Row>() } })

/**
 * Takes over a table in the order of `seq`. `rowsAfter` is `SELECT seq, body FROM log WHERE seq > ? ORDER BY seq`, iterated.
 * The numbers of the table are kept in the entries, for they may have holes, and offsets have none.
 */
export async function importTable(rowsAfter: (seq: number) => Iterable<Row>, directory: string): Promise<number> {
  await using log = await WriteAheadLog.open(directory, { entries: rowEntries })
  const last = log.lastOffset === 0 ? 0 : (await log.get(log.lastOffset)).entry.value.seq
  const batch: ReturnType<typeof rowEntries.row>[] = []
  for (const { seq, body } of rowsAfter(last)) {
    batch.push(rowEntries.row({ seq, body }))
    if (batch.length === 1000) await log.appendBatch(batch.splice(0))
  }
  await log.appendBatch(batch)
  return log.lastOffset
}
// #endregion

// #region evolving
// Version 1 had `{ id, cents }`. The type number stays, old entries are read as what they mean today.
interface Paid {
  readonly id: string
  readonly cents: number
  readonly currency: string
}

const stored = json<Omit<Paid, 'currency'> & { readonly currency?: string }>()

const paid: Codec<Paid> = {
  encode: (value) => stored.encode(value),
  decode: (payload) => ({ currency: 'EUR', ...stored.decode(payload) }),
}

export const payments = defineEntries({
  paid: { type: 1, codec: paid },
  refunded: { type: 2, codec: utf8 }, // new: a program that does not know it yet is refused, and skips nothing
})
// #endregion

export type Payments = LogOf<typeof payments>
