/**
 * Looks at a log that another process may be writing: which segments are live, where it begins, and how far it is proven durable. No lock
 * is taken and nothing is changed, so what fails is looked at again before it is called damage: it may be being written.
 *
 * Format 2 proves what is durable: the commit behind a group, a durable mark or a close record says so, and a newer segment is created
 * only when the one before is on stable storage. Only control records are read for that; whoever reads entries verifies them. Format 1
 * proves nothing: there the whole records that are found count.
 */
import { join } from 'node:path'
import type { EntryAdapter } from '../entries/entry.js'
import { systemCode, WalError } from '../errors.js'
import { DurableFile, listDirectory } from '../files/durable-file.js'
import { type SegmentHeader, segmentHeaderBytes } from '../format/control-record.js'
import type { ChainPosition } from '../format/group.js'
import { type Format, recordHeaderBytes } from '../format/record.js'
import { durableOffsetOf } from '../format/vouchers.js'
import { FileWindow } from '../segments/file-window.js'
import { GroupWalker } from '../segments/group-walker.js'
import { RecordWalker } from '../segments/record-walker.js'
import { damage, missing } from '../segments/segment-cursor.js'
import { type DirectoryNames, type SegmentName, sortNames } from '../segments/segment-name.js'
import { makeSegment, type Segment, SegmentSet } from '../segments/segment-set.js'
import { pause, type Steps } from '../steps.js'
import { decideSegments } from './decide.js'
import { findVoucher, type Place } from './examine-newest.js'
import { assertInOrder, examine, type Found, look } from './recover-format1.js'
import { type ReadSegment, readHeader } from './recover-format2.js'
import type { LookRequest } from './recovered-log.js'

/** How often something that fails is looked at before it is believed. */
const looksAtMost = 10
const betweenLooksMs = 20
/** A group that can't be read in so many looks, a power of two, is searched for proof that it once could be. */
const failingLooksAtMost = 8
const chunkBytes = 64 * 1024
/** Places behind the last groups, one of which the next proof is about, most likely. */
const placesKept = 16

/** What is known of the newest segment: where it was walked to, and how far it is proven. */
interface Tail extends Place {
  readonly name: string
  readonly lowWaterMark: number
  readonly proven: Place
  readonly recent: readonly Place[]
  /** The last record in front of the place, to know it again: a recovery may have cut it off. */
  readonly anchor: { readonly position: number; readonly head: Uint8Array } | undefined
  /** In how many looks what stands at the place could not be read. */
  readonly failingLooks: number
}

interface Seen {
  readonly listing: string
  readonly format: Format
  readonly firstOffset: number
  /** Where the log begins, once so much of it is proven. */
  readonly begins?: number
  readonly lastOffset: number
  /** Oldest first; undefined: the same as before. */
  readonly live: readonly LiveSegment[] | undefined
  readonly tail: Tail | undefined
  /** Format 1: what was read behind this is not there any more. */
  readonly cutAfter: number | undefined
}

interface LiveSegment {
  readonly name: string
  readonly id: number
  readonly firstOffset: number
  readonly bytes: number
  readonly header: SegmentHeader | undefined
}

export class LogObserver {
  readonly #request: LookRequest
  readonly #adapter: EntryAdapter
  #segments: SegmentSet
  #listing: string | undefined
  #firstOffset = 1
  #begins = 1
  #lastOffset = 0
  #tail: Tail | undefined
  /** Format 2: headers, by name. Format 1: first offsets. */
  #headers = new Map<string, ReadSegment>()
  #found = new Map<string, Found>()
  /** Bytes of files that don't grow any more. */
  #closedBytes = new Map<string, number>()
  #live = new Map<string, Segment>()
  #version = 0

  constructor(request: LookRequest, adapter: EntryAdapter) {
    this.#request = request
    this.#adapter = adapter
    this.#segments = new SegmentSet(request.fileSystem, request.directory, 2, [])
  }

  get segments(): SegmentSet {
    return this.#segments
  }

  get firstOffset(): number {
    return this.#firstOffset
  }

  /** Where the log begins by its newest mark, also where what is proven durable does not reach that far yet. */
  get begins(): number {
    return this.#begins
  }

  get lastOffset(): number {
    return this.#lastOffset
  }

