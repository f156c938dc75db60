/**
 * What the disk writes whole or not at all: whether the sectors of something that fails were written tells a torn write
 * from rot.
 */
const sectorBytes = 512

/** From a byte of a tail on, so many bytes reach the end of any sector that it lies in. */
export const sectorReachBytes: number = sectorBytes - 1

/**
 * Whether the sector of a bit has another set bit, at or behind T: it was written, at least in part.
 *
 * @param tail what the file has from T on, at least to the end of that sector
 * @param position T
 */
export function sectorWasWritten(tail: Uint8Array, position: number, place: { readonly byte: number; readonly bit: number }): boolean {
  const sector = Math.floor((position + place.byte) / sectorBytes) * sectorBytes
  const from = Math.max(0, sector - position)
  const to = Math.min(tail.length, sector + sectorBytes - position)
  for (let index = from; index < to; index++) {
    const byte = tail[index] as number
    if ((index === place.byte ? byte & ~(1 << place.bit) : byte) !== 0) return true
  }
  return false
}

/** Whether one of the sectors that the first `bytes` of the tail lie in is all zero, from T on: then part of it was never written. */
export function hasZeroSector(tail: Uint8Array, position: number, bytes: number): boolean {
  for (let sector = Math.floor(position / sectorBytes) * sectorBytes; sector < position + bytes; sector += sectorBytes) {
    const from = Math.max(0, sector - position)
    const to = Math.min(tail.length, sector + sectorBytes - position)
    if (tail.subarray(from, to).every((byte) => byte === 0)) return true
  }
  return false
}
