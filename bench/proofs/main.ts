/**
 * `npm run peers`: forelog and its peers, damaged and cut off from their power in the same way. See docs/RELIABILITY.md, "Others under the
 * same tests".
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { makeVolume, whyNot } from '../../packages/forelog/test/proofs/power-cut/volumes.ts'
import { describeEnvironment } from '../src/environment.ts'
import { cutAll } from './cuts.ts'
import { damageAll } from './flips.ts'
import { merged, type Part, type PartName, partNames, type Results, tables, withTables } from './results.ts'
import { type Subject, subjects } from './subjects.ts'

const usage = `npm run peers -- [options]

  --seed N         what is written, where it is damaged and when it is cut, as far as the clock allows (1)
  --runs N         so many times as much of everything (1); 0.1 for a tenth
  --only PARTS     some of the parts only: ${partNames.join(', ')}; all but the first need root
  --peers NAMES    some of the stores only: --peers forelog,lmdb,classic-level,better-sqlite3
  --json FILE      also write the results as JSON; what the file has of other parts and other --peers stays
  --verbose        say of each loss and each wrong entry what it was
  --quote          try nothing: write into the docs what the result files say that they name
`

/** Without --runs. */
const wanted = { bit: 2000, sector: 200, length: 100 }
const cutsOn = { ext4: 30, xfs: 30, btrfs: 15 }

const { values: options } = parseArgs({
  options: {
    // What `npm run bench` knows this by.
    proofs: { type: 'boolean' },
    seed: { type: 'string', default: '1' },
    runs: { type: 'string', default: '1' },
    only: { type: 'string' },
    peers: { type: 'string' },
    json: { type: 'string' },
    verbose: { type: 'boolean', default: false },
    quote: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

if (options.help) console.log(usage)
else if (options.quote) quote()
else await main()

function quote(): void {
  const root = new URL('../..', import.meta.url)
  const document = fileURLToPath(new URL('docs/RELIABILITY.md', root))
  writeFileSync(document, withTables(readFileSync(document, 'utf8'), (path) => readResults(fileURLToPath(new URL(path, root)))))
}

function readResults(path: string): Results {
  return JSON.parse(readFileSync(path, 'utf8')) as Results
}

async function main(): Promise<void> {
  const chosen = (options.only?.split(',') ?? partNames) as PartName[]
  for (const name of chosen) if (!partNames.includes(name)) throw new Error(`there is no part ${name}: there are ${partNames.join(', ')}`)
  const [seed, runs] = [numberOf('--seed', options.seed), numberOf('--runs', options.runs)]
  const absent: string[] = []
  const present = subjects.filter((subject) => {
    if (options.peers?.split(',').includes(subject.peer) === false) return false
    if (subject.version() !== undefined) return true
    absent.push(`${subject.name}: it could not be installed`)
    return false
  })
  const directory = mkdtempSync(join(tmpdir(), 'forelog-peers-'))
  process.on('exit', () => {
    rmSync(directory, { recursive: true, force: true })
  })
  const parts: Part[] = []
  for (const name of chosen) {
    const began = performance.now()
    const part = await (name === 'damage' ? damage(present, seed, runs) : cut(name, present, directory, seed, runs))
    parts.push({ ...part, skipped: [...absent, ...part.skipped] })
    console.error(`${name}: ${((performance.now() - began) / 1000).toFixed(0)} s`)
  }
  console.log(tables({ resultsVersion: 1, parts }))
  if (options.json === undefined) return
  const results = merged(existsSync(options.json) ? readResults(options.json) : undefined, parts)
  writeFileSync(options.json, `${JSON.stringify(results, undefined, 1)}\n`)
}

async function damage(present: readonly Subject[], seed: number, runs: number): Promise<Part> {
  const rows = []
  const victims = present.filter(({ isControl }) => isControl !== true)
  // Thousands of stores, none of which has to outlive this: in memory where there is a place.
  const directory = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'forelog-peers-'))
  process.on('exit', () => {
    rmSync(directory, { recursive: true, force: true })
  })
  for (const subject of victims) {
    for (const closes of [true, false]) {
      const onExample = (text: string): void => {
        if (options.verbose) console.error(text)
      }
      const times = { bit: Math.ceil(wanted.bit * runs), sector: Math.ceil(wanted.sector * runs), length: Math.ceil(wanted.length * runs) }
      rows.push(...(await damageAll(subject, closes, { seed, wanted: times, directory, onExample })))
    }
  }
  return { ...circumstances('damage', victims, directory), damages: rows, cuts: [], skipped: [] }
}

async function cut(name: Exclude<PartName, 'damage'>, present: readonly Subject[], directory: string, seed: number, runs: number): Promise<Part> {
  const part = circumstances(name, present, directory)
  const reason = whyNot(name)
  if (reason !== undefined) return { ...part, stores: {}, damages: [], cuts: [], skipped: [`power cuts on ${name}: ${reason}`] }
  const rows = []
  for (const subject of present) {
    const home = mkdtempSync(join(directory, 'volume-'))
    const volume = makeVolume(home, name)
    try {
      rows.push(await cutAll(subject, volume, name, Math.ceil(cutsOn[name] * runs), seed))
      if (options.verbose) console.error(JSON.stringify(rows.at(-1)))
    } finally {
      volume.dispose()
      rmSync(home, { recursive: true, force: true })
    }
  }
  return { ...part, damages: [], cuts: rows, skipped: [] }
}

function circumstances(name: PartName, present: readonly Subject[], directory: string): Omit<Part, 'damages' | 'cuts' | 'skipped'> {
  const { machine, processor, cores, kernel, node } = { ...describeEnvironment(directory, [], '', undefined), cores: cpus().length }
  return {
    name,
    peers: options.peers ?? 'all',
    // The same for one store as for all.
    command: `npm run peers -- --only ${name} --seed ${options.seed} --runs ${options.runs}`,
    date: new Date().toISOString(),
    machine: `${machine}, ${processor}, ${cores} cores, ${kernel}`,
    node,
    stores: Object.fromEntries(present.map((subject) => [subject.name, { version: subject.version() ?? '', usage: subject.usage }])),
  }
}

function numberOf(option: string, text: string): number {
  const value = Number(text)
  if (!(value > 0)) throw new Error(`${option} takes a number greater than 0, not ${text}`)
  return value
}
