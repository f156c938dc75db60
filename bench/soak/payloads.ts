/**
 * Payloads that say of themselves what they hold, so that a reader notices one that is not whole.
 */
const headBytes = 8

export function makePayload(length: number, seed: number): Uint8Array {
  const payload = Buffer.alloc(Math.max(length, headBytes), seed & 0xff)
  payload.writeUInt32BE(payload.length, 0)
  payload.writeUInt32BE(seed >>> 0, 4)
  return payload
}

export function checkPayload(payload: Uint8Array, offset: number): void {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength)
  const whole = payload.length >= headBytes && view.getUint32(0) === payload.length
  const fill = whole ? view.getUint32(4) & 0xff : -1
  const fits = whole && [headBytes, payload.length >> 1, payload.length - 1].every((at) => at < headBytes || at >= payload.length || payload[at] === fill)
  if (!fits) throw new Error(`entry ${offset} is not what was appended`)
}
