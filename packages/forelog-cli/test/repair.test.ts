import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type RepairPlan, type RepairResult, WriteAheadLog } from 'forelog'
import { describe, expect, it } from 'vitest'
import { damages, forelog, makeScratch, snapshot, writeOrders } from './support/command.js'

async function offsetsOf(directory: string): Promise<number[]> {
  const log = await WriteAheadLog.open(directory)
  const offsets: number[] = []
  for await (const { offset } of log.entries()) offsets.push(offset)
  await log.close()
  return offsets
}

describe('forelog repair', () => {
  it('shows what it would do and changes nothing with --dry-run', async () => {
    using scratch = makeScratch()
    await writeOrders(scratch.at('log'))
    damages['a flipped bit']?.(scratch.at('log'))
    const before = snapshot(scratch.at('log'))
    const { code, out } = forelog(['repair', scratch.at('log'), '--dry-run'])
    expect(code).toBe(0)
    expect(out).toContain('flip bit 3 of byte 700')
    expect(out).toContain('Nothing is lost.')
    expect(snapshot(scratch.at('log'))).toEqual(before)
  })

  it('mends a flipped bit, and nothing is lost', async () => {
    using scratch = makeScratch()
    await writeOrders(scratch.at('log'))
    damages['a flipped bit']?.(scratch.at('log'))
    const { code, out } = forelog(['repair', scratch.at('log'), '--yes'])
    expect(code).toBe(0)
    expect(out).toContain('✓ sound')
    expect(await offsetsOf(scratch.at('log'))).toHaveLength(180)
    expect(readdirSync(scratch.at('log/quarantine'))).toHaveLength(1)
  })

  it('changes nothing where nobody can be asked', async () => {
    using scratch = makeScratch()
    await writeOrders(scratch.at('log'))
    damages['a flipped bit']?.(scratch.at('log'))
    const before = snapshot(scratch.at('log'))
    const { code, err } = forelog(['repair', scratch.at('log')], { input: 'yes\n' })
    expect(code).toBe(2)
    expect(err).toContain('--yes')
    expect(snapshot(scratch.at('log'))).toEqual(before)
  })

  it.each(Object.keys(damages))('after each way that it offers out of %s, the log opens and verifies', async (name) => {
    using scratch = makeScratch()
    await writeOrders(scratch.at('log'))
    damages[name]?.(scratch.at('log'))
    const { plan } = JSON.parse(forelog(['repair', scratch.at('log'), '--dry-run', '--json']).out) as { plan: RepairPlan }
    if (plan.state === 'impossible') {
      const before = snapshot(scratch.at('log'))
      expect(forelog(['repair', scratch.at('log'), '--yes']).code).toBe(1)
      expect(snapshot(scratch.at('log'))).toEqual(before)
      return
    }
    if (plan.state === 'decide') {
      const before = snapshot(scratch.at('log'))
      expect(forelog(['repair', scratch.at('log'), '--yes']).code).toBe(1)
      expect(snapshot(scratch.at('log'))).toEqual(before)
    }
    const ways = plan.state === 'decide' ? plan.choices.map(({ keep }) => ['--keep', keep]) : [[]]
    for (const way of ways) {
      using copied = makeScratch()
      await writeOrders(copied.at('log'))
      damages[name]?.(copied.at('log'))
      const { code, out } = forelog(['repair', copied.at('log'), '--yes', '--json', ...way])
      expect({ way, code }).toEqual({ way, code: 0 })
      const { report, quarantined } = JSON.parse(out) as RepairResult
      for (const path of quarantined) expect(existsSync(path)).toBe(true)
      expect(forelog(['verify', copied.at('log')]).code).toBe(0)
      expect(await offsetsOf(copied.at('log'))).toHaveLength(report.lastOffset - report.firstOffset + 1)
    }
  })

  it('says who is writing, and refuses to repair beside a writer', async () => {
    using scratch = makeScratch()
    await writeOrders(scratch.at('log'))
    const log = await WriteAheadLog.open(scratch.at('log'))
    damages['a flipped bit']?.(scratch.at('log'))
    expect(forelog(['repair', scratch.at('log'), '--dry-run']).out).toContain(`process ${process.pid}`)
    const { code, err } = forelog(['repair', scratch.at('log'), '--yes'])
    expect(code).toBe(3)
    expect(err).toContain('ERR_WAL_LOCKED')
    await log.close()
  })

  it('keeps a copy of every byte that it takes out', async () => {
    using scratch = makeScratch()
    await writeOrders(scratch.at('log'))
    damages['rubbish in the middle']?.(scratch.at('log'))
    const before = new Map([...snapshot(scratch.at('log'))].map(([path, bytes]) => [path, Buffer.from(bytes, 'base64')]))
    const { plan, quarantined } = JSON.parse(forelog(['repair', scratch.at('log'), '--yes', '--keep', 'front', '--json']).out) as RepairResult
    const taken = plan.actions.filter((action) => action.kind === 'end-after' || action.kind === 'set-aside')
    expect(taken.length).toBeGreaterThan(1)
    for (const [index, action] of taken.entries()) {
      const from = action.kind === 'end-after' ? action.position : 0
      expect(readFileSync(quarantined[index] as string)).toEqual(before.get(join(action.path))?.subarray(from, from + action.bytes))
    }
  })
})
