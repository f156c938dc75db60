/**
 * What one step of `for await` costs: an async generator, and the iterator that `entries()` has instead, the last one here.
 *
 *     npx tsx bench/micro/iteration.ts
 */
import { plainObjects } from '../../packages/forelog/src/entries/plain-objects.ts'

const steps = 1_000_000
let sink = 0

async function* generated(): AsyncGenerator<{ offset: number }> {
  for (let offset = 0; offset < steps; offset++) yield { offset }
}

function written(): AsyncIterable<{ offset: number }> {
  let offset = 0
  const next = (): Promise<IteratorResult<{ offset: number }>> =>
    Promise.resolve(offset < steps ? { done: false, value: { offset: offset++ } } : { done: true, value: undefined })
  return { [Symbol.asyncIterator]: () => ({ next }) }
}

const Result = plainObjects<IteratorYieldResult<{ offset: number }>, [{ offset: number }]>(function (value) {
  this.done = false
  this.value = value
})

/** Two times the same code but for a line, for V8 learns what passes through each. */
function constructed(): AsyncIterable<{ offset: number }> {
  let offset = 0
  const next = (): Promise<IteratorResult<{ offset: number }>> => {
    if (offset === steps) return Promise.resolve({ done: true, value: undefined })
    const result = new Result({ offset: offset++ })
    return Promise.resolve(result)
  }
  return { [Symbol.asyncIterator]: () => ({ next }) }
}

function writtenAgain(): AsyncIterable<{ offset: number }> {
  let offset = 0
  const next = (): Promise<IteratorResult<{ offset: number }>> => {
    if (offset === steps) return Promise.resolve({ done: true, value: undefined })
    const result = new Result({ offset: offset++ })
    result.done = false
    return Promise.resolve(result)
  }
  return { [Symbol.asyncIterator]: () => ({ next }) }
}

async function nanoseconds(make: () => AsyncIterable<{ offset: number }>): Promise<number> {
  const before = process.cpuUsage()
  for await (const { offset } of make()) sink ^= offset
  const { user, system } = process.cpuUsage(before)
  return ((user + system) * 1e3) / steps
}

const results: [string, () => AsyncIterable<{ offset: number }>, number[]][] = [
  ['async generator', generated, []],
  ['iterator of resolved promises', written, []],
  ['the same, of objects from a constructor', constructed, []],
  ['the same, with a member written again', writtenAgain, []],
]
for (let round = 0; round < 5; round++) for (const [, make, costs] of results) costs.push(await nanoseconds(make))
for (const [name, , costs] of results) console.log(`${name}: ${Math.min(...costs).toFixed(0)} ns of CPU a step`)
if (sink === 1) console.log()
