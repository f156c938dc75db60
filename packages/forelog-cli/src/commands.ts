import type { Command } from './command.js'
import { bench } from './commands/bench.js'
import { completionFor } from './commands/completion.js'
import { convert } from './commands/convert.js'
import { doctor } from './commands/doctor.js'
import { dump } from './commands/dump.js'
import { exportEntries } from './commands/export.js'
import { grep } from './commands/grep.js'
import { importEntries } from './commands/import.js'
import { inspect } from './commands/inspect.js'
import { repair } from './commands/repair.js'
import { tail } from './commands/tail.js'
import { truncate } from './commands/truncate.js'
import { verify } from './commands/verify.js'

const all: readonly Command[] = [inspect, verify, dump, repair, tail, grep, truncate, convert, exportEntries, importEntries, doctor, bench]

/** In the order of the help. */
export const commands: readonly Command[] = [...all, completionFor(all)]
