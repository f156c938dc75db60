/**
 * Line 1 of docs/RELIABILITY.md: random workloads on a simulated disk that fails and crashes, at random moments, in random
 * ways; recoveries that crash in their turn; and what is found each time held against what the workload was told.
 */
import { type Cursor, type RetentionOptions, WalError } from '../../src/index.js'
import { Random } from '../../src/testing/random.js'
import { type CrashOutcome, crashModes, SimulatedDisk } from '../../src/testing/index.js'
import { entryOf, type Log, openLog } from './either-format.js'
import { Expectation, type LogEvent, type Position } from './log-journal.js'
import { anyLimits, isAgeAlone, Leash } from './retention-model.js'
import { inVirtualTime, type VirtualTime } from './virtual-time.js'

/** What the crashes were made of: floors on these keep the workload from becoming tame. */
export interface CrashTally {
  crashes: number
  /** Of those, of a log of format 1. */
  ofFormat1: number
  /** Of those, of a disk whose calls overtake each other. */
  withLatency: number
  /** Of those, of a recovery that was itself under way after a crash. */
  ofRecoveries: number
  withUnsyncedSectors: number
  withUnsyncedNames: number
  tornWrites: number
  /** Moments at which the crash came. */
  duringRoll: number
  duringTruncation: number
  duringCut: number
  duringOpening: number
  duringClosing: number
  /** In a write that goes through, its bytes not yet on the disk. */
  duringWriteThrough: number
  /** While a cursor was made or went on. */
  duringCommit: number
  /** With a cursor that had gone on before, and with one that holds: both found where they have to be. */
  withCursor: number
  withHold: number
  /** Truncations in front that a cursor stopped. */
  held: number
  /** Of a log with limits; and of such a log while a call asked for what is beyond them to go, and while files went. */
  withRetention: number
  duringRetention: number
  duringDropping: number
  /** Of those that were opened again with limits, whatever they had before: where that dropped something. */
  droppedByOpening: number
  /** Openings and calls in which segments went for their age alone. */
  droppedByAge: number
  /** Segments that went by limits in the lives; calls for that, and of these the ones that a cursor held back. */
  dropped: number
  retained: number
  heldBack: number
  /** Of a disk with so little room that it is full again and again. */
  onSmallDisk: number
  /** Openings that were refused for lack of room, and not once there was room. */
  refusedForSpace: number
  /** What the next opening found. */
  tornTails: number
  ambiguous: number
  shortByOneBit: number
  clean: number
  /** Faults that the disk played, and lives that ended by one. */
  faults: number
  failedLives: number
  noSpace: number
}

export function newTally(): CrashTally {
  return {
    crashes: 0,
    ofFormat1: 0,
    withLatency: 0,
    ofRecoveries: 0,
    withUnsyncedSectors: 0,
    withUnsyncedNames: 0,
    tornWrites: 0,
    duringRoll: 0,
    duringTruncation: 0,
    duringCut: 0,
    duringOpening: 0,
    duringClosing: 0,
    duringWriteThrough: 0,
    duringCommit: 0,
    withCursor: 0,
    withHold: 0,
    held: 0,
    withRetention: 0,
    duringRetention: 0,
    duringDropping: 0,
    droppedByOpening: 0,
    dropped: 0,
    retained: 0,
    droppedByAge: 0,
    heldBack: 0,
    onSmallDisk: 0,
    refusedForSpace: 0,
    tornTails: 0,
    ambiguous: 0,
    shortByOneBit: 0,
    clean: 0,
    faults: 0,
    failedLives: 0,
    noSpace: 0,
  }
}

type Phase = 'opening' | 'appending' | 'committing' | 'truncating' | 'retaining' | 'cutting' | 'closing'

interface Shot {
  readonly disk: SimulatedDisk
  /** How much of the journal had happened. */
  readonly events: number
  /** How late the log may begin by its limits. */
  readonly furthest: number
}

const callsPerShot = 5
/** The same of the openings that check a crash: each has some seventy calls. */
const callsPerNestedShot = 40
const lives = 3
const stepsPerLife = 12
/** Of a log with limits: some kilobytes are the least that one can have. */
const longerStepsPerLife = 16

