/** What a person reads: messages that say what happened, where, and what to do; and what `console.log` shows. */
import { inspect } from 'node:util'
import { beforeEach, describe, expect, it } from 'vitest'
import { json, utf8 } from '../src/entries/codecs.js'
import { defineEntries } from '../src/entries/define-entries.js'
import { type OpenOptions, SegmentReader } from '../src/index.js'
import type { SimulatedDisk } from '../src/testing/index.js'
import { WriteAheadLog } from '../src/write-ahead-log.js'
import { refusal } from './entries/refusal.js'
import { bytesOf, collect, directory, newDisk, openOn, rejection } from './support/logs.js'

let disk: SimulatedDisk

beforeEach(() => {
  disk = newDisk()
})

const entries = defineEntries({
  put: { type: 1, codec: json<{ key: string; value?: unknown }>() },
  'to-be-deleted': { type: 2, codec: utf8 },
})

async function filled(count: number): Promise<WriteAheadLog> {
  const log = await openOn(disk)
  for (let n = 1; n <= count; n++) await log.append(bytesOf(`n${n}`))
  return log
}

describe('an offset that is refused', () => {
  it.for([
    ['1', "the string '1' is no offset"],
    [1.5, '1.5 is no offset'],
    [null, 'null is no offset'],
    [undefined, 'undefined is no offset'],
  ] as const)('is called no offset where it is none: %s', async ([given, message]) => {
    const log = await filled(1)
    const offset = given as unknown as number
    const cursor = await log.cursor('a')
    const reader = await WriteAheadLog.openReader(directory, { fileSystem: disk })
    const calls = [log.get(offset), reader.get(offset), log.truncateBefore(offset), log.truncateAfter(offset), cursor.commit(offset)]
    for (const call of calls) {
      const error = await rejection('ERR_WAL_OFFSET_OUT_OF_RANGE', call)
      expect(error.message).toContain(`${message}, which is a whole number`)
      expect(error.message).toContain(directory)
      expect(error.path).toBe(directory)
    }
  })

  it('names the log, and says what may have become of what was there', async () => {
    const log = await filled(5)
    await log.truncateBefore(3)
    const below = await rejection('ERR_WAL_OFFSET_OUT_OF_RANGE', log.get(2))
    expect(below.message).toBe(
      `offset 2 is not in the log: the log in ${directory} holds 3 to 5. What is below was truncated: begin at 3, if you know that what is missing is safe elsewhere`,
    )
    expect(below).toMatchObject({ path: directory, offset: 2 })
    const above = await rejection('ERR_WAL_OFFSET_OUT_OF_RANGE', log.get(6))
    expect(above.message).toContain('was not written yet, or was cut off, or the log was restored from an earlier time')
  })
})

describe('an entry that is refused', () => {
  it('that no factory made is told which factories there are', async () => {
    const log = await WriteAheadLog.open(directory, { fileSystem: disk, entries })
    const error = await rejection('ERR_WAL_ENCODE', log.append({ key: 'a' } as never))
    expect(error.message).toBe(
      'the log takes an entry that its factories made, not an object without a numeric type: make one with ' +
        `entries.put(value) or entries['to-be-deleted'](value) (log ${directory})`,
    )
  })

  it('is told with its log, by its codec, its size, its type, and for lack of room', async () => {
    const log = await WriteAheadLog.open(directory, { fileSystem: disk, entries, maxEntrySize: 100, maxPendingBytes: 400 })
    const circle: { key: string; value?: unknown } = { key: 'a' }
    circle.value = circle
    const unencodable = await rejection('ERR_WAL_ENCODE', log.append(entries.put(circle)))
    expect(unencodable).toMatchObject({ path: directory, type: 1 })
    expect(unencodable.cause).toBeInstanceOf(TypeError)
    const large = await rejection('ERR_WAL_ENTRY_TOO_LARGE', log.append(entries.put({ key: 'a'.repeat(200) })))
    expect(large).toMatchObject({ path: directory, type: 1, bytes: 210 })
    expect(large.message).toContain(directory)
    const others = defineEntries({ third: { type: 3, codec: utf8 } })
    expect(await rejection('ERR_WAL_ENTRY_TYPE_UNKNOWN', log.append(others.third('x') as never))).toMatchObject({ path: directory, type: 3 })
    const many = await Promise.allSettled(Array.from({ length: 20 }, () => log.append(entries.put({ key: 'a'.repeat(50) }))))
    expect(many.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'ERR_WAL_BACKPRESSURE', path: directory } })
  })

  it('is the same error as before where it is not about the entry: what an iterable of entries throws', async () => {
    const log = await openOn(disk)
    const thrown = new Error('of the caller')
    const batch = (function* () {
      yield bytesOf('a')
      throw thrown
    })()
    await expect(log.appendBatch(batch)).rejects.toBe(thrown)
    expect(await log.append(bytesOf('b'))).toBe(1)
  })
})

describe('an option that is not known', () => {
  it.for([
    ['entires', 'entries'],
    ['maxSegmentsize', 'maxSegmentSize'],
    ['fsync', 'sync'],
    ['maxEntryBytes', 'maxEntrySize'],
  ])('%s is taken for %s', async ([given, meant]) => {
    const error = await rejection('ERR_WAL_OPTION', openOn(disk, Object.fromEntries([[given, 1]]) as OpenOptions))
    expect(error.message).toMatch(new RegExp(`^open has no option ${given}: there are .*\\. Did you mean ${meant}\\?$`))
    expect(error.option).toBe(given)
  })

  it('is taken for nothing where none is like it', async () => {
    const error = await rejection('ERR_WAL_OPTION', openOn(disk, { compression: true } as OpenOptions))
    expect(error.message).not.toContain('Did you mean')
  })
})

