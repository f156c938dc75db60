/**
 * The device's floor: durable writes a second of a loop that does nothing else. In C where a compiler is there
 * (`native/floor.c`), else the same loop in Node.js, which is slower by what a call costs there.
 */
import { closeSync, constants, fsyncSync, openSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import { run } from './run-worker.js'

export interface Floor {
  readonly how: string
  /** Writes a second. */
  measure(payloadBytes: number, durationMs: number): Promise<number>
}

export async function findFloor(directory: string): Promise<Floor> {
  const path = join(directory, 'floor')
  const program = await compile('floor.c', join(directory, 'floor-program'))
  if (program === undefined) {
    return {
      how: 'pwrite on an O_DSYNC, zero-filled file, in Node.js: there is no C compiler (cc)',
      measure: async (payloadBytes, durationMs) => floorInNode(path, payloadBytes, durationMs),
    }
  }
  return {
    how: 'pwrite on an O_DSYNC, zero-filled file, in C',
    async measure(payloadBytes, durationMs) {
      const { stdout, problem } = await run([program, path, String(payloadBytes), String(durationMs)])
      if (problem !== undefined) throw new Error(`the floor could not be measured: ${problem}`)
      const [writes, ns] = stdout.trim().split(' ').map(Number) as [number, number]
      return writes / (ns / 1e9)
    },
  }
}

/** Compiles a program of `native/`; undefined where that can't be done. */
export async function compile(source: string, target: string, flags: readonly string[] = []): Promise<string | undefined> {
  const path = fileURLToPath(new URL(`../native/${source}`, import.meta.url))
  const { problem } = await run(['cc', '-O2', ...flags, '-o', target, path]).catch(() => ({ problem: 'there is no cc' }))
  return problem === undefined ? target : undefined
}

const fileBytes = 16 * 1024 * 1024

export function floorInNode(path: string, payloadBytes: number, durationMs: number): number {
  if (statSync(path, { throwIfNoEntry: false })?.size !== fileBytes) {
    const filled = openSync(path, 'w')
    writeSync(filled, new Uint8Array(fileBytes), 0, fileBytes, 0)
    fsyncSync(filled)
    closeSync(filled)
  }

  const file = openSync(path, constants.O_WRONLY | constants.O_DSYNC)
  const payload = new Uint8Array(payloadBytes).fill(120)
  const startMs = performance.now()
  let writes = 0
  let elapsedMs = 0
  for (let at = 0; elapsedMs < durationMs; at += payloadBytes) {
    if (at + payloadBytes > fileBytes) at = 0
    writeSync(file, payload, 0, payloadBytes, at)
    writes++
    elapsedMs = performance.now() - startMs
  }
  closeSync(file)
  return writes / (elapsedMs / 1000)
}
