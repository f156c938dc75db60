import { expect, test } from 'vitest'
import { runExample, startExample, temporaryDirectory } from '../support/run-example.js'
import { crashJobs } from './explore.js'
import { type Job, JobQueue, work } from './job-queue.js'

/** A clock that stands until it is moved. */
const clock = (): { now: () => number; move: (ms: number) => void } => {
  let ms = 1_000_000
  return { now: () => ms, move: (by) => (ms += by) }
}

test('a job that fails is given again after a while that grows, and with the last attempt it becomes a dead letter', async () => {
  const { now, move } = clock()
  const directory = temporaryDirectory()
  const queue = await JobQueue.open(directory, { now, maxAttempts: 3 })
  const id = await queue.enqueue({ mail: 'a@example.org' })
  for (const [attempts, pause] of [[1, 1000], [2, 2000]] as const) {
    expect(await queue.take()).toMatchObject({ id, attempts, data: { mail: 'a@example.org' } })
    expect(await queue.take()).toBe(undefined) // it is under way
    await queue.fail(id, 'no connection')
    move(pause - 1)
    expect(await queue.take()).toBe(undefined)
    move(1)
  }
  expect(await queue.take()).toMatchObject({ id, attempts: 3 })
  await queue.fail(id, 'no connection')
  expect(queue.size).toBe(0)
  await queue.close()

  await using again = await JobQueue.open(directory, { now })
  expect(again.size).toBe(0)
  expect(again.deadLetters()).toEqual([{ id, data: { mail: 'a@example.org' }, attempts: 3, error: 'no connection' }])
})

test('what the log holds of jobs that are done is freed, also behind one that fails for long', async () => {
  const { now, move } = clock()
  await using queue = await JobQueue.open(temporaryDirectory(), { now, maxAttempts: 100 })
  const stubborn = await queue.enqueue('stubborn')
  for (let round = 1; round <= 5; round++) {
    move(60_000)
    expect((await queue.take())?.id).toBe(stubborn)
    await queue.fail(stubborn, 'not yet')
    for (let n = 0; n < 20; n++) await queue.done(((await queue.enqueue(n)), (await queue.take()) as Job).id)
    expect(queue.logged).toBeGreaterThan(60)
    await queue.compact()
    // From the newest failure of that one on.
    expect(queue.logged).toBe(61)
  }
})

test('workers run every job, those that are enqueued meanwhile too, and finish what is under way when they are told to stop', async () => {
  await using queue = await JobQueue.open(temporaryDirectory(), { backoffMs: () => 5 })
  const stop = new AbortController()
  const runs = new Map<number, number>()
  let succeeded = 0
  const working = work(
    queue,
    async ({ id, data, attempts }) => {
      runs.set(id, attempts)
      if (data === 'fails twice' && attempts <= 2) throw new Error('not yet')
      if (++succeeded === 40) stop.abort()
    },
    { signal: stop.signal },
  )
  await Promise.all(Array.from({ length: 40 }, (_, n) => queue.enqueue(n % 4 === 0 ? 'fails twice' : 'succeeds')))
  await working

  expect(queue.size).toBe(0)
  expect([...runs.values()].sort()).toEqual([...new Array<number>(30).fill(1), ...new Array<number>(10).fill(3)])
  expect(queue.deadLetters()).toEqual([])
})

test('a job that kills its process is given again, and runs out of attempts like any other', async () => {
  const directory = temporaryDirectory()
  for (let life = 1; life <= 3; life++) {
    const { ended, line } = startExample('job-queue/die-of-a-job.ts', [directory])
    expect(await line('attempt')).toBe(`attempt ${life}`)
    expect(await ended).toEqual([null, 'SIGKILL'])
  }
  await using queue = await JobQueue.open(directory, { maxAttempts: 3 })
  expect(queue.size).toBe(1)
  expect(await queue.take()).toBe(undefined)
  expect(queue.deadLetters()).toMatchObject([{ attempts: 3, error: 'the process died in the last attempt' }])
  expect(queue.size).toBe(0)
})

test('in every crash each job is done, waits, or is a dead letter, and none that was over is given again', async () => {
  const report = await crashJobs({ crashes: 1000, seed: 1 })
  expect(report.violations, report.summary).toEqual([])
  expect(report.crashes).toBe(2000)
  expect(report.crashesWith.unsyncedSectors).toBeGreaterThan(100)
})

test('a worker that says so before the queue does is found out', async () => {
  const { violations } = await crashJobs({ crashes: 500, seed: 1, saysTooEarly: true })
  expect(String(violations[0]?.error)).toMatch(/job \d+ was over, and is given again/)
})

test('it runs', async () => {
  const { code, stdout, stderr } = await runExample('job-queue/main.ts')
  expect(stderr).toBe('')
  expect(stdout).toBe(
    'resize a picture: done at attempt 1\n' +
      'send a mail: done at attempt 2\n' +
      'call a number that nobody answers: given up after 3 attempts, Error: nobody answers\n',
  )
  expect(code).toBe(0)
})
