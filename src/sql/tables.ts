// Tables of the connected database: counters, needs and freeze age; sizes slice by slice; row widths for an estimate of bloat. Temporary
// tables, foreign tables, system catalogs and TimescaleDB's own tables are left out.

import { query, type RowOf } from './query.ts'

/** How many tables the list takes: those that are largest or have the most dead rows. */
export const tableLimit = 2000

/** How many tables one statement for sizes looks at. */
const sliceTables = 500

const kinds = `c.relkind IN ('r', 'm', 'p') AND c.relpersistence <> 't'`
const userSchema = `n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')`

/** A table's own option where it has one, else the setting. */
const effective = (name: string, kind = 'float8') =>
  `coalesce(max(option_value) FILTER (WHERE option_name = '${name}')::${kind}, current_setting('${name}', true)::${kind})`

/** null where there is nothing to be said: a standby counts no changes, and nobody does without track_counts. */
const counted = (column: string) => `CASE WHEN settings.counts THEN s.${column} END AS ${column}`

const secondsSince = (moment: string) => `extract(epoch FROM clock_timestamp() - ${moment})::float8`

type Differences = { readonly lastScans: boolean; readonly frozenPages: string; readonly hasMaintain: boolean }

/** Our role may do to it what takes its owner or, from 17 on, MAINTAIN. */
const reindexes = (hasMaintain: boolean) =>
  `(pg_has_role(c.relowner, 'USAGE')${hasMaintain ? " OR has_table_privilege(c.oid, 'MAINTAIN')" : ''})`

