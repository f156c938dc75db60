import { Agent, request } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { type FileSystem, type Logger, WriteAheadLog } from 'forelog'
import { SimulatedDisk } from 'forelog/testing'
import pino from 'pino'
import { expect, onTestFinished, test } from 'vitest'
import { overriding } from '../support/overriding.js'
import { startExample, temporaryDirectory } from '../support/run-example.js'
import { buildApp, entries, type Event } from './app.js'

const event = (id: string, data: object = { apples: 1 }): Event => ({ id, type: 'ordered', data })
const silent = pino({ level: 'silent' })

/** On a disk in memory, which can be made to fail. */
async function appOnDisk(): Promise<{ app: FastifyInstance; disk: SimulatedDisk }> {
  const disk = new SimulatedDisk({ directories: ['/data'] })
  return { disk, app: await buildApp('/data', silent, { fileSystem: disk }) }
}

const post = (app: FastifyInstance, payload: object | string) =>
  app.inject({ method: 'POST', url: '/events', payload, headers: { 'content-type': 'application/json' } })

/** The ids that a log holds, by their offsets. */
async function idsIn(directory: string, fileSystem?: SimulatedDisk): Promise<Map<number, string>> {
  await using log = await WriteAheadLog.open(directory, { entries, ...(fileSystem === undefined ? {} : { fileSystem }) })
  return new Map([...log.entriesSync()].map(({ offset, entry }) => [offset, entry.value.id]))
}

test('an event is answered with 202 and its offset, and stands there after a power cut that loses all that was not synced', async () => {
  const { app, disk } = await appOnDisk()
  const answers = await Promise.all(['a', 'b', 'c'].map((id) => post(app, event(id))))
  expect(answers.map(({ statusCode }) => statusCode)).toEqual([202, 202, 202])
  expect(answers.map((answer) => answer.json().offset)).toEqual([1, 2, 3])
  expect((await app.inject('/health')).json()).toEqual({ state: 'open', durableOffset: 3 })

  expect(await idsIn('/data', disk.crash('none'))).toEqual(new Map([[1, 'a'], [2, 'b'], [3, 'c']]))
})

test.each([
  ['is not JSON', '{', 400],
  ['has no id', { type: 'ordered', data: {} }, 400],
  ['has a number where a text is asked for', { ...event('a'), type: 7 }, 400],
  ['has a field that nobody knows', { ...event('a'), more: true }, 400],
  ['is too large as it comes', event('a', { text: 'x'.repeat(70_000) }), 413],
  ['is too large as it is stored', `{"id":"a","type":"t","data":{"n":[${new Array(13_000).fill('1e20').join(',')}]}}`, 413],
])('an event that %s is refused, and the log goes on', async (_, payload, status) => {
  const { app } = await appOnDisk()
  expect((await post(app, payload)).statusCode).toBe(status)
  expect((await post(app, event('b'))).json()).toEqual({ offset: 1 })
})

test('a full disk is 503 with Retry-After, nothing of the event stays, and the next one is taken when there is room', async () => {
  const { app, disk } = await appOnDisk()
  disk.fail({ kind: 'write', code: 'ENOSPC' })
  const refused = await post(app, event('a'))
  expect([refused.statusCode, refused.headers['retry-after']]).toEqual([503, '30'])
  expect(refused.json().code).toBe('ERR_WAL_NO_SPACE')

  expect((await post(app, event('b'))).statusCode).toBe(202)
  await app.close()
  expect(await idsIn('/data', disk)).toEqual(new Map([[1, 'b']]))
})

/** The same disk, but its writes wait until `gate` resolves. */
function slowed(disk: SimulatedDisk, gate: () => Promise<void>): FileSystem {
  return overriding<FileSystem>(disk, {
    open: async (path, options) => {
      const file = await disk.open(path, options)
      return overriding(file, { write: async (pieces, position) => gate().then(() => file.write(pieces, position)) })
    },
  })
}

test('more than the disk takes is 503 with Retry-After, exactly what was answered with 202 is stored, and later events are taken', async () => {
  const disk = new SimulatedDisk({ directories: ['/data'] })
  let gate = Promise.resolve()
  const app = await buildApp('/data', silent, { maxPendingBytes: 1000, fileSystem: slowed(disk, () => gate) })
  let letGo = (): void => {}
  gate = new Promise((resolve) => (letGo = resolve))
  const answers = await Promise.all(
    Array.from({ length: 100 }, async (_, n) => {
      const answer = await post(app, event(`e${n}`))
      letGo() // the first answers are refusals: the disk takes nothing yet
      return answer
    }),
  )
  const refused = answers.filter(({ statusCode }) => statusCode === 503)
  expect(refused.length).toBeGreaterThan(0)
  expect(new Set(refused.map(({ headers }) => headers['retry-after']))).toEqual(new Set(['1']))
  expect((await post(app, event('later'))).statusCode).toBe(202)
  await app.close()

  const taken = answers.flatMap((answer, n) => (answer.statusCode === 202 ? [[answer.json().offset, `e${n}`] as const] : []))
  expect(taken.length).toBeGreaterThan(0)
  expect(taken.length + refused.length).toBe(100)
  expect(await idsIn('/data', disk)).toEqual(new Map([...taken, [taken.length + 1, 'later']]))
})

