// What a mutant changes, and whether that still fits the source.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { equivalent, mutants } from './list.mjs'

const source = (file) => readFileSync(fileURLToPath(new URL(`../../packages/forelog/src/${file}`, import.meta.url)), 'utf8')

/** The replacements of a mutant, one behind the other. */
export function patchesOf({ file, from, to, also = [] }) {
  return [{ file, from, to }, ...also]
}

/** What does not fit the sources as they are: a line for each patch whose text is not there exactly once. */
export function misfits() {
  const lines = []
  for (const mutant of [...mutants, ...equivalent]) {
    const texts = new Map()
    for (const { file, from, to } of patchesOf(mutant)) {
      const text = texts.get(file) ?? source(file)
      const parts = text.split(from)
      if (parts.length !== 2) lines.push(`mutant '${mutant.name}': ${file} has its text ${parts.length - 1} times, and it must be there once: ${JSON.stringify(from.slice(0, 100))}`)
      texts.set(file, parts.join(to))
    }
  }
  return lines
}
