import type { VerifyReport } from 'forelog'
import { type ExitCode, exitCodes } from './exit-codes.js'

/** The exit code of what was found; `strict`: a torn tail counts as damage, too. */
export function verdictOf(report: VerifyReport, strict = false): ExitCode {
  switch (report.outcome) {
    case 'sound':
      return exitCodes.fine
    case 'torn':
      return strict ? exitCodes.damaged : exitCodes.fine
    case 'undecided':
      return exitCodes.undecided
    case 'damaged':
    case 'unsupported':
      return exitCodes.damaged
    case 'none':
      return exitCodes.unreachable
    case 'unread':
      return exitCodes.usage
  }
}
