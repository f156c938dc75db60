/**
 * What the device takes for one write that is on stable storage: the floor below every log.
 */
import { closeSync, constants, fdatasyncSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs'

export interface Floor {
  /** Microseconds of each write. */
  readonly samplesUs: readonly number[]
  /** Whether the write itself went through to the device (O_DSYNC), else a sync followed each. */
  readonly writeThrough: boolean
}

/** Writes `bytes` again and again into a file that is filled ahead, for a while; the file is removed. */
export function measureFloor(path: string, bytes: number, milliseconds: number, most: number): Floor {
  const { O_RDWR, O_CREAT, O_EXCL, O_DSYNC } = constants as Record<string, number | undefined>
  const filled = openSync(path, (O_RDWR ?? 0) | (O_CREAT ?? 0) | (O_EXCL ?? 0), 0o600)
  try {
    const room = Math.min(16 * 1024 * 1024, Math.max(bytes * 64, 1024 * 1024))
    for (let at = 0; at < room; at += 65_536) writeSync(filled, new Uint8Array(65_536), 0, 65_536, at)
    fsyncSync(filled)
    // On macOS such a write stops at the drive's cache.
    const writeThrough = O_DSYNC !== undefined && process.platform === 'linux'
    const fd = writeThrough ? openSync(path, (O_RDWR ?? 0) | O_DSYNC) : filled
    try {
      const record = new Uint8Array(bytes).fill(0x5a)
      const samplesUs: number[] = []
      const endMs = performance.now() + milliseconds
      let at = 0
      while (samplesUs.length < most && performance.now() < endMs) {
        const startMs = performance.now()
        writeSync(fd, record, 0, bytes, at)
        if (!writeThrough) fdatasyncSync(fd)
        samplesUs.push((performance.now() - startMs) * 1000)
        at = at + 2 * bytes > room ? 0 : at + bytes
      }
      return { samplesUs, writeThrough }
    } finally {
      if (fd !== filled) closeSync(fd)
    }
  } finally {
    closeSync(filled)
    rmSync(path, { force: true })
  }
}

/** A quantile, 0 to 1, of samples. */
export function quantile(samples: readonly number[], part: number): number {
  const sorted = [...samples].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0
}
