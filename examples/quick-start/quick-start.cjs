// #region quick-start
const { defineEntries, json, utf8, WriteAheadLog } = require('forelog')

const entries = defineEntries({
  put: { type: 1, codec: json() },
  del: { type: 2, codec: utf8 },
})

async function main() {
  const log = await WriteAheadLog.open('./data/stock', { entries })
  try {
    await log.append(entries.put({ key: 'apples', amount: 3 }))
    await log.appendBatch([entries.put({ key: 'pears', amount: 5 }), entries.del('apples')])
    for await (const { offset, entry } of log.entries()) console.log(offset, entry.name, entry.value)
  } finally {
    await log.close()
  }
}

main()
// #endregion
