/** Line 10 of docs/RELIABILITY.md: a directory has one writer: whoever comes second is refused, and nothing but the end of the first lets another one in. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { WriteAheadLog } from '../../src/index.js'
import { compile, type Compiled } from './real-writer/compile.js'
import { contend, contendInThread, type Contender, unshare, whyNoNamespace } from './two-writers/contenders.js'

let directory: string
let compiled: Compiled
let contenders: Contender[]

beforeAll(() => {
  compiled = compile('two-writers')
})

afterAll(() => compiled.remove())

beforeEach(() => {
  directory = join(mkdtempSync(join(tmpdir(), 'forelog-two-')), 'log')
  contenders = []
})

afterEach(async () => {
  await Promise.all(contenders.map((contender) => contender.kill()))
  rmSync(join(directory, '..'), { recursive: true, force: true })
})

const script = (): string => compiled.path('two-writers/open-log.ts')

async function another(prefix: readonly string[] = []): Promise<Contender> {
  const contender = await contend(script(), directory, prefix)
  contenders.push(contender)
  return contender
}

/** All bytes of the log: whoever is refused changes none of them. */
function bytesOfLog(): string[] {
  return readdirSync(directory)
    .sort()
    .map((name) => `${name} ${readFileSync(join(directory, name), 'hex')}`)
}

/** A log with one entry that is open, and at rest: it writes nothing unless it is told to. */
async function openAtRest(): Promise<WriteAheadLog> {
  const log = await WriteAheadLog.open(directory)
  await log.append(Buffer.from('first'))
  await log.close()
  return await WriteAheadLog.open(directory)
}

it('a second open in the same process is refused, and the first log goes on', async () => {
  const log = await openAtRest()
  const before = bytesOfLog()
  for (let attempt = 0; attempt < 3; attempt++) {
    await expect(WriteAheadLog.open(directory)).rejects.toMatchObject({ code: 'ERR_WAL_LOCKED', holder: { pid: process.pid } })
  }
  expect(bytesOfLog()).toEqual(before)
  expect(await log.append(Buffer.from('second'))).toBe(2)
  await log.close()
})

it('of two that open a directory at once in a process, one is let in', async () => {
  const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => WriteAheadLog.open(directory)))
  const logs = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
  expect(logs.length).toBe(1)
  for (const outcome of outcomes) if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'ERR_WAL_LOCKED' })
  await logs[0]?.close()
})

it('another process is refused, and changes nothing', async () => {
  const log = await openAtRest()
  const before = bytesOfLog()
  expect((await another()).outcome).toBe('ERR_WAL_LOCKED')
  expect(bytesOfLog()).toEqual(before)
  await log.append(Buffer.from('second'))
  await log.close()
  expect((await another()).outcome).toBe('opened 2')
})

it('a worker thread is refused, and one that has the log keeps this thread out until it ends', async () => {
  const log = await WriteAheadLog.open(directory)
  const refused = await contendInThread(script(), directory)
  expect(refused.outcome).toBe('ERR_WAL_LOCKED')
  await refused.kill()
  await log.close()
  const holder = await contendInThread(script(), directory)
  expect(holder.outcome).toBe('opened 0')
  await expect(WriteAheadLog.open(directory)).rejects.toMatchObject({ code: 'ERR_WAL_LOCKED' })
  await holder.kill()
  await (await WriteAheadLog.open(directory)).close()
})

it('SIGKILL of the writer frees the log at once, ten times over, with all that it acknowledged', async () => {
  for (let turn = 0; turn < 10; turn++) {
    const holder = await another()
    expect(holder.outcome).toBe(`opened ${turn * 2}`)
    await expect(WriteAheadLog.open(directory)).rejects.toMatchObject({ code: 'ERR_WAL_LOCKED' })
    await holder.kill()
    const log = await WriteAheadLog.open(directory)
    // One entry by each contender that was let in, one by this process.
    expect(log.lastOffset).toBe(turn * 2 + 1)
    await log.append(Buffer.from('again'))
    await log.close()
  }
})

it('of six processes that open a directory at once, one is let in', async () => {
  const outcomes = (await Promise.all(Array.from({ length: 6 }, () => another()))).map(({ outcome }) => outcome)
  expect(outcomes.sort()).toEqual([...Array.from({ length: 5 }, () => 'ERR_WAL_LOCKED'), 'opened 0'])
})

it('a process in another pid namespace is refused, and keeps others out until it is killed', async (context) => {
  const reason = whyNoNamespace()
  context.skip(reason !== undefined, reason)
  const log = await WriteAheadLog.open(directory)
  expect((await another(unshare)).outcome).toBe('ERR_WAL_LOCKED')
  await log.close()
  // Both are process 1 where they are: ids say nothing across namespaces.
  const there = await another(unshare)
  expect(there.outcome).toBe('opened 0')
  await expect(WriteAheadLog.open(directory)).rejects.toMatchObject({ code: 'ERR_WAL_LOCKED', holder: { pid: 1 } })
  expect((await another(unshare)).outcome).toBe('ERR_WAL_LOCKED')
  await there.kill()
  await expect.poll(() => WriteAheadLog.open(directory).then((opened) => opened.close().then(() => opened.lastOffset), () => 'locked')).toBe(1)
})

it('a log that could not be opened holds no lock', async () => {
  await (await openAtRest()).close()
  await expect(WriteAheadLog.open(directory, { format: 1 })).rejects.toMatchObject({ code: 'ERR_WAL_FORMAT' })
  expect((await another()).outcome).toBe('opened 1')
})
