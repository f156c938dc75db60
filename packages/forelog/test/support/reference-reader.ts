// A second reader of the on-disk formats, for tests alone. It was written from docs/FORMAT.md and shares no code with
// the library, so that a mistake of the one shows in the other. Nothing here is fast: whole files in memory, every rule
// spelled out where it is checked.
//
//   ┌─────────────┬───────────┬──────────┬─────────┐
//   │ Offset (4B) │ Type (1B) │ CRC (4B) │ Payload │    big endian; the CRC is that of the payload alone
//   └─────────────┴───────────┴──────────┴─────────┘
//
// The payload of a control record (type 255):
//
//   length u32 │ kind u8 │ version u8 │ flags u16 │ salt u64 │ previous u32 │ fields of the kind

const recordHeaderBytes = 9
const controlType = 255
const formatVersion = 2
/** kind, version, flags, salt and previous: what `length` counts in every control record. */
const commonBytes = 16
const lowest32Bits = 2 ** 32

/** The CRC-32 of zlib, bit by bit: IEEE polynomial, reflected. */
export function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  }
  return (crc ^ 0xffffffff) >>> 0
}

// ── What a segment of format 2 holds ─────────────────────────────────────────────────────────────────────────────────

export interface ReferenceEntry {
  offset: number
  type: number
  payload: Uint8Array
  /** Byte of the file at which the entry's record begins. */
  position: number
}

export interface ControlRecord {
  /** Byte of the file at which the record begins. */
  position: number
  /** Bytes of the record itself; the entries of a commit come behind them. */
  bytes: number
  /** The field Offset as it stands there: 32 bits. */
  offset: number
  crc: number
  length: number
  kindNumber: number
  version: number
  flags: number
  salt: bigint
  previous: number
}

export interface HeaderRecord extends ControlRecord {
  kind: 'header'
  /** 32 hexadecimal digits. */
  logId: string
  segmentId: number
  previousId: number
  firstOffset: number
  lowWaterMark: number
  createdMs: number
}

export interface CommitRecord extends ControlRecord {
  kind: 'commit'
  firstOffset: number
  count: number
  bodyBytes: number
  headersCrc: number
  durableOffset: number
  payloadLengths: number[]
  entries: ReferenceEntry[]
}

export interface CloseRecord extends ControlRecord {
  kind: 'close'
  clean: boolean
  lastOffset: number
  durableOffset: number
}

export interface LowWaterRecord extends ControlRecord {
  kind: 'low-water'
  lowWaterMark: number
}

export interface DurableRecord extends ControlRecord {
  kind: 'durable'
  durableOffset: number
}

/** A kind that this version doesn't know, with the flag that lets it be skipped. */
export interface SkippedRecord extends ControlRecord {
  kind: 'skipped'
  fields: Uint8Array
}

export type ReferenceRecord = HeaderRecord | CommitRecord | CloseRecord | LowWaterRecord | DurableRecord | SkippedRecord

export type StopReason =
  | 'end' // nothing stands behind T
  | 'zeros' // only zeros stand behind T
  | 'incomplete' // the file ends within the record or its group
  | 'type' // no control record where one has to stand
  | 'length' // of a control record: too short, or not what kind, count and lengths give
  | 'crc' // of a control record
  | 'salt'
  | 'chain'
  | 'version' // row K, as are the next two: CRC, salt and chain hold
  | 'flags'
  | 'kind'
  | 'offset' // the field Offset of a control record
  | 'fields' // a field of the kind contradicts another, or what stands in front
  | 'lengths' // the payload lengths of a commit
  | 'headers-crc'
  | 'entry' // the header or the payload of an entry

export interface Stop {
  why: StopReason
  detail: string
}

export interface ReferenceSegment {
  records: ReferenceRecord[]
  header: HeaderRecord | undefined
  /** T: the first byte that can't be read as the next record; that of the commit where a group fails. */
  end: number
  /** Why T is the end. */
  stop: Stop
  /** Whether nothing but zeros, or nothing, stands behind T. */
  zerosBehind: boolean
  /** The offset that the next entry gets. */
  nextOffset: number
  /** The largest durable offset that a record in front of T states; 0 if none does. */
  proven: number
  /** The largest low-water mark in front of T, that of the header included. */
  lowWaterMark: number
  /** The CRC field of the last control record in front of T, on which the next one is chained. */
  lastCrc: number
  /** What the last record in front of T says. */
  closed: 'no' | 'full' | 'clean'
  /** All entries in front of T. */
  entries: ReferenceEntry[]
  /** Where the header differs from what the caller expected. */
  mismatches: string[]
}

