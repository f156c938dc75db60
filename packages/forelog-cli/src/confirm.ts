import { createInterface } from 'node:readline/promises'
import { UsageError } from './command.js'
import type { Terminal } from './terminal.js'

/** Asks for a yes; refuses where nobody is there to ask. */
export async function confirmed(question: string, terminal: Terminal, json: boolean): Promise<boolean> {
  await terminal.flush()
  if (json || process.stdin.isTTY !== true) throw new UsageError('this asks before it changes anything, and nobody is there to ask: give --yes')
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const answer = await lines.question(terminal.errorColors.bold(`${question} Type yes to go on: `))
    return answer.trim().toLowerCase() === 'yes'
  } finally {
    lines.close()
  }
}
