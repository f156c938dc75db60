/**
 * Crash-tests a program: it runs on a simulated disk, the disk is crashed at many moments in many ways, and each time
 * the program's own check says whether what it finds is right.
 *
 * The program runs whole, once for each seed; at the moments where it is to be crashed the disk is copied (see
 * crash-moments.ts). So a crash costs no run of the program, and a program that goes on after its crash disturbs nobody.
 */
import { type CrashMoment, keepAll, type Keeper, keepOnly, keepSome, record, type Recording } from './crash-moments.js'
import { type CrashMode, crashModes } from './crash-plan.js'
import { type CrashInfo, type CrashReport, CrashTally, type CrashViolation } from './crash-report.js'
import { deriveSeed, Random, randomSeed } from './random.js'
import { parseReplay, replayLine, type ReplayStep } from './replay.js'
import { type DiskOrigin, type ExactCrashChoice, SimulatedDisk, type SimulatedDiskOptions } from './simulated-disk.js'

/** What a workload is given. */
export interface WorkloadContext<T> {
  /** The disk; pass it to `WriteAheadLog.open` as `fileSystem`. Also for playing failures: `fileSystem.fail(…)`. */
  readonly fileSystem: SimulatedDisk
  /** A directory that is there, durably, and empty. */
  readonly directory: string
  /** Says that something is durable from now on, or anything else that `check` shall know: it gets what was said before the crash. */
  readonly acknowledge: (value: T) => void
  /** The seed of this run, for what the workload leaves to chance: `new Random(seed)`. */
  readonly seed: number
}

/** What a check is given, after a crash. */
export interface CheckContext<T> {
  /** The disk as the crash left it. */
  readonly fileSystem: SimulatedDisk
  readonly directory: string
  /** What was acknowledged before the crash, in order. */
  readonly acknowledged: readonly T[]
  readonly crash: CrashInfo
  /** As in the workload: with `crashDuringCheck`, the check after the next crash is told of it, too. */
  readonly acknowledge: (value: T) => void
  /** The seed of the run, as the workload had it. */
  readonly seed: number
}

/** What {@link exploreCrashes} is to do. */
export interface ExploreCrashesOptions<T> {
  /**
   * The program. It must do the same each time it runs with the same seed: nothing of it may depend on the time of day,
   * on timers or on other chance. It may fail where a failure was played to it.
   */
  readonly workload: (context: WorkloadContext<T>) => Promise<void> | void
  /** Throws, or rejects, when what it finds after a crash is wrong. */
  readonly check: (context: CheckContext<T>) => Promise<void> | void
  /** Default: `'/data'`. */
  readonly directory?: string
  /** Decides everything that is left to chance; printed with the report. Default: a random one. */
  readonly seed?: number
  /** How many times the workload runs, each time with a seed of its own. Default: 10, or 1 if `exhaustive`. */
  readonly runs?: number
  /** How many crashes in all, spread over the runs; those of `crashDuringCheck` come on top. Default: 1000. Not if `exhaustive`. */
  readonly crashes?: number
  /**
   * Instead of chance: every moment, and at each all that a crash can leave. Where that is more than `limit` (default
   * 4096), as many at random; the report says how many moments those were. Default: false.
   */
  readonly exhaustive?: boolean | { readonly limit: number }
  /** How often a crash is followed by one while its check runs, and that by another…: 0 is never. Default: 0. */
  readonly crashDuringCheck?: number
  /** The ways to crash that are chosen from; one given twice is chosen twice as often. Default: all, `'random'` more often. */
  readonly modes?: readonly CrashMode[]
  /** What the disk is like: latency, space, what a failed sync leaves, … */
  readonly disk?: Omit<SimulatedDiskOptions, 'seed' | 'directories' | 'onCall' | 'journal'>
  /** Repeats a single crash: the `replay` of a violation. */
  readonly replay?: string
  /** Stops after so many violations. Default: 10. */
  readonly maxViolations?: number
  /** A workload that makes more calls is crashed there for good: for programs that never end. Default: 1,000,000. */
  readonly maxCalls?: number
  /** A workload or check that takes longer, in ms of the machine's clock, counts as hanging. Default: 30,000. */
  readonly timeoutMs?: number
  /** Told of each run before it is crashed, then every so often. */
  readonly onProgress?: (progress: CrashProgress) => void
}

