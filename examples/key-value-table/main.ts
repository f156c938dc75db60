import { inDirectory } from '../support/in-directory.js'
import { KeyValueTable } from './key-value-table.js'

await inDirectory(async (directory) => {
  const table = await KeyValueTable.open(directory)
  await Promise.all(Array.from({ length: 1000 }, (_, index) => table.put(`key ${index % 100}`, index)))
  console.log(`${table.size} rows, made of the log's entries ${table.logged.first} to ${table.logged.last}`)
  await table.snapshot()
  await table.put('key 0', 'newest')
  await table.close()

  const again = await KeyValueTable.open(directory)
  console.log(`${again.size} rows, made of the snapshot and the log's entries ${again.logged.first} to ${again.logged.last}; key 0 is ${String(again.get('key 0'))}`)
  await again.close()
})
