/**
 * The figures of logs for Prometheus, with prom-client: counters and gauges are asked of `stats()` when somebody scrapes, times are told by the
 * channels as they happen.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { createServer, type Server } from 'node:http'
import type { AnyLog, ChannelMessages, LogStats } from 'forelog'
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

// #region metrics
// From a fast disk with a cache of its own to one that is about to fail.
const buckets = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]

/** @param logs by the name that their label `log` gets; returns what ends it */
export function registerLogMetrics(logs: Readonly<Record<string, AnyLog>>, register: Registry): () => void {
  const registers = [register]
  const named = Object.entries(logs).map(([log, source]) => ({ labels: { log }, source }))

  // stats() counts since the log was opened. That it begins at 0 again then is what Prometheus expects of a counter.
  const counter = (name: string, help: string, value: (stats: LogStats) => number): unknown =>
    new Counter({
      name, help, registers, labelNames: ['log'],
      collect() {
        this.reset()
        for (const { labels, source } of named) this.inc(labels, value(source.stats()))
      },
    })
  const gauge = (name: string, help: string, value: (log: AnyLog) => number): unknown =>
    new Gauge({
      name, help, registers, labelNames: ['log'],
      collect() {
        for (const { labels, source } of named) this.set(labels, value(source))
      },
    })

  counter('forelog_appends_total', 'Entries that were acknowledged', (stats) => stats.appends)
  counter('forelog_appended_bytes_total', 'Their payloads and record headers', (stats) => stats.appendedBytes)
  counter('forelog_groups_total', 'Writes that they shared', (stats) => stats.groups)
  counter('forelog_rolls_total', 'Segments that were begun because one was full', (stats) => stats.rolls)
  counter('forelog_removed_segments_total', 'Segments that truncation removed', (stats) => stats.removedSegments)
  counter('forelog_retention_dropped_segments_total', 'Segments that went by the limits of retention', (stats) => stats.retention.segmentsDropped)
  counter('forelog_retention_dropped_bytes_total', 'Their bytes', (stats) => stats.retention.bytesDropped)
  counter('forelog_retention_failures_total', 'Retention runs that failed', (stats) => stats.retention.failures)
  gauge('forelog_retention_held_back_bytes', 'Beyond the limits, and kept because a cursor holds it', (log) => log.stats().retention.heldBackBytes)
  gauge('forelog_oldest_segment_age_seconds', 'Since the oldest segment was begun', (log) => (Date.now() - (log.segments()[0]?.createdMs ?? Date.now())) / 1000)
  gauge('forelog_up', '1: the log takes appends; 0: it has failed, or is closed', (log) => (log.state === 'open' ? 1 : 0))
  gauge('forelog_pending_bytes', 'Encoded and not yet written', (log) => log.stats().pendingBytes)
  gauge('forelog_unsynced_entries', 'Acknowledged and not yet on stable storage', (log) => log.lastOffset - log.durableOffset)
  gauge('forelog_segments', 'Segment files', (log) => log.segments().length)
  gauge('forelog_size_bytes', 'What the segments hold', (log) => log.segments().reduce((sum, { bytes }) => sum + bytes, 0))

  new Counter({
    name: 'forelog_refused_total', help: 'Appends that were refused', registers, labelNames: ['log', 'reason'],
    collect() {
      this.reset()
      for (const { labels, source } of named) {
        for (const [reason, count] of Object.entries(source.stats().refused)) this.inc({ ...labels, reason }, count)
      }
    },
  })
  new Gauge({
    name: 'forelog_cursor_lag_entries', help: 'Durable entries that a cursor has not committed', registers, labelNames: ['log', 'cursor'],
    async collect() {
      this.reset() // a cursor may have been deleted
      for (const { labels, source } of named) {
        if (source.state !== 'open') continue
        for (const { name, lag } of await source.cursors()) this.set({ ...labels, cursor: name }, lag)
      }
    },
  })

  const times = { registers, labelNames: ['log'], buckets }
  const appended = new Histogram({ ...times, name: 'forelog_append_duration_seconds', help: 'From taking a group of appends to its acknowledgement' })
  const synced = new Histogram({ ...times, name: 'forelog_sync_duration_seconds', help: 'How long a sync took' })
  const failures = new Counter({ name: 'forelog_failures_total', help: 'Writes and syncs that ended a log', registers, labelNames: ['log', 'code'] })

  // The channels are those of the process: `path` says which log it is.
  const labelsOf = new Map(named.map(({ labels, source }) => [source.path, labels]))
  const listen = <C extends keyof ChannelMessages>(channel: C, use: (message: ChannelMessages[C], labels: { log: string }) => void): (() => void) => {
    const onMessage = (told: unknown): void => {
      const message = told as ChannelMessages[C]
      const labels = labelsOf.get(message.path)
      if (labels !== undefined) use(message, labels)
    }
    subscribe(channel, onMessage)
    return () => void unsubscribe(channel, onMessage)
  }
  const ends = [
    listen('forelog:append', ({ durationMs }, labels) => appended.observe(labels, durationMs / 1000)),
    listen('forelog:sync', ({ durationMs }, labels) => synced.observe(labels, durationMs / 1000)),
    listen('forelog:fail', ({ error }, labels) => failures.inc({ ...labels, code: error.code })),
  ]
  return () => ends.forEach((end) => end())
}
// #endregion

/** GET /metrics. */
export function serveMetrics(register: Registry): Server {
  // #region serve
  return createServer((request, response) => {
    if (request.url !== '/metrics') return void response.writeHead(404).end()
    register.metrics().then(
      (text) => response.writeHead(200, { 'content-type': register.contentType }).end(text),
      (error: unknown) => response.writeHead(500).end(String(error)),
    )
  })
  // #endregion
}
