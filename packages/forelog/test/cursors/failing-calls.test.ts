/**
 * Each call to the disk that a call of a cursor makes fails in turn, once and for good, in each way that a disk has: the caller is told, the
 * cursor stands where it stood or where it was to stand, also after a crash, and the log goes on; unless a sync of its own directory
 * failed, from which it can't.
 */
import { describe, expect, it } from 'vitest'
import { WalError } from '../../src/errors.js'
import type { Cursor, RawEntry } from '../../src/index.js'
import { type CrashChoice, crashModes, type SimulatedDisk } from '../../src/testing/index.js'
import type { WriteAheadLog } from '../../src/write-ahead-log.js'
import { faultKinds, faultName, onceAndForGood } from '../support/faults.js'
import { bytesOf, directory, newDisk, openOn, rejection } from '../support/logs.js'

const faults = onceAndForGood([...faultKinds, { code: 'EACCES' }])

/** Where each cursor stands, and whether it holds; a name that is not there has none. */
type Places = Readonly<Record<string, string>>

async function placesIn(log: WriteAheadLog): Promise<Places> {
  return Object.fromEntries((await log.cursors()).map(({ name, offset, hold }) => [name, `${offset}${hold ? ' holds' : ''}`]))
}

interface Call {
  readonly name: string
  /** Whether it needs the cursor open. */
  readonly opened: boolean
  /** Whether it sees to it that `cursors/` has a durable name: the first opening of a cursor does. */
  readonly syncsTheLogsDirectory?: true
  readonly run: (log: WriteAheadLog, cursor: Cursor<RawEntry>) => Promise<unknown>
  /** What is there when it has done what it is to do. */
  readonly after: Places
}

const before: Places = { a: '3 holds', b: '5' }
const calls: readonly Call[] = [
  { name: 'cursor() that makes one', opened: false, syncsTheLogsDirectory: true, run: (log) => log.cursor('new', { from: 5 }), after: { ...before, new: '4 holds' } },
  { name: 'cursor() of one that is there', opened: false, syncsTheLogsDirectory: true, run: (log) => log.cursor('a'), after: before },
  { name: 'cursor() that makes it let go', opened: false, syncsTheLogsDirectory: true, run: (log) => log.cursor('a', { hold: false }), after: { ...before, a: '3' } },
  { name: 'commit()', opened: true, run: (_, cursor) => cursor.commit(7), after: { ...before, a: '7 holds' } },
  { name: 'two commits at once', opened: true, run: (_, cursor) => Promise.all([cursor.commit(6), cursor.commit(7)]), after: { ...before, a: '7 holds' } },
  { name: 'close()', opened: true, run: (_, cursor) => cursor.close(), after: before },
  { name: 'deleteCursor()', opened: false, run: (log) => log.deleteCursor('a'), after: { b: '5' } },
  { name: 'cursors()', opened: false, run: (log) => log.cursors(), after: before },
]

async function logWithCursors(): Promise<SimulatedDisk> {
  const disk = newDisk({ journal: false })
  const log = await openOn(disk)
  for (let n = 1; n <= 10; n++) await log.append(bytesOf(`n${n}`))
  await (await log.cursor('a')).commit(3)
  await log.cursor('b', { from: 6, hold: false })
  await log.close()
  return disk
}

/** Each name by itself: as before or as afterwards. */
function isBetween(places: Places, after: Places): boolean {
  return [...new Set([...Object.keys(places), ...Object.keys(before), ...Object.keys(after)])].every((name) => [before[name], after[name]].includes(places[name]))
}

/** Where a commit of 6 was taken alone. */
const halfCommitted = (places: Places): Places => (places['a'] === '6 holds' ? { ...places, a: '3 holds' } : places)

describe('when a call to the disk fails', () => {
  const template = logWithCursors()
  it.each(calls)('$name rejects, has happened or not, can be done again, and the log goes on', async ({ opened, run, after, syncsTheLogsDirectory = false }) => {
    let failed = 0
    let failedLogs = 0
    for (const fault of faults) {
      for (let at = 1; ; at++) {
        const disk = (await template).copy()
        const log = await openOn(disk)
        const cursor = opened ? await log.cursor('a') : undefined
        const openFiles = disk.openFiles
        const told = disk.faultsTold
        disk.fail({ ...fault, at })
        const outcome: unknown = await run(log, cursor as Cursor<RawEntry>).then(
          () => 'done',
          (error: unknown) => error,
        )
        disk.heal()
        if (disk.faultsTold === told) {
          await log.close()
          if (fault.code !== undefined) expect(outcome, faultName(fault)).toBe('done')
          break
        }
        failed++
        const where = `${faultName(fault)}, time ${at}: ${String(outcome)}`
        if (outcome !== 'done') {
          expect(outcome, where).toBeInstanceOf(WalError)
          expect((outcome as WalError).code, where).toMatch(/^ERR_WAL_(NO_SPACE|WRITE_FAILED|SYNC_FAILED|READ_FAILED)$/)
          expect((outcome as WalError).message.length, where).toBeGreaterThan(20)
        }
        for (const mode of crashModes) {
          const choice: CrashChoice = { mode, seed: at }
          const left = disk.afterCrash(choice)
          const again = await openOn(left)
          const places = halfCommitted(await placesIn(again))
          if (outcome === 'done') expect(places, `${where}, after ${mode}`).toEqual(after)
          else expect(isBetween(places, after), `${where}, after ${mode}: ${JSON.stringify(places)}`).toBe(true)
          // It is no ruin that nobody can use any more.
          for (const name of Object.keys(places)) await (await again.cursor(name)).commit(9)
          await again.close()
        }
        if (log.state === 'failed') {
          // The names of its segments stand there: FORMAT.md, what a failed sync is.
          expect(outcome, where).toMatchObject({ code: 'ERR_WAL_SYNC_FAILED', path: directory })
          expect(fault.code, where).not.toBe('EMFILE')
          await rejection('ERR_WAL_FAILED', log.append(bytesOf('refused')))
          await rejection('ERR_WAL_FAILED', log.close())
          expect(disk.openFiles, where).toBe(0)
          failedLogs++
          continue
        }
        const places = halfCommitted(await placesIn(log))
        if (outcome === 'done') expect(places, where).toEqual(after)
        else expect(isBetween(places, after), `${where}: ${JSON.stringify(places)}`).toBe(true)
        expect(log.state, where).toBe('open')
        expect(await log.append(bytesOf('goes on')), where).toBe(11)
        if (outcome !== 'done') {
          await run(log, cursor as Cursor<RawEntry>)
          expect(await placesIn(log), where).toEqual(after)
        }
        expect(disk.openFiles, where).toBe(openFiles)
        await log.close()
        expect(disk.openFiles, where).toBe(0)
      }
    }
    expect(failed).toBeGreaterThan(5)
    expect(failedLogs > 0).toBe(syncsTheLogsDirectory)
    console.log(`failed calls: ${failed}, of which failed the log: ${failedLogs}`)
  })
})
