import { describe, expect, it } from 'vitest'
import { brieflyTogether, runBlocking, runPooled, step, type Steps, together } from '../src/steps.js'

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

describe('the same procedure for many things that take no time to speak of', () => {
  const numbers = Array.from({ length: 1000 }, (_, index) => index)

  /** What was done where, under a clock that each call on this thread moves on by what `tookMs` says. */
  function played(tookMs: (thing: number) => number): { done: string[]; turns: () => number; run: () => Promise<number[]> } {
    const done: string[] = []
    let now = 0
    let turns = 0
    function* procedure(thing: number): Steps<number> {
      yield* step(
        () => {
          now += tookMs(thing)
          done.push(`here ${thing}`)
        },
        async () => void done.push(`pool ${thing}`),
      )
      return thing * 2
    }
    const run = async (): Promise<number[]> => {
      let running = true
      const turn = (): void => {
        turns++
        if (running) setImmediate(turn)
      }
      setImmediate(turn)
      try {
        return await runPooled(brieflyTogether(numbers, procedure, undefined, () => now))
      } finally {
        running = false
      }
    }
    return { done, turns: () => turns, run }
  }

  it('runs on this thread, and gives the event loop a turn every two milliseconds', async () => {
    const { done, turns, run } = played(() => 0.1)
    expect(await run()).toEqual(numbers.map((thing) => thing * 2))
    expect(done).toEqual(numbers.map((thing) => `here ${thing}`))
    expect(turns()).toBeGreaterThanOrEqual(45)
  })

  it('goes to the pool where two of them took long, and then behind each that does, for twice as many each time', async () => {
    const { done, run } = played((thing) => (thing >= 10 ? 5 : 0.01))
    expect(await run()).toEqual(numbers.map((thing) => thing * 2))
    expect(done.filter((each) => each.startsWith('here')).length).toBe(11 + 5)
    expect(done.slice(0, 13)).toEqual([...numbers.slice(0, 12).map((thing) => `here ${thing}`), 'pool 12'])
    expect(done.indexOf('here 76')).toBe(76)
  })

  it('stays on this thread where one takes long now and then, as on a busy machine, and gives the event loop a turn behind it', async () => {
    const { done, turns, run } = played((thing) => (thing % 40 === 39 ? 5 : 0.01))
    expect(await run()).toEqual(numbers.map((thing) => thing * 2))
    expect(done).toEqual(numbers.map((thing) => `here ${thing}`))
    expect(turns()).toBeGreaterThanOrEqual(25)
  })

  it('fails as the first one that fails', async () => {
    const { run } = played((thing) => {
      if (thing === 500) throw new Error('no 500')
      return 0
    })
    await expect(run()).rejects.toThrow('no 500')
  })

  it('asks for a result without a procedure first, and runs the procedure of those for which there is none', async () => {
    const procedure = (thing: number): Steps<string> =>
      step(
        () => `procedure ${thing}`,
        async () => `pool ${thing}`,
      )
    const here = (thing: number): string | undefined => (thing % 3 === 0 ? undefined : `here ${thing}`)
    const expected = numbers.map((thing) => (thing % 3 === 0 ? `procedure ${thing}` : `here ${thing}`))
    expect(await runPooled(brieflyTogether(numbers, procedure, here, () => 0))).toEqual(expected)
    expect(runBlocking(brieflyTogether(numbers, procedure, here))).toEqual(expected)
  })
})
