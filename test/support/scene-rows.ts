// What the servers of a scene say: one moment of a cluster on a bad day: a primary with TimescaleDB, a standby whose replay lags, a
// PgBouncer with a full pool. All figures and times are fixed.

import { activity, activityText } from '../../src/sql/activity.ts'
import { locks } from '../../src/sql/locks.ts'
import {
  showClients,
  showConfig,
  showDatabases,
  showPools,
  showServers,
  showState,
  showStats,
  showUsers,
} from '../../src/sql/pgbouncer.ts'
import { progress, vacuumIndexes } from '../../src/sql/progress.ts'
import type { Query } from '../../src/sql/query.ts'
import { conflicts, receiver, replicationSettings, senders, slots } from '../../src/sql/replication.ts'
import { counters, names, pulse } from '../../src/sql/server.ts'
import { chunkSizes, chunks, compressionStats, hypertables, jobs } from '../../src/sql/timescale.ts'
import type { Sample } from '../../src/store/state.ts'
import { healthTold } from './scene-health.ts'
import { tablesTold } from './scene-tables.ts'
import { noon, sampleOf } from './state.ts'

/** The words that users of the servers choose. */
export type Words = {
  readonly user: string
  readonly database: string
  readonly application: string
  readonly query: string
  readonly table: string
}

export const plainWords: Words = {
  user: 'app',
  database: 'shop',
  application: 'checkout',
  query: 'UPDATE stock SET reserved = reserved + 1 WHERE warehouse = 7 AND article = 4711 RETURNING reserved',
  table: 'metrics',
}

type Rows = readonly Readonly<Record<string, unknown>>[]
type Told = readonly [Query, Rows, Rows?]

const epoch = noon / 1000
const gigabyte = 1024n ** 3n
export const start = '2026-11-23 09:14:05.123456+00'

/** Samples of a server, the earlier of a pair one second before. `at` is when the newest were taken. */
function samples(server: string, told: readonly Told[], at: number): Sample[] {
  return told.flatMap(([query, rows, before]) => [
    ...(before ? [sampleOf(query, before, { server, at: at - 1000 })] : []),
    sampleOf(query, rows, { server, at }),
  ])
}

function session(pid: number, change: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return {
    pid,
    backend_type: 'client backend',
    datid: 5n,
    usesysid: 10n,
    client_addr: '10.20.30.41',
    client_port: 40_000 + pid,
    backend_start: start,
    backend_age_seconds: 9955,
    ...change,
  }
}

// biome-ignore format: a row is a line
function activityRows(w: Words): Rows {
  const running = { application_name: w.application, state: 'active', query: w.query }
  const waiting = { ...running, wait_event_type: 'Lock' }
  return [
    session(7301, { ...running, state: 'idle in transaction', wait_event_type: 'Client', wait_event: 'ClientRead', xact_age_seconds: 437, query_age_seconds: 431, state_age_seconds: 431, backend_xid: 91_204n, backend_xmin_age: 120_442 }),
    session(7302, { ...waiting, wait_event: 'transactionid', xact_age_seconds: 252, query_age_seconds: 252, state_age_seconds: 252, client_addr: '10.20.30.9', client_port: 51_702 }),
    session(7303, { ...waiting, wait_event: 'relation', xact_age_seconds: 61, query_age_seconds: 61, state_age_seconds: 61, application_name: 'migrate', query: `ALTER TABLE ${w.table} ADD COLUMN note text` }),
    session(7304, { ...running, wait_event_type: 'IO', wait_event: 'DataFileRead', xact_age_seconds: 3723, query_age_seconds: 3723, state_age_seconds: 3723, application_name: 'nightly-report', query: `SELECT date_trunc('day', at), count(*) FROM ${w.table} GROUP BY 1` }),
    { ...session(7305, { ...running, xact_age_seconds: 3723, query_age_seconds: 3723, state_age_seconds: 3700 }), backend_type: 'parallel worker', leader_pid: 7304, client_addr: null, client_port: null },
    session(7306, { ...running, state: 'idle', wait_event_type: 'Client', wait_event: 'ClientRead', query_age_seconds: 12, state_age_seconds: 12, query: 'COMMIT' }),
    session(7307, { ...running, xact_age_seconds: 0.012, query_age_seconds: 0.012, state_age_seconds: 0.012, client_addr: null, client_port: -1, application_name: 'psql', usesysid: 11n }),
    session(7311, { ...running, application_name: 'pgvigil', xact_age_seconds: 0.001, query_age_seconds: 0.001, state_age_seconds: 0.001, query: 'SELECT pid, leader_pid', usesysid: 11n }),
    { ...session(6001, { application_name: 'pg2', state: 'active', wait_event_type: 'Activity', wait_event: 'WalSenderMain', query: 'START_REPLICATION SLOT "pg2"', usesysid: 12n, state_age_seconds: 9955 }), backend_type: 'walsender', datid: null },
    { pid: 5101, backend_type: 'checkpointer', backend_start: start, wait_event_type: 'Activity', wait_event: 'CheckpointerMain', query: '' },
    { pid: 5102, backend_type: 'autovacuum launcher', backend_start: start, wait_event_type: 'Activity', wait_event: 'AutoVacuumMain', query: '' },
    {
      ...session(7400, { usesysid: null, client_addr: null, client_port: null, state: 'active', xact_age_seconds: 912, query_age_seconds: 912, query: `autovacuum: VACUUM ANALYZE public.${w.table}` }),
      backend_type: 'autovacuum worker',
    },
  ]
}

