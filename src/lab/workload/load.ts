// Heavier work, seldom enough to leave the machine alone: bulk loads, a query with parallel workers, slow maintenance.

import { forever, type Ports, pause, withSessions } from './scenario.ts'

export function load(ports: Ports): void {
  void forever(() => bulkLoad(ports), 3)
  void forever(() => parallelQuery(ports), 6)
  void forever(() => maintenance(ports), 12)
}

const direct = ({ primary }: Ports, application_name: string) => ({ port: primary, database: 'app', application_name })

/** About 3 MB of WAL each time; emptied before it grows beyond some 20 MB. */
const bulkLoad = (ports: Ports) =>
  withSessions([direct(ports, 'nightly-import')], async session => {
    for (let batch = 0; batch < 8; batch += 1) {
      await session.query(`INSERT INTO import_lines SELECT i, $1, repeat('z', 50) FROM generate_series(1, 20000) i`, [batch])
      await pause(12)
    }
    await session.query('TRUNCATE import_lines')
  })

/** Leader and workers sleep row by row: seen for some seconds, without use of a CPU. */
const parallelQuery = (ports: Ports) =>
  withSessions([direct(ports, 'analytics')], async session => {
    await session.query(`SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET max_parallel_workers_per_gather = 3`)
    await session.query('SELECT count(pg_sleep(0.012)) FROM accounts')
    await pause(15)
  })

/** A vacuum that is throttled to take its time, and an index built without a lock. */
const maintenance = (ports: Ports) =>
  withSessions([direct(ports, 'cron: maintenance')], async session => {
    await session.query(`SET vacuum_cost_delay = '20ms'; SET vacuum_cost_limit = 10`)
    await session.query('VACUUM (ANALYZE) import_lines')
    await pause(10)
    await session.query('REINDEX INDEX CONCURRENTLY events_at')
    await pause(25)
  })
