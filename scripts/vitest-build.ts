// Before tests of what is built: build it where it is stale.
// @ts-expect-error: plain JavaScript, because it runs before TypeScript is installed
import { buildWhatIsStale } from './set-up.mjs'

export const setup: () => void = buildWhatIsStale as () => void