// A row's figures are the sums over a table and all that inherits from it: partitions, chunks, children.
// Thresholds are those of relation_needs_vacanalyze() in autovacuum.c; from 18 on only pages not yet frozen count for inserts.
// Figures of a table without any options are computed like the others: pg_options_to_table(NULL) has no rows, and max() of none is NULL.
const tablesText = ({ lastScans, frozenPages, hasMaintain }: Differences) => `
WITH RECURSIVE settings AS MATERIALIZED (
  SELECT pg_is_in_recovery() AS standby,
         NOT pg_is_in_recovery() AND current_setting('track_counts')::bool AS counts,
         current_setting('autovacuum')::bool AND current_setting('track_counts')::bool AS autovacuum,
         pg_has_role(d.datdba, 'USAGE') AS owns_database,
         pg_stat_get_db_stat_reset_time(d.oid)::text AS stats_reset
    FROM pg_database d WHERE d.datname = current_database()
), rel AS MATERIALIZED (
  SELECT c.oid, n.nspname, c.relname, c.relkind, c.relowner, c.relpages, nullif(c.reltuples, -1) AS reltuples, c.reloptions,
         CASE WHEN c.relfrozenxid::text::int8 >= 3 THEN age(c.relfrozenxid) END AS freeze_age,
         CASE WHEN c.relkind <> 'p' THEN mxid_age(c.relminmxid) END AS multixact_age,
         ${frozenPages} AS frozen_pages,
         (SELECT i.inhparent FROM pg_inherits i WHERE i.inhrelid = c.oid AND i.inhseqno = 1) AS parent
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE ${kinds} AND ${userSchema}
     AND c.oid NOT IN (SELECT d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
                        WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_extension'::regclass
                          AND d.deptype = 'e' AND e.extname = 'timescaledb')
), own AS MATERIALIZED (
  SELECT rel.*, o.*,
         s.seq_scan, s.seq_tup_read, s.idx_scan, s.idx_tup_fetch, ${lastScans ? 's.last_seq_scan' : 'NULL::timestamptz'} AS last_seq_scan,
         ${['n_live_tup', 'n_dead_tup', 'n_mod_since_analyze', 'n_ins_since_vacuum', 'n_tup_ins', 'n_tup_upd', 'n_tup_hot_upd', 'n_tup_del', 'last_vacuum', 'last_autovacuum', 'last_analyze', 'last_autoanalyze', 'vacuum_count', 'autovacuum_count', 'analyze_count', 'autoanalyze_count'].map(counted).join(',\n         ')}
    FROM settings, rel
    LEFT JOIN pg_stat_all_tables s ON s.relid = rel.oid
    CROSS JOIN LATERAL (
      SELECT ${effective('autovacuum_vacuum_threshold')} AS vacuum_base, ${effective('autovacuum_vacuum_scale_factor')} AS vacuum_scale,
             ${effective('autovacuum_vacuum_max_threshold')} AS vacuum_most,
             ${effective('autovacuum_vacuum_insert_threshold')} AS insert_base, ${effective('autovacuum_vacuum_insert_scale_factor')} AS insert_scale,
             ${effective('autovacuum_analyze_threshold')} AS analyze_base, ${effective('autovacuum_analyze_scale_factor')} AS analyze_scale,
             least(${effective('autovacuum_freeze_max_age', 'int')}, current_setting('autovacuum_freeze_max_age')::int) AS freeze_max_age,
             least(${effective('autovacuum_multixact_freeze_max_age', 'int')}, current_setting('autovacuum_multixact_freeze_max_age')::int) AS multixact_max_age,
             coalesce(max(option_value) FILTER (WHERE option_name = 'autovacuum_enabled')::bool, true) AND settings.autovacuum AS autovacuum_enabled,
             coalesce(max(option_value) FILTER (WHERE option_name = 'fillfactor')::int, 100) AS fillfactor
        FROM pg_options_to_table(rel.reloptions)
    ) o
), limits AS MATERIALIZED (
  SELECT own.*,
         least(vacuum_base + vacuum_scale * coalesce(reltuples, 0), CASE WHEN vacuum_most >= 0 THEN vacuum_most END) AS vacuum_threshold,
         CASE WHEN insert_base >= 0
              THEN insert_base + insert_scale * coalesce(reltuples, 0)
                   * CASE WHEN relpages > 0 AND frozen_pages > 0 THEN 1 - least(frozen_pages, relpages)::float8 / relpages ELSE 1 END
         END AS insert_threshold,
         analyze_base + analyze_scale * coalesce(reltuples, 0) AS analyze_threshold
    FROM own
), due AS MATERIALIZED (
  SELECT limits.*,
         CASE WHEN relkind = 'p' OR standby THEN NULL
              WHEN freeze_age > freeze_max_age OR multixact_age > multixact_max_age THEN 'wraparound'
              WHEN NOT autovacuum_enabled THEN NULL
              WHEN n_dead_tup > vacuum_threshold THEN 'dead rows'
              WHEN n_ins_since_vacuum > insert_threshold THEN 'inserts' END AS vacuum_due,
         CASE WHEN relkind = 'p' OR standby THEN NULL ELSE autovacuum_enabled AND n_mod_since_analyze > analyze_threshold END AS analyze_due
    FROM limits, settings
), up AS (
  SELECT oid AS relid, oid AS ancestor FROM rel
   UNION ALL
  SELECT up.relid, rel.parent FROM up JOIN rel ON rel.oid = up.ancestor WHERE rel.parent IS NOT NULL
), family AS (
  SELECT up.ancestor,
         count(*) FILTER (WHERE due.relkind <> 'p' AND up.relid <> up.ancestor)::int AS children,
         sum(due.oid::int8) AS members,
         sum(relpages)::int8 AS relpages, sum(reltuples)::float8 AS reltuples,
         ${['seq_scan', 'seq_tup_read', 'idx_scan', 'idx_tup_fetch', 'n_live_tup', 'n_dead_tup', 'n_mod_since_analyze', 'n_ins_since_vacuum', 'n_tup_ins', 'n_tup_upd', 'n_tup_hot_upd', 'n_tup_del', 'vacuum_count', 'autovacuum_count', 'analyze_count', 'autoanalyze_count'].map(name => `sum(${name})::int8 AS ${name}`).join(', ')},
         ${['last_vacuum', 'last_autovacuum', 'last_analyze', 'last_autoanalyze', 'last_seq_scan', 'freeze_age', 'multixact_age'].map(name => `max(${name}) AS ${name}`).join(', ')},
         min(freeze_max_age) AS freeze_max_age, max(freeze_age::float8 / freeze_max_age) AS freeze_share,
         CASE WHEN count(*) = 1 THEN max(vacuum_threshold) END AS vacuum_threshold,
         CASE WHEN count(*) = 1 THEN max(insert_threshold) END AS insert_threshold,
         CASE WHEN count(*) = 1 THEN max(analyze_threshold) END AS analyze_threshold,
         bool_and(autovacuum_enabled) AS autovacuum_enabled, min(fillfactor) AS fillfactor,
         max(vacuum_due) AS vacuum_due, bool_or(analyze_due) AS analyze_due,
         count(*) FILTER (WHERE vacuum_due IS NOT NULL OR analyze_due)::int AS members_due
    FROM up JOIN due ON due.oid = up.relid
   GROUP BY up.ancestor
), ranked AS (
  SELECT family.*, count(*) OVER ()::int AS tables_in_all,
         least(row_number() OVER (ORDER BY relpages DESC, ancestor),
               row_number() OVER (ORDER BY n_dead_tup DESC NULLS LAST, ancestor)) AS rank
    FROM family
), shown AS MATERIALIZED (
  SELECT * FROM ranked ORDER BY rank LIMIT ${tableLimit}
)
SELECT c.oid::int8 AS relid, c.nspname AS schemaname, c.relname, format('%I.%I', c.nspname, c.relname) AS qualified,
       c.relkind, c.parent::int8 AS parent_relid, f.children, f.members,
       pg_get_userbyid(c.relowner) AS owner, pg_has_role(c.relowner, 'USAGE') AS owned, ${reindexes(hasMaintain)} AS reindexes,
       ${reindexes(hasMaintain)} OR settings.owns_database AS maintains,
       f.relpages, f.reltuples, f.seq_scan, f.seq_tup_read, f.idx_scan, f.idx_tup_fetch,
       ${secondsSince('f.last_seq_scan')} AS last_seq_scan_age_seconds,
       f.n_live_tup, f.n_dead_tup, f.n_mod_since_analyze, f.n_ins_since_vacuum, f.n_tup_ins, f.n_tup_upd, f.n_tup_hot_upd, f.n_tup_del,
       f.vacuum_count, f.autovacuum_count, f.analyze_count, f.autoanalyze_count,
       ${['last_vacuum', 'last_autovacuum', 'last_analyze', 'last_autoanalyze'].map(name => `f.${name}::text AS ${name}, ${secondsSince(`f.${name}`)} AS ${name}_age_seconds`).join(',\n       ')},
       f.freeze_age, f.freeze_max_age, f.freeze_share, f.multixact_age, f.vacuum_threshold, f.insert_threshold, f.analyze_threshold, f.autovacuum_enabled,
       f.fillfactor, f.vacuum_due, f.analyze_due, f.members_due, f.tables_in_all, settings.standby, settings.stats_reset,
       current_setting('block_size')::int AS block_size
  FROM shown f JOIN rel c ON c.oid = f.ancestor, settings`

