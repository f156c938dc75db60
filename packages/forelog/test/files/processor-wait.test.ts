import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ProcessorWait } from '../../src/files/processor-wait.js'

const counted = process.platform === 'linux'

describe('the wait for a processor', () => {
  it('of one thread is that of the process in part, and both begin at the last look', () => {
    const ofProcess = ProcessorWait.ofProcess()
    const ofThread = ProcessorWait.ofThread()
    // One within the other, so that what is in the thread's time is in that of the process.
    ofProcess.take()
    ofThread.take()
    spin(20)
    const beganMs = performance.now()
    const thread = ofThread.take()
    const all = ofProcess.take()
    expect(thread).toBeGreaterThanOrEqual(0)
    expect(all).toBeGreaterThanOrEqual(thread)
    // What was told is not told again: nobody waits longer than the time that has passed.
    const again = ofThread.take()
    expect(again).toBeLessThanOrEqual(performance.now() - beganMs)
  })

  it('is still counted behind a look at a thread that had just ended, or for which there was no descriptor left', () => {
    const threads = mkdtempSync(join(tmpdir(), 'forelog-threads-'))
    try {
      mkdirSync(join(threads, '1'))
      // It has ended: its name was listed, and nothing is behind it any more.
      mkdirSync(join(threads, '2'))
      const waits = (ms: number): void => writeFileSync(join(threads, '1', 'schedstat'), `5000000 ${ms * 1e6} 7\n`)
      waits(3)
      const wait = ProcessorWait.ofProcess(threads)
      expect(wait.take()).toBe(3)
      waits(10)
      expect(wait.take()).toBe(7)
      // Any other error than that there is no such file.
      renameSync(join(threads, '1'), join(threads, 'aside'))
      writeFileSync(join(threads, '1'), '')
      expect(wait.take()).toBe(0)
      rmSync(join(threads, '1'))
      renameSync(join(threads, 'aside'), join(threads, '1'))
      waits(11)
      expect(wait.take()).toBe(1)
    } finally {
      rmSync(threads, { recursive: true })
    }
  })

  it('is 0 where nobody counts it, and nobody is asked again', () => {
    const threads = mkdtempSync(join(tmpdir(), 'forelog-threads-'))
    try {
      mkdirSync(join(threads, '1'))
      const wait = ProcessorWait.ofProcess(threads)
      expect(wait.take()).toBe(0)
      writeFileSync(join(threads, '1', 'schedstat'), '5000000 3000000 7\n')
      expect(wait.take()).toBe(0)
    } finally {
      rmSync(threads, { recursive: true })
    }
  })

  it.runIf(counted && availableParallelism() <= 8)('is seen when others have all of them', async () => {
    const others = Array.from({ length: availableParallelism() * 2 }, () => spawn(process.execPath, ['-e', 'process.stdout.write("."); for (;;);']))
    try {
      await Promise.all(others.map((other) => begun(other)))
      const wait = ProcessorWait.ofThread()
      wait.take()
      spin(500)
      expect(wait.take()).toBeGreaterThan(50)
    } finally {
      for (const other of others) other.kill('SIGKILL')
    }
  })
})

function begun(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => child.stdout?.once('data', () => resolve()))
}

function spin(ms: number): void {
  const endMs = performance.now() + ms
  while (performance.now() < endMs);
}