/** What the name of the file, the log and the segment before it say that the header must say. */
export interface SegmentExpectations {
  logId?: string
  segmentId?: number
  previousId?: number
  firstOffset?: number
  lowWaterMark?: number
  previous?: number
}

/** Thrown within this file: the record can't be read. */
class Unreadable extends Error {
  readonly why: StopReason

  constructor(why: StopReason, detail: string) {
    super(detail)
    this.why = why
  }
}

// ── Reading one segment of format 2 ──────────────────────────────────────────────────────────────────────────────────

export function readSegment2(bytes: Uint8Array, expectations: SegmentExpectations = {}): ReferenceSegment {
  const walk: Walk = { salt: 0n, lastCrc: 0, nextOffset: 0, lowWaterMark: 0, proven: 0 }
  const records: ReferenceRecord[] = []
  let end = 0
  let stop: Stop | undefined
  while (stop === undefined) {
    if (end === bytes.length) {
      stop = { why: 'end', detail: 'nothing stands behind it' }
      break
    }
    try {
      const record = readRecord(bytes, end, walk)
      records.push(record)
      advance(walk, record)
      end += record.bytes + (record.kind === 'commit' ? record.bodyBytes : 0)
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error
      stop = onlyZeros(bytes, end)
        ? { why: 'zeros', detail: `${bytes.length - end} zeros stand behind it` }
        : { why: error.why, detail: error.message }
    }
  }

  const header = records[0]?.kind === 'header' ? records[0] : undefined
  const last = records.at(-1)
  return {
    records,
    header,
    end,
    stop,
    zerosBehind: onlyZeros(bytes, end),
    nextOffset: walk.nextOffset,
    proven: walk.proven,
    lowWaterMark: walk.lowWaterMark,
    lastCrc: walk.lastCrc,
    closed: last?.kind !== 'close' ? 'no' : last.clean ? 'clean' : 'full',
    entries: records.flatMap((record) => (record.kind === 'commit' ? record.entries : [])),
    mismatches: header === undefined ? [] : mismatches(header, expectations),
  }
}

/** What the records so far say about the next one. */
interface Walk {
  salt: bigint
  lastCrc: number
  nextOffset: number
  lowWaterMark: number
  proven: number
}

function advance(walk: Walk, record: ReferenceRecord): void {
  walk.lastCrc = record.crc
  switch (record.kind) {
    case 'header':
      walk.salt = record.salt
      walk.nextOffset = record.firstOffset
      walk.lowWaterMark = record.lowWaterMark
      break
    case 'commit':
      walk.nextOffset = record.firstOffset + record.count
      walk.proven = Math.max(walk.proven, record.durableOffset)
      break
    case 'close':
    case 'durable':
      walk.proven = Math.max(walk.proven, record.durableOffset)
      break
    case 'low-water':
      walk.lowWaterMark = record.lowWaterMark
      break
    case 'skipped':
      break
  }
}

function readRecord(bytes: Uint8Array, position: number, walk: Walk): ReferenceRecord {
  const isFirst = position === 0
  const { control, payload } = readControl(bytes, position)

  // A record that was written as it stands: its CRC holds, and nothing but the header gives a salt or begins a chain.
  if (!isFirst && control.salt !== walk.salt) throw new Unreadable('salt', `salt ${control.salt}, not ${walk.salt}`)
  if (!isFirst && control.previous !== walk.lastCrc) {
    throw new Unreadable('chain', `previous ${hex32(control.previous)}, not ${hex32(walk.lastCrc)}`)
  }
  if (control.version !== formatVersion) {
    throw new Unreadable('version', `version ${control.version}, this reader knows ${formatVersion}`)
  }
  const skippable = (control.flags & 0x8000) !== 0
  const knownKind = control.kindNumber >= 1 && control.kindNumber <= 5
  if (!knownKind && !skippable) throw new Unreadable('kind', `kind ${control.kindNumber} is unknown`)
  if ((control.flags & ~allowedFlags(control.kindNumber)) !== 0) {
    throw new Unreadable('flags', `flags ${control.flags.toString(2)} of kind ${control.kindNumber}`)
  }
  if (isFirst !== (control.kindNumber === 1)) {
    throw new Unreadable('fields', isFirst ? 'the first record is no segment header' : 'a second segment header')
  }

  const fields = new Fields(payload.subarray(4 + commonBytes))
  const record = readFields(bytes, control, fields, walk)
  const nextOffset = record.kind === 'header' ? record.firstOffset : walk.nextOffset
  if (control.offset !== nextOffset % lowest32Bits) {
    throw new Unreadable('offset', `Offset ${control.offset}, but the next entry is ${nextOffset}`)
  }
  return record
}

