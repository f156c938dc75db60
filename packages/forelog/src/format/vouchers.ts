/**
 * Vouchers: records behind a group that fails which prove that it was once on stable storage, so that it is damage and
 * not a torn write (row D of the table of opening).
 */
import { type ControlContent, readControlContent, readControlFrame } from './control-record.js'
import { offsetFromLowHalf } from './record.js'

/**
 * What the record at `at` proves: a commit, close or durable mark of this salt, whole in itself, whose durable offset is
 * at or above `failingOffset` and below its own next offset. Its chain is not asked: what it hangs on may be what was
 * damaged. `more`: so many bytes, from `at` on, must be there to tell.
 */
export function voucherAt(
  bytes: Uint8Array,
  at: number,
  available: number,
  left: number,
  salt: string,
  failingOffset: number,
): { readonly durableOffset: number } | { readonly more: number } | undefined {
  const framed = readControlFrame(bytes, at, available, left)
  if (framed.found === 'more') return { more: framed.bytes }
  if (framed.found !== 'frame' || framed.frame.salt !== salt) return undefined
  const read = readControlContent(bytes, at, framed.frame)
  if (read.found !== 'content') return undefined
  const durableOffset = durableOffsetOf(read.content)
  if (durableOffset === undefined || durableOffset < failingOffset) return undefined
  const ownNextOffset = offsetFromLowHalf(framed.frame.lowOffset, failingOffset)
  return durableOffset < ownNextOffset ? { durableOffset } : undefined
}

/** Up to which offset a record proves entries durable, if it does. */
export function durableOffsetOf(content: ControlContent): number | undefined {
  return content.kind === 'commit' || content.kind === 'close' || content.kind === 'durableMark' ? content.durableOffset : undefined
}
