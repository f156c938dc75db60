/**
 * The records of a group, checked or sealed many at a time: the innermost loops of reading and of writing.
 *
 * Three ways lead to the same bytes:
 *
 * - the WebAssembly kernel (assembly/kernel.ts), for small payloads. It works on a copy of 256 KiB at the most in a memory
 *   of its own, which never grows, so that no view of it is ever detached, and nothing that is handed out lies in it. The
 *   copy costs a fraction of what the checksum does;
 * - zlib, for large payloads, where they lie;
 * - plain TypeScript, where an interpreter has no WebAssembly, and as what the kernel is tested against.
 *
 * bench/micro/checksum.ts measures all three.
 */
import { crc32 } from './checksum.js'
import { kernelModule } from './kernel-module.js'
import { controlType, lowHalf, readU32, recordHeaderBytes, type RecordRun, writeU32 } from './record.js'

/** Payload lengths of records that stand one behind the other. */
export type Lengths = ArrayLike<number>

/** What is found out on the way through records that hold. */
export interface Verified {
  /** CRC of their headers, in order. */
  readonly headersCrc: number
  /** All payload bytes are known to be below 128. */
  readonly ascii: boolean
}

/** Groups that stand one behind the other, each of them a commit that is whole and fits, and its records. */
export interface Stride {
  /** Bytes of all of them. */
  readonly bytes: number
  /** Offset of the entry behind them. */
  readonly nextOffset: number
  /** CRC field of the last commit. */
  readonly previous: number
  /** Of each group: its place behind the first one's, `previous` of its commit, its count, and its durable offset, high half first. */
  readonly groups: Uint32Array
  /** The records of the groups that reach beyond `from`: of those the place of each behind the first group's, and its payload bytes. */
  readonly starts: Uint32Array
  readonly lengths: Uint32Array
  /** All payload bytes of those are known to be below 128. */
  readonly ascii: boolean
}

/** Numbers in `groups` of a stride for each group. */
export const numbersPerGroup = 5

/** What the first group of a stride must fit, and what of it is wanted. */
export interface StrideRequest {
  readonly nextOffset: number
  /** As hexadecimal digits. */
  readonly salt: string
  readonly previous: number
  /** Groups that end below it are passed over, their records unread. */
  readonly from: number
  /** Groups that begin behind it are not looked at. */
  readonly last: number
}

/** Payloads that stand one behind the other as one text: text `n` ends in front of unit `ends[n]`, where the next one begins. */
export interface Texts {
  readonly text: string
  readonly ends: Uint32Array
  /** Where the next one is not valid UTF-8. */
  readonly stopped: boolean
}

/** Payloads that stand one behind the other as the elements of one list of JSON: if it is valid and has `count` elements. */
export interface List {
  readonly text: string
  readonly count: number
}

/** Bytes that a stride takes at the most. */
export const strideBytesMost: number = 64 * 1024

export interface RecordKernel {
  /**
   * As many commits with their records as stand in the `available` bytes at `at` and are what they must be. It stops in front of anything
   * else, and says nothing of it; undefined where there is none. Absent: no faster than group by group.
   */
  walk?(bytes: Uint8Array, at: number, available: number, request: StrideRequest): Stride | undefined
  /**
   * Checks the records at `at`: their offsets, from `firstOffset` on, their types, which are not that of control records, and the
   * CRCs of their payloads. Undefined when one of them does not hold. `crcBefore` is that of the headers in front of them.
   */
  verify(bytes: Uint8Array, at: number, lengths: Lengths, count: number, firstOffset: number, crcBefore?: number): Verified | undefined
  /**
   * The texts of payloads of a run, from the one with this index on, which begins at `from`: of those that lie within `mostBytes`, but of
   * one at least. It stops in front of one that is not valid UTF-8. Undefined where that is the first one, or it is too large. Absent: no
   * faster than text by text.
   */
  texts?(run: RecordRun, index: number, from: number, mostBytes: number): Texts | undefined
  /**
   * The same of payloads that may be JSON: those of `type` as one list, of which none but itself makes an element (assembly/kernel.ts says
   * why). It stops in front of one that is of another type, not ASCII, or no such element for sure. Undefined where that is the first one.
   * Absent: no faster than text by text.
   */
  list?(run: RecordRun, index: number, from: number, type: number, mostBytes: number): List | undefined
  /** Fills in the headers of records whose types and payloads are there; the CRC of the headers. */
  seal(bytes: Uint8Array, at: number, lengths: Lengths, count: number, firstOffset: number): number
}

