/**
 * What `console.log` shows of an object whose fields are private: its name, and what somebody who debugs wants to know.
 */
import type { InspectOptions } from 'node:util'

/** Node.js and Deno ask for it, and Bun; registered, so nothing has to be imported for it. */
const custom = Symbol.for('nodejs.util.inspect.custom')

/** Has `factsOf` said whenever an object of that class is shown; to be called in its static block, which sees the private fields. */
export function showAs<T>(shown: { readonly name: string; readonly prototype: T }, name: string, factsOf: (object: T) => object): void {
  function inspectCustom(this: T, depth: number, options: InspectOptions, inspect?: (value: unknown, options: InspectOptions) => string): unknown {
    if (depth < 0) return `[${name}]`
    const facts = factsOf(this)
    return inspect === undefined ? facts : `${name} ${inspect(facts, options)}`
  }
  Object.defineProperty(shown.prototype, custom, { value: inspectCustom, configurable: true, writable: true })
}
