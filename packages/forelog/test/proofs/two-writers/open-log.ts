/*
 * Opens a log in a process or a worker thread of its own, tells the outcome, and keeps it open until it is ended:
 * `open-log.js <directory>`.
 */
import { parentPort } from 'node:worker_threads'
import { type WalError, WriteAheadLog } from '../../../src/index.js'

const [directory = ''] = process.argv.slice(2)
const tell = (line: string): void => {
  if (parentPort === null) process.stdout.write(`${line}\n`)
  else parentPort.postMessage(line)
}

try {
  const log = await WriteAheadLog.open(directory)
  const found = log.lastOffset
  await log.append(Buffer.from(`of process ${process.pid}`))
  tell(`opened ${found}`)
} catch (error) {
  tell((error as WalError).code)
}
setInterval(() => undefined, 1 << 30)
