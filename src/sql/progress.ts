// Long commands that report how far they are, from the function under the views pg_stat_progress_*: the views join pg_database, and a
// lock on it would hide them. What each parameter means is as the views' definitions say (read on 13 to 18; they differ in few places).

import { query, type RowOf } from './query.ts'

const columns = {
  role: 'text!',
  kind: 'text',
  pid: 'int!',
  datid: 'big',
  command: 'text',
  phase: 'text',
  relid: 'big',
  relation_name: 'text',
  index_relid: 'big',
  index_name: 'text',
  current_child_table_relid: 'big',
  child_name: 'text',
  block_size: 'int!',
  heap_blks_total: 'big',
  heap_blks_scanned: 'big',
  heap_blks_vacuumed: 'big',
  index_vacuum_count: 'big',
  num_dead_item_ids: 'big',
  dead_memory_used: 'big',
  dead_memory_max: 'big',
  indexes_total: 'big',
  indexes_processed: 'big',
  delay_ms: 'num',
  sample_blks_total: 'big',
  sample_blks_scanned: 'big',
  ext_stats_total: 'big',
  ext_stats_computed: 'big',
  child_tables_total: 'big',
  child_tables_done: 'big',
  heap_tuples_scanned: 'big',
  heap_tuples_written: 'big',
  index_rebuild_count: 'big',
  lockers_total: 'big',
  lockers_done: 'big',
  current_locker_pid: 'int',
  blocks_total: 'big',
  blocks_done: 'big',
  tuples_total: 'big',
  tuples_done: 'big',
  partitions_total: 'big',
  partitions_done: 'big',
  bytes_total: 'big',
  bytes_processed: 'big',
  tuples_processed: 'big',
  tuples_excluded: 'big',
  tuples_skipped: 'big',
  copy_type: 'text',
  backup_total: 'big',
  backup_streamed: 'big',
  tablespaces_total: 'big',
  tablespaces_streamed: 'big',
  blocked_by: 'ints',
  backend_type: 'text',
  backend_start: 'text',
  query_start: 'text',
  usesysid: 'big',
  application_name: 'text',
  client_addr: 'text',
  client_port: 'int',
  state: 'text',
  wait_event_type: 'text',
  wait_event: 'text',
  xact_age_seconds: 'num',
  query_age_seconds: 'num',
  backend_xid: 'big',
  query: 'utf8',
} as const

/** Where versions differ. `deadItems`: how many; `memory`: what of the space for them is used and there is (bytes from 17 on, before items). */
type Version = {
  readonly copy: boolean
  readonly deadItems: string
  readonly indexes: readonly [total: string, processed: string]
  readonly delays: string
  readonly skipped: string
}

const kinds = ['VACUUM', 'ANALYZE', 'CLUSTER', 'CREATE INDEX', 'BASEBACKUP', 'COPY'] as const

