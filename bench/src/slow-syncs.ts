/**
 * Plays slower disks. By a library that is loaded in front of the C library (`native/slow-syncs.c`), because that delays
 * syncs and nothing else; strace can't tell a write through an O_DSYNC descriptor from one that only fills zeros ahead.
 * Where there is no compiler, by strace.
 */
import { join } from 'node:path'
import { compile } from './floor.js'
import { run, type HowToRun } from './run-worker.js'

export interface Slowness {
  readonly name: string
  readonly syncUs: number
  /** Each so-manieth sync takes `rareUs` longer instead. */
  readonly every?: number
  readonly rareUs?: number
}

export interface SlowSyncs {
  readonly how: string
  by(slowness: Slowness): HowToRun
}

export async function findSlowSyncs(directory: string): Promise<SlowSyncs | undefined> {
  if (process.platform !== 'linux') return undefined
  const library = await compile('slow-syncs.c', join(directory, 'slow-syncs.so'), ['-shared', '-fPIC', '-ldl'])
  if (library !== undefined) {
    return {
      how: 'a library in front of the C library: fsync, fdatasync and writes through O_DSYNC take longer',
      by: ({ syncUs, every = 0, rareUs = 0 }) => ({
        env: { LD_PRELOAD: library, SLOW_SYNC_US: String(syncUs), SLOW_SYNC_EVERY: String(every), SLOW_SYNC_RARE_US: String(rareUs) },
      }),
    }
  }
  if (!(await straceWorks())) return undefined
  const calls = 'fsync,fdatasync,pwrite64,pwritev'
  return {
    how: `strace: ${calls} take longer (writes that sync nothing, too)`,
    by({ syncUs, every, rareUs }) {
      const usual = syncUs > 0 ? ['-e', `inject=${calls}:delay_enter=${syncUs}`] : []
      const rare = every !== undefined && rareUs !== undefined ? ['-e', `inject=${calls}:delay_enter=${rareUs}:when=${every}+${every}`] : []
      return { through: ['strace', '-f', '--seccomp-bpf', '-qq', '-o', '/dev/null', '-e', `trace=${calls}`, ...usual, ...rare] }
    },
  }
}

export async function straceWorks(): Promise<boolean> {
  const { problem } = await run(['strace', '-f', '-o', '/dev/null', 'true']).catch(() => ({ problem: 'there is no strace' }))
  return problem === undefined
}