/** What all control records have; the CRC holds. */
function readControl(bytes: Uint8Array, position: number): { control: ControlRecord; payload: Uint8Array } {
  const left = bytes.length - position
  const type = bytes[position + 4]
  if (type !== undefined && type !== controlType) {
    throw new Unreadable('type', `a record of type ${type} where a control record has to stand`)
  }
  if (left < recordHeaderBytes + 4) throw new Unreadable('incomplete', `only ${left} bytes are left`)

  const view = viewOf(bytes.subarray(position))
  const length = view.getUint32(9)
  if (length < commonBytes) throw new Unreadable('length', `length ${length}`)
  if (length > left - recordHeaderBytes - 4) {
    throw new Unreadable('incomplete', `length ${length}, but ${left - recordHeaderBytes - 4} bytes are left`)
  }

  const crc = view.getUint32(5)
  const payload = bytes.subarray(position + recordHeaderBytes, position + recordHeaderBytes + 4 + length)
  const computed = crc32(payload)
  if (crc !== computed) throw new Unreadable('crc', `CRC ${hex32(crc)}, but the payload's is ${hex32(computed)}`)

  const control: ControlRecord = {
    position,
    bytes: recordHeaderBytes + 4 + length,
    offset: view.getUint32(0),
    crc,
    length,
    kindNumber: view.getUint8(13),
    version: view.getUint8(14),
    flags: view.getUint16(15),
    salt: view.getBigUint64(17),
    previous: view.getUint32(25),
  }
  return { control, payload }
}

/** Bit 0 means something in a header and in a close; bit 15 only in kinds that this version doesn't know. */
function allowedFlags(kindNumber: number): number {
  if (kindNumber === 1 || kindNumber === 3) return 0x0001
  return kindNumber === 2 || kindNumber === 4 || kindNumber === 5 ? 0 : 0x8000
}

function readFields(bytes: Uint8Array, control: ControlRecord, fields: Fields, walk: Walk): ReferenceRecord {
  switch (control.kindNumber) {
    case 1:
      return readHeader(control, fields)
    case 2:
      return readCommit(bytes, control, fields, walk)
    case 3:
      return readClose(control, fields, walk)
    case 4:
      return readLowWater(control, fields, walk)
    case 5:
      return readDurable(control, fields, walk)
    default:
      return { ...control, kind: 'skipped', fields: fields.rest() }
  }
}

function readHeader(control: ControlRecord, fields: Fields): HeaderRecord {
  const record: HeaderRecord = {
    ...control,
    kind: 'header',
    logId: hex(fields.bytes(16)),
    segmentId: fields.u64('segment id'),
    previousId: fields.u64('previous segment id'),
    firstOffset: fields.u64('first offset'),
    lowWaterMark: fields.u64('low-water mark'),
    createdMs: fields.u64('created'),
  }
  fields.end()
  if (record.segmentId === 0) throw new Unreadable('fields', 'segment id 0')
  if (record.firstOffset === 0) throw new Unreadable('fields', 'first offset 0')
  if (record.lowWaterMark === 0) throw new Unreadable('fields', 'low-water mark 0')
  if (record.previousId >= record.segmentId) {
    throw new Unreadable('fields', `previous id ${record.previousId}, own id ${record.segmentId}`)
  }
  if (record.previousId === 0 && record.previous !== 0) {
    throw new Unreadable('chain', `previous ${hex32(record.previous)} without a segment before it`)
  }
  return record
}

