/**
 * When what was written is put on stable storage, and what an acknowledgement says.
 */

/**
 * `'always'`: an append is acknowledged once it is on stable storage. `'interval'`, `'manual'`: once the operating system has
 * it, which survives the process and not a power cut; it is synced every `syncInterval`, or when the caller says so.
 */
export type SyncMode = 'always' | 'interval' | 'manual'

export interface SyncPolicy {
  readonly mode: SyncMode
  /** `'always'`: how long a group waits for more appends before it is written. */
  readonly delayMs: number
  /** `'interval'`: time from the first unsynced write to the sync. */
  readonly intervalMs: number
}

/** Whether a group is synced before it is acknowledged. */
export function syncsEachGroup(policy: SyncPolicy): boolean {
  return policy.mode === 'always'
}

/** After how long unsynced data is synced without being asked for; undefined: never. */
export function syncsAfterMs(policy: SyncPolicy): number | undefined {
  return policy.mode === 'interval' ? policy.intervalMs : undefined
}
