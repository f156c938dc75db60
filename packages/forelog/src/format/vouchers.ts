/**
 * Vouchers: records behind a group that fails which prove that it was once on stable storage, so that it is damage and
 * not a torn write (row D of the table of opening).
 */
import { type ControlContent, readControlContent, readControlFrame } from './control-record.js'
import { offsetFromLowHalf } from './record.js'

export type VoucherResult =
  | { readonly found: 'voucher' | 'none' }
  /** Whole and of this segment, but of a later version of the format, which may vouch for anything. */
  | { readonly found: 'unsupported' }
  /** So many bytes, from the record's first one on, must be there to tell. */
  | { readonly found: 'more'; readonly bytes: number }

/**
 * Whether the record at `at` is a voucher: a commit, close or durable mark of this salt, whole in itself, whose durable
 * offset is at or above `failingOffset` and below its own next offset. Its chain is not asked: what it hangs on may be what was
 * damaged.
 */
export function voucherAt(bytes: Uint8Array, at: number, available: number, left: number, salt: string, failingOffset: number): VoucherResult {
  const framed = readControlFrame(bytes, at, available, left)
  if (framed.found === 'more') return framed
  if (framed.found !== 'frame' || framed.frame.salt !== salt) return { found: 'none' }
  const read = readControlContent(bytes, at, framed.frame)
  if (read.found === 'unsupported') return { found: 'unsupported' }
  const durableOffset = read.found === 'content' ? durableOffsetOf(read.content) : undefined
  if (durableOffset === undefined || durableOffset < failingOffset) return { found: 'none' }
  return { found: durableOffset < offsetFromLowHalf(framed.frame.lowOffset, failingOffset) ? 'voucher' : 'none' }
}

/** Up to which offset a record proves entries durable, if it does. */
export function durableOffsetOf(content: ControlContent): number | undefined {
  return content.kind === 'commit' || content.kind === 'close' || content.kind === 'durableMark' ? content.durableOffset : undefined
}
