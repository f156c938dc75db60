import { AggregationTemporality, InMemoryMetricExporter, MeterProvider, PeriodicExportingMetricReader, type Histogram, type DataPoint } from '@opentelemetry/sdk-metrics'
import { WriteAheadLog } from 'forelog'
import { expect, onTestFinished, test } from 'vitest'
import { temporaryDirectory } from '../support/run-example.js'
import { observeLog } from './metrics.js'

test('what is exported is what the log did: counters, gauges, lags, and times in seconds with buckets for disks', async () => {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
  const provider = new MeterProvider({ readers: [reader] })
  onTestFinished(() => provider.shutdown())
  const meter = provider.getMeter('forelog')
  const metricsNow = async (): Promise<Map<string, DataPoint<number | Histogram>[]>> => {
    exporter.reset()
    await reader.forceFlush()
    const metrics = exporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics).flatMap((scope) => scope.metrics)
    return new Map(metrics.map(({ descriptor, dataPoints }) => [`${descriptor.name} ${descriptor.unit}`.trim(), dataPoints as DataPoint<number | Histogram>[]]))
  }

  const log = await WriteAheadLog.open(temporaryDirectory(), { maxEntrySize: 1000 })
  const another = await WriteAheadLog.open(temporaryDirectory())
  const end = observeLog('orders', log, meter)
  for (let n = 0; n < 5; n++) await log.append(new Uint8Array(100))
  await another.append(new Uint8Array(100))
  await expect(log.append(new Uint8Array(2000))).rejects.toThrow('1000')
  const cursor = await log.cursor('shipper')
  await cursor.commit(2)

  const bytesBefore = log.segments()[0]?.bytes as number
  const metrics = await metricsNow()
  const value = (name: string): number | Histogram | undefined => metrics.get(name)?.[0]?.value
  expect(value('forelog.appends {entry}')).toBe(5)
  expect(value('forelog.appended By')).toBe(log.stats().appendedBytes)
  expect(value('forelog.groups {group}')).toBe(5)
  expect(value('forelog.up')).toBe(1)
  expect(value('forelog.unsynced {entry}')).toBe(0)
  // The log writes a few bytes of its own when it has nothing else to do.
  expect(value('forelog.size By')).toBeGreaterThanOrEqual(bytesBefore)
  expect(value('forelog.size By')).toBeLessThanOrEqual(log.segments()[0]?.bytes as number)
  expect(metrics.get('forelog.cursor.lag {entry}')).toMatchObject([{ value: 3, attributes: { 'forelog.log': 'orders', 'forelog.cursor': 'shipper' } }])
  expect(metrics.get('forelog.refused {entry}')).toContainEqual(
    expect.objectContaining({ value: 1, attributes: { 'forelog.log': 'orders', 'forelog.reason': 'encode' } }),
  )
  const syncs = value('forelog.sync.duration s') as Histogram
  expect(syncs.count).toBe(5)
  expect(syncs.sum).toBeCloseTo(log.stats().syncMs.sum / 1000, 9)
  expect(syncs.buckets.boundaries[0]).toBe(0.0001)
  expect((value('forelog.append.duration s') as Histogram).count).toBe(5)

  end()
  await log.append(new Uint8Array(100))
  const after = await metricsNow()
  expect(after.get('forelog.append.duration s')?.[0]?.value).toMatchObject({ count: 5 })
  await log.close()
  await another.close()
})

test('what retention dropped is counted, what a cursor holds back is shown, and so is the age of the oldest segment', async () => {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
  const provider = new MeterProvider({ readers: [reader] })
  onTestFinished(() => provider.shutdown())
  const log = await WriteAheadLog.open(temporaryDirectory(), { maxSegmentSize: 4096, retention: { maxBytes: 8192 } })
  onTestFinished(observeLog('orders', log, provider.getMeter('forelog')))
  for (let n = 0; n < 30; n++) await log.append(new Uint8Array(1000))
  await log.applyRetention()
  await log.cursor('slow')
  for (let n = 0; n < 30; n++) await log.append(new Uint8Array(1000))
  await log.applyRetention()
  await reader.forceFlush()
  const metrics = exporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics).flatMap((scope) => scope.metrics)
  const value = (name: string): unknown => metrics.find(({ descriptor }) => descriptor.name === name)?.dataPoints[0]?.value
  const { segmentsDropped, bytesDropped, heldBackBytes } = log.stats().retention
  expect(segmentsDropped).toBeGreaterThan(2)
  expect(value('forelog.retention.dropped')).toBe(bytesDropped)
  expect(value('forelog.retention.dropped.segments')).toBe(segmentsDropped)
  expect(value('forelog.retention.held_back')).toBe(heldBackBytes)
  expect(value('forelog.oldest_segment.age')).toBeGreaterThanOrEqual(0)
  await log.close()
})
