/** What the command says by its exit code: documented in README.md, and what scripts go by. */
export const exitCodes = {
  /** All is well. */
  fine: 0,
  /** The log is damaged, or what was asked for can't be done to this log. */
  damaged: 1,
  /** The command line is wrong. */
  usage: 2,
  /** The log can't be reached: no log there, permissions, in use, no space, an error of the disk. */
  unreachable: 3,
  /** The log ends in a tail that can't be told from damage, and opening would cut it off; or behind a full segment, and a newer one may be missing. */
  undecided: 4,
  /** Stopped by Ctrl-C. */
  interrupted: 130,
} as const

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes]
