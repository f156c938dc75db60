/** Who goes together, in which order, and who is told what: on a target whose calls a test lets end. */
import { describe, expect, it } from 'vitest'
import { type CommitGroup, type CommitOptions, CommitQueue, type CommitTarget } from '../../src/commit/commit-queue.js'
import { WalError } from '../../src/errors.js'
import { step, type Steps } from '../../src/steps.js'
import { refusal } from '../entries/refusal.js'
import { rejection } from '../support/logs.js'

/** A group of texts, of as many bytes as they have characters; full from `limit` on. */
class TextGroup implements CommitGroup {
  firstOffset: number
  readonly texts: string[] = []
  readonly #limit: number
  #mark = 0

  constructor(firstOffset: number, limit: number) {
    this.firstOffset = firstOffset
    this.#limit = limit
  }

  get count(): number {
    return this.texts.length
  }

  get nextOffset(): number {
    return this.firstOffset + this.texts.length
  }

  get bytes(): number {
    return this.texts.join('').length
  }

  get full(): boolean {
    return this.bytes >= this.#limit
  }

  mark(): void {
    this.#mark = this.texts.length
  }

  rewind(): void {
    this.texts.length = this.#mark
  }

  moveTo(firstOffset: number): void {
    this.firstOffset = firstOffset
  }
}

/** Where a call waits until the test lets it go on. */
interface Gate {
  open(): void
  fail(error: unknown): void
}

class FakeTarget implements CommitTarget<TextGroup> {
  /** What took effect, in order: `write a b`, `write c durably`, `sync`. */
  readonly done: string[] = []
  /** What has begun, and not ended. */
  underWay: string[] = []
  readonly recycled: TextGroup[] = []
  nextOffset = 1
  durableOffset = 0
  vouchedOffset = 0
  groupLimit = 1_000
  blocking = 0
  prepared = 0
  #gates: ((call: string) => Promise<void>)[] = []

  get hasUnsynced(): boolean {
    return this.durableOffset < this.nextOffset - 1
  }

  get hasUnvouched(): boolean {
    return this.vouchedOffset < this.durableOffset
  }

  /** The next call in the background waits, or fails. */
  hold(): Gate {
    let gate: Gate | undefined
    const wait = new Promise<void>((resolve, reject) => (gate = { open: resolve, fail: reject }))
    this.#gates.push(() => wait)
    return gate as Gate
  }

  newGroup(firstOffset: number): TextGroup {
    return new TextGroup(firstOffset, this.groupLimit)
  }

  isQuick(): boolean {
    return true
  }

  prepare(): undefined {
    this.prepared++
  }

  *write(group: TextGroup, durably: boolean): Steps<void> {
    expect(group.firstOffset).toBe(this.nextOffset)
    const upTo = group.nextOffset
    yield* this.#call(`write ${group.texts.join(' ')}${durably ? ' durably' : ''}`)
    this.nextOffset = upTo
    if (durably) this.durableOffset = upTo - 1
  }

  *sync(): Steps<void> {
    const upTo = this.nextOffset - 1
    yield* this.#call('sync')
    this.durableOffset = upTo
  }

  *markDurable(): Steps<void> {
    this.vouchedOffset = this.durableOffset
    yield* step(
      () => void this.done.push(`mark ${this.durableOffset}`),
      () => Promise.reject(new Error('a mark is written on this thread')),
    )
  }

  recycle(group: TextGroup): void {
    this.recycled.push(group)
  }

  *#call(call: string): Steps<void> {
    this.underWay.push(call)
    try {
      yield* step(
        () => void this.blocking++,
        () => this.#gates.shift()?.(call) ?? Promise.resolve(),
      )
      this.done.push(call)
    } finally {
      this.underWay = this.underWay.filter((other) => other !== call)
    }
  }
}

const manual = { mode: 'manual', delayMs: 0, intervalMs: 0 } as const
const always = { mode: 'always', delayMs: 0, intervalMs: 0 } as const

