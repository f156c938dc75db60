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
