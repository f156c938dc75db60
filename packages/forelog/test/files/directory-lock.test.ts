import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { WalError } from '../../src/errors.js'
import { examineLock, lockDescriptor, lockFile, lockMethods, type LockMethod } from '../../src/files/directory-lock.js'
import type { FileLock } from '../../src/files/file-system.js'
import { nodeFileSystem } from '../../src/files/node-file-system.js'
import { type Contender, contendInProcess, contendInWorker } from './lock-holders.js'

let directory: string
let path: string
let locks: FileLock[]
let contenders: Contender[]

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'forelog-lock-'))
  path = join(directory, 'lock')
  locks = []
  contenders = []
})

afterEach(async () => {
  for (const contender of contenders) await contender.kill()
  for (const lock of locks) await lock.release()
  rmSync(directory, { recursive: true, force: true })
})

async function take(method?: LockMethod): Promise<FileLock> {
  const lock = await lockFile(path, 0o600, method)
  locks.push(lock)
  return lock
}

async function refusal(attempt: Promise<unknown>): Promise<WalError> {
  const error: unknown = await attempt.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof WalError)) throw new Error(`no WalError: ${String(error)}`)
  return error
}

async function fromProcess(method?: string): Promise<Contender> {
  const contender = await contendInProcess(path, method === undefined ? {} : { method })
  contenders.push(contender)
  return contender
}

async function fromWorker(method?: string): Promise<Contender> {
  const contender = await contendInWorker(path, method)
  contenders.push(contender)
  return contender
}

function missing(name: keyof typeof lockMethods): string | undefined {
  try {
    lockMethods[name]()
    return undefined
  } catch (error) {
    return `this machine has no ${name} lock: ${String(error).split('\n', 1)[0] ?? ''}`
  }
}

const names = ['addon', 'prebuilt', 'sqlite'] as const

describe.each(names)('the lock by %s', (name) => {
  const reason = missing(name)
  beforeEach((context) => context.skip(reason !== undefined, reason))

  it('is refused to a second holder in the same process, with the holder named', async () => {
    await take(lockMethods[name]())
    const error = await refusal(lockFile(path, 0o600, lockMethods[name]()))
    expect(error.code).toBe('ERR_WAL_LOCKED')
    expect(error.path).toBe(path)
    expect(error.holder).toMatchObject({ pid: process.pid, hostname: hostname() })
    expect(Date.parse(error.holder?.since ?? '')).toBeGreaterThan(0)
    expect(error.message).toContain(`process ${process.pid}, this one`)
  })

  it('survives the refusals: a third is refused as well', async () => {
    await take(lockMethods[name]())
    await refusal(lockFile(path, 0o600, lockMethods[name]()))
    expect((await fromProcess(name)).outcome).toBe('ERR_WAL_LOCKED')
    await refusal(lockFile(path, 0o600, lockMethods[name]()))
    expect((await fromProcess()).outcome).toBe('ERR_WAL_LOCKED')
  })

  it('is refused to a worker thread', async () => {
    await take(lockMethods[name]())
    expect((await fromWorker(name)).outcome).toBe('ERR_WAL_LOCKED')
  })

  it('that a worker thread holds is refused to this one, and ends with the thread', async () => {
    const holder = await fromWorker(name)
    expect(holder.outcome).toBe('locked')
    expect((await refusal(lockFile(path, 0o600, lockMethods[name]()))).code).toBe('ERR_WAL_LOCKED')
    await holder.kill()
    await take(lockMethods[name]())
  })

  it('that another process holds is refused, and is free the moment it is killed', async () => {
    const holder = await fromProcess(name)
    expect(holder.outcome).toBe('locked')
    const error = await refusal(lockFile(path, 0o600, lockMethods[name]()))
    expect(error).toMatchObject({ code: 'ERR_WAL_LOCKED', holder: { pid: holder.pid } })
    await holder.kill()
    await take(lockMethods[name]())
  })

  it('can be taken again after it was released, and releasing twice frees nobody else', async () => {
    const first = await take(lockMethods[name]())
    await Promise.all([first.release(), first.release()])
    await take(lockMethods[name]())
    await first.release()
    expect((await fromProcess(name)).outcome).toBe('ERR_WAL_LOCKED')
  })

  it('makes an empty file with the permissions asked for, leaves it, and makes none but the note beside it', async () => {
    const lock = await take(lockMethods[name]())
    expect(readdirSync(directory).sort()).toEqual(['lock', 'lock.json'])
    await lock.release()
    expect(readdirSync(directory)).toEqual(['lock'])
    expect(statSync(path).size).toBe(0)
    if (process.platform !== 'win32') expect(statSync(path).mode & 0o777).toBe(0o600)
  })

  it.for(names)('is refused to one who locks by %s', async (other, context) => {
    context.skip(missing(other) !== undefined, missing(other))
    await take(lockMethods[name]())
    expect((await fromProcess(other)).outcome).toBe('ERR_WAL_LOCKED')
    expect((await fromProcess(other)).outcome).toBe('ERR_WAL_LOCKED')
  })
})