function newQueue(options: Partial<CommitOptions<TextGroup>> = {}): { target: FakeTarget; queue: CommitQueue<TextGroup>; failures: WalError[] } {
  const target = new FakeTarget()
  const failures: WalError[] = []
  const queue = new CommitQueue<TextGroup>(target, {
    policy: always,
    mode: 'background',
    maxPendingBytes: 1_000,
    path: '/data/log',
    encode: (group, text) => {
      if (typeof text !== 'string') throw new WalError('ERR_WAL_ENCODE', 'no text')
      group.texts.push(text)
    },
    onFailure: (error) => failures.push(error),
    ...options,
  })
  return { target, queue, failures }
}

/** Until a call on the target has begun. */
const begun = (target: FakeTarget, call: string): Promise<unknown> => expect.poll(() => target.underWay).toContain(call)

const codesOf = (results: readonly PromiseSettledResult<unknown>[]): unknown[] =>
  results.map((result) => (result.status === 'fulfilled' ? result.value : (result.reason as WalError).code))

describe('groups', () => {
  it('have what one turn appends, in its order', async () => {
    const { target, queue } = newQueue()
    expect(await Promise.all([queue.append('a'), queue.append('b'), queue.appendBatch(['c', 'd'])])).toEqual([1, 2, { first: 3, last: 4 }])
    expect(target.done).toEqual(['write a b c d durably'])
  })

  it('have what queued while the one before was written and synced, however much that is', async () => {
    const { target, queue } = newQueue()
    const gate = target.hold()
    const first = queue.append('a')
    await begun(target, 'write a durably')
    const later = Array.from('bcdefgh', (text) => queue.append(text))
    await new Promise((resolve) => setImmediate(resolve))
    expect(target.underWay).toEqual(['write a durably'])
    gate.open()
    expect(await Promise.all([first, ...later])).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    expect(target.done).toEqual(['write a durably', 'write b c d e f g h durably'])
  })

  it('wait for no timer: the first one begins in the turn of its append', async () => {
    const { target, queue } = newQueue()
    target.hold()
    void queue.append('a')
    await Promise.resolve()
    await Promise.resolve()
    expect(target.underWay).toEqual(['write a durably'])
  })

  it('end when they are full, and a batch is never in two', async () => {
    const { target, queue } = newQueue()
    target.groupLimit = 3
    const results = await Promise.all([queue.append('a'), queue.appendBatch(['b', 'c', 'd', 'e']), queue.append('f'), queue.append('g')])
    expect(results).toEqual([1, { first: 2, last: 5 }, 6, 7])
    expect(target.done).toEqual(['write a b c d e durably', 'write f g durably'])
  })

  it('hold nothing of what could not be encoded', async () => {
    const { target, queue } = newQueue()
    const results = await Promise.allSettled([queue.append('a'), queue.append(5), queue.appendBatch(['b', 'c', 6]), queue.append('d')])
    expect(codesOf(results)).toEqual([1, 'ERR_WAL_ENCODE', 'ERR_WAL_ENCODE', 2])
    expect(target.done).toEqual(['write a d durably'])
    expect(queue.stats().refused.encode).toBe(2)
  })

  it('use up no offset for what could not be encoded: the batch behind it begins there, and so does an append behind a sync', async () => {
    const { queue, failures } = newQueue()
    await rejection('ERR_WAL_ENCODE', queue.append(5))
    expect(queue.stats().pendingEntries).toBe(0)
    expect(await queue.appendBatch(['a', 'b'])).toEqual({ first: 1, last: 2 })
    await rejection('ERR_WAL_ENCODE', queue.append(5))
    // Which takes the group that was begun for it, empty.
    expect(await queue.sync()).toBe(2)
    expect(await queue.append('c')).toBe(3)
    expect(failures).toEqual([])
  })

  it('without an entry are not written', async () => {
    const { target, queue } = newQueue()
    expect(await queue.appendBatch([])).toEqual({ first: 1, last: 0 })
    expect(target.done).toEqual([])
  })

  it('are given back when they are written', async () => {
    const { target, queue } = newQueue()
    await queue.append('a')
    await queue.append('b')
    expect(target.recycled.map(({ texts }) => texts)).toEqual([['a'], ['b']])
    expect(target.prepared).toBe(2)
  })
})

