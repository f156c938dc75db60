import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { lockFile } from '../../src/files/directory-lock.js'
import { contendInProcess } from './lock-holders.js'

const root = fileURLToPath(new URL('../../../../', import.meta.url))
const useFiles = fileURLToPath(new URL('use-files.ts', import.meta.url))

let directory: string

beforeEach(() => {
  directory = realpathSync(mkdtempSync(join(tmpdir(), 'forelog-root-')))
})

afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
})

const without = (command: string, ...args: string[]): boolean => spawnSync(command, args).status !== 0

describe.each(['blocking', 'pooled'])('the system calls, %s', (way) => {
  const noStrace = without('strace', '-o', '/dev/null', 'true')
  beforeEach((context) => context.skip(noStrace, 'strace is missing, or may not trace here'))

  const stdout = (...strace: string[]): string =>
    execFileSync('strace', ['-f', '-qq', ...strace, process.execPath, '--import', 'tsx', useFiles, directory, way], {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    })

  /** What was called on the test's files, in order: `name(path…)`. */
  function calls(): string[] {
    const out = join(directory, 'trace')
    stdout('-y', '-o', out, '-e', 'trace=openat,pwrite64,pwritev,pwritev2,fsync,fdatasync,sync_file_range,ftruncate')
    return readFileSync(out, 'utf8')
      .split('\n')
      .filter((line) => line.includes(directory) && !line.includes('resumed>'))
      .map((line) => line.replace(/^\d+ +/, '').replaceAll(directory, '.'))
  }

  it('sync what they say: fdatasync, fsync, fsync of the directory, and O_DSYNC with no call more', () => {
    const seen = calls().filter((line) => !line.startsWith('openat'))
    const names = seen.map((line) => /^(\w+)\(\d+<\.?\/?([^>]*)>/.exec(line)?.slice(1).join(' '))
    expect(names).toEqual([
      'pwrite64 plain',
      'pwritev plain',
      'pwrite64 through',
      'pwritev through',
      'fdatasync plain',
      'fsync plain',
      'ftruncate plain',
      'fsync ',
    ])
  })

  it('open with O_DSYNC only to write through, always with O_CLOEXEC, never with O_APPEND', () => {
    const flags = (name: string): string => {
      const line = calls().find((call) => call.startsWith('openat') && call.includes(`"${name}"`))
      return /\b(O_[A-Z_|]+)/.exec(line ?? '')?.[1] ?? ''
    }
    const plain = flags('./plain').split('|')
    rmSync(join(directory, 'plain'))
    rmSync(join(directory, 'through'))
    const through = flags('./through').split('|')
    expect(plain.sort()).toEqual(['O_CLOEXEC', 'O_CREAT', 'O_EXCL', 'O_RDWR'])
    expect(through.sort()).toEqual(['O_CLOEXEC', 'O_CREAT', 'O_DSYNC', 'O_EXCL', 'O_RDWR'])
  })

  it.each(['pread64', 'pwrite64', 'pwritev', 'fdatasync'])('go on when the system interrupts %s', (call) => {
    const inject = `inject=${call}:error=EINTR:when=1`
    const trace = join(directory, 'trace')
    const text = stdout('-o', trace, '-P', join(directory, 'plain'), '-e', `trace=${call}`, '-e', inject)
    expect(text).toBe('piecepiecepiece')
    expect(readFileSync(trace, 'utf8')).toContain('EINTR')
  })

  it.each(['fdatasync', 'fsync', 'pwrite64'])('hand on EIO from %s', (call) => {
    const inject = `inject=${call}:error=EIO`
    expect(() => stdout('-o', '/dev/null', '-P', join(directory, 'plain'), '-e', `trace=${call}`, '-e', inject)).toThrow(/EIO/)
  })

  it('hand on a failing O_DSYNC write', () => {
    const through = join(directory, 'through')
    expect(() =>
      stdout('-o', '/dev/null', '-P', through, '-e', 'trace=pwrite64', '-e', 'inject=pwrite64:error=EIO'),
    ).toThrow(/EIO/)
  })
})

describe('the lock, where the system has the last word', () => {
  it('is refused to another pid namespace, and ends with its holder there', async (context) => {
    const unshare = ['unshare', '--pid', '--fork', '--kill-child']
    context.skip(without('unshare', '--pid', '--fork', 'true'), 'no new pid namespace can be made: that needs root')
    const path = join(directory, 'lock')

    const here = await lockFile(path, 0o600)
    const refused = await contendInProcess(path, { prefix: unshare })
    await refused.kill()
    expect(refused.outcome).toBe('ERR_WAL_LOCKED')
    await here.release()

    const there = await contendInProcess(path, { prefix: unshare })
    expect(there.outcome).toBe('locked')
    // It holds as process 1 of its namespace: an id that is alive in every other one, and means nothing there.
    await expect(lockFile(path, 0o600)).rejects.toMatchObject({ code: 'ERR_WAL_LOCKED', holder: { pid: 1 } })
    await there.kill()
    await expect
      .poll(() => lockFile(path, 0o600).then((lock) => lock.release().then(() => 'free'), () => 'held'))
      .toBe('free')
  })

  it.each(['ENOLCK', 'EOPNOTSUPP', 'EINVAL'])('is never waived where the system answers %s', async (code) => {
    const path = join(directory, 'lock')
    const strace = ['strace', '-f', '-qq', '-o', '/dev/null', '-P', path, '-e', 'trace=fcntl']
    const contender = await contendInProcess(path, { prefix: [...strace, '-e', `inject=fcntl:error=${code}`] })
    await contender.kill()
    expect(contender.outcome).toBe('ERR_WAL_OPTION')
  })
})
