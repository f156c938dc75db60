import { describe, expect, it } from 'vitest'
import { InlinePolicy } from '../../src/commit/inline-policy.js'

/** Commits in a row that take so long; how many of them were inline. */
function commit(policy: InlinePolicy, count: number, ms: (index: number) => number): number {
  let inline = 0
  for (let index = 0; index < count; index++) {
    if (policy.inline) inline++
    policy.observe(ms(index))
  }
  return inline
}

describe('a group is committed', () => {
  it('inline once the device has shown itself fast, not before', () => {
    const policy = new InlinePolicy('auto')
    expect(commit(policy, 64, () => 0.08)).toBe(0)
    expect(commit(policy, 1000, () => 0.08)).toBe(1000)
  })

  it.each([0.5, 5])('in the thread pool on a disk that takes %d ms', (ms) => {
    const policy = new InlinePolicy('auto')
    expect(commit(policy, 10_000, () => ms)).toBe(0)
  })

  it('in the thread pool again after one outlier, at once', () => {
    const policy = new InlinePolicy('auto')
    commit(policy, 100, () => 0.08)
    expect(policy.inline).toBe(true)
    policy.observe(50)
    expect(policy.inline).toBe(false)
  })

  it('in the thread pool again when the disk has become slow without one', () => {
    const policy = new InlinePolicy('auto')
    commit(policy, 100, () => 0.08)
    expect(commit(policy, 1000, () => 0.6)).toBeLessThan(40)
    expect(policy.inline).toBe(false)
  })

  it('inline again after an outlier, once twice as many were fast', () => {
    const policy = new InlinePolicy('auto')
    commit(policy, 65, () => 0.08)
    policy.observe(50)
    expect(commit(policy, 128, () => 0.08)).toBe(0)
    expect(commit(policy, 100, () => 0.08)).toBeGreaterThan(90)
  })

  it('hardly ever inline when one sync in a hundred takes 50 ms, however fast the others are', () => {
    const policy = new InlinePolicy('auto')
    let blocked = 0
    for (let index = 0, seed = 1; index < 1_000_000; index++) {
      seed = (seed * 48_271) % 0x7fff_ffff
      const slow = seed % 100 === 0
      if (slow && policy.inline) blocked++
      policy.observe(slow ? 50 : 0.08)
    }
    // Once for each trial: 64, 128, 256 and so on, and then one in 65,536 commits.
    expect(blocked).toBeLessThan(11 + 1_000_000 / 65_536)
  })

  it('inline most of the time on a fast disk that takes 7 ms once in ten thousand syncs', () => {
    const policy = new InlinePolicy('auto')
    expect(commit(policy, 1_000_000, (index) => (index % 10_000 === 9999 ? 7 : 0.08))).toBeGreaterThan(980_000)
  })

  it('inline on a busy machine: what a thread waited for a processor was not the disk', () => {
    const stall = (index: number): number => (index % 20 === 19 ? 9 : 0.08)
    const waiting = { take: () => 8.9 }
    const busy = new InlinePolicy('auto', { ofThread: waiting, ofProcess: waiting })
    expect(commit(busy, 10_000, stall)).toBeGreaterThan(9800)
    const idle = { take: () => 0 }
    expect(commit(new InlinePolicy('auto', { ofThread: idle, ofProcess: idle }), 10_000, stall)).toBeLessThan(1000)
  })

  it('inline although it stalls for some milliseconds now and then, where that makes the others wait for less than a millisecond on average', () => {
    const idle = { take: () => 0 }
    const policy = new InlinePolicy('auto', { ofThread: idle, ofProcess: idle })
    expect(commit(policy, 100_000, (index) => (index % 200 === 199 ? 4.3 : 0.08))).toBeGreaterThan(99_000)
  })

  it('in the thread pool on a slow disk of a busy machine, where more was waited for a processor than a sync takes', () => {
    const policy = new InlinePolicy('auto', { ofThread: { take: () => 1 }, ofProcess: { take: () => 30 } })
    expect(commit(policy, 10_000, () => 8)).toBeLessThan(11)
  })

  it('in the thread pool when many syncs take some milliseconds, so that the others of the process don\'t wait for a millisecond on average', () => {
    const policy = new InlinePolicy('auto')
    let [inlineMs, cost] = [0, 0]
    commit(policy, 100_000, (index) => {
      const ms = index % 25 === 24 ? 4.3 : 0.08
      if (policy.inline) {
        inlineMs += ms
        cost += (ms * ms) / 2
      }
      return ms
    })
    expect(cost).toBeGreaterThan(0)
    expect(cost / inlineMs).toBeLessThan(2)
    expect(inlineMs).toBeLessThan(1000)
  })

  it('hardly ever inline when one sync in ten thousand takes 50 ms: that would hold up the event loop for more than a rare moment', () => {
    const policy = new InlinePolicy('auto')
    let blocked = 0
    commit(policy, 1_000_000, (index) => {
      const slow = index % 10_000 === 9999
      if (slow && policy.inline) blocked++
      return slow ? 50 : 0.08
    })
    expect(blocked).toBeLessThan(11 + 1_000_000 / 65_536)
  })

  it('always, or never, inline when the caller says so', () => {
    expect(commit(new InlinePolicy('inline'), 1000, () => 50)).toBe(1000)
    expect(commit(new InlinePolicy('background'), 1000, () => 0.01)).toBe(0)
  })
})
