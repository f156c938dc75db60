/**
 * Payloads that lie in one buffer and are decoded one after the other, seen as bytes or as text, whichever the entry asks for.
 *
 * Text is made of many payloads at once where they are known to be ASCII: a piece of the buffer becomes one string, and each payload a
 * part of it. That halves what a text costs (bench/micro/decoding.ts). Such a part holds on to the whole piece, so it is for whoever
 * takes it apart at once, as JSON.parse does.
 */

/** Bytes of the buffer that become one string: few at first, for whoever reads one entry, and twice as many each time. */
const firstPieceBytes = 512
const largestPieceBytes = 16 * 1024
const nothing = new Uint8Array(0)
/**
 * The collector of young objects comes by when so many bytes were made in the heap, and copies lie outside of it: some tens of MiB of them that nobody
 * looks at any more may gather first (V8 11: 32 MiB). The few objects of an entry are enough for a KiB of it; for each so many bytes more, something
 * is made in the heap. It costs a few percent of the copy.
 */
const coveredBytes = 1024
const outsideBytes = 2048
const insideWords = 128
/** What is larger has its collector called by V8 itself. */
const mostOutsideBytes = 256 * 1024
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
  #from = 0
  #to = 0
  #text = ''
  #textFrom = 0
  #textTo = 0
  #pieceBytes = firstPieceBytes
  #outside = 0
  /** Never looked at: only a thing that is kept is made for sure. */
  readonly #inside: { made?: readonly unknown[] } = {}

  /** Goes on to other payloads. `ascii`: all that it is moved to from now on are known to be ASCII. */
  lookAt(bytes: Uint8Array, ascii: boolean): void {
    if (bytes !== this.#bytes) {
      this.#bytes = bytes
      this.#shared = bytes.buffer
      this.#offset = bytes.byteOffset
      this.#buffer = undefined
    }
    // The same memory may hold something else by now.
    this.#textTo = 0
    this.#ascii = ascii
  }

  /** Goes on to the payload at `[from, to)`; none is in front of the one before. */
  moveTo(from: number, to: number): void {
    this.#from = from
    this.#to = to
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
    if (!this.#ascii) return this.#decoded()
    if (this.#to > this.#textTo) {
      this.#textFrom = this.#from
      this.#textTo = Math.max(this.#to, Math.min(this.#bytes.length, this.#from + this.#pieceBytes))
      this.#pieceBytes = Math.min(largestPieceBytes, this.#pieceBytes * 2)
      this.#text = this.#memory().toString('latin1', this.#textFrom, this.#textTo)
    }
    return this.#text.slice(this.#from - this.#textFrom, this.#to - this.#textFrom)
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