/** How far {@link exploreCrashes} is. */
export interface CrashProgress {
  /** The run, from 1. */
  readonly run: number
  readonly runs: number
  /** Moments of this run at which the disk, or what was acknowledged, differs. */
  readonly moments: number
  /** Crashes of this run, those of `crashDuringCheck` apart: known before the first. */
  readonly planned: number
  /** Crashes so far, in all runs. */
  readonly crashes: number
  readonly violations: number
}

const defaultModes: readonly CrashMode[] = [...crashModes, 'random', 'random', 'torn', 'prefix']
const defaultExhaustiveLimit = 4096
/** The event loop gets its turn after so many crashes. */
const crashesInARow = 64

/**
 * Runs a program on a simulated disk, crashes it at many moments in many ways, and has `check` look at each outcome.
 * The same seed gives the same crashes.
 *
 * A workload that fails though no failure was played to it, or never settles, makes this reject; a check that fails or
 * never settles is a violation in the report.
 *
 * @example
 * ```ts
 * const report = await exploreCrashes<number>({
 *   crashes: 10_000,
 *   async workload({ fileSystem, directory, acknowledge }) {
 *     const log = await WriteAheadLog.open(directory, { fileSystem })
 *     for (let n = 1; n <= 20; n++) acknowledge(await log.append(Uint8Array.of(n)))
 *     await log.close()
 *   },
 *   async check({ fileSystem, directory, acknowledged }) {
 *     const log = await WriteAheadLog.open(directory, { fileSystem })
 *     assert.ok(log.lastOffset >= (acknowledged.at(-1) ?? 0), 'an acknowledged entry is lost')
 *     await log.close()
 *   },
 * })
 * assert.equal(report.violations.length, 0, report.summary)
 * ```
 */
export async function exploreCrashes<T = unknown>(options: ExploreCrashesOptions<T>): Promise<CrashReport> {
  const settings = resolveOptions(options)
  const explorer = new Explorer(options, settings)
  if (options.replay !== undefined) await explorer.repeat(options.replay)
  else for (let run = 0; run < settings.runs && !explorer.isOver; run++) await explorer.run(run)
  return explorer.report()
}

interface Settings {
  readonly seed: number
  readonly directory: string
  readonly runs: number
  readonly crashes: number
  /** Undefined: by chance. */
  readonly exhaustiveLimit: number | undefined
  readonly crashDuringCheck: number
  readonly modes: readonly CrashMode[]
  readonly maxViolations: number
  readonly maxCalls: number
  readonly timeoutMs: number
}

function resolveOptions<T>(options: ExploreCrashesOptions<T>): Settings {
  const { exhaustive = false, crashes = 1000 } = options
  const exhaustiveLimit = exhaustive === true ? defaultExhaustiveLimit : exhaustive === false ? undefined : exhaustive.limit
  const { runs = exhaustiveLimit === undefined ? Math.min(10, crashes) : 1, modes = defaultModes } = options
  const unknown = modes.find((mode) => !crashModes.includes(mode))
  if (unknown !== undefined || modes.length === 0) {
    throw new RangeError(`modes: ${unknown ?? 'none'}; allowed are ${crashModes.join(', ')}`)
  }
  return {
    seed: (options.seed ?? randomSeed()) >>> 0,
    directory: options.directory ?? '/data',
    runs,
    crashes,
    exhaustiveLimit,
    crashDuringCheck: options.crashDuringCheck ?? 0,
    modes,
    maxViolations: options.maxViolations ?? 10,
    maxCalls: options.maxCalls ?? 1_000_000,
    timeoutMs: options.timeoutMs ?? 30_000,
  }
}