/**
 * A row for each table, materialised view and partitioned table; one that others inherit from (partitioned, hypertable) tells the sums over them and
 * itself, the newest of their times, the highest age; `children` counts them, `members` differs when they are no longer the same ones. `relpages`,
 * `reltuples`: as the last VACUUM or ANALYZE left them. Thresholds are of a table alone, NULL for sums. `vacuum_due`: 'dead rows', 'inserts' or
 * 'wraparound', when autovacuum would take it; `members_due` how many it would take or analyze. What a standby doesn't count is NULL there.
 * `maintains`: our role may VACUUM it; `reindexes`: REINDEX it, which the database's owner as such may not. `tables_in_all` counts those that the limit left out too.
 */
export const tables = query({
  id: 'tables',
  on: 'postgres',
  every: 10,
  rates: true,
  columns: {
    relid: 'big!',
    schemaname: 'text!',
    relname: 'text!',
    qualified: 'text!',
    relkind: 'text!',
    parent_relid: 'big',
    children: 'int!',
    members: 'big!',
    owner: 'text',
    owned: 'bool!',
    maintains: 'bool!',
    reindexes: 'bool!',
    relpages: 'big',
    reltuples: 'num',
    seq_scan: 'big',
    seq_tup_read: 'big',
    idx_scan: 'big',
    idx_tup_fetch: 'big',
    last_seq_scan_age_seconds: 'num',
    n_live_tup: 'big',
    n_dead_tup: 'big',
    n_mod_since_analyze: 'big',
    n_ins_since_vacuum: 'big',
    n_tup_ins: 'big',
    n_tup_upd: 'big',
    n_tup_hot_upd: 'big',
    n_tup_del: 'big',
    vacuum_count: 'big',
    autovacuum_count: 'big',
    analyze_count: 'big',
    autoanalyze_count: 'big',
    last_vacuum: 'text',
    last_vacuum_age_seconds: 'num',
    last_autovacuum: 'text',
    last_autovacuum_age_seconds: 'num',
    last_analyze: 'text',
    last_analyze_age_seconds: 'num',
    last_autoanalyze: 'text',
    last_autoanalyze_age_seconds: 'num',
    freeze_age: 'int',
    freeze_max_age: 'int',
    freeze_share: 'num',
    multixact_age: 'int',
    vacuum_threshold: 'num',
    insert_threshold: 'num',
    analyze_threshold: 'num',
    autovacuum_enabled: 'bool',
    fillfactor: 'int!',
    vacuum_due: 'text',
    analyze_due: 'bool',
    members_due: 'int!',
    tables_in_all: 'int!',
    standby: 'bool!',
    stats_reset: 'text',
    block_size: 'int!',
  },
  variants: [
    {
      from: 180000,
      text: tablesText({
        lastScans: true,
        frozenPages: 'c.relallfrozen',
        hasMaintain: true,
      }),
    },
    {
      from: 170000,
      text: tablesText({
        lastScans: true,
        frozenPages: 'NULL::int',
        hasMaintain: true,
      }),
    },
    { from: 160000, text: tablesText({ lastScans: true, frozenPages: 'NULL::int', hasMaintain: false }) },
    { from: 130000, text: tablesText({ lastScans: false, frozenPages: 'NULL::int', hasMaintain: false }) },
  ],
})
export type TableRow = RowOf<typeof tables>