/** From this size on zlib reads a payload faster where it lies than the kernel does from its copy. */
const largePayloadBytes = 1024
/** Below this the way into the kernel costs more than what it saves. */
const smallRunBytes = 160

export const plainKernel: RecordKernel = {
  verify(bytes, at, lengths, count, firstOffset, crcBefore = 0) {
    const headersCrc = verifyPlain(bytes, at, lengths, 0, count, firstOffset, crcBefore)
    return headersCrc === undefined ? undefined : { headersCrc, ascii: false }
  },
  seal: (bytes, at, lengths, count, firstOffset) => sealPlain(bytes, at, lengths, 0, count, firstOffset, 0),
}

function verifyPlain(bytes: Uint8Array, from: number, lengths: Lengths, first: number, end: number, firstOffset: number, crcBefore: number): number | undefined {
  let headersCrc = crcBefore
  let at = from
  for (let index = first; index < end; index++) {
    const payload = at + recordHeaderBytes
    const behind = payload + (lengths[index] as number)
    if (readU32(bytes, at) !== lowHalf(firstOffset + index) || bytes[at + 4] === controlType) return undefined
    if (crc32(bytes, payload, behind) !== readU32(bytes, at + 5)) return undefined
    headersCrc = crc32(bytes, at, payload, headersCrc)
    at = behind
  }
  return headersCrc
}

function sealPlain(bytes: Uint8Array, from: number, lengths: Lengths, first: number, end: number, firstOffset: number, crcBefore: number): number {
  let headersCrc = crcBefore
  let at = from
  for (let index = first; index < end; index++) {
    const payload = at + recordHeaderBytes
    const behind = payload + (lengths[index] as number)
    writeU32(bytes, at, lowHalf(firstOffset + index))
    writeU32(bytes, at + 5, crc32(bytes, payload, behind))
    headersCrc = crc32(bytes, at, payload, headersCrc)
    at = behind
  }
  return headersCrc
}

interface KernelExports {
  readonly memory: { readonly buffer: ArrayBuffer }
  readonly lengthsAt: { readonly value: number }
  readonly lengthsMost: { readonly value: number }
  readonly startsAt: { readonly value: number }
  readonly groupsAt: { readonly value: number }
  readonly walkRecordsMost: { readonly value: number }
  readonly walkGroupsMost: { readonly value: number }
  readonly stagingAt: { readonly value: number }
  readonly stagingBytes: { readonly value: number }
  readonly headersCrc: { readonly value: number }
  readonly ascii: { readonly value: number }
  readonly walkedBytes: { readonly value: number }
  readonly walkedRecords: { readonly value: number }
  readonly walkedPrevious: { readonly value: number }
  walk(
    bytes: number,
    nextHigh: number,
    nextLow: number,
    saltHigh: number,
    saltLow: number,
    previous: number,
    fromHigh: number,
    fromLow: number,
    lastHigh: number,
    lastLow: number,
  ): number
  readonly textsAt: { readonly value: number }
  readonly textBytesMost: { readonly value: number }
  readonly wide: { readonly value: number }
  decode(count: number, inTwo: number): number
  readonly listedBytes: { readonly value: number }
  list(count: number, type: number): number
  verify(count: number, lowOffset: number, crcBefore: number): number
  seal(count: number, lowOffset: number, crcBefore: number): void
}

/** As much of the WebAssembly interface as is used: the types of Node.js leave it out. */
interface WebAssemblyHost {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object) => { readonly exports: unknown }
}

