/** The log does not hold what it has to. */
export class Violation extends Error {}
