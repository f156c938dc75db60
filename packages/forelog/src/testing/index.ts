/// <reference types="node" preserve="true" />
/**
 * `forelog/testing`: a disk that crashes, for testing what is built on a log.
 *
 * @packageDocumentation
 * @module forelog/testing
 */
export { exploreCrashes } from './explore-crashes.js'
export type {
  CheckContext,
  CrashProgress,
  ExploreCrashesOptions,
  WorkloadContext,
} from './explore-crashes.js'
export type { CrashCounts, CrashInfo, CrashReport, CrashViolation } from './crash-report.js'
export type { CrashWhen } from './crash-moments.js'
export { SimulatedDisk } from './simulated-disk.js'
export type {
  CrashChoice,
  CrashOutcomes,
  DiskOrigin,
  ExactCrashChoice,
  SimulatedDiskOptions,
} from './simulated-disk.js'
export { crashModes } from './crash-plan.js'
export type { CrashMode, CrashOutcome, PieceCounts } from './crash-plan.js'
export type { CallHook, CallMoment, DiskBehaviour } from './disk-core.js'
export { callKinds, SimulatedCrash } from './faults.js'
export type { CallKind, DiskCall, Fault, SyncFailure } from './faults.js'
export { deriveSeed, Random, randomSeed } from './random.js'
