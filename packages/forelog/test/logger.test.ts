import { pino } from 'pino'
import { describe, expect, it } from 'vitest'
import type { Logger } from '../src/logger.js'
import type { SimulatedDisk } from '../src/testing/index.js'
import { bytesOf, directory, failCalls, healCalls, isSync, newDisk, openOn, rejection } from './support/logs.js'

interface Line {
  readonly level: number
  readonly msg: string
  readonly [fact: string]: unknown
}

/** A real pino, and what it wrote. */
function realPino(): { logger: Logger; lines: Line[] } {
  const lines: Line[] = []
  const logger = pino({ level: 'debug' }, { write: (line: string) => void lines.push(JSON.parse(line) as Line) })
  return { logger, lines }
}

const levels = { debug: 20, info: 30, warn: 40, error: 50 }

describe('pino', () => {
  it('fits as it is, and gets the facts as fields', async () => {
    const disk = newDisk()
    const { logger, lines } = realPino()
    const log = await openOn(disk, { logger, maxSegmentSize: 200 })
    for (let index = 0; index < 10; index++) await log.append(bytesOf(`entry ${index}`))
    await log.truncateBefore(8)
    await log.close()
    expect(lines[0]).toMatchObject({ level: levels.info, msg: 'opened a log', path: directory, format: 2, firstOffset: 1, lastOffset: 0, clean: true })
    const rolls = lines.filter(({ msg }) => msg === 'began a new segment')
    expect(rolls.length).toBeGreaterThan(1)
    expect(rolls[0]).toMatchObject({ level: levels.debug, opened: expect.stringContaining('.wal'), closed: expect.stringContaining('.wal') })
    expect(lines.find(({ msg }) => msg.includes('truncated'))).toMatchObject({ level: levels.info, firstOffset: 8 })
    expect(lines.at(-1)).toMatchObject({ level: levels.info, path: directory, lastOffset: 10 })
  })

  it('is warned of a torn tail, with what was cut and where its copy is', async () => {
    const disk = newDisk()
    const log = await openOn(disk)
    await log.append(bytesOf('kept'))
    const [segment] = log.segments()
    const torn = disk.afterCrash('process')
    const whole = disk.contents(segment?.path as string).subarray(0, segment?.bytes)
    torn.place(segment?.path as string, Buffer.concat([whole, Buffer.alloc(600, 0xee)]))
    const { logger, lines } = realPino()
    await openOn(torn, { logger })
    expect(lines).toMatchObject([{ level: levels.warn, tornBytes: 600, clean: false, quarantined: [expect.stringContaining('quarantine')] }])
  })

  it('gets errors as err, serialised with their code: of a log that can not be opened, and of one that fails', async () => {
    const disk = newDisk()
    disk.place(`${directory}/foreign.wal`, bytesOf('?'))
    const { logger, lines } = realPino()
    await rejection('ERR_WAL_CORRUPT', openOn(disk, { logger }))
    expect(lines).toMatchObject([{ level: levels.error, path: directory, err: { type: 'WalError', code: 'ERR_WAL_CORRUPT' } }])

    const failing: SimulatedDisk = newDisk()
    const log = await openOn(failing, { logger })
    failCalls(failing, isSync, 'EIO')
    await rejection('ERR_WAL_SYNC_FAILED', log.append(bytesOf('a')))
    healCalls(failing)
    expect(lines.at(-1)).toMatchObject({ level: levels.error, path: directory, err: { code: 'ERR_WAL_SYNC_FAILED', stack: expect.any(String) } })
    const { length } = lines
    await rejection('ERR_WAL_FAILED', log.append(bytesOf('b')))
    expect(lines).toHaveLength(length)
  })
})

describe('without a logger', () => {
  it('nothing is written anywhere', async () => {
    const written: unknown[] = []
    const spied = ['log', 'info', 'warn', 'error', 'debug'] as const
    const before = spied.map((name) => console[name])
    for (const name of spied) console[name] = (...args: unknown[]) => void written.push(args)
    try {
      const disk = newDisk()
      const log = await openOn(disk)
      failCalls(disk, isSync, 'EIO')
      await rejection('ERR_WAL_SYNC_FAILED', log.append(bytesOf('a')))
    } finally {
      spied.forEach((name, index) => (console[name] = before[index] as typeof console.log))
    }
    expect(written).toEqual([])
  })
})
