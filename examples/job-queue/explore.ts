/**
 * The crash test of the queue: two workers, jobs that fail once, one that always does, and compaction, on a disk that loses power at any moment,
 * and once more while the queue is being opened again.
 */
import { strict as assert } from 'node:assert'
import { type CrashReport, exploreCrashes } from 'forelog/testing'
import { JobQueue } from './job-queue.js'

/** What was told to somebody, or was about to be done, at that moment. */
interface Fact {
  readonly what: 'enqueued' | 'started' | 'ending' | 'done' | 'dead'
  readonly id: number
}

// Time stands still, and a job that failed is due at once: the same in every run.
const options = { maxAttempts: 3, now: () => 0, backoffMs: () => 0 }

export function crashJobs({ crashes, seed, saysTooEarly = false }: { crashes: number; seed: number; saysTooEarly?: boolean }): Promise<CrashReport> {
  // #region explore
  return exploreCrashes<Fact>({
    crashes,
    seed,
    crashDuringCheck: 1,
    async workload({ fileSystem, directory, acknowledge }) {
      await using queue = await JobQueue.open(directory, { ...options, fileSystem })
      for (const data of ['succeeds', 'fails once', 'fails always', 'succeeds', 'fails once', 'succeeds']) {
        // The next one comes while the workers have the one before.
        const enqueue = async (): Promise<void> => acknowledge({ what: 'enqueued', id: await queue.enqueue(data) })
        await Promise.all([runAll(queue, acknowledge), enqueue(), runAll(queue, acknowledge), enqueue()])
      }
      await runAll(queue, acknowledge)
    },
    async check({ fileSystem, directory, acknowledged, acknowledge }) {
      await using queue = await JobQueue.open(directory, { ...options, fileSystem })
      const before = (what: Fact['what']): Set<number> => new Set(acknowledged.filter((fact) => fact.what === what).map(({ id }) => id))
      const [over, ending] = [new Set([...before('done'), ...before('dead')]), before('ending')]
      // All that is left is run to its end; no job that was over is given again, and each one that kills its process ends.
      const given = await runAll(queue, acknowledge)
      for (const id of given) assert.ok(!over.has(id), `job ${id} was over, and is given again`)
      const dead = new Set(queue.deadLetters().map(({ id }) => id))
      for (const id of before('enqueued')) {
        assert.ok(given.has(id) || ending.has(id) || over.has(id) || dead.has(id), `job ${id} is lost`)
      }
      for (const id of before('dead')) assert.ok(dead.has(id), `dead letter ${id} is lost`)
      assert.equal(queue.size, 0, 'jobs are left that nobody gets')
    },
  })
  // #endregion

  /** Runs what is due until nothing is; the ids that were given. */
  async function runAll(queue: JobQueue, acknowledge: (fact: Fact) => void): Promise<Set<number>> {
    const given = new Set<number>()
    for (let job = await queue.take(); job !== undefined; job = await queue.take()) {
      const { id, data, attempts } = job
      acknowledge({ what: 'started', id })
      given.add(id)
      const fails = data === 'fails always' || (data === 'fails once' && attempts === 1)
      const over: Fact = { what: fails ? 'dead' : 'done', id }
      // From here on it may be over, or not.
      if (!fails || attempts === options.maxAttempts) acknowledge({ what: 'ending', id })
      if (saysTooEarly && !fails) acknowledge(over)
      await (fails ? queue.fail(id, 'as told') : queue.done(id))
      if (!fails || attempts === options.maxAttempts) acknowledge(over)
      await queue.compact()
    }
    return given
  }
}
