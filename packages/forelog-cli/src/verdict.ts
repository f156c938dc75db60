import type { VerifyReport } from 'forelog'
import { type ExitCode, exitCodes } from './exit-codes.js'
import { isOutOfReach } from './report-text.js'

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
      return isOutOfReach(report) ? exitCodes.unreachable : exitCodes.damaged
    case 'unsupported':
      return exitCodes.damaged
    case 'none':
      return exitCodes.unreachable
    case 'unread':
      return exitCodes.usage
  }
}