// Where the delay is not being timed it stands at 0: then it is not known. A parameter 0 that counts from 1, or is an oid, is none.
// A relation's name is looked up only in its own database, and not while pg_class, pg_namespace or an index of theirs is locked; the
// same goes for pg_am, which knows the steps of building an index of its kind.
const text = ({ copy, deadItems, indexes, delays, skipped }: Version) => `
WITH running AS MATERIALIZED (
  ${kinds
    .filter(kind => copy || kind !== 'COPY')
    .map(kind => `SELECT '${kind}' AS kind, * FROM pg_stat_get_progress_info('${kind}')`)
    .join('\n   UNION ALL\n  ')}
), activity AS MATERIALIZED (
  SELECT pid, datid, backend_type, backend_start, query_start, usesysid, application_name, client_addr, client_port, state,
         wait_event_type, wait_event, xact_start, backend_xid, query
    FROM pg_stat_get_activity(NULL)
   WHERE (SELECT count(*) FROM running) > 0
), blocked AS MATERIALIZED (
  SELECT r.pid, ARRAY(SELECT DISTINCT unnest(pg_blocking_pids(r.pid))) AS blocked_by
    FROM running r JOIN activity a USING (pid)
   WHERE a.wait_event_type = 'Lock' OR a.backend_type IS NULL
), others AS (
  SELECT unnest(blocked_by) AS pid FROM blocked
   UNION
  SELECT param6::int FROM running WHERE kind = 'CREATE INDEX' AND param6 > 0
), here AS MATERIALIZED (
  SELECT datid AS database FROM activity WHERE pid = pg_backend_pid()
), catalogs AS MATERIALIZED (
  SELECT count(*) = 0 AS free
    FROM (SELECT * FROM pg_lock_status() WHERE (SELECT count(*) FROM running JOIN here ON datid = database) > 0) l, here
   WHERE l.database = here.database AND l.mode = 'AccessExclusiveLock'
     AND l.relation IN (1259, 2662, 2663, 3455, 2615, 2684, 2685, 2601, 2651, 2652)
), named AS (
  SELECT r.*, s.blocks, c.free, h.database IS NOT NULL AND c.free AS here,
         CASE kind WHEN 'CREATE INDEX' THEN nullif(param7, 0)::oid WHEN 'CLUSTER' THEN nullif(param3, 0)::oid END AS index_relid,
         CASE kind WHEN 'ANALYZE' THEN nullif(param8, 0)::oid END AS child_relid
    FROM running r
   CROSS JOIN (SELECT current_setting('block_size')::int AS blocks) s
   CROSS JOIN catalogs c
    LEFT JOIN here h ON h.database = r.datid
)
SELECT 'command' AS role, r.kind, r.pid, nullif(r.datid, 0)::int8 AS datid,
       CASE kind
         WHEN 'CLUSTER' THEN (ARRAY['CLUSTER', 'VACUUM FULL'])[param1]
         WHEN 'CREATE INDEX' THEN (ARRAY['CREATE INDEX', 'CREATE INDEX CONCURRENTLY', 'REINDEX', 'REINDEX CONCURRENTLY'])[param1]
         WHEN 'BASEBACKUP' THEN 'BASE_BACKUP'
         WHEN 'COPY' THEN (ARRAY['COPY FROM', 'COPY TO'])[param5]
         ELSE kind
       END AS command,
       CASE kind
         WHEN 'VACUUM' THEN (ARRAY['initializing', 'scanning heap', 'vacuuming indexes', 'vacuuming heap', 'cleaning up indexes',
           'truncating heap', 'performing final cleanup'])[param1 + 1]
         WHEN 'ANALYZE' THEN (ARRAY['initializing', 'acquiring sample rows', 'acquiring inherited sample rows', 'computing statistics',
           'computing extended statistics', 'finalizing analyze'])[param1 + 1]
         WHEN 'CLUSTER' THEN (ARRAY['initializing', 'seq scanning heap', 'index scanning heap', 'sorting tuples', 'writing new heap',
           'swapping relation files', 'rebuilding index', 'performing final cleanup'])[param2 + 1]
         WHEN 'CREATE INDEX' THEN CASE param10
           WHEN 2 THEN 'building index' || coalesce(': ' || CASE WHEN here OR free AND param9 < 16384 THEN pg_indexam_progress_phasename(param9::oid, param11) END, '')
           ELSE (ARRAY['initializing', 'waiting for writers before build', NULL, 'waiting for writers before validation',
             'index validation: scanning index', 'index validation: sorting tuples', 'index validation: scanning table',
             'waiting for old snapshots', 'waiting for readers before marking dead', 'waiting for readers before dropping'])[param10 + 1]
         END
         WHEN 'BASEBACKUP' THEN (ARRAY['initializing', 'waiting for checkpoint to finish', 'estimating backup size',
           'streaming database files', 'waiting for wal archiving to finish', 'transferring wal files'])[param1 + 1]
       END AS phase,
       nullif(r.relid, 0)::int8 AS relid,
       CASE WHEN here AND r.relid <> 0 THEN r.relid::regclass::text END AS relation_name,
       index_relid::int8 AS index_relid,
       CASE WHEN here THEN index_relid::regclass::text END AS index_name,
       child_relid::int8 AS current_child_table_relid,
       CASE WHEN here THEN child_relid::regclass::text END AS child_name,
       blocks AS block_size,
       CASE kind WHEN 'VACUUM' THEN param2 WHEN 'CLUSTER' THEN param6 END AS heap_blks_total,
       CASE kind WHEN 'VACUUM' THEN param3 WHEN 'CLUSTER' THEN param7 END AS heap_blks_scanned,
       CASE kind WHEN 'VACUUM' THEN param4 END AS heap_blks_vacuumed,
       CASE kind WHEN 'VACUUM' THEN param5 END AS index_vacuum_count,
       CASE kind WHEN 'VACUUM' THEN ${deadItems} END AS num_dead_item_ids,
       CASE kind WHEN 'VACUUM' THEN param7 END AS dead_memory_used,
       CASE kind WHEN 'VACUUM' THEN param6 END AS dead_memory_max,
       CASE kind WHEN 'VACUUM' THEN ${indexes[0]} END AS indexes_total,
       CASE kind WHEN 'VACUUM' THEN ${indexes[1]} END AS indexes_processed,
       ${delays} AS delay_ms,
       CASE kind WHEN 'ANALYZE' THEN param2 END AS sample_blks_total,
       CASE kind WHEN 'ANALYZE' THEN param3 END AS sample_blks_scanned,
       CASE kind WHEN 'ANALYZE' THEN param4 END AS ext_stats_total,
       CASE kind WHEN 'ANALYZE' THEN param5 END AS ext_stats_computed,
       CASE kind WHEN 'ANALYZE' THEN param6 END AS child_tables_total,
       CASE kind WHEN 'ANALYZE' THEN param7 END AS child_tables_done,
       CASE kind WHEN 'CLUSTER' THEN param4 END AS heap_tuples_scanned,
       CASE kind WHEN 'CLUSTER' THEN param5 END AS heap_tuples_written,
       CASE kind WHEN 'CLUSTER' THEN param8 END AS index_rebuild_count,
       CASE kind WHEN 'CREATE INDEX' THEN param4 END AS lockers_total,
       CASE kind WHEN 'CREATE INDEX' THEN param5 END AS lockers_done,
       CASE kind WHEN 'CREATE INDEX' THEN nullif(param6, 0)::int END AS current_locker_pid,
       CASE kind WHEN 'CREATE INDEX' THEN param16 END AS blocks_total,
       CASE kind WHEN 'CREATE INDEX' THEN param17 END AS blocks_done,
       CASE kind WHEN 'CREATE INDEX' THEN param12 END AS tuples_total,
       CASE kind WHEN 'CREATE INDEX' THEN param13 END AS tuples_done,
       CASE kind WHEN 'CREATE INDEX' THEN param14 END AS partitions_total,
       CASE kind WHEN 'CREATE INDEX' THEN param15 END AS partitions_done,
       CASE kind WHEN 'COPY' THEN param2 END AS bytes_total,
       CASE kind WHEN 'COPY' THEN param1 END AS bytes_processed,
       CASE kind WHEN 'COPY' THEN param3 END AS tuples_processed,
       CASE kind WHEN 'COPY' THEN param4 END AS tuples_excluded,
       ${skipped} AS tuples_skipped,
       CASE kind WHEN 'COPY' THEN (ARRAY['FILE', 'PROGRAM', 'PIPE', 'CALLBACK'])[param6] END AS copy_type,
       CASE kind WHEN 'BASEBACKUP' THEN nullif(param2, -1) END AS backup_total,
       CASE kind WHEN 'BASEBACKUP' THEN param3 END AS backup_streamed,
       CASE kind WHEN 'BASEBACKUP' THEN param4 END AS tablespaces_total,
       CASE kind WHEN 'BASEBACKUP' THEN param5 END AS tablespaces_streamed,
       b.blocked_by, a.backend_type, a.backend_start::text AS backend_start, a.query_start::text AS query_start,
       a.usesysid::int8 AS usesysid, a.application_name, host(a.client_addr) AS client_addr, a.client_port, a.state, a.wait_event_type,
       a.wait_event, extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS xact_age_seconds,
       extract(epoch FROM clock_timestamp() - a.query_start)::float8 AS query_age_seconds,
       a.backend_xid::text::int8 AS backend_xid, substring(textsend(a.query) FROM 1 FOR $1::int) AS query
  FROM named r LEFT JOIN activity a USING (pid) LEFT JOIN blocked b USING (pid)
 UNION ALL
SELECT 'other', NULL, a.pid, nullif(a.datid, 0)::int8, ${nulls('command', 'index_relid')}, ${nulls('index_relid', 'block_size')},
       current_setting('block_size')::int, ${nulls('heap_blks_total', 'blocked_by')}, NULL::int[],
       a.backend_type, a.backend_start::text, a.query_start::text, a.usesysid::int8, a.application_name, host(a.client_addr),
       a.client_port, a.state, a.wait_event_type, a.wait_event,
       extract(epoch FROM clock_timestamp() - a.xact_start)::float8, extract(epoch FROM clock_timestamp() - a.query_start)::float8,
       a.backend_xid::text::int8, substring(textsend(a.query) FROM 1 FOR $1::int)
  FROM others JOIN activity a USING (pid)`

