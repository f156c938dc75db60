/**
 * The example of the README of the Go library fgrosse/wal, in this library: the same steps, in the same order.
 */
import { EntryRegistry, type Format, type Logger, WriteAheadLog } from 'forelog'
import { ExampleEntry1, ExampleEntry2 } from '../../packages/forelog/test/support/waltest.js'

// Your own entries, each with the logic of how its payload is encoded and decoded, and a type that maps the bytes back to the
// class. These two are those of the Go library's own tests.
export const walEntries = new EntryRegistry(
  () => new ExampleEntry1(),
  () => new ExampleEntry2(),
)

/** `format: 1` makes files that the Go library can open, and opens those that it wrote. */
export async function goReadme(directory: string, format: Format, logger: Logger): Promise<number> {
  // Opening loads what is in the directory, or makes a new log there. The default is strong durability: each append is synced
  // before it is acknowledged, and what queues meanwhile shares the next sync. Go's SyncDelay is the option syncDelay.
  const log = await WriteAheadLog.open(directory, { entries: walEntries, format, logger })
  try {
    // When this resolves, the entry is on stable storage.
    const offset = await log.append(new ExampleEntry1(42, [1, 2, 3]))

    // You might use the offset in your application, or ignore it altogether.
    return offset
  } finally {
    // Frees the lock and closes the files. Where `await using` is there, it does this by itself.
    await log.close()
  }
}
