/**
 * Constructors of plain objects, for those that reading makes one of for each entry.
 *
 * V8 counts, for each object literal, how many of its objects outlive a collection. Where nearly all of them do once, as those of a batch
 * that is being handed out may, it puts all later ones where only a full collection looks for what is dead, until the process ends; and
 * whatever they refer to stays with them: in every third process or so, replay took half as much processor time again. It counts nothing of
 * what a constructor makes. `node --trace-pretenuring --trace-pretenuring-statistics` tells of each literal that it happens to.
 */
import type { RawEntry } from './entry.js'

type Written<T> = { -readonly [K in keyof T]: T[K] }

/** A constructor whose objects are as those of a literal: their prototype is that of all objects. */
export function plainObjects<T extends object, A extends readonly unknown[]>(fill: (this: Written<T>, ...values: A) => void): new (...values: A) => T {
  fill.prototype = Object.prototype
  return fill as unknown as new (...values: A) => T
}

export const PlainRawEntry: new (type: number, payload: Uint8Array) => RawEntry = plainObjects<RawEntry, [number, Uint8Array]>(function (type, payload) {
  this.type = type
  this.payload = payload
})
