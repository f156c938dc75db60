/*
 * Makes cursors through a reader in a process of its own, one after the other, reads where each begins, and deletes it again; a line of
 * JSON for each on stdout: `node --import tsx make-cursors.ts <directory> <count>`.
 */
import { WriteAheadLog } from '../../src/index.js'

const [directory = '', count = ''] = process.argv.slice(2)
const reader = await WriteAheadLog.openReader(directory)
for (let n = 0; n < Number(count); n++) {
  const cursor = await reader.cursor('made')
  const { lost } = cursor
  let first = 'missing'
  for await (const { offset } of cursor) {
    if (offset === cursor.offset + 1) first = 'there'
    break
  }
  await cursor.close()
  await reader.deleteCursor('made')
  process.stdout.write(`${JSON.stringify({ lost: lost ?? null, first })}\n`)
}
await reader.close()
