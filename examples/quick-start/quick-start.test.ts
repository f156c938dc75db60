import { expect, test } from 'vitest'
import { runExample, temporaryDirectory } from '../support/run-example.js'

const appended = ["put { key: 'apples', amount: 3 }", "put { key: 'pears', amount: 5 }", 'del apples']
const lines = (lives: number): string[] => Array.from({ length: lives }, () => appended).flat().map((entry, index) => `${index + 1} ${entry}`)

test.each(['quick-start/quick-start.ts', 'quick-start/quick-start.mjs', 'quick-start/quick-start.cjs'])('%s shows what it appended, and goes on behind it when it is run again', async (path) => {
  const cwd = temporaryDirectory()

  for (const life of [1, 2, 3]) {
    const { code, stdout, stderr } = await runExample(path, { cwd })

    expect(stderr).toBe('')
    expect(code).toBe(0)
    expect(stdout.split('\n').slice(0, 3 * life)).toEqual(lines(life))
  }
})
