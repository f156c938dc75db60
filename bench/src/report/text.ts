/**
 * What is printed, and the table of docs/PERFORMANCE.md.
 */
import { medianRatio } from '../numbers.js'
import { type Environment, type Goal, type Measure, mediansOf, reached, type Results } from '../results.js'
import { ours } from '../run-context.js'

export function environmentText(environment: Environment): string {
  const { machine, processor, cores, memoryBytes, kernel, fileSystem, device, node, floor, slowSyncs, contenders } = environment
  const rows = [
    ['machine', `${machine}: ${processor}, ${cores} cores, ${(memoryBytes / 2 ** 30).toFixed(0)} GiB`],
    ['kernel', kernel],
    ['file system', `${fileSystem} on ${device}`],
    ['Node.js', node],
    ['floor', floor],
    ['slow syncs', slowSyncs ?? 'none: line 10 is skipped'],
    ...Object.entries(contenders).map(([name, { version, usage }]) => [name, `${version}: ${usage}`]),
  ] as [string, string][]
  return rows.map(([name, value]) => `${name.padEnd(16)}${value}`).join('\n')
}

export function measureText(measure: Measure): string {
  const medians = mediansOf(measure)
  const width = Math.max(...Object.keys(medians).map((name) => name.length))
  const mine = measure.samples[ours]
  const rows = Object.entries(measure.samples).map(([name, samples]) => {
    const spread = samples.length > 1 ? `  (${number(Math.min(...samples))} to ${number(Math.max(...samples))})` : ''
    const ratio = mine === undefined || name === ours ? '' : `  ${ours} / it: ${number(medianRatio(mine, samples))}`
    return `    ${name.padEnd(width)}  ${number(medians[name] as number).padStart(9)}${ratio.padEnd(24)}${spread}`
  })
  return [`  line ${measure.line}  ${measure.name}, ${measure.unit}`, ...rows, ...measure.goals.map((goal) => `    ${goalText(goal)}`)].join('\n')
}

export function goalText(goal: Goal): string {
  const bound = goal.atLeast === undefined ? `at most ${goal.atMost}` : `at least ${number(goal.atLeast)}`
  return `${reached(goal) ? 'reached    ' : 'NOT REACHED'}  ${number(goal.value)} ${goal.text}; to reach: ${bound}`
}

/** Three digits that count, and a unit of thousands: 12.3 k. */
export function number(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return String(value)
  const size = Math.abs(value)
  const [divisor, suffix] = size >= 1e9 ? [1e9, ' G'] : size >= 1e6 ? [1e6, ' M'] : size >= 1e4 ? [1e3, ' k'] : [1, '']
  const scaled = value / divisor
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(scaled))))
  return `${scaled.toFixed(Math.min(digits, 4))}${suffix}`
}

/** The Markdown of a result file: every measure, with what was to be reached. */
export function resultsTable(results: Results): string {
  const rows = results.measures.map((measure) => {
    const { [ours]: mine, ...others } = mediansOf(measure)
    const cells = Object.entries(others).map(([name, value]) => `${name} ${number(value)}`)
    return row([String(measure.line), `${measure.name}, ${measure.unit}`, number(mine ?? Number.NaN), cells.join('; '), measure.goals.map(goalCell).join('; ')])
  })
  return [
    circumstances(results),
    '',
    '| line | measured | forelog | others | to reach |',
    '|---|---|---|---|---|',
    ...rows,
    ...(results.skipped.length === 0 ? [] : ['', `Not measured: ${results.skipped.join('; ')}.`]),
  ].join('\n')
}

/** What a newcomer asks for: entries a second, beside the peers. */
export function shortTable(results: Results): string {
  const names = Object.keys(results.environment.contenders)
  const rows = results.measures
    .filter(({ line, samples }) => line <= 6 && names.every((name) => name in samples))
    .filter(({ unit }) => unit === 'appends/s' || unit === 'entries/s')
    .map((measure) => {
      const medians = mediansOf(measure)
      return row([`${measure.name}, ${measure.unit}`, ...names.map((name) => number(medians[name] as number))])
    })
  return [row(['', ...names]), `|---|${names.map(() => '---|').join('')}`, ...rows, '', circumstances(results)].join('\n')
}

function goalCell(goal: Goal): string {
  const bound = goal.atLeast === undefined ? `at most ${number(goal.atMost as number)}` : `at least ${number(goal.atLeast)}`
  return `${number(goal.value)} ${goal.text} (${bound}${reached(goal) ? '' : ': **not reached**'})`
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`
}

function circumstances({ command, date, environment }: Results): string {
  const versions = Object.entries(environment.contenders)
    .filter(([name]) => name !== ours && name !== 'node:fs')
    .map(([name, { version }]) => `${name} ${version}`)
  const { machine, processor, cores, kernel, fileSystem, device, node } = environment
  return `Medians of \`${command}\`, ${date.slice(0, 10)}: ${machine}, ${processor}, ${cores} cores; ${kernel}; ${fileSystem.replace(/ .*/, '')} on ${device}; Node.js ${node}; ${versions.join(', ')}.`
}
