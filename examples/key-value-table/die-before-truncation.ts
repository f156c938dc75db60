// For the test: dies with the snapshot in place and the log not yet truncated.
import { KeyValueTable } from './key-value-table.js'

const table = await KeyValueTable.open(process.argv[2] as string)
await table.put('a', 1)
await table.put('b', 2)
await table.delete('a')
await table.saveSnapshot()
await table.put('c', 3)
process.kill(process.pid, 'SIGKILL')
