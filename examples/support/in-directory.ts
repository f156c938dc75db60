import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Runs an example in the directory that was named on the command line, or in a temporary one, which is removed afterwards. */
export async function inDirectory(run: (directory: string) => Promise<void>): Promise<void> {
  const [, , named] = process.argv
  if (named !== undefined) return run(named)
  const directory = await mkdtemp(join(tmpdir(), 'forelog-example-'))
  try {
    await run(directory)
  } finally {
    await rm(directory, { recursive: true })
  }
}
