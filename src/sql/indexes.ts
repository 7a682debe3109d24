// Indexes of the connected database: scans, what they are made of (to find those that others make needless), invalid ones; sizes slice by
// slice. Nothing here opens an index or its table, as pg_get_indexdef() would: that stands behind a lock.

import { query, type RowOf } from './query.ts'
import { heldRelations, inSlice, tableSlices, unlocked } from './tables.ts'

/** How many indexes the list takes: the invalid ones (of TOAST tables too), then the largest. */
export const indexLimit = 4000

/** Expressions and predicates say where they stood in their statement: two that differ in that alone are the same. */
const normal = (tree: string) => `regexp_replace(${tree}::text, ':(stmt_)?(location|len) -?\\d+', '', 'g')`

const indexesText = (lastScan: string, maintains: string) => `
WITH builders AS MATERIALIZED (
  SELECT p.pid, p.index_relid FROM pg_stat_progress_create_index p WHERE p.datname = current_database()
), built AS MATERIALIZED (
  SELECT l.pid, l.relation FROM pg_lock_status() l
   WHERE (SELECT count(*) FROM builders) > 0 AND l.locktype = 'relation' AND l.granted AND l.mode = 'ShareUpdateExclusiveLock'
     AND l.pid IN (SELECT pid FROM builders)
), chosen AS MATERIALIZED (
  SELECT x.*, c.relname AS indexrelname, c.relkind, c.relam, c.relpages, nullif(c.reltuples, -1) AS reltuples, t.relname, t.relowner, n.nspname,
         count(*) OVER ()::int AS indexes_in_all
    FROM pg_index x
    JOIN pg_class c ON c.oid = x.indexrelid
    JOIN pg_class t ON t.oid = x.indrelid
    JOIN pg_namespace n ON n.oid = t.relnamespace
   WHERE (t.relkind IN ('r', 'm', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') OR t.relkind = 't' AND NOT x.indisvalid)
     AND t.relpersistence <> 't'
     AND t.oid NOT IN (SELECT d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
                        WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_extension'::regclass
                          AND d.deptype = 'e' AND e.extname = 'timescaledb')
     AND NOT (n.nspname = '_timescaledb_internal' AND t.relname ~ '^(_compressed_hypertable|compress_hyper)_')
   ORDER BY x.indisvalid, c.relpages DESC, x.indexrelid
   LIMIT ${indexLimit}
)
SELECT x.indexrelid::int8 AS indexrelid, x.indrelid::int8 AS indrelid, x.nspname AS schemaname, x.relname, x.indexrelname,
       format('%I.%I', x.nspname, x.indexrelname) AS qualified, format('%I.%I', x.nspname, x.relname) AS table_qualified,
       x.relkind, (SELECT i.inhparent FROM pg_inherits i WHERE i.inhrelid = x.indexrelid)::int8 AS parent_indexrelid,
       (SELECT i.inhparent FROM pg_inherits i WHERE i.inhrelid = x.indrelid AND i.inhseqno = 1)::int8 AS parent_indrelid,
       pg_has_role(x.relowner, 'USAGE') AS owned, ${maintains} AS maintains, pg_get_userbyid(x.relowner) AS owner, m.amname, x.relpages::int8 AS relpages, x.reltuples,
       CASE WHEN NOT pg_is_in_recovery() THEN pg_stat_get_live_tuples(x.indrelid) END AS n_live_tup, current_setting('block_size')::int AS block_size,
       pg_stat_get_numscans(x.indexrelid) AS idx_scan, pg_stat_get_tuples_returned(x.indexrelid) AS idx_tup_read,
       ${lastScan} AS last_idx_scan, extract(epoch FROM clock_timestamp() - ${lastScan})::float8 AS last_idx_scan_age_seconds,
       x.indisunique, x.indisprimary, x.indisexclusion, x.indisvalid, x.indisready, x.indisreplident, k.conname,
       NOT x.indisvalid AND x.relkind = 'i' AND EXISTS (
         SELECT FROM builders b
          WHERE b.index_relid = x.indexrelid
             OR EXISTS (SELECT FROM built l WHERE l.pid = b.pid AND (l.relation = x.indexrelid OR l.relation = x.indrelid AND coalesce(b.index_relid, 0) = 0))
       ) AS building,
       a.columns, a.key_columns,
       x.indkey::text AS indkey, x.indnkeyatts::int AS indnkeyatts, x.indclass::text AS indclass, x.indcollation::text AS indcollation, x.indoption::text AS indoption,
       CASE WHEN x.indexprs IS NOT NULL THEN md5(${normal('x.indexprs')}) END AS expressions,
       CASE WHEN x.indpred IS NOT NULL THEN md5(${normal('x.indpred')}) END AS predicate,
       s.stats_reset::text AS stats_reset, extract(epoch FROM clock_timestamp() - s.stats_reset)::float8 AS stats_age_seconds,
       x.indexes_in_all
  FROM chosen x
  JOIN pg_am m ON m.oid = x.relam
  LEFT JOIN pg_constraint k ON k.conindid = x.indexrelid AND k.conrelid = x.indrelid AND k.contype IN ('p', 'u', 'x')
  CROSS JOIN LATERAL (SELECT string_agg(format('%I', attname), ', ' ORDER BY attnum) AS columns,
                             string_agg(format('%I', attname), ', ' ORDER BY attnum) FILTER (WHERE attnum <= x.indnkeyatts) AS key_columns
                        FROM pg_attribute WHERE attrelid = x.indexrelid AND attnum > 0) a,
       (SELECT pg_stat_get_db_stat_reset_time(d.oid) AS stats_reset FROM pg_database d WHERE d.datname = current_database()) s`

