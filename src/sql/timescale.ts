// What a database with TimescaleDB is asked (2.11 and later): only the information views and public functions, whose catalogs behind them
// change often. The chunks view leaves out sizes, and chunks of continuous aggregates have no line in the hypertables view.

import { query, type RowOf } from './query.ts'

/** A timestamptz as ISO 8601 in UTC, with a fraction only when there is one; the infinities as PostgreSQL spells them. */
const iso = (column: string) =>
  `CASE WHEN isfinite(${column}) THEN replace(to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), '.000000Z', 'Z') ELSE ${column}::text END`

/** The same for when something happened: an infinity there says "never". */
const isoMoment = (column: string) => `CASE WHEN isfinite(${column}) THEN ${iso(column)} END`

/** Seconds from a moment until now by the server's clock; null for the infinities and for the future negative. */
const secondsAgo = (column: string) =>
  `CASE WHEN isfinite(${column}) THEN extract(epoch FROM now())::float8 - extract(epoch FROM ${column})::float8 END`

/**
 * Hypertables, and those that hold continuous aggregates (with `view_schema` and `view_name`; `num_chunks` is NULL for them). `qualified` is the
 * quoted name for a regclass. `owned`: our role has the owner's privileges, which compressing takes. `time_interval` or `integer_interval`: how much a chunk of the first dimension spans.
 */
export const hypertables = query({
  id: 'hypertables',
  on: 'postgres',
  every: 5,
  needs: { extension: 'timescaledb' },
  columns: {
    hypertable_schema: 'text!',
    hypertable_name: 'text!',
    qualified: 'text!',
    owner: 'text',
    owned: 'bool',
    num_dimensions: 'int',
    num_chunks: 'int',
    compression_enabled: 'bool',
    primary_dimension: 'text',
    primary_dimension_type: 'text',
    time_interval: 'text',
    integer_interval: 'big',
    view_schema: 'text',
    view_name: 'text',
  },
  variants: [
    {
      from: 21100,
      text: `
SELECT t.hypertable_schema, t.hypertable_name,
       format('%I.%I', t.hypertable_schema, t.hypertable_name) AS qualified,
       t.owner, pg_has_role(t.owner, 'USAGE') AS owned, t.num_dimensions, t.num_chunks, t.compression_enabled,
       d.column_name AS primary_dimension, d.column_type::text AS primary_dimension_type,
       d.time_interval::text AS time_interval, d.integer_interval, t.view_schema, t.view_name
  FROM (SELECT h.hypertable_schema, h.hypertable_name, h.owner, h.num_dimensions, h.num_chunks, h.compression_enabled,
               NULL::name AS view_schema, NULL::name AS view_name
          FROM timescaledb_information.hypertables h
         UNION ALL
        SELECT c.materialization_hypertable_schema, c.materialization_hypertable_name, c.view_owner,
               (SELECT max(x.dimension_number)::smallint FROM timescaledb_information.dimensions x
                 WHERE x.hypertable_schema = c.materialization_hypertable_schema AND x.hypertable_name = c.materialization_hypertable_name),
               NULL, c.compression_enabled, c.view_schema, c.view_name
          FROM timescaledb_information.continuous_aggregates c) t
  LEFT JOIN timescaledb_information.dimensions d
    ON d.hypertable_schema = t.hypertable_schema AND d.hypertable_name = t.hypertable_name AND d.dimension_number = 1`,
    },
  ],
})
export type HypertableRow = RowOf<typeof hypertables>

/** How many chunks the list takes; of more, each hypertable gives its newest ones. */
export const chunkLimit = 5000

const chunksText = (creationTime: string) => `
SELECT c.hypertable_schema, c.hypertable_name, c.chunk_schema, c.chunk_name,
       format('%I.%I', c.chunk_schema, c.chunk_name) AS qualified,
       c.primary_dimension, c.primary_dimension_type::text AS primary_dimension_type,
       ${iso('c.range_start')} AS range_start,
       ${iso('c.range_end')} AS range_end,
       c.range_start_integer, c.range_end_integer,
       ${secondsAgo('c.range_start')} AS start_age_seconds,
       ${secondsAgo('c.range_end')} AS end_age_seconds,
       c.is_compressed, c.chunk_tablespace,
       ${creationTime} AS chunk_creation_time,
       c.chunks_in_all
  FROM (SELECT v.*, count(*) OVER ()::int AS chunks_in_all,
               row_number() OVER (PARTITION BY v.hypertable_schema, v.hypertable_name
                                  ORDER BY v.range_start DESC, v.range_start_integer DESC) AS newest
          FROM timescaledb_information.chunks v) c
 ORDER BY c.newest
 LIMIT ${chunkLimit}`

