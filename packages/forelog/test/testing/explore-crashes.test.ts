import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  type CheckContext,
  crashModes,
  type ExploreCrashesOptions,
  exploreCrashes,
  Random,
  type SimulatedDisk,
  type WorkloadContext,
} from '../../src/testing/index.js'

/** What a broken variant of the programs below leaves out or does too soon. */
type Bug = 'no directory sync' | 'no file sync' | 'acknowledges too soon' | 'starts the sync and does not wait'

/** A program that keeps one number in a file: it writes a new file, syncs it, and puts it in place of the old one. */
async function keepNumber(fileSystem: SimulatedDisk, directory: string, value: number, bug?: Bug): Promise<void> {
  const temporary = join(directory, 'number.new')
  if ((await fileSystem.list(directory)).includes('number.new')) await fileSystem.remove(temporary)
  const file = await fileSystem.open(temporary, { access: 'create' })
  await file.write([new Uint8Array(1500).fill(value)], 0) // of three sectors, so that it can tear
  if (bug !== 'no file sync') await file.sync()
  await file.close()
  await fileSystem.rename(temporary, join(directory, 'number'))
  if (bug !== 'no directory sync') await fileSystem.syncDirectory(directory)
}

async function findNumber(fileSystem: SimulatedDisk, directory: string): Promise<number> {
  if (!(await fileSystem.list(directory)).includes('number')) return 0
  const file = await fileSystem.open(join(directory, 'number'), { access: 'read' })
  const bytes = new Uint8Array(2000)
  const length = await file.read(bytes, 0)
  await file.close()
  const [value = 0] = bytes
  if (length !== 1500 || bytes.subarray(0, length).some((byte) => byte !== value)) throw new Error('the number is torn')
  return value
}

function program(bug?: Bug): Pick<ExploreCrashesOptions<number>, 'workload' | 'check'> {
  return {
    async workload({ fileSystem, directory, acknowledge }: WorkloadContext<number>) {
      for (let value = 1; value <= 4; value++) {
        if (bug === 'acknowledges too soon') acknowledge(value)
        await keepNumber(fileSystem, directory, value, bug)
        if (bug !== 'acknowledges too soon') acknowledge(value)
      }
    },
    async check({ fileSystem, directory, acknowledged, acknowledge }: CheckContext<number>) {
      const value = await findNumber(fileSystem, directory)
      const least = acknowledged.at(-1) ?? 0
      if (value < least) throw new Error(`${least} was acknowledged, and ${value} is there`)
      await keepNumber(fileSystem, directory, value + 1)
      acknowledge(value + 1)
    },
  }
}

/** A program that appends bytes to a file, each synced before it is acknowledged. */
function appender(bug?: Bug): Pick<ExploreCrashesOptions<number>, 'workload' | 'check'> {
  return {
    async workload({ fileSystem, directory, acknowledge, seed }) {
      const random = new Random(seed)
      const file = await fileSystem.open(join(directory, 'bytes'), { access: 'create' })
      if (bug !== 'no directory sync') await fileSystem.syncDirectory(directory)
      for (let end = 0; end < 4000; ) {
        const bytes = new Uint8Array(1 + random.below(900)).fill(7)
        await file.write([bytes], end)
        end += bytes.length
        const synced = bug === 'no file sync' ? undefined : file.dataSync()
        if (bug !== 'starts the sync and does not wait') await synced
        acknowledge(end)
        await synced
      }
    },
    check({ fileSystem, directory, acknowledged }) {
      const least = acknowledged.at(-1) ?? 0
      const bytes = least === 0 ? new Uint8Array() : fileSystem.contents(join(directory, 'bytes'))
      if (bytes.length < least || bytes.subarray(0, least).some((byte) => byte !== 7)) throw new Error('bytes are lost')
    },
  }
}

describe('a correct program', () => {
  it.each([
    ['that replaces a file', program()],
    ['that appends to a file', appender()],
  ])('%s survives every crash', async (_, functions) => {
    const report = await exploreCrashes({ ...functions, seed: 1, runs: 5, crashes: 2000, crashDuringCheck: 1 })
    expect(report.violations, report.summary).toEqual([])
    expect(report.crashes).toBeGreaterThanOrEqual(2000)
    expect(report.runs).toBe(5)
    expect(report.crashesWith.unsyncedSectors).toBeGreaterThan(400)
    expect(report.crashesWith.lostSectors).toBeGreaterThan(200)
    expect(report.crashesWith.tornWrites).toBeGreaterThan(50)
    expect(report.crashesWith.processOnly).toBeGreaterThan(50)
    for (const mode of crashModes) expect(report.modes[mode]).toBeGreaterThan(50)
  })

  it('survives every outcome of every moment, and the moments are counted', async () => {
    const planned: number[] = []
    const report = await exploreCrashes({
      ...program(),
      exhaustive: true,
      crashDuringCheck: 1,
      onProgress: (progress) => planned.push(progress.planned),
    })
    expect(report.violations, report.summary).toEqual([])
    expect(report.exhaustive.sampled).toBe(0)
    expect(report.exhaustive.whole).toBeGreaterThan(report.moments)
    expect(report.crashes - report.crashesWith.duringCheck).toBe(planned[0])
    expect(report.crashesWith.duringCheck).toBeGreaterThan(report.moments)
    expect(report.crashesWith.lostNames).toBeGreaterThan(0)
  })
})

