import { WriteAheadLog } from 'forelog'
import { expect, test } from 'vitest'
import { runExample, temporaryDirectory } from '../support/run-example.js'
import { entries, typedEntries } from './typed-entries.js'

test('the orders are what their entries made of them', async () => {
  const orders = await typedEntries(temporaryDirectory())

  expect(Object.fromEntries(orders)).toEqual({
    A: { cents: 1250, placedAt: new Date('2026-03-01T09:30:00Z'), status: 'paid by card' },
    B: { cents: 99, placedAt: new Date('2026-03-01T09:31:00Z'), status: 'cancelled' },
    C: { cents: 1250, placedAt: new Date('2026-03-02T10:00:00Z'), status: 'open' },
  })
})

test('an order that does not fit its schema is refused alone', async () => {
  await using log = await WriteAheadLog.open(temporaryDirectory(), { entries })

  const refused = log.append(entries.placed({ id: 'X', cents: -1, placedAt: '2026-03-01' }))
  await expect(refused).rejects.toMatchObject({ code: 'ERR_WAL_ENCODE', message: expect.stringContaining('cents') })
  await expect(log.append(entries.cancelled('X'))).resolves.toBe(1)
})

test('it runs', async () => {
  const { code, stdout, stderr } = await runExample('typed-entries/main.ts')

  expect(stderr).toBe('')
  expect(stdout).toBe(
    'A: 12.50, placed 2026-03-01T09:30:00.000Z, paid by card\n' +
      'B: 0.99, placed 2026-03-01T09:31:00.000Z, cancelled\n' +
      'C: 12.50, placed 2026-03-02T10:00:00.000Z, open\n',
  )
  expect(code).toBe(0)
})
