/** What is built on a log reads it at the start. An entry that can't be decoded ends that, and has to be what the next attempt says, too. */
import { join } from 'node:path'
import { WriteAheadLog } from 'forelog'
import { expect, test } from 'vitest'
import { Accounts } from './crash-tests/accounts.js'
import { Credits } from './event-sourced-counter/credits.js'
import { JobQueue } from './job-queue/job-queue.js'
import { KeyValueTable } from './key-value-table/key-value-table.js'
import { Outbox } from './outbox/outbox.js'
import { temporaryDirectory } from './support/run-example.js'

const openings: { readonly name: string; readonly log: string; readonly open: (directory: string) => Promise<unknown> }[] = [
  { name: 'the table', log: 'log', open: (directory) => KeyValueTable.open(directory) },
  { name: 'the job queue', log: 'jobs', open: (directory) => JobQueue.open(directory) },
  { name: 'the accounts', log: '.', open: (directory) => Accounts.open(directory) },
  { name: 'the credits', log: 'log', open: (directory) => Credits.open(directory) },
  { name: 'the outbox', log: '.', open: (directory) => Outbox.open(directory) },
]

test.each(openings)('$name that finds an entry it can not decode lets go of its log, and says the same the next time', async ({ log, open }) => {
  const directory = temporaryDirectory()
  const raw = await WriteAheadLog.open(join(directory, log))
  await raw.append({ type: 1, payload: Buffer.from('no JSON') })
  await raw.close()

  await expect(open(directory)).rejects.toMatchObject({ code: 'ERR_WAL_DECODE' })
  await expect(open(directory)).rejects.toMatchObject({ code: 'ERR_WAL_DECODE' })
})

test('the job queue lets go of its jobs where the log of its dead letters does not open', async () => {
  const directory = temporaryDirectory()
  const dead = await WriteAheadLog.open(join(directory, 'dead'))
  await expect(JobQueue.open(directory)).rejects.toMatchObject({ code: 'ERR_WAL_LOCKED', path: join(directory, 'dead', 'lock') })
  await dead.close()
  await (await JobQueue.open(directory)).close()
})