/** A crash that is about to be made. */
interface Plan<T> {
  readonly runSeed: number
  readonly moment: CrashMoment<T>
  readonly choice: ExactCrashChoice
  /** The crashes that led to the moment. */
  readonly steps: readonly ReplayStep[]
  readonly previous: CrashInfo | undefined
}

class Explorer<T> {
  readonly #options: ExploreCrashesOptions<T>
  readonly #settings: Settings
  readonly #tally = new CrashTally()
  readonly #violations: CrashViolation[] = []
  #runs = 0
  #crashes = 0

  constructor(options: ExploreCrashesOptions<T>, settings: Settings) {
    this.#options = options
    this.#settings = settings
  }

  get isOver(): boolean {
    return this.#violations.length >= this.#settings.maxViolations
  }

  /** Runs the workload once, and crashes it as often as is due. */
  async run(run: number): Promise<void> {
    const { seed, runs, crashes, exhaustiveLimit } = this.#settings
    const runSeed = deriveSeed(seed, run)
    const random = new Random(deriveSeed(runSeed, 0xc4a5))
    const due = Math.floor(((run + 1) * crashes) / runs) - Math.floor((run * crashes) / runs)
    const { moments, count } = await this.#recordWorkload(
      runSeed,
      exhaustiveLimit === undefined ? keepSome(Math.max(1, due), random) : keepAll,
    )
    const planned = exhaustiveLimit === undefined ? due : this.#bound(moments, exhaustiveLimit)
    const progress = (): void =>
      this.#options.onProgress?.({
        run: run + 1,
        runs,
        moments: count,
        planned,
        crashes: this.#crashes,
        violations: this.#violations.length,
      })
    progress()
    let done = 0
    for (const { moment, choice } of this.#choices(moments, due, random)) {
      if (this.isOver) break
      await this.#crash({ runSeed, moment, choice, steps: [], previous: undefined }, this.#settings.crashDuringCheck, random)
      if (++done % crashesInARow === 0) await new Promise((resolve) => setImmediate(resolve))
      if (done % 1024 === 0) progress()
    }
  }

  /** Makes the crashes of one line again. */
  async repeat(line: string): Promise<void> {
    const { seed: runSeed, steps } = parseReplay(line)
    let recording = await this.#recordWorkload(runSeed, keepOnly(steps[0]?.moment ?? 0))
    let previous: CrashInfo | undefined
    for (const [index, step] of steps.entries()) {
      const [moment] = recording.moments
      if (moment === undefined || (moment.call?.number ?? 0) !== step.call) throw notRepeated(line, step, moment)
      const next = steps[index + 1]
      const plan = { runSeed, moment, choice: step.choice, steps: steps.slice(0, index), previous }
      const checked = await this.#check(plan, next === undefined ? undefined : keepOnly(next.moment))
      if (checked === undefined) return
      recording = checked.recording
      previous = checked.crash
    }
  }

  report(): CrashReport {
    return this.#tally.report(this.#settings.seed, this.#runs, this.#violations)
  }

  async #recordWorkload(runSeed: number, keep: Keeper): Promise<Recording<T>> {
    const { directory, maxCalls, timeoutMs } = this.#settings
    const disk = new SimulatedDisk({ ...this.#options.disk, seed: runSeed, directories: [directory] })
    const recording = await record<T>({ disk, acknowledged: [], keep, maxCalls, timeoutMs }, (acknowledge) =>
      this.#options.workload({ fileSystem: disk, directory, acknowledge, seed: runSeed }),
    )
    this.#runs++
    this.#tally.addRun(recording.count, disk.calls, recording.acknowledged.length)
    const seed = `seed ${this.#settings.seed}, run seed ${runSeed}`
    if (recording.end === 'timeout') throw new Error(`the workload has not settled within ${timeoutMs} ms (${seed})`)
    const isPlayed = disk.faultsTold > 0 || disk.capacityBytes !== undefined
    if (recording.end === 'failed' && !isPlayed) {
      throw new Error(`the workload failed, though nothing had failed on its disk (${seed})`, { cause: recording.error })
    }
    return recording
  }

  /** How many crashes there are to make. */
  #bound(moments: readonly CrashMoment<T>[], limit: number): number {
    return moments.reduce((total, { disk }) => total + (outcomesWithin(disk, limit) ?? limit) + 1, 0)
  }

  /** The crashes that are due. */
  *#choices(
    moments: readonly CrashMoment<T>[],
    due: number,
    random: Random,
  ): Generator<{ moment: CrashMoment<T>; choice: ExactCrashChoice }> {
    const { exhaustiveLimit, modes } = this.#settings
    const byChance = (): ExactCrashChoice => ({ mode: random.pick(modes), seed: random.next() })
    if (exhaustiveLimit === undefined) {
      for (let index = 0; index < due && moments.length > 0; index++) {
        yield { moment: moments[index % moments.length] as CrashMoment<T>, choice: byChance() }
      }
      return
    }
    for (const moment of moments) {
      const outcomes = outcomesWithin(moment.disk, exhaustiveLimit)
      this.#tally.addExplored(outcomes)
      for (let index = 0; index < (outcomes ?? exhaustiveLimit); index++) {
        yield { moment, choice: outcomes === undefined ? byChance() : { outcome: index } }
      }
      yield { moment, choice: { mode: 'process', seed: 0 } }
    }
  }

  /** Makes a crash, and as many more levels of crashes while the check runs. */
  async #crash(plan: Plan<T>, levels: number, random: Random): Promise<void> {
    const { exhaustiveLimit } = this.#settings
    const keep = levels === 0 ? undefined : exhaustiveLimit === undefined ? keepSome(1, random) : keepAll
    const checked = await this.#check(plan, keep)
    if (checked === undefined || levels === 0) return
    const { recording, steps, crash } = checked
    for (const { moment, choice } of this.#choices(recording.moments, 1, random)) {
      if (this.isOver) return
      await this.#crash({ runSeed: plan.runSeed, moment, choice, steps, previous: crash }, levels - 1, random)
    }
  }

  /** Crashes and checks; undefined if the check found a violation. */
  async #check(
    { runSeed, moment, choice, steps: before, previous }: Plan<T>,
    keep: Keeper | undefined,
  ): Promise<{ recording: Recording<T>; steps: readonly ReplayStep[]; crash: CrashInfo } | undefined> {
    const { directory, maxCalls, timeoutMs } = this.#settings
    const disk = moment.disk.afterCrash(choice)
    const steps = [...before, { moment: moment.index, call: moment.call?.number ?? 0, choice }]
    const crash: CrashInfo = {
      during: previous === undefined ? 'workload' : 'check',
      call: moment.call,
      when: moment.when,
      origin: disk.origin as DiskOrigin,
      previous,
      replay: replayLine({ seed: runSeed, steps }),
    }
    this.#crashes++
    const { acknowledged } = moment
    const recording = await record<T>({ disk, acknowledged, keep, maxCalls, timeoutMs }, (acknowledge) =>
      this.#options.check({ fileSystem: disk, directory, acknowledged, crash, acknowledge, seed: runSeed }),
    )
    this.#tally.addCrash(crash, disk.calls)
    if (recording.end === 'settled') return { recording, steps, crash }
    const error: unknown =
      recording.error ??
      new Error(
        recording.end === 'timeout'
          ? `the check has not settled within ${timeoutMs} ms`
          : `the check was stopped at call ${disk.calls}`,
      )
    this.#violations.push({ error, crash, replay: crash.replay })
    return undefined
  }
}

/** How many outcomes a crash has; undefined: more than `limit`. */
function outcomesWithin(disk: SimulatedDisk, limit: number): number | undefined {
  try {
    return disk.outcomes({ limit }).count
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

function notRepeated<T>(line: string, step: ReplayStep, found: CrashMoment<T> | undefined): Error {
  const there = found === undefined ? 'there is no such moment now' : `it is at call ${found.call?.number ?? 0} now`
  return new Error(
    `${line} can't be repeated: moment ${step.moment} was at call ${step.call}, ${there}. ` +
      'The program has changed, or does not do the same each time (time of day, timers, chance without the seed).',
  )
}
