import { expect, it } from 'vitest'
import { Waiters } from '../../src/commit/waiters.js'
import { WalError } from '../../src/errors.js'

it('those who wait are told in the order in which they came, each what it asked for', async () => {
  const waiters = new Waiters()
  const told: unknown[] = []
  const all = [waiters.addEntry(7), waiters.addBatch(8, 10), waiters.addBatch(11, 10), waiters.addEntry(11)]
  for (const promise of all) void promise.then((value) => told.push(value))
  expect(waiters.count).toBe(4)
  waiters.resolveAll()
  await Promise.all(all)
  expect(told).toEqual([7, { first: 8, last: 10 }, { first: 11, last: 10 }, 11])
})

it('a failure is told to all of them', async () => {
  const waiters = new Waiters()
  const error = new WalError('ERR_WAL_NO_SPACE', 'full')
  const all = [waiters.addEntry(1), waiters.addBatch(2, 3)]
  waiters.rejectAll(error)
  for (const outcome of await Promise.allSettled(all)) expect(outcome).toEqual({ status: 'rejected', reason: error })
})