describe('the lock of a directory', () => {
  it('never gets stale: files that a dead holder left behind keep nobody out', async () => {
    writeFileSync(path, '')
    writeFileSync(`${path}.json`, JSON.stringify({ pid: process.pid, hostname: hostname(), since: '2020-01-01T00:00:00Z' }))
    await take()
    expect(JSON.parse(readFileSync(`${path}.json`, 'utf8'))).not.toMatchObject({ since: '2020-01-01T00:00:00Z' })
  })

  it.each([
    ['nothing', ''],
    ['half a sentence', '{"pid": 12'],
    ['a list', '[1, 2]'],
    ['null', 'null'],
    ['wrong types', '{"pid": "12", "hostname": {}, "since": 5}'],
    ['terminal escapes', '{"hostname": "\\u001b[2J", "since": "\\u001b[2J"}'],
    ['far too much', `{"pid": 1, "x": "${'x'.repeat(100_000)}"}`],
  ])('is refused without a holder where the note holds %s', async (_, note) => {
    await take()
    writeFileSync(`${path}.json`, note)
    const error = await refusal(lockFile(path, 0o600))
    expect(error).toMatchObject({ code: 'ERR_WAL_LOCKED', holder: {} })
    expect(Object.keys(error.holder ?? {})).toEqual([])
    expect(error.message).toContain('who, is not known')
  })

  it('is taken where the note about the holder cannot be written', async () => {
    rmSync(directory, { recursive: true })
    directory = mkdtempSync(join(tmpdir(), 'forelog-lock-'))
    path = join(directory, 'lock')
    await nodeFileSystem.makeDirectory(`${path}.json`, 0o700)
    await take()
    expect((await refusal(lockFile(path, 0o600))).code).toBe('ERR_WAL_LOCKED')
  })

  it('says why when the lock file cannot be made', async () => {
    const error = await refusal(lockFile(join(directory, 'absent', 'lock'), 0o600))
    expect(error.code).toBe('ERR_WAL_WRITE_FAILED')
    expect((error.cause as NodeJS.ErrnoException).code).toBe('ENOENT')
  })

  it.each(['ENOLCK', 'EOPNOTSUPP', 'EINVAL', 'EIO'])(
    'is refused with the reason where the system answers %s, never waived',
    async (code) => {
      const cause = Object.assign(new Error('the reason'), { code })
      const method = lockDescriptor(() => {
        throw cause
      })
      const error = await refusal(lockFile(path, 0o600, method))
      expect(error).toMatchObject({ code: 'ERR_WAL_OPTION', option: 'fileSystem', path, cause })
      expect(error.message).toContain('the reason')
    },
  )

  it('is what nodeFileSystem.lock takes', async () => {
    locks.push(await nodeFileSystem.lock(path, 0o600))
    expect((await refusal(nodeFileSystem.lock(path, 0o600))).code).toBe('ERR_WAL_LOCKED')
    expect((await fromProcess()).outcome).toBe('ERR_WAL_LOCKED')
  })

  it('that is brief is refused as any other, makes no note while it is, and one that tells its holder when it is not', async () => {
    const soonFree = await nodeFileSystem.lock(path, 0o600, true)
    expect((await fromProcess()).outcome).toBe('ERR_WAL_LOCKED')
    await soonFree.release()
    const lock = await nodeFileSystem.lock(path, 0o600, true)
    locks.push(lock)
    expect(readdirSync(directory)).toEqual(['lock'])
    await vi.waitFor(async () => expect((await refusal(nodeFileSystem.lock(path, 0o600))).holder).toMatchObject({ pid: process.pid }))
    await lock.release()
    expect(readdirSync(directory)).toEqual(['lock'])
  })
})

describe('examining a lock', () => {
  it('tells that nobody holds it, who holds it, and makes no file', async () => {
    expect(await examineLock(path)).toEqual({ held: false, holder: {} })
    expect(readdirSync(directory)).toEqual([])
    const lock = await take()
    expect(await examineLock(path)).toMatchObject({ held: true, holder: { pid: process.pid } })
    expect((await refusal(lockFile(path, 0o600))).code).toBe('ERR_WAL_LOCKED')
    await lock.release()
    expect(await examineLock(path)).toEqual({ held: false, holder: {} })
  })

  it('is not taken in by what a holder left that died', async () => {
    writeFileSync(path, '')
    writeFileSync(`${path}.json`, JSON.stringify({ pid: 1, hostname: 'gone', since: '2026-01-01T00:00:00.000Z' }))
    expect(await examineLock(path)).toMatchObject({ held: false, holder: { pid: 1, hostname: 'gone' } })
  })
})