/** Ranges of oids ("16384 17102"), each with so many tables that one statement can tell their sizes. */
export const tableSlices = query({
  id: 'tableSlices',
  on: 'postgres',
  every: 60,
  columns: { slice: 'text!' },
  variants: [
    {
      from: 130000,
      text: `
SELECT min(oid) || ' ' || max(oid) AS slice
  FROM (SELECT c.oid::int8 AS oid, (row_number() OVER (ORDER BY c.oid) - 1) / ${sliceTables} AS slice
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE ${kinds} AND ${userSchema}) numbered
 GROUP BY numbered.slice
 ORDER BY numbered.slice`,
    },
  ],
})

/** Relations of this database that somebody holds in ACCESS EXCLUSIVE mode, or waits to: a size function would stand behind that. */
export const heldRelations = `
  SELECT DISTINCT l.relation
    FROM pg_lock_status() l
   WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'
     AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())`

/** The tables of a slice. */
export const inSlice = (oid: string) => `${oid} BETWEEN split_part($1::text, ' ', 1)::oid AND split_part($1::text, ' ', 2)::oid`

const sizeColumns = {
  relid: 'big!',
  parent_relid: 'big',
  toast_relid: 'big',
  toast_index_relid: 'big',
  locked: 'bool!',
  heap_bytes: 'big',
  index_bytes: 'big',
  toast_bytes: 'big',
} as const

// CASE keeps a size function from being called where it would have to wait.
const sizesText = (which: string) => `
WITH held AS MATERIALIZED (${heldRelations}
), touched AS MATERIALIZED (
  SELECT relation FROM held UNION SELECT x.indrelid FROM pg_index x WHERE x.indexrelid IN (SELECT relation FROM held)
), blocked AS MATERIALIZED (
  SELECT relation FROM touched UNION SELECT t.oid FROM pg_class t WHERE t.reltoastrelid IN (SELECT relation FROM touched)
), slice AS MATERIALIZED (
  SELECT c.oid, c.reltoastrelid, c.oid IN (SELECT relation FROM blocked) AS locked,
         (SELECT i.inhparent FROM pg_inherits i WHERE i.inhrelid = c.oid AND i.inhseqno = 1) AS parent
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE ${which} AND ${kinds} AND ${userSchema}
)
SELECT oid::int8 AS relid, parent::int8 AS parent_relid, locked,
       nullif(reltoastrelid, 0)::int8 AS toast_relid,
       (SELECT min(x.indexrelid::int8) FROM pg_index x WHERE x.indrelid = reltoastrelid AND reltoastrelid <> 0) AS toast_index_relid,
       CASE WHEN NOT locked THEN pg_relation_size(oid, 'main') + pg_relation_size(oid, 'fsm') + pg_relation_size(oid, 'vm') + pg_relation_size(oid, 'init') END AS heap_bytes,
       CASE WHEN NOT locked THEN pg_indexes_size(oid) END AS index_bytes,
       CASE WHEN NOT locked THEN CASE WHEN reltoastrelid = 0 THEN 0 ELSE pg_total_relation_size(reltoastrelid) END END AS toast_bytes
  FROM slice`

