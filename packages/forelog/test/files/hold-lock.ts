/*
 * Takes a lock in a process or worker thread of its own, tells the outcome on one line of stdout, and stays until it is
 * ended: `node --import tsx hold-lock.ts <path> [method]`, or a Worker with the same as `argv`.
 */
import { parentPort } from 'node:worker_threads'
import { lockFile, lockMethods } from '../../src/files/directory-lock.js'
import type { WalError } from '../../src/errors.js'

const [path = '', method] = process.argv.slice(2)
const tell = (line: string): void => {
  if (parentPort === null) process.stdout.write(`${line}\n`)
  else parentPort.postMessage(line)
}

try {
  if (method === undefined) await lockFile(path, 0o600)
  else await lockFile(path, 0o600, lockMethods[method as keyof typeof lockMethods]())
  tell('locked')
} catch (error) {
  tell((error as WalError).code)
}
setInterval(() => undefined, 1 << 30)