test('a log that has failed is 500 for all that is under way, and the service shuts down', async () => {
  const { app, disk } = await appOnDisk()
  const closed = new Promise<void>((resolve) => app.addHook('onClose', async () => resolve()))
  onTestFinished(() => (process.exitCode = undefined))
  expect((await post(app, event('a'))).statusCode).toBe(202)
  disk.fail({ kind: ['dataSync', 'write'], code: 'EIO', times: Infinity })
  const answers = await Promise.all([post(app, event('b')), post(app, event('c'))])
  expect(answers.map(({ statusCode }) => statusCode)).toEqual([500, 500])
  await closed
  await app.close()
  expect(process.exitCode).toBe(1)

  disk.heal()
  expect((await idsIn('/data', disk)).get(1)).toBe('a')
})

test("the log speaks through the application's logger", async () => {
  const lines: Record<string, unknown>[] = []
  const logger = pino({}, { write: (line: string) => void lines.push(JSON.parse(line)) })
  const app = await buildApp(temporaryDirectory(), logger satisfies Logger)
  await app.close()
  expect(lines.filter(({ component }) => component === 'log').map(({ msg }) => msg)).toEqual(['opened a log', 'closed the log'])
})

interface Answer {
  readonly status: number
  readonly body: string
}

/** Over a real connection; undefined: it was cut, and nobody knows. */
function send(port: string, agent: Agent, id: string): Promise<Answer | undefined> {
  return new Promise((resolve) => {
    const headers = { 'content-type': 'application/json' }
    const sent = request({ port, agent, method: 'POST', path: '/events', headers }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (text: string) => (body += text))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body })).on('error', () => resolve(undefined))
    })
    sent.on('error', () => resolve(undefined)).end(JSON.stringify(event(id)))
  })
}

function agentOf(connections: number): Agent {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  onTestFinished(() => agent.destroy())
  return agent
}

async function start(directory: string) {
  const running = startExample('fastify-ingest/main.ts', [directory, '0'])
  const [, port = ''] = /127\.0\.0\.1:(\d+)/.exec(await running.line('Server listening at')) ?? []
  return { ...running, port }
}

test('on SIGTERM every request that was taken in gets its answer, then the log is closed, and the process ends with 0', async () => {
  const directory = temporaryDirectory()
  const { child, ended, port } = await start(directory)
  const agent = agentOf(10)
  const answers = new Map<string, Answer>()
  let sent = 0
  // Ten senders, each goes on until the service has gone.
  const sender = async (): Promise<void> => {
    for (;;) {
      const id = `e${sent++}`
      const answer = await send(port, agent, id)
      if (answer?.status !== 202) return
      answers.set(id, answer)
      if (answers.size === 200) child.kill('SIGTERM')
    }
  }
  await Promise.all(Array.from({ length: 10 }, sender))
  expect(await ended).toEqual([0, null])

  expect(answers.size).toBeGreaterThanOrEqual(200)
  const log = await WriteAheadLog.open(directory, { entries })
  expect(log.recovery.clean).toBe(true)
  expect(log.lastOffset).toBe(answers.size)
  await log.close()
})

test('whenever the service is killed, every event that got a 202 is in the log at the offset that it was told', async () => {
  const directory = temporaryDirectory()
  const told = new Map<number, string>()
  const agent = agentOf(20)
  let sent = 0
  for (let life = 1; life <= 5; life++) {
    const { child, ended, port } = await start(directory)
    const killAt = told.size + 37 * life
    const sender = async (): Promise<void> => {
      for (;;) {
        const id = `e${sent++}`
        const answer = await send(port, agent, id)
        if (answer === undefined) return
        expect(answer.status).toBe(202)
        told.set(JSON.parse(answer.body).offset, id)
        if (told.size === killAt) child.kill('SIGKILL')
      }
    }
    await Promise.all(Array.from({ length: 20 }, sender))
    expect(await ended).toEqual([null, 'SIGKILL'])

    const stored = await idsIn(directory)
    for (const [offset, id] of told) expect(stored.get(offset)).toBe(id)
  }
  expect(told.size).toBeGreaterThan(5 * 37)
})
