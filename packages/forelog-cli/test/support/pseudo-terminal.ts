import { type ChildProcess, spawn, spawnSync } from 'node:child_process'

/** Why nothing can be run on a terminal here; undefined: it can. The `script` of util-linux gives a program one. */
export function noTerminal(): string | undefined {
  const { stdout, status } = spawnSync('script', ['--version'], { encoding: 'utf8' })
  return status === 0 && stdout.includes('util-linux') ? undefined : 'the script of util-linux is not installed'
}

/** A program that believes that a person sits in front of it. */
export class PseudoTerminal implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #ended: Promise<number | null>
  #output = ''
  #seen = 0
  #wake: () => void = () => {}

  constructor(command: string, { cwd, env = {} }: { readonly cwd: string; readonly env?: Record<string, string> }) {
    this.#child = spawn('script', ['-qefc', command, '/dev/null'], { cwd, env: { ...process.env, TERM: 'dumb', NO_COLOR: '1', ...env }, stdio: ['pipe', 'pipe', 'inherit'] })
    this.#child.stdout?.on('data', (data: Buffer) => {
      this.#output += data.toString()
      this.#wake()
    })
    this.#ended = new Promise((resolve) => this.#child.once('close', (code) => (resolve(code), this.#wake())))
  }

  type(keys: string): void {
    this.#child.stdin?.write(keys)
  }

  /** Waits for a text behind all that was waited for before. */
  async sees(text: string): Promise<void> {
    for (;;) {
      const at = this.#output.indexOf(text, this.#seen)
      if (at >= 0) {
        this.#seen = at + text.length
        return
      }
      if (this.#child.exitCode !== null) throw new Error(`it ended with ${this.#child.exitCode}, and '${text}' was not seen in ${JSON.stringify(this.#output.slice(this.#seen))}`)
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }

  /** All that was shown so far. */
  get output(): string {
    return this.#output
  }

  /** Its exit code. */
  get ended(): Promise<number | null> {
    return this.#ended
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#ended
  }
}
