// WAL and what becomes of it: checkpoints, archiving, the size of pg_wal. Counting files takes pg_monitor.

import { query, type RowOf } from './query.ts'

const checkpointsText = (view: string, timed: string, requested: string) => `
SELECT ${timed} AS timed, ${requested} AS requested, extract(epoch FROM clock_timestamp() - stats_reset)::float8 AS stats_age_seconds
  FROM ${view}`

/** Checkpoints since the statistics began: those by time, and those that WAL or a command asked for. */
export const checkpoints = query({
  id: 'checkpoints',
  on: 'postgres',
  every: 10,
  columns: { timed: 'big!', requested: 'big!', stats_age_seconds: 'num' },
  variants: [
    { from: 170000, text: checkpointsText('pg_stat_checkpointer', 'num_timed', 'num_requested') },
    { from: 130000, text: checkpointsText('pg_stat_bgwriter', 'checkpoints_timed', 'checkpoints_req') },
  ],
})
export type CheckpointRow = RowOf<typeof checkpoints>

/** The archiver of a primary: ages in seconds by the server's clock, NULL for never. */
export const archiver = query({
  id: 'archiver',
  on: 'postgres',
  every: 10,
  columns: {
    archive_mode: 'text!',
    archived_count: 'big!',
    last_archived_wal: 'text',
    last_archived_age_seconds: 'num',
    failed_count: 'big!',
    last_failed_wal: 'text',
    last_failed_age_seconds: 'num',
  },
  variants: [
    {
      from: 130000,
      text: `
SELECT current_setting('archive_mode') AS archive_mode, archived_count, last_archived_wal,
       extract(epoch FROM clock_timestamp() - last_archived_time)::float8 AS last_archived_age_seconds,
       failed_count, last_failed_wal, extract(epoch FROM clock_timestamp() - last_failed_time)::float8 AS last_failed_age_seconds
  FROM pg_stat_archiver`,
    },
  ],
})
export type ArchiverRow = RowOf<typeof archiver>

/** WAL files that are complete and wait to be archived. */
export const archiveBacklog = query({
  id: 'archiveBacklog',
  on: 'postgres',
  every: 30,
  needs: { functions: ['pg_ls_archive_statusdir()'] },
  columns: { ready: 'int!' },
  variants: [{ from: 130000, text: `SELECT count(*)::int AS ready FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'` }],
})

/** The files in pg_wal, whatever their size is. */
export const walFiles = query({
  id: 'walFiles',
  on: 'postgres',
  every: 30,
  needs: { functions: ['pg_ls_waldir()'] },
  columns: { files: 'int!', total_bytes: 'big!' },
  variants: [
    {
      from: 130000,
      text: `SELECT count(*)::int AS files, coalesce(sum(size), 0)::int8 AS total_bytes FROM pg_ls_waldir()`,
    },
  ],
})
