import { inspect } from 'node:util'
import { describe, expect, it, vi } from 'vitest'
import { errorCodes, isNoSpace, reasonOf, systemCode, WalError } from '../src/errors.js'
import type * as forelog from '../src/index.js'
import { directory, newDisk, rejection } from './support/logs.js'

describe('WalError', () => {
  it('has a code, a message, the facts as fields, and the cause', () => {
    const cause = new Error('why')
    const error = new WalError('ERR_WAL_CORRUPT', 'text', { path: '/p', position: 0, offset: 3, segmentId: 2, cause })
    expect(error).toMatchObject({ name: 'WalError', code: 'ERR_WAL_CORRUPT', message: 'text', path: '/p', position: 0, offset: 3, segmentId: 2 })
    expect(error.cause).toBe(cause)
    expect(error).toBeInstanceOf(Error)
    expect(error.stack).toContain('errors.test')
  })

  it('has only the fields that are known: no cause of undefined, no empty facts', () => {
    const error = new WalError('ERR_WAL_CLOSED', 'text')
    expect(Object.hasOwn(error, 'cause')).toBe(false)
    expect(Object.keys(error).sort()).toEqual(['code', 'name'])
  })

  it("is an AbortError, as Node.js calls them, for ERR_WAL_ABORTED alone", () => {
    for (const code of errorCodes) expect(new WalError(code, 'text').name).toBe(code === 'ERR_WAL_ABORTED' ? 'AbortError' : 'WalError')
  })

  it('is printed with its code and its facts', () => {
    const text = inspect(new WalError('ERR_WAL_TORN', 'what happened', { path: '/log/1.wal' }))
    expect(text).toContain('ERR_WAL_TORN')
    expect(text).toContain('/log/1.wal')
  })

  it('is told from every other value', () => {
    for (const other of [undefined, null, 'ERR_WAL_CLOSED', new Error('x'), { code: 'ERR_WAL_CLOSED' }, Object.assign(new Error('x'), { code: 'ERR_WAL_CLOSED' })]) {
      expect(other instanceof WalError).toBe(false)
    }
  })
})

describe('error codes', () => {
  it('are listed, each once, and all begin with ERR_WAL_', () => {
    expect(new Set(errorCodes).size).toBe(errorCodes.length)
    for (const code of errorCodes) expect(code).toMatch(/^ERR_WAL_[A-Z_]+$/)
  })

  it('are at least those that the documentation promises', () => {
    expect(errorCodes).toEqual(
      expect.arrayContaining([
        ...['ERR_WAL_OPTION', 'ERR_WAL_CLOSED', 'ERR_WAL_BUSY', 'ERR_WAL_ABORTED', 'ERR_WAL_LOCKED', 'ERR_WAL_CORRUPT'],
        ...['ERR_WAL_SEGMENT_MISSING', 'ERR_WAL_TORN', 'ERR_WAL_FORMAT', 'ERR_WAL_WRITE_FAILED', 'ERR_WAL_NO_SPACE'],
        ...['ERR_WAL_SYNC_FAILED', 'ERR_WAL_FAILED', 'ERR_WAL_BACKPRESSURE', 'ERR_WAL_ENTRY_TOO_LARGE'],
        ...['ERR_WAL_ENTRY_TYPE_UNKNOWN', 'ERR_WAL_ENTRY_TYPE_DUPLICATE', 'ERR_WAL_ENTRY_TYPE_RESERVED', 'ERR_WAL_ENCODE'],
        ...['ERR_WAL_DECODE', 'ERR_WAL_OFFSET_OUT_OF_RANGE', 'ERR_WAL_OFFSET_EXHAUSTED'],
      ]),
    )
  })
})

describe('two copies of the package in one process', () => {
  async function anotherCopy(): Promise<typeof forelog> {
    vi.resetModules()
    return await import('../src/index.js')
  }

  it('know each other’s errors', async () => {
    const other = await anotherCopy()
    expect(other.WalError).not.toBe(WalError)
    const theirs = new other.WalError('ERR_WAL_CLOSED', 'text')
    const ours = new WalError('ERR_WAL_CLOSED', 'text')
    expect(theirs).toBeInstanceOf(WalError)
    expect(ours).toBeInstanceOf(other.WalError)
  })

  it('know each other’s entries: a log of one takes what the other defined and made', async () => {
    const other = await anotherCopy()
    const { WriteAheadLog, defineEntries, utf8, EntryRegistry } = await import('../src/index.js')
    expect(other.WriteAheadLog).toBe(WriteAheadLog)
    const again = await anotherCopy()
    expect(again.WriteAheadLog).not.toBe(WriteAheadLog)
    const disk = newDisk()

    const theirs = again.defineEntries({ note: { type: 1, codec: again.utf8 } })
    const ours = defineEntries({ note: { type: 1, codec: utf8 } })
    const log = await WriteAheadLog.open(directory, { fileSystem: disk, entries: theirs })
    await log.append(theirs.note('theirs'))
    await log.append(ours.note('ours'))
    expect((await log.get(2)).entry.value).toBe('ours')
    await log.close()

    class Note {
      readonly type = 1
      text = ''
      encodePayload(): Uint8Array {
        return new TextEncoder().encode(this.text)
      }
      decodePayload(payload: Uint8Array): void {
        this.text = new TextDecoder().decode(payload)
      }
    }
    const registry = new again.EntryRegistry(() => new Note())
    expect(registry).not.toBeInstanceOf(EntryRegistry)
    const classes = await WriteAheadLog.open(directory, { fileSystem: disk, entries: registry })
    expect((await classes.get(1)).entry.text).toBe('theirs')
    await classes.close()
  })

  it('keep each other out of a log', async () => {
    const { WriteAheadLog } = await import('../src/index.js')
    const again = await anotherCopy()
    const disk = newDisk()
    const log = await WriteAheadLog.open(directory, { fileSystem: disk })
    await rejection('ERR_WAL_LOCKED', again.WriteAheadLog.open(directory, { fileSystem: disk }))
    await log.close()
  })
})

describe('what errors of the system say', () => {
  it('a code, where there is one', () => {
    expect(systemCode(Object.assign(new Error('x'), { code: 'EIO' }))).toBe('EIO')
    for (const none of [undefined, null, 'EIO', new Error('x'), { code: 5 }]) expect(systemCode(none)).toBeUndefined()
  })

  it('no space, for a full disk and a used up quota, and for nothing else', () => {
    for (const code of ['ENOSPC', 'EDQUOT', 'ERR_WAL_NO_SPACE']) expect(isNoSpace({ code })).toBe(true)
    for (const code of ['EIO', 'EFBIG', 'ERR_WAL_SYNC_FAILED', undefined]) expect(isNoSpace({ code })).toBe(false)
  })

  it('a text, whatever was thrown', () => {
    expect([new Error('text'), 'text', 5, undefined].map(reasonOf)).toEqual(['text', 'text', '5', 'undefined'])
  })
})
