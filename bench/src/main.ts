/**
 * `npm run bench`: forelog and its peers, side by side. See docs/PERFORMANCE.md, "Measuring".
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { contenders } from './contenders/index.js'
import { straceWorks, findSlowSyncs } from './slow-syncs.js'
import { describeEnvironment, isInMemory } from './environment.js'
import { findFloor } from './floor.js'
import { measureAppending } from './lines/appending.js'
import { measureCost } from './lines/cost.js'
import { measureEventLoop } from './lines/event-loop.js'
import { measureOpening } from './lines/opening.js'
import { measureReplaying } from './lines/replaying.js'
import { profileLine } from './profile.js'
import { chartLibrary, resultsPage } from './report/html.js'
import { withQuotes } from './report/quote.js'
import { environmentText, goalText, measureText } from './report/text.js'
import { type Chart, type Measure, problemOf, reached, type Results, resultsVersion } from './results.js'
import type { RunContext } from './run-context.js'
import { endAllWithin, isPastDeadline } from './run-worker.js'

const usage = `npm run bench -- [options]

  --quick          ends within two minutes: fewer rounds, smaller logs
  --full           also logs of 10 GB
  --only LINES     some of the lines only: --only 1,6
  --peers NAMES    some of the peers only, or none: --peers lmdb,classic-level
  --ms N           milliseconds of each measurement (usually 1000, quick 250)
  --rounds N       rounds, in each of which everything has its turn (usually 5, quick 3)
  --dir DIR        where to write: a folder on the disk that is to be measured (bench/.data)
  --json FILE      also write the results as JSON
  --html FILE      also write one page with charts
  --profile LINE   measure nothing: print the functions that take the processor time of line 3, 5 or 6
  --from FILE      measure nothing: take the results that --json wrote
  --quote          measure nothing: write into the docs what the result files say that they name
`

/** A quick run has one round of everything from here on, begins nothing new from there on, and ends what still runs. */
const quickMs = { oneRound: 45_000, nothingNew: 95_000, end: 112_000 }

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    full: { type: 'boolean', default: false },
    only: { type: 'string' },
    peers: { type: 'string' },
    rounds: { type: 'string' },
    ms: { type: 'string' },
    dir: { type: 'string', default: fileURLToPath(new URL('../.data', import.meta.url)) },
    json: { type: 'string' },
    html: { type: 'string' },
    profile: { type: 'string' },
    from: { type: 'string' },
    quote: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

if (options.help) console.log(usage)
else if (options.quote) quote()
else if (options.profile !== undefined) await profile(wholeNumber('--profile', options.profile))
else await main()

