// The standby at work: long reports, one of them in the way of replay now and then, and a pause of replay.

import { forever, type Ports, pause, withSessions } from './scenario.ts'

export function standby(ports: Ports): void {
  void forever(() => longReport(ports))
  void forever(() => conflict(ports), 45)
  void forever(() => replayPause(ports), 15)
}

const onStandby = ({ standby }: Ports, application_name: string, user = 'analyst') => ({
  port: standby,
  database: 'reports',
  user,
  application_name,
})

const longReport = (ports: Ports) =>
  withSessions([onStandby(ports, 'metabase')], async session => {
    await session.query(
      'SELECT sum(amount), pg_sleep(20) FROM (SELECT amount FROM ledger WHERE booked > current_date - 90) AS quarter',
    )
    await pause(6)
  })

/** A report with a snapshot, and a vacuum on the primary that removes rows it may still see: replay waits, then cancels it. */
const conflict = (ports: Ports) =>
  withSessions(
    [onStandby(ports, 'year-end-report'), { port: ports.primary, database: 'reports', application_name: 'cron: archive' }],
    async (report, archive) => {
      await report!.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
      await report!.query('SELECT count(*) FROM ledger')
      const cancelled = report!.query('SELECT count(*), pg_sleep(30) FROM (SELECT FROM ledger LIMIT 1) AS one').catch(() => {})
      await archive!.query('WITH old AS (DELETE FROM ledger WHERE id <= 500 RETURNING *) INSERT INTO ledger SELECT * FROM old')
      await archive!.query('VACUUM ledger')
      await cancelled
      await pause(70)
    },
  )

/** Replay stands still for a while: lag that is real, in seconds and in bytes. */
const replayPause = (ports: Ports) =>
  withSessions([onStandby(ports, 'dba: schema check', 'postgres')], async session => {
    await session.query('SELECT pg_wal_replay_pause()')
    await pause(13)
    await session.query('SELECT pg_wal_replay_resume()')
    await pause(50)
  })
