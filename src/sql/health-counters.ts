// What happened in each database since its statistics began: for figures of a minute.

import { query, type RowOf } from './query.ts'

/** A row for each database, and one (`datname` NULL) for what all share. `checksum_failures` NULL: data checksums are off. */
export const databaseCounters = query({
  id: 'databaseCounters',
  on: 'postgres',
  every: 'tick',
  columns: {
    datid: 'big!',
    datname: 'text',
    xact_commit: 'big!',
    xact_rollback: 'big!',
    deadlocks: 'big!',
    temp_files: 'big!',
    temp_bytes: 'big!',
    checksum_failures: 'big',
    stats_reset: 'text',
  },
  variants: [
    {
      from: 130000,
      text: `
SELECT datid::int8 AS datid, datname, xact_commit, xact_rollback, deadlocks, temp_files, temp_bytes, checksum_failures, stats_reset::text AS stats_reset
  FROM pg_stat_database`,
    },
  ],
})
export type DatabaseCounterRow = RowOf<typeof databaseCounters>
