import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { WriteAheadLog } from 'forelog'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../support/run-example.js'
import { entries, retire, shipBeside, shipFrom } from './cursor-outbox.js'

test('every message reaches an endpoint that fails now and then, in order, from the process that writes and from beside it', async () => {
  const directory = temporaryDirectory()
  const taken: string[] = []
  let requests = 0
  let onTaken = (): void => {}
  // Each third request is refused; each fifth is taken, but the answer is lost.
  const server = createServer((request, response) => {
    void json(request).then((body) => {
      requests++
      if (requests % 3 === 0) return response.writeHead(503).end()
      taken.push(`${String(request.headers['idempotency-key'])} ${(body as { text: string }).text}`)
      onTaken()
      if (requests % 5 === 0) return response.destroy()
      return response.end()
    })
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const until = async (last: string, shipping: (signal: AbortSignal) => Promise<void>): Promise<void> => {
    const stop = new AbortController()
    const isThere = new Promise<void>((resolve) => (onTaken = () => taken.includes(last) && resolve()))
    const shipped = shipping(stop.signal)
    await isThere
    stop.abort()
    await shipped
  }

  const log = await WriteAheadLog.open(directory, { entries })
  for (let n = 1; n <= 10; n++) await log.append(entries.message({ to: 'a', text: `n${n}` }))
  await until('10 n10', (signal) => shipFrom(log, url, signal))
  for (let n = 11; n <= 20; n++) await log.append(entries.message({ to: 'a', text: `n${n}` }))
  await until('20 n20', (signal) => shipBeside(directory, url, signal))

  const expected = Array.from({ length: 20 }, (_, index) => `${index + 1} n${index + 1}`)
  expect([...new Set(taken)]).toEqual(expected)
  expect(taken.length).toBeGreaterThan(20)
  const lines: string[] = []
  await retire(log, (line) => lines.push(line))
  expect(lines).toEqual(['shipper: 20, 0 behind, holds'])
  expect(await log.cursors()).toEqual([])
  await log.close()
  server.close()
})
