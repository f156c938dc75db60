import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { compile } from './real-writer/compile.js'

it('an open log, its retention, a reader beside it, and those who follow the log keep no process alive', () => {
  const compiled = compile('real-writer')
  const home = mkdtempSync(join(tmpdir(), 'forelog-alive-'))
  try {
    const script = `
      import { WriteAheadLog } from ${JSON.stringify(compiled.path('../../src/index.ts'))}
      const log = await WriteAheadLog.open(${JSON.stringify(home)}, { maxSegmentSize: 1, retention: { maxAgeMs: 3_600_000, passedByCursors: true } })
      await log.append(new Uint8Array(1))
      await log.append(new Uint8Array(1))
      const { segments } = await log.applyRetention()
      if (segments !== 0 || log.segments().length !== 2) throw new Error('nothing was to be dropped')
      const reader = await WriteAheadLog.openReader(${JSON.stringify(home)})
      const follow = async (source) => { for await (const { offset } of source.follow()) console.log(offset) }
      void follow(log)
      await reader.get(1)
    `
    const { status, signal, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8', timeout: 30_000 })
    expect([signal, stderr, status]).toEqual([null, '', 0])
  } finally {
    rmSync(home, { recursive: true, force: true })
    compiled.remove()
  }
})
