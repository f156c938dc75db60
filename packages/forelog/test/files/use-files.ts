/*
 * Calls the file system of the machine as its arguments say, for somebody who watches the system calls:
 * `node --import tsx use-files.ts <directory> blocking|pooled`. Prints what it read.
 */
import { join } from 'node:path'
import type { OpenFile } from '../../src/files/file-system.js'
import { nodeFileSystem as system } from '../../src/files/node-file-system.js'

const [directory = '', way] = process.argv.slice(2)
const blocking = way === 'blocking'
const piece = new TextEncoder().encode('piece')

async function open(name: string, access: 'create' | 'read', writeThrough: boolean): Promise<OpenFile> {
  const path = join(directory, name)
  return blocking ? system.openSync(path, { access, writeThrough }) : await system.open(path, { access, writeThrough })
}

const plain = await open('plain', 'create', false)
const through = await open('through', 'create', true)
for (const file of [plain, through]) {
  if (blocking) {
    file.writeSync([piece], 0)
    file.writeSync([piece, piece], 5)
  } else {
    await file.write([piece], 0)
    await file.write([piece, piece], 5)
  }
}
if (blocking) {
  plain.dataSyncSync()
  plain.syncSync()
  plain.truncateSync(15)
  system.syncDirectorySync(directory)
} else {
  await plain.dataSync()
  await plain.sync()
  await plain.truncate(15)
  await system.syncDirectory(directory)
}
const target = new Uint8Array(15)
const bytes = blocking ? plain.readSync(target, 0) : await plain.read(target, 0)
process.stdout.write(new TextDecoder().decode(target.subarray(0, bytes)))
