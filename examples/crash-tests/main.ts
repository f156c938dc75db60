import { crashTransfers } from './explore.js'

const seed = 1
const right = await crashTransfers({ crashes: 2000, seed, method: 'transfer' })
console.log(right.summary)

const wrong = await crashTransfers({ crashes: 2000, seed, method: 'transferInTwoSteps' })
console.log(`\nIn two steps: ${wrong.violations.length} violations. The first:`)
const [first] = wrong.violations
if (first === undefined) throw new Error('the mistake was not found')
console.log(`${(first.error as Error).message}\nreplay: ${first.replay}`)