describe('acknowledgements', () => {
  it("come when a group is durable, with 'always', and lastOffset with them", async () => {
    const { target, queue } = newQueue()
    const gate = target.hold()
    let acknowledged = false
    const appended = queue.append('a').then(() => (acknowledged = true))
    await begun(target, 'write a durably')
    expect([acknowledged, queue.lastOffset]).toEqual([false, 0])
    gate.open()
    await appended
    expect([queue.lastOffset, queue.durableOffset]).toEqual([1, 1])
  })

  it("come when a group is written, with 'manual'", async () => {
    const { target, queue } = newQueue({ policy: manual })
    expect(await queue.append('a')).toBe(1)
    expect(target.done).toEqual(['write a'])
    expect([queue.lastOffset, queue.durableOffset]).toEqual([1, 0])
  })

  it('come in the order of the calls', async () => {
    const { queue, target } = newQueue()
    target.groupLimit = 2
    const order: number[] = []
    await Promise.all(Array.from('abcdefghij', (text) => queue.append(text).then((offset) => order.push(offset))))
    expect(order).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
  })
})

describe('sync', () => {
  it('covers what was appended before it, in the same group, and gives the durable offset', async () => {
    const { target, queue } = newQueue({ policy: manual })
    await queue.append('a')
    void queue.append('b')
    expect(await queue.sync()).toBe(2)
    expect(target.done).toEqual(['write a', 'write b durably'])
    await queue.append('c')
    expect(await queue.sync()).toBe(3)
    expect(target.done.slice(2)).toEqual(['write c', 'sync'])
  })

  it('called during a sync that does not cover an append is not answered by that one', async () => {
    const { target, queue } = newQueue({ policy: manual })
    await queue.append('a')
    const gate = target.hold()
    const first = queue.sync()
    await begun(target, 'sync')
    void queue.append('b')
    const second = queue.sync()
    gate.open()
    expect(await first).toBe(1)
    expect(await second).toBe(2)
    expect(target.done).toEqual(['write a', 'sync', 'write b durably'])
  })

  it('with nothing to sync calls nothing', async () => {
    const { target, queue } = newQueue()
    expect(await queue.sync()).toBe(0)
    await queue.append('a')
    expect(await queue.sync()).toBe(1)
    expect(target.done).toEqual(['write a durably'])
  })
})

describe('an operation', () => {
  it('runs alone, behind what was called before it and in front of what was called after it', async () => {
    const { target, queue } = newQueue()
    let running = false
    const results = await Promise.all([
      queue.append('a'),
      queue.operate(async () => {
        running = true
        await new Promise((resolve) => setImmediate(resolve))
        expect(target.underWay).toEqual([])
        target.done.push('operation')
        running = false
        return 'result'
      }),
      queue.append('b').then((offset) => {
        expect(running).toBe(false)
        return offset
      }),
    ])
    expect(results).toEqual([1, 'result', 2])
    expect(target.done).toEqual(['write a durably', 'operation', 'write b durably'])
  })

  it('that throws rejects its own promise alone', async () => {
    const { queue } = newQueue()
    const thrown = new Error('no')
    const results = await Promise.allSettled([queue.append('a'), queue.operate(() => Promise.reject(thrown)), queue.append('b')])
    expect(results).toMatchObject([{ value: 1 }, { reason: thrown }, { value: 2 }])
  })

  it('that moves the end back gives what waits behind it the offsets from there on', async () => {
    const { target, queue } = newQueue()
    await queue.appendBatch(['a', 'b', 'c'])
    const moved = queue.operate(async () => {
      target.nextOffset = 2
      target.durableOffset = 1
      queue.moveBack()
    })
    const later = [queue.append('d'), queue.appendBatch(['e', 'f'])]
    await moved
    expect(await Promise.all(later)).toEqual([2, { first: 3, last: 4 }])
    expect(queue.lastOffset).toBe(4)
  })
})