/**
 * Chunks with their ranges in the first dimension: `range_start` and `range_end` as text for time, the *_integer ones for an integer dimension. `chunks_in_all`
 * counts those that the limit left out too. A compressed chunk that got new rows since still says is_compressed.
 */
export const chunks = query({
  id: 'chunks',
  on: 'postgres',
  every: 10,
  needs: { extension: 'timescaledb' },
  columns: {
    hypertable_schema: 'text!',
    hypertable_name: 'text!',
    chunk_schema: 'text!',
    chunk_name: 'text!',
    qualified: 'text!',
    primary_dimension: 'text',
    primary_dimension_type: 'text',
    range_start: 'text',
    range_end: 'text',
    range_start_integer: 'big',
    range_end_integer: 'big',
    start_age_seconds: 'num',
    end_age_seconds: 'num',
    is_compressed: 'bool',
    chunk_tablespace: 'text',
    chunk_creation_time: 'text',
    chunks_in_all: 'int!',
  },
  variants: [
    { from: 21300, text: chunksText(isoMoment('c.chunk_creation_time')) },
    { from: 21100, text: chunksText('NULL::text') },
  ],
})
export type ChunkRow = RowOf<typeof chunks>

/**
 * Sizes of all chunks of a hypertable, the compressed part of each included (pg_total_relation_size of a chunk leaves that out). It looks at every file, and
 * stands behind a chunk that is being compressed or dropped: so seldom, and one hypertable at a time.
 */
export const chunkSizes = query({
  id: 'chunkSizes',
  on: 'postgres',
  every: 60,
  needs: { extension: 'timescaledb' },
  forEach: { query: hypertables, key: 'qualified' },
  columns: {
    hypertable: 'text!',
    chunk_schema: 'text!',
    chunk_name: 'text!',
    table_bytes: 'big',
    index_bytes: 'big',
    toast_bytes: 'big',
    total_bytes: 'big',
  },
  variants: [
    {
      from: 21100,
      text: `
SELECT $1::text AS hypertable, chunk_schema, chunk_name, table_bytes, index_bytes, toast_bytes, total_bytes
  FROM public.chunks_detailed_size($1::text::regclass)`,
    },
  ],
})
export type ChunkSizeRow = RowOf<typeof chunkSizes>

/** What compressing gained, noted by TimescaleDB when it compressed each chunk. Only compressed chunks. */
export const compressionStats = query({
  id: 'compressionStats',
  on: 'postgres',
  every: 60,
  needs: { extension: 'timescaledb' },
  forEach: { query: hypertables, key: 'qualified' },
  columns: {
    hypertable: 'text!',
    chunk_schema: 'text!',
    chunk_name: 'text!',
    before_compression_total_bytes: 'big',
    after_compression_total_bytes: 'big',
  },
  variants: [
    {
      from: 21100,
      text: `
SELECT $1::text AS hypertable, chunk_schema, chunk_name, before_compression_total_bytes, after_compression_total_bytes
  FROM public.chunk_compression_stats($1::text::regclass)
 WHERE compression_status = 'Compressed'`,
    },
  ],
})
export type CompressionRow = RowOf<typeof compressionStats>

