/**
 * Figures in the docs come from a committed result file, and from nowhere else. A document names the file and how much of it:
 *
 *     <!-- results: bench/results/2026-01-02-machine.json, full -->
 *     …
 *     <!-- end of results -->
 *
 * What stands between is written by `npm run bench -- --quote`, and a test compares it.
 */
import type { Results } from '../results.js'
import { resultsTable, shortTable } from './text.js'

const block = /(<!-- results: (\S+), (full|short) -->\n)[\s\S]*?(<!-- end of results -->)/g

/** The document with what its files say now. */
export function withQuotes(document: string, resultsOf: (path: string) => Results): string {
  return document.replaceAll(block, (_, begin: string, path: string, extent: string, end: string) => {
    const results = resultsOf(path)
    return `${begin}${extent === 'full' ? resultsTable(results) : shortTable(results)}\n${end}`
  })
}

/** The files that a document quotes. */
export function quotedFiles(document: string): string[] {
  return [...document.matchAll(block)].map(([, , path]) => path as string)
}
