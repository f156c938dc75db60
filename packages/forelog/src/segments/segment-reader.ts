/**
 * Reads one segment file entry by entry, for tools: finding an entry and decoding it are separate steps, so that a
 * segment can be walked without a look at what it holds.
 */
import { resolve } from 'node:path'
import type { EntryOf, EntrySource } from '../entries/define-entries.js'
import type { EntryAdapter } from '../entries/entry.js'
import { adapterFor } from '../entries/entry-adapter.js'
import type { RawSource } from '../entries/raw-entries.js'
import { WalError } from '../errors.js'
import { DurableFile } from '../files/durable-file.js'
import type { FileSystem } from '../files/file-system.js'
import { nodeFileSystem } from '../files/node-file-system.js'
import { checkNames } from '../options.js'
import { crc32 } from '../format/checksum.js'
import { type Commit, readSegmentHeader, segmentHeaderBytes } from '../format/control-record.js'
import { frameRecord } from '../format/framed-record.js'
import { type Format, readU32, recordHeaderBytes } from '../format/record.js'
import { runPooled, type Steps } from '../steps.js'
import { FileWindow } from './file-window.js'
import { GroupWalker } from './group-walker.js'
import { damage, lastNonZero } from './segment-cursor.js'

export interface SegmentReaderOptions<S extends EntrySource = RawSource> {
  /** What the segment holds. Default: raw bytes, which only format 2 can be read as. */
  entries?: S
  fileSystem?: FileSystem
}

interface Place {
  readonly offset: number
  readonly type: number
  readonly crc: number
  /** Position of the record's header in the file. */
  readonly position: number
  readonly length: number
}

/**
 * Reads a segment file of either format.
 *
 * @example
 * ```ts
 * const reader = await SegmentReader.open('./data/orders/0000000001-0000000000000001.wal', { entries })
 * while (await reader.readNext()) console.log(reader.offset, reader.type, reader.decode())
 * await reader.close()
 * ```
 */
export class SegmentReader<out E = unknown> implements AsyncDisposable, AsyncIterable<{ readonly offset: number; readonly entry: E }> {
  /** 1 or 2, as the file's first record says. */
  readonly format: Format
  readonly path: string
  readonly #file: DurableFile
  readonly #window: FileWindow
  readonly #adapter: EntryAdapter
  readonly #walker: GroupWalker | undefined
  /** Where the next record begins. */
  #position: number
  /** Format 2: what is left of the group that is read. */
  #group: { readonly firstOffset: number; readonly lengths: ArrayLike<number>; index: number } | undefined
  #current: Place | undefined
  #closed = false

  private constructor(file: DurableFile, window: FileWindow, adapter: EntryAdapter, walker: GroupWalker | undefined) {
    if ((file as DurableFile | undefined)?.path === undefined) {
      throw new WalError('ERR_WAL_OPTION', 'a reader of a segment is not made by new: open it with await SegmentReader.open(path, options)')
    }
    this.path = file.path
    this.format = walker === undefined ? 1 : 2
    this.#file = file
    this.#window = window
    this.#adapter = adapter
    this.#walker = walker
    this.#position = walker?.position ?? 0
  }

  /**
   * Opens a segment file for reading. Nothing is locked or changed. Rejects with `ERR_WAL_READ_FAILED`, and with `ERR_WAL_OPTION` when
   * the file is of format 1 and `entries` can't frame its records.
   */
  static async open<S extends EntrySource = RawSource>(path: string, options: SegmentReaderOptions<S> = {}): Promise<SegmentReader<EntryOf<S>>> {
    checkNames('SegmentReader.open', options, { entries: true, fileSystem: true })
    const adapter = adapterFor(options.entries)
    const file = await runPooled(DurableFile.open(options.fileSystem ?? nodeFileSystem, resolve(path), { access: 'read' }))
    try {
      const window = new FileWindow(file, await runPooled(file.size()))
      const loaded = await runPooled(window.load(0, segmentHeaderBytes))
      const result = readSegmentHeader(window.bytes.subarray(0, loaded), window.fileBytes)
      if (result.found === 'header') {
        const { header, frame } = result
        const expected = { nextOffset: header.firstOffset, salt: frame.salt, previous: frame.crc }
        return new SegmentReader<EntryOf<S>>(file, window, adapter, new GroupWalker(window, segmentHeaderBytes, expected))
      }
      if (result.found === 'unsupported') throw new WalError('ERR_WAL_FORMAT', `${file.path}: ${result.why}`, { path: file.path })
      if (adapter.unfitForFormat1 !== undefined) {
        throw new WalError(
          'ERR_WAL_OPTION',
          `${file.path} does not begin with a segment header (${result.why}), so it is read as format 1, and option entries does not fit that: ${adapter.unfitForFormat1}`,
          { option: 'entries', path: file.path },
        )
      }
      return new SegmentReader<EntryOf<S>>(file, window, adapter, undefined)
    } catch (error) {
      await runPooled(file.close())
      throw error
    }
  }

  /** Offset of the entry that `readNext` found. In format 1 the low 32 bits, which is all there is. */
  get offset(): number {
    return this.#at().offset
  }

  /** Entry type of the entry that `readNext` found. */
  get type(): number {
    return this.#at().type
  }

