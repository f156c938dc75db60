/**
 * What decided the commit path: the ways in which Node.js can put 200 bytes on stable storage, one after the other.
 *
 *     npx tsx bench/micro/commit.ts [folder on the disk to measure]
 *
 * Each round has each of them once; printed are the medians.
 */
import fs from 'node:fs'
import { join } from 'node:path'

const rounds = 7
const writesPerRound = 1500
const bytes = 200
const filledBytes = 1024 * 1024
const data = new Uint8Array(bytes).fill(1)

interface Way {
  readonly name: string
  readonly filled: boolean
  readonly flags: number
  readonly run: (fd: number, position: number) => Promise<void> | void
}

const writeLater = (fd: number, position: number): Promise<void> =>
  new Promise((resolve, reject) => fs.write(fd, data, 0, bytes, position, (error) => (error === null ? resolve() : reject(error))))
const syncLater = (fd: number): Promise<void> =>
  new Promise((resolve, reject) => fs.fdatasync(fd, (error) => (error === null ? resolve() : reject(error))))
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

const { O_RDWR, O_DSYNC } = fs.constants
const ways: readonly Way[] = [
  { name: 'pool: write, fdatasync; the file grows', filled: false, flags: O_RDWR, run: async (fd, position) => (await writeLater(fd, position), syncLater(fd)) },
  { name: 'pool: write, fdatasync; filled', filled: true, flags: O_RDWR, run: async (fd, position) => (await writeLater(fd, position), syncLater(fd)) },
  { name: 'pool: write on O_DSYNC; filled', filled: true, flags: O_RDWR | O_DSYNC, run: writeLater },
  {
    name: 'inline: write, fdatasync; the file grows',
    filled: false,
    flags: O_RDWR,
    run: (fd, position) => (fs.writeSync(fd, data, 0, bytes, position), fs.fdatasyncSync(fd)),
  },
  { name: 'inline: write on O_DSYNC; filled', filled: true, flags: O_RDWR | O_DSYNC, run: (fd, position) => void fs.writeSync(fd, data, 0, bytes, position) },
  {
    name: 'the same, and a turn of the event loop',
    filled: true,
    flags: O_RDWR | O_DSYNC,
    run: (fd, position) => (fs.writeSync(fd, data, 0, bytes, position), turn()),
  },
]

const folder = process.argv[2] ?? process.cwd()
const times = new Map<Way, number[]>(ways.map((way) => [way, []]))
for (let round = 0; round < rounds; round++) {
  for (let index = 0; index < ways.length; index++) {
    const way = ways[(index + round) % ways.length] as Way
    times.get(way)?.push(await timeOf(way))
  }
}
for (const [{ name }, each] of times) {
  const us = [...each].sort((a, b) => a - b)[Math.floor(each.length / 2)] as number
  console.log(`${name.padEnd(42)} ${us.toFixed(1).padStart(7)} µs  ${Math.round(1e6 / us).toLocaleString('en').padStart(7)}/s`)
}

/** Microseconds for one write. */
async function timeOf({ filled, flags, run }: Way): Promise<number> {
  const path = join(folder, `commit-${process.pid}.tmp`)
  fs.writeFileSync(path, new Uint8Array(filled ? filledBytes : 0), { flush: true })
  const fd = fs.openSync(path, flags)
  try {
    const began = performance.now()
    for (let count = 0; count < writesPerRound; count++) await run(fd, count * bytes)
    return ((performance.now() - began) * 1000) / writesPerRound
  } finally {
    fs.closeSync(fd)
    fs.unlinkSync(path)
  }
}
