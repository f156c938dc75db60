/**
 * The invariant behind every acknowledgement: at the very moment at which a caller is told, a crash that takes all that is not synced
 * leaves what it was told of. The disk is asked at each acknowledgement, so that one sync that is left out among thousands is noticed.
 */
import { describe, expect, it } from 'vitest'
import type { FileSystem, OpenFile } from '../src/files/file-system.js'
import { nodeFileSystem } from '../src/files/node-file-system.js'
import type { OpenOptions } from '../src/options.js'
import type { SimulatedDisk } from '../src/testing/index.js'
import { WriteAheadLog } from '../src/write-ahead-log.js'
import { bytesOf, collect, directory, failCalls, isSync, newDisk, openOn, rejection, textsOf } from './support/logs.js'
import { inDirectory } from './support/directory.js'
import { ExampleEntry2, exampleEntries } from './support/waltest.js'

const modes = ['auto', 'inline', 'background'] as const
const groups = 1_000

/** A disk that does not remember its calls: a thousand groups make many. */
const plainDisk = (): SimulatedDisk => newDisk({ journal: false })

/** Rule 1: every byte of the log's files, up to where its records end, is on stable storage, and so are their names. */
function assertAllDurable(disk: SimulatedDisk, log: WriteAheadLog): void {
  const kept = disk.afterCrash('none')
  for (const { path, bytes } of log.segments()) {
    const wanted = disk.contents(path).subarray(0, bytes)
    expect(Buffer.compare(kept.contents(path).subarray(0, bytes), wanted), `what a crash leaves of ${path}, up to byte ${bytes}`).toBe(0)
  }
}

/** The same seen by the next life: it opens what a crash leaves, and finds what was claimed. */
async function assertFoundAfterCrash(disk: SimulatedDisk, claimed: { first?: number; last: number }): Promise<void> {
  const log = await openOn(disk.afterCrash('none'))
  expect(log.lastOffset).toBeGreaterThanOrEqual(claimed.last)
  if (claimed.first !== undefined) expect(log.firstOffset).toBe(claimed.first)
  const texts = await textsOf(log, { to: claimed.last })
  expect(texts).toEqual(Array.from({ length: claimed.last - log.firstOffset + 1 }, (_, index) => textFor(log.firstOffset + index)))
}

const textFor = (offset: number): string => `${offset} entry ${offset}`
const entryFor = (offset: number): Uint8Array => bytesOf(`entry ${offset}`)

/** Grows from one to forty entries, so that groups end everywhere in a sector. */
const batchFrom = (first: number, count: number): Uint8Array[] => Array.from({ length: count }, (_, index) => entryFor(first + index))

