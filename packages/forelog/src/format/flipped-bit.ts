/**
 * Row E of the table of opening: whether the change of one single bit makes a group whole.
 *
 * Trying each bit of a large group would take hours, so only those are tried that can be it. A CRC over a known extent
 * names the one bit that explains it (checksum.ts); the few fields that say where something ends, or that stand outside
 * every CRC, are tried one by one. Whatever is proposed is believed only when the group is whole with it.
 */
import { crc32, flippedBitOf, type BitPlace } from './checksum.js'
import { controlPrefixBytes, readControlFrame } from './control-record.js'
import { type ChainPosition, readGroup } from './group.js'
import { readU32, recordHeaderBytes } from './record.js'

export interface MendedGroup extends BitPlace {
  /** Bytes of the group, once mended. */
  readonly groupBytes: number
}

/**
 * The bit of `tail`, which begins with the group that fails, whose change makes that group whole. `tail` is what the file has
 * from there on, or as much of it as the group can take.
 */
export function findFlippedBit(tail: Uint8Array, expected: ChainPosition): MendedGroup | undefined {
  for (const place of candidates(tail, expected)) {
    tail[place.byte] = (tail[place.byte] as number) ^ (1 << place.bit)
    const result = readGroup(tail, 0, tail.length, tail.length, expected, true)
    tail[place.byte] = (tail[place.byte] as number) ^ (1 << place.bit)
    if (result.found === 'group') return { ...place, groupBytes: result.group.bytes }
  }
  return undefined
}

function* candidates(tail: Uint8Array, expected: ChainPosition): Generator<BitPlace> {
  // The record's header, which no CRC covers, and the length, which says what the CRC covers.
  for (let byte = 0; byte < Math.min(controlPrefixBytes, tail.length); byte++) {
    for (let bit = 0; bit < 8; bit++) yield { byte, bit }
  }
  yield* inControlPayload(tail)
  yield* inBody(tail, expected)
}

function* inControlPayload(tail: Uint8Array): Generator<BitPlace> {
  if (tail.length < controlPrefixBytes) return
  const end = controlPrefixBytes + readU32(tail, recordHeaderBytes)
  if (end > tail.length) return
  yield* placed(flippedBitOf(crc32(tail, recordHeaderBytes, end), readU32(tail, 5), end - recordHeaderBytes), recordHeaderBytes)
}

function* inBody(tail: Uint8Array, expected: ChainPosition): Generator<BitPlace> {
  const framed = readControlFrame(tail, 0, tail.length, tail.length)
  if (framed.found !== 'frame') return
  const result = readGroup(tail, 0, tail.length, tail.length, expected, true)
  if (result.found !== 'nothing' || result.commit?.content.kind !== 'commit') return
  const { commit } = result
  const { lengths, headersCrc } = result.commit.content
  if (commit.bytes > tail.length) return

  const starts: number[] = []
  let at = framed.frame.bytes
  let crcOfHeaders = 0
  for (const length of lengths) {
    starts.push(at)
    crcOfHeaders = crc32(tail, at, at + recordHeaderBytes, crcOfHeaders)
    at += recordHeaderBytes + length
  }
  // In a header: the headers CRC names it, counted as if the headers stood side by side.
  const inHeaders = flippedBitOf(crcOfHeaders, headersCrc, lengths.length * recordHeaderBytes)
  if (inHeaders !== undefined) {
    const start = starts[Math.floor(inHeaders.byte / recordHeaderBytes)] as number
    yield { byte: start + (inHeaders.byte % recordHeaderBytes), bit: inHeaders.bit }
    return
  }
  // In a payload: the first one that fails. If a second fails too, no single bit can be it, and the check says so.
  for (const [index, start] of starts.entries()) {
    const payload = start + recordHeaderBytes
    const end = payload + (lengths[index] as number)
    const crc = crc32(tail, payload, end)
    if (crc === readU32(tail, start + 5)) continue
    yield* placed(flippedBitOf(crc, readU32(tail, start + 5), end - payload), payload)
    return
  }
}

function* placed(place: BitPlace | undefined, from: number): Generator<BitPlace> {
  if (place !== undefined) yield { byte: from + place.byte, bit: place.bit }
}