describe('damage', () => {
  it('is refused in reading, and at opening, with the command that looks at it', async () => {
    const log = await filled(3)
    const path = log.segments()[0]?.path as string
    await log.close()
    const remedy = /Nothing was changed\. Copy the directory first\. .*npx forelog-cli verify.*npx forelog-cli repair/
    const overwrite = (position: number): void => {
      const file = disk.openSync(path, { access: 'write' })
      file.writeSync([bytesOf('x')], position)
      file.closeSync()
    }
    overwrite(Buffer.from(disk.contents(path)).indexOf('n2'))
    const reader = await WriteAheadLog.openReader(directory, { fileSystem: disk })
    expect((await rejection('ERR_WAL_CORRUPT', collect(reader.entries()))).message).toMatch(remedy)
    overwrite(20)
    expect((await rejection('ERR_WAL_CORRUPT', openOn(disk))).message).toMatch(remedy)
  })

  it('where a segment is gone is refused with what to do about it', async () => {
    const log = await openOn(disk, { maxSegmentSize: 200 })
    for (let n = 1; n <= 30; n++) await log.append(bytesOf(`n${n}`))
    const path = log.segments()[1]?.path as string
    await log.close()
    disk.removeSync(path)
    expect((await rejection('ERR_WAL_SEGMENT_MISSING', openOn(disk))).message).toMatch(/Put the file back.*npx forelog-cli verify/)
  })
})

describe('a class that is opened', () => {
  it('says so where somebody makes it by new', () => {
    const make = (made: unknown): unknown => new (made as new (path: string) => unknown)('data')
    expect(refusal('ERR_WAL_OPTION', () => make(WriteAheadLog)).message).toContain('await WriteAheadLog.open(directory, options)')
    expect(refusal('ERR_WAL_OPTION', () => make(SegmentReader)).message).toContain('await SegmentReader.open(path, options)')
  })

  it('says what to do where it is closed already', async () => {
    const log = await filled(1)
    const cursor = await log.cursor('a')
    const reader = await WriteAheadLog.openReader(directory, { fileSystem: disk })
    await reader.close()
    await log.close()
    for (const call of [log.append(bytesOf('x')), reader.get(1), cursor.commit(1)]) {
      expect((await rejection('ERR_WAL_CLOSED', call)).message).toContain('close it later')
    }
  })
})

describe('a truncation that a cursor holds back', () => {
  it('resolves, says in firstOffset how far it came, and warns with the name of the cursor, once', async () => {
    const lines: [level: string, cursor: unknown][] = []
    const take = (level: string) => (facts: unknown, message?: string) => {
      if (message === 'a cursor holds entries that were to be truncated') lines.push([level, (facts as { cursor: string }).cursor])
    }
    const log = await openOn(disk, { logger: { debug: take('debug'), info: take('info'), warn: take('warn'), error: take('error') } })
    for (let n = 1; n <= 9; n++) await log.append(bytesOf(`n${n}`))
    const [first, second] = [await log.cursor('first'), await log.cursor('second')]
    await first.commit(3)
    await second.commit(5)
    await log.truncateBefore(7)
    await log.truncateBefore(8)
    expect(log.firstOffset).toBe(4)
    await first.commit(9)
    await log.truncateBefore(8)
    expect(log.firstOffset).toBe(6)
    await second.commit(9)
    await log.truncateBefore(8)
    expect(log.firstOffset).toBe(8)
    expect(lines).toEqual([['warn', 'first'], ['info', 'first'], ['warn', 'second']])
  })
})

describe('console.log', () => {
  it('shows the state and the offsets of a log, a reader and a cursor', async () => {
    const log = await filled(3)
    const reader = await WriteAheadLog.openReader(directory, { fileSystem: disk })
    const cursor = await log.cursor('shipper')
    await cursor.commit(2)
    expect(inspect(log)).toMatch(/^WriteAheadLog \{\s+path: '\/data\/log',\s+state: 'open',\s+firstOffset: 1,\s+lastOffset: 3,\s+durableOffset: 3\s+\}$/)
    expect(inspect(cursor, { breakLength: Infinity })).toBe("Cursor { name: 'shipper', state: 'open', offset: 2, lag: 1, hold: true }")
    await log.close()
    expect(inspect(log)).toContain("state: 'closed'")
    await reader.entries()[Symbol.asyncIterator]().next()
    expect(inspect(reader, { breakLength: Infinity })).toBe("LogReader { path: '/data/log', state: 'open', firstOffset: 1, lastOffset: 3 }")
    await reader.close()
    expect(inspect(reader)).toContain("state: 'closed'")
  })

  it('shows no more than the name deep in something else', async () => {
    const log = await filled(0)
    expect(inspect({ service: { log } }, { depth: 0 })).toBe('{ service: [Object] }')
    expect(inspect({ service: { log } }, { depth: 1, breakLength: Infinity })).toContain('log: [WriteAheadLog]')
  })
})