// biome-ignore format: a row is a line
function lockRows(w: Words): Rows {
  const waits = { kind: 'session', backend_type: 'client backend', backend_start: start, datid: 5n, usesysid: 10n, application_name: w.application, client_addr: '10.20.30.9', client_port: 51_702, state: 'active', wait_event_type: 'Lock', query: w.query }
  const xid = { locktype: 'transactionid', mode: 'ShareLock', transactionid: 91_204n }
  return [
    { ...waits, pid: 7301, state: 'idle in transaction', wait_event_type: 'Client', wait_event: 'ClientRead', xact_age_seconds: 437, query_age_seconds: 431, state_age_seconds: 431 },
    { ...waits, ...xid, pid: 7302, blocked_by: [7301], wait_seconds: 252, wait_event: 'transactionid', xact_age_seconds: 252, state_age_seconds: 252, row_database: 5n, row_relation: 16_402n, row_relation_name: w.table },
    {
      ...waits,
      locktype: 'relation',
      mode: 'AccessExclusiveLock',
      lock_database: 5n,
      relation: 16_402n,
      relation_name: w.table,
      pid: 7303,
      blocked_by: [7301, 7302],
      wait_seconds: 61,
      wait_event: 'relation',
      xact_age_seconds: 61,
      state_age_seconds: 61,
      application_name: 'migrate',
      query: `ALTER TABLE ${w.table} ADD COLUMN note text`,
    },
    ...[7308, 7309, 7310].map((pid, i) => ({ ...waits, locktype: 'relation', mode: 'RowExclusiveLock', lock_database: 5n, relation: 16_402n, relation_name: w.table, pid, blocked_by: [7303], wait_seconds: 58 - 20 * i, wait_event: 'relation', xact_age_seconds: 58, state_age_seconds: 58 })),
    { ...waits, locktype: 'advisory', mode: 'ExclusiveLock', lock_database: 5n, classid: 0n, objid: 42n, objsubid: 1, pid: 7312, blocked_by: [0], wait_seconds: 8, wait_event: 'advisory', xact_age_seconds: 8, state_age_seconds: 8, application_name: 'cron', query: 'SELECT pg_advisory_xact_lock(42)' },
    { kind: 'held', pid: 7301, ...xid, mode: 'ExclusiveLock' },
    { kind: 'held', pid: 7302, locktype: 'relation', mode: 'RowExclusiveLock', lock_database: 5n, relation: 16_402n, relation_name: w.table },
    { kind: 'held', pid: 0, locktype: 'advisory', mode: 'ExclusiveLock', lock_database: 5n, classid: 0n, objid: 42n, objsubid: 1, gid: `${w.application}-20261123`, datid: 5n, usesysid: 10n, xact_age_seconds: 5400 },
  ]
}