/**
 * Sizes of the tables of a slice. The size functions open a table, its indexes, its TOAST table and its index, so a lock on one of these is
 * enough for `locked`, with NULL sizes. `heap_bytes` includes the free space and visibility maps; the three add up to pg_total_relation_size.
 */
export const tableSizes = query({
  id: 'tableSizes',
  on: 'postgres',
  every: 60,
  forEach: { query: tableSlices, key: 'slice', retryLocked: true },
  columns: sizeColumns,
  variants: [{ from: 130000, text: sizesText(inSlice('c.oid')) }],
})
export type TableSizeRow = RowOf<typeof tableSizes>

/** Relations (of any database) that somebody holds in ACCESS EXCLUSIVE mode, or waits to. From no catalog: those can be locked too. */
export const lockedRelations = query({
  id: 'lockedRelations',
  on: 'postgres',
  every: 'tick',
  columns: { database: 'big!', relation: 'big!' },
  variants: [
    {
      from: 130000,
      text: `
SELECT DISTINCT l.database::int8 AS database, l.relation::int8 AS relation
  FROM pg_lock_status() l
 WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'
 LIMIT 10000`,
    },
  ],
})
export type LockedRelationRow = RowOf<typeof lockedRelations>

/** The relations that are no longer locked, and the tables whose index, TOAST table or its index they are. */
export const unlocked = `
  WITH given AS (SELECT unnest(string_to_array($1::text, ' ')::oid[]) AS relation),
       tables AS (SELECT relation FROM given UNION SELECT x.indrelid FROM pg_index x JOIN given ON x.indexrelid = given.relation)
  SELECT relation FROM tables
   UNION SELECT d.refobjid FROM pg_depend d JOIN tables ON d.objid = tables.relation
          WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.objsubid = 0 AND d.deptype = 'i'`

/** Sizes of the few tables that were locked a moment ago, so that nobody waits for the next round to see them. */
export const unlockedSizes = query({
  id: 'unlockedSizes',
  on: 'postgres',
  every: 10,
  params: ['unlockedRelations'],
  columns: sizeColumns,
  variants: [{ from: 130000, text: sizesText(`c.oid IN (${unlocked})`) }],
})

/**
 * How wide the rows of a table are by its statistics, for an estimate of bloat: only tables of some size of which our role may read all columns
 * (pg_stats shows a column to who may SELECT it), and which have been analyzed.
 */
export const rowWidths = query({
  id: 'rowWidths',
  on: 'postgres',
  every: 300,
  columns: { relid: 'big!', data_width_bytes: 'num!', has_nulls: 'bool!', columns: 'int!' },
  variants: [
    {
      from: 130000,
      text: `
SELECT c.oid::int8 AS relid, sum(s.avg_width * (1 - s.null_frac))::float8 AS data_width_bytes, bool_or(s.null_frac > 0) AS has_nulls, a.columns
  FROM pg_stats s
  JOIN pg_namespace n ON n.nspname = s.schemaname
  JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = s.tablename AND c.relkind IN ('r', 'm') AND c.relpages >= 16
  JOIN (SELECT attrelid, count(*)::int AS columns FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped GROUP BY attrelid) a ON a.attrelid = c.oid
 WHERE NOT s.inherited AND ${userSchema}
 GROUP BY c.oid, a.columns
HAVING count(*) = a.columns`,
    },
  ],
})
export type RowWidthRow = RowOf<typeof rowWidths>
