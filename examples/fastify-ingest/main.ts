import pino from 'pino'
import { buildApp } from './app.js'

const [, , directory = './data/events', port = '3000'] = process.argv

// #region main
const app = await buildApp(directory, pino())
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void app.close())
await app.listen({ host: '127.0.0.1', port: Number(port) })
// #endregion