const owner = `pg_has_role(x.relowner, 'USAGE')`

/**
 * A row for each index. `relkind` I: of a partitioned table, without storage of its own. An expression goes by the name that PostgreSQL gave its
 * column (`lower`). `maintains`: our role may REINDEX it. `parent_indrelid`: the table that its table inherits from. `indkey` and the like as text, `expressions` and `predicate` as digests: for comparing. `building`: it is not valid yet because
 * somebody builds it. `n_live_tup`: of its table, NULL on a standby. `last_idx_scan` from PostgreSQL 16 on. `stats_reset`: since when scans are counted, NULL for since ever.
 */
export const indexes = query({
  id: 'indexes',
  on: 'postgres',
  every: 10,
  columns: {
    indexrelid: 'big!',
    indrelid: 'big!',
    schemaname: 'text!',
    relname: 'text!',
    indexrelname: 'text!',
    qualified: 'text!',
    table_qualified: 'text!',
    relkind: 'text!',
    parent_indexrelid: 'big',
    parent_indrelid: 'big',
    owned: 'bool!',
    maintains: 'bool!',
    owner: 'text',
    amname: 'text!',
    relpages: 'big!',
    reltuples: 'num',
    n_live_tup: 'big',
    block_size: 'int!',
    idx_scan: 'big',
    idx_tup_read: 'big',
    last_idx_scan: 'text',
    last_idx_scan_age_seconds: 'num',
    indisunique: 'bool!',
    indisprimary: 'bool!',
    indisexclusion: 'bool!',
    indisvalid: 'bool!',
    indisready: 'bool!',
    indisreplident: 'bool!',
    conname: 'text',
    building: 'bool!',
    columns: 'text',
    key_columns: 'text',
    indkey: 'text!',
    indnkeyatts: 'int!',
    indclass: 'text!',
    indcollation: 'text!',
    indoption: 'text!',
    expressions: 'text',
    predicate: 'text',
    stats_reset: 'text',
    stats_age_seconds: 'num',
    indexes_in_all: 'int!',
  },
  variants: [
    {
      from: 170000,
      text: indexesText('pg_stat_get_lastscan(x.indexrelid)', `${owner} OR has_table_privilege(x.indrelid, 'MAINTAIN')`),
    },
    { from: 160000, text: indexesText('pg_stat_get_lastscan(x.indexrelid)', owner) },
    { from: 130000, text: indexesText('NULL::timestamptz', owner) },
  ],
})
export type IndexRow = RowOf<typeof indexes>

const sizeColumns = { indexrelid: 'big!', indrelid: 'big!', locked: 'bool!', total_bytes: 'big' } as const

const sizesText = (which: string) => `
WITH held AS MATERIALIZED (${heldRelations}
), slice AS MATERIALIZED (
  SELECT x.indexrelid, x.indrelid, x.indexrelid IN (SELECT relation FROM held) AS locked
    FROM pg_index x
    JOIN pg_class c ON c.oid = x.indexrelid AND c.relkind = 'i'
    JOIN pg_class t ON t.oid = x.indrelid AND t.relkind IN ('r', 'm')
   WHERE ${which}
)
SELECT indexrelid::int8 AS indexrelid, indrelid::int8 AS indrelid, locked,
       CASE WHEN NOT locked THEN pg_total_relation_size(indexrelid) END AS total_bytes
  FROM slice`

/** Sizes of the indexes of a slice of tables; `locked` with NULL where somebody holds the index itself or waits to. */
export const indexSizes = query({
  id: 'indexSizes',
  on: 'postgres',
  every: 60,
  forEach: { query: tableSlices, key: 'slice', retryLocked: true },
  columns: sizeColumns,
  variants: [{ from: 130000, text: sizesText(inSlice('x.indrelid')) }],
})
export type IndexSizeRow = RowOf<typeof indexSizes>

/** Of tables or indexes that were locked a moment ago. */
export const unlockedIndexSizes = query({
  id: 'unlockedIndexSizes',
  on: 'postgres',
  every: 10,
  params: ['unlockedRelations'],
  columns: sizeColumns,
  variants: [{ from: 130000, text: sizesText(`x.indrelid IN (${unlocked})`) }],
})
