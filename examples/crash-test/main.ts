import { crashTest, putThenSay, sayThenPut } from './crash-test.js'

const correct = await crashTest(putThenSay, { seed: 1 })
console.log(`the table: ${correct.crashes} crashes, ${correct.violations.length} violations`)

const broken = await crashTest(sayThenPut, { seed: 1 })
const [first] = broken.violations
console.log(`a table that says so before the log does: ${String((first?.error as Error).message)}`)

// What repeats that very crash, under a debugger for example.
const again = await crashTest(sayThenPut, { replay: first?.replay as string })
console.log(`the same crash again: ${String((again.violations[0]?.error as Error).message)}`)
