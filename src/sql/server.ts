// What is asked of every PostgreSQL server whatever pane is shown: facts (seldom), the pulse (each tick, from functions that no
// catalog lock can hold up), the counters of its databases, and the names behind oids.

import { query, type RowOf } from './query.ts'

/** Functions that not every role may call and that checks use. */
const healthFunctions = [
  'pg_ls_waldir()',
  'pg_ls_archive_statusdir()',
  'pg_ls_logdir()',
  'pg_current_logfile(text)',
  'pg_read_binary_file(text,bigint,bigint)',
]

/** Once per connection and every half minute. `callable`: those of healthFunctions that our role may call, between blanks. */
export const facts = query({
  id: 'facts',
  on: 'postgres',
  every: 30,
  columns: {
    version_num: 'int!',
    version_text: 'text!',
    database_oid: 'big!',
    datname: 'text!',
    is_superuser: 'bool!',
    reads_all_stats: 'bool!',
    signals_backends: 'bool!',
    signals_autovacuum: 'bool!',
    pauses_replay: 'bool!',
    resumes_replay: 'bool!',
    has_replication: 'bool!',
    usable_connections: 'int!',
    system_identifier: 'big!',
    cluster_name: 'text',
    server_encoding: 'text!',
    timescaledb_version: 'text',
    timescaledb_available: 'bool!',
    timescaledb_license: 'text',
    timescaledb_schema: 'text',
    pg_stat_statements_version: 'text',
    pg_stat_statements_available: 'bool!',
    pgstattuple_schema: 'text',
    pgstattuple_executes: 'bool!',
    pgstattuple_in_reach: 'bool!',
    callable: 'text!',
    collects_log: 'bool!',
  },
  variants: [
    {
      from: 130000,
      text: `
SELECT current_setting('server_version_num')::int AS version_num,
       current_setting('server_version') AS version_text,
       d.oid::int8 AS database_oid,
       d.datname,
       r.rolsuper AS is_superuser,
       r.rolsuper OR pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS reads_all_stats,
       r.rolsuper OR pg_has_role(current_user, 'pg_signal_backend', 'USAGE') AS signals_backends,
       r.rolsuper OR EXISTS (SELECT FROM pg_roles s WHERE s.rolname = 'pg_signal_autovacuum_worker' AND pg_has_role(s.oid, 'USAGE')) AS signals_autovacuum,
       has_function_privilege('pg_wal_replay_pause()', 'EXECUTE') AS pauses_replay,
       has_function_privilege('pg_wal_replay_resume()', 'EXECUTE') AS resumes_replay,
       r.rolsuper OR r.rolreplication AS has_replication,
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
         - coalesce(current_setting('reserved_connections', true)::int, 0) AS usable_connections,
       (pg_control_system()).system_identifier AS system_identifier,
       nullif(current_setting('cluster_name'), '') AS cluster_name,
       current_setting('server_encoding') AS server_encoding,
       (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb') AS timescaledb_version,
       available.names @> '{timescaledb}' AS timescaledb_available,
       current_setting('timescaledb.license', true) AS timescaledb_license,
       (SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'timescaledb') AS timescaledb_schema,
       (SELECT extversion FROM pg_extension WHERE extname = 'pg_stat_statements') AS pg_stat_statements_version,
       available.names @> '{pg_stat_statements}' AS pg_stat_statements_available,
       (SELECT coalesce(string_agg(f, ' '), '') FROM unnest('{${healthFunctions.map(name => `"${name}"`).join(',')}}'::text[]) f
         WHERE has_function_privilege(f, 'EXECUTE')) AS callable,
       current_setting('logging_collector')::bool AS collects_log,
       t.nspname AS pgstattuple_schema,
       t.oid IS NOT NULL AND NOT EXISTS (
         SELECT FROM pg_depend m JOIN pg_proc p ON p.oid = m.objid
          WHERE m.classid = 'pg_proc'::regclass AND m.refclassid = 'pg_extension'::regclass AND m.refobjid = t.oid AND m.deptype = 'e'
            AND p.proname IN ('pgstattuple', 'pgstatindex') AND NOT has_function_privilege(p.oid, 'EXECUTE')) AS pgstattuple_executes,
       t.oid IS NOT NULL AND has_schema_privilege(t.extnamespace, 'USAGE') AS pgstattuple_in_reach
  FROM pg_database d
  JOIN pg_roles r ON r.rolname = current_user
  LEFT JOIN (SELECT e.oid, e.extnamespace, n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pgstattuple') t ON true
 CROSS JOIN (SELECT coalesce(array_agg(name), '{}') AS names FROM pg_available_extensions() WHERE name IN ('timescaledb', 'pg_stat_statements')) available
 WHERE d.datname = current_database()`,
    },
  ],
})
export type FactsRow = RowOf<typeof facts>

const pulseColumns = {
  in_recovery: 'bool!',
  clock_epoch: 'num!',
  lsn: 'lsn',
  receive_lsn: 'lsn',
  last_replay_epoch: 'num',
  replay_pause: 'text',
  timeline: 'text',
  postmaster_start_epoch: 'num!',
  ready_epoch: 'num',
  conf_load_epoch: 'num',
  own_pid: 'int!',
  clients: 'int!',
  active: 'int!',
  waiting: 'int!',
  idle_in_transaction: 'int!',
  restricted: 'int!',
  oldest_xact_seconds: 'num',
} as const