  /**
   * Finds the next entry, and does not decode it; false at the end. Rejects with `ERR_WAL_TORN` where the file ends within an
   * entry, and with `ERR_WAL_CORRUPT` where none can be found and something other than zeros stands.
   */
  async readNext(): Promise<boolean> {
    if (this.#closed) throw new WalError('ERR_WAL_CLOSED', `the reader of ${this.path} is closed. Open another one, or close it later`, { path: this.path })
    this.#current = undefined
    this.#current = await runPooled(this.#walker === undefined ? this.#nextOfFormat1() : this.#nextOfFormat2(this.#walker))
    return this.#current !== undefined
  }

  /** Checks the CRC of the entry that `readNext` found, and decodes it. Throws `ERR_WAL_CORRUPT`, `ERR_WAL_DECODE`. */
  decode(): E {
    const { offset, type, crc, position, length } = this.#at()
    const at = this.#window.indexOf(position) + recordHeaderBytes
    const { bytes } = this.#window
    if (crc32(bytes, at, at + length) !== crc) throw damage({ path: this.path, id: 0 }, position, offset, 'its CRC does not fit its payload')
    return this.#adapter.decode(type, bytes.subarray(at, at + length), true) as E
  }

  /** Walks to the end; the offset of the last entry, or 0 when there is none. Errors as those of `readNext`. */
  async seekEnd(): Promise<number> {
    let last = 0
    while (await this.readNext()) last = this.offset
    return last
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#current = undefined
    await runPooled(this.#file.close())
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<{ readonly offset: number; readonly entry: E }> {
    while (await this.readNext()) yield { offset: this.offset, entry: this.decode() }
  }

  #at(): Place {
    if (this.#current !== undefined) return this.#current
    throw new WalError('ERR_WAL_OFFSET_OUT_OF_RANGE', `the reader of ${this.path} stands at no entry: call readNext first, and go by what it returns`, { path: this.path })
  }

  *#nextOfFormat2(walker: GroupWalker): Steps<Place | undefined> {
    while (this.#group === undefined || this.#group.index === this.#group.lengths.length) {
      this.#group = undefined
      // Without a look at the bodies: they are checked when an entry is decoded.
      const result = yield* walker.next(false)
      if (result.found === 'end') return undefined
      if (result.found !== 'group') return yield* this.#fault(walker.position, walker.expected.nextOffset, result.why)
      if (result.group.content.kind !== 'commit') continue
      const { content, frame } = result.group
      this.#position = result.position + frame.bytes
      // A record's CRC does not cover its header: a flipped bit in a type would go unnoticed.
      if (!(yield* this.#headersHold(this.#position, content))) {
        return yield* this.#fault(result.position, content.firstOffset, 'the headers of a group are not those that its commit was written for')
      }
      this.#group = { firstOffset: content.firstOffset, lengths: content.lengths, index: 0 }
    }
    const { firstOffset, lengths, index } = this.#group
    const length = lengths[index] as number
    const position = this.#position
    yield* this.#window.load(position, recordHeaderBytes + length)
    const at = this.#window.indexOf(position)
    this.#group.index++
    this.#position += recordHeaderBytes + length
    const { bytes } = this.#window
    if (readU32(bytes, at) !== (firstOffset + index) >>> 0) {
      return yield* this.#fault(position, firstOffset + index, `the record of entry ${firstOffset + index} has another offset`)
    }
    return { offset: firstOffset + index, type: bytes[at + 4] as number, crc: readU32(bytes, at + 5), position, length }
  }

  *#headersHold(body: number, commit: Commit): Steps<boolean> {
    let position = body
    let crc = 0
    for (const length of commit.lengths) {
      yield* this.#window.load(position, recordHeaderBytes)
      const at = this.#window.indexOf(position)
      crc = crc32(this.#window.bytes, at, at + recordHeaderBytes, crc)
      position += recordHeaderBytes + length
    }
    return crc === commit.headersCrc
  }

  *#nextOfFormat1(): Steps<Place | undefined> {
    const window = this.#window
    const position = this.#position
    const left = window.left(position)
    if (left === 0) return undefined
    for (;;) {
      const at = window.indexOf(position)
      const result = frameRecord(window.bytes, at, window.available(position), left, (type) => this.#adapter.framing(type))
      if (result.found === 'more' && (yield* window.load(position, result.bytes)) >= result.bytes) continue
      if (result.found !== 'record') return yield* this.#fault(position, undefined, result.found === 'nothing' ? result.why : 'the file became shorter')
      const { lowOffset: offset, type, crc, length } = result.record
      // What is filled with zeros reads as records of offset 0, which no log has.
      if (offset === 0) return yield* this.#fault(position, undefined, 'a record has the offset 0, and the first one is 1')
      this.#position = position + recordHeaderBytes + length
      return { offset, type, crc, position, length }
    }
  }

  /** The end, where only zeros are left; else an error. */
  *#fault(position: number, offset: number | undefined, why: string): Steps<undefined> {
    const isEnd = (yield* lastNonZero(this.#window, position)) < position
    if (isEnd) return undefined
    if (!why.includes('end of the file') && !why.includes('file ends')) throw damage({ path: this.path, id: 0 }, position, offset, why)
    throw new WalError('ERR_WAL_TORN', `${this.path} ends within a record at byte ${position}: ${why}`, { path: this.path, position })
  }
}
