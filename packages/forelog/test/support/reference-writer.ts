// A second writer of the on-disk formats, for tests alone: builds any segment byte by byte, well-formed or not. It was
// written from docs/FORMAT.md and shares no code with the library. What isn't overridden is as the format wants it.

import { crc32 } from './reference-reader.js'

const controlType = 255
const formatVersion = 2

export const kinds = { header: 1, commit: 2, close: 3, lowWater: 4, durable: 5 } as const

/** Flags of a control record: may be skipped by who doesn't know its kind. */
export const skippable = 0x8000

export interface SegmentFields {
  /** 32 hexadecimal digits. */
  logId: string
  segmentId: number
  /** 0: none. */
  previousId: number
  firstOffset: number
  lowWaterMark: number
  createdMs: number
  salt: bigint
  /** The CRC field of the last control record of the segment before it; 0 if there is none. */
  previous: number
  /** Whether it cuts off what the segment before it holds at or above `firstOffset`. */
  cut?: boolean
}

/** What any control record can be made to say. Whatever is left out is right for what is put in. */
export interface ControlOverrides {
  /** The field Offset: its low 32 bits are written. */
  offset?: number
  type?: number
  crc?: number
  length?: number
  kind?: number
  version?: number
  flags?: number
  salt?: bigint
  previous?: number
  /** Stands in place of all fields of the kind. */
  fields?: Uint8Array
  /** Stands behind the fields of the kind, and `length` counts it. */
  extra?: Uint8Array
}

export interface HeaderOverrides extends ControlOverrides {
  logId?: string
  segmentId?: number
  previousId?: number
  firstOffset?: number
  lowWaterMark?: number
  createdMs?: number
}

export interface CommitOverrides extends ControlOverrides {
  firstOffset?: number
  count?: number
  bodyBytes?: number
  headersCrc?: number
  /** By default that of the entry before the group, as if each group had waited for the one before it. */
  durableOffset?: number
  /** The encoded payload lengths, in place of the right ones. */
  lengths?: Uint8Array
  /** The records of the entries, in place of the right ones; nothing else in the commit changes with it. */
  body?: Uint8Array
}

export interface CloseOverrides extends ControlOverrides {
  lastOffset?: number
  durableOffset?: number
}

export interface EntryToWrite {
  type: number
  payload: Uint8Array
  /** Overrides of the record's own header. The headers CRC of the commit covers what is written. */
  offset?: number
  crc?: number
}

export class SegmentBuilder {
  /** The offset of the next entry. Assign to it to go on somewhere else. */
  nextOffset: number
  /** The CRC field of the last control record, which the next one repeats. Assign to it to break the chain. */
  lastCrc: number
  /** The newest low-water mark. */
  lowWaterMark: number

  readonly #segment: SegmentFields
  #bytes: Uint8Array = new Uint8Array(0)

  constructor(segment: SegmentFields, overrides: HeaderOverrides = {}) {
    this.#segment = segment
    this.nextOffset = segment.firstOffset
    this.lastCrc = segment.previous
    this.lowWaterMark = segment.lowWaterMark
    const fields = concat(
      fromHex(overrides.logId ?? segment.logId),
      u64(overrides.segmentId ?? segment.segmentId),
      u64(overrides.previousId ?? segment.previousId),
      u64(overrides.firstOffset ?? segment.firstOffset),
      u64(overrides.lowWaterMark ?? segment.lowWaterMark),
      u64(overrides.createdMs ?? segment.createdMs),
    )
    this.control(kinds.header, fields, { flags: segment.cut === true ? 1 : 0, ...overrides })
  }

  /** How many bytes there are so far: the position of what comes next. */
  get length(): number {
    return this.#bytes.length
  }

  commit(entries: EntryToWrite[], overrides: CommitOverrides = {}): this {
    const firstOffset = overrides.firstOffset ?? this.nextOffset
    const records = entries.map(({ type, payload, offset, crc }, index) =>
      entryRecord(offset ?? this.nextOffset + index, type, payload, crc),
    )
    const headers = concat(...records.map((record) => record.subarray(0, 9)))
    const body = concat(...records)
    const fields = concat(
      u64(firstOffset),
      u32(overrides.count ?? entries.length),
      u32(overrides.bodyBytes ?? body.length),
      u32(overrides.headersCrc ?? crc32(headers)),
      u64(overrides.durableOffset ?? Math.max(0, firstOffset - 1)),
      overrides.lengths ?? concat(...entries.map(({ payload }) => leb128(payload.length))),
    )
    this.control(kinds.commit, fields, overrides)
    this.nextOffset += entries.length
    return this.raw(overrides.body ?? body)
  }

  close(clean: boolean, overrides: CloseOverrides = {}): this {
    const lastOffset = overrides.lastOffset ?? this.nextOffset - 1
    const fields = concat(u64(lastOffset), u64(overrides.durableOffset ?? lastOffset))
    return this.control(kinds.close, fields, { flags: clean ? 1 : 0, ...overrides })
  }

  lowWater(offset: number, overrides: ControlOverrides = {}): this {
    this.lowWaterMark = offset
    return this.control(kinds.lowWater, u64(offset), overrides)
  }

  durable(offset: number = this.nextOffset - 1, overrides: ControlOverrides = {}): this {
    return this.control(kinds.durable, u64(offset), overrides)
  }