const pulseText = (replayPause: string) => `
SELECT s.in_recovery,
       extract(epoch FROM clock_timestamp())::float8 AS clock_epoch,
       CASE WHEN s.in_recovery THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END AS lsn,
       CASE WHEN s.in_recovery THEN pg_last_wal_receive_lsn() END AS receive_lsn,
       CASE WHEN s.in_recovery THEN extract(epoch FROM pg_last_xact_replay_timestamp())::float8 END AS last_replay_epoch,
       CASE WHEN s.in_recovery THEN ${replayPause} END AS replay_pause,
       CASE WHEN NOT s.in_recovery THEN substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END AS timeline,
       extract(epoch FROM pg_postmaster_start_time())::float8 AS postmaster_start_epoch,
       extract(epoch FROM pg_conf_load_time())::float8 AS conf_load_epoch,
       pg_backend_pid() AS own_pid,
       a.*
  FROM (SELECT pg_is_in_recovery() AS in_recovery) s,
       (SELECT count(*) FILTER (WHERE backend_type = 'client backend' OR backend_type IS NULL AND datid <> 0)::int AS clients,
               count(*) FILTER (WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND state IN ('active', 'fastpath function call'))::int AS active,
               count(*) FILTER (WHERE backend_type = 'client backend' AND wait_event_type = 'Lock')::int AS waiting,
               count(*) FILTER (WHERE backend_type = 'client backend' AND state LIKE 'idle in transaction%')::int AS idle_in_transaction,
               count(*) FILTER (WHERE backend_type IS NULL AND datid <> 0)::int AS restricted,
               max(extract(epoch FROM backend_start)) FILTER (WHERE backend_type = 'walwriter')::float8 AS ready_epoch,
               max(extract(epoch FROM clock_timestamp() - xact_start)) FILTER (WHERE backend_type = 'client backend' AND pid <> pg_backend_pid())::float8 AS oldest_xact_seconds
          FROM pg_stat_get_activity(NULL)
         WHERE $1::int <> 0) a`

/**
 * One row a tick, without any catalog. `lsn`: the insert position of a primary, the replay position of a standby. `clock_epoch`: the
 * server's clock in seconds. Our own session is among the clients and in no other figure. `restricted`: sessions of a database whose state this role may not see (they are counted as clients, never as idle or active).
 * `replay_pause`: 'not paused', 'pause requested', 'paused'. `timeline`: of a primary, eight hex digits, right at once after a promotion. `ready_epoch`: when a
 * primary began to take writes, by the start of its WAL writer: anew after each crash, which leaves the postmaster's start as it was; NULL on a standby and without
 * pg_read_all_stats. `conf_load_epoch`: when our session read the configuration last.
 */
export const pulse = query({
  id: 'pulse',
  on: 'postgres',
  every: 'tick',
  params: ['countSessions'],
  oneRow: true,
  columns: pulseColumns,
  variants: [
    { from: 140000, text: pulseText('pg_get_wal_replay_pause_state()') },
    { from: 130000, text: pulseText("CASE WHEN pg_is_wal_replay_paused() THEN 'paused' ELSE 'not paused' END") },
  ],
})
export type PulseRow = RowOf<typeof pulse>

/** Sums over all databases since the statistics' start; a change of `stats_epoch` (datid=stats_reset of each, - for none) means that they began again. */
export const counters = query({
  id: 'counters',
  on: 'postgres',
  every: 'tick',
  oneRow: true,
  columns: { xact: 'big!', blks_hit: 'big!', blks_read: 'big!', stats_epoch: 'text' },
  variants: [
    {
      from: 130000,
      text: `
SELECT coalesce(sum(xact_commit + xact_rollback), 0)::int8 AS xact,
       coalesce(sum(blks_hit), 0)::int8 AS blks_hit,
       coalesce(sum(blks_read), 0)::int8 AS blks_read,
       string_agg(datid || '=' || coalesce(extract(epoch FROM stats_reset)::text, '-'), ' ' ORDER BY datid) AS stats_epoch
  FROM pg_stat_database`,
    },
  ],
})
export type CountersRow = RowOf<typeof counters>

/**
 * The names behind datid and usesysid: read apart from sessions, so that a locked catalog never hides them. Of a role also whether it is a
 * superuser, and whether ours has its privileges (is it, is a member of it, or is a superuser): whose sessions may be ended follows from that.
 */
export const names = query({
  id: 'names',
  on: 'postgres',
  every: 5,
  light: true,
  columns: { kind: 'text!', oid: 'big!', name: 'text!', is_superuser: 'bool', has_privileges: 'bool' },
  variants: [
    {
      from: 130000,
      text: `SELECT 'database' AS kind, oid::int8 AS oid, datname AS name, NULL::bool AS is_superuser, NULL::bool AS has_privileges FROM pg_database
UNION ALL SELECT 'role', oid::int8, rolname, rolsuper, pg_has_role(oid, 'USAGE') FROM pg_roles`,
    },
  ],
})
export type NamesRow = RowOf<typeof names>
