// The tables of a scene: a table that was deleted from and never vacuumed, one that is locked, a partitioned one, a hypertable; indexes that
// are invalid, unused and said twice; databases one of which may not be measured.

import { databaseSizes, databases, tablespaces } from '../../src/sql/databases.ts'
import { indexWidths } from '../../src/sql/index-widths.ts'
import { indexes, indexSizes } from '../../src/sql/indexes.ts'
import type { Query } from '../../src/sql/query.ts'
import { rowWidths, tableSizes, tables } from '../../src/sql/tables.ts'
import { compressedParts } from '../../src/sql/timescale.ts'
import type { Words } from './scene-rows.ts'

type Given = Readonly<Record<string, unknown>>
type Told = readonly [Query, readonly Given[], (readonly Given[])?]

const megabyte = 1024n ** 2n
const gigabyte = 1024n ** 3n

// biome-ignore format: a row is a line
function tableRow(relid: bigint, relname: string, change: Given = {}): Given {
  const moments = { last_autovacuum: '2026-11-23 08:00:00+00', last_autovacuum_age_seconds: 14_400, last_autoanalyze: '2026-11-23 11:12:00+00', last_autoanalyze_age_seconds: 2880 }
  return {
    relid, schemaname: 'public', relname, qualified: `public.${relname}`, relkind: 'r', children: 0, members: relid, owner: 'app', owned: true, maintains: true, reindexes: true,
    relpages: 1000n, reltuples: 90_000, seq_scan: 12n, seq_tup_read: 40_000n, idx_scan: 812_345n, idx_tup_fetch: 900_000n,
    n_live_tup: 91_000n, n_dead_tup: 1200n, n_mod_since_analyze: 800n, n_ins_since_vacuum: 400n, n_tup_ins: 120_000n, n_tup_upd: 40_000n, n_tup_hot_upd: 30_000n, n_tup_del: 2000n,
    vacuum_count: 0n, autovacuum_count: 31n, analyze_count: 0n, autoanalyze_count: 40n, ...moments,
    freeze_age: 41_000_000, freeze_max_age: 200_000_000, freeze_share: 0.205, multixact_age: 12, vacuum_threshold: 18_050, insert_threshold: 19_000, analyze_threshold: 9050,
    autovacuum_enabled: true, fillfactor: 100, analyze_due: false, members_due: 0, tables_in_all: 8, standby: false, block_size: 8192, ...change,
  }
}

const sums = { vacuum_threshold: null, insert_threshold: null, analyze_threshold: null }

// biome-ignore format: a row is a line
function tableRows(w: Words): readonly Given[] {
  const never = { last_autovacuum: null, last_autovacuum_age_seconds: null, autovacuum_count: 0n }
  return [
    tableRow(20_001n, 'orders', { relpages: 400_000n, reltuples: 9_000_000, n_live_tup: 9_100_000n, n_dead_tup: 4_400_000n, vacuum_due: 'dead rows', analyze_due: true, members_due: 1, n_tup_upd: 1_000_000n, vacuum_threshold: 1_800_050, n_mod_since_analyze: 4_000_000n }),
    tableRow(20_002n, 'stock', { n_dead_tup: 24_000n, autovacuum_enabled: false, ...never }),
    tableRow(20_003n, 'audit_log', { relpages: 90_000n, seq_scan: 812n, seq_tup_read: 812_000_000n, idx_scan: null, idx_tup_fetch: null, freeze_age: 212_000_000, freeze_share: 1.06, vacuum_due: 'wraparound', members_due: 1, owner: 'audit', owned: false, maintains: false, reindexes: false }),
    tableRow(20_010n, 'visits', { relkind: 'p', children: 2, members: 60_033n, n_live_tup: 182_000n, n_dead_tup: 2400n, members_due: 1, vacuum_due: 'inserts', autovacuum_count: 62n, ...sums }),
    tableRow(20_011n, 'visits_2026_11', { parent_relid: 20_010n, vacuum_due: 'inserts', members_due: 1, n_ins_since_vacuum: 30_000n }),
    tableRow(20_012n, 'visits_2026_10', { parent_relid: 20_010n }),
    tableRow(20_020n, w.table, { children: 1, members: 40_041n, n_live_tup: 5_000_000n, owner: w.user, ...sums }),
    tableRow(20_021n, '_hyper_1_101_chunk', { schemaname: '_timescaledb_internal', qualified: '_timescaledb_internal._hyper_1_101_chunk', parent_relid: 20_020n }),
    tableRow(20_022n, 'compress_hyper_2_102_chunk', { schemaname: '_timescaledb_internal', qualified: '_timescaledb_internal.compress_hyper_2_102_chunk', freeze_age: 90_000_000, freeze_share: 0.45 }),
  ]
}

const before = (rows: readonly Given[]) =>
  rows.map(row => ({ ...row, n_tup_ins: (row.n_tup_ins as bigint) - 120n, n_tup_upd: (row.n_tup_upd as bigint) - 42n }))

