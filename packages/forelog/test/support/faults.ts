/** The ways in which a call to the disk fails, for tests that have each call fail in turn. */
import type { Fault } from '../../src/testing/index.js'

/** A way to fail, without the call that it hits. */
export type FaultKind = Omit<Fault, 'at'>

/** The same once, and for good. */
export function onceAndForGood(kinds: readonly Omit<Fault, 'at' | 'times'>[]): readonly FaultKind[] {
  return kinds.flatMap((kind) => [kind, { ...kind, times: Infinity }])
}

export const faultKinds: readonly Omit<Fault, 'at' | 'times'>[] = [
  { code: 'EIO' },
  { code: 'ENOSPC' },
  { code: 'EMFILE', kind: ['open', 'list', 'syncDirectory', 'lock'] },
  // A write that puts some bytes there before it fails.
  { kind: 'write', code: 'EIO', bytes: 37 },
  { kind: 'write', code: 'ENOSPC', bytes: 37 },
  // No failure at all: a short write, a short read.
  { kind: ['write', 'read'], bytes: 1 },
  ...(['ext4', 'btrfs', 'once', 'retryable'] as const).flatMap((syncFailure): Omit<Fault, 'at' | 'times'>[] => [
    { kind: ['sync', 'dataSync', 'write'], code: 'EIO', syncFailure },
    { kind: ['sync', 'dataSync', 'write'], code: 'ENOSPC', syncFailure },
  ]),
]

export function faultName({ kind, code, bytes, syncFailure, times }: FaultKind): string {
  const what = code === undefined ? 'short' : `${code}${syncFailure === undefined ? '' : ` as on ${syncFailure}`}${bytes === undefined ? '' : `, behind ${bytes} bytes`}`
  return `${what}, ${kind === undefined ? 'any call' : String(kind)}, ${times === Infinity ? 'for good' : 'once'}`
}