/** Runs the workload of one seed, and checks every crash of it; throws the first violation. The same seed does the same again. */
export function crashSeed(seed: number, tally: CrashTally): Promise<void> {
  return inVirtualTime(async (time) => {
    const random = new Random(seed)
    const workload = new Workload(seed, random, time, tally)
    await workload.run()
    for (const shot of workload.shots) {
      const origin = shot.disk.origin as CrashOutcome
      try {
        if (workload.format === 1) tally.ofFormat1++
        if (workload.hasLatency) tally.withLatency++
        if (workload.capacityBytes !== undefined) tally.onSmallDisk++
        if (workload.isRetained) tally.withRetention++
        await checkShot(shot, workload, random, tally)
      } catch (error) {
        if (isShortByOneBit(error, shot.disk)) {
          tally.shortByOneBit++
          continue
        }
        const told = JSON.stringify(workload.journal.slice(Math.max(0, shot.events - 8), shot.events), shortened)
        throw new Error(`seed ${seed}, format ${workload.format}, a crash after ${shot.events} events, ${JSON.stringify(origin)}: ${String((error as Error).stack)}\n  told before: ${told}`, {
          cause: error,
        })
      }
    }
  })
}

/**
 * Whether a log was refused because of one bit, and all that is there of its record is the beginning: what a write leaves that the disk took in
 * part, within a sector. Nobody can tell it from rot (docs/FORMAT.md, what opening can't tell), and refusing loses nothing.
 */
function isShortByOneBit(error: unknown, disk: SimulatedDisk): boolean {
  if (!(error instanceof WalError) || error.code !== 'ERR_WAL_CORRUPT') return false
  const { path, position, bit } = error
  if (path === undefined || position === undefined || bit === undefined) return false
  const file = disk.copy().openSync(path, { access: 'read' })
  const bytes = new Uint8Array(file.sizeSync())
  file.readSync(bytes, 0)
  return bytes.subarray(position).every((byte) => byte === 0)
}

/** Opens what a crash left, holds it against the journal, goes on with it; and crashes that opening, too. */
async function checkShot(shot: Shot, workload: Workload, random: Random, tally: CrashTally): Promise<void> {
  const { journal, format } = workload
  const { disk } = shot
  const { unsynced, tornWrites } = disk.origin as CrashOutcome
  tally.crashes++
  if (unsynced.sectors > 0) tally.withUnsyncedSectors++
  if (unsynced.names > 0) tally.withUnsyncedNames++
  if (tornWrites > 0) tally.tornWrites++

  const events = journal.slice(0, shot.events)
  const known = [...events]
  const crashedAgain: Shot[] = []
  const limits = workload.isRetained && random.chance(0.6) ? anyLimits(random, format) : undefined
  const leash = limits === undefined ? undefined : await leashFor(disk, limits, workload, (looked, position) => checkFound(looked, position, events, shot.furthest, workload))
  const furthest = (): number => leash?.furthest ?? shot.furthest
  disk.onCall = () => {
    if (!random.chance(1 / callsPerNestedShot)) return
    crashedAgain.push({ disk: disk.afterCrash(random.chance(0.2) ? 'process' : undefined), events: known.length, furthest: furthest() })
  }
  const log = await openWithRoom(disk, format, tally, limits)
  if (log.recovery.tornBytes > 0) tally.tornTails++
  if (log.recovery.ambiguous) tally.ambiguous++
  if (log.recovery.clean) tally.clean++
  const isDropped = log.stats().retention.segmentsDropped > 0
  if (isDropped) tally.droppedByOpening++
  if (isDropped && isAgeAlone(limits)) tally.droppedByAge++
  const position = await positionIn(log)
  checkFound(log, position, events, furthest(), workload)
  if (leash !== undefined) leash.log = log
  if (position !== 'none') {
    tally.withCursor++
    if (workload.holds !== false) tally.withHold++
  }

  // From here on there is room, wherever it came from.
  disk.capacityBytes = undefined
  // What an opening showed must be found by every later one; what a crash came in front of need not be.
  const { firstOffset, lastOffset } = log
  known.push({ kind: 'opened', firstOffset, lastOffset }, { kind: 'append', first: lastOffset + 1, payloads: ['more'], batch: false })
  const offset = await log.append(entryOf('more', format))
  if (offset !== lastOffset + 1) throw new Error(`the offset behind ${lastOffset} was ${offset}`)
  known.push({ kind: 'durable', last: offset })
  if (position !== 'none') await goOn(log, position, offset, known, workload, leash)
  await log.close()
  disk.onCall = undefined
  await checkAgain(known, disk, furthest(), workload, tally)

  for (const again of crashedAgain) {
    tally.crashes++
    tally.ofRecoveries++
    await checkAgain(known.slice(0, again.events), again.disk, again.furthest, workload, tally)
  }
}

