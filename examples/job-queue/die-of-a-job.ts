// For the test: takes a job, which is the end of the process.
import { JobQueue, work } from './job-queue.js'

const queue = await JobQueue.open(process.argv[2] as string, { maxAttempts: 3 })
if (queue.size === 0) await queue.enqueue('deadly')
await work(
  queue,
  async ({ attempts }) => {
    console.log(`attempt ${attempts}`)
    process.kill(process.pid, 'SIGKILL')
  },
  { signal: new AbortController().signal },
)