/** What reports its progress: `ago` 0 now, 1 a sample before. */
// biome-ignore format: a row is a line
function progressRows(w: Words, ago: number): Rows {
  const command = { role: 'command', datid: 5n, block_size: 8192, backend_type: 'client backend', backend_start: start, usesysid: 10n, application_name: w.application, client_addr: '10.20.30.41', client_port: 47_400, state: 'active' }
  const began = (age: number) => ({ query_start: `2026-11-23 11:${String(59 - Math.floor(age / 60)).padStart(2, '0')}:00+00`, query_age_seconds: age - ago, xact_age_seconds: age - ago })
  const blocks = (n: number) => BigInt(n - 4100 * ago)
  return [
    { ...command, ...began(912), kind: 'VACUUM', pid: 7400, command: 'VACUUM', phase: 'scanning heap', relid: 16_402n, relation_name: `public.${w.table}`, heap_blks_total: 4_812_004n, heap_blks_scanned: blocks(3_301_877), heap_blks_vacuumed: 2_004_112n, index_vacuum_count: 1n, num_dead_item_ids: 8_012_400n, dead_memory_used: 40_000_000n, dead_memory_max: 67_108_864n, delay_ms: 640_000 - 700 * ago, backend_type: 'autovacuum worker', usesysid: null, client_addr: null, client_port: null, application_name: '', wait_event_type: 'Timeout', wait_event: 'VacuumDelay', query: `autovacuum: VACUUM public.${w.table} (to prevent wraparound)` },
    { ...command, ...began(431), kind: 'CREATE INDEX', pid: 7401, command: 'REINDEX CONCURRENTLY', phase: 'waiting for old snapshots', relid: 16_500n, relation_name: 'public.stock', index_relid: 16_511n, index_name: 'public.stock_pkey_ccnew', lockers_total: 3n, lockers_done: 1n, current_locker_pid: 7304, blocked_by: [7304], wait_event_type: 'Lock', wait_event: 'virtualxid', query: 'REINDEX INDEX CONCURRENTLY stock_pkey' },
    { ...command, ...began(61), kind: 'CREATE INDEX', pid: 7402, command: 'CREATE INDEX', phase: 'building index: scanning table', relid: 16_620n, relation_name: `public.${w.table}_archive`, blocks_total: 91_300n, blocks_done: BigInt(45_000 - 1800 * ago), tuples_done: 0n, query: `CREATE INDEX ON ${w.table}_archive (at)` },
    { ...command, ...began(125), kind: 'COPY', pid: 7403, command: 'COPY FROM', relid: 16_700n, relation_name: 'public.import_lines', bytes_total: 0n, bytes_processed: BigInt(812_000_000 - 6_400_000 * ago), tuples_processed: 9_120_400n, copy_type: 'PIPE', usesysid: 11n, application_name: 'psql', query: 'COPY import_lines FROM STDIN' },
    { ...command, ...began(41), kind: 'CLUSTER', pid: 7404, datid: 6n, command: 'VACUUM FULL', phase: 'rebuilding index', relid: 24_001n, index_rebuild_count: 2n, heap_tuples_scanned: 80_000n, heap_tuples_written: 80_000n, query: 'VACUUM FULL ledger' },
    { ...command, ...began(300), kind: 'BASEBACKUP', pid: 7405, datid: null, command: 'BASE_BACKUP', phase: 'streaming database files', backup_total: 410n * gigabyte, backup_streamed: 96n * gigabyte - 81_000_000n * BigInt(ago), tablespaces_total: 1n, tablespaces_streamed: 0n, backend_type: 'walsender', usesysid: 12n, application_name: 'pg_basebackup', query: "BASE_BACKUP ( LABEL 'nightly' )" },
    { role: 'other', pid: 7304, datid: 5n, block_size: 8192, backend_type: 'client backend', backend_start: start, usesysid: 10n, application_name: 'nightly-report', state: 'active', xact_age_seconds: 3723, query_age_seconds: 3723, query: w.query },
  ]
}