function readCommit(bytes: Uint8Array, control: ControlRecord, fields: Fields, walk: Walk): CommitRecord {
  const firstOffset = fields.u64('first offset')
  const count = fields.u32()
  const bodyBytes = fields.u32()
  const headersCrc = fields.u32()
  const durableOffset = fields.u64('durable offset')
  const payloadLengths: number[] = []
  if (count === 0) throw new Unreadable('fields', 'a commit of no entries')
  for (let i = 0; i < count; i++) payloadLengths.push(fields.leb128())
  fields.end()

  if (firstOffset !== walk.nextOffset) {
    throw new Unreadable('fields', `first offset ${firstOffset}, but the next entry is ${walk.nextOffset}`)
  }
  if (firstOffset + count - 1 > Number.MAX_SAFE_INTEGER) throw new Unreadable('fields', 'an offset above 2^53 - 1')
  if (durableOffset >= firstOffset) {
    throw new Unreadable('fields', `durable offset ${durableOffset}, first offset ${firstOffset}`)
  }
  const sum = payloadLengths.reduce((total, length) => total + recordHeaderBytes + length, 0)
  if (bodyBytes !== sum) throw new Unreadable('fields', `body bytes ${bodyBytes}, but the lengths give ${sum}`)
  const bodyStart = control.position + control.bytes
  if (bodyBytes > bytes.length - bodyStart) {
    throw new Unreadable('incomplete', `body bytes ${bodyBytes}, but ${bytes.length - bodyStart} bytes are left`)
  }

  const entries: ReferenceEntry[] = []
  const headers = new Uint8Array(count * recordHeaderBytes)
  let position = bodyStart
  for (const [index, length] of payloadLengths.entries()) {
    headers.set(bytes.subarray(position, position + recordHeaderBytes), index * recordHeaderBytes)
    entries.push(readEntry(bytes, position, length, firstOffset + index))
    position += recordHeaderBytes + length
  }
  if (crc32(headers) !== headersCrc) {
    throw new Unreadable('headers-crc', `headers CRC ${hex32(headersCrc)}, the records give ${hex32(crc32(headers))}`)
  }
  return {
    ...control,
    kind: 'commit',
    firstOffset,
    count,
    bodyBytes,
    headersCrc,
    durableOffset,
    payloadLengths,
    entries,
  }
}

function readEntry(bytes: Uint8Array, position: number, length: number, offset: number): ReferenceEntry {
  const view = viewOf(bytes.subarray(position, position + recordHeaderBytes))
  const type = view.getUint8(4)
  const payload = bytes.slice(position + recordHeaderBytes, position + recordHeaderBytes + length)
  if (view.getUint32(0) !== offset % lowest32Bits) {
    throw new Unreadable('entry', `Offset ${view.getUint32(0)} at byte ${position}, not that of entry ${offset}`)
  }
  if (type === controlType) throw new Unreadable('entry', `entry ${offset} has the type of control records`)
  if (view.getUint32(5) !== crc32(payload)) throw new Unreadable('entry', `the CRC of entry ${offset} doesn't hold`)
  return { offset, type, payload, position }
}

function readClose(control: ControlRecord, fields: Fields, walk: Walk): CloseRecord {
  const lastOffset = fields.u64('last offset')
  const durableOffset = fields.u64('durable offset')
  fields.end()
  if (lastOffset !== walk.nextOffset - 1) {
    throw new Unreadable('fields', `last offset ${lastOffset}, but the next entry is ${walk.nextOffset}`)
  }
  if (durableOffset !== lastOffset) {
    throw new Unreadable('fields', `durable offset ${durableOffset}, last offset ${lastOffset}`)
  }
  return { ...control, kind: 'close', clean: (control.flags & 1) !== 0, lastOffset, durableOffset }
}

function readLowWater(control: ControlRecord, fields: Fields, walk: Walk): LowWaterRecord {
  const lowWaterMark = fields.u64('low-water mark')
  fields.end()
  if (lowWaterMark < walk.lowWaterMark) {
    throw new Unreadable('fields', `low-water mark ${lowWaterMark} behind ${walk.lowWaterMark}`)
  }
  return { ...control, kind: 'low-water', lowWaterMark }
}

function readDurable(control: ControlRecord, fields: Fields, walk: Walk): DurableRecord {
  const durableOffset = fields.u64('durable offset')
  fields.end()
  if (durableOffset >= walk.nextOffset) {
    throw new Unreadable('fields', `durable offset ${durableOffset}, but the next entry is ${walk.nextOffset}`)
  }
  return { ...control, kind: 'durable', durableOffset }
}

