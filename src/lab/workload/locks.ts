// Sessions that hold each other up. Each scenario forms and dissolves by itself, for ever.

import { forever, type Ports, pause, withSessions } from './scenario.ts'

const on = (port: number, application_name: string, user = 'worker') => ({ port, database: 'app', user, application_name })

export function locks(ports: Ports): void {
  void forever(() => rowPileUp(ports), 1)
  void forever(() => advisory(ports), 2)
  void forever(() => prepared(ports), 4)
  void forever(() => migration(ports), 25)
  void forever(() => forgotten(ports), 1)
}

/** The root holds row 1; under it waiters three levels deep and two beside; 25 s, then 12 s of peace. */
const rowPileUp = ({ primary, pooled }: Ports) =>
  withSessions(
    [
      on(primary, 'billing-close', 'app_user'),
      on(pooled, 'invoice-worker'),
      on(pooled, 'mobile-api'),
      on(pooled, 'web-5'),
      on(primary, 'web-6', 'app_user'),
      on(primary, 'web-7', 'app_user'),
    ],
    async (root, second, third, fourth, ...others) => {
      const debit = 'UPDATE accounts SET balance = balance - 1 WHERE id = $1'
      for (const session of [root, second!, third!]) await session!.query('BEGIN')
      await root!.query(debit, [1])
      await second!.query(debit, [2])
      await third!.query(debit, [3])
      const waits = [second!.query(debit, [1])]
      await pause(0.5)
      waits.push(third!.query(debit, [2]))
      await pause(0.5)
      waits.push(fourth!.query(debit, [3]), ...others.map(session => session.query(debit, [1])))
      await Promise.race([pause(25), Promise.all(waits)])
      await root!.query('ROLLBACK')
      await waits[0]
      await second!.query('COMMIT')
      await waits[1]
      await third!.query('COMMIT')
      await Promise.all(waits)
      await pause(12)
    },
  )

/** Two schedulers want to be the only one; the lock is a session's, so both connect directly. */
const advisory = ({ primary }: Ports) =>
  withSessions([on(primary, 'scheduler-1'), on(primary, 'scheduler-2')], async (first, second) => {
    const take = 'SELECT pg_advisory_lock(20260101)'
    await first!.query(take)
    const waits = second!.query(take)
    await pause(15)
    await first!.query('SELECT pg_advisory_unlock_all()')
    await waits
    await pause(5)
  })

/** A transaction coordinator that has lost one: prepared, no session behind it, and it blocks. */
async function prepared({ primary }: Ports): Promise<void> {
  const gid = 'xa-order-4711'
  await withSessions(
    [on(primary, 'xa-coordinator', 'postgres'), on(primary, 'order-service', 'app_user')],
    async (coordinator, service) => {
      const { rowCount } = await coordinator!.query('SELECT FROM pg_prepared_xacts WHERE gid = $1', [gid])
      if (rowCount) await coordinator!.query(`ROLLBACK PREPARED '${gid}'`)
      await coordinator!.query('BEGIN')
      await coordinator!.query(`UPDATE orders SET status = 'paid' WHERE id = 7`)
      await coordinator!.query(`PREPARE TRANSACTION '${gid}'`)
      const waits = service!.query(`UPDATE orders SET status = 'shipped' WHERE id = 7`)
      // Somebody may roll it back by hand meanwhile: then the service goes on at once.
      await Promise.race([pause(28), waits])
      await coordinator!.query(`COMMIT PREPARED '${gid}'`)
      await waits
      await pause(14)
    },
  )
}

/** A migration waits for a reader that forgot to commit; whoever comes after waits for the migration. */
const migration = ({ primary }: Ports) => {
  const reports = (application_name: string) => ({ port: primary, database: 'reports', application_name })
  return withSessions(
    [reports('notebook'), reports('migration'), reports('export'), reports('export')],
    async (reader, owner, ...exports) => {
      await reader!.query('BEGIN')
      await reader!.query('SELECT count(*) FROM invoices')
      const waits = [owner!.query('ALTER TABLE invoices ALTER COLUMN customer SET NOT NULL')]
      await pause(1)
      waits.push(...exports.map(session => session.query('SELECT * FROM invoices WHERE paid')))
      await Promise.race([pause(14), Promise.all(waits)])
      await reader!.query('COMMIT')
      await Promise.all(waits)
      await pause(45)
    },
  )
}

/** People who open a transaction and go for coffee. */
const forgotten = ({ primary }: Ports) =>
  withSessions(
    [on(primary, 'psql', 'postgres'), { port: primary, database: 'reports', user: 'analyst', application_name: 'DBeaver 24.1' }],
    async (first, second) => {
      await first!.query('BEGIN')
      await first!.query('SELECT count(*) FROM orders')
      await pause(8)
      await second!.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
      await second!.query('SELECT * FROM ledger LIMIT 10')
      await pause(45)
      await first!.query('ROLLBACK')
      await pause(20)
      await second!.query('ROLLBACK')
      await pause(4)
    },
  )