function indexRow(indexrelid: bigint, indexrelname: string, table: readonly [bigint, string], change: Given = {}): Given {
  const [indrelid, relname] = table
  return {
    indexrelid,
    indrelid,
    schemaname: 'public',
    relname,
    indexrelname,
    qualified: `public.${indexrelname}`,
    table_qualified: `public.${relname}`,
    relkind: 'i',
    owned: true,
    maintains: true,
    owner: 'app',
    amname: 'btree',
    relpages: 100n,
    reltuples: 9_000_000,
    n_live_tup: 9_100_000n,
    block_size: 8192,
    idx_scan: 812_345n,
    last_idx_scan: '2026-11-23 11:59:58+00',
    last_idx_scan_age_seconds: 2,
    indisunique: false,
    indisprimary: false,
    indisexclusion: false,
    indisvalid: true,
    indisready: true,
    indisreplident: false,
    building: false,
    columns: 'id',
    key_columns: 'id',
    indkey: '1',
    indnkeyatts: 1,
    indclass: '1978',
    indcollation: '0',
    indoption: '0',
    stats_reset: '2026-10-23 12:00:00+00',
    stats_age_seconds: 31 * 86_400,
    indexes_in_all: 7,
    ...change,
  }
}

const idle = { idx_scan: 0n, last_idx_scan: null, last_idx_scan_age_seconds: null }

// biome-ignore format: a row is a line
function indexRows(w: Words): readonly Given[] {
  const [orders, hyper] = [[20_001n, 'orders'], [20_020n, w.table]] as const
  const customer = { columns: 'customer_id', key_columns: 'customer_id', indkey: '2' }
  return [
    indexRow(21_001n, 'orders_pkey', orders, { indisunique: true, indisprimary: true, conname: 'orders_pkey' }),
    indexRow(21_002n, 'orders_customer', orders, customer),
    indexRow(21_003n, 'orders_customer_again', orders, { ...customer, ...idle }),
    indexRow(21_004n, 'orders_customer_placed', orders, { columns: 'customer_id, placed_at', key_columns: 'customer_id, placed_at', indkey: '2 3', indnkeyatts: 2, indclass: '1978 3128', indcollation: '0 0', indoption: '0 0' }),
    indexRow(21_005n, 'orders_note', orders, { columns: 'note', key_columns: 'note', indkey: '9', ...idle }),
    indexRow(21_006n, 'orders_status_ccnew', orders, { columns: 'status', key_columns: 'status', indkey: '4', indisvalid: false, ...idle }),
    indexRow(21_007n, `${w.table}_at_idx`, hyper, { columns: '"at"', key_columns: '"at"', indkey: '3', indclass: '3127' }),
  ]
}

// biome-ignore format: a row is a line
export function tablesTold(w: Words): readonly Told[] {
  const rows = tableRows(w)
  const size = (relid: bigint, heap: bigint, more: Given = {}) => ({ relid, locked: false, heap_bytes: heap, index_bytes: heap / 4n, toast_bytes: 8192n, ...more })
  const database = (oid: bigint, datname: string, change: Given = {}) => ({ oid, datname, owner: 'postgres', tablespace: 'pg_default', datallowconn: true, datconnlimit: -1, measurable: true, numbackends: 3, freeze_age: 41_000_000, multixact_age: 12, freeze_max_age: 200_000_000, deadlocks: 0n, temp_bytes: 0n, ...change })
  return [
    [tables, rows, before(rows)],
    [
      tableSizes,
      [
        size(20_001n, 3n * gigabyte),
        { relid: 20_002n, locked: true },
        size(20_003n, 700n * megabyte),
        size(20_010n, 0n, { toast_bytes: 0n }),
        size(20_011n, 40n * megabyte, { parent_relid: 20_010n }),
        size(20_012n, 38n * megabyte, { parent_relid: 20_010n }),
        size(20_020n, 0n),
        size(20_021n, 900n * megabyte, { parent_relid: 20_020n }),
        size(20_022n, 60n * megabyte),
      ],
    ],
    [rowWidths, [{ relid: 20_001n, data_width_bytes: 140, has_nulls: true, columns: 9 }]],
    [compressedParts, [{ relid: 20_021n, compressed_relid: 20_022n }]],
    [indexes, indexRows(w)],
    [indexSizes, indexRows(w).map((row, i) => ({ indexrelid: row.indexrelid, locked: i === 6, total_bytes: i === 6 ? null : BigInt(i + 1) * 31n * megabyte }))],
    [indexWidths, [{ indexrelid: 21_001n, data_width_bytes: 8, null_share: 0, null_width_bytes: 0, distinct_keys: 9_000_000, deduplicates: false, fillfactor: 90 }, { indexrelid: 21_004n, data_width_bytes: 16, null_share: 0, null_width_bytes: 0, distinct_keys: 400_000, deduplicates: true, fillfactor: 90 }]],
    [databases, [database(5n, w.database, { numbackends: 52, datconnlimit: 60, owner: w.user }), database(6n, 'crm', { measurable: false }), database(1n, 'template0', { datallowconn: false, numbackends: 0 })]],
    [databaseSizes, [{ datname: w.database, total_bytes: 41n * gigabyte }, { datname: 'crm' }, { datname: 'template0', total_bytes: 7n * megabyte }]],
    [tablespaces, [{ oid: 1663n, spcname: 'pg_default', owner: 'postgres', location: '', total_bytes: 44n * gigabyte }, { oid: 20_900n, spcname: 'fast', owner: 'postgres', location: '/mnt/nvme0/pg' }]],
  ]
}