  /** A control record of any kind. */
  control(kind: number, fields: Uint8Array, overrides: ControlOverrides = {}): this {
    const behindLength = concat(
      Uint8Array.of(overrides.kind ?? kind, overrides.version ?? formatVersion),
      u16(overrides.flags ?? 0),
      u64(overrides.salt ?? this.#segment.salt),
      u32(overrides.previous ?? this.lastCrc),
      overrides.fields ?? fields,
      overrides.extra ?? new Uint8Array(0),
    )
    const payload = concat(u32(overrides.length ?? behindLength.length), behindLength)
    const crc = overrides.crc ?? crc32(payload)
    this.raw(entryRecord(overrides.offset ?? this.nextOffset, overrides.type ?? controlType, payload, crc))
    this.lastCrc = crc
    return this
  }

  raw(bytes: Uint8Array): this {
    this.#bytes = concat(this.#bytes, bytes)
    return this
  }

  zeros(count: number): this {
    return this.raw(new Uint8Array(count))
  }

  bytes(): Uint8Array {
    return this.#bytes.slice()
  }

  name(): string {
    return segmentName(this.#segment.segmentId, this.#segment.firstOffset)
  }

  /** The segment that comes after this one, which has been closed: the next id, another salt, the rest carried on. */
  next(changes: Partial<SegmentFields> = {}, overrides: HeaderOverrides = {}): SegmentBuilder {
    const following: SegmentFields = {
      logId: this.#segment.logId,
      segmentId: this.#segment.segmentId + 1,
      previousId: this.#segment.segmentId,
      firstOffset: this.nextOffset,
      lowWaterMark: this.lowWaterMark,
      createdMs: this.#segment.createdMs + 1,
      salt: BigInt.asUintN(64, this.#segment.salt * 6364136223846793005n + 1442695040888963407n),
      previous: this.lastCrc,
    }
    return new SegmentBuilder({ ...following, ...changes }, overrides)
  }

  /** The segment that cuts the log behind entry `cut`, which this one, closed, holds. */
  cutAfter(cut: number, changes: Partial<SegmentFields> = {}): SegmentBuilder {
    return this.next({ firstOffset: cut + 1, cut: true, ...changes })
  }
}

/** The files of a log, by name. */
export function filesOf(...segments: SegmentBuilder[]): Map<string, Uint8Array> {
  return new Map(segments.map((segment) => [segment.name(), segment.bytes()]))
}

export function segmentName(segmentId: number, firstOffset: number): string {
  return `${String(segmentId).padStart(10, '0')}-${String(firstOffset).padStart(16, '0')}.wal`
}

/** A record of either format; format 1 is nothing but these. */
export function entryRecord(offset: number, type: number, payload: Uint8Array, crc = crc32(payload)): Uint8Array {
  return concat(u32(offset % 2 ** 32), Uint8Array.of(type), u32(crc), payload)
}

// ── Damage: all of these give copies ─────────────────────────────────────────────────────────────────────────────────

/** Bit 0 is the lowest of the byte. */
export function flipBit(bytes: Uint8Array, position: number, bit: number): Uint8Array {
  if (position < 0 || position >= bytes.length) throw new RangeError(`byte ${position} of ${bytes.length}`)
  const copy = bytes.slice()
  copy[position] = (copy[position] as number) ^ (1 << bit)
  return copy
}

/** The first `length` bytes. */
export function cutTo(bytes: Uint8Array, length: number): Uint8Array {
  if (length > bytes.length) throw new RangeError(`${length} bytes of ${bytes.length}`)
  return bytes.slice(0, length)
}

/** As if the write of sector `index`, 512 bytes counted from the start of the file, had been lost. */
export function zeroSector(bytes: Uint8Array, index: number): Uint8Array {
  if (index * 512 >= bytes.length) throw new RangeError(`sector ${index} of ${Math.ceil(bytes.length / 512)}`)
  return bytes.slice().fill(0, index * 512, (index + 1) * 512)
}

// ── Bytes ────────────────────────────────────────────────────────────────────────────────────────────────────────────

export function concat(...parts: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let position = 0
  for (const part of parts) {
    whole.set(part, position)
    position += part.length
  }
  return whole
}

/** Unsigned, seven bits a byte, the lowest first. With `bytes` above what is needed it is not in its shortest form. */
export function leb128(value: number, bytes = 1): Uint8Array {
  const encoded: number[] = []
  for (let rest = value; rest > 0 || encoded.length < bytes; rest = Math.floor(rest / 128)) encoded.push(rest % 128)
  return Uint8Array.from(encoded, (byte, index) => (index < encoded.length - 1 ? byte | 0x80 : byte))
}

export function u16(value: number): Uint8Array {
  const bytes = new Uint8Array(2)
  new DataView(bytes.buffer).setUint16(0, value)
  return bytes
}

export function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value)
  return bytes
}

export function u64(value: number | bigint): Uint8Array {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value))
  return bytes
}

export function fromHex(text: string): Uint8Array {
  if (!/^([0-9a-f]{2})*$/.test(text)) throw new RangeError(`not hexadecimal: ${text}`)
  return Uint8Array.from(Buffer.from(text, 'hex'))
}