/** Takes the fields of a kind one after the other. */
class Fields {
  readonly #bytes: Uint8Array
  #position = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  bytes(count: number): Uint8Array {
    if (this.#position + count > this.#bytes.length) {
      throw new Unreadable('length', 'the record is shorter than its kind and count say')
    }
    this.#position += count
    return this.#bytes.slice(this.#position - count, this.#position)
  }

  u32(): number {
    return viewOf(this.bytes(4)).getUint32(0)
  }

  u64(name: string): number {
    const value = viewOf(this.bytes(8)).getBigUint64(0)
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new Unreadable('fields', `${name} ${value} is above 2^53 - 1`)
    return Number(value)
  }

  /** Unsigned, seven bits a byte, the lowest first; the last byte is not 0 unless it is the only one. */
  leb128(): number {
    let value = 0
    for (let index = 0; ; index++) {
      const byte = this.bytes(1)[0] as number
      value += (byte & 0x7f) * 2 ** (7 * index)
      if (value >= lowest32Bits) throw new Unreadable('lengths', 'a payload length of more than 32 bits')
      if (byte < 0x80) {
        if (byte === 0 && index > 0) throw new Unreadable('lengths', 'a payload length not in its shortest form')
        return value
      }
      if (index === 4) throw new Unreadable('lengths', 'a payload length of more than five bytes')
    }
  }

  rest(): Uint8Array {
    return this.bytes(this.#bytes.length - this.#position)
  }

  end(): void {
    if (this.#position !== this.#bytes.length) {
      throw new Unreadable('length', `${this.#bytes.length - this.#position} bytes more than its kind and count say`)
    }
  }
}

function mismatches(header: HeaderRecord, expectations: SegmentExpectations): string[] {
  return Object.entries(expectations).flatMap(([name, expected]) => {
    const found = header[name as keyof SegmentExpectations]
    return expected === undefined || found === expected ? [] : [`${name} is ${found}, expected ${String(expected)}`]
  })
}

// ── Reading a directory of format 2 ──────────────────────────────────────────────────────────────────────────────────

export interface DirectorySegment extends ReferenceSegment {
  name: string
  id: number
}

export interface ReferenceLog2 {
  /** The first entry that is still wanted; above `lastOffset` in a log without entries. */
  firstOffset: number
  lastOffset: number
  /** What the live segments hold and no cut took; those below the low-water mark that are still there too. */
  entries: ReferenceEntry[]
  /** The live segments, oldest first. */
  segments: DirectorySegment[]
  /** Names of the segments that opening would unlink. */
  dead: string[]
  clean: boolean
  lowWaterMark: number
  /** Whatever an undamaged log doesn't have; empty if it is one. */
  problems: string[]
}

/** A log as it must be when nobody has damaged it: the newest segment may lack its close record, nothing else. */
export function readDirectory2(files: ReadonlyMap<string, Uint8Array>): ReferenceLog2 {
  const problems: string[] = []
  const named = namedSegments(files, problems)
  const newest = named.at(-1)
  const nothing = { firstOffset: 1, lastOffset: 0, entries: [], segments: [], dead: [], lowWaterMark: 1, problems }
  if (newest === undefined) return { ...nothing, clean: true }
  const top = readNamed(newest, undefined, problems)
  if (top === undefined) return { ...nothing, clean: false }
  if (!top.zerosBehind) problems.push(`${top.name}: byte ${top.end}: ${top.stop.why}: ${top.stop.detail}`)

  const segments = walkBack(top, named, problems)
  const oldest = segments[0] ?? top
  const lastOffset = top.nextOffset - 1
  if (top.lowWaterMark > lastOffset + 1) {
    problems.push(`${top.name}: low-water mark ${top.lowWaterMark}, but the next entry is ${lastOffset + 1}`)
  }
  return {
    firstOffset: Math.max(top.lowWaterMark, oldest.header.firstOffset),
    lastOffset,
    entries: liveEntries(segments),
    segments,
    dead: deadSegments(named, segments, top.header.logId, problems),
    clean: top.closed === 'clean' && top.zerosBehind,
    lowWaterMark: top.lowWaterMark,
    problems,
  }
}

interface NamedSegment {
  name: string
  id: number
  firstOffset: number
  bytes: Uint8Array
}

type WholeSegment = DirectorySegment & { header: HeaderRecord }

