import { reasonOf } from '../errors.js'
import type { CrashWhen } from './crash-moments.js'
import { type CrashMode, crashModes } from './crash-plan.js'
import type { DiskCall } from './faults.js'
import type { DiskOrigin } from './simulated-disk.js'

/** Where a crash came, and what it did. */
export interface CrashInfo {
  /** `'check'`: while the check after an earlier crash ran. */
  readonly during: 'workload' | 'check'
  /** The newest call; undefined before the first. */
  readonly call: DiskCall | undefined
  /** Where in that call, or after an acknowledgement behind it. */
  readonly when: CrashWhen
  /** What was not durable, and what of it was lost. */
  readonly origin: DiskOrigin
  /** The crash before this one. */
  readonly previous: CrashInfo | undefined
  /** The line that repeats this crash, for the option `replay`. */
  readonly replay: string
}

/** A check that failed. */
export interface CrashViolation {
  /** What the check threw. */
  readonly error: unknown
  readonly crash: CrashInfo
  /** The line that repeats it: `exploreCrashes({ …, replay })`. */
  readonly replay: string
}

/** What was explored, and what was found. */
export interface CrashReport {
  /** With it, all of this comes out again. */
  readonly seed: number
  /** Runs of the workload. */
  readonly runs: number
  /** Calls that those made of the disk. */
  readonly calls: number
  /** What they acknowledged. */
  readonly acknowledged: number
  /** Moments at which the disk, or what was acknowledged, differed: how many there were to choose from. */
  readonly moments: number
  /** Crashes, each with its check. */
  readonly crashes: number
  /** Calls that the checks made of the disk. */
  readonly checkCalls: number
  /** How many crashes … */
  readonly crashesWith: CrashCounts
  /** How many crashes of each mode; `'outcome'`: chosen by number. */
  readonly modes: Readonly<Record<CrashMode | 'outcome', number>>
  /** If `exhaustive`: moments of which every outcome was tried, those that had too many, and the most that one had. */
  readonly exhaustive: { readonly whole: number; readonly sampled: number; readonly mostOutcomes: number }
  readonly violations: readonly CrashViolation[]
  /** Of all crashes and what they did: the same for the same seed and program. */
  readonly fingerprint: string
  /** All of this as text, for printing. */
  readonly summary: string
}

/** How many crashes had what. */
export interface CrashCounts {
  /** Some data was not durable. */
  readonly unsyncedSectors: number
  /** Some name was not durable. */
  readonly unsyncedNames: number
  readonly lostSectors: number
  readonly lostSizes: number
  readonly lostNames: number
  /** A cut (`truncate` to less) was lost. */
  readonly lostCuts: number
  /** Of some write, some sectors were kept and some lost. */
  readonly tornWrites: number
  /** Only the process died. */
  readonly processOnly: number
  /** The crash came while the check after an earlier one ran. */
  readonly duringCheck: number
}

/** Counts crashes. */
export class CrashTally {
  readonly #counts: { -readonly [K in keyof CrashCounts]: number } = {
    unsyncedSectors: 0,
    unsyncedNames: 0,
    lostSectors: 0,
    lostSizes: 0,
    lostNames: 0,
    lostCuts: 0,
    tornWrites: 0,
    processOnly: 0,
    duringCheck: 0,
  }
  readonly #modes = Object.fromEntries([...crashModes, 'outcome'].map((mode) => [mode, 0])) as Record<
    CrashMode | 'outcome',
    number
  >
  #crashes = 0
  #moments = 0
  #calls = 0
  #checkCalls = 0
  #acknowledged = 0
  #whole = 0
  #sampled = 0
  #mostOutcomes = 0
  #hash = 0x811c_9dc5

  addRun(moments: number, calls: number, acknowledged: number): void {
    this.#moments += moments
    this.#calls += calls
    this.#acknowledged += acknowledged
    this.#hashText(`${moments} ${calls} ${acknowledged}`)
  }

  /** A moment whose outcomes are tried, all of them, or (undefined) some. */
  addExplored(outcomes: number | undefined): void {
    if (outcomes === undefined) this.#sampled++
    else this.#whole++
    this.#mostOutcomes = Math.max(this.#mostOutcomes, outcomes ?? 0)
  }

  addCrash({ during, origin, replay }: CrashInfo, checkCalls: number): void {
    const { choice, unsynced, lost, tornWrites } = origin
    const mode = 'mode' in choice ? choice.mode : 'outcome'
    this.#crashes++
    this.#checkCalls += checkCalls
    this.#modes[mode]++
    const counts = this.#counts
    if (unsynced.sectors > 0) counts.unsyncedSectors++
    if (unsynced.names > 0) counts.unsyncedNames++
    if (lost.sectors > 0) counts.lostSectors++
    if (lost.sizes > 0) counts.lostSizes++
    if (lost.names > 0) counts.lostNames++
    if (lost.cuts > 0) counts.lostCuts++
    if (tornWrites > 0) counts.tornWrites++
    if (mode === 'process') counts.processOnly++
    if (during === 'check') counts.duringCheck++
    this.#hashText(`${replay} ${lost.sectors} ${lost.sizes} ${lost.names} ${lost.cuts} ${tornWrites} ${checkCalls}`)
  }

  report(seed: number, runs: number, violations: readonly CrashViolation[]): CrashReport {
    const facts = {
      seed,
      runs,
      calls: this.#calls,
      acknowledged: this.#acknowledged,
      moments: this.#moments,
      crashes: this.#crashes,
      checkCalls: this.#checkCalls,
      crashesWith: { ...this.#counts },
      modes: { ...this.#modes },
      exhaustive: { whole: this.#whole, sampled: this.#sampled, mostOutcomes: this.#mostOutcomes },
      violations: [...violations],
      fingerprint: (this.#hash >>> 0).toString(16).padStart(8, '0'),
    }
    return { ...facts, summary: describe(facts) }
  }

  /** FNV-1a. */
  #hashText(text: string): void {
    for (let index = 0; index < text.length; index++) {
      this.#hash = Math.imul(this.#hash ^ text.charCodeAt(index), 0x0100_0193)
    }
  }
}

function describe(report: Omit<CrashReport, 'summary'>): string {
  const { crashesWith: had, exhaustive } = report
  const lines = [
    `seed ${report.seed}: ${report.crashes} crashes at ${report.moments} moments of ${report.runs} runs ` +
      `(${report.calls} calls, ${report.acknowledged} acknowledgements)`,
    `  met unsynced sectors ${had.unsyncedSectors}, unsynced names ${had.unsyncedNames}, a check ${had.duringCheck}; ` +
      `only the process died ${had.processOnly}`,
    `  took sectors ${had.lostSectors}, sizes ${had.lostSizes}, names ${had.lostNames}, cuts ${had.lostCuts}; ` +
      `tore a write ${had.tornWrites}`,
  ]
  if (exhaustive.whole + exhaustive.sampled > 0) {
    lines.push(
      `  every outcome of ${exhaustive.whole} moments (at most ${exhaustive.mostOutcomes} each); ` +
        `${exhaustive.sampled} moments had too many, and were sampled`,
    )
  }
  lines.push(`  violations: ${report.violations.length}`)
  for (const { error, crash, replay } of report.violations) {
    const at = crash.call === undefined ? 'before the first call' : `${crash.when}: ${crash.call.kind} ${crash.call.path}`
    lines.push(`    ${reasonOf(error)}`, `      call ${crash.call?.number ?? 0}, ${at}; replay: '${replay}'`)
  }
  return lines.join('\n')
}
