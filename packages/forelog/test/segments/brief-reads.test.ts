import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { DurableFile } from '../../src/files/durable-file.js'
import type { OpenFile } from '../../src/files/file-system.js'
import { BriefReads } from '../../src/segments/brief-reads.js'
import { FileWindow } from '../../src/segments/file-window.js'
import { runBlocking, runPooled } from '../../src/steps.js'
import { FakeFileSystem } from '../files/fake-file-system.js'

const path = join('/log', 'segment')

/** A file whose reads on this thread take so long by a clock that nothing else moves; where each was made. */
async function played(milliseconds: (read: number) => number): Promise<{ file: DurableFile; brief: BriefReads; made: string[] }> {
  const system = new FakeFileSystem()
  system.files.set(path, new Uint8Array(4 * 1024 * 1024).fill(7))
  const made: string[] = []
  let now = 0
  const { openSync } = system
  system.openSync = (...given): OpenFile => {
    const file = openSync.apply(system, given)
    const { readSync } = file
    file.readSync = (target, position) => {
      now += milliseconds(made.length)
      made.push('here')
      return readSync.call(file, target, position)
    }
    file.read = async (target, position) => {
      made.push('pool')
      return readSync.call(file, target, position)
    }
    return file
  }
  return { file: await runPooled(DurableFile.open(system, path, { access: 'read' })), brief: new BriefReads(() => now), made }
}

async function read({ file, brief }: { file: DurableFile; brief: BriefReads }, times: number, bytes = 1000): Promise<void> {
  for (let time = 0; time < times; time++) {
    const target = new Uint8Array(bytes)
    expect(await runPooled(brief.read(file, target, time))).toBe(bytes)
    expect(target.every((byte) => byte === 7)).toBe(true)
  }
}

describe('reads of pieces', () => {
  it('are made on this thread while they are quick', async () => {
    const reads = await played(() => 0.05)
    await read(reads, 500)
    expect(reads.made).toEqual(Array.from({ length: 500 }, () => 'here'))
  })

  it('stay there where one takes long now and then, as on a busy machine', async () => {
    const reads = await played((index) => (index % 40 === 39 ? 5 : 0.05))
    await read(reads, 500)
    expect(reads.made).not.toContain('pool')
  })

  it('go to the pool once two close to each other took long, and then behind each that does, for twice as many each time', async () => {
    const reads = await played((index) => (index >= 10 ? 5 : 0.05))
    await read(reads, 12 + 64 + 1 + 128 + 1)
    const here = reads.made.flatMap((where, index) => (where === 'here' ? [index] : []))
    expect(here).toEqual([...Array.from({ length: 12 }, (_, index) => index), 12 + 64, 12 + 64 + 1 + 128])
  })

  it('go to the pool where they are large', async () => {
    const reads = await played(() => 0.05)
    await read(reads, 3, 512 * 1024 + 1)
    expect(reads.made).toEqual(['pool', 'pool', 'pool'])
  })

  it('give the event loop its turns', async () => {
    const reads = await played(() => 0.4)
    let turns = 0
    let isDone = false
    const turn = (): void => {
      turns++
      if (!isDone) setImmediate(turn)
    }
    setImmediate(turn)
    await read(reads, 90)
    isDone = true
    expect(turns).toBeGreaterThanOrEqual(29)
    expect(reads.made).not.toContain('pool')
  })

  it('tell what went wrong, and are made on this thread by who blocks', async () => {
    const reads = await played(() => 5)
    for (let time = 0; time < 200; time++) expect(runBlocking(reads.brief.read(reads.file, new Uint8Array(10), 0))).toBe(10)
    expect(reads.made).not.toContain('pool')
    const failing = await played(() => {
      throw Object.assign(new Error('EIO: made to fail'), { code: 'EIO' })
    })
    await expect(read(failing, 1)).rejects.toMatchObject({ code: 'ERR_WAL_READ_FAILED', path })
  })

  it('are read ahead by a window only while they go to the pool', async () => {
    const reads = await played((index) => (index >= 100 ? 5 : 0.05))
    const window = new FileWindow(reads.file, 4 * 1024 * 1024, 10_000, [], true, reads.brief)
    const walk = async (from: number, to: number): Promise<void> => {
      for (let position = from; position < to; position += 10_000) {
        expect(await runPooled(window.load(position, 10_000))).toBeGreaterThanOrEqual(10_000)
        expect(window.bytes[window.indexOf(position)]).toBe(7)
      }
    }
    await walk(0, 1_000_000)
    expect(reads.made).toHaveLength(100)
    await walk(1_000_000, 1_200_000)
    expect(reads.made.slice(100, 102)).toEqual(['here', 'here'])
    // One more than was asked for.
    expect(reads.made.slice(102)).toEqual(Array.from({ length: 19 }, () => 'pool'))
  })
})