/** The table that holds the compressed rows of a chunk: no public view names it. */
export const compressedParts = query({
  id: 'compressedParts',
  on: 'postgres',
  every: 60,
  needs: { extension: 'timescaledb' },
  columns: { relid: 'big!', compressed_relid: 'big!' },
  variants: [
    {
      from: 22900,
      text: `
SELECT relid::oid::int8 AS relid, compress_relid::oid::int8 AS compressed_relid
  FROM _timescaledb_catalog.compression_settings WHERE compress_relid IS NOT NULL`,
    },
    {
      from: 21100,
      text: `
SELECT c.oid::int8 AS relid, p.oid::int8 AS compressed_relid
  FROM _timescaledb_catalog.chunk chunk
  JOIN _timescaledb_catalog.chunk part ON part.id = chunk.compressed_chunk_id
  JOIN pg_namespace cn ON cn.nspname = chunk.schema_name
  JOIN pg_class c ON c.relnamespace = cn.oid AND c.relname = chunk.table_name
  JOIN pg_namespace pn ON pn.nspname = part.schema_name
  JOIN pg_class p ON p.relnamespace = pn.oid AND p.relname = part.table_name`,
    },
  ],
})
export type CompressedPartRow = RowOf<typeof compressedParts>

/**
 * Jobs (policies and user-defined actions) with how they fare. `owned`: our role has the owner's privileges, which running and changing takes. `job_status` Running is told by pg_stat_activity, so only to a role that may read all of it, and
 * may come once for each worker of a job: one row a job. The last error is visible to the job's owner and the database owner's members only.
 */
export const jobs = query({
  id: 'jobs',
  on: 'postgres',
  every: 10,
  needs: { extension: 'timescaledb' },
  columns: {
    job_id: 'int!',
    application_name: 'text',
    proc_schema: 'text',
    proc_name: 'text',
    owner: 'text',
    owned: 'bool',
    hypertable_schema: 'text',
    hypertable_name: 'text',
    schedule_interval: 'text',
    fixed_schedule: 'bool',
    max_runtime: 'text',
    max_retries: 'int',
    retry_period: 'text',
    scheduled: 'bool',
    config: 'utf8',
    job_status: 'text',
    last_run_status: 'text',
    last_run_started_at: 'text',
    last_run_ago_seconds: 'num',
    last_successful_finish: 'text',
    last_run_duration_seconds: 'num',
    next_start: 'text',
    next_start_ago_seconds: 'num',
    total_runs: 'big',
    total_successes: 'big',
    total_failures: 'big',
    sqlerrcode: 'text',
    err_message: 'utf8',
    err_time: 'text',
  },
  variants: [
    {
      from: 21100,
      text: `
SELECT DISTINCT ON (j.job_id)
       j.job_id, j.application_name, j.proc_schema, j.proc_name, j.owner::text AS owner, pg_has_role(j.owner::oid, 'USAGE') AS owned,
       j.hypertable_schema, j.hypertable_name,
       j.schedule_interval::text AS schedule_interval, j.fixed_schedule, j.max_runtime::text AS max_runtime, j.max_retries,
       j.retry_period::text AS retry_period, j.scheduled,
       substring(textsend(j.config::text) FROM 1 FOR 4000) AS config,
       s.job_status, s.last_run_status,
       ${isoMoment('s.last_run_started_at')} AS last_run_started_at,
       ${secondsAgo('s.last_run_started_at')} AS last_run_ago_seconds,
       ${isoMoment('s.last_successful_finish')} AS last_successful_finish,
       extract(epoch FROM s.last_run_duration)::float8 AS last_run_duration_seconds,
       ${isoMoment('s.next_start')} AS next_start,
       ${secondsAgo('s.next_start')} AS next_start_ago_seconds,
       s.total_runs, s.total_successes, s.total_failures,
       e.sqlerrcode, substring(textsend(e.err_message) FROM 1 FOR 4000) AS err_message,
       ${isoMoment('e.finish_time')} AS err_time
  FROM timescaledb_information.jobs j
  LEFT JOIN timescaledb_information.job_stats s ON s.job_id = j.job_id
  LEFT JOIN LATERAL (SELECT x.sqlerrcode, x.err_message, x.finish_time
                       FROM timescaledb_information.job_errors x
                      WHERE x.job_id = j.job_id
                      ORDER BY x.finish_time DESC NULLS LAST
                      LIMIT 1) e ON s.total_failures > 0
 ORDER BY j.job_id, s.job_status = 'Running' DESC NULLS LAST`,
    },
  ],
})
export type JobRow = RowOf<typeof jobs>
