import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DurableFile } from '../../src/files/durable-file.js'
import { FileWindow } from '../../src/segments/file-window.js'
import { runBlocking, runPooled, type Steps } from '../../src/steps.js'
import { FakeFileSystem } from '../files/fake-file-system.js'

const path = join('/log', 'segment')

async function windowOn(bytes: number, chunkBytes: number): Promise<{ system: FakeFileSystem; file: DurableFile; window: FileWindow; content: Uint8Array }> {
  const system = new FakeFileSystem()
  const content = Uint8Array.from({ length: bytes }, (_, index) => (index * 7 + (index >>> 8)) & 0xff)
  system.files.set(path, content)
  const file = await runPooled(DurableFile.open(system, path, { access: 'read' }))
  return { system, file, window: new FileWindow(file, bytes, chunkBytes), content }
}

const loaded = (window: FileWindow, position: number, bytes: number): Uint8Array =>
  window.bytes.slice(window.indexOf(position), window.indexOf(position) + bytes)

describe.each<[string, <T>(steps: Steps<T>) => Promise<T>]>([
  ['blocking', async (steps) => runBlocking(steps)],
  ['pooled', runPooled],
])('a window, %s', (_way, run) => {
  it('has the bytes of the file wherever it is moved to, however much is asked for', async () => {
    const steps = fc.array(fc.record({ by: fc.integer({ min: -40, max: 120 }), bytes: fc.integer({ min: 1, max: 90 }), rare: fc.nat(9), most: fc.option(fc.integer({ min: 1, max: 100 }), { nil: undefined }) }), { maxLength: 40 })
    await fc.assert(
      fc.asyncProperty(steps, fc.integer({ min: 1, max: 60 }), fc.integer({ min: 0, max: 600 }), async (moves, chunkBytes, fileBytes) => {
        const { window, content } = await windowOn(fileBytes, chunkBytes)
        let position = 0
        for (const { by, bytes, rare, most } of moves) {
          position = Math.max(0, Math.min(fileBytes, position + (rare === 0 ? by * 5 : Math.abs(by))))
          const wanted = Math.min(bytes, fileBytes - position)
          expect(await run(window.load(position, bytes, most))).toBeGreaterThanOrEqual(wanted)
          expect(window.available(position)).toBeGreaterThanOrEqual(wanted)
          expect(loaded(window, position, wanted)).toEqual(content.slice(position, position + wanted))
          const all = window.available(position)
          expect(loaded(window, position, all)).toEqual(content.slice(position, position + all))
        }
      }),
      { numRuns: 300 },
    )
  })

  it('reads each byte of a file once, where it is walked from its beginning to its end', async () => {
    const { system, window, content } = await windowOn(10_000, 1000)
    for (let position = 0; position < 10_000; position += 137) {
      const wanted = Math.min(137, 10_000 - position)
      await run(window.load(position, wanted))
      expect(loaded(window, position, wanted)).toEqual(content.slice(position, position + wanted))
    }
    expect(system.calls.filter((call) => call === 'read segment')).toHaveLength(10)
  })
})

describe('memory', () => {
  it('goes from a window to the next one, which reads right and makes no more', async () => {
    const { file, window, content } = await windowOn(10_000, 1000)
    const walk = async (walked: FileWindow): Promise<Set<ArrayBufferLike>> => {
      const seen = new Set<ArrayBufferLike>()
      for (let position = 0; position < 10_000; position += 100) {
        await runPooled(walked.load(position, 100))
        expect(loaded(walked, position, 100)).toEqual(content.slice(position, position + 100))
        seen.add(walked.bytes.buffer)
      }
      return seen
    }
    await walk(window)
    const memory = window.memory
    const seen = await walk(new FileWindow(file, 10_000, 1000, memory))
    expect(seen.size).toBe(2)
    expect([...seen].every((buffer) => memory.some((piece) => piece?.buffer === buffer))).toBe(true)
  })

  it('that is being read into is handed on to nobody', async () => {
    const { window } = await windowOn(10_000, 1000)
    await runPooled(window.load(0, 500))
    // Now the third piece is on its way, into what the first one lay in.
    await runPooled(window.load(900, 500))
    await runPooled(window.load(1900, 500))
    expect(window.memory.map((piece) => piece?.buffer)).toEqual([window.bytes.buffer, undefined])
  })
})

describe('reading ahead', () => {
  it('begins with the second piece, and never changes what is loaded', async () => {
    const { system, window, content } = await windowOn(5000, 1000)
    const reads = (): number => system.calls.filter((call) => call === 'read segment').length
    await runPooled(window.load(0, 100))
    expect(reads()).toBe(1)
    await runPooled(window.load(900, 200))
    expect(reads()).toBe(3)
    const before = window.bytes
    const at = window.indexOf(900)
    await new Promise((resolve) => setImmediate(resolve))
    expect(window.bytes).toBe(before)
    expect(before.slice(at, at + 1100)).toEqual(content.slice(900, 2000))
  })

  it('does not happen in a blocking walk', async () => {
    const { system, window } = await windowOn(5000, 1000)
    for (let position = 0; position < 3000; position += 100) runBlocking(window.load(position, 100))
    expect(system.calls.filter((call) => call === 'read segment')).toHaveLength(3)
  })

  it('that fails is told by the load that comes for those bytes, and a later one reads them again', async () => {
    const { system, window, content } = await windowOn(5000, 1000)
    await runPooled(window.load(0, 1000))
    system.fail('read', 'EIO', 2)
    await runPooled(window.load(1000, 1000))
    await expect(runPooled(window.load(2000, 1000))).rejects.toMatchObject({ code: 'ERR_WAL_READ_FAILED', position: 2000 })
    await runPooled(window.load(2000, 1000))
    expect(loaded(window, 2000, 1000)).toEqual(content.slice(2000, 3000))
  })

  it('takes larger pieces where larger ones are asked for, so that each is one read', async () => {
    const { system, window, content } = await windowOn(100_000, 1000)
    for (let position = 0; position < 100_000; position += 5000) {
      await runPooled(window.load(position, 5000))
      expect(loaded(window, position, 5000)).toEqual(content.slice(position, position + 5000))
    }
    expect(system.calls.filter((call) => call === 'read segment').length).toBeLessThanOrEqual(20)
  })

  it('leaves nothing open when the file is closed before anybody comes for it', async () => {
    const { system, file, window } = await windowOn(5000, 1000)
    await runPooled(window.load(0, 1000))
    await runPooled(window.load(1000, 1000))
    await runPooled(file.close())
    expect(system.openFiles).toBe(0)
    expect(system.calls.at(-1)).toBe('close segment')
  })
})