// biome-ignore format: a row is a line
function timescaleRows(w: Words): readonly Told[] {
  const day = (n: number) => new Date(Date.UTC(2026, 10, n)).toISOString().replace('.000Z', 'Z')
  const all = Array.from({ length: 18 }, (_, i) => ({ hypertable_schema: 'public', hypertable_name: w.table, chunk_schema: '_timescaledb_internal', chunk_name: `_hyper_1_${101 + i}_chunk`, end: 24 - i, compressed: i >= 7 }))
  const identity = ({ chunk_schema, chunk_name }: (typeof all)[number]) => ({ hypertable: `public.${w.table}`, chunk_schema, chunk_name })
  return [
    [
      hypertables,
      [
        { hypertable_schema: 'public', hypertable_name: w.table, qualified: `public.${w.table}`, owner: w.user, num_dimensions: 1, num_chunks: 18, compression_enabled: true, primary_dimension: 'at', primary_dimension_type: 'timestamp with time zone', time_interval: '1 day' },
        { hypertable_schema: 'public', hypertable_name: 'events', qualified: 'public.events', owner: w.user, num_dimensions: 2, num_chunks: 0, compression_enabled: false, primary_dimension: 'id', primary_dimension_type: 'bigint', integer_interval: 1_000_000n },
      ],
    ],
    [
      chunks,
      all.map(chunk => ({
        hypertable_schema: chunk.hypertable_schema,
        hypertable_name: chunk.hypertable_name,
        chunk_schema: chunk.chunk_schema,
        chunk_name: chunk.chunk_name,
        qualified: `_timescaledb_internal.${chunk.chunk_name}`,
        primary_dimension: 'at',
        primary_dimension_type: 'timestamp with time zone',
        range_start: day(chunk.end - 1),
        range_end: day(chunk.end),
        start_age_seconds: epoch - Date.UTC(2026, 10, chunk.end - 1) / 1000,
        end_age_seconds: epoch - Date.UTC(2026, 10, chunk.end) / 1000,
        is_compressed: chunk.compressed,
        chunk_creation_time: day(chunk.end - 2),
        chunks_in_all: all.length,
      })),
    ],
    [chunkSizes, all.map((chunk, i) => ({ ...identity(chunk), table_bytes: gigabyte, index_bytes: gigabyte / 4n, toast_bytes: 8192n, total_bytes: chunk.compressed ? gigabyte / 8n : (BigInt(i + 5) * gigabyte) / 3n }))],
    [compressionStats, all.flatMap((chunk, i) => (chunk.compressed ? [{ ...identity(chunk), before_compression_total_bytes: gigabyte * 2n, after_compression_total_bytes: gigabyte / BigInt(i + 1) }] : []))],
    [
      jobs,
      [
        {
          job_id: 1000,
          application_name: 'Columnstore Policy [1000]',
          proc_schema: '_timescaledb_functions',
          proc_name: 'policy_compression',
          owner: w.user,
          hypertable_schema: 'public',
          hypertable_name: w.table,
          schedule_interval: '12:00:00',
          fixed_schedule: false,
          scheduled: true,
          config: '{"compress_after": "7 days"}',
          job_status: 'Scheduled',
          last_run_status: 'Success',
          last_run_started_at: day(23),
          last_run_ago_seconds: 43_200,
          last_successful_finish: day(23),
          last_run_duration_seconds: 31,
          next_start: '2026-11-23T12:00:31Z',
          next_start_ago_seconds: -31,
          total_runs: 812n,
          total_successes: 812n,
          total_failures: 0n,
        },
        {
          job_id: 1001,
          application_name: 'Retention Policy [1001]',
          proc_schema: '_timescaledb_functions',
          proc_name: 'policy_retention',
          owner: w.user,
          hypertable_schema: 'public',
          hypertable_name: w.table,
          schedule_interval: '1 day',
          fixed_schedule: true,
          scheduled: true,
          job_status: 'Scheduled',
          last_run_status: 'Failed',
          last_run_started_at: day(23),
          last_run_ago_seconds: 43_100,
          last_run_duration_seconds: 0.4,
          next_start: '2026-11-23T11:40:00Z',
          next_start_ago_seconds: 1200,
          total_runs: 40n,
          total_successes: 28n,
          total_failures: 12n,
          sqlerrcode: '55P03',
          err_message: `canceling statement due to lock timeout on ${w.table}`,
          err_time: day(23),
        },
      ],
    ],
  ]
}

// biome-ignore format: a row is a line
function pulseRow(change: Readonly<Record<string, unknown>>): Rows {
  return [{ in_recovery: false, clock_epoch: epoch, postmaster_start_epoch: epoch - 950_000, own_pid: 7311, clients: 63, active: 5, waiting: 6, idle_in_transaction: 1, restricted: 0, oldest_xact_seconds: 3723, ...change }]
}

export const walAt = (seconds: number) => 0x5_3000_0060n + BigInt(seconds) * 4_200_000n