/** As many NULLs as there are columns from one to before another. */
function nulls(from: keyof typeof columns, before: keyof typeof columns): string {
  const names = Object.keys(columns)
  return names
    .slice(names.indexOf(from), names.indexOf(before))
    .map(() => 'NULL')
    .join(', ')
}

const timed = (cases: string) =>
  `CASE WHEN current_setting('track_cost_delay_timing')::bool THEN CASE kind ${cases} END ELSE nullif(CASE kind ${cases} END, 0) END`

const from13 = {
  copy: false,
  deadItems: 'param7',
  indexes: ['NULL::int8', 'NULL::int8'],
  delays: 'NULL::float8',
  skipped: 'NULL::int8',
} as const
const from14 = { ...from13, copy: true }
const from17 = {
  ...from14,
  deadItems: 'param8',
  indexes: ['param9', 'param10'],
  skipped: "CASE kind WHEN 'COPY' THEN param7 END",
} as const
const from18 = { ...from17, delays: timed("WHEN 'VACUUM' THEN param11 / 1e6::float8 WHEN 'ANALYZE' THEN param9 / 1e6::float8") }

/**
 * `role`: `command` for each that reports its progress, `other` for sessions that these wait for. Columns have their views' names, without the
 * ones that the command does not have; `dead_memory_used` of `dead_memory_max` in bytes from 17 on, before in dead tuples. Of other roles'
 * commands a role without pg_read_all_stats sees pid, datid and what pg_stat_activity shows; the rest is NULL, the relation too.
 */