describe('a lack of space', () => {
  const noSpace = new WalError('ERR_WAL_NO_SPACE', 'full')

  it('rejects the group and all that waits behind it, lets operations run, and begins again where the target is', async () => {
    const { target, queue, failures } = newQueue()
    await queue.append('a')
    const gate = target.hold()
    const waiting = [queue.append('b'), queue.append('c')]
    await begun(target, 'write b c durably')
    let ran = false
    waiting.push(queue.append('d'), queue.operate(async () => Number((ran = true))), queue.append('e'), queue.sync())
    gate.fail(noSpace)
    expect(codesOf(await Promise.allSettled(waiting))).toEqual([...Array.from({ length: 3 }, () => 'ERR_WAL_NO_SPACE'), 1, 'ERR_WAL_NO_SPACE', 'ERR_WAL_NO_SPACE'])
    expect(ran).toBe(true)
    expect(failures).toEqual([])
    expect(await queue.append('f')).toBe(2)
    expect(target.done).toEqual(['write a durably', 'write f durably'])
    expect(queue.stats()).toMatchObject({ appends: 2, pendingBytes: 0, pendingEntries: 0, refused: { noSpace: 4 } })
  })
})

describe('a failure', () => {
  const failure = new WalError('ERR_WAL_SYNC_FAILED', 'failed')

  it('rejects what is under way and all that waits, is told once, and ends all calls', async () => {
    const { target, queue, failures } = newQueue()
    const gate = target.hold()
    const waiting: Promise<unknown>[] = [queue.append('a')]
    await begun(target, 'write a durably')
    waiting.push(queue.append('b'), queue.operate(async () => 1), queue.appendBatch(['c']), queue.sync())
    gate.fail(failure)
    for (const result of await Promise.allSettled(waiting)) expect((result as PromiseRejectedResult).reason).toBe(failure)
    expect(failures).toEqual([failure])
    for (const later of [queue.append('d'), queue.appendBatch([]), queue.sync(), queue.operate(async () => 1)]) {
      expect(await rejection('ERR_WAL_SYNC_FAILED', later)).toBe(failure)
    }
    await queue.whenIdle()
    expect([target.done, target.underWay]).toEqual([[], []])
    expect(queue.lastOffset).toBe(0)
  })

  it('of any other kind is a failed write, with it as the cause', async () => {
    const { target, queue, failures } = newQueue()
    target.hold().fail(new TypeError('a mistake'))
    const error = await rejection('ERR_WAL_WRITE_FAILED', queue.append('a'))
    expect(error.cause).toBeInstanceOf(TypeError)
    expect(failures).toEqual([error])
  })

  it('while calls are under way: whenIdle waits for them', async () => {
    const { target, queue } = newQueue()
    const gate = target.hold()
    const appended = queue.append('a')
    await begun(target, 'write a durably')
    queue.fail(failure)
    let idle = false
    const waited = queue.whenIdle().then(() => (idle = true))
    await new Promise((resolve) => setImmediate(resolve))
    expect(idle).toBe(false)
    gate.fail(failure)
    await Promise.allSettled([appended, waited])
    expect(idle).toBe(true)
  })
})

describe('backpressure', () => {
  it('refuses until half of the limit is written, not only until there is room', async () => {
    const { target, queue } = newQueue({ maxPendingBytes: 10 })
    const [first, second] = [target.hold(), target.hold()]
    const four = queue.append('aaaa')
    await begun(target, 'write aaaa durably')
    const six = queue.append('bbbbbb')
    await rejection('ERR_WAL_BACKPRESSURE', queue.append('c'))
    first.open()
    expect(await four).toBe(1)
    // Six of ten are left: there would be room.
    await rejection('ERR_WAL_BACKPRESSURE', queue.append('d'))
    await rejection('ERR_WAL_BACKPRESSURE', queue.appendBatch([]))
    second.open()
    expect(await six).toBe(2)
    expect(await queue.append('e')).toBe(3)
    expect(target.done).toEqual(['write aaaa durably', 'write bbbbbb durably', 'write e durably'])
    expect(queue.stats().refused.backpressure).toBe(3)
  })

  it('takes a larger batch where nothing is pending, and only there', async () => {
    const { queue } = newQueue({ maxPendingBytes: 10 })
    const large = queue.appendBatch(['a'.repeat(15), 'b'.repeat(15)])
    await rejection('ERR_WAL_BACKPRESSURE', queue.append('c'))
    expect(await large).toEqual({ first: 1, last: 2 })
    expect(await queue.append('d'.repeat(40))).toBe(3)
  })
})

