import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type FileSystem, nodeFileSystem, type OpenFile, type OpenFileOptions, salvage, verify, type VerifyReport, WalError, WriteAheadLog } from '../../src/index.js'
import { type Damage, everyFlip, everyLength, everyMixUp, everyZeroedSector, segmentsOf } from '../proofs/every-bit.js'
import { buildCutFormat2, diskWith, directory, type Files, filesOn, goldenFormat1, type SampleLog, writeFormat2 } from '../proofs/sample-logs.js'
import { copyGolden, golden, goldenNames } from '../support/golden.js'
import { temporaryDirectory } from '../support/temporary-directory.js'
import { exampleEntries } from '../support/waltest.js'

const sample = await writeFormat2()
const other = await writeFormat2(3)
const cut = buildCutFormat2()

/** Every n-th of them, so that a run takes seconds; n is coprime to all that repeats. */
function* some<T>(all: Iterable<T>, each: number): Generator<T> {
  let index = 0
  for (const one of all) if (index++ % each === 0) yield one
}

const each = Number(process.env['FORELOG_EACH'] ?? 41)

function look(files: Files, log: SampleLog): Promise<VerifyReport> {
  return log.name.startsWith('format 1') ? verify(directory, { fileSystem: diskWith(files), entries: exampleEntries }) : verify(directory, { fileSystem: diskWith(files) })
}

/** What opening and reading make of a log: 'opens' with what is there, or 'refuses'. */
async function openAndRead(files: Files, log: SampleLog): Promise<{ opens: true; first: number; last: number; torn: number; ambiguous: boolean } | { opens: false; error: WalError }> {
  try {
    const opened = await log.open(diskWith(files), 'truncate')
    for await (const _ of opened.entries());
    const { tornBytes, ambiguous } = opened.recovery
    return { opens: true, first: opened.firstOffset, last: opened.lastOffset, torn: tornBytes, ambiguous }
  } catch (error) {
    if (error instanceof WalError) return { opens: false, error }
    throw error
  }
}

async function compare(log: SampleLog, damages: Iterable<Damage>): Promise<{ looked: number; disagreements: string[] }> {
  const disagreements: string[] = []
  let looked = 0
  for (const { kind, what, files } of damages) {
    looked++
    const report = await look(files, log)
    const opened = await openAndRead(files, log)
    const complain = (text: string): void => {
      disagreements.push(`${log.name}, ${kind}, ${what}: ${text}; ${JSON.stringify(report.faults)}`)
    }
    if (segmentsOf(files).length === 0 && report.outcome === 'none') continue
    if (!opened.opens) {
      if (report.outcome !== 'damaged' && report.outcome !== 'unsupported') complain(`verify says ${report.outcome}, and opening says ${opened.error.message}`)
      continue
    }
    // Opening can't refuse a log whose writer may have died right after a segment was closed; verify says that the next one may be missing.
    const endsFull = report.end?.full === true && kind === 'missing'
    const expected = endsFull ? 'undecided' : opened.torn === 0 ? 'sound' : opened.ambiguous ? 'undecided' : 'torn'
    if (report.outcome !== expected) complain(`verify says ${report.outcome}, and opening finds it ${expected}`)
    if (report.firstOffset !== opened.first || report.lastOffset !== opened.last) complain(`verify says ${report.firstOffset}…${report.lastOffset}, opening ${opened.first}…${opened.last}`)
    if (report.end?.tornBytes !== opened.torn) complain(`verify says that ${report.end?.tornBytes} bytes are torn, and opening cut ${opened.torn}`)
    if (report.entries !== opened.last - opened.first + 1) complain(`verify counts ${report.entries} entries`)
  }
  return { looked, disagreements }
}

