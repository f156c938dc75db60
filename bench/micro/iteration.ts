/**
 * What one step of `for await` costs: an async generator, and the iterator that `entries()` has instead.
 *
 *     npx tsx bench/micro/iteration.ts
 */
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

async function nanoseconds(make: () => AsyncIterable<{ offset: number }>): Promise<number> {
  const before = process.cpuUsage()
  for await (const { offset } of make()) sink ^= offset
  const { user, system } = process.cpuUsage(before)
  return ((user + system) * 1e3) / steps
}

const results: [string, () => AsyncIterable<{ offset: number }>, number[]][] = [
  ['async generator', generated, []],
  ['iterator of resolved promises', written, []],
]
for (let round = 0; round < 5; round++) for (const [, make, costs] of results) costs.push(await nanoseconds(make))
for (const [name, , costs] of results) console.log(`${name}: ${Math.min(...costs).toFixed(0)} ns of CPU a step`)
if (sink === 1) console.log()
