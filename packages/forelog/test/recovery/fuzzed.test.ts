/** What the fuzz of line 9 found, each as small as it can be. */
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { WriteAheadLog } from '../../src/index.js'
import { textEntries, textEntry } from '../proofs/text-entries.js'
import { SegmentBuilder } from '../support/reference-writer.js'
import { diskWith, directory, entriesOf, firstSegment, openOn, refusalOn } from './disk-with.js'

it('a segment of format 1 whose first record was cut off does not go by what that record said', async () => {
  const disk = diskWith(new Map([['1.wal', Uint8Array.of(0xa2, 0x64, 0xe4, 0x1a, 0, 1, 2, 3, 4, 5, 6, 7)]]))
  const log = await WriteAheadLog.open(directory, { fileSystem: disk, entries: textEntries })
  expect([log.firstOffset, log.lastOffset]).toEqual([1, 0])
  expect(await log.append(textEntry('a'))).toBe(1)
  expect((await log.get(1)).entry.payload).toEqual(Uint8Array.of(97))
  expect(disk.listSync(join(directory, 'quarantine'))).toHaveLength(1)
  await log.close()
})

it('a low-water mark beyond the end of the log is damage: what stands in front of a mark was synced with it', async () => {
  const segment = new SegmentBuilder({ ...firstSegment, lowWaterMark: 500 })
  segment.commit(entriesOf(10, 20)).close(true)
  const error = await refusalOn(diskWith(segment))
  expect(error).toMatchObject({ code: 'ERR_WAL_CORRUPT', offset: 3 })
  expect(error.message).toContain('low-water mark')
  const fits = new SegmentBuilder({ ...firstSegment, lowWaterMark: 3 })
  fits.commit(entriesOf(10, 20)).close(true)
  expect((await openOn(diskWith(fits))).firstOffset).toBe(3)
})
