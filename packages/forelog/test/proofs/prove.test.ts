/** `npm run prove` itself, on a copy of the library with a bug in it: what finds nothing there proves nothing here. */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../../../../', import.meta.url))

/** A bug that only a crash shows: what a segment holds when it appears under its name may never have reached the disk. */
const bug = { file: 'packages/forelog/src/files/durable-file.ts', from: 'yield* this.#temporary.dataSync()', to: '' }

let home: string

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'forelog-broken-'))
  for (const path of ['packages/forelog/src', 'packages/forelog/test', 'packages/forelog/package.json', 'scripts', 'package.json', 'vitest.config.ts', 'tsconfig.base.json', 'tsconfig.json']) {
    cpSync(join(root, path), join(home, path), { recursive: true })
  }
  symlinkSync(join(root, 'node_modules'), join(home, 'node_modules'))
})

afterAll(() => rmSync(home, { recursive: true, force: true }))

function setBug(isThere: boolean): void {
  const source = readFileSync(join(root, bug.file), 'utf8')
  expect(source.split(bug.from).length, 'the place of the bug').toBe(2)
  writeFileSync(join(home, bug.file), isThere ? source.replace(bug.from, bug.to) : source)
}

function prove(...args: string[]): { status: number | null; output: string } {
  const { FORELOG_PROOFS: _proofs, FORELOG_RUNS: _runs, FORELOG_SECONDS: _seconds, FORELOG_SEED: _seed, FORELOG_TEST_REPORT: _report, ...env } = process.env
  const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/prove.mjs', ...args], { cwd: home, env: { ...env, NO_COLOR: '1' }, encoding: 'utf8' })
  return { status, output: stdout + stderr }
}

/** What a shell makes of the line. */
function argumentsOf(line: string): string[] {
  return [...line.replace('npm run prove -- ', '').matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '')
}

it('a library with a bug is found out by some seed; the line that is printed plays it again, and finds nothing in a library without the bug', { timeout: 300_000 }, () => {
  setBug(true)
  const found = prove('--only', 'simulated crashes', '--runs', '0.05', '--seed', '40')
  expect(found.status, found.output).toBe(1)
  expect(found.output).toContain('VIOLATED: keeps every promise in simulated crashes')
  const [, line = ''] = /^again: (npm run prove -- .*)$/m.exec(found.output) ?? []
  expect(line, found.output).toMatch(/^npm run prove -- --only 'simulated crashes' --runs 0 --seed \d+$/)
  const [what = ''] = /seed \d+, format [12], a crash after .*/.exec(found.output) ?? []
  expect(what).not.toBe('')

  const played = prove(...argumentsOf(line))
  expect(played.status, played.output).toBe(1)
  expect(played.output).toContain(what)

  setBug(false)
  const mended = prove(...argumentsOf(line))
  expect(mended.status, mended.output).toBe(0)
  expect(mended.output).toMatch(/│ 'simulated crashes' +│ \d+ +│ 'crashes, seeds (\d+) to \1' +│ 0 /)
  expect(mended.output).toContain('no violation')
})