export const progress = query({
  id: 'progress',
  on: 'postgres',
  every: 'tick',
  params: ['queryBytes'],
  columns,
  variants: [
    { from: 180000, text: text(from18) },
    { from: 170000, text: text(from17) },
    { from: 140000, text: text(from14) },
    { from: 130000, text: text(from13) },
  ],
})
export type ProgressSample = RowOf<typeof progress>

/**
 * How much a vacuum has to go through in the indexes of its table, of those in the connected database. Reading a size waits for locks on the
 * index, so this is apart from the progress itself.
 */
export const vacuumIndexes = query({
  id: 'vacuumIndexes',
  on: 'postgres',
  every: 5,
  columns: { relid: 'big!', index_blocks: 'ints!' },
  variants: [
    {
      from: 130000,
      text: `
SELECT p.relid::int8 AS relid,
       coalesce(array_agg((pg_relation_size(i.indexrelid) / current_setting('block_size')::int)::int ORDER BY i.indexrelid) FILTER (WHERE i.indexrelid IS NOT NULL), '{}') AS index_blocks
  FROM pg_stat_get_progress_info('VACUUM') p
  JOIN pg_database d ON d.oid = p.datid AND d.datname = current_database()
  LEFT JOIN pg_index i ON i.indrelid = p.relid AND i.indisready
 WHERE p.relid IS NOT NULL
 GROUP BY p.relid`,
    },
  ],
})
export type VacuumIndexesRow = RowOf<typeof vacuumIndexes>
