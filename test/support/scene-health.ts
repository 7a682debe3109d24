// What only the checks ask a primary, on the scene's bad day.

import { databaseCounters } from '../../src/sql/health-counters.ts'
import { passwords, preparedTransactions, sequences } from '../../src/sql/health-limits.ts'
import { logTail } from '../../src/sql/health-log.ts'
import { settings } from '../../src/sql/health-settings.ts'
import { archiveBacklog, archiver, checkpoints, walFiles } from '../../src/sql/health-wal.ts'
import type { Query } from '../../src/sql/query.ts'
import type { Words } from './scene-rows.ts'

type Rows = readonly Readonly<Record<string, unknown>>[]

const setting = (name: string, value: string, unit: string | null = null, pending_restart = false) => ({
  name,
  setting: value,
  unit,
  pending_restart,
})

/** Settings as a server has them by default. */
export const usualSettings: Rows = [
  setting('fsync', 'on'),
  setting('full_page_writes', 'on'),
  setting('autovacuum', 'on'),
  setting('track_counts', 'on'),
  setting('track_activities', 'on'),
  setting('password_encryption', 'scram-sha-256'),
  setting('work_mem', '4096', 'kB'),
  setting('effective_cache_size', '524288', '8kB'),
  setting('shared_buffers', '16384', '8kB'),
  setting('max_wal_size', '1024', 'MB'),
  setting('archive_mode', 'on'),
  setting('archive_command', 'cp %p /archive/%f'),
]

// biome-ignore format: a row is a line
export function healthTold(w: Words): readonly (readonly [Query, Rows, Rows?])[] {
  const counted = (xact_commit: bigint, xact_rollback: bigint, deadlocks: bigint, temp_bytes: bigint) => [
    { datid: 5n, datname: w.database, xact_commit, xact_rollback, deadlocks, temp_files: 3n, temp_bytes, checksum_failures: 0n, stats_reset: '2026-11-01 00:00:00+00' },
  ]
  return [
    [databaseCounters, counted(1_002_100n, 5_400n, 13n, 900_000_000n), counted(1_000_000n, 5_000n, 12n, 900_000_000n)],
    [checkpoints, [{ timed: 40n, requested: 160n, stats_age_seconds: 86_400 }]],
    [archiver, [{ archive_mode: 'on', archived_count: 900n, last_archived_wal: '000000030000000500000029', last_archived_age_seconds: 5400, failed_count: 12n, last_failed_wal: '00000003000000050000002A', last_failed_age_seconds: 30 }]],
    [archiveBacklog, [{ ready: 61 }]],
    [walFiles, [{ files: 2600, total_bytes: 41n * 1024n ** 3n }]],
    [settings, [...usualSettings.filter(({ name }) => name !== 'track_activities'), setting('track_activities', 'off'), setting('shared_preload_libraries', 'x', null, true)]],
    [sequences, [{ seqrelid: 17_000n, schemaname: 'public', sequencename: w.table, qualified: `public.${w.table}`, last_value: 1_900_000_000n, max_value: 2_147_483_647n, cycle: false, used: 0.8847, sequences_in_all: 4, hidden: 0 }]],
    [passwords, [{ rolname: w.user, valid_until: '2026-12-01 00:00:00+00', left_seconds: 7.5 * 86_400 }]],
    [preparedTransactions, [{ gid: w.query.slice(0, 30), dbid: 5n, ownerid: 10n, prepared_age_seconds: 431, xid_age: 90_210 }]],
    [logTail, [{ file: 'postgresql-2026-11-23.csv', format: 'csvlog', since: '2026-11-23 11:00:00', tail: `cut\n2026-11-23 11:58:00.123 UTC,"${w.user}",FATAL,08006,"could not receive data from client"\n` }]],
  ]
}
