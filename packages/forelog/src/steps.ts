/**
 * A procedure on files, written once and run two ways: blocking, or in the thread pool.
 *
 * `appendSync`, `entriesSync` and the inline commit block; all else must not. A procedure is therefore a generator that
 * yields each call to the system as a pair, and `runBlocking` or `runPooled` makes the calls. Inside, `yield*` reads
 * like `await`.
 */
export type Steps<T> = Generator<Step, T, unknown>

/** One call to the system, both ways. */
export interface Step {
  now(): unknown
  later(): Promise<unknown>
}

/** Makes one call of a procedure: `const names = yield* step(() => fs.listSync(d), () => fs.list(d))`. */
export function* step<T>(now: () => T, later: () => Promise<T>): Steps<T> {
  return (yield { now, later }) as T
}

/** As many procedures at once, in the thread pool: more than it has threads, so that none of them waits for the next call. */
const lanes = 16

/** Runs the same procedure for many things, several at a time where that is possible; the results, in the order of the things. */
export function together<T, R>(things: readonly T[], procedure: (thing: T) => Steps<R>): Steps<R[]> {
  return step(
    () => things.map((thing) => runBlocking(procedure(thing))),
    () => pooledTogether(things, procedure),
  )
}

async function pooledTogether<T, R>(things: readonly T[], procedure: (thing: T) => Steps<R>): Promise<R[]> {
  const results: R[] = new Array<R>(things.length)
  let next = 0
  let failed = false
  const lane = async (): Promise<void> => {
    while (next < things.length && !failed) {
      const index = next++
      try {
        results[index] = await runPooled(procedure(things[index] as T))
      } catch (error) {
        failed = true
        throw error
      }
    }
  }
  // Nobody is left behind with a file in its hands: all lanes have ended when the first error is told.
  const ends = await Promise.allSettled(Array.from({ length: Math.min(lanes, things.length) }, lane))
  for (const end of ends) if (end.status === 'rejected') throw end.reason
  return results
}

/** For so long this thread works on without a turn of the event loop. */
const turnMs = 2
/** A procedure that took longer waited for the disk, or for other processes to leave this thread the processor. */
const briefMs = 1
/** Two that close to each other waited for the disk: on a busy machine one takes long now and then. */
const nearby = 32
/** So many go to the pool then, at first and at the most. */
const firstDetour = 64
const longestDetour = 4096

/**
 * Whether what is made on this thread goes to the pool for a while, by how long it took: two close to each other that took long waited for the disk, and
 * send the next ones there, and twice as many each time that it is found so again; a single one was as likely kept from the processor.
 */
export class PoolDetour {
  #left = 0
  #next = firstDetour
  /** How many were quick on this thread since the last one that was not. */
  #sinceLong = Infinity

  /** So many are still to go to the pool. */
  get left(): number {
    return this.#left
  }

  /** Some went to the pool. */
  passed(count: number): void {
    this.#left = Math.max(0, this.#left - count)
  }

  /** Takes in whether one on this thread took long. */
  note(isLong: boolean): void {
    if (!isLong) {
      if (++this.#sinceLong === longestDetour) this.#next = firstDetour
      return
    }
    if (this.#sinceLong <= nearby) {
      this.#left = this.#next
      this.#next = Math.min(longestDetour, this.#next * 2)
    }
    this.#sinceLong = 0
  }
}

/**
 * The same for procedures that take microseconds while the system has in memory what they ask for: one after the other on this thread, a
 * fifth of what the ways into the thread pool cost. Where they wait for the disk the next ones go to the pool, so that the event loop is
 * held up by one of them at a time, ever more seldom.
 *
 * @param clock in milliseconds
 * @param here what the procedure does on this thread; undefined where that is not as it should be, and the procedure is to tell
 */
export function brieflyTogether<T, R>(
  things: readonly T[],
  procedure: (thing: T) => Steps<R>,
  here: (thing: T) => R | undefined = () => undefined,
  clock: () => number = () => performance.now(),
): Steps<R[]> {
  const runHere = (thing: T): R => here(thing) ?? runBlocking(procedure(thing))
  return step(
    () => things.map(runHere),
    async () => {
      const results: R[] = []
      const detour = new PoolDetour()
      let beganMs = clock()
      let before = beganMs
      while (results.length < things.length) {
        results.push(runHere(things[results.length] as T))
        const after = clock()
        const isLong = after - before > briefMs
        detour.note(isLong)
        if (detour.left > 0) {
          for (const result of await pooledTogether(things.slice(results.length, results.length + detour.left), procedure)) results.push(result)
          detour.passed(detour.left)
        }
        if (after - beganMs > turnMs) {
          await new Promise<void>((resolve) => setImmediate(resolve))
          beganMs = clock()
        }
        before = isLong || beganMs > after ? clock() : after
      }
      return results
    },
  )
}

/** Waits: on this thread, too. */
export function pause(milliseconds: number): Steps<void> {
  return step(
    () => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds),
    () => new Promise<void>((resolve) => setTimeout(resolve, milliseconds)),
  )
}

/** Runs a procedure to its end on this thread. */
export function runBlocking<T>(steps: Steps<T>): T {
  let next = steps.next()
  while (next.done !== true) {
    let result: unknown
    try {
      result = next.value.now()
    } catch (error) {
      next = steps.throw(error)
      continue
    }
    next = steps.next(result)
  }
  return next.value
}

/** Runs a procedure to its end, its calls in the thread pool. */
export async function runPooled<T>(steps: Steps<T>): Promise<T> {
  let next = steps.next()
  while (next.done !== true) {
    let result: unknown
    try {
      result = await next.value.later()
    } catch (error) {
      next = steps.throw(error)
      continue
    }
    next = steps.next(result)
  }
  return next.value
}
