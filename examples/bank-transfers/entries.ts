/**
 * What the bank's log holds. A simple transfer is one entry. A split one, where one account pays several, is a batch of postings
 * that add up to zero: were a part of it missing after a crash, the balances would not.
 */
import { type Codec, defineEntries, type EntryOf, json, utf8 } from 'forelog'

export interface Transfer {
  /** Transfers are numbered from 1 in the order in which they are made; a split one has one number. */
  readonly id: number
  readonly from: number
  readonly to: number
  readonly cents: number
  readonly reference: string
}

export interface Posting {
  readonly id: number
  readonly account: number
  /** Negative for the account that pays. */
  readonly cents: number
}

const fixedBytes = 12

/** id u32, from u16, to u16, cents u32, then the reference in UTF-8. */
const compactTransfer: Codec<Transfer> = {
  encode({ id, from, to, cents, reference }) {
    const text = utf8.encode(reference)
    const payload = new Uint8Array(fixedBytes + text.length)
    const view = new DataView(payload.buffer)
    view.setUint32(0, id)
    view.setUint16(4, from)
    view.setUint16(6, to)
    view.setUint32(8, cents)
    payload.set(text, fixedBytes)
    return payload
  },
  decode(payload) {
    const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength)
    return {
      id: view.getUint32(0),
      from: view.getUint16(4),
      to: view.getUint16(6),
      cents: view.getUint32(8),
      reference: utf8.decode(payload.subarray(fixedBytes)),
    }
  },
}

export const entries = defineEntries({
  transfer: { type: 1, codec: compactTransfer },
  posting: { type: 2, codec: json<Posting>() },
})

export type BankEntry = EntryOf<typeof entries>