describe('a broken program is caught', () => {
  it.each([
    ['no directory sync', program],
    ['no file sync', program],
    ['acknowledges too soon', program],
    ['no directory sync', appender],
    ['no file sync', appender],
    ['starts the sync and does not wait', appender],
  ] as const)('%s (%#)', async (bug, make) => {
    const report = await exploreCrashes({ ...make(bug), seed: 3, crashes: 500, maxViolations: 3 })
    expect(report.violations).toHaveLength(3)
    const thorough = await exploreCrashes({ ...make(bug), seed: 3, exhaustive: true, maxViolations: 1 })
    expect(thorough.violations).toHaveLength(1)
  })

  it('only by a crash during recovery, where that is where it is broken', async () => {
    const broken: ReturnType<typeof program> = {
      workload: program().workload,
      async check(context: CheckContext<number>) {
        const value = await findNumber(context.fileSystem, context.directory)
        if (value < (context.acknowledged.at(-1) ?? 0)) throw new Error('lost')
        await keepNumber(context.fileSystem, context.directory, value + 1, 'no directory sync')
        context.acknowledge(value + 1)
      },
    }
    expect((await exploreCrashes({ ...broken, seed: 1, crashes: 300 })).violations).toEqual([])
    const report = await exploreCrashes({ ...broken, seed: 1, crashes: 300, crashDuringCheck: 1 })
    expect(report.violations.length).toBeGreaterThan(0)
    const [violation] = report.violations
    expect(violation?.crash.during).toBe('check')
    expect(violation?.crash.previous?.during).toBe('workload')
    const again = await exploreCrashes({ ...broken, replay: violation?.replay ?? '' })
    expect(again.violations.map(({ replay }) => replay)).toEqual([violation?.replay])
  })
})

describe('exploring', () => {
  it('gives the same for the same seed, and something else for another', async () => {
    const explore = async (seed: number): Promise<string> => {
      const { fingerprint } = await exploreCrashes({ ...appender(), seed, crashes: 300, crashDuringCheck: 2 })
      return fingerprint
    }
    expect(await explore(5)).toBe(await explore(5))
    expect(await explore(5)).not.toBe(await explore(6))
  })

  it.each([{ crashes: 300 }, { exhaustive: true }])('gives a line that repeats a violation (%o)', async (how) => {
    const functions = program('no file sync')
    const { violations, summary } = await exploreCrashes({ ...functions, ...how, maxViolations: 5 })
    for (const { replay, error, crash } of violations) {
      expect(summary).toContain(replay)
      const again = await exploreCrashes({ ...functions, replay })
      expect(again.crashes).toBe(1)
      expect(String(again.violations[0]?.error)).toBe(String(error))
      expect(again.violations[0]?.crash).toEqual(crash)
    }
  })

  it('says so when a line does not fit the program any more', async () => {
    const { violations } = await exploreCrashes({ ...program('no file sync'), seed: 1, maxViolations: 1 })
    const replay = violations[0]?.replay.replace(/@\d+/, '@999') ?? ''
    await expect(exploreCrashes({ ...program(), replay })).rejects.toThrow(/can't be repeated/)
    await expect(exploreCrashes({ ...program(), replay: 'nonsense' })).rejects.toThrow(RangeError)
  })

  it('is not held up by a workload that never ends', async () => {
    const rejections: unknown[] = []
    const note = (reason: unknown): number => rejections.push(reason)
    process.on('unhandledRejection', note)
    const { check } = program()
    const report = await exploreCrashes<number>({
      maxCalls: 200,
      runs: 1,
      crashes: 200,
      check,
      async workload({ fileSystem, directory, acknowledge }) {
        for (let value = 1; ; value = Math.min(value + 1, 200)) {
          await keepNumber(fileSystem, directory, value)
          acknowledge(value)
        }
      },
    })
    await new Promise((resolve) => setImmediate(resolve))
    process.off('unhandledRejection', note)
    expect(report.violations, report.summary).toEqual([])
    expect(rejections).toEqual([])
  })

  it('counts a check that never settles as a violation', async () => {
    const { workload } = program()
    const check = (): Promise<void> => new Promise(() => undefined)
    const report = await exploreCrashes({ workload, check, crashes: 1, timeoutMs: 5 })
    expect(String(report.violations[0]?.error)).toMatch(/has not settled within 5 ms/)
  })

  it('fails with a workload that fails by itself, but not with one to which a failure was played', async () => {
    const { check } = program()
    const failing = exploreCrashes({ workload: () => Promise.reject(new Error('a mistake')), check })
    await expect(failing).rejects.toMatchObject({ cause: { message: 'a mistake' } })
    const report = await exploreCrashes<number>({
      check,
      crashes: 300,
      async workload({ fileSystem, seed, ...context }) {
        fileSystem.fail({ at: 1 + new Random(seed).below(20), code: 'EIO' })
        await program().workload({ fileSystem, seed, ...context })
      },
    })
    expect(report.violations, report.summary).toEqual([])
  })

  it('finds what only shows when the bytes of a failed sync are read and believed', async () => {
    // Tries a failed sync again, and believes the second answer.
    const report = await exploreCrashes<number>({
      crashes: 300,
      async workload({ fileSystem, directory, acknowledge }) {
        const file = await fileSystem.open(join(directory, 'bytes'), { access: 'create' })
        await fileSystem.syncDirectory(directory)
        fileSystem.fail({ kind: 'dataSync', code: 'EIO' })
        await file.write([new Uint8Array(100).fill(7)], 0)
        await file.dataSync().catch(() => file.dataSync())
        acknowledge(100)
      },
      check: appender().check,
    })
    expect(report.violations.length).toBeGreaterThan(0)
  })
})
