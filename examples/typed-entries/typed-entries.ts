/**
 * Entries made from codecs: what is appended is checked by the compiler, and what is read is a discriminated union.
 */
// #region entries
import { defineEntries, type EntryOf, json, type LogOf, utf8, validated, WriteAheadLog } from 'forelog'
import { z } from 'zod'

const Order = z.object({ id: z.string(), cents: z.number().int().positive(), placedAt: z.coerce.date() })

export const entries = defineEntries({
  placed: { type: 1, codec: validated(json(), Order) }, // checked when it is appended, and again when it is read
  paid: { type: 2, codec: json<{ id: string; method: 'card' | 'cash' }>() },
  cancelled: { type: 3, codec: utf8 },
})

type OrderEntry = EntryOf<typeof entries>
// #endregion

export interface OrderState {
  readonly cents: number
  readonly placedAt: Date
  status: 'open' | 'paid by card' | 'paid by cash' | 'cancelled'
}

// #region apply
function apply(orders: Map<string, OrderState>, entry: OrderEntry): void {
  switch (entry.name) {
    case 'placed': {
      const { id, cents, placedAt } = entry.value // placedAt is a Date: reading gives what the schema makes of it
      orders.set(id, { cents, placedAt, status: 'open' })
      break
    }
    case 'paid':
      settle(orders, entry.value.id, `paid by ${entry.value.method}`)
      break
    case 'cancelled':
      settle(orders, entry.value, 'cancelled')
      break
  }
}
// #endregion

function settle(orders: Map<string, OrderState>, id: string, status: OrderState['status']): void {
  const order = orders.get(id)
  if (order !== undefined) order.status = status
}

/** Takes a payment and places the next order: after a crash both are there, or neither. */
async function payAndReorder(log: LogOf<typeof entries>, id: string, next: string): Promise<void> {
  await log.appendBatch([entries.paid({ id, method: 'card' }), entries.placed({ id: next, cents: 1250, placedAt: '2026-03-02T10:00:00Z' })])
}

/** Appends some orders, and gives back what the log says of them. */
export async function typedEntries(directory: string): Promise<Map<string, OrderState>> {
  await using log = await WriteAheadLog.open(directory, { entries })
  // Called together, they share one write and one sync.
  await Promise.all([
    log.append(entries.placed({ id: 'A', cents: 1250, placedAt: '2026-03-01T09:30:00Z' })),
    log.append(entries.placed({ id: 'B', cents: 99, placedAt: new Date('2026-03-01T09:31:00Z') })),
  ])
  await payAndReorder(log, 'A', 'C')
  await log.append(entries.cancelled('B'))

  const orders = new Map<string, OrderState>()
  for await (const { entry } of log.entries()) apply(orders, entry)
  return orders
}