// biome-ignore format: a row is a line
export function primary(w: Words, at: number): Sample[] {
  const lsn = walAt(0)
  return samples(
    'pg1:5432',
    [
      [
        names,
        [
          { kind: 'database', oid: 5n, name: w.database },
          { kind: 'role', oid: 10n, name: w.user },
          { kind: 'role', oid: 11n, name: 'dba' },
          { kind: 'role', oid: 12n, name: 'repl' },
        ],
      ],
      [pulse, pulseRow({ lsn, timeline: '00000003' })],
      [counters, [{ xact: 1_002_150n, blks_hit: 99_400n, blks_read: 600n, stats_epoch: '1' }], [{ xact: 1_000_000n, blks_hit: 0n, blks_read: 0n, stats_epoch: '1' }]],
      [activity, activityRows(w)],
      [activityText, [{ pid: 7304, backend_start: start, query: `SELECT date_trunc('day', at), count(*) FROM ${w.table} GROUP BY 1\nORDER BY 1 DESC -- all of it` }]],
      [locks, lockRows(w)],
      [progress, progressRows(w, 0), progressRows(w, 1)],
      [vacuumIndexes, [{ relid: 16_402n, index_blocks: [1_179_648] }]],
      [
        senders,
        [
          {
            pid: 6001,
            usesysid: 12n,
            application_name: 'pg2',
            client_addr: '10.20.30.2',
            client_port: 39_100,
            backend_start: start,
            xminAge: 12_204,
            state: 'streaming',
            sent_lsn: lsn,
            write_lsn: lsn - 8192n,
            flush_lsn: lsn - 16_384n,
            replay_lsn: walAt(-12),
            replayLagSeconds: 3.2,
            sync_priority: 0,
            sync_state: 'async',
            reply_epoch: epoch - 0.4,
            current_lsn: lsn,
            clock_epoch: epoch,
          },
        ],
      ],
      [
        slots,
        [
          { slot_name: 'pg2', slot_type: 'physical', temporary: false, active: true, active_pid: 6001, xminAge: 12_204, restart_lsn: walAt(-13), wal_status: 'reserved', safe_wal_size: 40n * gigabyte, current_lsn: lsn },
          { slot_name: 'old_replica', slot_type: 'physical', temporary: false, active: false, restart_lsn: lsn - 37n * gigabyte, wal_status: 'extended', safe_wal_size: 3n * gigabyte, current_lsn: lsn },
        ],
      ],
      [replicationSettings, [{ statusIntervalSeconds: 10, senderTimeoutMs: 60_000, applyDelayMs: 0, hot_standby_feedback: false, max_slot_wal_keep_size: '40GB' }]],
      ...timescaleRows(w),
      ...tablesTold(w),
      ...healthTold(w),
    ],
    at,
  )
}

// biome-ignore format: a row is a line
export function standby(w: Words, at: number): Sample[] {
  const own = { own_pid: 210, clients: 4, active: 1, waiting: 0, idle_in_transaction: 0, oldest_xact_seconds: 95 }
  return samples(
    'pg2:5432',
    [
      [
        names,
        [
          { kind: 'database', oid: 5n, name: w.database },
          { kind: 'role', oid: 10n, name: w.user },
        ],
      ],
      [pulse, pulseRow({ ...own, in_recovery: true, lsn: walAt(-12), receive_lsn: walAt(0) - 16_384n, last_replay_epoch: epoch - 12, replay_pause: 'paused' })],
      [counters, [{ xact: 50_012n, blks_hit: 10n, blks_read: 0n, stats_epoch: '1' }], [{ xact: 50_000n, blks_hit: 0n, blks_read: 0n, stats_epoch: '1' }]],
      [activity, [session(210, { application_name: 'report', state: 'active', query: w.query, xact_age_seconds: 95, query_age_seconds: 95, state_age_seconds: 95 })]],
      [locks, []],
      [senders, []],
      [slots, []],
      [receiver, [{ pid: 77, status: 'streaming', received_tli: 3, latest_end_lsn: walAt(0), last_msg_send_epoch: epoch - 0.3, last_msg_receipt_epoch: epoch - 0.3, slot_name: 'pg2', sender_host: 'pg1', sender_port: 5432, application_name: 'pg2', clock_epoch: epoch }]],
      [conflicts, [{ conflicts: 7n, confl_tablespace: 0n, confl_lock: 0n, confl_snapshot: 7n, confl_bufferpin: 0n, confl_deadlock: 0n }], [{ conflicts: 5n, confl_tablespace: 0n, confl_lock: 0n, confl_snapshot: 5n, confl_bufferpin: 0n, confl_deadlock: 0n }]],
      [replicationSettings, [{ primary_slot_name: 'pg2', statusIntervalSeconds: 10, senderTimeoutMs: 60_000, applyDelayMs: 0, hot_standby_feedback: true, max_slot_wal_keep_size: '-1' }]],
    ],
    at,
  )
}

