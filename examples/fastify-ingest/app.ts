/**
 * An ingest endpoint on Fastify: POST /events answers 202, with the event's offset, when the event is on stable storage and not before.
 * Whoever got no answer, or another one, sends again with the same id.
 */
import fastify, { type FastifyBaseLogger, type FastifyError, type FastifyInstance, type FastifyReply } from 'fastify'
import { defineEntries, json, type OpenOptions, WalError, WriteAheadLog } from 'forelog'

export interface Event {
  /** Made by the sender, and the same when it sends again: readers know a repeat by it. */
  readonly id: string
  readonly type: string
  readonly data: object
}

export const entries = defineEntries({ received: { type: 1, codec: json<Event>() } })

const schema = {
  body: {
    type: 'object',
    required: ['id', 'type', 'data'],
    additionalProperties: false,
    properties: {
      id: { type: 'string', minLength: 1, maxLength: 100 },
      type: { type: 'string', minLength: 1, maxLength: 100 },
      data: { type: 'object' },
    },
  },
}

const maxEventBytes = 64 * 1024

// #region app
/** The log lives as long as the application: opened before the first request, closed after the last. */
export async function buildApp(
  directory: string,
  logger: FastifyBaseLogger,
  options: Pick<OpenOptions, 'fileSystem' | 'maxPendingBytes'> = {},
): Promise<FastifyInstance> {
  const app = fastify({
    loggerInstance: logger,
    bodyLimit: maxEventBytes,
    // What is stored is what was sent: a wrong type is refused, not converted, and an unknown field is not dropped.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false } },
  })
  // A pino logger fits as it is. Numbers like 1e300 are longer when they are written out again, so the log has a limit, too.
  const log = await WriteAheadLog.open(directory, { ...options, entries, maxEntrySize: maxEventBytes, logger: logger.child({ component: 'log' }) })

  app.post<{ Body: Event }>('/events', { schema }, async ({ body }, reply) => {
    // Requests that come while a sync runs share the next one: no batching of your own is needed.
    const offset = await log.append(entries.received(body))
    return reply.code(202).send({ offset })
  })

  app.get('/health', (_request, reply) => reply.code(log.state === 'open' ? 200 : 503).send({ state: log.state, durableOffset: log.durableOffset }))

  app.setErrorHandler((error: FastifyError | WalError, request, reply) => {
    if (!(error instanceof WalError)) return reply.send(error) // not JSON, not valid, too large: Fastify has an answer
    request.log.warn({ err: error }, 'an event was not taken')
    return answer(error, reply)
  })

  // A failed log takes nothing any more. The answers that are under way go out, and then a supervisor begins anew: opening recovers.
  app.addHook('onResponse', async () => {
    if (log.state === 'failed') void app.close().catch(() => {})
  })

  // Called when the server takes no connections any more and every request has its answer.
  app.addHook('onClose', async () => {
    await log.close().catch((error: unknown) => {
      process.exitCode = 1
      logger.fatal({ err: error }, 'the log had failed')
    })
  })
  return app
}

function answer({ code, message }: WalError, reply: FastifyReply): FastifyReply {
  switch (code) {
    case 'ERR_WAL_BACKPRESSURE': // the disk is slower than the senders
      return reply.code(503).header('retry-after', 1).send({ code, message })
    case 'ERR_WAL_NO_SPACE': // nothing of the event stays, and the log goes on as soon as there is room
      return reply.code(503).header('retry-after', 30).send({ code, message })
    case 'ERR_WAL_ENTRY_TOO_LARGE':
      return reply.code(413).send({ code, message })
    default: // the log has failed: the event may be stored or not
      return reply.code(500).send({ code, message: 'not known to be stored: send it again' })
  }
}
// #endregion
