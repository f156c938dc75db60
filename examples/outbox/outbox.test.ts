import { expect, test } from 'vitest'
import { temporaryDirectory } from '../support/run-example.js'
import { Outbox } from './outbox.js'

test('what could not be sent is sent by the next process, in order, and what was sent is not sent again', async () => {
  const directory = temporaryDirectory()
  const received: string[] = []
  {
    await using outbox = await Outbox.open(directory)
    for (const message of ['a', 'b', 'c']) await outbox.queue(message)
    const brokenLine = async (id: number, message: string): Promise<void> => {
      if (message === 'b') throw new Error('no connection')
      received.push(`${id} ${message}`)
    }
    await expect(outbox.flush(brokenLine)).rejects.toThrow('no connection')
  }
  await using outbox = await Outbox.open(directory)
  expect(outbox.waiting).toBe(2)
  await outbox.queue('d')
  await outbox.flush(async (id, message) => void received.push(`${id} ${message}`))

  expect(received).toEqual(['1 a', '2 b', '3 c', '5 d'])
  expect(outbox.waiting).toBe(0)
})

test.each([0, 1, 2, 3, 4, 5])('a message that is queued while the last one is being noted as sent, %i steps on, is not truncated with it', async (steps) => {
  const directory = temporaryDirectory()
  const sent: string[] = []
  {
    await using outbox = await Outbox.open(directory)
    await outbox.queue('a')
    let queued: Promise<void> | undefined
    const queueSoon = async (): Promise<void> => {
      for (let step = 0; step < steps; step++) await Promise.resolve()
      queued = outbox.queue('b')
    }
    await outbox.flush(async (_, message) => {
      sent.push(message)
      if (message === 'a') void queueSoon()
    })
    await queued
  }
  await using outbox = await Outbox.open(directory)
  expect(sent.length + outbox.waiting).toBe(2)
})
