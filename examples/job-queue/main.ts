import { inDirectory } from '../support/in-directory.js'
import { JobQueue, work } from './job-queue.js'

await inDirectory(async (directory) => {
  await using queue = await JobQueue.open(directory, { maxAttempts: 3, backoffMs: (attempts) => 10 * 2 ** attempts })
  for (const data of ['resize a picture', 'send a mail', 'call a number that nobody answers']) await queue.enqueue(data)

  const stop = new AbortController()
  const handler = async ({ data, attempts }: { data: unknown; attempts: number }): Promise<void> => {
    if (data === 'send a mail' && attempts === 1) throw new Error('no connection')
    if (data === 'call a number that nobody answers') {
      if (attempts === 3) stop.abort()
      throw new Error('nobody answers')
    }
    console.log(`${String(data)}: done at attempt ${attempts}`)
  }
  await work(queue, handler, { signal: stop.signal })
  for (const { data, attempts, error } of queue.deadLetters()) console.log(`${String(data)}: given up after ${attempts} attempts, ${error}`)
})
