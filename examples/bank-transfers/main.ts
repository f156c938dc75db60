/**
 * Bank transfers: a writer appends them as fast as it can and tells what was acknowledged; it is killed with SIGKILL at random,
 * again and again. In the end every acknowledged transfer has to be in the log, once and in order, and the balances to add up.
 *
 *     npm start -- --kills 100 --seed 7 --directory /mnt/other-disk
 */
import { randomInt } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { killWriter } from './kill-writer.js'
import { type Counts, Ledger } from './ledger.js'
import { prove } from './prove.js'
import { integerBelow, randomFrom } from './random.js'
import { Violation } from './violation.js'

const maxSegmentBytes = 64 * 1024
const longestLifeMs = 150
/** Half of the kills asked for have to meet a group in flight. Where chance has it otherwise there are more kills, up to so many times as many. */
const mostKillsFactor = 3

const isTerminal = process.stdout.isTTY
const betweenLinesMs = 5000
let toldAtMs = performance.now()

const usage = 'Usage: npm start -- [--kills 24] [--seed <number>] [--directory <where to make the log; default: the temporary directory>]'

interface Plan {
  readonly kills: number
  readonly seed: number
  readonly parent: string
}

try {
  process.exitCode = await run(readPlan())
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}

function readPlan(): Plan {
  const options = { kills: { type: 'string' }, seed: { type: 'string' }, directory: { type: 'string' } } as const
  let values
  try {
    ;({ values } = parseArgs({ options }))
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${usage}`, { cause: error })
  }
  return {
    kills: integerFrom('kills', values.kills ?? '24', 1),
    seed: integerFrom('seed', values.seed ?? String(randomInt(2 ** 31)), 0),
    parent: resolve(values.directory ?? tmpdir()),
  }
}

function integerFrom(name: string, text: string, least: number): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= least) return value
  throw new Error(`--${name} is ${text}, and must be an integer of at least ${least}\n${usage}`)
}

async function run({ kills, seed, parent }: Plan): Promise<number> {
  const beganMs = performance.now()
  const directory = mkdtempSync(join(parent, 'forelog-bank-transfers-'))
  console.log(`A writer of bank transfers will be killed ${count(kills, 'time')} or more (seed ${seed}); its log is in ${directory}`)
  console.log(`In the end, every transfer that was acknowledged has to be there, once. ${kills <= 50 ? 'This takes half a minute or so, on a busy machine more' : 'A kill takes a second or so'}`)

  const ledger = new Ledger()
  const random = randomFrom(seed)
  let rolls: number
  try {
    for (let life = 0; life < kills || (isTame(ledger.counts, kills) && life < kills * mostKillsFactor); life++) {
      const lifeSeed = integerBelow(random, 2 ** 31)
      await killWriter({ directory, seed: lifeSeed, maxSegmentBytes }, random() * longestLifeMs, ledger)
      progress(ledger.counts, kills)
    }
    endProgress()
    rolls = await prove(directory, ledger)
  } catch (error) {
    endProgress()
    const what = error instanceof Violation ? `VIOLATION: ${error.message}` : `FAILED: ${error instanceof Error ? error.stack : String(error)}`
    console.error(`${what}\nseed ${seed}, behind kill ${ledger.counts.kills}; the log is kept in ${directory}`)
    return 1
  }

  rmSync(directory, { recursive: true })
  printFigures(ledger.counts, rolls, (performance.now() - beganMs) / 1000)
  const tame = tameness(ledger.counts, kills, rolls)
  if (tame === undefined) return 0
  console.error(`No violation, but it proves little: ${tame}. Run it again, with more --kills or on another disk`)
  return 1
}

/** On a terminal one line that changes, elsewhere one now and then. */
function progress({ kills, acknowledged }: Counts, asked: number): void {
  const line = `  killed ${number(kills)} of ${number(asked)}, ${count(acknowledged, 'entry', 'entries')} acknowledged`
  if (isTerminal) process.stdout.write(`\r${line}`)
  else if (performance.now() - toldAtMs > betweenLinesMs) {
    toldAtMs = performance.now()
    console.log(line)
  }
}

function endProgress(): void {
  if (isTerminal) process.stdout.write('\n')
}

/** Why the run was no test, or undefined. */
function tameness(counts: Counts, asked: number, rolls: number): string | undefined {
  if (rolls === 0) return 'no segment was full'
  if (isTame(counts, asked)) return `only ${counts.killsInFlight} of ${count(counts.kills, 'kill')} came while a group was in flight`
  return undefined
}

function isTame({ killsInFlight }: Counts, asked: number): boolean {
  return killsInFlight * 2 < asked
}

function printFigures(counts: Counts, rolls: number, seconds: number): void {
  const { appended, appendCalls, batchCalls, acknowledged, kills, killsInFlight, killsInRoll } = counts
  const { tornBytes, tornTails, openings, entriesReplayed } = counts
  console.log(`${count(appended, 'entry', 'entries')} appended in ${count(appendCalls, 'call')}, ${number(batchCalls)} of them batches; ${number(acknowledged)} acknowledged`)
  console.log(`${count(kills, 'kill')}: ${number(killsInFlight)} with a group in flight, ${number(killsInRoll)} seen in the middle of a roll; ${count(rolls, 'roll')} to a new segment`)
  console.log(`${count(tornBytes, 'torn byte')} cut off in ${count(tornTails, 'opening')}; ${count(entriesReplayed, 'entry', 'entries')} replayed in ${count(openings, 'opening')}`)
  console.log('Every acknowledged transfer is there once, in order, byte for byte; nothing else is; batches are whole; the balances add up to 0')
  console.log(`${seconds.toFixed(1)} seconds`)
}

function count(value: number, one: string, many = `${one}s`): string {
  return `${number(value)} ${value === 1 ? one : many}`
}

function number(value: number): string {
  return value.toLocaleString('en-US')
}
