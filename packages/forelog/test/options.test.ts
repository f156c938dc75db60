import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, it } from 'vitest'
import { utf8 } from '../src/entries/codecs.js'
import { defineEntries } from '../src/entries/define-entries.js'
import { nodeFileSystem } from '../src/files/node-file-system.js'
import { silentLogger } from '../src/logger.js'
import { type OpenOptions, resolveOptions } from '../src/options.js'
import { WriteAheadLog } from '../src/write-ahead-log.js'
import { refusal } from './entries/refusal.js'
import { newDisk, rejection } from './support/logs.js'

const mebibyte = 1024 * 1024

describe('options that are not given', () => {
  it('have the defaults that the docs name', () => {
    for (const options of [undefined, {}, Object.fromEntries(['sync', 'format', 'logger', 'maxEntrySize', 'fileMode'].map((name) => [name, undefined]))]) {
      expect(resolveOptions('here', options as OpenOptions)).toMatchObject({
        directory: resolve('here'),
        sync: 'always',
        syncDelayMs: 0,
        syncIntervalMs: 100,
        maxSegmentBytes: 64 * mebibyte,
        maxEntryBytes: 16 * mebibyte,
        maxPendingBytes: 64 * mebibyte,
        format: undefined,
        recovery: 'truncate',
        fileMode: 0o640,
        directoryMode: 0o750,
        logger: silentLogger,
        fileSystem: nodeFileSystem,
      })
    }
  })
})

describe('options that are given', () => {
  it.for<[keyof OpenOptions, string, unknown]>([
    ['sync', 'sync', 'interval'],
    ['sync', 'sync', 'manual'],
    ['syncDelay', 'syncDelayMs', 0],
    ['syncDelay', 'syncDelayMs', 0.5],
    ['syncDelay', 'syncDelayMs', 60_000],
    ['maxSegmentSize', 'maxSegmentBytes', 1],
    ['maxEntrySize', 'maxEntryBytes', 1],
    ['maxPendingBytes', 'maxPendingBytes', 1],
    ['format', 'format', 1],
    ['format', 'format', 2],
    ['recovery', 'recovery', 'strict'],
    ['fileMode', 'fileMode', 0o600],
    ['directoryMode', 'directoryMode', 0o700],
  ])('%s is taken as it is', ([option, resolved, value]) => {
    expect(resolveOptions('here', { [option]: value })).toHaveProperty(resolved, value)
  })

  it('syncInterval is taken as it is', () => {
    expect(resolveOptions('here', { sync: 'interval', syncInterval: 7 }).syncIntervalMs).toBe(7)
  })

  it('are not held against each other: a delay or an interval that a mode has no use for means nothing', () => {
    expect(resolveOptions('here', { sync: 'manual', syncDelay: 5, syncInterval: 5 }).syncDelayMs).toBe(0)
    expect(resolveOptions('here', { sync: 'interval', syncDelay: 5 }).syncDelayMs).toBe(0)
    expect(resolveOptions('here', { sync: 'always', syncDelay: 5, syncInterval: 5 }).syncDelayMs).toBe(5)
  })

  it('as a directory: a path, or a URL of the scheme file:', () => {
    expect(resolveOptions(pathToFileURL('/some where')).directory).toBe('/some where')
    expect(resolveOptions('a/../b').directory).toBe(resolve('b'))
  })
})

describe('what is refused, by name and with what is allowed', () => {
  const source = defineEntries({ a: { type: 1, codec: utf8 } })

  it.for<[keyof OpenOptions, unknown, string]>([
    ['sync', 'sometimes', "'always', 'interval', 'manual'"],
    ['sync', true, "'always'"],
    ['sync', null, "'always'"],
    ['syncDelay', -1, '0 to 60000'],
    ['syncDelay', '5', '0 to 60000'],
    ['syncDelay', NaN, '0 to 60000'],
    ['syncDelay', 60_001, '0 to 60000'],
    ['syncInterval', 0, '1 to 3600000'],
    ['syncInterval', Infinity, '1 to 3600000'],
    ['maxSegmentSize', 0, 'integer from 1'],
    ['maxSegmentSize', -5, 'integer from 1'],
    ['maxSegmentSize', 1.5, 'integer from 1'],
    ['maxSegmentSize', '64mb', 'integer from 1'],
    ['maxSegmentSize', null, 'integer from 1'],
    ['maxEntrySize', 0, 'integer from 1'],
    ['maxEntrySize', 2 * 1024 * mebibyte, 'integer from 1'],
    ['maxPendingBytes', 0, 'integer from 1'],
    ['maxPendingBytes', Infinity, 'integer from 1'],
    ['format', 3, '2, 1'],
    ['format', '2', '2, 1'],
    ['recovery', 'ignore', "'truncate', 'strict'"],
    ['fileMode', '0600', 'integer from 0'],
    ['fileMode', 0o1000, 'integer from 0'],
    ['directoryMode', -1, 'integer from 0'],
    ['logger', console.log, 'debug, info, warn, error'],
    ['logger', { debug() {}, info() {}, warn() {} }, 'error is missing'],
    ['logger', null, 'debug'],
    ['fileSystem', {}, 'list'],
    ['fileSystem', 'fs', 'list'],
    ['entries', {}, 'EntryRegistry'],
    ['entries', [source], 'EntryRegistry'],
    ['entries', null, 'EntryRegistry'],
  ])('%s: %j', ([option, value, allowed]) => {
    const error = refusal('ERR_WAL_OPTION', () => resolveOptions('here', { [option]: value }))
    expect(error.option).toBe(option)
    expect(error.message).toContain(option)
    expect(error.message).toContain(allowed)
  })

  it.for(['synch', 'Sync', 'maxSegmentBytes', 'toString', '__proto__x'])('an unknown option, %s, with those that there are', (name) => {
    const error = refusal('ERR_WAL_OPTION', () => resolveOptions('here', { [name]: 1 }))
    expect(error.option).toBe(name)
    expect(error.message).toContain(name)
    for (const option of ['entries', 'sync', 'syncDelay', 'maxSegmentSize', 'logger', 'fileSystem']) expect(error.message).toContain(option)
  })

  it('an unknown option whose value is undefined, which is a misspelling too', () => {
    refusal('ERR_WAL_OPTION', () => resolveOptions('here', { synch: undefined } as object))
  })

  it.for([[null], [5], ['always'], [true], [[]]])('options that are %j', ([options]) => {
    expect(refusal('ERR_WAL_OPTION', () => resolveOptions('here', options as never)).message).toContain('object')
  })

  it.for([[undefined], [null], [''], [5], [{}], ['a\0b'], [new URL('https://example.org/log')]])('a directory that is %s', ([directory]) => {
    const error = refusal('ERR_WAL_OPTION', () => resolveOptions(directory as never))
    expect(error.option).toBe('directory')
  })

  it('by open as a rejection, before anything is made or locked', async () => {
    const disk = newDisk()
    const promise = WriteAheadLog.open('/data/log', { fileSystem: disk, maxEntrySize: 0 })
    await rejection('ERR_WAL_OPTION', promise)
    expect(disk.calls).toBe(0)
  })
})
