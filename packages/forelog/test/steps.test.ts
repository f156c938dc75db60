import { describe, expect, it } from 'vitest'
import { runBlocking, runPooled, step, type Steps, together } from '../src/steps.js'

describe('the same procedure for many things', () => {
  function* twice(thing: number, running: { now: number; most: number }): Steps<number> {
    running.most = Math.max(running.most, ++running.now)
    try {
      yield* step(
        () => undefined,
        () => new Promise<void>((resolve) => setImmediate(resolve)),
      )
      if (thing < 0) throw new Error(`no ${thing}`)
      return thing * 2
    } finally {
      running.now--
    }
  }
  const numbers = Array.from({ length: 100 }, (_, index) => index)

  it('gives the results in the order of the things, several at a time', async () => {
    const running = { now: 0, most: 0 }
    expect(await runPooled(together(numbers, (thing) => twice(thing, running)))).toEqual(numbers.map((thing) => thing * 2))
    expect(running.most).toBeGreaterThan(1)
    expect(running.most).toBeLessThanOrEqual(16)
  })

  it('gives them one after the other on this thread', () => {
    const running = { now: 0, most: 0 }
    expect(runBlocking(together(numbers, (thing) => twice(thing, running)))).toEqual(numbers.map((thing) => thing * 2))
    expect(running.most).toBe(1)
  })

  it('ends with an error only when nothing of it is under way any more', async () => {
    const running = { now: 0, most: 0 }
    await expect(runPooled(together([1, 2, -3, ...numbers], (thing) => twice(thing, running)))).rejects.toThrow('no -3')
    expect(running.now).toBe(0)
  })

  it('is nothing for nothing', async () => {
    expect(await runPooled(together([], () => twice(1, { now: 0, most: 0 })))).toEqual([])
  })
})
