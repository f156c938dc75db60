import type { Command } from './command.js'
import { dump } from './commands/dump.js'
import { inspect } from './commands/inspect.js'
import { repair } from './commands/repair.js'
import { verify } from './commands/verify.js'

/** In the order of the help. */
export const commands: readonly Command[] = [inspect, verify, dump, repair]
