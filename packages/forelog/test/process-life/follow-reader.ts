/*
 * A process that follows the log of another one, and has nothing else to do: `node follow-reader.js <directory> <ending>`. It prints the
 * offsets that it is given, and `tick` now and then, from a timer that keeps no process alive; `over` when it follows no more.
 */
import { WriteAheadLog } from '../../src/index.js'

export type Ending = 'abort' | 'close' | 'break' | 'SIGTERM' | 'return' | 'cursor: abort' | 'cursor: close' | 'cursor: SIGTERM'

const [directory = '', ending = 'break'] = process.argv.slice(2)
const stop = new AbortController()
if (ending.endsWith('SIGTERM')) process.once('SIGTERM', () => stop.abort())
setInterval(() => console.log('tick'), 20).unref()

const reader = await WriteAheadLog.openReader(directory)
const cursor = ending.startsWith('cursor') ? await reader.cursor('follower', { signal: stop.signal }) : undefined
const source = cursor ?? reader.follow({ signal: stop.signal })
const iterator = source[Symbol.asyncIterator]()
for (let step = await iterator.next(); step.done !== true; step = await iterator.next()) {
  console.log(step.value.offset)
  if (step.value.offset < 2) continue
  if (ending === 'break') break
  // While it waits again.
  setImmediate(() => {
    if (ending.endsWith('abort')) stop.abort()
    if (ending === 'return') void iterator.return?.()
    if (ending === 'close') void reader.close()
    if (ending === 'cursor: close') void cursor?.close()
  })
}
// Nothing is closed but what the ending closes: an open reader keeps no process alive.
console.log('over')
