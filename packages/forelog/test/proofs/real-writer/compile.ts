/**
 * The library and these writers as plain JavaScript in a temporary directory: a process that starts some hundred times must
 * start at once, and what it runs must be the source as it is now.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const packageRoot = fileURLToPath(new URL('../../../', import.meta.url))
const nodeModules = fileURLToPath(new URL('../../../../../node_modules', import.meta.url))

export interface Compiled {
  /** Path of the JavaScript of a file of this folder, or of a sibling: `real-writer/writer.ts`. */
  path(name: string): string
  remove(): void
}

/** @param folders of `test/proofs`, to be compiled beside the library */
export function compile(...folders: string[]): Compiled {
  const out = mkdtempSync(join(tmpdir(), 'forelog-compiled-'))
  writeFileSync(join(out, 'package.json'), '{ "type": "module" }')
  symlinkSync(nodeModules, join(out, 'node_modules'))
  for (const folder of ['src', ...folders.map((name) => join('test/proofs', name))]) {
    for (const path of sourcesIn(join(packageRoot, folder))) {
      const { outputText } = ts.transpileModule(readFileSync(path, 'utf8'), {
        compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true },
      })
      const target = join(out, relative(packageRoot, path)).replace(/\.ts$/, '.js')
      mkdirSync(dirname(target), { recursive: true })
      writeFileSync(target, outputText)
    }
  }
  return {
    path: (name) => join(out, 'test/proofs', name.replace(/\.ts$/, '.js')),
    remove: () => rmSync(out, { recursive: true, force: true }),
  }
}

function sourcesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name))
}
