/*
 * Opens cursors until one is refused, and tells of that on stdout; then whether the log still appends, and a cursor opens once another one is
 * closed: `node --import tsx until-refused.ts <directory>`.
 */
import { type Cursor, type RawEntry, type WalError, WriteAheadLog } from '../../src/index.js'

const log = await WriteAheadLog.open(process.argv[2] ?? '')
await log.append(new Uint8Array(10))
const open: Cursor<RawEntry>[] = []
let refusal: WalError | undefined
while (refusal === undefined) {
  try {
    open.push(await log.cursor(`c${open.length}`))
  } catch (error) {
    refusal = error as WalError
  }
}
const appended = await log.append(new Uint8Array(10))
await open[0]?.commit(2).catch(() => {})
for (const cursor of open.splice(0, 10)) await cursor.close()
const reopened = (await log.cursor('c1')).name === 'c1'
await open[0]?.commit(2)
process.stdout.write(JSON.stringify({ code: refusal.code, message: refusal.message, opened: open.length + 10, appended, reopened }))
await log.close()
