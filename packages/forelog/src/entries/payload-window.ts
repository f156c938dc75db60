/**
 * Payloads that lie in one buffer and are decoded one after the other, seen as bytes or as text, whichever the entry asks for.
 *
 * Text is made of many payloads at once: of a piece of the buffer, as it is where they are known to be ASCII, else by the kernel, which
 * leaves out what stands between them. Each payload is a part of the string of its piece. That takes half of the time that a string each
 * takes, and a small part of it where there is more than ASCII (bench/micro/decoding.ts). Such a part holds on to the whole piece, so
 * it is for whoever takes it apart at once, as JSON.parse does.
 *
 * Of small payloads of JSON the kernel makes a list, so that JSON.parse is called once for all of them: what it takes for each call, and for
 * each part of a text, is a fifth of the time of 128 bytes. Where that is not exactly the payloads' values, each is parsed alone.
 */
import { type List, recordKernel } from '../format/kernel.js'
import { recordHeaderBytes, type RecordRun } from '../format/record.js'

/** Bytes of the buffer that become one string: few at first, for whoever reads one entry, and twice as many each time. */
const firstPieceBytes = 512
const largestPieceBytes = 16 * 1024
const nothing = new Uint8Array(0)
const noEnds = new Uint32Array(0)
const noValues: readonly unknown[] = []
/**
 * The collector of young objects comes by when so many bytes were made in the heap, and copies lie outside of it: some tens of MiB of them that nobody
 * looks at any more may gather first (V8 11: 32 MiB). The few objects of an entry are enough for a KiB of it; for each so many bytes more, something
 * is made in the heap. It costs a few percent of the copy.
 */
