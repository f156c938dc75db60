// #region quick-start
import { defineEntries, json, utf8, WriteAheadLog } from 'forelog'

const entries = defineEntries({
  put: { type: 1, codec: json<{ key: string; amount: number }>() },
  del: { type: 2, codec: utf8 },
})

await using log = await WriteAheadLog.open('./data/stock', { entries }) // recovers, locks, is ready to append
const offset = await log.append(entries.put({ key: 'apples', amount: 3 })) // resolves once it is on stable storage
const { first, last } = await log.appendBatch([entries.put({ key: 'pears', amount: 5 }), entries.del('apples')]) // all of it, or nothing

for await (const { offset, entry } of log.entries()) console.log(offset, entry.name, entry.value)
// #endregion
console.log(`appended ${offset} and ${first} to ${last}`)
