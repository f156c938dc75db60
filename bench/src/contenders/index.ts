import type { Contender } from '../contender.js'
import { appendFileContender } from './append-file.js'
import { betterSqlite3 } from './better-sqlite3.js'
import { classicLevel } from './classic-level.js'
import { forelog } from './forelog.js'
import { lmdb } from './lmdb.js'

/** Ours first. A new peer is a file in this folder, and its line here. */
export const contenders: readonly Contender[] = [forelog, lmdb, classicLevel, betterSqlite3, appendFileContender]

export function contenderNamed(name: string): Contender {
  const found = contenders.find((contender) => contender.name === name)
  if (found === undefined) throw new Error(`there is no contender ${name}: there are ${contenders.map((contender) => contender.name).join(', ')}`)
  return found
}