// biome-ignore format: a row is a line
export function pooler(w: Words, at: number): Sample[] {
  const pool = (database: string, user: string, change: Readonly<Record<string, unknown>>) => ({
    database,
    user,
    cl_active: 12,
    cl_waiting: 0,
    cl_active_cancel_req: 0,
    cl_waiting_cancel_req: 0,
    sv_active: 2,
    sv_active_cancel: 0,
    sv_being_canceled: 0,
    sv_idle: 3,
    sv_used: 0,
    sv_tested: 0,
    sv_login: 0,
    maxwait: 0,
    maxwait_us: 0,
    pool_mode: 'transaction',
    ...change,
  })
  const database = (name: string, change: Readonly<Record<string, unknown>> = {}) => ({ name, host: 'pg1', port: 5432, database: name, pool_size: 20, reserve_pool_size: 0, pool_mode: 'transaction', max_connections: 0, current_connections: 5, paused: 0, disabled: 0, ...change })
  const stats = (n: bigint) => ({ database: w.database, total_xact_count: n, total_query_count: n * 4n, total_received: n * 800n, total_sent: n * 5200n, total_xact_time: n * 2100n, total_query_time: n * 1800n, total_wait_time: n * 310_000n, total_server_assignment_count: n })
  const socket = (ptr: string, change: Readonly<Record<string, unknown>>) => ({
    ptr,
    user: w.user,
    database: w.database,
    state: 'active',
    connect_time: '2026-11-23 11:00:00 UTC',
    request_time: '2026-11-23 12:00:00 UTC',
    wait: 0,
    wait_us: 0,
    close_needed: 0,
    remote_pid: 0,
    link: '',
    tls: '',
    prepared_statements: 0,
    ...change,
  })
  const client = (n: number, change: Readonly<Record<string, unknown>>) => socket(`c${n}`, { type: 'C', addr: '10.9.8.7', port: 45_946 + n, local_addr: '10.20.30.9', local_port: 6432, application_name: w.application, ...change })
  return samples(
    'pgb:6432',
    [
      [showPools, [pool(w.database, w.user, { cl_active: 20, cl_waiting: 41, sv_active: 20, sv_idle: 0, maxwait: 12, maxwait_us: 400_000 }), pool('crm', 'crm', {}), pool('billing', 'batch', { cl_active: 0, sv_active: 0 }), pool('pgbouncer', 'pgvigil', { cl_active: 1 })]],
      [showDatabases, [database(w.database, { current_connections: 20 }), database('crm'), database('billing', { paused: 1 }), database('pgbouncer', { host: null })]],
      [showStats, [stats(41_230n)], [stats(41_000n)]],
      [
        showState,
        [
          { key: 'active', value: 'yes' },
          { key: 'paused', value: 'no' },
          { key: 'suspended', value: 'no' },
        ],
      ],
      [
        showConfig,
        [
          { key: 'default_pool_size', value: '20' },
          { key: 'max_client_conn', value: '1000' },
        ],
      ],
      [showUsers, [{ name: w.user, pool_size: '' }]],
      [showClients, [client(0, { link: 's0' }), client(1, { state: 'waiting', wait: 12, wait_us: 400_000 }), client(2, { state: 'waiting', wait: 3, wait_us: 100_000, application_name: 'a-batch-job-with-a-long-name', addr: '2001:db8::7334' }), client(3, { application_name: '' })]],
      [
        showServers,
        [
          socket('s0', { type: 'S', addr: '10.20.30.1', port: 5432, local_addr: '10.20.30.9', local_port: 51_702, remote_pid: 7302, link: 'c0', application_name: w.application }),
          socket('s1', { type: 'S', state: 'idle', addr: '10.20.30.1', port: 5432, local_addr: '10.20.30.9', local_port: 51_703, remote_pid: 7399, application_name: '' }),
        ],
      ],
    ],
    at,
  )
}