/** The kernel in WebAssembly; undefined where there is none, or it may not be used. */
export function instantiateKernel(host: unknown = (globalThis as { WebAssembly?: unknown }).WebAssembly): RecordKernel | undefined {
  if (host === undefined) return undefined
  try {
    const { Module, Instance } = host as WebAssemblyHost
    // Synchronous: the module has a few hundred bytes of code, and takes less than a millisecond.
    return new WasmKernel(new Instance(new Module(Buffer.from(kernelModule, 'base64'))).exports as KernelExports)
  } catch {
    // An interpreter may have WebAssembly and forbid it, as `--jitless` does. The plain kernel gives the same bytes.
    return undefined
  }
}

class WasmKernel implements RecordKernel {
  readonly #exports: KernelExports
  readonly #lengths: Uint32Array
  readonly #staging: Uint8Array
  readonly #starts: Uint32Array
  readonly #groups: Uint32Array
  readonly #texts: Buffer
  readonly #textBytesMost: number

  constructor(exports: KernelExports) {
    this.#exports = exports
    const { memory, lengthsAt, lengthsMost, stagingAt, stagingBytes, startsAt, groupsAt, walkRecordsMost, walkGroupsMost } = exports
    this.#textBytesMost = exports.textBytesMost.value
    // Twice as much: in UTF-16 a byte may become two.
    this.#texts = Buffer.from(memory.buffer, exports.textsAt.value, 2 * this.#textBytesMost)
    this.#starts = new Uint32Array(memory.buffer, startsAt.value, walkRecordsMost.value)
    this.#groups = new Uint32Array(memory.buffer, groupsAt.value, walkGroupsMost.value * numbersPerGroup)
    this.#lengths = new Uint32Array(memory.buffer, lengthsAt.value, lengthsMost.value)
    this.#staging = new Uint8Array(memory.buffer, stagingAt.value, stagingBytes.value)
  }

