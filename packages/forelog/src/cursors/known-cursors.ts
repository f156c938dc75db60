/**
 * What the writer of a log knows of its cursors without reading each file at each truncation.
 *
 * A cursor only goes forward: where it was seen last, it is or has passed, and so what it needs begins there or behind. Cuts behind
 * move what was seen as they move the cursor (standing.ts). So only the file of one that seems to hold back most has to be read, and that
 * of the next if it does not any more. What could need more than before, a cursor that is made or begins to hold, passes the gate: in this
 * process it is noted here, in others it changes the mark (cursor-directory.ts), and everything is read again.
 *
 * What goes away because of it is gone for good, so all that counts here is what a crash can't take back. Cursors that are open here know what
 * they have made durable. Of the others the slot before the newest counts, or, where that would hold back more, the newest once it is synced; and
 * one that is not there any more is gone once the directory is synced: its deletion may be under way in another process, or have been.
 *
 * All of `needs` runs while nobody is in the gate.
 */
import { runPooled } from '../steps.js'
import type { CursorDirectory } from './cursor-directory.js'
import type { CursorSlots, StoredCursor } from './cursor-file.js'

/** How far a cursor is, or whoever is as good as one. */
export interface CursorPlace {
  readonly name: string
  /** All up to it is done. */
  readonly offset: number
}

/** What cursors, of all processes, open or not, need of the log. */
export interface CursorNeeds {
  /** The one that holds back most; undefined: none holds. */
  readonly holder: CursorPlace | undefined
  /** The slowest of all; undefined: there is none. */
  readonly slowest: CursorPlace | undefined
}

export interface KnownLog {
  readonly directory: CursorDirectory
  readonly logId: string
  /** Where something that was stored stands now. */
  standing(stored: StoredCursor): number
  /** What is durable of a cursor that this process has open. */
  readonly open: (name: string) => StoredCursor | undefined
}

/** Before anything is known of it: it may hold everything. */
type Seen = StoredCursor | 'unread'

export class KnownCursors {
  readonly #log: KnownLog
  #seen: Map<string, Seen> | undefined
  #mark = ''

  constructor(log: KnownLog) {
    this.#log = log
  }

  /** What this process has made durable while it held the name. */
  note(name: string, stored: StoredCursor): void {
    this.#seen?.set(name, stored)
  }

  /** This process is about to make it, or to have it hold, and may fail half way. */
  forget(name: string): void {
    this.#seen?.set(name, 'unread')
  }

  /** This process has deleted it. */
  drop(name: string): void {
    this.#seen?.delete(name)
  }

  async needs(): Promise<CursorNeeds> {
    const seen = await this.#catchUp()
    const order = [...seen].map(([name, stored]) => this.#claimOf(name, stored)).sort((a, b) => a.offset - b.offset)
    let needs: CursorNeeds = { holder: undefined, slowest: undefined }
    for (let at = 0, reads = 1; at < order.length; reads *= 2) {
      // All that are left have passed both.
      if (needs.holder !== undefined && (order[at] as Claim).offset >= needs.holder.offset) break
      const asked: string[] = []
      for (; at < order.length && asked.length < reads; at++) {
        const claim = order[at] as Claim
        if (holdsBackMore(claim, needs)) asked.push(claim.name)
      }
      needs = needsOf(await this.#ask(asked, seen, needs), needs)
    }
    return needs
  }

  /** All that there are; to be read again where others changed something. */
  async #catchUp(): Promise<Map<string, Seen>> {
    const { directory } = this.#log
    const mark = await directory.mark()
    if (this.#seen !== undefined && mark === this.#mark) return this.#seen
    this.#seen = undefined
    const names = await directory.names()
    if (names !== undefined) await runPooled(directory.syncNames())
    this.#mark = mark
    this.#seen = new Map((names ?? []).map((name) => [name, 'unread']))
    return this.#seen
  }

  /** What is durable of these, which is kept in mind. */
  async #ask(names: readonly string[], seen: Map<string, Seen>, before: CursorNeeds): Promise<Claim[]> {
    const { directory, open } = this.#log
    const claims: Claim[] = []
    const elsewhere: string[] = []
    for (const name of names) {
      const stored = open(name)
      if (stored === undefined) elsewhere.push(name)
      else claims.push(this.#claimOf(name, stored))
    }
    const gone: string[] = []
    const others: ({ readonly name: string } & CursorSlots)[] = []
    for (const [index, slots] of (await directory.readSlots(elsewhere)).entries()) {
      const name = elsewhere[index] as string
      if (slots?.newest.logId === this.#log.logId) others.push({ name, ...slots })
      else gone.push(name)
    }
    const visible = needsOf([...claims, ...others.map(({ name, newest }) => this.#claimOf(name, newest))], before)
    const doubtful: string[] = []
    const keep = (name: string, stored: StoredCursor): void => {
      seen.set(name, stored)
      claims.push(this.#claimOf(name, stored))
    }
    for (const { name, newest, certain } of others) {
      const least = certain && { ...certain, hold: certain.hold || newest.hold }
      if (least !== undefined && !holdsBackMore(this.#claimOf(name, least), visible)) keep(name, least)
      else doubtful.push(name)
    }
    for (const [index, stored] of (await directory.settle(doubtful)).entries()) {
      const name = doubtful[index] as string
      if (stored === undefined) gone.push(name)
      else keep(name, stored)
    }
    if (gone.length > 0) await runPooled(directory.syncNames())
    for (const name of gone) seen.delete(name)
    return claims
  }

  #claimOf(name: string, stored: Seen): Claim {
    return stored === 'unread' ? { name, offset: -1, hold: true } : { name, offset: this.#log.standing(stored), hold: stored.hold }
  }
}

interface Claim extends CursorPlace {
  readonly hold: boolean
}

function needsOf(claims: readonly Claim[], before: CursorNeeds): CursorNeeds {
  let { holder, slowest } = before
  for (const { name, offset, hold } of claims) {
    if (slowest === undefined || offset < slowest.offset) slowest = { name, offset }
    if (hold && (holder === undefined || offset < holder.offset)) holder = { name, offset }
  }
  return { holder, slowest }
}

function holdsBackMore({ offset, hold }: Claim, { holder, slowest }: CursorNeeds): boolean {
  return offset < (slowest?.offset ?? Infinity) || (hold && offset < (holder?.offset ?? Infinity))
}
