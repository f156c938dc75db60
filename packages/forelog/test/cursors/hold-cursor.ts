/*
 * Opens a reader of a log in a process of its own and takes entries with a cursor, each committed and then told on a line of stdout;
 * stays until it is ended: `node --import tsx hold-cursor.ts <directory> <name>`.
 */
import { WriteAheadLog } from '../../src/index.js'

const [directory = '', name = ''] = process.argv.slice(2)
const reader = await WriteAheadLog.openReader(directory)
const cursor = await reader.cursor(name)
setInterval(() => undefined, 1 << 30)
process.stdout.write('open\n')
for await (const { offset } of cursor) {
  await cursor.commit(offset)
  process.stdout.write(`${offset}\n`)
}