describe.each(modes)('commit: %s', (commit) => {
  const options: OpenOptions = { commit, maxSegmentSize: 20_000 }

  it(`each of ${groups} appends is on stable storage when it is acknowledged`, async () => {
    const disk = plainDisk()
    const log = await openOn(disk, options)
    for (let offset = 1; offset <= groups; offset++) await log.append(entryFor(offset)).then(() => assertAllDurable(disk, log))
    expect(log.segments().length).toBeGreaterThan(3)
    await assertFoundAfterCrash(disk, { last: groups })
  })

  it('each batch is on stable storage when it is acknowledged', async () => {
    const disk = plainDisk()
    const log = await openOn(disk, options)
    for (let round = 0, next = 1; round < 200; round++) {
      const count = 2 + (round % 40)
      await log.appendBatch(batchFrom(next, count)).then(() => assertAllDurable(disk, log))
      next += count
    }
    await assertFoundAfterCrash(disk, { last: log.lastOffset })
  })

  it(`each of ${groups} calls of appendSync is back when its entry is on stable storage`, async () => {
    const disk = plainDisk()
    const log = await openOn(disk, options)
    for (let offset = 1; offset <= groups; offset++) {
      log.appendSync(entryFor(offset))
      assertAllDurable(disk, log)
      // Now and then the loop turns, so that what is filled ahead gets synced and is used.
      if (offset % 10 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    await assertFoundAfterCrash(disk, { last: groups })
  })

  it('each of many appends at once is found after a crash at its acknowledgement', async () => {
    const disk = plainDisk()
    const log = await openOn(disk, { ...options, maxSegmentSize: 4_000 })
    let acknowledged = 0
    const found: Promise<void>[] = []
    await Promise.all(
      Array.from({ length: 6 }, async (_, writer) => {
        for (let index = 0; index < 40; index++) {
          // What is encoded next has the offset behind all that was called: nothing else runs in between.
          const offset = log.lastOffset + log.stats().pendingEntries + 1
          const claim = (last: number): void => {
            acknowledged++
            found.push(assertFoundAfterCrash(disk, { last }))
          }
          if ((writer + index) % 5 === 0) await log.appendBatch(batchFrom(offset, 3)).then(({ last }) => claim(last))
          else await log.append(entryFor(offset)).then(claim)
        }
      }),
    )
    await Promise.all(found)
    expect(acknowledged).toBe(240)
  })

  it.each(['interval', 'manual'] as const)('in mode %s what sync() and durableOffset claim is found after a crash', async (sync) => {
    const disk = plainDisk()
    const log = await openOn(disk, { ...options, sync, ...(sync === 'interval' ? { syncInterval: 1 } : {}) })
    const claims: number[] = []
    for (let offset = 1; offset <= 150; offset++) {
      await log.append(entryFor(offset)).then(() => assertFoundAfterCrash(disk, { last: log.durableOffset }))
      if (offset % 7 !== 0) continue
      const last = log.lastOffset
      await log.sync().then((durable) => {
        expect(durable).toBe(last)
        claims.push(durable)
        assertAllDurable(disk, log)
      })
      await assertFoundAfterCrash(disk, { last })
    }
    expect(claims).toHaveLength(21)
  })

  it('sync() covers the append that was called right before it', async () => {
    const disk = plainDisk()
    const log = await openOn(disk, { ...options, sync: 'manual' })
    for (let offset = 1; offset <= 50; offset++) {
      const appended = log.append(entryFor(offset))
      await log.sync().then(() => assertAllDurable(disk, log))
      expect(log.durableOffset).toBe(await appended)
    }
  })

  it.each([true, false])('an append whose sync fails is not acknowledged (what is filled ahead is there: %s)', async (filled) => {
    const disk = newDisk()
    const log = await openOn(disk, options)
    // The first groups are written and synced in two calls, later ones are written through.
    for (let offset = 1; offset <= (filled ? 20 : 1); offset++) await log.append(entryFor(offset))
    const told = failCalls(disk, isSync, 'EIO')
    await rejection(filled ? 'ERR_WAL_WRITE_FAILED' : 'ERR_WAL_SYNC_FAILED', log.append(bytesOf('lost')))
    expect(told.hits).toBeGreaterThan(0)
    expect(log.durableOffset).toBe(filled ? 20 : 1)
  })

  it('truncations, and the end of a life, are found after a crash at their acknowledgement', async () => {
    const disk = plainDisk()
    const log = await openOn(disk, { ...options, maxSegmentSize: 1_000 })
    const next = (): number => log.lastOffset + 1
    for (let round = 1; round <= 30; round++) {
      for (let index = 0; index < 10; index++) await log.append(entryFor(next()))
      const last = log.lastOffset - (round % 4)
      await log.truncateAfter(last).then(async () => {
        const after = await openOn(disk.afterCrash('none'))
        expect(after.lastOffset).toBe(last)
      })
      const first = log.firstOffset + (round % 7)
      await log.truncateBefore(first).then(() => assertFoundAfterCrash(disk, { first, last }))
    }
    await log.close().then(async () => {
      const after = await openOn(disk.afterCrash('none'))
      expect([after.firstOffset, after.lastOffset, after.recovery.clean]).toEqual([log.firstOffset, log.lastOffset, true])
    })
  })

  it('in format 1 appends and cuts are found after a crash at their acknowledgement', async () => {
    const disk = plainDisk()
    const open = (on: SimulatedDisk): Promise<WriteAheadLog<ExampleEntry2, ExampleEntry2>> =>
      WriteAheadLog.open(directory, { ...options, maxSegmentSize: 500, fileSystem: on, format: 1, entries: exampleEntries }) as never
    const log = await open(disk)
    const namesAfterCrash = async (): Promise<string[]> => {
      const after = await open(disk.afterCrash('none'))
      return (await collect(after.entries())).map(({ offset, entry }) => `${offset} ${entry.name}`)
    }
    const names = (last: number): string[] => Array.from({ length: last }, (_, index) => `${index + 1} ${index + 1}`)
    for (let round = 1; round <= 20; round++) {
      for (let index = 0; index < 5; index++) {
        const offset = log.lastOffset + 1
        await log.append(new ExampleEntry2(true, String(offset))).then(async () => expect(await namesAfterCrash()).toEqual(names(offset)))
      }
      const last = log.lastOffset - (round % 3)
      await log.truncateAfter(last).then(async () => expect(await namesAfterCrash()).toEqual(names(last)))
    }
  })
})

it.each(['always', 'manual'] as const)('a writable calls back when what it took is on stable storage (sync: %s)', async (sync) => {
  const disk = plainDisk()
  const log = await openOn(disk, { sync, maxSegmentSize: 20_000 })
  const stream = log.writable()
  for (let offset = 1; offset <= 300; offset++) {
    await new Promise<void>((resolve, reject) => {
      stream.write(entryFor(offset), (error) => {
        if (error) return reject(error)
        try {
          assertAllDurable(disk, log)
          resolve()
        } catch (violation) {
          reject(violation)
        }
      })
    })
  }
  await assertFoundAfterCrash(disk, { last: 300 })
})

/** The file system of the machine, whose syncs and writes through wait, once they are held, until they are let go. */
class HeldFileSystem {
  #held: Promise<void> | undefined
  #letGo: (() => void) | undefined
  #onReached: (() => void) | undefined

  readonly fileSystem: FileSystem = {
    ...nodeFileSystem,
    open: async (path, options) => this.#wrap(await nodeFileSystem.open(path, options), options.writeThrough === true),
    syncDirectory: (path) => this.#behind(() => nodeFileSystem.syncDirectory(path)),
  }

  /** From now on syncs wait; resolves when one does. */
  hold(): Promise<void> {
    this.#held = new Promise((resolve) => (this.#letGo = resolve))
    return new Promise((resolve) => (this.#onReached = resolve))
  }

  letGo(): void {
    this.#letGo?.()
    this.#held = undefined
  }

  async #behind<T>(call: () => Promise<T>): Promise<T> {
    if (this.#held !== undefined) {
      this.#onReached?.()
      await this.#held
    }
    return call()
  }

  #wrap(file: OpenFile, writeThrough: boolean): OpenFile {
    return new Proxy(file, {
      get: (target, name: keyof OpenFile) => {
        const method: unknown = target[name]
        if (typeof method !== 'function') return method
        const call = method.bind(target) as (...args: unknown[]) => Promise<unknown>
        const isHeld = name === 'sync' || name === 'dataSync' || (name === 'write' && writeThrough)
        return isHeld ? (...args: unknown[]) => this.#behind(() => call(...args)) : call
      },
    })
  }
}

const turnsOfTheLoop = async (count: number): Promise<void> => {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}

describe('on the file system of the machine nothing is acknowledged while its sync is held back', () => {
  type Claim = (log: WriteAheadLog) => Promise<unknown>
  const claims: [string, OpenOptions['sync'], Claim][] = [
    ['append', 'always', (log) => log.append(bytesOf('x'))],
    ['appendBatch', 'always', (log) => log.appendBatch([bytesOf('x'), bytesOf('y')])],
    ['sync', 'manual', (log) => Promise.all([log.append(bytesOf('x')), log.sync()])],
    ['truncateBefore', 'always', (log) => log.truncateBefore(log.firstOffset + 1)],
    ['truncateAfter', 'always', (log) => log.truncateAfter(log.lastOffset - 1)],
  ]

  it.each(claims)('%s', async (_name, sync, claim) => {
    await inDirectory(async (path) => {
      const held = new HeldFileSystem()
      // A small segment, so that some of the claims come with a roll; not inline, where a held call would hold this thread.
      const log = await WriteAheadLog.open(path, { fileSystem: held.fileSystem, commit: 'background', maxSegmentSize: 4_000, ...(sync !== undefined && { sync }) })
      await log.appendBatch(Array.from({ length: 60 }, () => bytesOf('in front')))
      for (let round = 0; round < 40; round++) {
        const reached = held.hold()
        let acknowledged = false
        const claimed = claim(log).then(() => (acknowledged = true))
        await Promise.race([reached, claimed])
        await turnsOfTheLoop(3)
        expect(acknowledged, `round ${round}`).toBe(false)
        held.letGo()
        await claimed
      }
      await log.close()
    })
  })
})