/** The files that are segments by their names, oldest first. */
function namedSegments(files: ReadonlyMap<string, Uint8Array>, problems: string[]): NamedSegment[] {
  const named: NamedSegment[] = []
  for (const [name, bytes] of files) {
    if (!name.endsWith('.wal')) continue
    const match = /^(\d{10})-(\d{16})\.wal$/.exec(name)
    if (match === null) {
      problems.push(`${name}: a foreign file`)
      continue
    }
    named.push({ name, bytes, id: Number(match[1]), firstOffset: Number(match[2]) })
  }
  named.sort((a, b) => a.id - b.id)
  for (const [index, { name, id }] of named.entries()) {
    if (named[index + 1]?.id === id) problems.push(`${name}: the id stands twice`)
  }
  return named
}

function readNamed(
  { name, id, firstOffset, bytes }: NamedSegment,
  logId: string | undefined,
  problems: string[],
): WholeSegment | undefined {
  const expected: SegmentExpectations = { segmentId: id, firstOffset }
  if (logId !== undefined) expected.logId = logId
  const segment = readSegment2(bytes, expected)
  const { header } = segment
  if (header === undefined) {
    problems.push(`${name}: its header can't be read: ${segment.stop.why}: ${segment.stop.detail}`)
    return undefined
  }
  for (const mismatch of segment.mismatches) problems.push(`${name}: ${mismatch}`)
  return { ...segment, header, name, id }
}

/** From the newest back by `previous segment id` until one begins at or below the low-water mark. Oldest first. */
function walkBack(newest: WholeSegment, named: NamedSegment[], problems: string[]): WholeSegment[] {
  const live = [newest]
  for (let next = newest; next.header.firstOffset > newest.lowWaterMark; ) {
    const { previousId, firstOffset } = next.header
    if (previousId === 0) {
      problems.push(`${next.name}: begins at ${firstOffset}, above the low-water mark, and names no segment before it`)
      break
    }
    const found = named.find(({ id }) => id === previousId)
    if (found === undefined) {
      problems.push(`${next.name}: the segment before it, ${previousId}, is missing`)
      break
    }
    // Emptied to make room on a full disk: the log begins behind it.
    if (found.bytes.length === 0) break
    const before = readNamed(found, newest.header.logId, problems)
    if (before === undefined) break
    checkJoint(before, next, problems)
    live.unshift(before)
    next = before
  }
  return live
}

/** That `next` goes on where `before` ends, or cuts it off. */
function checkJoint(before: WholeSegment, next: WholeSegment, problems: string[]): void {
  const complain = (what: string): void => {
    problems.push(`${before.name} and ${next.name}: ${what}`)
  }
  if (before.closed === 'no') complain('the older one has no close record at its end')
  if (!before.zerosBehind) complain(`byte ${before.end} of the older one: ${before.stop.why}: ${before.stop.detail}`)
  if (next.header.previous !== before.lastCrc) {
    complain(`previous is ${hex32(next.header.previous)}, the last control record has ${hex32(before.lastCrc)}`)
  }

  const { firstOffset, lowWaterMark } = next.header
  if (cutsOff(next)) {
    if (firstOffset <= before.header.firstOffset || firstOffset > before.nextOffset) {
      complain(`the cut, ${firstOffset - 1}, is not in ${before.header.firstOffset}…${before.nextOffset - 1}`)
    }
    // The newest mark may have been in a segment that the cut took away.
    if (lowWaterMark < before.lowWaterMark) complain('the low-water mark goes back')
  } else {
    if (firstOffset !== before.nextOffset) {
      complain(`the newer one begins at ${firstOffset}, the older one ends at ${before.nextOffset - 1}`)
    }
    if (lowWaterMark !== before.lowWaterMark) complain("the header doesn't carry the newest low-water mark")
  }
}

function cutsOff(segment: WholeSegment): boolean {
  return (segment.header.flags & 1) !== 0
}

function liveEntries(segments: WholeSegment[]): ReferenceEntry[] {
  return segments.flatMap(({ entries }, index) => {
    const next = segments[index + 1]
    return next === undefined ? entries : entries.filter(({ offset }) => offset < next.header.firstOffset)
  })
}

function deadSegments(
  named: NamedSegment[],
  live: WholeSegment[],
  logId: string,
  problems: string[],
): string[] {
  const rest = named.filter(({ name }) => !live.some((segment) => segment.name === name))
  for (const dead of rest) {
    // An emptied segment has no header; it is in front of the live ones.
    const isEmptied = dead.bytes.length === 0 && live.every(({ id }) => dead.id < id)
    if (!isEmptied) readNamed(dead, logId, problems)
  }
  return rest.map(({ name }) => name)
}

