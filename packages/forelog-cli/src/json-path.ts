/**
 * Conditions on values: `.customer.id=42 and .items[].sku~^A`.
 */
import { UsageError } from './command.js'

type Step = { readonly key: string } | { readonly index: number } | 'each'
/** @param shown the same as it is printed, where that is to be asked */
export type Matcher = (value: unknown, shown: () => string) => boolean
/** What one operator says of a value that a path leads to. */
type Comparison = (found: unknown) => boolean

const operators = ['!=', '>=', '<=', '=', '~', '>', '<'] as const
type Operator = (typeof operators)[number]

/** A matcher for a pattern; a text that is no path matches where the value has it somewhere. */
export function matcherFor(pattern: string): Matcher {
  if (!pattern.startsWith('.')) {
    // What is printed may be written in another way than what the value would be, large integers with other digits.
    return (value, shown) => (typeof value === 'string' ? value.includes(pattern) : JSON.stringify(value).includes(pattern) || shown().includes(pattern))
  }
  const conditions = pattern.split(/ and (?=\.)/).map(condition)
  return (value, shown) => conditions.every((matches) => matches(value, shown))
}

function condition(text: string): Matcher {
  const { steps, rest } = parsePath(text)
  if (rest === '') return (value) => [...reach(value, steps)].some((found) => found !== undefined && found !== null)
  const operator = operators.find((each) => rest.startsWith(each))
  if (operator === undefined) throw new UsageError(`'${text}' is no path: at '${rest}' a condition (${operators.join(' ')}) is expected`)
  const holds = comparison(operator, rest.slice(operator.length))
  return (value) => [...reach(value, steps)].some((found) => found !== undefined && holds(found))
}

function parsePath(text: string): { steps: Step[]; rest: string } {
  const steps: Step[] = []
  let rest = text
  for (;;) {
    const match = /^(?:\.([\p{L}\p{N}_$-]+)|\[(\d+)\]|(\[\])|\.?\["((?:[^"\\]|\\.)*)"\]|\.(?=\[|$|[!=<>~]))/u.exec(rest)
    if (match === null) return { steps, rest }
    const [whole, key, index, each, quoted] = match
    if (key !== undefined) steps.push({ key })
    else if (index !== undefined) steps.push({ index: Number(index) })
    else if (each !== undefined) steps.push('each')
    else if (quoted !== undefined) steps.push({ key: JSON.parse(`"${quoted}"`) as string })
    rest = rest.slice(whole.length)
  }
}

function* reach(value: unknown, steps: readonly Step[]): Generator<unknown> {
  const [step, ...rest] = steps
  if (step === undefined) yield value
  else if (step === 'each') {
    if (Array.isArray(value)) for (const each of value) yield* reach(each, rest)
  } else if ('index' in step) {
    if (Array.isArray(value)) yield* reach(value[step.index], rest)
  } else if (typeof value === 'object' && value !== null && Object.hasOwn(value, step.key)) {
    yield* reach((value as Record<string, unknown>)[step.key], rest)
  }
}

function comparison(operator: Operator, operand: string): Comparison {
  const wanted = asJson(operand)
  const same: Comparison = (found) => (typeof found === 'object' ? JSON.stringify(found) === JSON.stringify(wanted) : found === wanted || found === operand)
  switch (operator) {
    case '=':
      return same
    case '!=':
      return (found) => !same(found)
    case '~': {
      let expression: RegExp
      try {
        expression = new RegExp(operand, 'u')
      } catch (error) {
        throw new UsageError((error as Error).message)
      }
      return (found) => expression.test(typeof found === 'string' ? found : JSON.stringify(found))
    }
    default: {
      const bound = Number(operand)
      if (operand.trim() === '' || Number.isNaN(bound)) throw new UsageError(`'${operator}' compares numbers, and '${operand}' is none`)
      const compare = { '>': (a: number) => a > bound, '<': (a: number) => a < bound, '>=': (a: number) => a >= bound, '<=': (a: number) => a <= bound }[operator]
      return (found) => typeof found === 'number' && compare(found)
    }
  }
}

function asJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}
