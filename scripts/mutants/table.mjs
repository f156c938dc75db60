// Who killed which mutant, as the last runs with `--write` found, and the table of it in docs/RELIABILITY.md.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { equivalent, mutants } from './list.mjs'

const killedPath = fileURLToPath(new URL('killed.json', import.meta.url))
const pagePath = fileURLToPath(new URL('../../docs/RELIABILITY.md', import.meta.url))
const begin = '<!-- npm run mutants -- --write: from here on -->\n'
const end = '<!-- to here -->\n'

/** `{ name, file, test }` of each mutant that was killed, in the order of the list. */
export function readKilled() {
  return existsSync(killedPath) ? JSON.parse(readFileSync(killedPath, 'utf8')) : []
}

/** Takes in a run of some mutants: those of them that were not killed are left out from now on, and so is what is not on the list. */
export function noteKilled(chosen, killed) {
  const tried = new Set(chosen.map(({ name }) => name))
  const byName = new Map([...readKilled().filter(({ name }) => !tried.has(name)), ...killed].map((each) => [each.name, each]))
  const inOrder = mutants.map(({ name }) => byName.get(name)).filter((each) => each !== undefined)
  writeFileSync(killedPath, `${JSON.stringify(inOrder, undefined, 2)}\n`)
}

/**
 * What stands in the page between the two comments.
 *
 * @public `examples/reliability.test.ts` asks for it, by a name that is put together
 */
export function tableOf(page = readFileSync(pagePath, 'utf8')) {
  return page.slice(page.indexOf(begin) + begin.length, page.indexOf(end))
}

/** What is to stand there. */
export function makeTable() {
  const cell = (text) => text.replaceAll('|', '\\|').replaceAll('<', '&lt;')
  const byFile = new Map()
  const killed = readKilled()
  for (const { file } of killed) byFile.set(file, (byFile.get(file) ?? 0) + 1)
  return [
    `${killed.length} mutants of ${mutants.length} are killed, by ${byFile.size} test files. Another ${equivalent.length === 1 ? 'one changes' : `${equivalent.length} change`} nothing that can be seen; the list says why.`,
    '',
    '| bug | killed by | test |',
    '|---|---|---|',
    ...killed.map(({ name, file, test }) => `| ${cell(name)} | \`${file}\` | ${cell(test)} |`),
    '',
  ].join('\n')
}

export function writeTable() {
  const page = readFileSync(pagePath, 'utf8')
  writeFileSync(pagePath, page.slice(0, page.indexOf(begin) + begin.length) + makeTable() + page.slice(page.indexOf(end)))
}
