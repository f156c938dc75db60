/**
 * An HTTP service that answers 201 when the order is on stable storage, and shuts down in good order.
 */
import { createServer, type Server } from 'node:http'
import { text } from 'node:stream/consumers'
import { defineEntries, json, type LogOf, validated, WalError, WriteAheadLog } from 'forelog'
import { z } from 'zod'

const Order = z.object({ item: z.string().min(1), amount: z.number().int().positive() })
const entries = defineEntries({ ordered: { type: 1, codec: validated(json(), Order) } })

// #region service
export function serve(log: LogOf<typeof entries>): Server {
  return createServer((request, response) => {
    void (async () => {
      try {
        // Requests that come while a sync runs share the next one: no queue of your own is needed.
        const offset = await log.append(entries.ordered(JSON.parse(await text(request)) as z.infer<typeof Order>))
        response.writeHead(201).end(`${offset}\n`)
      } catch (error) {
        response.writeHead(statusOf(error)).end(`${(error as Error).message}\n`)
        // What is on disk is not known any more: let the supervisor start the service, and recovery, anew.
        if (log.state === 'failed') process.exit(1)
      }
    })()
  })
}

function statusOf(error: unknown): number {
  if (error instanceof SyntaxError) return 400
  if (!(error instanceof WalError)) return 500
  if (error.code === 'ERR_WAL_ENCODE' || error.code === 'ERR_WAL_ENTRY_TOO_LARGE') return 400 // this order alone
  if (error.code === 'ERR_WAL_BACKPRESSURE') return 503 // come again
  if (error.code === 'ERR_WAL_NO_SPACE') return 507 // the log goes on, once there is room
  return 500
}
// #endregion

export async function main(directory: string): Promise<void> {
  // #region shutdown
  const log = await WriteAheadLog.open(directory, { entries })
  const server = serve(log).listen(0, '127.0.0.1')
  process.once('SIGTERM', () => {
    server.close(() => void log.close()) // no new requests, then those that are under way, then the log
  })
  // #endregion
  server.once('listening', () => console.log(`listening ${JSON.stringify(server.address())}`))
}
