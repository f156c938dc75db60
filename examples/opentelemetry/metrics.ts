/**
 * The figures of a log for OpenTelemetry: counters and gauges are asked of `stats()` when they are collected, times are told by the channels. Only the
 * API is needed here; which SDK takes it, and where it goes, is the application's affair.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Attributes, BatchObservableCallback, Meter, Observable } from '@opentelemetry/api'
import type { AnyLog, ChannelMessages } from 'forelog'

// #region metrics
// From a fast disk with a cache of its own to one that is about to fail. The SDK's own are meant for milliseconds.
const seconds = { unit: 's', advice: { explicitBucketBoundaries: [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5] } }

/** @param name what tells this log from others of the application; returns what ends it, to be called before the log is closed */
export function observeLog(name: string, log: AnyLog, meter: Meter): () => void {
  const attributes: Attributes = { 'forelog.log': name }

  const appends = meter.createObservableCounter('forelog.appends', { unit: '{entry}', description: 'Entries that were acknowledged' })
  const bytes = meter.createObservableCounter('forelog.appended', { unit: 'By', description: 'Their payloads and record headers' })
  const groups = meter.createObservableCounter('forelog.groups', { unit: '{group}', description: 'Writes that they shared' })
  const refused = meter.createObservableCounter('forelog.refused', { unit: '{entry}', description: 'Appends that were refused' })
  const up = meter.createObservableGauge('forelog.up', { description: '1: the log takes appends; 0: it has failed, or is closed' })
  const pending = meter.createObservableUpDownCounter('forelog.pending', { unit: 'By', description: 'Encoded and not yet written' })
  const unsynced = meter.createObservableUpDownCounter('forelog.unsynced', { unit: '{entry}', description: 'Acknowledged and not yet on stable storage' })
  const size = meter.createObservableUpDownCounter('forelog.size', { unit: 'By', description: 'What the segments hold' })
  const lag = meter.createObservableGauge('forelog.cursor.lag', { unit: '{entry}', description: 'Durable entries that a cursor has not committed' })
  const dropped = meter.createObservableCounter('forelog.retention.dropped', { unit: 'By', description: 'Bytes of segments that went by the limits of retention' })
  const droppedSegments = meter.createObservableCounter('forelog.retention.dropped.segments', { unit: '{segment}', description: 'Those segments' })
  const heldBack = meter.createObservableGauge('forelog.retention.held_back', { unit: 'By', description: 'Beyond the limits, and kept because a cursor holds it' })
  const oldest = meter.createObservableGauge('forelog.oldest_segment.age', { unit: 's', description: 'Since the oldest segment was begun' })
  const observed: Observable[] = [appends, bytes, groups, refused, up, pending, unsynced, size, lag, dropped, droppedSegments, heldBack, oldest]

  // One look for all of them, so that they fit together.
  const observe: BatchObservableCallback = async (result) => {
    const stats = log.stats()
    result.observe(appends, stats.appends, attributes)
    result.observe(bytes, stats.appendedBytes, attributes)
    result.observe(groups, stats.groups, attributes)
    for (const [reason, count] of Object.entries(stats.refused)) result.observe(refused, count, { ...attributes, 'forelog.reason': reason })
    result.observe(up, log.state === 'open' ? 1 : 0, attributes)
    result.observe(pending, stats.pendingBytes, attributes)
    result.observe(unsynced, log.lastOffset - log.durableOffset, attributes)
    result.observe(dropped, stats.retention.bytesDropped, attributes)
    result.observe(droppedSegments, stats.retention.segmentsDropped, attributes)
    result.observe(heldBack, stats.retention.heldBackBytes, attributes)
    result.observe(oldest, (Date.now() - (log.segments()[0]?.createdMs ?? Date.now())) / 1000, attributes)
    result.observe(size, log.segments().reduce((sum, segment) => sum + segment.bytes, 0), attributes)
    if (log.state !== 'open') return
    for (const cursor of await log.cursors()) result.observe(lag, cursor.lag, { ...attributes, 'forelog.cursor': cursor.name })
  }
  meter.addBatchObservableCallback(observe, observed)

  const appended = meter.createHistogram('forelog.append.duration', { ...seconds, description: 'From taking a group of appends to its acknowledgement' })
  const synced = meter.createHistogram('forelog.sync.duration', { ...seconds, description: 'How long a sync took' })
  // The channels are those of the process: `path` says which log it is.
  const listen = <C extends keyof ChannelMessages>(channel: C, use: (message: ChannelMessages[C]) => void): (() => void) => {
    const onMessage = (told: unknown): void => {
      const message = told as ChannelMessages[C]
      if (message.path === log.path) use(message)
    }
    subscribe(channel, onMessage)
    return () => void unsubscribe(channel, onMessage)
  }
  const ends = [
    listen('forelog:append', ({ durationMs }) => appended.record(durationMs / 1000, attributes)),
    listen('forelog:sync', ({ durationMs }) => synced.record(durationMs / 1000, attributes)),
  ]

  return () => {
    meter.removeBatchObservableCallback(observe, observed)
    ends.forEach((end) => end())
  }
}
// #endregion
