/**
 * The two example entry types of the Go library's own tests (its package waltest), as entry classes.
 */
import type { Entry, PayloadReader } from '../../src/entries/entry.js'
import { EntryRegistry } from '../../src/entries/entry-registry.js'

/** id u32 BE, count u16 BE, count × float32 BE. */
export class ExampleEntry1 implements Entry {
  readonly type = 0
  id: number
  /** Whole float32 values come back as they were. */
  point: number[]

  constructor(id = 0, point: readonly number[] = []) {
    this.id = id
    this.point = [...point]
  }

  encodePayload(buffer: Uint8Array): Uint8Array {
    if (this.point.length > 0xffff) throw new RangeError(`a point has at most 65535 dimensions, not ${this.point.length}`)
    const payload = roomFor(buffer, 6 + 4 * this.point.length)
    const view = viewOf(payload)
    view.setUint32(0, this.id)
    view.setUint16(4, this.point.length)
    this.point.forEach((value, index) => view.setFloat32(6 + 4 * index, value))
    return payload
  }

  readPayload(reader: PayloadReader): Uint8Array {
    const head = reader.read(6).slice()
    return joined(head, reader.read(4 * viewOf(head).getUint16(4)))
  }

  decodePayload(payload: Uint8Array): void {
    const view = viewOf(payload)
    this.id = view.getUint32(0)
    this.point = Array.from({ length: view.getUint16(4) }, (_, index) => view.getFloat32(6 + 4 * index))
  }
}

/** test u8 (0 or 1), length of the name u16 BE, name in UTF-8. */
export class ExampleEntry2 implements Entry {
  readonly type = 1
  test: boolean
  name: string

  constructor(test = false, name = '') {
    this.test = test
    this.name = name
  }

  /** Returns the part that it used. The Go library's returns the whole buffer, with zeros or rubbish behind the name. */
  encodePayload(buffer: Uint8Array): Uint8Array {
    const name = new TextEncoder().encode(this.name)
    if (name.length > 0xffff) throw new RangeError(`a name has at most 65535 bytes, not ${name.length}`)
    const payload = roomFor(buffer, 3 + name.length)
    payload[0] = this.test ? 1 : 0
    viewOf(payload).setUint16(1, name.length)
    payload.set(name, 3)
    return payload
  }

  readPayload(reader: PayloadReader): Uint8Array {
    const head = reader.read(3).slice()
    return joined(head, reader.read(viewOf(head).getUint16(1)))
  }

  decodePayload(payload: Uint8Array): void {
    this.test = payload[0] === 1
    this.name = new TextDecoder().decode(payload.subarray(3))
  }
}

/** Both of them. */
export const exampleEntries: EntryRegistry<[ExampleEntry1, ExampleEntry2]> = new EntryRegistry(
  () => new ExampleEntry1(),
  () => new ExampleEntry2(),
)

function roomFor(buffer: Uint8Array, bytes: number): Uint8Array {
  return buffer.length < bytes ? new Uint8Array(bytes) : buffer.subarray(0, bytes)
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
}

function joined(head: Uint8Array, rest: Uint8Array): Uint8Array {
  const whole = new Uint8Array(head.length + rest.length)
  whole.set(head)
  whole.set(rest, head.length)
  return whole
}
