import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { delimiter } from 'node:path'
import { describe, expect, it } from 'vitest'
import { commandFile, damages, forelog, makeScratch, type Scratch, snapshot, writeOrders } from './support/command.js'
import { noTerminal, PseudoTerminal } from './support/pseudo-terminal.js'

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`
const run = (args: string): string => `${quoted(process.execPath)} ${quoted(commandFile)} ${args}`

describe('forelog repair on a terminal', () => {
  it.each([
    ['no', 2],
    ['', 2],
    ['yes', 0],
  ])("asks, and takes '%s' for what it is", async (answer, code) => {
    using scratch = makeScratch()
    await writeOrders(scratch.at('log'))
    damages['a flipped bit']?.(scratch.at('log'))
    const before = snapshot(scratch.at('log'))
    await using terminal = new PseudoTerminal(run('repair log'), { cwd: scratch.path })
    await terminal.sees('flip bit 3 of byte 700')
    await terminal.sees('Nothing is lost.')
    await terminal.sees('Type yes to go on:')
    expect(snapshot(scratch.at('log'))).toEqual(before)
    terminal.type(`${answer}\n`)
    expect(await terminal.ended).toBe(code)
    if (code === 0) expect(forelog(['verify', scratch.at('log')]).out).toContain('✓ sound')
    else expect(snapshot(scratch.at('log'))).toEqual(before)
  })
})

/** A directory with the command in its `bin`, and some files whose names are completed. */
function workplace(scratch: Scratch): Record<string, string> {
  mkdirSync(scratch.at('bin'))
  writeFileSync(scratch.at('bin/forelog'), `#!/bin/sh\nexec ${run('"$@"')}\n`)
  chmodSync(scratch.at('bin/forelog'), 0o755)
  mkdirSync(scratch.at('my orders'))
  writeFileSync(scratch.at('own-codec.js'), '')
  const PATH = `${scratch.at('bin')}${delimiter}${process.env['PATH'] ?? ''}`
  // A shell whose terminal is gone writes its history, while the directory is being removed.
  return { PATH, HOME: scratch.path, ZDOTDIR: scratch.path, HISTFILE: '/dev/null' }
}

/** What is typed, and what completion makes of it. */
const completions = [
  ['forelog ins\t', 'forelog inspect '],
  ['forelog verify --str\t', 'forelog verify --strict '],
  ['forelog dump --format nd\t', 'forelog dump --format ndjson '],
  ['forelog dump --codec msg\t', 'forelog dump --codec msgpack '],
  ['forelog dump --codec own\t', 'forelog dump --codec own-codec.js '],
  ['forelog repair --keep fr\t', 'forelog repair --keep front '],
  ['forelog verify my\t', 'forelog verify my\\ orders/'],
  ['forelog completion z\t', 'forelog completion zsh '],
] as const

describe.each([
  ['bash', 'bash --norc --noprofile -i', "PS1='> '; source <(forelog completion bash)"],
  ['zsh', 'zsh -f -i', "PS1='> '; unsetopt zle_bracketed_paste prompt_sp 2>/dev/null; autoload -Uz compinit; compinit -u -D; source <(forelog completion zsh)"],
])('completion in %s', (shell, start, load) => {
  it('completes commands, options, their values, and files with a space in their names', async ({ skip, onTestFailed }) => {
    const reason = noTerminal() ?? (spawnSync(shell, ['--version']).status === 0 ? undefined : `${shell} is not installed`)
    if (reason !== undefined) skip(reason)
    using scratch = makeScratch()
    let output = (): string => ''
    onTestFailed(() => console.log(JSON.stringify(output())))
    await using terminal = new PseudoTerminal(start, { cwd: scratch.path, env: workplace(scratch) })
    output = () => terminal.output
    terminal.type(`${load}; echo loaded-$((40 + 2))\n`)
    await terminal.sees('loaded-42')
    for (const [typed, completed] of completions) {
      terminal.type(typed)
      await terminal.sees(completed.trimEnd())
      // Ctrl-U takes the line back. Ctrl-C would make the terminal forget what is typed behind it.
      terminal.type('\u0015echo done-$((40 + 2))\n')
      await terminal.sees('done-42')
    }
  })

  it('is a script that the shell reads without a complaint', ({ skip }) => {
    if (spawnSync(shell, ['--version']).status !== 0) skip(`${shell} is not installed`)
    const { status, stderr } = spawnSync(shell, ['-n'], { input: forelog(['completion', shell]).out, encoding: 'utf8' })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  })
})

describe('on a narrow terminal', () => {
  it.each(['--help', 'verify --help', 'grep --help', 'repair --help'])('no line of %s is wider than the terminal', async (args) => {
    using scratch = makeScratch()
    await using terminal = new PseudoTerminal(`stty cols 60; ${run(args)}`, { cwd: scratch.path })
    expect(await terminal.ended).toBe(0)
    const lines = terminal.output.split(/\r?\n/)
    // Commands are not broken: they are there to be pasted.
    expect(lines.filter((line) => line.length > 60 && !/^ +(forelog|echo) /.test(line))).toEqual([])
    expect(readdirSync(scratch.path)).toEqual([])
  })

  const screens = ['inspect log', 'verify log', 'repair --dry-run log', 'doctor log', 'tail log --format table', 'dump log --format table']
  it.each(['a whole log', 'rubbish in the middle', 'a missing file', 'the newest file random'])('no screen of %s is wider than the terminal, nor breaks a word', async (state) => {
    using scratch = makeScratch()
    await writeOrders(scratch.at('log'))
    damages[state]?.(scratch.at('log'))
    for (const columns of state === 'a whole log' ? [60, 80] : [60]) {
      await using terminal = new PseudoTerminal(`stty cols ${columns}; ${screens.map(run).join('; ')}; true`, { cwd: scratch.path })
      await terminal.ended
      const lines = terminal.output.split(/\r?\n/)
      // A path is one word, and commands are there to be pasted.
      expect(lines.filter((line) => line.length > columns && !/^ +forelog /.test(line) && !line.includes(scratch.path))).toEqual([])
      expect(terminal.output).toMatch(/map\r?\n/)
    }
  })

  it('what is folded for a terminal is one line for a program', async () => {
    using scratch = makeScratch()
    await writeOrders(scratch.at('log'))
    damages['a flipped bit']?.(scratch.at('log'))
    await using terminal = new PseudoTerminal(`stty cols 60; ${run('verify log')}`, { cwd: scratch.path })
    expect(await terminal.ended).toBe(1)
    const sentence = "can't be read: one flipped bit explains it, and mending it loses nothing."
    expect(terminal.output).not.toContain(sentence)
    expect(terminal.output.replace(/\s+/g, ' ')).toContain(sentence)
    expect(forelog(['verify', scratch.at('log')]).out).toContain(sentence)
  })
})
