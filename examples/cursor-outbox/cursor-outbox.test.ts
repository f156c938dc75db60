import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { type LogOf, WriteAheadLog } from 'forelog'
import { expect, onTestFinished, test } from 'vitest'
import { startExample, temporaryDirectory } from '../support/run-example.js'
import { entries, retire, shipBeside, shipFrom, type Shipping } from './cursor-outbox.js'

interface Taken {
  readonly key: number
  readonly text: string
}

/** A real server, on a port of its own. */
async function endpoint(answer: (taken: Taken, request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer((request, response) => {
    void json(request).then((body) => answer({ key: Number(request.headers['idempotency-key']), text: (body as { text: string }).text }, request, response))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

/** Each third request is refused with 503; each fifth is taken, but the answer is lost. */
function failingNowAndThen(onTaken: (taken: Taken) => void): Parameters<typeof endpoint>[0] {
  let requests = 0
  return (taken, _, response) => {
    requests++
    if (requests % 3 === 0) return void response.writeHead(503).end()
    onTaken(taken)
    if (requests % 5 === 0) response.destroy()
    else response.end()
  }
}

async function logWith(directory: string, messages: number): Promise<LogOf<typeof entries>> {
  const log = await WriteAheadLog.open(directory, { entries })
  await Promise.all(Array.from({ length: messages }, (_, n) => log.append(entries.message({ to: 'a', text: `n${n + 1}` }))))
  return log
}

const neverRefused = (offset: number): never => expect.fail(`${offset} was refused`)

test('every message reaches an endpoint that fails now and then, in order, from the process that writes and from beside it', async () => {
  const directory = temporaryDirectory()
  const taken: Taken[] = []
  let onTaken = (): void => {}
  const url = await endpoint(
    failingNowAndThen((one) => {
      taken.push(one)
      onTaken()
    }),
  )
  const until = async (last: number, shipping: (options: Shipping) => Promise<void>): Promise<void> => {
    const stop = new AbortController()
    const isThere = new Promise<void>((resolve) => (onTaken = () => taken.at(-1)?.key === last && resolve()))
    const shipped = shipping({ url, signal: stop.signal, onRefused: neverRefused, pauseMs: 1 })
    await isThere
    stop.abort()
    await shipped
  }

  const log = await logWith(directory, 10)
  await until(10, (options) => shipFrom(log, options))
  for (let n = 11; n <= 20; n++) await log.append(entries.message({ to: 'a', text: `n${n}` }))
  await until(20, (options) => shipBeside(directory, options))

  expect([...new Map(taken.map(({ key, text }) => [key, text]))]).toEqual(Array.from({ length: 20 }, (_, n) => [n + 1, `n${n + 1}`]))
  expect(taken.length).toBeGreaterThan(20)
  await log.close()
})

test('a shipper that is killed again and again goes on where it was: nothing is missing, and what comes again has the same key', async () => {
  const directory = temporaryDirectory()
  const log = await logWith(directory, 60)
  const taken: Taken[] = []
  let onRequest = (_: number): void => {}
  let onTaken = (_: number): void => {}
  const url = await endpoint(
    ((fails) => (one, request, response) => {
      onRequest(one.key)
      fails(one, request, response)
    })(
      failingNowAndThen((one) => {
        taken.push(one)
        onTaken(one.key)
      }),
    ),
  )

  for (const killAt of [7, 20, 21, 38, 60]) {
    const newest = Math.max(0, ...taken.map(({ key }) => key))
    const shipper = startExample('cursor-outbox/main.ts', [directory, url, '1'])
    const begins = new Promise<number>((resolve) => (onRequest = resolve))
    // Taken, and perhaps not yet committed: nobody knows, and so it may come again.
    onTaken = (key) => {
      if (key === killAt) shipper.child.kill('SIGKILL')
    }
    expect(await shipper.ended).toEqual([null, 'SIGKILL'])
    expect([newest, newest + 1]).toContain(await begins)
  }
  const texts = new Map(taken.map(({ key, text }) => [key, text]))
  expect([...texts]).toEqual(Array.from({ length: 60 }, (_, n) => [n + 1, `n${n + 1}`]))
  for (const { key, text } of taken) expect(text).toBe(texts.get(key))
  await log.close()
})

test('a message that will never be taken is put aside, and those behind it are shipped', async () => {
  const log = await logWith(temporaryDirectory(), 3)
  const stop = new AbortController()
  const refused: number[] = []
  const url = await endpoint(({ key }, _, response) => {
    response.writeHead(key === 2 ? 422 : 200).end()
    if (key === 3) response.once('close', () => stop.abort())
  })
  await shipFrom(log, { url, signal: stop.signal, onRefused: (offset) => void refused.push(offset) })
  expect(refused).toEqual([2])
  expect((await log.cursors())[0]?.offset).toBeGreaterThanOrEqual(2)
  await log.close()
})

test('a shipper that finds nobody there ends when it is told to, and has committed nothing', async () => {
  const log = await logWith(temporaryDirectory(), 1)
  const stop = new AbortController()
  let attempts = 0
  const url = await endpoint((_, __, response) => {
    response.destroy()
    if (++attempts === 2) stop.abort()
  })
  await shipFrom(log, { url, signal: stop.signal, onRefused: neverRefused, pauseMs: 1 })
  expect(await log.cursors()).toMatchObject([{ name: 'shipper', offset: 0, lag: 1 }])
  const lines: string[] = []
  await retire(log, (line) => lines.push(line))
  expect(lines).toEqual(['shipper: 0, 1 behind, holds'])
  expect(await log.cursors()).toEqual([])
  await log.close()
})
