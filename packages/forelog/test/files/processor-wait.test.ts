import { type ChildProcess, spawn } from 'node:child_process'
import { availableParallelism } from 'node:os'
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
