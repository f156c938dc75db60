import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { WriteAheadLog } from 'forelog'
import { SimulatedDisk } from 'forelog/testing'
import { Registry } from 'prom-client'
import { expect, onTestFinished, test } from 'vitest'
import { temporaryDirectory } from '../support/run-example.js'
import { registerLogMetrics, serveMetrics } from './metrics.js'

/** What a scrape gives, by name and labels. */
function valuesOf(text: string): Map<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]))
}

test('what is scraped is what the logs did: counters, gauges, lags, and times in seconds', async () => {
  const orders = await WriteAheadLog.open(temporaryDirectory())
  const audit = await WriteAheadLog.open(temporaryDirectory(), { sync: 'manual', maxEntrySize: 1000 })
  const unobserved = await WriteAheadLog.open(temporaryDirectory())
  const register = new Registry()
  const end = registerLogMetrics({ orders, audit }, register)
  const server = serveMetrics(register).listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  const scrape = async (): Promise<Map<string, number>> => {
    const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`)
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toContain('text/plain')
    return valuesOf(await response.text())
  }

  for (let n = 0; n < 5; n++) await orders.append(new Uint8Array(100))
  for (let n = 0; n < 3; n++) await audit.append(new Uint8Array(10))
  await expect(audit.append(new Uint8Array(2000))).rejects.toThrow('1000')
  await unobserved.append(new Uint8Array(10))
  const cursor = await orders.cursor('shipper')
  await cursor.commit(2)

  const bytesBefore = orders.segments()[0]?.bytes as number
  const first = await scrape()
  expect(first.get('forelog_appends_total{log="orders"}')).toBe(5)
  expect(first.get('forelog_appends_total{log="audit"}')).toBe(3)
  expect(first.get('forelog_appended_bytes_total{log="orders"}')).toBe(orders.stats().appendedBytes)
  expect(first.get('forelog_refused_total{log="audit",reason="encode"}')).toBe(1)
  expect(first.get('forelog_unsynced_entries{log="audit"}')).toBe(3)
  expect(first.get('forelog_unsynced_entries{log="orders"}')).toBe(0)
  expect(first.get('forelog_cursor_lag_entries{log="orders",cursor="shipper"}')).toBe(3)
  expect(first.get('forelog_up{log="orders"}')).toBe(1)
  // The log writes a few bytes of its own when it has nothing else to do.
  expect(first.get('forelog_size_bytes{log="orders"}')).toBeGreaterThanOrEqual(bytesBefore)
  expect(first.get('forelog_size_bytes{log="orders"}')).toBeLessThanOrEqual(orders.segments()[0]?.bytes as number)
  expect(first.get('forelog_append_duration_seconds_count{log="orders"}')).toBe(5)
  expect(first.get('forelog_sync_duration_seconds_count{log="orders"}')).toBe(5)
  expect(first.get('forelog_append_duration_seconds_bucket{le="+Inf",log="orders"}')).toBe(5)
  // Seconds, and no milliseconds: what stats() has in ms is a thousand times as much.
  expect(first.get('forelog_sync_duration_seconds_sum{log="orders"}')).toBeCloseTo(orders.stats().syncMs.sum / 1000, 9)
  expect([...first.keys()].filter((key) => !/log="(orders|audit)"/.test(key))).toEqual([])

  await orders.append(new Uint8Array(100))
  await cursor.close()
  await orders.deleteCursor('shipper')
  const second = await scrape()
  expect(second.get('forelog_appends_total{log="orders"}')).toBe(6)
  expect(second.get('forelog_append_duration_seconds_count{log="orders"}')).toBe(6)
  expect([...second.keys()].filter((key) => key.includes('cursor="shipper"'))).toEqual([])

  end()
  await orders.append(new Uint8Array(100))
  await Promise.all([orders, audit, unobserved].map((log) => log.close()))
  const last = await scrape()
  expect(last.get('forelog_append_duration_seconds_count{log="orders"}')).toBe(6)
  expect(last.get('forelog_up{log="orders"}')).toBe(0)
})

test('what retention dropped is counted, what a cursor holds back is shown, and so is the age of the oldest segment', async () => {
  const log = await WriteAheadLog.open(temporaryDirectory(), { maxSegmentSize: 4096, retention: { maxBytes: 8192 } })
  const register = new Registry()
  onTestFinished(registerLogMetrics({ log }, register))
  const begunMs = Date.now()
  for (let n = 0; n < 30; n++) await log.append(new Uint8Array(1000))
  await log.applyRetention()
  await log.cursor('slow')
  for (let n = 0; n < 30; n++) await log.append(new Uint8Array(1000))
  await log.applyRetention()
  const values = valuesOf(await register.metrics())
  const { segmentsDropped, bytesDropped, heldBackBytes } = log.stats().retention
  expect(segmentsDropped).toBeGreaterThan(2)
  expect(heldBackBytes).toBeGreaterThan(8192)
  expect(values.get('forelog_retention_dropped_segments_total{log="log"}')).toBe(segmentsDropped)
  expect(values.get('forelog_retention_dropped_bytes_total{log="log"}')).toBe(bytesDropped)
  expect(values.get('forelog_retention_held_back_bytes{log="log"}')).toBe(heldBackBytes)
  expect(values.get('forelog_retention_failures_total{log="log"}')).toBe(0)
  const age = values.get('forelog_oldest_segment_age_seconds{log="log"}')
  expect(age).toBeGreaterThanOrEqual(0)
  expect(age).toBeLessThanOrEqual((Date.now() - begunMs) / 1000)
  await log.close()
})

test('a log that fails is seen at the next scrape, with the code of its failure', async () => {
  const disk = new SimulatedDisk({ directories: ['/data'] })
  const log = await WriteAheadLog.open('/data', { fileSystem: disk })
  const register = new Registry()
  onTestFinished(registerLogMetrics({ log }, register))
  disk.fail({ kind: ['write', 'dataSync'], code: 'EIO', times: Infinity })
  const failure: unknown = await log.append(new Uint8Array(1)).catch((error: unknown) => error)

  const values = valuesOf(await register.metrics())
  expect(values.get('forelog_up{log="log"}')).toBe(0)
  expect(values.get(`forelog_failures_total{log="log",code="${(failure as { code: string }).code}"}`)).toBe(1)
})
