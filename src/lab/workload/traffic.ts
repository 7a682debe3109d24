// Application traffic through the pooler: short transactions of several applications, and a small pool that runs full.

import type { Client } from 'pg'
import { between, forever, type Ports, pause, withSessions } from './scenario.ts'

/** One client of an application: connected for some minutes, then it comes back as a new one. */
function client(
  ports: Ports,
  target: { database: string; user: string; application_name: string },
  transaction: (session: Client) => Promise<unknown>,
  pauseSeconds: () => number,
): Promise<never> {
  return forever(() =>
    withSessions([{ port: ports.pooled, ...target }], async session => {
      const until = Date.now() + between(120, 300) * 1000
      while (Date.now() < until) {
        await session.query('BEGIN')
        await transaction(session)
        await session.query('COMMIT')
        await pause(pauseSeconds())
      }
    }),
  )
}

export function traffic(ports: Ports): void {
  for (const number of [1, 2, 3, 4]) {
    void client(ports, { database: 'app', user: 'app_user', application_name: `web-${number}` }, browse, () => between(0.4, 1.2))
  }
  for (const number of [1, 2]) {
    void client(ports, { database: 'app', user: 'worker', application_name: `worker-${number}` }, work, () => between(0.5, 1.5))
  }
  for (const number of [1, 2, 3, 4, 5, 6]) {
    void client(ports, { database: 'shop', user: 'shop_user', application_name: `checkout-${number}` }, checkOut, () =>
      rushHour() ? between(0.1, 0.5) : between(3, 6),
    )
  }
  void client(ports, { database: 'reports', user: 'analyst', application_name: 'dashboard' }, report, () => between(1, 3))
  // What the applications leave behind is kept small.
  void forever(async () => {
    await pause(30)
    await withSessions([{ port: ports.primary, database: 'app', application_name: 'cron: purge' }], async session => {
      await session.query(`DELETE FROM events WHERE at < now() - interval '5 minutes'`)
    })
    await withSessions([{ port: ports.primary, database: 'shop', application_name: 'cron: purge' }], async session => {
      await session.query(`DELETE FROM carts WHERE at < now() - interval '5 minutes'`)
    })
  })
}

/** 30 s of crowd, 20 s of calm. The checkout pool has two servers: in a crowd its clients wait. */
const rushHour = () => (Date.now() / 1000) % 50 < 30

const someId = (highest: number) => 100 + Math.floor(Math.random() * (highest - 100))

async function browse(session: Client) {
  const id = someId(2000)
  await session.query('SELECT owner, balance FROM accounts WHERE id = $1', [id])
  await session.query('SELECT id, status, total FROM orders WHERE account_id = $1', [id])
  await session.query(`INSERT INTO events (kind, payload) VALUES ('page', repeat('y', 120))`)
  await session.query('SELECT pg_sleep($1::float8)', [between(0.02, 0.15)])
}

async function work(session: Client) {
  await session.query(`UPDATE orders SET status = 'packed', total = total + 1 WHERE id = $1`, [someId(5000)])
  await session.query('SELECT pg_sleep($1::float8) /* calls the carrier */', [between(0.3, 1.5)])
  await session.query(`INSERT INTO events (kind) VALUES ('packed')`)
}

async function checkOut(session: Client) {
  await session.query('INSERT INTO carts (product_id, amount) VALUES ($1, 1)', [someId(500)])
  await session.query('SELECT pg_sleep($1::float8) /* asks the payment provider */', [between(0.4, 0.9)])
}

async function report(session: Client) {
  await session.query(`SELECT date_trunc('month', booked), sum(amount) FROM ledger WHERE booked > current_date - 30 GROUP BY 1`)
}
