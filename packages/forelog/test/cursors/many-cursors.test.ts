import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, vi } from 'vitest'
import { CursorDirectory } from '../../src/cursors/cursor-directory.js'
import type { FileSystem } from '../../src/files/file-system.js'
import type { LogReader, RawEntry, WalError } from '../../src/index.js'
import { runPooled } from '../../src/steps.js'
import { exploreCrashes } from '../../src/testing/index.js'
import { WriteAheadLog } from '../../src/write-ahead-log.js'
import { bytesOf, directory, failCalls, healCalls, newDisk, openOn, rejection } from '../support/logs.js'

describe('many cursors', () => {
  it('that are made at once share syncs of their directory, and the log\'s is synced once', async () => {
    const disk = newDisk()
    const log = await openOn(disk)
    await log.append(bytesOf('an entry'))
    const from = disk.journal.length
    const made = await Promise.all(Array.from({ length: 100 }, (_, n) => log.cursor(`c${n}`)))
    const synced = disk.journal.slice(from).filter(({ kind }) => kind === 'syncDirectory').map(({ path }) => path)
    expect(synced.filter((path) => path === directory)).toHaveLength(1)
    expect(synced.length).toBeLessThan(50)
    for (const cursor of made) await cursor.commit(1)
    expect((await log.cursors()).filter(({ offset }) => offset === 1)).toHaveLength(100)
    await log.close()
  })

  it('are opened a few at a time, so that all which are asked for at once need no more files than those that are open, and some', async () => {
    const disk = newDisk({ journal: false })
    const log = await openOn(disk)
    const before = disk.openFiles
    let most = 0
    disk.onCall = () => void (most = Math.max(most, disk.openFiles))
    const all = await Promise.all(Array.from({ length: 300 }, (_, n) => log.cursor(`c${n}`)))
    expect(disk.openFiles - before).toBeLessThanOrEqual(all.length)
    expect(most - disk.openFiles).toBeLessThanOrEqual(64)
    await log.close()
    await rejection('ERR_WAL_CLOSED', log.cursor('c0'))
  })

  it('that wait for their turn when the log is closed are refused, and nothing stays open', async () => {
    const disk = newDisk({ journal: false })
    const log = await openOn(disk)
    const opening = Promise.allSettled(Array.from({ length: 200 }, (_, n) => log.cursor(`c${n}`)))
    await log.close()
    const codes = (await opening).map((result) => (result.status === 'fulfilled' ? 'open' : (result.reason as WalError).code))
    expect(codes.filter((code) => code === 'ERR_WAL_CLOSED').length).toBeGreaterThan(100)
    expect(disk.openFiles).toBe(0)
  })

  it('are there after a crash, each that was told to be made, where its commit was', async () => {
    const report = await exploreCrashes<string>({
      seed: 8,
      runs: 4,
      crashes: 500,
      crashDuringCheck: 1,
      async workload({ fileSystem, directory: data, acknowledge }) {
        const log = await WriteAheadLog.open(join(data, 'log'), { fileSystem })
        await log.append(bytesOf('an entry'))
        await Promise.all(
          Array.from({ length: 6 }, async (_, n) => {
            const cursor = await log.cursor(`c${n}`)
            acknowledge(`c${n} 0`)
            if (n % 2 === 1) await cursor.close()
            else await cursor.commit(1).then(() => acknowledge(`c${n} 1`))
            if (n === 3 && (await log.deleteCursor('c3'))) acknowledge('c3 gone')
          }),
        )
        await log.close()
      },
      async check({ fileSystem, directory: data, acknowledged }) {
        const log = await WriteAheadLog.open(join(data, 'log'), { fileSystem })
        const there = new Map((await log.cursors()).map(({ name, offset }) => [name, offset]))
        for (const told of acknowledged) {
          const [name = '', offset] = told.split(' ')
          if (offset === 'gone' && there.has(name)) throw new Error(`${name} has come back`)
          if (offset !== 'gone' && name !== 'c3' && (there.get(name) ?? -1) < Number(offset)) throw new Error(`${told} was told, and it is at ${there.get(name)}`)
        }
        await log.close()
      },
    })
    expect(report.violations).toEqual([])
  }, 60_000)

  it('are refused by name where no more files can be open, with what to do, and the log and those that are open go on', () => {
    if (process.platform === 'win32') return
    const path = mkdtempSync(join(tmpdir(), 'forelog-many-'))
    const script = fileURLToPath(new URL('until-refused.ts', import.meta.url))
    // Hard, for Node.js raises the other one.
    const { stdout, stderr } = spawnSync('sh', ['-c', 'ulimit -n 120 && exec "$@"', 'sh', process.execPath, '--import', 'tsx', script, path], { encoding: 'utf8' })
    rmSync(path, { recursive: true })
    expect(stderr).toBe('')
    const told = JSON.parse(stdout) as { code: string; message: string; opened: number; appended: number; reopened: boolean }
    expect(told.code).toMatch(/^ERR_WAL_(WRITE|READ)_FAILED$/)
    expect(told.message).toContain('ulimit -n')
    expect(told.message).toContain('EMFILE')
    expect(told.opened).toBeGreaterThan(20)
    expect(told).toMatchObject({ appended: 2, reopened: true })
  }, 60_000)
})

