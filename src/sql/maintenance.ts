// What maintenance asks beside its statements: who uses a table now, what it is by name still, who held it up, what it has left behind.
// Everything is qualified: no search_path counts. Those that are no `query` are asked by a deed on its own connection.

import { query, type RowOf } from './query.ts'

/** Sessions that hold a lock on the tables that an open question is about ($1: their oids); pid 0: a prepared transaction. */
export const relationUsers = query({
  id: 'relationUsers',
  on: 'postgres',
  every: 'tick',
  params: ['askedRelations'],
  columns: { relid: 'big!', pids: 'ints!' },
  variants: [
    {
      from: 130000,
      text: `
SELECT l.relation::int8 AS relid, array_agg(DISTINCT coalesce(l.pid, 0)) AS pids
  FROM pg_lock_status() l
 WHERE l.locktype = 'relation' AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid() AND l.relation = ANY ($1::oid[])
   AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
 GROUP BY l.relation`,
    },
  ],
})
export type RelationUsersRow = RowOf<typeof relationUsers>

/**
 * $1 oid of a table or index. No row: it is gone. `qualified` tells whether it still goes by the name that was shown; `vacuums` and `dead` are the
 * statistics', NULL where nothing is counted; `indexes` are its own and its TOAST table's; `now` is the server's clock.
 */
export const relationNow = `SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS qualified, CASE WHEN pg_catalog.current_setting('track_counts')::bool THEN pg_catalog.pg_stat_get_vacuum_count(c.oid) END AS vacuums, pg_catalog.pg_stat_get_dead_tuples(c.oid) AS dead, (SELECT count(*) FROM pg_catalog.pg_index x WHERE x.indrelid IN (c.oid, c.reltoastrelid)) AS indexes, pg_catalog.clock_timestamp()::text AS now FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1::oid`

/** $1 oid of a table: what it takes with indexes and TOAST. Waits for whoever holds it against everybody. */
export const sizeNow = `SELECT pg_catalog.pg_total_relation_size($1::oid) AS bytes`

/** $1 oid of a table, $2 quoted name: its index of that name, which a REINDEX CONCURRENTLY gives another oid. No row: there is none. */
export const indexByName = `SELECT x.indexrelid FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class c ON c.oid = x.indexrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE x.indrelid = $1::oid AND pg_catalog.format('%I.%I', n.nspname, c.relname) = $2`

const sessionColumns = `a.pid, pg_catalog.pg_get_userbyid(a.usesysid) AS usename, a.application_name, a.state, extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start)::int8 AS xact_seconds`

/** $1 oid: who holds it, and in which mode; the newest transaction last. pid NULL: a prepared transaction. */
export const relationHolders = `SELECT l.mode, l.pid AS lock_pid, ${sessionColumns} FROM pg_catalog.pg_lock_status() l LEFT JOIN LATERAL pg_catalog.pg_stat_get_activity(l.pid) a ON l.pid IS NOT NULL WHERE l.relation = $1::oid AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()) AND l.granted AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid() ORDER BY a.xact_start`

/**
 * Whose snapshot is the oldest of those that were there before $1 (a moment of the server's clock): what it may still see VACUUM leaves alone. A session
 * (but for those of $2), a slot or a prepared transaction.
 */
export const oldestSnapshot = `
SELECT * FROM (
  SELECT pg_catalog.age(a.backend_xmin) AS age, 'session' AS kind, NULL AS name, ${sessionColumns}
    FROM pg_catalog.pg_stat_get_activity(NULL) a
   WHERE a.backend_xmin IS NOT NULL AND a.pid <> pg_catalog.pg_backend_pid() AND a.pid <> ALL ($2::int[]) AND a.xact_start < $1::timestamptz
     AND (a.datid IS NULL OR a.datid IN (0, (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())))
  UNION ALL
  SELECT pg_catalog.age(s.xmin), 'slot', s.slot_name::text, NULL, NULL, NULL, NULL, NULL FROM pg_catalog.pg_get_replication_slots() s WHERE s.xmin IS NOT NULL
  UNION ALL
  SELECT pg_catalog.age(p.transaction), 'prepared', p.gid, NULL, NULL, NULL, NULL, extract(epoch FROM pg_catalog.clock_timestamp() - p.prepared)::int8 FROM pg_catalog.pg_prepared_xact() p
   WHERE p.prepared < $1::timestamptz AND p.dbid = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
) held ORDER BY age DESC LIMIT 1`

/** $1 oid of a table: its invalid indexes and those of its TOAST table. */
export const invalidIndexes = `SELECT x.indexrelid::int8 AS indexrelid, x.indrelid::int8 AS indrelid, pg_catalog.format('%I.%I', n.nspname, c.relname) AS qualified, c.relname AS indexrelname, pg_catalog.format('%I.%I', n.nspname, t.relname) AS table_qualified, x.indisready FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class t ON t.oid = x.indrelid JOIN pg_catalog.pg_class c ON c.oid = x.indexrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE NOT x.indisvalid AND x.indrelid IN (SELECT $1::oid UNION ALL SELECT t.reltoastrelid FROM pg_catalog.pg_class t WHERE t.oid = $1::oid)`

/** $1 oid of an index. No row: it is gone. `building`: somebody who builds or rebuilds indexes is at its table. */
export const indexNow = `SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS qualified, x.indisvalid, EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index p JOIN pg_catalog.pg_lock_status() l ON l.pid = p.pid AND l.locktype = 'relation' AND l.granted WHERE l.relation IN (x.indexrelid, x.indrelid)) AS building FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class c ON c.oid = x.indexrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE x.indexrelid = $1::oid`