function checkFound(log: Log, position: Position, events: readonly LogEvent[], furthest: number, { holds }: Workload): void {
  const expectation = new Expectation(events)
  expectation.check(log, furthest)
  expectation.checkCursor(position, log, holds !== false)
}

/** What limits permit to an opening of what is on a disk: a copy of it is opened without any. */
async function leashFor(disk: SimulatedDisk, limits: RetentionOptions | undefined, { format, holds }: Workload, check: (looked: Log, position: Position) => void = () => {}): Promise<Leash> {
  const copy = disk.copy()
  copy.capacityBytes = undefined
  const looked = await openLog(copy, format)
  const position = await positionIn(looked)
  check(looked, position)
  return new Leash(looked, limits, { holds: holds !== false, position })
}

/** The cursor is opened where it was listed, and goes on. */
async function goOn(log: Log, position: number, offset: number, known: LogEvent[], { holds }: Workload, leash: Leash | undefined): Promise<void> {
  const cursor = await log.cursor(cursorName)
  if (leash !== undefined) leash.openAt = () => cursor.offset
  // Where retention went beyond one that does not hold meanwhile, see `checkCursor`.
  if (cursor.offset !== position && (holds !== false || cursor.lost === undefined)) throw new Error(`the cursor was listed at ${position}, and opened at ${cursor.offset}`)
  known.push({ kind: 'position', offset: cursor.offset }, { kind: 'committing', offset })
  await cursor.commit(offset)
  known.push({ kind: 'committed', offset })
}

async function checkAgain(events: readonly LogEvent[], disk: SimulatedDisk, furthest: number, workload: Workload, tally: CrashTally): Promise<void> {
  // The copy has no lock and no hook: the log is looked at, and thrown away with its disk.
  const log = await openWithRoom(disk.copy(), workload.format, tally)
  checkFound(log, await positionIn(log), events, furthest, workload)
}

const cursorName = 'position'

async function positionIn(log: Log): Promise<Position> {
  if (log.segments()[0]?.path.includes('-') !== true) return 'none'
  const [cursor] = await log.cursors()
  return cursor?.offset ?? 'none'
}

/** A full disk may have no room for what recovery keeps: then it is refused, and no more than that, until there is. */
async function openWithRoom(disk: SimulatedDisk, format: 1 | 2, tally: CrashTally, retention?: RetentionOptions): Promise<Log> {
  const options = retention === undefined ? {} : { retention }
  try {
    return await openLog(disk, format, options)
  } catch (error) {
    if (disk.capacityBytes === undefined || (error as WalError).code !== 'ERR_WAL_NO_SPACE') throw error
    tally.refusedForSpace++
  }
  disk.capacityBytes = undefined
  return await openLog(disk, format, options)
}