it('a sync of the cursors\' directory counts for those alone who came before it began', async () => {
  const syncs: (() => void)[] = []
  const directoryOfCursors = new CursorDirectory({
    fileSystem: { syncDirectory: () => new Promise<void>((resolve) => syncs.push(resolve)) } as unknown as FileSystem,
    directory,
    fileMode: 0o600,
    directoryMode: 0o700,
  })
  const told: string[] = []
  const ask = (who: string): Promise<void> => runPooled(directoryOfCursors.syncNames()).then(() => void told.push(who))
  const first = ask('first')
  const others = [ask('second'), ask('third')]
  expect(syncs).toHaveLength(1)
  syncs[0]?.()
  await first
  await vi.waitFor(() => expect(syncs).toHaveLength(2))
  expect(told).toEqual(['first'])
  syncs[1]?.()
  await Promise.all(others)
  expect([told, syncs.length]).toEqual([['first', 'second', 'third'], 2])
})

describe("a failed sync of the log's directory while a cursor is opened", () => {
  it('fails the log of a writer, for the names of its segments stand there', async () => {
    const disk = newDisk({ journal: false })
    const log = await openOn(disk)
    await log.append(bytesOf('an entry'))
    failCalls(disk, ({ kind, path }) => kind === 'syncDirectory' && path === directory, 'EIO', 1)
    await rejection('ERR_WAL_SYNC_FAILED', log.cursor('a'))
    healCalls(disk)
    expect([log.state, log.failure?.code]).toEqual(['failed', 'ERR_WAL_SYNC_FAILED'])
    await rejection('ERR_WAL_FAILED', log.append(bytesOf('refused')))
    await rejection('ERR_WAL_FAILED', log.cursor('a'))
    await rejection('ERR_WAL_FAILED', log.close())
    const again = await openOn(disk)
    expect((await again.cursor('a')).offset).toBe(0)
    await again.close()
  })

  it('refuses the cursor of a reader, which writes nothing that stands there, and is tried again; so does a lack of descriptors', async () => {
    const disk = newDisk({ journal: false })
    const log = await openOn(disk)
    await log.append(bytesOf('an entry'))
    const openReader = (): Promise<LogReader<RawEntry>> => WriteAheadLog.openReader(directory, { fileSystem: disk })
    for (const [host, code] of [[await openReader(), 'EIO'], [await openReader(), 'EMFILE'], [log, 'EMFILE']] as const) {
      failCalls(disk, ({ kind, path }) => kind === 'syncDirectory' && path === directory, code, 1)
      const { message } = await rejection('ERR_WAL_SYNC_FAILED', host.cursor('a'))
      expect(message.includes('ulimit -n')).toBe(code === 'EMFILE')
      healCalls(disk)
      await (await host.cursor('a')).close()
      expect(log.state).toBe('open')
      await host.close()
    }
  })
})
