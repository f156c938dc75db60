import { readdirSync, rmSync, watch } from 'node:fs'
import { join } from 'node:path'
import { WriteAheadLog } from 'forelog'
import { expect, onTestFinished, test } from 'vitest'
import { runExample, temporaryDirectory } from '../support/run-example.js'
import { Balances } from './balances.js'
import { entries } from './entries.js'
import { Ledger } from './ledger.js'
import { prove } from './prove.js'
import { type Opened, textOfEntry } from './told.js'
import { Violation } from './violation.js'

const empty: Opened = { firstOffset: 1, lastOffset: 0, tornBytes: 0, emptySegment: false, entriesReplayed: 0, sum: 0 }
const found = (lastOffset: number): Opened => ({ ...empty, lastOffset, entriesReplayed: lastOffset })

/** Entries 1 and 2 are acknowledged, the batch of 3 to 5 is not. */
function ledgerAfterAKill(): Ledger {
  const ledger = new Ledger()
  ledger.take({ opened: empty })
  ledger.take({ appending: ['1:a'] })
  ledger.take({ appending: ['1:b'] })
  ledger.take({ acknowledged: [1, 1] })
  ledger.take({ appending: ['2:c', '2:d', '2:e'] })
  ledger.take({ acknowledged: [2, 2] })
  ledger.killed(false)
  return ledger
}

test('what was not acknowledged may be there whole, or not at all', () => {
  for (const lastOffset of [2, 5]) {
    const ledger = ledgerAfterAKill()
    ledger.opened(found(lastOffset))
    expect(ledger.counts.killsInFlight).toBe(lastOffset === 5 ? 1 : 0)
  }
})

test('torn bytes say that a group was in flight', () => {
  const ledger = ledgerAfterAKill()
  ledger.opened({ ...found(2), tornBytes: 17 })
  expect(ledger.counts).toMatchObject({ killsInFlight: 1, tornBytes: 17, tornTails: 1 })
})

test.each([
  ['an acknowledged entry is gone', found(1), 'entries 2 to 2 were acknowledged, and they are gone'],
  ['a batch is there in part', found(4), 'within the batch that begins at 3'],
  ['more is there than was appended', found(6), '5 is the last entry that was appended'],
  ['the front is gone', { ...found(2), firstOffset: 2 }, 'the log begins at 2'],
  ['reading ends early', { ...found(2), entriesReplayed: 1 }, '1 entries were read'],
  ['the balances do not add up', { ...found(2), sum: 1 }, 'the balances add up to 1'],
])('it is a violation when %s', (_, opened, message) => {
  expect(() => ledgerAfterAKill().opened(opened)).toThrow(message)
})

test('it is a violation when an entry is not what was appended', () => {
  const ledger = ledgerAfterAKill()
  ledger.opened(found(2))
  ledger.checkEntry(1, '1:a')
  expect(() => ledger.checkEntry(2, '1:a')).toThrow('entry 2 is 1:a, and 1:b was appended there')
  expect(() => ledger.checkEntry(3, '2:c')).toThrow('nobody appended it')
})

test('it is a violation when acknowledgements come out of order', () => {
  const ledger = ledgerAfterAKill()
  expect(() => ledger.take({ acknowledged: [3, 4] })).toThrow('entries 3 to 5 were next to be acknowledged')
})

test('what a life found stays, and the next one goes on behind it', () => {
  const ledger = ledgerAfterAKill()
  ledger.opened(found(2))
  ledger.take({ appending: ['1:f'] })
  ledger.take({ acknowledged: [3, 3] })
  expect(() => ledger.opened(found(2))).toThrow('entries 3 to 3 were acknowledged')
})

test('balances notice a transfer that is missing, there twice, or there in part', () => {
  const transfer = (id: number) => entries.transfer({ id, from: 1, to: 2, cents: 100, reference: '' })
  const balances = new Balances()
  balances.take(transfer(1))
  expect(balances.sum()).toBe(0)
  expect(() => balances.take(transfer(1))).toThrow('transfer 1 follows transfer 1')
  expect(() => balances.take(transfer(3))).toThrow('transfer 3 follows transfer 1')
  balances.take(entries.posting({ id: 2, account: 1, cents: -5 }))
  expect(balances.sum()).toBe(-5)
  balances.take(entries.posting({ id: 2, account: 2, cents: 5 }))
  expect(balances.sum()).toBe(0)
})

test('a writer that is killed again and again loses no acknowledged transfer', async () => {
  const directory = temporaryDirectory()
  const { code, stdout, stderr } = await runExample('bank-transfers/main.ts', { args: ['--kills', '8', '--seed', '1', '--directory', directory] })

  expect(stderr).toBe('')
  expect(Number(/(\d+) kills: /.exec(stdout)?.[1])).toBeGreaterThanOrEqual(8)
  expect(stdout).toContain('Every acknowledged transfer is there once')
  expect(code).toBe(0)
  expect(readdirSync(directory)).toEqual([])
})

test.each([
  ['--kills', '0'],
  ['--seed', 'x'],
  ['--kils', '3'],
])('%s %s is refused with the usage', async (...args) => {
  const { code, stdout, stderr } = await runExample('bank-transfers/main.ts', { args })

  expect(stdout).toBe('')
  expect(stderr).toContain('Usage: npm start')
  expect(code).toBe(1)
})

test('a segment that vanishes while the writers are killed is a violation, and the log is kept', async () => {
  const parent = temporaryDirectory()
  // As soon as the log has a second segment, its first one goes.
  const vanish = watch(parent, { recursive: true }, () => {
    for (const log of readdirSync(parent)) {
      const segments = readdirSync(join(parent, log)).filter((name) => name.endsWith('.wal'))
      const [first] = segments.sort()
      if (first?.startsWith('0000000001-') === true && segments.length > 1) rmSync(join(parent, log, first), { force: true })
    }
  })
  onTestFinished(() => vanish.close())

  const { code, stdout, stderr } = await runExample('bank-transfers/main.ts', { args: ['--kills', '40', '--directory', parent] })

  expect(stdout).not.toContain('Every acknowledged transfer')
  expect(stderr).toContain('ERR_WAL_SEGMENT_MISSING')
  expect(stderr).toMatch(/VIOLATION: a writer ended by itself, with exit code 1[^]*the log is kept in/)
  expect(stderr).toContain(readdirSync(parent)[0])
  expect(code).toBe(1)
})

test('an entry that is not what was told is a violation', async () => {
  const directory = temporaryDirectory()
  const entry = (cents: number) => entries.transfer({ id: 1, from: 1, to: 2, cents, reference: '' })
  const log = await WriteAheadLog.open(directory, { entries })
  await log.append(entry(100))
  await log.close()

  const told = (cents: number): Ledger => {
    const ledger = new Ledger()
    ledger.take({ opened: empty })
    ledger.take({ appending: [textOfEntry(entry(cents))] })
    return ledger
  }
  await expect(prove(directory, told(101))).rejects.toThrow(Violation)
  await expect(prove(directory, told(100))).resolves.toBe(0)
})
