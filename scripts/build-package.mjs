// Builds the package in the current folder: node ../../scripts/build-package.mjs [file of the root to copy]…
// `dist` is made anew, so that it has nothing in it whose source is gone, and it is absent when the build fails.

import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { embedKernel } from './build-kernel.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const tsc = join(createRequire(import.meta.url).resolve('typescript'), '../../bin/tsc')

// A package with a kernel has it compiled first: its module is one of the sources.
if (existsSync('assembly')) await embedKernel()

rmSync('dist', { recursive: true, force: true })
const { status } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { stdio: 'inherit' })
// npm packs the README and the licence of the package's own folder only.
for (const file of process.argv.slice(2)) {
  if (existsSync(join(root, file))) copyFileSync(join(root, file), file)
}
process.exitCode = status ?? 1
