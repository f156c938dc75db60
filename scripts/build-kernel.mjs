// Compiles packages/forelog/assembly/kernel.ts and embeds it: node scripts/build-kernel.mjs
// What it writes is committed, so that the sources are whole without a build; a test compares the two.

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import asc from 'assemblyscript/asc'

const source = fileURLToPath(new URL('../packages/forelog/assembly/kernel.ts', import.meta.url))
export const embedded = fileURLToPath(new URL('../packages/forelog/src/format/kernel-module.ts', import.meta.url))

// Tables, lengths and staging area, up to the next page of 64 KiB; it never grows.
const pages = Math.ceil((1024 + (16 + 128 + 256) * 1024) / 65536)

/** The text of the file that holds the module. */
export async function kernelModule() {
  const files = new Map()
  const { error, stderr } = await asc.main(
    [
      'kernel.ts',
      ...['--outFile', 'kernel.wasm', '--runtime', 'stub', '--noAssert', '--enable', 'simd'],
      ...['--optimizeLevel', '3', '--shrinkLevel', '0', '--converge'],
      ...['--initialMemory', `${pages}`, '--maximumMemory', `${pages}`],
    ],
    {
      readFile: (name) => (name === 'kernel.ts' ? readFileSync(source, 'utf8') : null),
      writeFile: (name, contents) => void files.set(name, contents),
      listFiles: () => [],
    },
  )
  if (error !== null) throw new Error(`${error.message}\n${stderr.toString()}`)
  const base64 = Buffer.from(files.get('kernel.wasm')).toString('base64')
  const lines = base64.match(/.{1,120}/g).map((line) => `  '${line}'`)
  return `// Made from assembly/kernel.ts by scripts/build-kernel.mjs: not to be edited.\n\n/** The WebAssembly module of the kernel, in base64. */\nexport const kernelModule: string =\n${lines.join(' +\n')}\n`
}

/** Writes that file, if it is not what it should be. */
export async function embedKernel() {
  const text = await kernelModule()
  if (!existsSync(embedded) || readFileSync(embedded, 'utf8') !== text) writeFileSync(embedded, text)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await embedKernel()