class Workload {
  readonly journal: LogEvent[] = []
  readonly shots: Shot[] = []
  readonly format: 1 | 2
  readonly hasLatency: boolean
  readonly capacityBytes: number | undefined
  /** Of the cursor; undefined: as it is by default. */
  readonly holds: boolean | undefined
  /** Whether its lives may have limits. */
  readonly isRetained: boolean
  readonly #seed: number
  readonly #random: Random
  readonly #time: VirtualTime
  readonly #tally: CrashTally
  #disk: SimulatedDisk
  #phase: Phase = 'opening'
  #log: Log | undefined
  #leash: Leash | undefined
  /** Of this life; none in some, and in format 1. */
  #cursor: Cursor<unknown> | undefined
  #sync: 'always' | 'interval' | 'manual' = 'always'
  /** Offset of the newest entry that was asked for. */
  #last = 0
  #payloads = 0

  constructor(seed: number, random: Random, time: VirtualTime, tally: CrashTally) {
    this.#seed = seed
    this.#random = random
    this.#time = time
    this.#tally = tally
    this.format = random.chance(0.2) ? 1 : 2
    this.hasLatency = random.chance(0.4)
    this.holds = random.pick([undefined, true, false])
    this.isRetained = random.chance(0.4)
    this.capacityBytes = random.chance(0.15) ? 6_000 + random.below(14_000) : undefined
    const latency = new Random(seed)
    const { capacityBytes } = this
    this.#disk = new SimulatedDisk({ seed, directories: ['/data'], ...(capacityBytes === undefined ? {} : { capacityBytes }), ...(this.hasLatency ? { latencyMs: () => latency.below(4) } : {}) })
    this.#watch()
  }