describe('blocking', () => {
  it('commits on this thread', () => {
    const { target, queue } = newQueue()
    expect([queue.appendBlocking('a'), queue.appendBlocking('b')]).toEqual([1, 2])
    expect(target.done).toEqual(['write a durably', 'write b durably'])
    expect(target.blocking).toBe(2)
  })

  it('is refused while a promise has not settled', async () => {
    const { queue } = newQueue()
    const appended = queue.append('a')
    refusal('ERR_WAL_BUSY', () => queue.appendBlocking('b'))
    await appended
    expect(queue.appendBlocking('b')).toBe(2)
  })

  it('gives the next offset, also where one before could not be encoded', async () => {
    const { queue } = newQueue()
    refusal('ERR_WAL_ENCODE', () => queue.appendBlocking(5))
    expect(queue.appendBlocking('a')).toBe(1)
    await rejection('ERR_WAL_ENCODE', queue.append(5))
    expect(queue.appendBlocking('b')).toBe(2)
    expect(await queue.append('c')).toBe(3)
  })
})

describe("commit: 'inline'", () => {
  it('writes on this thread, and lets the event loop turn between two groups', async () => {
    const { target, queue } = newQueue({ mode: 'inline' })
    let turns = 0
    let counting = true
    const count = (): void => {
      turns++
      if (counting) setImmediate(count)
    }
    setImmediate(count)
    for (let index = 0; index < 20; index++) await queue.append('x')
    counting = false
    expect(target.blocking).toBe(20)
    expect(turns).toBeGreaterThanOrEqual(19)
  })
})

describe('a delay', () => {
  const delayed = { mode: 'always', delayMs: 60_000, intervalMs: 0 } as const

  it('gathers, and is not waited out for a sync, an operation or a full group', async () => {
    for (const hurry of ['sync', 'operation', 'full'] as const) {
      const { target, queue } = newQueue({ policy: delayed })
      target.groupLimit = 5
      const appended = [queue.append('a')]
      await new Promise((resolve) => setImmediate(resolve))
      appended.push(queue.append('b'))
      expect(target.underWay.length + target.done.length).toBe(0)
      if (hurry === 'sync') void queue.sync()
      if (hurry === 'operation') void queue.operate(async () => undefined)
      if (hurry === 'full') appended.push(queue.append('full'))
      await Promise.all(appended)
      expect(target.done).toEqual([hurry === 'full' ? 'write a b full durably' : 'write a b durably'])
    }
  })
})

describe('an interval', () => {
  it('syncs once for all groups since the last one, and rests when nothing is unsynced', async () => {
    const { target, queue } = newQueue({ policy: { mode: 'interval', delayMs: 0, intervalMs: 20 } })
    for (const text of ['a', 'b', 'c']) await queue.append(text)
    expect(queue.durableOffset).toBe(0)
    await expect.poll(() => queue.durableOffset).toBe(3)
    await queue.append('d')
    await expect.poll(() => queue.durableOffset).toBe(4)
    expect(target.done.filter((call) => !call.startsWith('mark'))).toEqual(['write a', 'write b', 'write c', 'sync', 'write d', 'sync'])
    queue.stop()
  })
})

describe('an idle spell', () => {
  it('gets one durable mark', async () => {
    const { target, queue } = newQueue()
    await queue.append('a')
    await queue.append('b')
    await expect.poll(() => target.done.at(-1)).toBe('mark 2')
    await queue.append('c')
    await expect.poll(() => target.done.at(-1)).toBe('mark 3')
    expect(target.done.filter((call) => call.startsWith('mark'))).toEqual(['mark 2', 'mark 3'])
  })
})