// ── Reading a directory of format 1 ──────────────────────────────────────────────────────────────────────────────────

/**
 * How many bytes the payload of an entry of this type takes, given everything that the file holds behind the record's
 * header; `undefined` if the type is unknown or the payload runs past the end.
 */
export type Frame = (type: number, rest: Uint8Array) => number | undefined

export interface SegmentEntry extends ReferenceEntry {
  segment: string
}

export interface ReferenceSegment1 {
  name: string
  id: number
  /** T: the first byte that can't be read as the next record. */
  end: number
  why: 'end' | 'zeros' | 'unframed' | 'crc' | 'offset'
  zerosBehind: boolean
}

export interface ReferenceLog1 {
  /** The offset of the first entry; 1 in a log without entries. */
  firstOffset: number
  lastOffset: number
  entries: SegmentEntry[]
  /** Oldest first; the walk ends at the first one that has something behind its T. */
  segments: ReferenceSegment1[]
  problems: string[]
}

export function readDirectory1(files: ReadonlyMap<string, Uint8Array>, frame: Frame): ReferenceLog1 {
  const problems: string[] = []
  const named: { name: string; id: number; bytes: Uint8Array }[] = []
  for (const [name, bytes] of files) {
    if (!name.endsWith('.wal')) continue
    if (/^[1-9]\d*\.wal$/.test(name)) named.push({ name, id: Number(name.slice(0, -4)), bytes })
    else problems.push(`${name}: a foreign file`)
  }
  named.sort((a, b) => a.id - b.id)

  const entries: SegmentEntry[] = []
  const segments: ReferenceSegment1[] = []
  for (const [index, { name, id, bytes }] of named.entries()) {
    const isNewest = index === named.length - 1
    const { end, why } = readSegment1(bytes, name, id, frame, entries)
    const zerosBehind = onlyZeros(bytes, end)
    segments.push({ name, id, end, why: zerosBehind ? (end === bytes.length ? 'end' : 'zeros') : why, zerosBehind })
    if (!isNewest && end !== bytes.length) problems.push(`${name}: byte ${end}: ${why}, and it is not the newest`)
    else if (!zerosBehind) problems.push(`${name}: byte ${end}: ${why}`)
    if (!zerosBehind) break
  }
  return {
    firstOffset: entries[0]?.offset ?? 1,
    lastOffset: entries.at(-1)?.offset ?? 0,
    entries,
    segments,
    problems,
  }
}

/** Appends the segment's entries to `entries`. */
function readSegment1(
  bytes: Uint8Array,
  segment: string,
  id: number,
  frame: Frame,
  entries: SegmentEntry[],
): { end: number; why: ReferenceSegment1['why'] } {
  let position = 0
  while (position < bytes.length) {
    const last = entries.at(-1)
    const left = bytes.length - position
    if (left < recordHeaderBytes) return { end: position, why: 'unframed' }
    const view = viewOf(bytes.subarray(position, position + recordHeaderBytes))
    const offset = view.getUint32(0)
    const type = view.getUint8(4)
    // Entries begin at 1; where segments were removed from the front, at what the oldest one that is left begins with.
    const fits = last !== undefined ? offset === last.offset + 1 : id === 1 ? offset === 1 : offset > 0
    if (!fits) return { end: position, why: 'offset' }
    const length = frame(type, bytes.subarray(position + recordHeaderBytes))
    if (length === undefined || length > left - recordHeaderBytes) return { end: position, why: 'unframed' }
    const payload = bytes.slice(position + recordHeaderBytes, position + recordHeaderBytes + length)
    if (crc32(payload) !== view.getUint32(5)) return { end: position, why: 'crc' }
    entries.push({ offset, type, payload, position, segment })
    position += recordHeaderBytes + length
  }
  return { end: position, why: 'end' }
}

// ── Bytes ────────────────────────────────────────────────────────────────────────────────────────────────────────────

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function onlyZeros(bytes: Uint8Array, from: number): boolean {
  for (let index = from; index < bytes.length; index++) if (bytes[index] !== 0) return false
  return true
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

function hex32(value: number): string {
  return value.toString(16).padStart(8, '0')
}
