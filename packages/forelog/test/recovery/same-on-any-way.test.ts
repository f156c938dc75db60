// The system's own files are read in a quicker way than those of any other file system: what opening finds of them is the same.

import { cpSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { WalError } from '../../src/errors.js'
import type { FileSystem } from '../../src/files/file-system.js'
import { nodeFileSystem } from '../../src/files/node-file-system.js'
import { WriteAheadLog } from '../../src/write-ahead-log.js'
import { inDirectory } from '../support/directory.js'

/** The same files, by calls in the thread pool. */
const others: FileSystem = { ...nodeFileSystem }

interface Outcome {
  readonly code?: string
  readonly recovery?: { readonly clean: boolean; readonly tornBytes: number }
  readonly segments?: readonly { readonly bytes: number }[]
}

/** What opening says, and what it leaves. */
async function outcome(directory: string, fileSystem: FileSystem): Promise<unknown> {
  try {
    const log = await WriteAheadLog.open(directory, { fileSystem })
    const { recovery, firstOffset, lastOffset } = log
    const quarantined = recovery.quarantined.map((path) => path.slice(directory.length))
    const segments = log.segments().map(({ path, ...rest }) => ({ ...rest, path: path.slice(directory.length) }))
    const files = Object.fromEntries(namesIn(directory).map((name) => [name, readFileSync(join(directory, name)).toString('base64')]))
    await log.close()
    return { recovery: { ...recovery, quarantined }, firstOffset, lastOffset, segments, files }
  } catch (error) {
    if (!(error instanceof WalError)) throw error
    return { code: error.code, message: error.message.replaceAll(directory, '') }
  }
}

const namesIn = (directory: string): string[] => readdirSync(directory).filter((name) => name.endsWith('.wal')).sort()

/** Both ways, each on a copy of its own; they have to be the same. */
async function outcomeOf(log: string, parent: string): Promise<Outcome> {
  const outcomes: unknown[] = []
  for (const [name, fileSystem] of Object.entries({ quick: nodeFileSystem, pooled: others })) {
    const copy = join(parent, name)
    rmSync(copy, { recursive: true, force: true })
    cpSync(log, copy, { recursive: true })
    outcomes.push(await outcome(copy, fileSystem))
  }
  expect(outcomes[0]).toEqual(outcomes[1])
  return outcomes[0] as Outcome
}

/** Changes a copy of a log of several segments, and opens it both ways. */
async function outcomeAfter(change: (log: string, names: string[]) => void): Promise<Outcome> {
  return inDirectory(async (parent) => {
    const log = join(parent, 'log')
    {
      await using made = await WriteAheadLog.open(log, { maxSegmentSize: 4096 })
      for (let index = 0; index < 20; index++) await made.append(new Uint8Array(1500).fill(index))
    }
    const names = namesIn(log)
    expect(names.length).toBeGreaterThan(4)
    change(log, names)
    return outcomeOf(log, parent)
  })
}

function flip(path: string, at: number): void {
  const bytes = readFileSync(path)
  bytes[at] = (bytes[at] as number) ^ 0x10
  writeFileSync(path, bytes)
}

describe('opening the system\u2019s own files finds what it finds through any other file system', () => {
  it('where nothing is wrong', async () => {
    expect(await outcomeAfter(() => {})).toMatchObject({ recovery: { clean: true } })
  })

  it.each([0, 1, 40, 84])('where a segment that is not the newest has only %i bytes', async (bytes) => {
    expect((await outcomeAfter((log, names) => truncateSync(join(log, names[1] as string), bytes))).code).toBe('ERR_WAL_CORRUPT')
  })

  it('where each byte of a header is another one', async () => {
    for (let at = 0; at < 85; at += 7) {
      expect(await outcomeAfter((log, names) => flip(join(log, names[1] as string), at))).toHaveProperty('code')
    }
  })

  it('where a segment is a directory, is missing, or has another one\u2019s name', async () => {
    const directory = await outcomeAfter((log, names) => {
      rmSync(join(log, names[1] as string))
      mkdirSync(join(log, names[1] as string))
    })
    expect(directory.code).toBe('ERR_WAL_READ_FAILED')
    expect((await outcomeAfter((log, names) => rmSync(join(log, names[1] as string)))).code).toBe('ERR_WAL_SEGMENT_MISSING')
    const renamed = await outcomeAfter((log, names) => renameSync(join(log, names[1] as string), join(log, (names[1] as string).replace(/\d\.wal/, '0.wal'))))
    expect(renamed).toHaveProperty('code')
  })

  it('where the last group is large and whole, cut anywhere, or has a flipped bit', async () => {
    await inDirectory(async (parent) => {
      const log = join(parent, 'log')
      const made = await WriteAheadLog.open(log)
      await made.appendBatch([new Uint8Array(50_000).fill(1)])
      const before = made.segments()[0]?.bytes as number
      // Larger than what is loaded whole, and its records cross the borders of what is read at once.
      await made.appendBatch(Array.from({ length: 60 }, (_, index) => new Uint8Array(7001 + 300 * index).fill(index + 1)))
      const bytes = made.segments()[0]?.bytes as number
      const [name] = namesIn(log) as [string]
      const whole = readFileSync(join(log, name)).subarray(0, bytes)
      await made.close()
      rmSync(join(log, namesIn(log)[1] ?? 'none'), { force: true })

      writeFileSync(join(log, name), whole)
      expect(await outcomeOf(log, parent)).toMatchObject({ recovery: { clean: false, tornBytes: 0 } })
      for (const at of [before + 300, before + 262_144, before + 524_288, bytes - 1]) {
        writeFileSync(join(log, name), whole.subarray(0, at))
        const torn = await outcomeOf(log, parent)
        expect(torn).toMatchObject({ lastOffset: 1, recovery: { clean: false } })
        expect((torn.segments?.[0]?.bytes ?? 0) + (torn.recovery?.tornBytes ?? 0)).toBe(at)
        writeFileSync(join(log, name), whole)
        flip(join(log, name), at)
        expect(await outcomeOf(log, parent)).toMatchObject({ code: 'ERR_WAL_CORRUPT' })
      }
    })
  })
})
