import { chmodSync, chownSync, copyFileSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { type RepairPlan, verify, type VerifyReport, WriteAheadLog } from 'forelog'
import { describe, expect, it } from 'vitest'
import { copy, damage, forelog, makeScratch, type Scratch, segmentsOf, shell, snapshot, writeOrders } from './support/command.js'

async function ordersIn(scratch: Scratch, name = 'log'): Promise<string> {
  await writeOrders(scratch.at(name))
  return scratch.at(name)
}

const planOf = (directory: string): RepairPlan => (JSON.parse(forelog(['repair', directory, '--dry-run', '--json']).out) as { plan: RepairPlan }).plan

describe('a segment of another log that was copied in', () => {
  it.each(['0000000099-0000000000000200.wal', 'in the place of one of the log'])('is the stranger, and not the log it lies in: %s', async (where) => {
    using scratch = makeScratch()
    const log = await ordersIn(scratch)
    const other = await ordersIn(scratch, 'other')
    const name = where.endsWith('.wal') ? where : (segmentsOf(log)[1] as string)
    copyFileSync(join(other, segmentsOf(other)[1] as string), join(log, name))
    const { code, out } = forelog(['verify', log])
    expect(code).toBe(1)
    expect(out).toContain('it belongs to another log')
    const { report, actions, choices } = planOf(log)
    expect(report.faults.filter(({ kind }) => kind === 'stray').map(({ path }) => basename(path))).toEqual([name])
    // Nothing of the log itself is set aside unless something is missing.
    if (where.endsWith('.wal')) expect(actions).toMatchObject([{ kind: 'set-aside', path: join(log, name) }])
    else expect(choices.map(({ keep }) => keep)).toEqual(['front', 'back'])
  })
})

describe('a segment that is missing', () => {
  it('is told by the entries that are gone', async () => {
    using scratch = makeScratch()
    const log = await ordersIn(scratch)
    const before = JSON.parse(forelog(['verify', log, '--json']).out) as VerifyReport
    const gone = before.segments[2]
    rmSync(gone?.path as string)
    const { code, out } = forelog(['verify', log])
    expect(code).toBe(1)
    expect(out).toContain(`Entries ${gone?.firstOffset} to ${gone?.lastOffset} are missing.`)
    expect(out).toContain(`${200 - (gone?.lastOffset as number)} of them behind the first fault`)
  })

  it('is suspected when it was the newest: the one before is full, and whoever wrote it closed the log', async () => {
    using scratch = makeScratch()
    const log = await ordersIn(scratch)
    rmSync(join(log, segmentsOf(log).at(-1) as string))
    const { code, out } = forelog(['verify', log])
    expect(code).toBe(4)
    expect(out).toMatch(/^! a newer segment may be missing/)
    expect(out).toContain('the newest segment is full, and none follows')
    expect(out).toContain('a newer segment is probably missing')
    expect(forelog(['doctor', log]).out).toMatch(/! log +format 2, the newest segment is full/)
    // A log that is whole says nothing of the kind.
    expect(forelog(['verify', await ordersIn(scratch, 'whole')]).out).not.toContain('none follows')
  })
})

describe('a log that ends before what a cursor was committed at', () => {
  async function cutBehindCursors(scratch: Scratch): Promise<string> {
    const directory = scratch.at('log')
    const log = await WriteAheadLog.open(directory)
    for (let n = 1; n <= 500; n++) await log.append(Buffer.from(`entry ${n}`))
    for (const [name, offset] of [['audit', 499], ['shipper', 500], ['slow', 3]] as const) {
      await using cursor = await log.cursor(name)
      await cursor.commit(offset)
    }
    await log.close()
    damage(directory, -1, (bytes) => bytes.subarray(0, bytes.indexOf('entry 499')))
    return directory
  }

  it('is damaged, and every command says which cursor is how far beyond the end', async () => {
    using scratch = makeScratch()
    const log = await cutBehindCursors(scratch)
    const before = snapshot(log)
    const verified = forelog(['verify', log])
    expect(verified.code).toBe(1)
    expect(verified.out).toContain("cursor 'shipper' is 2 entries beyond the end, as is another one: it was committed at entry 500")
    expect(forelog(['doctor', log])).toMatchObject({ code: 1, out: expect.stringContaining("cursor 'shipper' is 2 entries beyond the end") as string })
    const inspected = forelog(['inspect', log]).out
    expect(inspected).toMatch(/shipper +500 +– +yes +2 entries beyond the end/)
    expect(inspected).toMatch(/audit +499 +– +yes +1 entry beyond the end/)
    expect(inspected).toMatch(/slow +3 +494 +yes\n/)
    expect(snapshot(log)).toEqual(before)
  })

  it('is mended by pulling those cursors back, as the dry run said', async () => {
    using scratch = makeScratch()
    const log = await cutBehindCursors(scratch)
    const before = snapshot(log)
    const { code, out } = forelog(['repair', log, '--keep', 'front', '--dry-run'])
    expect(code).toBe(0)
    expect(out).toContain("cursor 'shipper' goes back there from entry 500, and 1 other cursor with it, and is told (cursor.cut)")
    expect(out).toContain('Lost: entries 499 to 500, 0 of them readable.')
    expect(snapshot(log)).toEqual(before)
    expect(forelog(['repair', log, '--yes']).code).toBe(1)
    expect(snapshot(log)).toEqual(before)
    expect(forelog(['repair', log, '--keep', 'front', '--yes']).code).toBe(0)
    const inspected = forelog(['inspect', log]).out
    expect(inspected).toMatch(/shipper +498 +0 +yes +cut: 499 to 500/)
    expect(inspected).toMatch(/slow +3 +495 +yes\n/)
  })

  it('loses nothing more where nothing else is wrong with it', async () => {
    using scratch = makeScratch()
    const directory = scratch.at('log')
    const log = await WriteAheadLog.open(directory)
    await log.append(Buffer.from('one'))
    await log.close()
    copy(directory, scratch.at('backup'))
    const again = await WriteAheadLog.open(directory)
    await again.append(Buffer.from('two'))
    await using cursor = await again.cursor('shipper')
    await cursor.commit(2)
    await again.close()
    copy(join(directory, 'cursors'), scratch.at('backup/cursors'))
    const { out } = forelog(['repair', scratch.at('backup'), '--keep', 'front', '--dry-run'])
    expect(out).toContain('Lost before: entry 2, which cursors prove that there was. What is there stays.')
    expect(forelog(['repair', scratch.at('backup'), '--keep', 'front', '--yes'])).toMatchObject({ code: 0 })
    expect(forelog(['verify', scratch.at('backup')])).toMatchObject({ code: 0 })
  })
})

describe('a torn tail', () => {
  it('is not called unacknowledged where that can not be known', async () => {
    using scratch = makeScratch()
    const log = await WriteAheadLog.open(scratch.at('log'))
    for (let n = 1; n <= 500; n++) await log.append(Buffer.from(`entry ${n}`))
    await log.close()
    damage(scratch.at('log'), -1, (bytes) => bytes.subarray(0, bytes.length - 100))
    const { out } = forelog(['verify', scratch.at('log')])
    expect(out).not.toContain('never acknowledged')
    expect(out).toContain('as far as the log can prove')
    expect(out).toContain('no writer is known to have died here')
  })
})

describe('where there is no log', () => {
  it.each(['inspect', 'verify', 'dump', 'repair', 'tail', 'export'])('%s says so in words of its own, with exit code 3', (command) => {
    using scratch = makeScratch()
    mkdirSync(scratch.at('empty'))
    writeFileSync(scratch.at('file'), '')
    expect(forelog([command, scratch.at('nowhere')])).toMatchObject({ code: 3, out: '', err: `forelog: there is no directory ${scratch.at('nowhere')}\n` })
    expect(forelog([command, scratch.at('file')])).toMatchObject({ code: 3, out: '', err: `forelog: ${scratch.at('file')} is a file, and a log is a directory\n` })
    const { code, out, err } = forelog([command, scratch.at('empty')])
    expect(code).toBe(3)
    expect(out + err).toMatch(/no log|no segment/)
  })

  it('grep and truncate end with 3, too, and change nothing', () => {
    using scratch = makeScratch()
    mkdirSync(scratch.at('empty'))
    expect(forelog(['grep', 'x', scratch.at('empty')]).code).toBe(3)
    expect(forelog(['truncate', scratch.at('empty'), '--before', '3', '--yes']).code).toBe(3)
    expect(readdirSync(scratch.at('empty'))).toEqual([])
  })
})

describe('what is shown', () => {
  it('says what there is where a range has no entry', async () => {
    using scratch = makeScratch()
    const log = await ordersIn(scratch)
    expect(forelog(['dump', log, '--from', '500'])).toEqual({ code: 0, out: '', err: 'no entry from 500 on: the log has 21 to 200\n' })
  })

  it('has commands that a shell takes, whatever the directory is called', async () => {
    using scratch = makeScratch()
    const log = await ordersIn(scratch, "it's a log")
    damage(log, 1, (bytes) => Buffer.from(bytes).fill(0xee, 700, 720))
    const { out } = forelog(['verify', log])
    const line = out.split('\n').find((each) => each.includes('--dry-run')) as string
    expect(shell(`${line.trim().split('   ')[0] as string} --json`)).toMatchObject({ code: 1 })
    const rescue = forelog(['repair', log]).out.split('\n').find((each) => each.includes('| forelog import')) as string
    // The damage makes `export` end with 1, after all that can be read.
    expect(shell(rescue.trim())).toMatchObject({ code: 1 })
    const { outcome, entries } = await verify(`${log}-rescued`)
    expect(outcome).toBe('sound')
    expect(entries).toBe((JSON.parse(forelog(['verify', log, '--json']).out) as VerifyReport).entries)
  })

  it('names offsets and positions as they can be typed again', async () => {
    using scratch = makeScratch()
    const log = await ordersIn(scratch)
    damage(log, 1, (bytes) => Buffer.from(bytes).fill(0xee, 1400, 1410))
    const { path, position } = planOf(log).report.faults[0] as { path: string; position: number }
    expect(position).toBeGreaterThan(999)
    expect(forelog(['verify', log]).out).toContain(`${basename(path)} at byte ${position}`)
  })
})

describe('files of somebody else', () => {
  it('are out of reach, and not damaged: exit code 3, and doctor names their owner', async ({ skip }) => {
    using scratch = makeScratch()
    const log = await ordersIn(scratch)
    const name = segmentsOf(log)[1] as string
    // Root may read everything: there, somebody else looks.
    const user = process.getuid?.() === 0 ? { uid: 65534 } : {}
    if (user.uid !== undefined) for (const path of [scratch.path, log, ...readdirSync(log).map((each) => join(log, each))]) chownSync(path, user.uid, user.uid)
    if (forelog(['--version'], user).code !== 0) skip('the user nobody may not read this checkout')
    chmodSync(join(log, name), 0)
    const before = snapshot(log)
    const { code, out } = forelog(['verify', log], user)
    expect(code).toBe(3)
    expect(out).toContain('✗ out of reach')
    expect(out).toContain('look at its owner and mode')
    expect(forelog(['repair', log, '--yes'], user).code).toBe(3)
    const doctor = forelog(['doctor', log], user)
    expect(doctor.code).toBe(1)
    expect(doctor.out).toMatch(new RegExp(`✗ files +.*${name} \\(uid .*mode 0000`))
    expect(snapshot(log)).toEqual(before)
  })
})

describe('a repair by root', () => {
  const owner = 65534
  it.for([
    ['in the middle of a log', 1],
    ['at the end, where cursors prove more', -1],
  ] as const)('leaves a log that its owner goes on with: what it makes has owner, group and mode of what is there (%s)', async ([, segment], { skip }) => {
    if (process.getuid?.() !== 0) skip('only root can give files to somebody else')
    using scratch = makeScratch()
    const log = await ordersIn(scratch)
    const open = await WriteAheadLog.open(log)
    await using cursor = await open.cursor('shipper')
    await cursor.commit(200)
    await open.close()
    damage(log, segment, (bytes) => (segment === 1 ? Buffer.from(bytes).fill(0xee, 700, 720) : bytes.subarray(0, 300)))
    rmSync(join(log, 'lock'))
    for (const path of [log, ...readdirSync(log, { recursive: true, encoding: 'utf8' }).map((each) => join(log, each))]) {
      chownSync(path, owner, owner)
      chmodSync(path, statSync(path).isDirectory() ? 0o711 : 0o604)
    }
    expect(forelog(['repair', log, '--yes', '--keep', 'front'])).toMatchObject({ code: 0, err: '' })
    const made = readdirSync(log, { recursive: true, encoding: 'utf8' }).map((each) => join(log, each))
    expect(made.some((path) => path.endsWith('.cut'))).toBe(true)
    for (const path of made) {
      const stats = statSync(path)
      expect([stats.uid, stats.gid, stats.mode & 0o777], path).toEqual([owner, owner, stats.isDirectory() ? 0o711 : 0o604])
    }
  })
})

describe('two segments whose names were exchanged', () => {
  it('are told by the names that they had, and with those back nothing is lost', async () => {
    using scratch = makeScratch()
    await writeOrders(scratch.at('log'))
    const [, second, third] = segmentsOf(scratch.at('log')).map((name) => scratch.at(join('log', name))) as [string, string, string]
    const exchange = (): void => {
      renameSync(second, `${second}.aside`)
      renameSync(third, second)
      renameSync(`${second}.aside`, third)
    }
    exchange()
    for (const [args, wanted] of [[['verify'], 1], [['repair', '--dry-run'], 0]] as const) {
      const { code, out } = forelog([...args, scratch.at('log')])
      expect(code).toBe(wanted)
      expect(out).toContain(`Name it ${basename(third)} again`)
      expect(out).toContain(`Name it ${basename(second)} again`)
      expect(out).not.toContain('No entry of the log is in it')
    }
    const { code, out } = forelog(['repair', scratch.at('log'), '--yes'])
    expect(code).toBe(0)
    expect(out).toContain(`rename ${basename(second)} to `)
    expect(out).toContain('Nothing is lost.')
    expect(forelog(['verify', scratch.at('log')])).toMatchObject({ code: 0, out: expect.stringContaining('180 entries, 21 to 200') })
  })
})

describe('a header of rubbish in front of entries that are whole', () => {
  it('is written again where the records around it prove what it was, and nothing is lost', async () => {
    using scratch = makeScratch()
    const log = await ordersIn(scratch)
    const before = readFileSync(join(log, segmentsOf(log)[1] as string))
    damage(log, 1, (bytes) => Buffer.from(bytes).fill(0xee, 0, 85))
    expect(forelog(['verify', log])).toMatchObject({ code: 1, out: expect.stringContaining('repair can mend it: it writes the header again') as string })
    const { code, out } = forelog(['repair', log, '--yes'])
    expect(code).toBe(0)
    expect(out).toContain('again, as the records around it prove it')
    expect(out).toContain('Nothing is lost.')
    expect(forelog(['verify', log])).toMatchObject({ code: 0, out: expect.stringContaining('180 entries, 21 to 200') as string })
    expect(readFileSync(join(log, segmentsOf(log)[1] as string))).toEqual(before)
  })

  // When the oldest one was created nothing else says.
  it('is told with the entries that can be read, and a copy that loses nothing comes before a repair that does', async () => {
    using scratch = makeScratch()
    const log = await ordersIn(scratch)
    damage(log, 0, (bytes) => Buffer.from(bytes).fill(0xee, 20, 85))
    const { code, out } = forelog(['verify', log])
    expect(code).toBe(1)
    expect(out).toMatch(/The log does not open\. All that the file held can be read, entries \d+ to \d+: it is copied without a loss\./)
    const plan = forelog(['repair', log, '--dry-run']).out
    expect(plan).toContain('All 180 entries can be read.')
    expect(plan.indexOf('forelog export')).toBeLessThan(plan.indexOf('--keep back'))
    shell(`forelog export ${log} | forelog import ${scratch.at('copy')}`)
    expect(forelog(['verify', scratch.at('copy')])).toMatchObject({ code: 0, out: expect.stringContaining('180 entries') as string })
  })

  it('is not called whole where entries behind it are damaged, too', async () => {
    using scratch = makeScratch()
    const log = await ordersIn(scratch)
    damage(log, 0, (bytes) => Buffer.from(bytes).fill(0xee, 20, 85).fill(0xee, bytes.length - 100, bytes.length - 80))
    expect(forelog(['verify', log]).out).toMatch(/The log does not open\. Of the file \d+ entries can be read\./)
    expect(forelog(['repair', log, '--dry-run']).out).not.toContain('All 180 entries')
  })
})

describe('what is shown of a log that is not whole', () => {
  it('is no alarm where a file lies there that is none of it', async () => {
    using scratch = makeScratch()
    const log = await ordersIn(scratch)
    writeFileSync(join(log, 'backup.wal'), 'none')
    const { code, out } = forelog(['verify', log])
    expect(code).toBe(1)
    expect(out).toContain('Nothing else is wrong: all 180 entries can be read')
    expect(out).not.toContain('forelog dump')
  })

  it('says that cursors are not shown, and how many', async () => {
    using scratch = makeScratch()
    const log = await ordersIn(scratch)
    const open = await WriteAheadLog.open(log)
    for (const name of ['a', 'b']) await (await open.cursor(name)).commit(150)
    await open.close()
    rmSync(join(log, segmentsOf(log)[1] as string))
    expect(forelog(['inspect', log]).out).toContain('2 cursors are not shown')
  })

  it('begins with the first entry that is wanted, and what was truncated in front of it is dead on the map', async () => {
    using scratch = makeScratch()
    const log = await ordersIn(scratch)
    const [first] = (JSON.parse(forelog(['inspect', log, '--json']).out) as VerifyReport).segments
    forelog(['truncate', log, '--before', String(first?.lastOffset), '--yes'])
    const report = JSON.parse(forelog(['inspect', log, '--json']).out) as VerifyReport
    expect(report.segments[0]).toMatchObject({ name: first?.name, entries: 1 })
    expect(report.segments[0]?.ranges.some(({ kind }) => kind === 'dead')).toBe(true)
    expect(forelog(['inspect', log]).out).toMatch(new RegExp(`${first?.name} +${first?.lastOffset} +${first?.lastOffset} +1 `))
  })

  it('names the same missing entries, whichever command tells of them', async () => {
    using scratch = makeScratch()
    const log = await ordersIn(scratch)
    rmSync(join(log, segmentsOf(log)[2] as string))
    const [fault] = (JSON.parse(forelog(['verify', log, '--json']).out) as VerifyReport).faults
    expect(fault?.meaning).toMatch(/^Entries \d+ to \d+ are missing\.$/)
    expect(forelog(['dump', log]).err).toContain(fault?.meaning)
  })

  it('goes without maps in JSON where a summary is asked for', async () => {
    using scratch = makeScratch()
    const log = await ordersIn(scratch)
    const { segments, ...rest } = JSON.parse(forelog(['verify', log, '--json']).out) as VerifyReport
    const summary = JSON.parse(forelog(['verify', log, '--json', '--summary']).out) as VerifyReport
    expect(summary).toEqual({ ...rest, segments: segments.map(({ ranges: _, ...segment }) => segment) })
  })
})