async function main(): Promise<void> {
  const results = options.from === undefined ? await measure() : readResults(options.from)
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(results, undefined, 1)}\n`)
  if (options.html !== undefined) writeFileSync(options.html, resultsPage(results, chartLibrary()))
}

function quote(): void {
  const root = new URL('../..', import.meta.url)
  for (const document of ['README.md', 'docs/PERFORMANCE.md']) {
    const path = fileURLToPath(new URL(document, root))
    writeFileSync(path, withQuotes(readFileSync(path, 'utf8'), (file) => readResults(fileURLToPath(new URL(file, root)))))
  }
}

function readResults(path: string): Results {
  const results = JSON.parse(readFileSync(path, 'utf8')) as Results
  const problem = problemOf(results)
  if (problem !== undefined) throw new Error(`${path} is no result file: ${problem}`)
  return results
}

async function profile(line: number): Promise<void> {
  console.log(await profileLine(line, scratchDirectory()))
}

/** Taken away when this process ends. */
function scratchDirectory(): string {
  mkdirSync(options.dir, { recursive: true })
  const directory = mkdtempSync(join(resolve(options.dir), 'bench-'))
  process.on('exit', () => {
    rmSync(directory, { recursive: true, force: true })
  })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130))
  return directory
}

async function measure(): Promise<Results> {
  const mode = options.quick ? 'quick' : options.full ? 'full' : 'usual'
  const date = new Date().toISOString()
  const startMs = performance.now()
  if (options.quick) endAllWithin(quickMs.end)
  const directory = scratchDirectory()
  const measures: Measure[] = []
  const charts: Chart[] = []
  const skipped: string[] = []
  const [floor, slowSyncs, strace] = [await findFloor(directory), await findSlowSyncs(directory), await straceWorks()]
  const wantedPeers = options.peers?.split(',')
  const present = contenders.filter((contender) => {
    if (contender.name === 'forelog') return true
    if (wantedPeers !== undefined && !wantedPeers.includes(contender.name)) return false
    if (contender.version() !== undefined) return true
    skipped.push(`${contender.name}: it could not be installed`)
    return false
  })
  const environment = describeEnvironment(directory, present, floor.how, slowSyncs?.how)
  console.log(environmentText(environment))
  if (isInMemory(environment)) console.log(`${options.dir} is in memory: a sync costs nothing there. Take a folder on a disk by --dir.`)
  console.log(`rounds          ${rounds()}, everything in turn within each; ratios are those within a round; figures are medians\n`)
  for (const what of skipped) console.log(`  skipped: ${what}`)

  const lines = options.only?.split(',').map((line) => wholeNumber('--only', line))
  const measureMs = wholeNumber('--ms', options.ms ?? (options.quick ? '250' : '1000'))
  const context: RunContext = {
    mode,
    rounds: rounds(),
    warmUpMs: measureMs / 2,
    measureMs,
    directory,
    contenders: present,
    floor,
    slowSyncs,
    strace,
    wants: (line) => lines === undefined || lines.includes(line),
    isLate: () => options.quick && performance.now() - startMs > quickMs.oneRound,
    async part(what, measure) {
      if (options.quick && performance.now() - startMs > quickMs.nothingNew) return context.skip(`${what}: a quick run had no time left for it`)
      try {
        await measure()
      } catch (error) {
        if (!isPastDeadline()) throw error
        context.skip(`${what}: it was not done when the time of a quick run was over`)
      }
    },
    report(measure) {
      measures.push(measure)
      console.log(`${measureText(measure)}\n`)
    },
    chart: (chart) => charts.push(chart),
    skip(what) {
      skipped.push(what)
      console.log(`  skipped: ${what}\n`)
    },
    progress(text) {
      if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text} …\r`)
    },
  }
  await measureAppending(context)
  await measureReplaying(context)
  await measureOpening(context)
  await measureCost(context)
  await measureEventLoop(context)

  const goals = measures.flatMap((measure) => measure.goals.map((goal) => ({ measure, goal })))
  const missed = goals.filter(({ goal }) => !reached(goal))
  console.log(`${goals.length - missed.length} of ${goals.length} goals reached, in ${((performance.now() - startMs) / 1000).toFixed(0)} s`)
  for (const { measure, goal } of missed) console.log(`  line ${measure.line}  ${measure.name}\n    ${goalText(goal)}`)
  return { resultsVersion, date, command: commandLine(), mode, environment, measures, charts, skipped }
}

function rounds(): number {
  return wholeNumber('--rounds', options.rounds ?? (options.quick ? '3' : '5'))
}

function wholeNumber(option: string, text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw new Error(`${option} takes whole numbers from 1 on, not ${text}`)
  return value
}

/** As it was typed, without the places of this machine. */
function commandLine(): string {
  const flags = [
    ...(options.quick ? ['--quick'] : []),
    ...(options.full ? ['--full'] : []),
    ...(options.only === undefined ? [] : [`--only ${options.only}`]),
    ...(options.peers === undefined ? [] : [`--peers ${options.peers}`]),
    ...(options.rounds === undefined ? [] : [`--rounds ${options.rounds}`]),
    ...(options.ms === undefined ? [] : [`--ms ${options.ms}`]),
  ]
  return ['npm run bench', ...(flags.length === 0 ? [] : ['--', ...flags])].join(' ')
}
