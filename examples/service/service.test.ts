import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { WriteAheadLog } from 'forelog'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../support/run-example.js'

test('orders that were answered with 201 are there after a shutdown, which is clean, and others are refused', async () => {
  const directory = temporaryDirectory()
  const main = fileURLToPath(new URL('main.ts', import.meta.url))
  const tsconfig = fileURLToPath(new URL('../../tsconfig.base.json', import.meta.url))
  const tsx = createRequire(import.meta.url).resolve('tsx/cli')
  const child = spawn(process.execPath, [tsx, '--tsconfig', tsconfig, main, directory], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
  const { port } = JSON.parse(line.slice('listening '.length)) as { port: number }
  const order = (body: string): Promise<Response> => fetch(`http://127.0.0.1:${port}`, { method: 'POST', body, headers: { connection: 'close' } })

  const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => order(JSON.stringify({ item: 'apples', amount: n + 1 }))))
  expect(answers.map(({ status }) => status)).toEqual(new Array(20).fill(201))
  expect((await order('{"item":"apples","amount":-1}')).status).toBe(400)
  expect((await order('{')).status).toBe(400)

  child.kill('SIGTERM')
  expect(await once(child, 'close')).toEqual([0, null])

  await using log = await WriteAheadLog.open(directory)
  expect(log.lastOffset).toBe(20)
  expect(log.recovery.clean).toBe(true)
})