describe('verify', () => {
  it.each([sample.clean, sample.unclean, cut, goldenFormat1('one-segment')])('finds nothing wrong with a whole log: $name', async (log) => {
    const report = await look(log.files, log)
    expect(report).toMatchObject({ outcome: 'sound', firstOffset: log.firstOffset, lastOffset: log.lastOffset, clean: log.clean, faults: [], faultCount: 0 })
    expect(report.entries).toBe(log.lastOffset - log.firstOffset + 1)
  })

  it.each([sample.clean, sample.unclean, cut, goldenFormat1('reopened')])('maps every byte of every segment once: $name', async (log) => {
    for (const damage of [{ files: log.files }, ...some(everyZeroedSector(log), each * 7)]) {
      const { segments } = await look(damage.files, log)
      for (const { ranges, bytes, name } of segments) {
        expect(ranges[0]?.from ?? 0, name).toBe(0)
        for (const [index, { from }] of ranges.entries()) if (index > 0) expect(from, name).toBe(ranges[index - 1]?.to)
        expect(ranges.at(-1)?.to ?? 0, name).toBe(bytes)
      }
    }
  })

  it.each([sample.clean, sample.unclean, cut])('agrees with opening about every damage: $name', async (log) => {
    const { looked, disagreements } = await compare(log, [
      ...some(everyFlip(log), each),
      ...some(everyLength(log), each),
      ...some(everyZeroedSector(log), each),
      ...some(everyMixUp(log, other.clean), each > 1 ? 3 : 1),
    ])
    console.log(`${log.name}: verify and opening agreed about ${looked - disagreements.length} of ${looked} damages`)
    expect(looked).toBeGreaterThan(100)
    expect(disagreements.slice(0, 10)).toEqual([])
  })

  it.each(goldenNames().filter((name) => name !== 'upstream-testdata'))('agrees with opening about the Go library’s %s', async (name) => {
    const { files } = golden(name)
    const log: SampleLog = { ...goldenFormat1('one-segment'), name: `format 1, ${name}` }
    const { disagreements } = await compare(log, [{ kind: 'golden', what: name, files }])
    expect(disagreements).toEqual([])
  })

  it('names the bit that was flipped', async () => {
    const [name] = segmentsOf(sample.clean.files) as [string]
    const bytes = (sample.clean.files.get(name) as Uint8Array).slice()
    bytes[200] = (bytes[200] as number) ^ 0x20
    const { faults } = await look(new Map(sample.clean.files).set(name, bytes), sample.clean)
    expect(faults).toMatchObject([{ path: join(directory, name), bit: { position: 200, bit: 5 } }])
  })

  it('finds all that can be read behind damage', async () => {
    const name = segmentsOf(sample.unclean.files).at(-1) as string
    const bytes = (sample.unclean.files.get(name) as Uint8Array).slice()
    bytes.fill(0x55, 150, 160)
    const files = new Map(sample.unclean.files).set(name, bytes)
    const report = await look(files, sample.unclean)
    expect(report.outcome).toBe('damaged')
    expect(report.entriesBehindFirstFault).toBeGreaterThan(0)
    const lost = report.faults.reduce((sum, { firstOffset = 0, lastOffset = -1 }) => sum + lastOffset - firstOffset + 1, 0)
    expect(report.entries + lost).toBe(sample.unclean.lastOffset - sample.unclean.firstOffset + 1)
  })

  it('changes nothing on disk, whatever it finds', async () => {
    for (const { files } of [...some(everyFlip(sample.unclean), each * 31), ...some(everyMixUp(sample.clean, other.clean), 17)]) {
      const disk = diskWith(files)
      await verify(directory, { fileSystem: disk })
      expect(filesOn(disk)).toEqual(new Map(files))
    }
  })

  it('keeps a map within the ranges that were asked for', async () => {
    const { segments } = await verify(directory, { fileSystem: diskWith(sample.clean.files), maxRanges: 4 })
    for (const { ranges, bytes } of segments) {
      expect(ranges.length).toBeLessThanOrEqual(4)
      expect(ranges.at(-1)?.to).toBe(bytes)
    }
  })

  it('looks at names, headers and the end alone when it is asked for the structure', async () => {
    const report = await verify(directory, { fileSystem: diskWith(sample.clean.files), scope: 'structure' })
    expect(report).toMatchObject({ outcome: 'sound', clean: true, firstOffset: sample.clean.firstOffset, lastOffset: sample.clean.lastOffset, types: [] })
    expect(report.segments.flatMap(({ ranges }) => ranges.map(({ kind }) => kind)).every((kind) => kind === 'unread')).toBe(true)
  })

  it('says that there is no log where there is none', async () => {
    expect(await verify(directory, { fileSystem: diskWith(new Map()) })).toMatchObject({ outcome: 'none', segments: [], bytes: 0 })
  })

  it('does not read format 1 without its entries, and says so', async () => {
    const { files } = golden('one-segment')
    expect(await verify(directory, { fileSystem: diskWith(files) })).toMatchObject({ outcome: 'unread', format: 1 })
  })

  it('ends when it is aborted', async () => {
    await expect(verify(directory, { fileSystem: diskWith(sample.clean.files), signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ERR_WAL_ABORTED' })
  })

  it('tells of progress up to the last byte', async () => {
    const told: number[] = []
    const { bytes } = await verify(directory, { fileSystem: diskWith(sample.clean.files), onProgress: ({ bytes, totalBytes }) => told.push(bytes / totalBytes) })
    expect(told.at(-1)).toBe(1)
    expect(bytes).toBeGreaterThan(0)
  })

  it('works beside a writer, says who that is, and calls nothing damage that is being written', async () => {
    await using folder = await temporaryDirectory()
    const log = await WriteAheadLog.open(folder.path, { maxSegmentSize: 20_000 })
    let stop = false
    const writing = (async () => {
      while (!stop) {
        await Promise.all(Array.from({ length: 20 }, (_, index) => log.append({ type: index, payload: Buffer.alloc(300, index) })))
        if (log.lastOffset > 400) await log.truncateBefore(log.lastOffset - 300)
      }
    })()
    for (let looks = 0; looks < 30; looks++) {
      const report = await verify(folder.path)
      expect(report.faults).toEqual([])
      expect(report.outcome === 'sound' || report.outcome === 'none').toBe(true)
      expect(report.writer).toMatchObject({ held: true, holder: { pid: process.pid } })
    }
    stop = true
    await writing
    await log.close()
    expect(await verify(folder.path)).toMatchObject({ outcome: 'sound', clean: true, writer: { held: false } })
  })

  it('finds that nobody writes a log of the Go library, which has no lock', async () => {
    await using folder = await temporaryDirectory()
    copyGolden('one-segment', folder.path)
    expect(await verify(folder.path, { entries: exampleEntries })).toMatchObject({ outcome: 'sound', writer: { held: false } })
    expect(await nodeFileSystem.list(folder.path)).toEqual(['1.wal'])
  })
})

/** The disk, and which memory was read into; that of single headers is not counted. */
function readsNoted(): { fileSystem: FileSystem; memories: Set<ArrayBufferLike> } {
  const memories = new Set<ArrayBufferLike>()
  const open = async (path: string, options: OpenFileOptions): Promise<OpenFile> => {
    const file = await nodeFileSystem.open(path, options)
    const read = (target: Uint8Array, position: number): Promise<number> => {
      if (target.buffer.byteLength > 4096) memories.add(target.buffer)
      return file.read(target, position)
    }
    return new Proxy(file, { get: (_, name) => (name === 'read' ? read : name in file ? (Reflect.get(file, name) as () => unknown).bind(file) : undefined) })
  }
  return { fileSystem: { ...nodeFileSystem, open }, memories }
}

describe('a log of many segments', () => {
  it('is read through the same memory from the first to the last, by verify and by salvage', async () => {
    await using temporary = await temporaryDirectory()
    const segments = 40
    const log = await WriteAheadLog.open(temporary.path, { sync: 'manual', maxSegmentSize: 600_000 })
    while (log.segments().length < segments) await log.appendBatch(Array.from({ length: 100 }, () => new Uint8Array(1000)))
    await log.close()

    const verified = readsNoted()
    expect((await verify(temporary.path, { fileSystem: verified.fileSystem })).outcome).toBe('sound')
    const salvaged = readsNoted()
    let entries = 0
    for await (const _ of salvage(temporary.path, { fileSystem: salvaged.fileSystem })) entries++
    expect(entries).toBe(log.lastOffset)
    // What finds the end of the log has memory of its own.
    expect(verified.memories.size).toBeLessThanOrEqual(6)
    expect(salvaged.memories.size).toBeLessThanOrEqual(6)
  })
})

describe('salvage', () => {
  it('gives views with copy: false, which hold what a copy holds until the next step, and have no memory of their own', async () => {
    await using temporary = await temporaryDirectory()
    const log = await WriteAheadLog.open(temporary.path)
    await log.appendBatch(Array.from({ length: 50 }, (_, index) => Buffer.from(`entry ${index}`)))
    await log.close()
    const copies: string[] = []
    for await (const { payload } of salvage(temporary.path)) copies.push(String(payload.byteLength === payload.buffer.byteLength) + Buffer.from(payload).toString())
    const views: string[] = []
    const memories = new Set<ArrayBufferLike>()
    for await (const { payload } of salvage(temporary.path, { copy: false })) {
      memories.add(payload.buffer)
      views.push('true' + Buffer.from(payload).toString())
    }
    expect(views).toHaveLength(50)
    expect(views).toEqual(copies)
    expect(memories.size).toBe(1)
  })

  async function salvaged(files: Files, options: { from?: number; to?: number } = {}): Promise<{ offsets: number[]; faults: number; texts: Map<number, string> }> {
    const offsets: number[] = []
    const texts = new Map<number, string>()
    let faults = 0
    for await (const { offset, type, payload } of salvage(directory, { fileSystem: diskWith(files), onFault: () => faults++, ...options })) {
      offsets.push(offset)
      texts.set(offset, `${type}:${Buffer.from(payload).toString('latin1')}`)
    }
    return { offsets, faults, texts }
  }

  it.each([sample.clean, sample.unclean, cut])('gives all entries of a whole log: $name', async (log) => {
    const { texts, faults } = await salvaged(log.files)
    expect(faults).toBe(0)
    expect([...texts]).toEqual([...log.appended].filter(([offset]) => offset >= log.firstOffset && offset <= log.lastOffset))
  })

  it('gives the range that is asked for, and no more', async () => {
    expect((await salvaged(sample.clean.files, { from: 8, to: 12 })).offsets).toEqual([8, 9, 10, 11, 12])
  })

  it('gives no entry that was not appended, whatever is damaged', async () => {
    let given = 0
    for (const log of [sample.clean, sample.unclean, cut]) {
      for (const { files, what } of [...some(everyFlip(log), each), ...some(everyZeroedSector(log), each)]) {
        for (const [offset, text] of (await salvaged(files)).texts) {
          expect(text, `${log.name}, ${what}`).toBe(log.appended.get(offset))
          given++
        }
      }
    }
    console.log(`salvage gave ${given} entries of damaged logs, each as it was appended`)
    expect(given).toBeGreaterThan(1000)
  })

  it('ends at the first fault where nobody asked to be told of faults', async () => {
    const name = segmentsOf(sample.clean.files).at(-1) as string
    const bytes = (sample.clean.files.get(name) as Uint8Array).slice()
    bytes[30] = (bytes[30] as number) ^ 1
    const all = async (): Promise<void> => {
      for await (const _ of salvage(directory, { fileSystem: diskWith(new Map(sample.clean.files).set(name, bytes)) }));
    }
    await expect(all()).rejects.toMatchObject({ code: 'ERR_WAL_CORRUPT' })
  })
})
