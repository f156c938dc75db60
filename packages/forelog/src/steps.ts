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
    async () => {
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
