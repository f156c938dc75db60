/**
 * Entries of one's own: classes that say how their payload is made, where it ends, and what it means.
 */
// #region class
import { type Entry, EntryRegistry, type PayloadReader, WriteAheadLog } from 'forelog'

export class Measurement implements Entry {
  readonly type = 1
  sensor = 0
  celsius = 0

  static of(sensor: number, celsius: number): Measurement {
    return Object.assign(new Measurement(), { sensor, celsius })
  }

  encodePayload(buffer: Uint8Array): Uint8Array {
    const payload = buffer.length < 12 ? new Uint8Array(12) : buffer.subarray(0, 12) // the part that is used
    const view = new DataView(payload.buffer, payload.byteOffset, 12)
    view.setUint32(0, this.sensor)
    view.setFloat64(4, this.celsius)
    return payload
  }

  decodePayload(payload: Uint8Array): void {
    const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength)
    this.sensor = view.getUint32(0)
    this.celsius = view.getFloat64(4)
  }

  readPayload(reader: PayloadReader): Uint8Array {
    return reader.read(12) // where the payload ends; only format 1 asks
  }
}

const registry = new EntryRegistry(() => new Measurement()) // and more classes, each with a type of its own
// #endregion

/** Appends measurements, and gives back all that the log holds. */
export async function entryClasses(directory: string): Promise<Measurement[]> {
  await using log = await WriteAheadLog.open(directory, { entries: registry })
  await Promise.all([log.append(Measurement.of(7, 21.5)), log.append(Measurement.of(8, -4.25))])
  const measurements: Measurement[] = []
  for await (const { entry } of log.entries()) measurements.push(entry)
  return measurements
}
