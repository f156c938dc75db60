import { shipBeside } from './cursor-outbox.js'

const [, , directory = './data/outbox', url = 'http://127.0.0.1:8080/', pauseMs = '200'] = process.argv

const stop = new AbortController()
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort())
await shipBeside(directory, {
  url,
  signal: stop.signal,
  onRefused: (offset, { value }) => console.error(`refused: ${offset} ${JSON.stringify(value)}`),
  pauseMs: Number(pauseMs),
})
