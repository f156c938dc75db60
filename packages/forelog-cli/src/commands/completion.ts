import { type Command, commonOptions, type OptionSpec, UsageError } from '../command.js'
import { exitCodes } from '../exit-codes.js'

const shells = ['bash', 'zsh'] as const

/** @param others the commands that are completed */
export function completionFor(others: readonly Command[]): Command {
  const completion: Command = {
    name: 'completion',
    args: ['SHELL'],
    summary: 'Print what completes commands and options in bash or zsh.',
    options: {},
    examples: [
      ['source <(forelog completion bash)', 'in ~/.bashrc'],
      ['source <(forelog completion zsh)', 'in ~/.zshrc, behind compinit'],
    ],
    async run({ terminal, positionals }) {
      const shell = positionals[0] as string
      if (!(shells as readonly string[]).includes(shell)) throw new UsageError(`completion is for ${shells.join(' and ')}, and not for '${shell}'`)
      const all = [...others, completion]
      await terminal.write(shell === 'bash' ? bash(all) : zsh(all))
      return exitCodes.fine
    },
  }
  return completion
}

function optionsOf(command: Command): [string, OptionSpec][] {
  return Object.entries<OptionSpec>({ ...command.options, ...commonOptions })
}

function bash(commands: readonly Command[]): string {
  const cases = commands.map((command) => `    ${command.name}) options='${optionsOf(command).map(([name]) => `--${name}`).join(' ')}' ;;`)
  const values = commands.flatMap((command) =>
    optionsOf(command).flatMap(([name, { choices, orFile }]) =>
      choices === undefined ? [] : [`    '${command.name} --${name}') COMPREPLY=($(compgen -W '${choices.join(' ')}' -- "$current"))${orFile === true ? '; _forelog_files "$current"' : ''}; return ;;`],
    ),
  )
  return `# bash completion for forelog
# A name on each line, so that one with a space in it stays whole: bash 3.2, which macOS has, knows no mapfile.
_forelog_files() {
  local IFS=$'\\n'
  COMPREPLY+=($(compgen -f -- "$1"))
}
_forelog() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD - 1]}" options=''
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${commands.map(({ name }) => name).join(' ')} --help --version' -- "$current"))
    return
  fi
  case "\${COMP_WORDS[1]} $previous" in
${values.join('\n')}
  esac
  case "\${COMP_WORDS[1]}" in
${cases.join('\n')}
  esac
  if [[ "$current" == -* ]]; then COMPREPLY=($(compgen -W "$options" -- "$current"))
  elif [ "\${COMP_WORDS[1]}" = completion ]; then COMPREPLY=($(compgen -W '${shells.join(' ')}' -- "$current"))
  else _forelog_files "$current"
  fi
}
complete -o filenames -F _forelog forelog
`
}

function zsh(commands: readonly Command[]): string {
  const quote = (text: string): string => text.replaceAll("'", "'\\''").replaceAll('[', '\\[').replaceAll(']', '\\]').replaceAll(':', '\\:')
  const valueOf = ({ choices, orFile }: OptionSpec): string => {
    if (choices === undefined) return '_files'
    const words = choices.join(' ')
    return orFile === true ? `_alternative "values\\:value\\:(${words})" "files\\:file\\:_files"` : `(${words})`
  }
  const spec = ([name, option]: [string, OptionSpec]): string =>
    `'--${name}[${quote(option.help.split('. ')[0] as string)}]${option.type === 'boolean' ? '' : `:value:${valueOf(option)}`}'`
  const cases = commands.map((command) => `    ${command.name}) _arguments ${[...optionsOf(command).map(spec), command.name === 'completion' ? `':shell:(${shells.join(' ')})'` : "'*:file:_files'"].join(' ')} ;;`)
  return `#compdef forelog
_forelog() {
  local -a commands=(${commands.map(({ name, summary }) => `'${name}:${summary.replaceAll("'", '’')}'`).join(' ')})
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
${cases.join('\n')}
  esac
}
# Sourced, or a file of fpath that compinit found.
if [[ $funcstack[1] == _forelog ]]; then _forelog "$@"; else compdef _forelog forelog; fi
`
}