  verify(bytes: Uint8Array, at: number, lengths: Lengths, count: number, firstOffset: number, crcBefore = 0): Verified | undefined {
    let headersCrc = crcBefore
    let ascii = true
    for (let index = 0, position = at; index < count; ) {
      const piece = this.#stage(bytes, position, lengths, index, count)
      if (piece.count === 0) {
        const from = index
        const start = position
        do position += recordHeaderBytes + (lengths[index++] as number)
        while (index < count && (lengths[index] as number) >= largePayloadBytes)
        const crc = verifyPlain(bytes, start, lengths, from, index, firstOffset, headersCrc)
        if (crc === undefined) return undefined
        headersCrc = crc
        ascii = false
        continue
      }
      if (this.#exports.verify(piece.count, (firstOffset + index) | 0, headersCrc) !== piece.count) return undefined
      headersCrc = this.#exports.headersCrc.value >>> 0
      if (this.#exports.ascii.value === 0) ascii = false
      position += piece.bytes
      index += piece.count
    }
    return { headersCrc, ascii }
  }

  seal(bytes: Uint8Array, at: number, lengths: Lengths, count: number, firstOffset: number): number {
    let headersCrc = 0
    for (let index = 0, position = at; index < count; ) {
      const piece = this.#stage(bytes, position, lengths, index, count)
      if (piece.count === 0) {
        headersCrc = sealPlain(bytes, position, lengths, index, index + 1, firstOffset, headersCrc)
        position += recordHeaderBytes + (lengths[index] as number)
        index++
        continue
      }
      this.#exports.seal(piece.count, (firstOffset + index) | 0, headersCrc)
      headersCrc = this.#exports.headersCrc.value >>> 0
      bytes.set(this.#staging.subarray(0, piece.bytes), position)
      position += piece.bytes
      index += piece.count
    }
    return headersCrc
  }

  walk(bytes: Uint8Array, at: number, available: number, { nextOffset, salt, previous, from, last }: StrideRequest): Stride | undefined {
    const staged = Math.min(available, strideBytesMost)
    this.#staging.set(bytes.subarray(at, at + staged))
    const exports = this.#exports
    const count = exports.walk(
      staged,
      highHalf(nextOffset),
      nextOffset | 0,
      Number.parseInt(salt.slice(0, 8), 16) | 0,
      Number.parseInt(salt.slice(8), 16) | 0,
      previous | 0,
      highHalf(from),
      from | 0,
      highHalf(last),
      last | 0,
    )
    if (count === 0) return undefined
    const records = exports.walkedRecords.value
    let entries = 0
    for (let index = 2; index < count * numbersPerGroup; index += numbersPerGroup) entries += this.#groups[index] as number
    // Copies: the kernel's memory serves whoever comes next.
    return {
      bytes: exports.walkedBytes.value,
      nextOffset: nextOffset + entries,
      previous: exports.walkedPrevious.value >>> 0,
      groups: this.#groups.slice(0, count * numbersPerGroup),
      starts: this.#starts.slice(0, records),
      lengths: this.#lengths.slice(0, records),
      ascii: exports.ascii.value === 1,
    }
  }

  texts(run: RecordRun, index: number, from: number, mostBytes: number): Texts | undefined {
    const count = this.#stagePayloads(run, index, from, Math.min(mostBytes, this.#textBytesMost))
    if (count === 0) return undefined
    const exports = this.#exports
    let decoded = exports.decode(count, 0)
    const inTwo = exports.wide.value === 1
    if (inTwo) {
      // Those in front of where it stopped have ends for lengths by now.
      this.#stagePayloads(run, index, from, Math.min(mostBytes, this.#textBytesMost))
      decoded = exports.decode(count, 1)
    }
    if (decoded === 0) return undefined
    const ends = this.#lengths.slice(0, decoded)
    const units = ends[decoded - 1] as number
    return { text: inTwo ? this.#texts.toString('utf16le', 0, 2 * units) : this.#texts.toString('latin1', 0, units), ends, stopped: decoded < count }
  }

  list(run: RecordRun, index: number, from: number, type: number, mostBytes: number): List | undefined {
    const exports = this.#exports
    const count = exports.list(this.#stagePayloads(run, index, from, Math.min(mostBytes, this.#textBytesMost)), type)
    if (count === 0) return undefined
    const end = exports.listedBytes.value
    // In place of the comma behind the last one.
    this.#texts[end - 1] = 0x5d
    return { text: this.#texts.toString('latin1', 0, end), count }
  }

  /** Copies the next payloads in, with what is between them, and says where they are; how many. */
  #stagePayloads({ bytes, at, starts, lengths }: RecordRun, first: number, from: number, mostBytes: number): number {
    const most = Math.min(lengths.length, first + this.#starts.length)
    let index = first
    let payload = from
    let end = from
    for (; index < most; index++) {
      if (starts !== undefined) payload = at + (starts[index] as number) + recordHeaderBytes
      const behind = payload + (lengths[index] as number)
      if (behind - from > (index === first ? this.#textBytesMost : mostBytes)) break
      this.#starts[index - first] = payload - from
      this.#lengths[index - first] = lengths[index] as number
      end = behind
      payload = behind + recordHeaderBytes
    }
    this.#staging.set(bytes.subarray(from, end))
    return index - first
  }

  /** Copies the next records in, as many as fit before a large one; none where plain code is faster. */
  #stage(bytes: Uint8Array, at: number, lengths: Lengths, from: number, end: number): { readonly count: number; readonly bytes: number } {
    const room = this.#staging.length
    const most = Math.min(end, from + this.#lengths.length)
    let pieceBytes = 0
    let index = from
    for (; index < most; index++) {
      const length = lengths[index] as number
      if (length >= largePayloadBytes || pieceBytes + recordHeaderBytes + length > room) break
      this.#lengths[index - from] = length
      pieceBytes += recordHeaderBytes + length
    }
    if (pieceBytes < smallRunBytes) return { count: 0, bytes: 0 }
    this.#staging.set(bytes.subarray(at, at + pieceBytes))
    return { count: index - from, bytes: pieceBytes }
  }
}

function highHalf(offset: number): number {
  return Math.floor(offset / 0x1_0000_0000) | 0
}

let chosen: RecordKernel | undefined

/** The fastest kernel that this interpreter runs, made at the first call. */
export function recordKernel(): RecordKernel {
  chosen ??= instantiateKernel() ?? plainKernel
  return chosen
}