  async run(): Promise<void> {
    for (let life = 0; life < lives; life++) {
      try {
        await this.#live()
      } catch (error) {
        if (!(error instanceof WalError)) throw error
        await this.#endFailedLife()
      }
      // Some lives end by a kill: the page cache outlives them, and what it holds may still be lost by a later power cut.
      if (this.#random.chance(0.3)) this.#kill()
    }
    this.#tally.faults += this.#disk.faultsTold
    this.#disk.onCall = undefined
    this.#shoot()
  }

  #watch(): void {
    this.#disk.onCall = ({ path, kind }, moment) => {
      if (moment === 'before' || !this.#random.chance(moment === 'during' ? 0.7 : 1 / callsPerShot)) return
      this.#shoot()
      if (moment === 'during') this.#tally.duringWriteThrough++
      const isRoll = this.#phase === 'appending' && (path.endsWith('.tmp') || kind === 'syncDirectory' || kind === 'truncate')
      if (isRoll) this.#tally.duringRoll++
      if (this.#phase === 'truncating') this.#tally.duringTruncation++
      if (this.#phase === 'cutting') this.#tally.duringCut++
      if (this.#phase === 'retaining') this.#tally.duringRetention++
      if (this.isRetained && kind === 'remove' && path.endsWith('.wal') && this.#phase !== 'truncating' && this.#phase !== 'cutting') this.#tally.duringDropping++
      if (this.#phase === 'committing') this.#tally.duringCommit++
      if (this.#phase === 'opening') this.#tally.duringOpening++
      if (this.#phase === 'closing') this.#tally.duringClosing++
    }
  }

  #shoot(): void {
    const mode = this.#random.chance(0.1) ? 'process' : crashModes[1 + this.#random.below(crashModes.length - 1)]
    this.shots.push({ disk: this.#disk.afterCrash(mode), events: this.journal.length, furthest: this.#leash?.furthest ?? 1 })
  }

  #kill(): void {
    this.#tally.faults += this.#disk.faultsTold
    this.#disk = this.#disk.crash('process')
    this.#watch()
    this.#log = undefined
  }

  async #live(): Promise<void> {
    const random = this.#random
    this.#phase = 'opening'
    this.#sync = (['always', 'always', 'interval', 'manual'] as const)[random.below(4)] ?? 'always'
    const limits = this.isRetained && random.chance(0.8) ? anyLimits(random, this.format) : undefined
    if (this.isRetained) {
      // Whoever sets the clock, sets it forward or back.
      if (random.chance(0.3)) this.#time.wallMs += random.below(10_000) - 5000
      this.#leash = await leashFor(this.#disk, limits, this)
    }
    if (random.chance(0.6)) this.#injectFault()
    const log = await openLog(this.#disk, this.format, {
      // So small that each group has a segment of its own, middling, or so large that nothing is rolled.
      maxSegmentSize: random.chance(0.1) ? 1 + random.below(100) : random.chance(0.1) ? 200_000 : 300 + random.below(3000),
      sync: this.#sync,
      commit: random.pick(['auto', 'inline', 'background']),
      ...(this.#sync === 'interval' ? { syncInterval: 1 + random.below(10) } : {}),
      ...(limits === undefined ? {} : { retention: limits }),
    })
    this.#log = log
    if (this.#leash !== undefined) this.#leash.log = log
    this.journal.push({ kind: 'opened', firstOffset: log.firstOffset, lastOffset: log.lastOffset })
    this.#last = log.lastOffset
    this.#phase = 'appending'
    this.#cursor = undefined
    if (this.format === 2 && random.chance(0.6)) await this.#openCursor(log)
    for (let step = 0; step < (this.isRetained ? longerStepsPerLife : stepsPerLife); step++) await this.#step(log)
    this.#phase = 'closing'
    await log.close()
    this.#durable(this.#last)
    this.#tally.dropped += log.stats().retention.segmentsDropped
    this.#log = undefined
  }

  #injectFault(): void {
    const random = this.#random
    const at = 1 + random.below(60)
    const syncFailure = (['ext4', 'btrfs', 'once', 'retryable'] as const)[random.below(4)] ?? 'ext4'
    switch (random.below(5)) {
      case 0:
        return this.#disk.fail({ kind: ['sync', 'dataSync'], at, code: random.chance(0.8) ? 'EIO' : 'ENOSPC', syncFailure })
      case 1:
        return this.#disk.fail({ kind: 'write', at, code: random.chance(0.6) ? 'ENOSPC' : 'EIO', bytes: random.below(600), times: 1 + random.below(3) })
      case 2:
        // A disk that is full, for a while.
        return this.#disk.fail({ kind: 'write', at, code: 'ENOSPC', bytes: random.below(100), times: 1 + random.below(8) })
      case 3:
        return this.#disk.fail({ kind: ['open', 'rename', 'remove', 'truncate', 'syncDirectory', 'list'], at: 1 + random.below(12), code: random.chance(0.5) ? 'ENOSPC' : 'EIO' })
      default:
        // A short write or read: no failure at all.
        return this.#disk.fail({ kind: ['write', 'read'], at, bytes: 1 + random.below(100), times: 5 })
    }
  }

  /** A life that a failure ended: the log is closed as well as it can be, and what its last words were is not known. */
  async #endFailedLife(): Promise<void> {
    this.#tally.failedLives++
    await this.#log?.close().catch(() => {})
    this.#log = undefined
    this.#disk.heal()
  }

  async #step(log: Log): Promise<void> {
    const random = this.#random
    const choice = random.below(100)
    try {
      if (this.isRetained && random.chance(0.25)) await this.#retainOrWait(log)
      else if (choice < 35) await this.#append(log)
      else if (choice < 55) await settleAll(Array.from({ length: 2 + random.below(5) }, () => this.#append(log)))
      else if (choice < 70) await this.#appendBatch(log)
      else if (choice < 78) this.#appendSync(log)
      else if (choice < 86) await this.#syncLog(log)
      else if (choice < 92) await this.#truncate(log)
      else if (choice < 96) await this.#cut(log)
      else if (choice < 98) await this.#readOn(log)
      else new Expectation(this.journal).check(log, this.#leash?.furthest)
    } catch (error) {
      if (!(error instanceof WalError) || error.code !== 'ERR_WAL_NO_SPACE' || log.state !== 'open') throw error
      // The log goes on, and what it refused is not there.
      this.#tally.noSpace++
      if (this.#phase === 'cutting') this.journal.push({ kind: 'not cut', offset: log.lastOffset })
      if (this.#phase === 'committing') {
        this.#phase = 'appending'
        return
      }
      this.#phase = 'appending'
      this.journal.push({ kind: 'refused', first: log.lastOffset + 1 })
      this.#last = log.lastOffset
    }
  }

  #payload(): string {
    this.#payloads++
    const text = `${this.#seed}:${this.#payloads}:`
    return text.padEnd(this.#random.below(this.#random.chance(0.1) ? 1500 : this.isRetained ? 500 : 80), String.fromCharCode(65 + (this.#payloads % 26)))
  }

  #ask(count: number, batch: boolean): { payloads: string[]; last: number } {
    const payloads = Array.from({ length: count }, () => this.#payload())
    // In format 1 a batch is no more than entries one behind the other.
    this.journal.push({ kind: 'append', first: this.#last + 1, payloads, batch: batch && this.format === 2 })
    this.#last += count
    return { payloads, last: this.#last }
  }

  async #append(log: Log): Promise<void> {
    const { payloads, last } = this.#ask(1, false)
    const offset = await log.append(entryOf(payloads[0] as string, this.format))
    if (offset !== last) throw new Error(`append gave offset ${offset}, and ${last} was next`)
    this.#acknowledged(last)
  }

  async #appendBatch(log: Log): Promise<void> {
    const { payloads, last } = this.#ask(1 + this.#random.below(5), true)
    await log.appendBatch(payloads.map((payload) => entryOf(payload, this.format)))
    this.#acknowledged(last)
  }

  #appendSync(log: Log): void {
    const { payloads, last } = this.#ask(1, false)
    log.appendSync(entryOf(payloads[0] as string, this.format))
    this.#acknowledged(last)
  }

  async #syncLog(log: Log): Promise<void> {
    const last = this.#last
    await log.sync()
    this.#durable(last)
  }

  async #truncate(log: Log): Promise<void> {
    const wanted = log.firstOffset + this.#random.below(this.#last + 2 - log.firstOffset)
    // Not beyond what a cursor holds, open or not; after a commit that failed it can stand at either place.
    const position = this.#cursor?.offset ?? (await positionIn(log))
    const isHeld = position !== 'none' && this.holds !== false && position + 1 < wanted
    const offset = isHeld ? position + 1 : wanted
    if (isHeld) this.#tally.held++
    this.journal.push({ kind: 'truncate', offset })
    this.#phase = 'truncating'
    await log.truncateBefore(wanted)
    this.#phase = 'appending'
    if (isHeld && log.firstOffset > offset) throw new Error(`the cursor holds ${offset}, and the log begins at ${log.firstOffset}`)
    // Format 1 frees whole segments only.
    this.journal.push({ kind: 'truncated', offset: this.format === 2 ? offset : log.firstOffset })
  }

  /** What is beyond limits goes, beside other calls or alone; or time passes, and with it timers come that have that done. */
  async #retainOrWait(log: Log): Promise<void> {
    const random = this.#random
    const choice = random.below(10)
    if (choice < 3) {
      this.#time.pass(500 + random.below(4000))
      await new Promise((resolve) => setTimeout(resolve, 1))
    } else if (choice < 8) {
      const limits = await this.#retain(log)
      // Format 1 keeps what says which offset is next.
      if (this.format === 2) this.#leash?.checkDone(log, limits)
    } else {
      await settleAll([this.#readOn(log), this.#append(log), this.#retain(log)])
    }
  }

  async #retain(log: Log): Promise<RetentionOptions | undefined> {
    const leash = this.#leash as Leash
    const limits = this.#random.chance(0.5) ? anyLimits(this.#random, this.format) : undefined
    leash.asked = limits
    this.#phase = 'retaining'
    try {
      const { segments, firstOffset, heldBy } = await log.applyRetention(limits)
      this.journal.push({ kind: 'truncated', offset: firstOffset })
      this.#tally.retained++
      if (heldBy !== undefined) this.#tally.heldBack++
      if (segments > 0 && isAgeAlone(limits)) this.#tally.droppedByAge++
      return limits
    } catch (error) {
      // What it wrote before the log failed may be found, or not.
      if (log.state !== 'open') leash.keepFurthest()
      throw error
    } finally {
      this.#phase = 'appending'
      leash.asked = undefined
    }
  }

  /** Mostly the newest few, as a replica does; now and then all of it. */
  async #cut(log: Log): Promise<void> {
    // Format 1 can't be without an entry once its first ones are gone: the offset would be lost.
    const kept = this.format === 1 && log.firstOffset > 1 ? 1 : 0
    const most = log.lastOffset - log.firstOffset + 1 - kept
    const offset = log.lastOffset - this.#random.below((this.#random.chance(0.2) ? most : Math.min(most, 8)) + 1)
    this.journal.push({ kind: 'cutting', offset, anyEnd: this.format === 1 })
    this.#phase = 'cutting'
    const cut = log.truncateAfter(offset)
    this.#last = offset
    await cut
    this.#phase = 'appending'
    const cursor = this.#leash?.cursor
    if (cursor !== undefined && cursor.position !== 'none') cursor.position = Math.min(cursor.position, offset)
    // A cut at the last offset changes nothing, and makes nothing durable.
    if (log.durableOffset >= offset) this.journal.push({ kind: 'cut', offset })
    else this.journal.push({ kind: 'not cut', offset })
  }

  async #openCursor(log: Log): Promise<void> {
    const { holds } = this
    const before = await positionIn(log)
    this.#phase = 'committing'
    if (before === 'none') this.journal.push({ kind: 'committing', offset: log.firstOffset - 1 })
    const cursor = await log.cursor(cursorName, { follow: false, ...(holds === undefined ? {} : { hold: holds }) })
    this.#phase = 'appending'
    if (this.#leash !== undefined) this.#leash.openAt = () => cursor.offset
    new Expectation(this.journal).checkCursor(cursor.offset, log, holds !== false)
    this.journal.push({ kind: 'position', offset: cursor.offset })
    this.#cursor = cursor
  }

  /** Some entries are taken from the cursor, and committed. */
  async #readOn(log: Log): Promise<void> {
    const cursor = this.#cursor
    if (cursor === undefined) return
    // What was truncated in front of it is passed over, as if it were done.
    const { lost } = cursor
    if (lost !== undefined) {
      if (this.holds !== false) throw new Error(`the cursor holds, and has lost ${lost.first} to ${lost.last}`)
      // More may go before it looks.
      this.#beginCommit(log.durableOffset)
      const skipped = await cursor.skipLost()
      this.#endCommit(skipped?.last ?? lost.last)
    }
    const last = await this.#takeSome(cursor)
    if (last === undefined) return
    if (last > log.durableOffset) throw new Error(`the cursor gave entry ${last}, and the log is durable up to ${log.durableOffset}`)
    this.#beginCommit(last)
    await cursor.commit(last)
    this.#endCommit(last)
  }

  async #takeSome(cursor: Cursor<unknown>): Promise<number | undefined> {
    let left = 1 + this.#random.below(6)
    let last: number | undefined
    try {
      for await (const { offset } of cursor) {
        last = offset
        if (--left === 0) break
      }
    } catch (error) {
      if ((error as WalError).code !== 'ERR_WAL_OFFSET_OUT_OF_RANGE') throw error
      if (this.holds !== false) throw new Error(`the cursor holds, and what it needs is gone: ${String(error)}`, { cause: error })
    }
    return last
  }

  #beginCommit(offset: number): void {
    this.journal.push({ kind: 'committing', offset })
    this.#phase = 'committing'
  }

  #endCommit(offset: number): void {
    this.#phase = 'appending'
    this.journal.push({ kind: 'committed', offset })
  }

  #acknowledged(last: number): void {
    if (this.#sync === 'always') this.#durable(last)
  }

  #durable(last: number): void {
    this.journal.push({ kind: 'durable', last })
  }
}

/** Waits for all, then throws the first failure: none may be left under way when its error is judged. */
async function settleAll(promises: readonly Promise<unknown>[]): Promise<void> {
  const results = await Promise.allSettled(promises)
  for (const result of results) if (result.status === 'rejected') throw result.reason
}

function shortened(_key: string, value: unknown): unknown {
  return typeof value === 'string' ? value.slice(0, 12) : value
}