const coveredBytes = 1024
const outsideBytes = 2048
const insideWords = 128
/** For one copy no more than for this. With a quarter of it a replay of entries of a MiB held 17 MiB more. */
const mostOutsideBytes = 1024 * 1024
/** What is larger takes the kernel longer to look at than the call of JSON.parse is worth. */
const mostListedBytes = 384
/** So many payloads are parsed alone after a list of fewer, or one that was none; twice as many each time. */
const leastListed = 4
const leastAlone = 16
const mostAlone = 4096
const replacement = '\ufffd'
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export class PayloadWindow {
  #bytes: Uint8Array = nothing
  /** What it is a part of: asked once, for that takes longer than making a view. */
  #shared: ArrayBufferLike = nothing.buffer
  #offset = 0
  /** The same memory; made when a text is asked for. */
  #buffer: Buffer | undefined
  #ascii = false
  /** What the payloads are records of, and the index there of the one that is seen. */
  #run: RecordRun | undefined
  #index = 0
  #from = 0
  #to = 0
  /** The text of a piece. If that is ASCII, it is that of the buffer from `#textFrom` to `#textTo`. */
  #text = ''
  #textFrom = 0
  #textTo = 0
  /** If it is not: where the texts end of the payloads from index `#endsFrom` on. */
  #ends: Uint32Array = noEnds
  #endsFrom = 0
  #pieceBytes = firstPieceBytes
  /** Values of the payloads from index `#valuesFrom` on. */
  #values: readonly unknown[] = noValues
  #valuesFrom = 0
  #listBytes = firstPieceBytes
  #alone = 0
  #nextAlone = leastAlone
  #outside = 0
  /** Never looked at: only a thing that is kept is made for sure. */
  readonly #inside: { made?: readonly unknown[] } = {}

  /** Goes on to payloads that nothing is known of. */
  lookAt(bytes: Uint8Array): void {
    this.#see(bytes, false)
    this.#run = undefined
  }

  /** Goes on to the payloads of a run. */
  lookAtRun(run: RecordRun): void {
    this.#see(run.bytes, run.ascii)
    this.#run = run
  }

  #see(bytes: Uint8Array, ascii: boolean): void {
    if (bytes !== this.#bytes) {
      this.#bytes = bytes
      this.#shared = bytes.buffer
      this.#offset = bytes.byteOffset
      this.#buffer = undefined
    }
    // The same memory may hold something else by now.
    this.#textTo = 0
    this.#ends = noEnds
    this.#endsFrom = 0
    this.#values = noValues
    this.#valuesFrom = 0
    this.#ascii = ascii
  }

  /** Goes on to the payload at `[from, to)`, the one with this index in its run; none is in front of the one before. */
  moveTo(from: number, to: number, index: number = 0): void {
    this.#from = from
    this.#to = to
    this.#index = index
  }

  /** The payload, as a view that is a plain Uint8Array. */
  get bytes(): Uint8Array {
    return new Uint8Array(this.#shared, this.#offset + this.#from, this.#to - this.#from)
  }

  /** A copy of the payload, a plain Uint8Array, too. */
  get ownBytes(): Uint8Array {
    const length = this.#to - this.#from
    if (length > coveredBytes) this.#weigh(length - coveredBytes)
    return this.#bytes.slice(this.#from, this.#to)
  }

  #weigh(bytes: number): void {
    this.#outside = Math.min(this.#outside + bytes, mostOutsideBytes)
    for (; this.#outside >= outsideBytes; this.#outside -= outsideBytes) this.#inside.made = new Array(insideWords)
  }

  /** The payload as text, for whoever keeps no part of it. Throws a TypeError where it is no valid UTF-8. */
  get passingText(): string {
    if (!this.#ascii) return this.#run === undefined ? this.#decoded() : this.#amongOthers(this.#run)
    if (this.#to > this.#textTo) {
      this.#textFrom = this.#from
      this.#textTo = Math.max(this.#to, Math.min(this.#bytes.length, this.#from + this.#nextPieceBytes()))
      this.#text = this.#memory().toString('latin1', this.#textFrom, this.#textTo)
    }
    return this.#text.slice(this.#from - this.#textFrom, this.#to - this.#textFrom)
  }

  /**
   * The payload as a value of JSON, where it was parsed together with others. Undefined where it was not: what its text is, and what is wrong
   * with it, is still to be seen.
   */
  get listedValue(): unknown {
    const place = this.#index - this.#valuesFrom
    return place < this.#values.length ? this.#values[place] : this.#firstOfList()
  }

  #firstOfList(): unknown {
    const run = this.#run
    if (run === undefined || !this.#ascii || this.#to - this.#from > mostListedBytes) return undefined
    if (this.#alone > 0) {
      this.#alone--
      return undefined
    }
    const type = run.bytes[this.#from - recordHeaderBytes + 4] as number
    const list = recordKernel().list?.(run, this.#index, this.#from, type, this.#listBytes)
    const values = list === undefined ? noValues : valuesOf(list)
    this.#listBytes = Math.min(largestPieceBytes, this.#listBytes * 2)
    if (values.length < leastListed) {
      this.#alone = this.#nextAlone
      this.#nextAlone = Math.min(mostAlone, this.#nextAlone * 2)
    } else {
      this.#nextAlone = leastAlone
    }
    // Texts of the few that are no part of a list are made of few.
    this.#pieceBytes = firstPieceBytes
    this.#values = values
    this.#valuesFrom = this.#index
    return values[0]
  }

  #amongOthers(run: RecordRun): string {
    let place = this.#index - this.#endsFrom
    if (place >= this.#ends.length) {
      const texts = recordKernel().texts?.(run, this.#index, this.#from, this.#nextPieceBytes())
      // It is invalid, or too large for the kernel.
      if (texts === undefined) return this.#decoded()
      this.#text = texts.text
      this.#ends = texts.ends
      this.#endsFrom = this.#index
      place = 0
      // Where bytes are among the texts, long pieces are copied in vain.
      if (texts.stopped) this.#pieceBytes = firstPieceBytes
    }
    return this.#text.slice(place === 0 ? 0 : this.#ends[place - 1], this.#ends[place])
  }

  #nextPieceBytes(): number {
    const bytes = this.#pieceBytes
    this.#pieceBytes = Math.min(largestPieceBytes, bytes * 2)
    return bytes
  }

  #decoded(): string {
    const text = this.#memory().toString('utf8', this.#from, this.#to)
    // Each byte that is no UTF-8 becomes this character, which valid text may hold, too.
    return text.includes(replacement) ? decoder.decode(this.bytes) : text
  }

  #memory(): Buffer {
    this.#buffer ??= Buffer.from(this.#shared, this.#offset, this.#bytes.length)
    return this.#buffer
  }
}

/** The values of a list, one for each payload; none where it is not that. */
function valuesOf({ text, count }: List): readonly unknown[] {
  try {
    const values = JSON.parse(text) as readonly unknown[]
    return values.length === count ? values : noValues
  } catch {
    return noValues
  }
}
