import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { StoreChild } from '../../proofs/store-child.ts'

const task = { task: 'fill', subject: 'a store', directory: '', count: 1, closes: true, seed: 1, maxBytes: 20 } as const

let home: string
const children: StoreChild[] = []

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'forelog-child-'))
})
afterEach(async () => {
  for (const child of children.splice(0)) await child.kill()
  rmSync(home, { recursive: true, force: true })
})

/** A process that does this with each message. */
function childThat(does: string): StoreChild {
  const script = join(home, 'child.mjs')
  writeFileSync(script, `process.on('message', (task) => { ${does} })`)
  const child = new StoreChild(script)
  children.push(child)
  return child
}

test('a process that answers is heard, again and again', async () => {
  const child = childThat('process.send({ outcome: task.subject })')
  expect(await child.ask(task, 30_000)).toEqual({ outcome: 'a store' })
  expect(await child.ask({ ...task, subject: 'another' }, 30_000)).toEqual({ outcome: 'another' })
})

test('a process that dies has crashed, and says of what', async () => {
  const child = childThat("process.kill(process.pid, 'SIGSEGV')")
  expect(await child.ask(task, 30_000)).toBe('crash')
  expect(await child.signal()).toBe('SIGSEGV')
})

test('a process that comes to no end hangs', async () => {
  expect(await childThat('for (;;);').ask(task, 300)).toBe('hang')
})

test('a failure of the test itself is no crash of a store', async () => {
  await expect(childThat("process.send({ broken: 'no space' })").ask(task, 30_000)).rejects.toThrow('fill of a store: no space')
})