  /** Whether the last look found entries whose proof was still to come. */
  get awaitsProof(): boolean {
    return this.#tail !== undefined && this.#tail.expected.nextOffset > this.#tail.proven.expected.nextOffset
  }

  /** Looks; throws what is still wrong after having looked again and again. */
  *look(): Steps<void> {
    for (let looks = 1; ; looks++) {
      const version = this.#version
      try {
        const seen = yield* this.#see()
        // Another look may have come to its end in between; one of the two has to begin again.
        if (version === this.#version) return this.#take(seen)
      } catch (error) {
        if (looks >= looksAtMost || !mayPass(error)) throw error
        yield* pause(betweenLooksMs)
      }
    }
  }

  /** Looks, if a segment was added or removed since the last look: in a segment that is not the newest nothing else can change. */
  *lookForCuts(): Steps<void> {
    const names = yield* listDirectory(this.#request.fileSystem, this.#request.directory)
    if (listingOf(sortNames(names)) !== this.#listing) yield* this.look()
  }

  *#see(): Steps<Seen> {
    const { fileSystem, directory } = this.#request
    const names = sortNames(yield* listDirectory(fileSystem, directory))
    const [foreign] = names.foreign
    if (foreign !== undefined) {
      const path = join(directory, foreign)
      throw new WalError('ERR_WAL_CORRUPT', `${path} is no segment of a log, though it is named like one: move it elsewhere`, { path })
    }
    const format = names.segments[0]?.format ?? this.#segments.format
    const other = names.segments.find((segment) => segment.format !== format)
    if (other !== undefined) throw new WalError('ERR_WAL_CORRUPT', `${directory} holds segments of both formats: a log has one`, { path: join(directory, other.name) })
    if (names.segments.length === 0) {
      if (this.#live.size > 0) throw missing(this.#segments.newest, this.#firstOffset)
      return { listing: listingOf(names), format, firstOffset: 1, lastOffset: 0, live: [], tail: undefined, cutAfter: undefined }
    }
    return format === 2 ? yield* this.#seeFormat2(names) : yield* this.#seeFormat1(names)
  }

  #take(seen: Seen): void {
    const { format, live, tail } = seen
    this.#version++
    this.#firstOffset = seen.firstOffset
    this.#begins = seen.begins ?? seen.firstOffset
    this.#lastOffset = seen.lastOffset
    this.#tail = tail
    if (live === undefined) {
      this.#segments.newest.bytes = (tail as Tail).proven.position
      return
    }
    if (format !== this.#segments.format) this.#segments = new SegmentSet(this.#request.fileSystem, this.#request.directory, format, [])
    const before = this.#segments.live.at(-1)
    const known = this.#live
    const isFirst = this.#listing === undefined || before === undefined
    this.#live = new Map()
    const segments = live.map(({ name, id, firstOffset, bytes, header }) => {
      // What an index knows of places behind a cut is not true of what stands there now.
      const kept = seen.cutAfter !== undefined && firstOffset > seen.cutAfter ? undefined : known.get(name)
      const segment = kept ?? makeSegment(this.#request.directory, format, id, firstOffset, bytes, header?.createdMs)
      segment.bytes = bytes
      this.#live.set(name, segment)
      return segment
    })
    this.#segments.replace(segments)
    this.#segments.logId = live.at(-1)?.header?.logId ?? ''
    this.#listing = seen.listing
    const names = new Set(seen.listing.split('/'))
    for (const known of [this.#headers, this.#found, this.#closedBytes]) for (const name of known.keys()) if (!names.has(name)) known.delete(name)
    if (isFirst) return
    if (format === 2) this.#noteCuts(live, known, before)
    else if (seen.cutAfter !== undefined) this.#segments.noteCut(seen.cutAfter)
  }

  /** What the headers of new segments say of what was cut off since the last look. */
  #noteCuts(live: readonly LiveSegment[], known: ReadonlyMap<string, Segment>, newestBefore: Segment | undefined): void {
    const firstNew = live.findIndex(({ name }) => !known.has(name))
    if (firstNew < 0) return
    const oldest = live[0] as LiveSegment
    if (firstNew === 0 && !this.#follows(oldest, known, newestBefore)) return this.#segments.noteCut(0)
    for (const { header } of live.slice(firstNew)) if (header?.cut === true) this.#segments.noteCut(header.firstOffset - 1)
  }

  /**
   * All segments that were known are gone. Where the oldest that is there does not say that it follows one of them, and there was room for
   * others in between, segments came and went that nobody here has seen, and a cut may have been among them.
   */
  #follows({ id, header }: LiveSegment, known: ReadonlyMap<string, Segment>, newestBefore: Segment | undefined): boolean {
    if (id === (newestBefore?.id ?? 0) + 1) return true
    for (const segment of known.values()) if (segment.id === header?.previousSegmentId) return true
    return false
  }

  // ── Format 2

  *#seeFormat2(names: DirectoryNames): Steps<Seen> {
    const { directory } = this.#request
    const read: ReadSegment[] = []
    for (const name of names.segments) read.push(yield* this.#header(name))
    const newest = read.at(-1) as ReadSegment
    const path = join(directory, newest.found.name)
    if (newest.result.found === 'unsupported') throw new WalError('ERR_WAL_FORMAT', `${path}: ${newest.result.why}: read it with a later release of forelog`, { path })
    if (newest.result.found !== 'header') throw damage({ path, id: newest.found.id }, 0, newest.found.firstOffset, newest.result.why)
    const { header, frame } = newest.result
    const tail = yield* this.#walkTail(newest.found.name, path, header, { nextOffset: header.firstOffset, salt: frame.salt, previous: frame.crc })
    const listing = listingOf(names)
    const lastOffset = tail.proven.expected.nextOffset - 1
    const before = this.#tail
    // Most looks find the same segments, perhaps thousands of them, and a few more bytes in the newest one.
    if (listing === this.#listing && before?.name === tail.name && before.lowWaterMark === tail.lowWaterMark) {
      return { listing, format: 2, firstOffset: Math.min(this.#begins, lastOffset + 1), begins: this.#begins, lastOffset, live: undefined, tail, cutAfter: undefined }
    }
    const decision = decideSegments(read.map(({ found }) => found), tail.lowWaterMark)
    if (decision.action === 'refuse') {
      throw new WalError(decision.code, `${join(directory, decision.name)}: ${decision.why}`, { path: join(directory, decision.name) })
    }
    const byName = new Map(read.map((segment) => [segment.found.name, segment]))
    const live: LiveSegment[] = []
    for (const name of decision.live) {
      const { found, result } = byName.get(name) as ReadSegment
      const bytes = name === newest.found.name ? tail.proven.position : yield* this.#sizeOf(name)
      live.push({ name, id: found.id, firstOffset: found.firstOffset, bytes, header: result.found === 'header' ? result.header : undefined })
    }
    // Entries that a mark calls unwanted are not shown, proven or not.
    const firstOffset = Math.min(decision.firstOffset, lastOffset + 1)
    return { listing, format: 2, firstOffset, begins: decision.firstOffset, lastOffset, live, tail, cutAfter: undefined }
  }

  *#header({ name, id, firstOffset }: SegmentName): Steps<ReadSegment> {
    const known = this.#headers.get(name)
    if (known !== undefined) return known
    const read = yield* readHeader(this.#request, name, id, firstOffset as number)
    if (read.result.found === 'header') this.#headers.set(name, read)
    return read
  }

  /** Of a file behind which there is a newer one: it does not grow any more. */
  *#sizeOf(name: string): Steps<number> {
    const known = this.#closedBytes.get(name)
    if (known !== undefined) return known
    const file = yield* DurableFile.open(this.#request.fileSystem, join(this.#request.directory, name), { access: 'read' })
    try {
      const bytes = yield* file.size()
      this.#closedBytes.set(name, bytes)
      return bytes
    } finally {
      yield* file.close()
    }
  }

  *#walkTail(name: string, path: string, header: SegmentHeader, first: ChainPosition): Steps<Tail> {
    const start: Place = { position: segmentHeaderBytes, expected: first }
    const fresh: Tail = { ...start, name, lowWaterMark: header.lowWaterMark, proven: start, recent: [], anchor: undefined, failingLooks: 0 }
    const known = this.#tail?.name === name ? this.#tail : fresh
    const file = yield* DurableFile.open(this.#request.fileSystem, path, { access: 'read' })
    try {
      const window = new FileWindow(file, yield* file.size(), chunkBytes)
      return yield* this.#walkOn(window, { path, id: header.segmentId }, (yield* isStillThere(file, window.fileBytes, known)) ? known : fresh)
    } finally {
      yield* file.close()
    }
  }

  *#walkOn(window: FileWindow, segment: { readonly path: string; readonly id: number }, from: Tail): Steps<Tail> {
    const walker = new GroupWalker(window, from.position, from.expected)
    let { lowWaterMark, proven, anchor } = from
    const recent = [...from.recent]
    for (;;) {
      const before: Place = { position: walker.position, expected: walker.expected }
      // Without a look at the bodies: what proves a group durable proves that it was there, and who reads it verifies it.
      const result = yield* walker.next(false)
      if (result.found === 'group') {
        const { content } = result.group
        const place: Place = { position: walker.position, expected: walker.expected }
        const at = window.indexOf(result.position)
        anchor = { position: result.position, head: window.bytes.slice(at, at + recordHeaderBytes) }
        if (content.kind === 'lowWaterMark') lowWaterMark = Math.max(lowWaterMark, content.firstWanted)
        const durableOffset = durableOffsetOf(content)
        if (durableOffset !== undefined && durableOffset >= proven.expected.nextOffset) {
          const candidates = [...recent, before, ...(content.kind === 'commit' ? [] : [place])]
          proven = candidates.findLast(({ expected }) => expected.nextOffset === durableOffset + 1) ?? (yield* placeBehind(window, proven, durableOffset))
        }
        recent.push(place)
        if (recent.length > placesKept) recent.shift()
        continue
      }
      if (result.found === 'unsupported') throw new WalError('ERR_WAL_FORMAT', `${segment.path}: ${result.why}: read it with a later release of forelog`, { path: segment.path })
      if (result.found === 'contradiction') throw damage(segment, before.position, before.expected.nextOffset, result.why)
      const failingLooks = result.found === 'end' || before.position !== from.position ? 0 : from.failingLooks + 1
      // At first, for who opens a log that nobody writes looks once; then less and less often: it reads all that is behind.
      const isDue = this.#listing === undefined || (failingLooks >= failingLooksAtMost && (failingLooks & (failingLooks - 1)) === 0)
      if (result.found === 'nothing' && isDue) yield* this.#assertNoVoucher(window, segment, before, result.commit?.bytes ?? 1)
      return { ...before, name: from.name, lowWaterMark, proven, recent, anchor, failingLooks }
    }
  }

  /** What can't be read and was durable once is damage, and no group that is being written. */
  *#assertNoVoucher(window: FileWindow, segment: { readonly path: string; readonly id: number }, { position, expected }: Place, groupBytes: number): Steps<void> {
    if ((yield* byteAt(window, position + 4)) === 0) return
    const voucher = yield* findVoucher(window, position + groupBytes, expected)
    if (voucher === undefined) return
    // The voucher may be younger than the last read of what it vouches for.
    const again = yield* new GroupWalker(new FileWindow(window.file, window.fileBytes, chunkBytes), position, expected).next(true)
    if (again.found === 'group') return
    throw damage(segment, position, expected.nextOffset, `what stands there can't be read, and a record at byte ${voucher.position} proves that it was on stable storage`)
  }

  // ── Format 1

  *#seeFormat1(names: DirectoryNames): Steps<Seen> {
    const { unfitForFormat1 } = this.#adapter
    if (unfitForFormat1 !== undefined) throw new WalError('ERR_WAL_OPTION', `option entries does not fit a log of format 1: ${unfitForFormat1}`, { option: 'entries', path: this.#request.directory })
    const found: Found[] = []
    for (const [index, { name, id }] of names.segments.entries()) {
      const isNewest = index === names.segments.length - 1
      const known = isNewest ? undefined : this.#found.get(name)
      const read = known ?? (yield* look(this.#request, name, id))
      if (!isNewest && read.firstOffset !== undefined) this.#found.set(name, read)
      found.push(read)
    }
    assertInOrder(found)
    const newest = found.at(-1) as Found
    const tail = yield* this.#walkRecords(newest, found)
    const nextOffset = tail.expected.nextOffset
    const live = found.map(({ name, id, fileBytes }, index) => {
      const firstOffset = found.slice(index).find((segment) => segment.firstOffset !== undefined)?.firstOffset ?? nextOffset
      return { name, id, firstOffset: Math.min(firstOffset, nextOffset), bytes: index === found.length - 1 ? tail.position : fileBytes, header: undefined }
    })
    const cutAfter = yield* this.#cutOfFormat1(live)
    return { listing: listingOf(names), format: 1, firstOffset: (live[0] as LiveSegment).firstOffset, lastOffset: nextOffset - 1, live, tail, cutAfter }
  }

  /** Whether what the last look read is gone; then, to be safe, all of the segment where it ended is. */
  *#cutOfFormat1(live: readonly LiveSegment[]): Steps<number | undefined> {
    const before = this.#tail
    if (before === undefined) return undefined
    const last = live.find(({ name }) => name === before.name)
    // Removed, together with its entries: behind, or in front.
    if (last === undefined) return (live.at(-1) as LiveSegment).firstOffset - 1
    const file = yield* DurableFile.open(this.#request.fileSystem, join(this.#request.directory, last.name), { access: 'read' })
    try {
      return (yield* isStillThere(file, yield* file.size(), before)) ? undefined : last.firstOffset - 1
    } finally {
      yield* file.close()
    }
  }

  *#walkRecords(newest: Found, found: readonly Found[]): Steps<Tail> {
    const framingOf = (type: number): ReturnType<EntryAdapter['framing']> => this.#adapter.framing(type)
    const before = this.#tail
    const file = yield* DurableFile.open(this.#request.fileSystem, newest.path, { access: 'read' })
    try {
      const fileBytes = yield* file.size()
      const known = before?.name === newest.name && (yield* isStillThere(file, fileBytes, before)) ? before : undefined
      let position = known?.position
      let nextOffset = known?.expected.nextOffset
      if (position === undefined || nextOffset === undefined) {
        const examined = yield* examine(this.#request, file, found, framingOf)
        position = 0
        nextOffset = examined.entries === 0 ? examined.nextOffset : examined.nextOffset - examined.entries
      }
      const window = new FileWindow(file, fileBytes, chunkBytes)
      const walker = new RecordWalker(window, position, nextOffset, framingOf)
      let anchor = known?.anchor
      for (;;) {
        const result = yield* walker.next()
        if (result.found !== 'record') break
        const at = window.indexOf(result.position)
        anchor = { position: result.position, head: window.bytes.slice(at, at + recordHeaderBytes) }
      }
      const place: Place = { position: walker.position, expected: { nextOffset: walker.nextOffset as number, salt: '', previous: 0 } }
      return { ...place, name: newest.name, lowWaterMark: 0, proven: place, recent: [], anchor, failingLooks: 0 }
    } finally {
      yield* file.close()
    }
  }
}

function listingOf(names: DirectoryNames): string {
  return names.segments.map(({ name }) => name).join('/')
}

/** Whether an error may come of a moment at which the log was changing. */
function mayPass(error: unknown): boolean {
  if (!(error instanceof WalError)) return false
  if (error.code === 'ERR_WAL_READ_FAILED') return systemCode(error.cause) === 'ENOENT'
  return error.code === 'ERR_WAL_CORRUPT' || error.code === 'ERR_WAL_SEGMENT_MISSING'
}

/** Whether what was walked is still in the file: the recovery of a writer that died cuts off what nothing proves, and others go on there. */
function* isStillThere(file: DurableFile, fileBytes: number, { position, anchor }: Tail): Steps<boolean> {
  if (anchor === undefined) return true
  if (fileBytes < position) return false
  const head = new Uint8Array(anchor.head.length)
  const read = yield* file.read(head, anchor.position)
  return read === head.length && head.every((byte, index) => byte === anchor.head[index])
}

/** The end of the last group from a place on whose entries are all durable. */
function* placeBehind(window: FileWindow, from: Place, durableOffset: number): Steps<Place> {
  const walker = new GroupWalker(new FileWindow(window.file, window.fileBytes, chunkBytes), from.position, from.expected)
  let place = from
  for (;;) {
    const result = yield* walker.next(false)
    if (result.found !== 'group' || walker.expected.nextOffset > durableOffset + 1) return place
    place = { position: walker.position, expected: walker.expected }
  }
}

function* byteAt(window: FileWindow, position: number): Steps<number> {
  return (yield* window.load(position, 1)) === 0 ? 0 : (window.bytes[window.indexOf(position)] as number)
}
